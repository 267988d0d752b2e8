"""Tables of several models: rates under each suffix arm, and how the models differ."""

from __future__ import annotations

from typing import Any

from steer.screen import Screen, interval, p_value, percent
from steer.show import words


def print_rates(screen: Screen, found: dict[str, Any]) -> None:
    """A row a model: the hit rate under every suffix arm and the steerability gap, on both denominators."""
    arms = list(dict.fromkeys(arm for row in found["models"].values() for arm in row["rates"]))
    for over, title in (("all", "all answers"), ("valid", "valid answers")):
        rows = [
            [
                model,
                *(_rate(row["rates"].get(arm), over) for arm in arms),
                "–" if row["suffix"] is None else _points(row["suffix"], over),
            ]
            for model, row in found["models"].items()
        ]
        screen.table(
            f"{words.capital(words.spoken(found)['noun'])}, % of {title}",
            ["model", *arms, "pro − anti, points"],
            rows,
        )


def print_differences(screen: Screen, found: dict[str, Any]) -> None:
    """Every pair of models under every arm, paired by scenario."""
    rows = [
        [f"{one['first']} − {one['second']}", arm, str(one["pairs"]), _points(one), p_value(one["p_holm"])]
        for arm, differences in found["pairwise"].items()
        for one in differences
    ]
    if rows:
        columns = ["models", "arm", "answers", "points, of all", "p (Holm by arm)"]
        screen.table("Differences between models, paired by scenario", columns, rows)


def _rate(arm: dict[str, Any] | None, over: str) -> str:
    if arm is None or arm[f"rate_{over}"] is None:
        return "–"
    return f"{percent(arm[f'rate_{over}'])} {interval(arm[f'rate_{over}_ci'], scale=100)}"


def _points(one: dict[str, Any], over: str = "") -> str:
    points, ci = (one[f"{name}_{over}" if over else name] for name in ("points", "ci"))
    return "–" if points is None else f"{points:+.1f} {interval(ci)}"
