"""What `emergent` shows in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.narrow import NARROW
from experiments.tables import evidence, print_footer
from steer.screen import Screen, interval, percent
from steer.show import words


def print_emergent(screen: Screen, summary: dict[str, Any], folder: Path) -> None:
    """Effects on each broad set, coherence, adapter against vector, and what must be said beside them."""
    for broad, arms in summary["spillover"].items():
        _print_effects(screen, summary, broad, arms)
    _print_coherence(screen, summary)
    for broad, pair in summary["matched"].items():
        if pair is None:
            screen.line(f"{broad}: no adapter and vector whose narrow effects both exclude 0 to match")
        else:
            screen.line(f"{broad}, matched narrow effect: {_difference(pair)}")
    for broad, pairs in summary["equal_epochs"].items():
        for pair in pairs[-1:]:
            screen.line(f"{broad}, after {pair['epochs']} epochs each: {_difference(pair)}")
    for broad, found in summary["control_range"].items():
        if found["n"] and found["broad_points"] is not None:
            screen.line(
                f"control directions as long ({found['n']}) move the narrow task by up to "
                f"{found['narrow_points']:.1f} points, {broad} by up to {found['broad_points']:.1f}: "
                "less than that any push may do"
            )
    losses = summary["training"]["losses"]
    screen.line(f"trained vector: mean loss {losses[0]:.3f} in the first epoch, {losses[-1]:.3f} in the last")
    for note in summary["notes"]:
        screen.line(note)
    print_footer(screen, summary, folder)


def _print_effects(screen: Screen, summary: dict[str, Any], broad: str, arms: dict[str, Any]) -> None:
    rows: list[list[str]] = []
    for name in summary["arms"]:
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
            ]
        )
    items = next(iter(arms.values()))
    title = f"Narrow task ({items['narrow_items']} items) and {broad} ({items['broad_items']} items)"
    columns = ["arm", "narrow %", "points", "broad %", "points", "spill-over"]
    screen.table(title + evidence(summary), columns, rows)


def _print_coherence(screen: Screen, summary: dict[str, Any]) -> None:
    """Loss and preference are of held-out narrow items; relevance is the share of own questions first."""
    sets: dict[str, Any] = summary["sets"]
    rows = [
        [
            name,
            *(percent(found[name]["broken_all"]) for found in sets.values()),
            percent(arm.get("relevance_above")),
            _number(arm.get("held_out_nll"), 2),
            percent(arm.get("held_out_prefers")),
            _number(arm.get("fluency"), 2),
            _number(arm.get("compression"), 2),
        ]
        for name, arm in summary["arms"].items()
    ]
    columns = ["arm", *sets, "relevant %", "loss", "prefers %", "fluency", "compression"]
    title = "Nonsense % in each set, relevance, held-out narrow items, coherence"
    screen.table(title + evidence(summary), columns, rows)


def _difference(pair: dict[str, Any]) -> str:
    near, far = (f"{_effect(pair, which)} points" for which in ("narrow", "broad"))
    return f"{pair['first']} minus {pair['second']} is {near} on the narrow task, {far} broad"


def _effect(one: dict[str, Any] | None, which: str) -> str:
    if one is None:
        return "–"
    value = one[f"{which}_points"]
    return words.NO_ESTIMATE if value is None else f"{value:+.1f} {interval(one[f'{which}_ci'])}"


def _ratio(one: dict[str, Any] | None) -> str:
    if one is None or one["ratio"] is None:
        return "–"
    low, high = (
        end if x is None else f"{x:.2f}" for x, end in zip(one["ratio_ci"], ["-∞", "∞"], strict=True)
    )
    return f"{one['ratio']:.2f} [{low}, {high}]"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
