"""Text that others wrote: JSON, JSON lines and tables, read one way, with what is wrong in one line.

UTF-8 with or without its mark, and UTF-16 with one. Size, nesting and the length of numbers are bounded,
so that a damaged or hostile file cannot hang, grow or crash a command. It does not know what texts mean.
"""

from __future__ import annotations

import codecs
import csv
import json
import os
import re
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, cast

from steer.atomic import refuse_other_than_file
from steer.errors import UserError

LARGEST = 1 << 28
"""Bytes of a file that is read as text; a `.svec` of 80 layers of 8,192 numbers is a tenth of it."""
DEEPEST = 100
"""Lists and objects in one another."""
SHOWN = 8
"""Cells of a row in a message."""
DELIMITERS = (",", ";", "\t")
"""What spreadsheets write between cells: most of Europe semicolons, "Unicode text" tabs."""

JsonObject = dict[str, Any]
"""A JSON object whose form others define (a file, a request or its reply): of its values nothing is known."""

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_NESTING = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{])|[\]}]', re.DOTALL)


def read_text(path: Path, *, errors: str = "strict", received: bool = False) -> str:
    """The text of a file, without its byte order mark. Raises UserError.

    received: it lies where somebody else may have put a link to any file of the reader's, or a pipe
    that never ends; only a file is read then.
    errors: "replace" takes other bytes for U+FFFD, where only a note of a person can hold them.
    """
    try:
        if received:
            refuse_other_than_file(path)
        with open(path, "rb", opener=_unfollowed if received else None) as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise UserError(f"{path}: more than {LARGEST >> 20} MiB: no text of that size is read; split it")
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not {encoding.removesuffix('-sig').upper()} text (byte {error.start}): save it as UTF-8"
        ) from error
    if "\0" in text:
        raise UserError(f"{path}: holds NUL bytes, so it is no text: save it as UTF-8 (not UTF-16)")
    return text


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def parse_json(text: str, path: Path, line: int | None = None) -> Any:
    """The value of a JSON text: a file's, or that of one of its lines. Raises UserError."""
    place = f"{path}:{line}" if line else str(path)
    depth = deepest = 0
    for sign in _NESTING.finditer(text):
        if not sign[0].startswith('"'):
            depth += 1 if sign[1] else -1
            deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise UserError(f"{place}: nested {deepest} deep: at most {DEEPEST} are read")
    try:
        value: Any = json.loads(text)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}:{line or error.lineno}: not JSON: {error.msg} at column {error.colno}"
        ) from error
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: holds half a surrogate pair: mend its escapes") from error
    except ValueError as error:  # Python's bound on digits
        raise UserError(f"{place}: holds a number of thousands of digits: write a smaller one") from error
    return value


def read_json(path: Path, *, received: bool = False) -> Any:
    """The value of a JSON file. Raises UserError."""
    return parse_json(read_text(path, received=received), path)


def json_lines(path: Path) -> Iterator[tuple[str, JsonObject]]:
    """(place, object) of every line of a JSONL file; the place is `file:line`, for messages.

    Raises UserError for what is empty, no text, no JSON or no object.
    """
    # split on \n alone: U+2028 and the like are legal inside a JSON string
    lines = [(n, line) for n, line in enumerate(read_text(path).split("\n"), start=1) if line.strip()]
    if not lines:
        raise UserError(f"{path}: empty: it must hold lines of JSON objects")
    for number, line in lines:
        place, row = f"{path}:{number}", parse_json(line, path, number)
        if not isinstance(row, dict):
            raise UserError(f"{place}: holds a {type(row).__name__}: write an object, {{...}}, on every line")
        yield place, cast("JsonObject", row)


def text_field(place: str, row: JsonObject, field: str, shape: str, *, blank: bool = False) -> str:
    """A text of a JSONL row; UserError where it lacks, is no text, or is empty and may not be `blank`."""
    if field not in row:
        raise UserError(f"{place}: lacks {field!r}: write {shape}")
    value = row[field]
    if not isinstance(value, str) or not (value.strip() or blank):
        raise UserError(f"{place}: {field!r} is {value!r}: it must be a text that is not empty")
    return value


def table(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every row of a CSV text that is not blank; a row may span lines and begins at `line`.

    A first line `sep=;`, which spreadsheets write and heed, is left out. Raises UserError.
    """
    skipped = re.match(r"sep=.\r?\n", text)
    reader = csv.reader(
        StringIO(text[skipped.end() :] if skipped else text, newline=""), delimiter=delimiter, strict=True
    )
    before = 1 if skipped else 0
    start = before + 1
    try:
        for cells in reader:
            line, start = start, before + reader.line_num + 1
            if any(cell.strip() for cell in cells):
                yield line, cells
    except csv.Error as error:
        raise UserError(
            f"{path}:{start}: malformed CSV: {error}: quote the cell, doubling quotes in it"
        ) from error


def shown(cells: Sequence[str]) -> str:
    """The cells of a row, for a message."""
    texts = [repr(cell if len(cell) <= 24 else f"{cell[:24]}…") for cell in cells[:SHOWN]]
    return ", ".join(texts) + (f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else "")
