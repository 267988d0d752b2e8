"""The arms of a run as figures need them: read from its summary in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steer.show import words
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
    fluency: float | None
    drift: float | None


def arms_of(summary: Mapping[str, Any]) -> dict[str, Arm]:
    """Every arm by its name, in the summary's order."""
    found: Mapping[str, Mapping[str, Any]] = summary["arms"]
    main = set(words.main_arms(summary, list(found)))
    chosen = set(summary.get("choice", {}).get("chosen_arms", ()))
    magnitudes = {cell["arm"]: cell["magnitude"] for cell in summary.get("cells", ())}
    kinds = {name: words.kind_of(summary, name) for name in found}
    return {
        name: Arm(
            name=name,
            kind=kinds[name],
            look=look(kinds[name]),
            main=name in main,
            plain=kinds[name] in ("baseline", "suffix") and not words.is_variant(name),
            chosen=name in chosen,
            magnitude=magnitudes.get(name, 0.0),
            of_all=rate(arm, "all"),
            of_valid=rate(arm, "valid"),
            nonsense=times(100, arm["broken_all"]),
            fluency=arm.get("fluency"),
            drift=arm.get("drift"),
        )
        for name, arm in found.items()
    }


def rate(numbers: Mapping[str, Any], over: str) -> Rate:
    """The rate over "all" or "valid" answers."""
    ci = numbers.get(f"rate_{over}_ci")
    return Rate(times(100, numbers[f"rate_{over}"]), ci and [100 * end for end in ci])


def times(scale: float, value: float | None) -> float | None:
    return None if value is None else scale * value


def says(name: str, value: float | None, ci: Interval | None, what: str = "") -> str:
    """A gap as a mark says it of itself: its name, then points and interval."""
    return f"{short(name)}\n{what}{words.points(value)} points{_limits(ci)}"


def _limits(ci: Interval | None) -> str:
    return "" if ci is None else f" {words.limits(ci)}"
