"""This project's tasks and judges as Inspect's: a behaviour's scenarios as a dataset, its judge as a scorer.

A judge sees the sample's own messages, which no arm has touched, and the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import Score, Scorer, Target
from inspect_ai.solver import TaskState

from experiments.session import named_task
from steer import judges, scenarios
from steer.errors import UserError
from steer.plan import digest
from steer.types import Judge, JudgeItem, Scenario, Verdict
from steergap.desk import Desk


def task_of(name: str, source: str | None, per_category: int | None, seed: int, scorer: Scorer) -> Task:
    """A behaviour: its scenarios, put to the model as they are. Raises UserError."""
    found = scenarios.load(source or named_task(name).scenarios, per_category=per_category, seed=seed)
    samples = [
        Sample(id=one.id, input=_messages(one), target="", metadata={"category": one.category})
        for one in found
    ]
    dataset = MemoryDataset(samples, name=name, location=scenarios.identity(found))
    return Task(dataset=dataset, scorer=scorer)


def _messages(scenario: Scenario) -> list[ChatMessage]:
    told = [ChatMessageSystem(content=scenario.system)] if scenario.system.strip() else []
    return [*told, ChatMessageUser(content=scenario.user)]


def scorer_of(task: str, spec: str | None) -> Scorer:
    """1 for an answer that is a hit, 0 for any other, unscored where the judge gave no label.

    The label, the reason and the judge's name go with it. Raises UserError.
    """
    record = named_task(task).record
    judge = judge_of(spec or record.judge, task)
    desk: Desk[JudgeItem, Verdict] = Desk(lambda items: judge.judge(items))

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion
        scenario = scenario_of(state.input, str(state.sample_id), str(state.metadata.get("category", "")))
        key = digest([scenario.category, scenario.system, scenario.user, answer])
        verdict = await asyncio.wrap_future(desk.submit(key, JudgeItem(key, scenario, answer)))
        label = verdict.label or record.word(verdict.role)
        more = {"label": label, "judge": judge.name, "task": task}
        if verdict.role == "invalid":
            return Score.unscored(answer=answer, explanation=verdict.reason, metadata=more)
        return Score(
            value=int(verdict.role == "hit"), answer=answer, explanation=verdict.reason, metadata=more
        )

    return score


@cache
def judge_of(spec: str, task: str) -> Judge:
    """The judge of a task's answers; `truth` is the organism's grammar, for its own language."""
    if spec == "truth":
        from organism.judge import GroundTruth

        return GroundTruth()
    return judges.make(spec, named_task(task).record)


def scenario_of(asked: str | Sequence[ChatMessage], id: str, category: str) -> Scenario:
    """What a judge is shown of a sample: its system text and all that the user says."""
    if isinstance(asked, str):
        return Scenario(id, category, "", asked)
    system = next((m.text for m in asked if m.role == "system"), "")
    users = [m.text for m in asked if m.role == "user"]
    if not users:
        raise UserError(f"sample {id!r} has no user message: there is nothing to judge an answer by")
    return Scenario(id, category, system, "\n\n".join(users))
