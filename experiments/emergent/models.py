"""The model dial of `emergent`: the same narrow set, recipe and measures on several models, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.emergent.options import EmergentChoice
from experiments.emergent.run import emergent
from experiments.options import Options, each_model
from steer.results import Result
from steer.results.across import EmergentModels, EmergentRow
from steer.screen import Screen
from steer.show import words

METHODS = ("trained", "mean-difference", "lora")


def emergent_models(
    models: Sequence[str], options: Options, choice: EmergentChoice
) -> tuple[EmergentModels, dict[str, Path]]:
    """Run `emergent` on each model; effects and ratios, and each model's folder."""
    rows: list[EmergentRow] = []
    folders: dict[str, Path] = {}
    for name, own in each_model(models, options):
        found, folder = emergent(own, choice)
        if isinstance(found, Result) and folder is not None:
            folders[name] = folder
            rows += model_rows(name, found, folder)
    if not options.quiet and rows:
        print_models(rows)
    return EmergentModels(models=tuple(rows)), folders


def model_rows(model: str, found: Result, folder: Path) -> list[EmergentRow]:
    """A row for every broad set and method that the run has."""
    return [
        EmergentRow(
            model=model,
            method=method,
            broad_set=name,
            evidence=found.evidence,
            folder=str(folder),
            effects=arms[method],
        )
        for name, arms in (found.emergent.spillover if found.emergent else {}).items()
        for method in METHODS
        if method in arms
    ]


def print_models(rows: Sequence[EmergentRow]) -> None:
    cells = [
        [
            row.model,
            row.method,
            row.broad_set,
            words.with_limits(row.effects.narrow_points, row.effects.narrow_ci),
            words.with_limits(row.effects.broad_points, row.effects.broad_ci),
            words.number(row.effects.ratio),
        ]
        for row in rows
    ]
    said = ", ".join(dict.fromkeys(row.evidence for row in rows if row.evidence))
    title = "Narrow and broad effects by model" + (f" · evidence: {said}" if said else "")
    columns = ["model", "method", "broad set", "narrow, points", "broad, points", "spill-over"]
    Screen().table(title, columns, cells)
