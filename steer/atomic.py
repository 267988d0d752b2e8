"""Files that are replaced whole: after a kill or a full disk the old content is there, or the new."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from steer.errors import UserError


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, flush to disk, rename; a reader sees the old file or the new one.

    Raises UserError where it cannot be written, and leaves nothing behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise UserError(
            f"cannot write {str(path)!r}: {error.strerror}; give a place that can be written"
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise UserError(
            f"cannot write {str(path)!r}: {error.strerror}; free some space or give another place"
        ) from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
