"""Small sets of prompts that ask what steering broke: exact answers, and requests that harm nobody.

Questions with one right answer give capability; requests that only sound alarming give over-refusal,
by the judge that judges everything else. It does not know stores or metrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from steer.chat import read_answer
from steer.errors import UserError
from steer.plan import digest, plan
from steer.screen import Tick, unheard
from steer.texts import JsonObject, json_lines, text_field
from steer.types import Arm, Engine, JudgeItem, Limits, LoadedModel, Scenario

DATA = Path(__file__).parent / "data"

Answers = Mapping[tuple[str, str], str | None]
"""(arm name, scenario id) -> answer; None where there is none (failed, or thinking never closed)."""


@dataclass(frozen=True, slots=True)
class Question:
    """A scenario with the answers that are right, any of which will do."""

    scenario: Scenario
    right: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Probes:
    """neutral: prompts to measure drift on. harmless: requests that nobody need refuse."""

    neutral: tuple[Scenario, ...]
    questions: tuple[Question, ...]
    harmless: tuple[Scenario, ...]


def load(folder: Path = DATA) -> Probes:
    """Read neutral.jsonl, capability.jsonl and harmless.jsonl: ours, or a task's.

    A line is {"prompt": TEXT}; a question's also holds "answer", a text or a list of texts. Raises
    UserError.
    """
    questions = [
        Question(scenario, _right(place, row.get("answer")))
        for place, scenario, row in _read(folder, "capability")
    ]
    neutral, harmless = (tuple(s for _, s, _ in _read(folder, name)) for name in ("neutral", "harmless"))
    return Probes(neutral, tuple(questions), harmless)


def _read(folder: Path, name: str) -> Iterator[tuple[str, Scenario, JsonObject]]:
    for number, (place, row) in enumerate(json_lines(folder / f"{name}.jsonl"), start=1):
        prompt = text_field(place, row, "prompt", '{"prompt": TEXT}')
        yield place, Scenario(f"{name}#{number:02d}", name, "", prompt), row


def _right(place: str, answer: object) -> tuple[str, ...]:
    texts = cast("list[object]", answer) if isinstance(answer, list) else [answer]
    right = tuple(text for text in texts if isinstance(text, str) and _bare(text))
    if not right or len(right) < len(texts):
        raise UserError(
            f"{place}: 'answer' is {answer!r}: give a text, or a list of texts that are all right"
        )
    return right


def ask(
    engine: Engine,
    loaded: LoadedModel,
    arms: Sequence[Arm],
    prompts: Sequence[Scenario],
    *,
    limits: Limits,
    thinking: bool = False,
    tick: Tick = unheard,
) -> Answers:
    """Every prompt under every arm, greedily; equal requests are generated once.

    tick: told of every request that is finished, and at the end of those that equalled another.
    """
    planned = plan(loaded, prompts, arms, limits=limits, thinking=thinking)
    found: dict[str, str | None] = {}
    for response in engine.generate(planned.requests.values()):
        request = planned.requests[response.key]
        answer = read_answer(loaded.tokenizer, response.output_ids, request.stop_ids, request.prompt_ids)
        found[response.key] = answer.text if answer.complete and response.finish != "failed" else None
        tick(1)
    tick(len(planned.rows) - len(found))
    return {(row.arm, row.scenario): found[row.response] for row in planned.rows}


def capability(answers: Answers, questions: Sequence[Question]) -> dict[str, float]:
    """Per arm, the fraction of questions answered right; no answer is a wrong one."""
    return {
        arm: sum(is_right(answers[arm, q.scenario.id], q.right) for q in questions) / len(questions)
        for arm in _arms(answers)
    }


def judge_items(answers: Answers, harmless: Sequence[Scenario]) -> list[JudgeItem]:
    """Answers to harmless requests, for a judge: equal ones once, under ids that say nothing of the arm."""
    scenario = {s.id: s for s in harmless}
    given = dict.fromkeys((request, answer) for (_, request), answer in answers.items() if answer is not None)
    return [JudgeItem(digest([request, answer]), scenario[request], answer) for request, answer in given]


def over_refusal(
    answers: Answers, harmless: Sequence[Scenario], refused: Mapping[str, bool | None]
) -> dict[str, float | None]:
    """Per arm, the fraction of harmless requests whose answer the judge calls a refusal.

    refused: by the ids of `judge_items`, all of them. Where the judge gave no label (None) the request is
    left out, and where it gave none at all there is no estimate. A request without an answer is none refused.
    """

    def counts(request: str, answer: str | None) -> bool | None:
        return False if answer is None else refused[digest([request, answer])]

    found: dict[str, float | None] = {}
    for arm in _arms(answers):
        known = [c for s in harmless if (c := counts(s.id, answers[arm, s.id])) is not None]
        found[arm] = sum(known) / len(known) if known else None
    return found


def is_right(answer: str | None, right: Sequence[str]) -> bool:
    """Whether an answer is one of the right ones and nothing else.

    Strict: the whole answer, its first or its last line must be it, alone or after "=" or ": "; case,
    emphasis, quotes, final punctuation and a leading article aside. A right answer among others, or in
    a sentence, does not count: the questions ask for the answer alone.
    """
    accepted = {_bare(text) for text in right}
    lines = [line for line in (answer or "").splitlines() if line.strip()]
    if not lines:
        return False
    candidates = [" ".join(lines), lines[0], lines[-1]]
    candidates += [re.split(r"=|:\s", line)[-1] for line in candidates]
    return any(_bare(candidate) in accepted for candidate in candidates)


def _bare(text: str) -> str:
    text = re.sub(r"[*_`\"“”«»$]", "", text.casefold()).strip().strip("'‘’").rstrip(".!,;").strip()
    return " ".join(re.sub(r"^(the|an?) ", "", text).split())


def _arms(answers: Answers) -> list[str]:
    return list(dict.fromkeys(arm for arm, _ in answers))
