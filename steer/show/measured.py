"""How measures are called in a table, and their values written. One that is not listed shows as it is."""

from __future__ import annotations

from collections.abc import Iterable

from steer import choices
from steer.measures import MEASURES, Measure
from steer.results.estimates import ArmResult, FoldedArm
from steer.show import words

ELSEWHERE = frozenset(choices.MEASURES)
"""Measures with a section of their own."""

LISTED = {measure.name: measure for measure in MEASURES}


def shown(name: str) -> Measure:
    return LISTED.get(name, Measure(name, name.replace("_", " "), "arm"))


def text(name: str, value: float | None) -> str:
    digits = shown(name).digits
    return words.percent(value) if digits is None else words.fixed(value, digits)


def known(arms: Iterable[ArmResult | FoldedArm]) -> list[str]:
    """What was measured of any of the arms, the listed ones first."""
    every = {name for arm in arms for name, value in arm.measures.items() if value is not None} - ELSEWHERE
    listed = [name for name in LISTED if name in every]
    return [*listed, *sorted(every - set(listed))]


def notes(names: Iterable[str]) -> str:
    """What a reader is told of them, as a sentence; "" of nothing."""
    said = "; ".join(note for name in names if (note := shown(name).note))
    return said and words.sentence(said)
