"""A run's SQLite file: opened by one writer and any number of readers, its faults told in one line.

Rollback journal (TRUNCATE) and full sync: safe on a cluster's file system. The writer waits for readers,
and a reader takes the rows of a query at once, so that a slow one holds nobody up. While a run is written a
plain copy of its folder may be torn; `export --format folder` makes one that is whole.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from steer.errors import UserError
from steer.store import schema
from steer.store.schema import FILE

LOCK = "run.lock"
BUSY_SECONDS = 5.0
"""How long SQLite itself waits; Ctrl-C waits with it."""
PATIENCE_SECONDS = 300.0
"""How long a writer waits for readers."""
STILL_SECONDS = 1800.0
"""How long one waits for another writer that stores nothing."""


class Database:
    """An open run folder, as a context manager.

    writable=False reads a live run. wait: told, once, that another process writes this folder, and then
    it is waited for as long as that one makes progress; without it, that is a UserError.
    """

    def __init__(
        self, folder: Path, *, writable: bool = True, wait: Callable[[str], None] | None = None
    ) -> None:
        self.folder = folder
        self._writable = writable
        self._lock: sqlite3.Connection | None = None
        path = folder / FILE
        with self._faults():
            schema.refuse_foreign_files(path)
            if not writable and not path.is_file():
                raise UserError(f"no run in {str(folder)!r}: expected {FILE} there; give a run folder")
            if writable:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = exclusive(folder, wait)
            # A reader too may have to roll back what a killed writer left: SQLite opens a file that
            # cannot be written for reading alone by itself.
            mode = "rwc" if writable else "rw"
            uri = f"{path.resolve().as_uri()}?mode={mode}"
            self._db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def _prepare(self) -> None:
        schema.confine(self._db)
        empty = not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if empty and not self._writable:
            raise UserError(f"the run in {str(self.folder)!r} has no rows yet: start it again, or delete it")
        if empty:
            self._journal()
            schema.make(self._db)
            return
        schema.check(self._db, f"the run in {str(self.folder)!r}")
        if self._writable:
            self._journal()
        else:
            self._db.execute("PRAGMA query_only = ON")

    def _journal(self) -> None:
        self._db.execute("PRAGMA journal_mode = TRUNCATE")
        self._db.execute("PRAGMA synchronous = FULL")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def copy_to(self, folder: Path) -> None:
        """The database as it is at one moment, into a folder that has none."""
        with self._faults():
            other = sqlite3.connect(folder / FILE)
            try:
                self._db.backup(other)
            finally:
                other.close()

    @contextmanager
    def _faults(self) -> Generator[None]:
        """Turn what sqlite and the file system say into one line; committed rows stay."""
        try:
            yield
        except (sqlite3.DatabaseError, sqlite3.DataError, UnicodeDecodeError) as error:
            raise UserError(_explain(self.folder, str(error))) from error
        except OSError as error:
            raise UserError(
                f"cannot use run folder {str(self.folder)!r}: {error.strerror or error}"
            ) from error

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        with self._faults():
            self._patiently("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._patiently("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _patiently(self, sql: str) -> None:
        """BEGIN or COMMIT: a reader, another program's too, may hold the file for a while."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._db.execute(sql)
                return
            except sqlite3.OperationalError as error:
                if not _busy(error) or time.monotonic() > until:
                    raise

    def query(self, sql: str, arguments: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows; one who only reads has them all before the first is given, and the file is free."""
        with self._faults():
            found = self._db.execute(sql, arguments)
            yield from found if self._writable else found.fetchall()


def exclusive(folder: Path, wait: Callable[[str], None] | None = None) -> sqlite3.Connection:
    """Hold the folder for one writer, by SQLite's own locks: they go with the process, however it ends."""
    path = folder / LOCK
    schema.refuse_foreign_files(path)
    path.touch() if not path.exists() else None
    lock = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        moved, since = -1.0, time.monotonic()
        while True:
            try:
                lock.execute("BEGIN EXCLUSIVE")
                return lock
            except sqlite3.OperationalError as error:
                if not _busy(error):
                    raise
            name = f"run {str(folder)!r} is being written by another process"
            if (now := max(file.lstat().st_mtime for file in folder.iterdir())) != moved:
                moved, since = now, time.monotonic()
            if wait is None or time.monotonic() - since > STILL_SECONDS:
                raise UserError(f"{name}: wait for it, or give another --out")
            wait(f"{name}: waiting for it")
            wait = _silent
            time.sleep(0.2)
    except BaseException:
        lock.close()
        raise


def check_place(folder: Path) -> None:
    """Raise UserError, before a model is loaded, where a run in `folder` could not be written or locked."""
    there = folder
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not there.is_dir():
            return  # a file to be replaced, or a pipe
        with TemporaryDirectory(dir=there, prefix=".place.") as name:
            exclusive(Path(name)).close()
    except OSError as error:
        raise UserError(f"cannot write in {str(there)!r}: {error.strerror}; give another --out") from error
    except sqlite3.DatabaseError as error:
        raise UserError(_explain(there, f"locking protocol: {error}")) from error


def _silent(_: str) -> None:
    """It has been said."""


def _busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _explain(folder: Path, message: str) -> str:
    name = repr(str(folder / FILE))
    if "full" in message:
        return f"no space left for {name}: free some and repeat the command; finished rows are kept"
    if "database is locked" in message:
        return f"{name} is locked by another process: wait for it and repeat the command"
    if "readonly" in message or "unable to open" in message:
        return f"cannot write {name} ({message}): give a writable --out"
    if "locking protocol" in message:
        return f"the file system of {name} has no locks, which a run needs: give an --out on a local disk"
    if any(said in message for said in ("not a database", "malformed", "decode", "too big")):
        return f"{name} is corrupt ({message}): restore it from a copy, or give another --out"
    return f"{name}: {message}; finished rows are kept, repeat the command to continue"
