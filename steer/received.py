"""Files that may have come from somebody else: read as they are, with limits, and following no link."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steer.atomic import refuse_other_than_file
from steer.errors import UserError

MEGABYTE = 2**20


def read_bytes(path: Path, *, megabytes: int) -> bytes:
    """The content of a regular file. FileNotFoundError where there is none, UserError for anything else.

    A link is refused, since it could name any file of the reader's; those on the way to it are not.
    """
    refuse_other_than_file(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UserError(f"{str(path)!r} is not a file: give a file")
            content = file.read(megabytes * MEGABYTE + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if len(content) > megabytes * MEGABYTE:
        raise UserError(f"{str(path)!r} has more than {megabytes} MB: it is not what it should be")
    return content


def read_text(path: Path, *, megabytes: int) -> str:
    """The same as UTF-8 text."""
    try:
        return read_bytes(path, megabytes=megabytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} is not UTF-8 text ({error.reason})") from error


def parse_json(text: str, *, where: str) -> Any:
    """UserError for what is no JSON or is nested too deeply."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is damaged ({error}): write it again, or restore it from a copy") from error


@contextmanager
def understood(where: str) -> Generator[None]:
    """One line instead of a traceback where a file's content has another shape than this version writes."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UserError(
            f"{where} is damaged, or another version wrote it ({said}): repeat the command that made it, "
            "or restore it from a copy"
        ) from error
