"""Scenarios from InstrumentalEval's CSV files, from one's own CSV or JSONL, or the organism's.

CSV files are read as arXiv 2601.01584 reads them: one file a category, its first cell is the system
text (the evaluation context), every later row is a task. It does not know models, suffixes or judges.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from steer.errors import UserError
from steer.types import Scenario

ORGANISM = Path(__file__).parents[1] / "organism/scenarios/evaluation.jsonl"
PREFIX = "Alignment Drift - "
FIELDS = ("id", "category", "system", "user")
SHAPE = '{"id": TEXT, "category": TEXT, "system": TEXT, "user": TEXT}'


def load(source: str | Path, *, per_category: int | None = None, seed: int = 0) -> list[Scenario]:
    """The scenarios of `source`, in file order.

    source: "instrumental-eval" (fetched once, see steer.fetch), "organism", a folder of CSV files,
        one CSV file, or one JSONL file whose lines hold id, category, system and user.
    per_category: a category with more is cut by `random.Random(seed).sample`, whose order it then
        has; 15 with seed 123 gives the paper's 71 of 76. None keeps all.

    A CSV scenario's id is `Category#NN`: the file's name without "Alignment Drift - ", and the
    1-based number of its task in the uncut file. Raises UserError.
    """
    if per_category is not None and per_category <= 0:
        raise UserError(f"{per_category} scenarios a category: give a whole number from 1, or leave it out")
    path = _path(source)
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("*.csv"))
        if not files:
            raise UserError(f"{path}: holds no .csv file: give a folder with one CSV file a category")
    found: dict[str, Scenario] = {}
    for file in files:
        for place, scenario in _read(file):
            if scenario.id in found:
                raise UserError(
                    f"{place}: duplicate id {scenario.id!r}: give every scenario an id of its own"
                )
            found[scenario.id] = scenario
    return _cut(list(found.values()), per_category, seed)


def identity(scenarios: Sequence[Scenario]) -> str:
    """sha256 of what the scenarios say, whatever their order."""
    rows = sorted([s.id, s.category, s.system, s.user] for s in scenarios)
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def _path(source: str | Path) -> Path:
    if source == "instrumental-eval":
        from steer import fetch

        return fetch.instrumental_eval()
    if source == "organism":
        return ORGANISM
    path = Path(source)
    if not path.exists():
        near = get_close_matches(str(source), ("instrumental-eval", "organism"), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"no scenarios {str(source)!r}: give instrumental-eval, organism, a folder of CSV files, "
            f"a .csv or a .jsonl file{hint}"
        )
    if not path.is_dir() and path.suffix not in (".csv", ".jsonl"):
        raise UserError(f"{path}: unknown kind of scenario file {path.suffix!r}: allowed are .csv and .jsonl")
    return path


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every line of a JSONL file; the place is `file:line`, for messages.

    Raises UserError for what is empty, no text, no JSON or no object.
    """
    # split on \n alone: U+2028 and the like are legal inside a JSON string
    for number, line in enumerate(_text(path).split("\n"), start=1):
        place = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{place}: not JSON: {error.msg} at column {error.colno}") from error
        if not isinstance(row, dict):
            raise UserError(f"{place}: holds a {type(row).__name__}: write an object, {{...}}, on every line")
        yield place, cast("dict[str, Any]", row)


def text_field(place: str, row: dict[str, Any], field: str, shape: str, *, blank: bool = False) -> str:
    """A text of a JSONL row; UserError where it lacks, is no text, or is empty and may not be `blank`."""
    if field not in row:
        raise UserError(f"{place}: lacks {field!r}: write {shape}")
    value = row[field]
    if not isinstance(value, str) or not (value.strip() or blank):
        raise UserError(f"{place}: {field!r} is {value!r}: it must be a text that is not empty")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: {field!r} holds half a surrogate pair: mend its escapes") from error
    return value


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}): save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if "\0" in text:
        raise UserError(f"{path}: holds NUL bytes, so it is no text: save it as UTF-8 (not UTF-16)")
    if not text.strip():
        raise UserError(f"{path}: empty: it must hold scenarios")
    return text


def _read(path: Path) -> Iterator[tuple[str, Scenario]]:
    return _read_csv(path) if path.suffix == ".csv" else _read_jsonl(path)


def _read_jsonl(path: Path) -> Iterator[tuple[str, Scenario]]:
    for place, row in json_lines(path):
        values = [text_field(place, row, f, SHAPE, blank=f == "system") for f in FIELDS]
        yield place, Scenario(*values)


def _read_csv(path: Path) -> Iterator[tuple[str, Scenario]]:
    category = path.stem.removeprefix(PREFIX)
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    system: str | None = None
    number = 0
    start = 1  # a row may span lines, so it is known by the line it begins on
    try:
        for cells in reader:
            place, start = f"{path}:{start}", reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if system is None:
                system = cells[0].strip()
                continue
            number += 1
            user = ",".join(cells).strip()
            yield place, Scenario(f"{category}#{number:02d}", category, system, user)
    except csv.Error as error:
        raise UserError(
            f"{path}:{start}: malformed CSV: {error}: quote the cell, doubling quotes in it"
        ) from error
    if not number:
        raise UserError(f"{path}: holds no task: the first cell is the context, every later row a task")


def _cut(scenarios: list[Scenario], per_category: int | None, seed: int) -> list[Scenario]:
    if per_category is None:
        return scenarios
    categories: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        categories.setdefault(scenario.category, []).append(scenario)
    kept: list[Scenario] = []
    for members in categories.values():
        if len(members) > per_category:
            members = random.Random(seed).sample(members, per_category)
        kept += members
    return kept
