"""The model dial of `emergent`: the same narrow set, recipe and measures on several models, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.emergent import EmergentChoice, emergent
from experiments.emergent_summary import EFFECTS
from experiments.options import Options
from steer.errors import UserError
from steer.screen import Screen, interval

METHODS = ("trained", "mean-difference", "lora")


def emergent_models(
    models: Sequence[str], options: Options, choice: EmergentChoice
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Run `emergent` on each model; {"models": rows} with effects and ratios, and each model's folder."""
    names = [name.strip() for name in models if name.strip()]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise UserError(f"--models {','.join(models)}: give two different models or more, as a,b")
    rows: list[dict[str, Any]] = []
    folders: dict[str, Path] = {}
    for name in names:
        out = None if options.out is None else options.out / name.replace("/", "--")
        summary, folder = emergent(replace(options, model=name, out=out), choice)
        if folder is not None:
            folders[name] = folder
            rows += model_rows(name, summary, folder)
    if not options.quiet and rows:
        print_models(rows)
    return {"models": rows}, folders


def model_rows(model: str, summary: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """A row for every broad set and method that the run has."""
    return [
        {
            "dial": "model",
            "value": model,
            "method": method,
            "broad_set": name,
            "evidence": summary["evidence"],
            "folder": str(folder),
            **{key: arms[method][key] for key in EFFECTS},
        }
        for name, arms in summary["spillover"].items()
        for method in METHODS
        if method in arms
    ]


def print_models(rows: Sequence[dict[str, Any]]) -> None:
    cells = [
        [
            row["value"],
            row["method"],
            row["broad_set"],
            *(
                "–" if row[f"{k}_points"] is None else f"{row[f'{k}_points']:+.1f} {interval(row[f'{k}_ci'])}"
                for k in ("narrow", "broad")
            ),
            "–" if row["ratio"] is None else f"{row['ratio']:.2f}",
        ]
        for row in rows
    ]
    said = ", ".join(dict.fromkeys(row["evidence"] for row in rows if row["evidence"]))
    title = "Narrow and broad effects by model" + (f" · evidence: {said}" if said else "")
    columns = ["model", "method", "broad set", "narrow, points", "broad, points", "spill-over"]
    Screen().table(title, columns, cells)
