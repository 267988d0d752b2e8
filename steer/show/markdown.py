"""A run as Markdown: headline, judge, evidence and tables, in text that stays text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from steer.screen import plain
from steer.show import view, words
from steer.show.sections import Section
from steer.show.table import Table
from steer.summary import about_real_models

ELSEWHERE = frozenset({"heat", "dose", "dials", "all-arms", "config"})
"""Sections that figures, the run's folder or another section hold."""


def markdown(folder: Path) -> str:
    """Headline and tables of a run as Markdown, with the judge and the evidence named."""
    run = view.load(folder, budget=0)
    lines = [f"# {_inert(run.headline.sentence)}", ""]
    if run.headline.aside:
        lines += [f"{_inert(run.headline.aside)}.", ""]
    lines += [*(f"- {_inert(detail)}" for detail in run.headline.details), ""]
    known = run.known_error or "how far it errs is not known"
    lines += [f"{_inert(run.title)} · judge: {_inert(run.judge)} ({_inert(known)})", ""]
    if run.evidence:
        bearing = about_real_models(run.evidence)
        lines += [
            f"**Evidence: {_inert(run.evidence)}.**{f' {words.sentence(bearing)}' if bearing else ''}",
            "",
        ]
    for section in run.sections:
        if section.name not in ELSEWHERE:
            lines += section_lines(section)
    lines += [f"Repeat: <code>{_inert(run.repeat)}</code>", ""]
    return "\n".join(lines)


def section_lines(section: Section) -> Iterator[str]:
    yield from (f"{'###' if section.part else '##'} {_inert(section.title)}", "")
    if section.table is not None:
        yield from (*table_lines(section.table), "")
    for line in section.note.splitlines():
        yield from (_inert(line), "")


def table_lines(table: Table) -> list[str]:
    """A table in Markdown: first column left, the others right."""
    rows = [table.columns, *table.rows]
    rule = "|" + "|".join([":--", *["--:"] * (len(table.columns) - 1)]) + "|"
    lines = ["| " + " | ".join(_inert(cell) for cell in row) + " |" for row in rows]
    return [lines[0], rule, *lines[1:]]


def _inert(text: str) -> str:
    """Text that Markdown and the HTML in it leave alone, on one line."""
    shown = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]|!#":
        shown = shown.replace(mark, f"\\{mark}")
    return " ".join(shown.split())
