"""The entry point of the group `inspect_ai`: Inspect imports it on every start, so nothing heavy is here."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import ModelAPI, modelapi
from inspect_ai.scorer import Scorer, mean, scorer, stderr

from steer.errors import UserError


@modelapi(name="steergap")
def provider() -> type[ModelAPI]:
    from steergap.provider import SteeredAPI

    return SteeredAPI


@contextmanager
def in_a_line() -> Generator[None]:
    """A UserError as Inspect prints its own: one line, no traceback."""
    try:
        yield
    except UserError as error:
        from rich.markup import escape

        raise PrerequisiteError(escape(str(error))) from None


@scorer(metrics=[mean(), stderr()])
def judge(task: str = "instrumental", judge: str | None = None) -> Scorer:
    """Whether an answer shows a task's behaviour.

    judge: as our commands take it (`rubric`, `openai:MODEL`, ...); default the task's own.
    """
    from steergap.scoring import scorer_of

    with in_a_line():
        return scorer_of(task, judge)


@task
def instrumental(
    scenarios: str | None = None, per_category: int | None = None, seed: int = 0, judge: str | None = None
) -> Task:
    """Does the model turn to strategies that would serve almost any goal (arXiv 2601.01584)?"""
    return _behaviour("instrumental", scenarios, per_category, seed, judge)


def _behaviour(
    name: str, scenarios: str | None, per_category: int | None, seed: int, spec: str | None
) -> Task:
    from steergap.scoring import task_of

    with in_a_line():
        return task_of(name, scenarios, per_category, seed, judge(name, spec))
