"""The sheet on which people judge: a CSV file and a one-file HTML form, both without arms.

A sheet is a list of answers under opaque ids, in an order that says nothing. Both forms come back
as CSV with the columns id, label, reason. This module knows no store: who judged what is kept by
the caller.
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Mapping, Sequence, Set
from io import StringIO
from pathlib import Path

from steer.atomic import refuse_other_than_file
from steer.errors import UserError
from steer.judges.prompting import FOLDER
from steer.screen import defused
from steer.task import TaskRecord
from steer.texts import DELIMITERS, read_text, table
from steer.types import JudgeItem, Verdict

COLUMNS = ("id", "behaviour", "scenario", "answer", "label", "reason")
NUMBER = re.compile(r"\d+([.,]\d+)?([eE][+-]?\d+)?")

Filled = Mapping[str, tuple[str, str]]
"""What a person has written so far: {id: (label, reason)}."""


def to_csv(items: Sequence[JudgeItem], given: Filled) -> str:
    """One line an item, label and reason empty but where they are given."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for item in items:
        texts = (item.scenario.system, item.scenario.user, item.answer)
        writer.writerow([item.id, *map(defused, texts), *given.get(item.id, ("", ""))])
    return out.getvalue()


def to_html(items: Sequence[JudgeItem], title: str, task: TaskRecord) -> str:
    """The form: works offline, keeps what was filled in, and saves it as CSV."""
    data = {
        "title": title,
        "labels": [{"label": one.name, "meaning": " ".join(one.definition.split())} for one in task.labels],
        "items": [
            {"id": i.id, "behaviour": i.scenario.system, "scenario": i.scenario.user, "answer": i.answer}
            for i in items
        ],
    }
    text = json.dumps(data, ensure_ascii=True)
    for sign in "<>&":  # nothing in an answer can end the script element
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    page = (FOLDER.parent / "sheet.html").read_text(encoding="utf-8")
    return page.replace("%TITLE%", html.escape(title)).replace("%DATA%", text)


def read(path: Path, ids: Set[str], task: TaskRecord, *, partial: bool = False) -> list[tuple[str, Verdict]]:
    """The verdicts in a filled-in sheet; the form saves it, or a spreadsheet in its own way.

    ids: every id that may occur. partial: rows without a label are left out, not an error.
    Raises UserError naming the rows (the header is row 1) with unknown or repeated ids, wrong or
    empty labels.
    """
    rows = _rows(path)
    numbers = [n for n, id, _, _ in rows if NUMBER.fullmatch(id) and id not in ids]
    _refuse(
        path,
        "an id that a spreadsheet has turned into a number",
        numbers,
        "open the sheet again with the column id as text",
    )
    first: dict[str, int] = {}
    for n, id, _, _ in rows:
        first.setdefault(id, n)
    unlabelled = [n for n, _, label, _ in rows if not label]
    _refuse(
        path,
        "an id that is not in this run",
        [n for n, id, _, _ in rows if id not in ids],
        "import it into its own run",
    )
    _refuse(
        path, "an id seen before", [n for n, id, _, _ in rows if first[id] != n], "keep one row an answer"
    )
    _refuse(
        path,
        "an unknown label",
        [n for n, _, label, _ in rows if label and task.role(label) is None],
        f"allowed are {', '.join(label.name for label in task.labels)}",
    )
    if not partial:
        _refuse(path, "no label", unlabelled, "fill them in, or import with --partial")
    return [
        (id, Verdict(role, reason, label=label))
        for _, id, label, reason in rows
        if (role := task.role(label)) is not None
    ]


def filled_in(path: Path) -> dict[str, tuple[str, str]]:
    """What is written on the sheet at `path`; nothing where there is none."""
    if refuse_other_than_file(path) is None:
        return {}
    return {id: (label, reason) for _, id, label, reason in _rows(path) if label or reason}


def _rows(path: Path) -> list[tuple[int, str, str, str]]:
    """(row, id, label, reason) of a sheet as spreadsheets save it: any delimiter, UTF-16, other case."""
    text = read_text(path, errors="replace", received=True)
    problem = f"sheet {str(path)!r} has no rows with the columns id and label: give the saved CSV file"
    lines: list[list[str]] = []
    names: list[str] = []
    for delimiter in DELIMITERS:
        try:
            lines = [[cell.strip() for cell in cells] for _, cells in table(path, text, delimiter)]
        except UserError as error:  # of another delimiter, or damaged
            problem = f"cannot read sheet {error}"
            continue
        names = [name.lower() for name in lines[0]] if lines else []
        if {"id", "label"} <= set(names) and len(lines) > 1:
            break
    else:
        raise UserError(problem)
    double = [name for name in ("id", "label", "reason") if names.count(name) > 1]
    if double:
        raise UserError(f"sheet {str(path)!r} has two columns {double[0]!r}: keep one")

    def cell(cells: list[str], name: str) -> str:
        return cells[names.index(name)] if name in names and names.index(name) < len(cells) else ""

    return [
        (
            n,
            cell(cells, "id"),
            re.sub(r"[\W_]+", "_", cell(cells, "label").lower()).strip("_"),
            cell(cells, "reason"),
        )
        for n, cells in enumerate(lines[1:], 2)
    ]


def _refuse(path: Path, problem: str, rows: list[int], fix: str) -> None:
    if rows:
        shown = ", ".join(map(str, rows[:10])) + (" …" if len(rows) > 10 else "")
        raise UserError(f"sheet {str(path)!r}: {problem} in row{'s' * (len(rows) > 1)} {shown}: {fix}")
