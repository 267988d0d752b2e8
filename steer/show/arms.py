"""Which arms of a run a reader wants to see."""

from __future__ import annotations

from collections.abc import Sequence

from steer.results import Result

ASIDE = frozenset({"control", "other", "stopped"})
MANY = ASIDE | {"cell", "both"}
"""Kinds of which a sweep has so many arms that a screen shows what is put together of them."""


def is_variant(arm: str) -> bool:
    """Whether a suffix arm is another wording or placing of one that stands beside it."""
    return "paraphrase" in arm or " by builder" in arm


def chosen_arms(result: Result) -> tuple[str, ...]:
    return () if result.sweep is None else result.sweep.choice.chosen_arms


def main_arms(result: Result, names: Sequence[str]) -> list[str]:
    """The arms a reader wants first: all but controls and the cells of a grid that were not chosen."""
    aside = ASIDE | {"cell"} if result.sweep is not None and result.sweep.cells else ASIDE
    chosen = set(chosen_arms(result))
    return [name for name in names if name in chosen or result.arms[name].kind not in aside]


def few_arms(result: Result) -> list[str]:
    """The arms for a screen: where a sweep has many, the baseline, suffixes as they stand, and the like."""
    if result.sweep is None:
        return list(result.arms)
    return [name for name, arm in result.arms.items() if arm.kind not in MANY and not is_variant(name)]


def baseline_of(result: Result) -> str | None:
    return next((name for name, arm in result.arms.items() if arm.kind == "baseline"), None)
