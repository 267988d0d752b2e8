"""Files that are replaced whole: after a kill or a full disk the old content is there, or the new.

A link is never written through, only a regular file is replaced, and its mode is kept. A pipe or a
device that the user named, `/dev/stdout` among them, is written into as it is.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from steer.errors import UserError

OWN_STREAMS = {"/dev/stdout": "/dev/fd/1", "/dev/stderr": "/dev/fd/2"}


def write_atomically(path: Path, content: bytes, *, streams: bool = False) -> None:
    """Put `content` at `path`, whole or not at all; `streams` as in `replaced`."""
    with replaced(path, streams=streams) as file:
        file.write(content)


@contextmanager
def replaced(path: Path, *, streams: bool = False) -> Generator[IO[bytes]]:
    """A file to write; it is renamed to `path` when the block ends, and a reader sees the old or the new.

    streams: `path` was named by the user, so that a pipe or a device there is meant.
    Raises UserError where it cannot be written, and leaves nothing behind.
    """
    with _faults(path):
        if streams and is_stream(path):
            with _stream(path) as file:
                yield file
            return
        mode = _mode(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with _draft(path.parent, path.name, folder=False) as draft:
            with draft.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _put(draft, path, mode)
        _sync(path.parent)


@contextmanager
def filled(folder: Path) -> Generator[Path]:
    """A draft folder; when the block ends its files are moved into `folder`, all of them or none."""
    made = not folder.exists()
    with _faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with _draft(folder, "files", folder=True) as draft:
                yield draft
                files = sorted(draft.iterdir())
                for file in files:
                    _sync(file)
                modes = [_mode(folder / file.name) for file in files]
                for file, mode in zip(files, modes, strict=True):
                    _put(file, folder / file.name, mode)
            _sync(folder)
        except BaseException:
            if made:
                with suppress(OSError):  # somebody else put something there
                    folder.rmdir()
            raise


def is_stream(path: Path) -> bool:
    """Whether what is written there goes on: a pipe, a terminal, the null device, an own open file."""
    if _own(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def refuse_other_than_file(path: Path) -> os.stat_result | None:
    """What is at `path` if it is a regular file, None for nothing; UserError for a link or anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise UserError(
            f"{str(path)!r} is a link (to {os.readlink(path)!r}), and links are not followed here: "
            "give the file itself, or remove the link"
        )
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise UserError(f"{str(path)!r} is {kind}, not a file: give a file, or another place")
    return found


def _own(path: Path) -> int | None:
    """The number of the open file of this process that `path` names."""
    name = OWN_STREAMS.get(str(path), str(path))
    found = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", name)
    return int(found[1]) if found else None


def _stream(path: Path) -> IO[bytes]:
    own = _own(path)
    return os.fdopen(os.open(path, os.O_WRONLY) if own is None else os.dup(own), "wb")


def _mode(path: Path) -> int:
    """That of the file which is replaced, or a new file's."""
    found = refuse_other_than_file(path)
    if found is not None:
        return found.st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _put(draft: Path, path: Path, mode: int) -> None:
    draft.chmod(mode)
    draft.replace(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _faults(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {str(path)!r}: {error.strerror or error}; free some space or give another place"
        ) from error


@contextmanager
def _draft(home: Path, name: str, *, folder: bool) -> Generator[Path]:
    """A new, locked file or folder in `home`, gone at the end; those of killed processes go first."""
    for left in home.glob(f".{glob.escape(name)}.*.part"):
        _clear(left)
    while True:
        make = tempfile.mkdtemp if folder else _empty
        draft = Path(make(dir=home, prefix=f".{name}.", suffix=".part"))
        handle = os.open(draft, os.O_RDONLY)
        _lock(handle, wait=True)
        if draft.exists():  # else another process cleared it before it was locked
            break
        os.close(handle)
    try:
        yield draft
    finally:
        _remove(draft)
        os.close(handle)


def _empty(*, dir: Path, prefix: str, suffix: str) -> str:
    handle, name = tempfile.mkstemp(dir=dir, prefix=prefix, suffix=suffix)
    os.close(handle)
    return name


def _clear(left: Path) -> None:
    """Remove a draft, unless a process that lives is at it."""
    with suppress(OSError):  # of another user, or gone
        handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if _lock(handle, wait=False):
                _remove(left)
        finally:
            os.close(handle)


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)


def _lock(handle: int, *, wait: bool) -> bool:
    """Say that a draft is being written. False where somebody does already, or where there are no locks."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True
