"""Outcomes from tables small enough to count by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from steer.metrics import arm_metrics
from steer.results import Result
from steer.results.estimates import ArmResult
from steer.results.result import JudgeUsed
from steer.summary import spoken_of
from steer.types import Outcome, Status
from tests.tasks import RECORD

Measures = Mapping[str, Mapping[str, float | None]]

LETTERS: Mapping[str, Status] = {
    "C": "hit",
    "N": "miss",
    "R": "refusal",
    "X": "broken",
    "i": "invalid",
    "t": "truncated",
    "f": "failed",
    "-": "missing",
}
NOTHING: Measures = MappingProxyType({})


def table(arms: Mapping[str, str], *, per_category: int = 2) -> list[Outcome]:
    """One letter a scenario (a space: no row); scenarios s000, s001, ... in categories of equal size."""
    return [
        Outcome(arm, f"s{i:03}", f"c{i // per_category}", 0, LETTERS[letter])
        for arm, letters in arms.items()
        for i, letter in enumerate(letters)
        if letter != " "
    ]


def by_half(half: Mapping[str, int], arms: Mapping[str, tuple[int, int]]) -> list[Outcome]:
    """Arms by their number of convergent scenarios on either half, always the first ones; one category."""
    order = [[s for s in sorted(half) if half[s] == number] for number in (0, 1)]
    return [
        Outcome(arm, scenario, "c0", 0, "hit" if i < count else "miss")
        for arm, counts in arms.items()
        for members, count in zip(order, counts, strict=True)
        for i, scenario in enumerate(members)
    ]


def nested(arms: Mapping[str, int], *, scenarios: int = 100) -> list[Outcome]:
    """Arms by their number of convergent scenarios, always the first ones: no change but the net one."""
    return table({arm: "C" * n + "N" * (scenarios - n) for arm, n in arms.items()}, per_category=scenarios)


def arms_of(outcomes: Sequence[Outcome], measures: Measures = NOTHING) -> dict[str, ArmResult]:
    """As a result holds them, with what was measured of each; names of cells begin with L."""
    return {
        name: ArmResult(
            **asdict(rates),
            arm=name,
            temperature=0.0,
            kind="baseline" if name == "baseline" else "cell" if name.startswith("L") else "suffix",
            prompt_tokens=0,
            answer_tokens=0,
            seconds=0.0,
            cut=0,
            echo=0,
            measures=dict(measures.get(name, {})),
        )
        for name, rates in arm_metrics(outcomes).items()
    }


def result_of(outcomes: Sequence[Outcome], measures: Measures = NOTHING, **parts: Any) -> Result:
    """A result of these arms and, besides `parts`, nothing."""
    return Result(
        arms=arms_of(outcomes, measures),
        gaps={},
        judge=JudgeUsed(name="by hand", known_error=None),
        task=spoken_of(RECORD),
        config={},
        determinism="exact",
        evidence="",
        **parts,
    )
