"""What a sweep shows in the terminal: its plan, a heat map, the choice and its controls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.session import Session, plan_arms
from experiments.sweep_choice import SweepChoice
from experiments.tables import evidence, print_arms, print_footer, print_gaps
from steer.screen import Screen, interval, p_value
from steer.types import Arm, Limits

SHADES = " ░▒▓█"
TRIAL_ROWS, TRIAL_TOKENS = 16, 16
RANDOM_PLACES = 4
"""Controls run at both signs of at most two chosen cells."""


def print_plan(
    session: Session, layers: Sequence[int], magnitudes: Sequence[float], choice: SweepChoice
) -> dict[str, Any]:
    """Cells, generations, tokens, judge calls and an expected time, before anything is run."""
    baseline = plan_arms(session, [Arm("baseline")])
    n_cells = len(layers) * len(magnitudes)
    arms = 4 + n_cells
    most_controls = RANDOM_PLACES * (choice.vector.controls + 2) if choice.vector.controls else 0
    per_arm = len(baseline.requests)
    rows = per_arm * (arms + most_controls)
    rate = _trial(session, list(baseline.requests.values()))
    new = rows * session.limits.new
    loaded, vectors = session.loaded, 3 + choice.vector.controls
    numbers: dict[str, Any] = {
        "layers": len(layers),
        "magnitudes": len(magnitudes),
        "cells": n_cells,
        "arms, with suffixes": arms,
        "controls at most": most_controls,
        "generations at most": rows,
        "prompt tokens": baseline.prompt_tokens * (arms + most_controls),
        "new tokens at most": new,
        "judge calls at most": rows,
        "vectors in memory, MB": round(vectors * loaded.n_layers * loaded.d_model * 4 / 1e6, 1),
        "trial, tokens a second": round(rate),
        "expected minutes at most": round(new / max(rate, 1e-9) / 60, 1),
    }
    if not session.options.quiet:
        session.screen.table("Plan of the sweep", ["", ""], [[k, f"{v:,}"] for k, v in numbers.items()])
    return numbers


def _trial(session: Session, requests: Sequence[Any]) -> float:
    """New tokens a second of a few short unsteered rows: a rough rate, and a low one (small batch)."""
    some = [
        replace(r, limits=Limits(r.limits.prompt, TRIAL_TOKENS), stop_ids=()) for r in requests[:TRIAL_ROWS]
    ]
    start = time.perf_counter()
    tokens = sum(len(response.output_ids) for response in session.engine.generate(some))
    return tokens / (time.perf_counter() - start)


def print_sweep(screen: Screen, summary: dict[str, Any], folder: Path) -> None:
    """Heat maps of all cells, the suffix arms, the choice beside its controls."""
    print_heat(screen, summary)
    kinds = summary["arm_kinds"]
    shown = {n: a for n, a in summary["arms"].items() if kinds.get(n) in ("baseline", "suffix")}
    print_arms(screen, summary | {"arms": shown})
    print_gaps(screen, summary)
    print_choice(screen, summary)
    print_footer(screen, summary, folder)


def print_heat(screen: Screen, summary: dict[str, Any]) -> None:
    """Convergence of all rows by layer and magnitude; a shade for nonsense (█ is over 80 %)."""
    cells = summary["cells"]
    magnitudes = sorted({c["magnitude"] for c in cells})
    layers = sorted({c["layer"] for c in cells})
    by_place = {(c["layer"], c["magnitude"]): summary["arms"][c["arm"]] for c in cells}
    rows: list[list[str]] = []
    for layer in layers:
        row = [f"{layer}"]
        for magnitude in magnitudes:
            arm = by_place[layer, magnitude]
            rate, broken = arm["rate_all"], arm["nonsensical_all"]
            shade = SHADES[min(int((broken or 0.0) * 5), 4)]
            row.append("–" if rate is None else f"{100 * rate:.0f}{shade}")
        rows.append(row)
    title = "Converged %, of all, by layer and magnitude (selection; shade: nonsense)" + evidence(summary)
    screen.table(title, ["layer", *(f"{m:+g}" for m in magnitudes)], rows)


def print_choice(screen: Screen, summary: dict[str, Any]) -> None:
    """The cross-fitted headline, and what controls of the same size did."""
    for line in summary.get("vector_flags", []):
        screen.line(f"vector flagged, {line}")
    choice = summary["choice"]
    if "none" in choice:
        screen.line(choice["none"])
        return
    for fold in choice["folds"]:
        screen.line(
            f"chosen on half {fold['choose_on']}: layer {fold['layer']}, ±{fold['magnitude']:g} "
            f"({fold['points_selection']:+.1f} points there, selection), reported on half {fold['report_on']}"
        )
    names = {
        "plus-minus": "vector + − vector −",
        "plus": "vector + − baseline",
        "minus": "baseline − vector −",
    }
    rows = [
        [
            label,
            f"{choice[name]['points_all']:+.1f} {interval(choice[name]['ci_all'])}",
            "–"
            if choice[name]["points_valid"] is None
            else f"{choice[name]['points_valid']:+.1f} {interval(choice[name]['ci_valid'])}",
            p_value(choice[name]["p_holm"]),
        ]
        for name, label in names.items()
    ]
    columns = ["vector, out of fold (report)", "points, of all", "of valid", "p (Holm)"]
    screen.table("The chosen vector" + evidence(summary), columns, rows)
    rows = [
        [c["arm"], c["kind"], f"{c['points_all']:+.1f} {interval(c['ci_all'])}"] for c in summary["controls"]
    ]
    if rows:
        screen.table("Controls against the baseline", ["control", "kind", "points, of all"], rows)
    spread = summary["controls_range"]
    if spread["n"]:
        screen.line(
            f"|points| of {spread['n']} random controls: 95th percentile {spread['abs_points_95']:.1f}"
        )
