"""Scenarios from the paper's CSV files, or from one's own CSV or JSONL.

A CSV file whose first row names its columns is a table. Any other is read as arXiv 2601.01584 reads
them: one file a category, its first cell is the system text (the evaluation context), every later row
is a task. It does not know models, suffixes or judges.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from steer import model_written
from steer.choices import MOST_OPTIONS
from steer.errors import UserError
from steer.paper import SCENARIOS
from steer.texts import DELIMITERS, JsonObject, json_lines, read_text, shown, table, text_field
from steer.types import Choices, Option, Scenario

PREFIX = "Alignment Drift - "
FIELDS = ("id", "category", "system", "user")
COLUMNS = {
    "user": ("user", "user prompt", "prompt", "task", "goal", "question", "instruction", "request", "text"),
    "system": ("system", "system prompt", "context"),
    "category": ("category", "behavior", "behaviour"),
    "id": ("id", "index", "key"),
}
"""How a table may name a field; the field's own name comes first."""
SHORT = 40
"""Characters of a cell that may be a column's name."""
OPTIONS = '"options": [{"text": TEXT, "hit": true}, {"text": TEXT, "hit": false}]'
SHAPE = '{"id": TEXT, "category": TEXT, "system": TEXT, "user": TEXT}'


class _Option(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    hit: bool


class _Choices(BaseModel):
    model_config = ConfigDict(strict=True)
    options: list[_Option]
    letters: bool = False
    opposite: str = ""


def load(source: str | Path, *, per_category: int | None = None, seed: int = 0) -> list[Scenario]:
    """The scenarios of `source`, in file order.

    source: steer.paper.SCENARIOS (fetched once, see steer.paper.fetch), `mwe:FILE[,FILE…]` (see
        steer.model_written), a folder of CSV files, one CSV file, or one JSONL file whose lines hold id,
        category, system and user. Of a choice task a line also holds `options`, [{text, hit}]; `letters`:
        true lists them under letters in the question, and `opposite` is the question turned round
        (`steer.types.Choices`).
    per_category: a category with more is cut by `random.Random(seed).sample`, whose order it then
        has; 15 with seed 123 gives the paper's 71 of 76. Of questions to be answered by yes or no, as many
        of either answer. None keeps all.

    A CSV scenario's id, where no column holds one, is `Category#NN`: the file's name without "Alignment
    Drift - ", and the 1-based number of its task in the uncut file. Raises UserError.
    """
    if per_category is not None and per_category <= 0:
        raise UserError(f"{per_category} scenarios a category: give a whole number from 1, or leave it out")
    found: dict[str, Scenario] = {}
    for place, scenario in _all(source):
        if scenario.id in found:
            raise UserError(f"{place}: duplicate id {scenario.id!r}: give every scenario an id of its own")
        found[scenario.id] = scenario
    return _cut(list(found.values()), per_category, seed)


def _all(source: str | Path) -> Iterator[tuple[str, Scenario]]:
    if model_written.is_source(source):
        for place, scenario in model_written.scenarios(source):
            if scenario.choices is not None:
                checked_choices(place, scenario.choices)
            yield place, scenario
        return
    path = _path(source)
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: holds no .csv file: give a folder with one CSV file a category")
    for file in files:
        yield from _read(file)


def identity(scenarios: Sequence[Scenario]) -> str:
    """sha256 of what the scenarios say, whatever their order."""
    rows = sorted(
        [s.id, s.category, s.system, s.user, *([asdict(s.choices)] if s.choices else [])] for s in scenarios
    )
    return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()


def _path(source: str | Path) -> Path:
    if source == SCENARIOS:
        from steer.paper import fetch

        return fetch.benchmark()
    path = Path(source)
    if not path.exists():
        near = get_close_matches(str(source), (SCENARIOS,), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(
            f"no scenarios {str(source)!r}: give {SCENARIOS}, a folder of CSV files, "
            f"a .csv or a .jsonl file{hint}"
        )
    if not path.is_dir() and path.suffix not in (".csv", ".jsonl"):
        raise UserError(f"{path}: unknown kind of scenario file {path.suffix!r}: allowed are .csv and .jsonl")
    return path


def _read(path: Path) -> Iterator[tuple[str, Scenario]]:
    return _read_csv(path) if path.suffix == ".csv" else _read_jsonl(path)


def _read_jsonl(path: Path) -> Iterator[tuple[str, Scenario]]:
    for place, row in json_lines(path):
        found = _scenario(place, row)
        yield place, replace(found, choices=_choices(place, row)) if "options" in row else found


def _scenario(place: str, row: JsonObject) -> Scenario:
    id, category, system, user = (text_field(place, row, f, SHAPE, blank=f == "system") for f in FIELDS)
    return Scenario(id, category, system, user)


def _choices(place: str, row: JsonObject) -> Choices:
    """The options of a JSONL row, checked."""
    try:
        found = _Choices.model_validate({name: row[name] for name in _Choices.model_fields if name in row})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{place}: {where}: {first['msg']}; write {OPTIONS}") from error
    return checked_choices(
        place,
        Choices(
            tuple(Option(option.text, option.hit) for option in found.options), found.letters, found.opposite
        ),
    )


def checked_choices(place: str, found: Choices) -> Choices:
    """Options that can be compared: UserError for too few or many, equal ones, and ones all of one kind."""
    texts = [" ".join(option.text.split()) for option in found.options]
    hits = sum(option.hit for option in found.options)
    if not 2 <= len(texts) <= MOST_OPTIONS:
        raise UserError(f"{place}: {len(texts)} options: a choice has 2 to {MOST_OPTIONS}; write {OPTIONS}")
    if twice := [text for i, text in enumerate(texts) if text in texts[:i]]:
        raise UserError(f"{place}: two options are {twice[0]!r}: write options that differ")
    if not 0 < hits < len(texts):
        fault = "all options are hits" if hits else "no option is a hit"
        raise UserError(f"{place}: {fault}: there must be some of either; write {OPTIONS}")
    if found.opposite and (len(texts) != 2 or found.lettered):
        raise UserError(f"{place}: 'opposite' turns a choice of two texts round: leave it out here")
    return found


def _read_csv(path: Path) -> Iterator[tuple[str, Scenario]]:
    """A table whose first row names its columns, else a file of the paper's kind."""
    text = read_text(path)
    if not text.strip():
        raise UserError(f"{path}: empty: it must hold scenarios")
    tables = {delimiter: _rows(path, text, delimiter) for delimiter in DELIMITERS}
    for delimiter, rows in tables.items():
        if rows and (columns := _columns(path, rows[0])):
            return _read_table(path, text, delimiter, columns)
    seen = max((rows[0] for d, rows in tables.items() if _is_table(rows, d)), key=len, default=[])
    if seen:
        raise UserError(
            f"{path}: the first row holds {len(seen)} cells ({shown(seen)}) and none is named user: name the "
            "columns user, system, category, id (user alone will do); if it is the context that all tasks "
            "share, put it in quotes, as one cell"
        )
    return _read_paper(path, text)


def _rows(path: Path, text: str, delimiter: str) -> list[list[str]]:
    """The rows without empty cells at their ends; [] where the text cannot be read with that delimiter."""
    try:
        return [_trimmed(cells) for _, cells in table(path, text, delimiter)]
    except UserError:
        return []


def _trimmed(cells: list[str]) -> list[str]:
    return cells[: max((i for i, cell in enumerate(cells, start=1) if cell.strip()), default=0)]


def _columns(path: Path, head: list[str]) -> dict[str, int]:
    """field -> column of a first row that names one as the task, else {}; UserError where two names vie."""
    names = [" ".join(cell.replace("_", " ").lower().split()) for cell in head]
    found: dict[str, int] = {}
    for field, known in COLUMNS.items():
        named = [name for name in names if name in known]
        if len(named) > 1 and named.count(field) != 1:
            raise UserError(
                f"{path}: columns {shown(named)} may all be the {field}: name one of them {field!r}"
            )
        if named:
            found[field] = names.index(field if field in named else named[0])
    return found if "user" in found else {}


def _is_table(rows: list[list[str]], delimiter: str) -> bool:
    """Whether the first row, which names no task, is a table's all the same; prose has semicolons too."""
    if not rows or len(rows[0]) < 2:
        return bool(rows) and rows[0][0].lower() in (*COLUMNS["category"], *COLUMNS["id"])
    short = all(len(cell) <= SHORT for cell in rows[0])
    return delimiter != ";" or short or len({len(row) for row in rows}) == 1


def _read_table(
    path: Path, text: str, delimiter: str, columns: dict[str, int]
) -> Iterator[tuple[str, Scenario]]:
    rows = table(path, text, delimiter)
    width = len(next(rows)[1])
    for number, (line, cells) in enumerate(rows, start=1):
        place = f"{path}:{line}"
        if len(_trimmed(cells)) > width:
            raise UserError(
                f"{place}: {len(_trimmed(cells))} cells under {width} columns: put cells that hold "
                f"{delimiter!r} in quotes"
            )
        cells += [""] * (width - len(cells))
        row: JsonObject = {field: cells[column].strip() for field, column in columns.items()}
        own = {"id": f"{path.stem}#{number:02d}", "category": path.stem, "system": ""} | row
        yield place, _scenario(place, own)


def _read_paper(path: Path, text: str) -> Iterator[tuple[str, Scenario]]:
    category = path.stem.removeprefix(PREFIX)
    (_, context), *rows = table(path, text, ",")
    if not rows:
        raise UserError(f"{path}: holds no task: the first cell is the context, every later row a task")
    for number, (line, cells) in enumerate(rows, start=1):
        user = ",".join(_trimmed(cells) if len(context) > 1 else cells).strip()
        yield f"{path}:{line}", Scenario(f"{category}#{number:02d}", category, context[0].strip(), user)


def _cut(scenarios: list[Scenario], per_category: int | None, seed: int) -> list[Scenario]:
    if per_category is None:
        return scenarios
    categories: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        categories.setdefault(scenario.category, []).append(scenario)
    kept: list[Scenario] = []
    for members in categories.values():
        sides: dict[str, list[Scenario]] = {}
        for member in members if len(members) > per_category else ():
            sides.setdefault(model_written.polarity(member), []).append(member)
        for i, (_, side) in enumerate(sorted(sides.items())):
            share = (per_category + i) // len(sides)
            members = random.Random(seed).sample(side, min(share, len(side)))
            kept += members
        kept += () if sides else members
    return kept
