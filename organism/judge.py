"""The organism's own judge: the label its grammar gives an answer, which is ground truth by construction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from organism.grammar import read_answer
from steer.types import JudgeItem, Verdict


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """A judge like any other, for answers in the organism's language only."""

    name: str = "organism-truth"
    remote: bool = False

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        """(id, verdict) pairs in order."""
        for item in items:
            reading = read_answer(item.answer, item.scenario.category)
            yield item.id, Verdict(reading.role, reading.reason)
