"""The judge of choices: an answer is an option, and the scenario says whether that one is a hit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from steer.task import TaskRecord
from steer.types import JudgeItem, Verdict


@dataclass(frozen=True, slots=True)
class ChoiceJudge:
    """Names what the log-probabilities decided (`steer.choices`); there is nothing to be wrong about."""

    task: TaskRecord
    name: str = "choice"
    remote: bool = False

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for item in items:
            options = item.scenario.choices.options if item.scenario.choices else ()
            hit = next((option.hit for option in options if option.text == item.answer), None)
            if hit is None:
                yield item.id, Verdict("invalid", "the answer is none of the scenario's options")
                continue
            role = "hit" if hit else "miss"
            yield item.id, Verdict(role, "the likeliest option", label=self.task.word(role))
