"""The model dial of `emergent`: the same narrow set, recipe and measures on several models, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.emergent import EmergentChoice, emergent
from experiments.options import Options
from steer.errors import UserError
from steer.screen import Screen, interval

METHODS = ("trained", "mean-difference", "lora")


def emergent_models(
    options: Options, choice: EmergentChoice, models: Sequence[str]
) -> tuple[dict[str, Any], None]:
    """Run `emergent` on each model, every run in its own folder; {"models": rows} with effects and ratios."""
    if len(set(models)) < len(models) or len(models) < 2:
        raise UserError(f"--models {','.join(models)!r}: give two different models at least")
    rows: list[dict[str, Any]] = []
    for model in models:
        out = options.out and options.out / Path(model).name
        summary, folder = emergent(replace(options, model=model, out=out), choice)
        if folder is not None:
            rows += model_rows(model, summary, folder)
    if not options.quiet and rows:
        print_models(rows)
    return {"models": rows, "config": {"command": "emergent"}}, None


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
            **{key: arms[method][key] for key in KEPT},
        }
        for name, arms in summary["spillover"].items()
        for method in METHODS
        if method in arms
    ]


KEPT = ("narrow_points", "narrow_ci", "broad_points", "broad_ci", "ratio", "ratio_ci")


def print_models(rows: Sequence[dict[str, Any]]) -> None:
    cells = [
        [
            row["value"] + (f" ({row['evidence']})" if row["evidence"] else ""),
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
    columns = ["model", "method", "broad set", "narrow points", "broad points", "spill-over"]
    Screen().table("Narrow and broad effects by model", columns, cells)
