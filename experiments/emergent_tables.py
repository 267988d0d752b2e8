"""What `emergent` shows in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.narrow import NARROW
from experiments.tables import evidence, print_footer
from steer.screen import Screen, interval, percent


def print_emergent(screen: Screen, summary: dict[str, Any], folder: Path) -> None:
    """A table a broad set, the matched comparison, and what must be said beside them."""
    for broad, arms in summary["spillover"].items():
        _print_set(screen, summary, broad, arms)
    for broad, pair in summary["matched"].items():
        if pair is None:
            screen.line(f"{broad}: no adapter and vector whose narrow effects both exclude 0 to match")
        else:
            near, far = (
                f"{pair[f'{k}_points']:+.1f} {interval(pair[f'{k}_ci'])}" for k in ("narrow", "broad")
            )
            screen.line(
                f"{broad}, matched narrow effect: {pair['first']} minus {pair['second']} is {near} points on "
                f"the narrow task, {far} broad"
            )
    for note in summary["notes"]:
        screen.line(note)
    print_footer(screen, summary, folder)


def _print_set(screen: Screen, summary: dict[str, Any], broad: str, arms: dict[str, Any]) -> None:
    rows: list[list[str]] = []
    for name, measured in summary["arms"].items():
        near, far = summary["sets"][NARROW][name], summary["sets"][broad][name]
        one = arms.get(name)
        rows.append(
            [
                name,
                percent(near["rate_all"]),
                _effect(one, "narrow"),
                percent(far["rate_all"]),
                _effect(one, "broad"),
                _ratio(one),
                percent(far["nonsensical_all"]),
                _number(measured.get("relevance_above"), 2),
                _number(measured.get("held_out_nll"), 2),
                _number(measured.get("fluency"), 2),
            ]
        )
    items = next(iter(arms.values()))
    columns = ["arm", "narrow %", "points", f"{broad} %", "points", "spill-over", "nonsense %"]
    title = f"Narrow task ({items['narrow_items']} items) and {broad} ({items['broad_items']} items)"
    screen.table(title + evidence(summary), [*columns, "relevant", "loss", "fluency"], rows)


def _effect(one: dict[str, Any] | None, which: str) -> str:
    if one is None or one[f"{which}_points"] is None:
        return "–"
    return f"{one[f'{which}_points']:+.1f} {interval(one[f'{which}_ci'])}"


def _ratio(one: dict[str, Any] | None) -> str:
    if one is None or one["ratio"] is None:
        return "–"
    low, high = ("∞" if x is None else f"{x:.2f}" for x in one["ratio_ci"])
    return f"{one['ratio']:.2f} [{low}, {high}]"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
