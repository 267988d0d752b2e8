"""The arms of a run as figures need them: read from its result in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steer.metrics import ArmMetrics
from steer.results import Result
from steer.show import words
from steer.show.arms import chosen_arms, is_variant, main_arms
from steer.show.figures.look import Look, look, short

Interval = Sequence[float]


@dataclass(frozen=True, slots=True)
class Rate:
    """Percent with its interval; None where nothing was counted."""

    value: float | None
    ci: Interval | None

    def says(self, name: str, over: str) -> str:
        value = words.NONE if self.value is None else f"{self.value:.1f}"
        return f"{short(name)}\n{value} % of {over}{_limits(self.ci)}"


@dataclass(frozen=True, slots=True)
class Arm:
    """plain: the baseline or a suffix as it stands, not another wording or placing of one. magnitude: of a
    cell, else 0."""

    name: str
    kind: str
    look: Look
    main: bool
    plain: bool
    chosen: bool
    magnitude: float
    of_all: Rate
    of_valid: Rate
    nonsense: float | None
    measures: Mapping[str, float | None]


def arms_of(result: Result) -> dict[str, Arm]:
    """Every arm by its name, in the result's order."""
    main, chosen = set(main_arms(result, list(result.arms))), set(chosen_arms(result))
    cells = () if result.sweep is None else result.sweep.cells
    magnitudes = {cell.arm: cell.magnitude for cell in cells}
    return {
        name: Arm(
            name=name,
            kind=arm.kind,
            look=look(arm.kind),
            main=name in main,
            plain=arm.kind in ("baseline", "suffix") and not is_variant(name),
            chosen=name in chosen,
            magnitude=magnitudes.get(name, 0.0),
            of_all=of_all(arm),
            of_valid=_rate(arm.rate_valid, arm.rate_valid_ci),
            nonsense=times(100, arm.broken_all),
            measures=arm.measures,
        )
        for name, arm in result.arms.items()
    }


def of_all(arm: ArmMetrics) -> Rate:
    """The rate over all answers."""
    return _rate(arm.rate_all, arm.rate_all_ci)


def _rate(value: float | None, ci: Interval | None) -> Rate:
    return Rate(times(100, value), ci and [100 * end for end in ci])


def times(scale: float, value: float | None) -> float | None:
    return None if value is None else scale * value


def says(name: str, value: float | None, ci: Interval | None, what: str = "") -> str:
    """A gap as a mark says it of itself: its name, then points and interval."""
    return f"{short(name)}\n{what}{words.points(value)} points{_limits(ci)}"


def _limits(ci: Interval | None) -> str:
    return "" if ci is None else f" {words.limits(ci)}"
