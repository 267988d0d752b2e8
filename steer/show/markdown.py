"""A run as Markdown: headline, judge, evidence and tables, in text that stays text."""

from __future__ import annotations

from pathlib import Path

from steer.screen import plain
from steer.show import view
from steer.show.table import Table
from steer.summary import about_real_models

TITLES = {
    "arms": "Arms",
    "side_by_side": "Suffix and vector side by side",
    "gaps": "Gaps",
    "controls": "Controls",
    "exchange": "Exchange rate",
    "tug": "Tug of war",
    "tug_arms": "Suffix and vector together",
    "spillover": "Narrow and broad",
    "defence": "The trained vector under a defence",
    "versus": "Adapter against vector",
    "coherence": "How each arm was made, and its coherence",
    "energy": "Energy of the components",
    "frontier": "Undominated arms",
    "transfer": "Transfer",
    "costs": "Costs",
    "categories": "By category",
    "items": "Scenarios that moved the wrong way, or could not move",
    "agreement": "Agreement between judges",
    "cells": "Cells (selection)",
}


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
            f"**Evidence: {_inert(run.evidence)}.**{f' {bearing.capitalize()}.' if bearing else ''}",
            "",
        ]
    for name, title in TITLES.items():
        if name in run.tables:
            lines += [f"## {title}", "", *table_lines(run.tables[name]), ""]
    lines += [f"Repeat: <code>{_inert(run.repeat)}</code>", ""]
    return "\n".join(lines)


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
