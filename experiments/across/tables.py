"""Tables of several models: rates under each suffix arm, and how the models differ."""

from __future__ import annotations

from steer.metrics import ArmMetrics
from steer.results.across import Models
from steer.screen import Screen
from steer.show import words


def print_rates(screen: Screen, found: Models, noun: str) -> None:
    """A row a model: the hit rate under every suffix arm and the steerability gap, on both denominators."""
    arms = list(dict.fromkeys(arm for row in found.models.values() for arm in row.arms))
    for title, rate in (("all answers", _of_all), ("valid answers", _of_valid)):
        rows = [
            [
                model,
                *(rate(row.arms[arm]) if arm in row.arms else words.NONE for arm in arms),
                words.NONE
                if row.suffix is None
                else words.with_limits(row.suffix.points_all, row.suffix.ci_all)
                if rate is _of_all
                else words.with_limits(row.suffix.points_valid, row.suffix.ci_valid),
            ]
            for model, row in found.models.items()
        ]
        screen.table(f"{words.capital(noun)}, % of {title}", ["model", *arms, "pro − anti, points"], rows)


def print_differences(screen: Screen, found: Models) -> None:
    """Every pair of models under every arm, paired by scenario."""
    rows = [
        [
            f"{one.first} − {one.second}",
            arm,
            str(one.pairs),
            words.with_limits(one.points, one.ci),
            words.p_value(one.p_holm),
        ]
        for arm, differences in found.pairwise.items()
        for one in differences
    ]
    if rows:
        columns = ["models", "arm", "answers", "points, of all", "p (Holm by arm)"]
        screen.table("Differences between models, paired by scenario", columns, rows)


def _of_all(arm: ArmMetrics) -> str:
    return f"{words.percent(arm.rate_all)} {words.limits(arm.rate_all_ci, scale=100)}"


def _of_valid(arm: ArmMetrics) -> str:
    return f"{words.percent(arm.rate_valid)} {words.limits(arm.rate_valid_ci, scale=100)}"
