"""The entry point of the group `inspect_ai`: Inspect imports it on every start, so nothing heavy is here."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from inspect_ai import Task, task
from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import ModelAPI, modelapi
from inspect_ai.scorer import Scorer, mean, scorer, stderr

from steer.errors import UserError
from steer.task import names


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


@scorer(metrics=[mean(), stderr()], name="judge")
def judged(task: str = "instrumental", judge: str | None = None) -> Scorer:
    """Whether an answer shows a task's behaviour.

    task: as --task takes it. judge: as --judge does (`rubric`, `openai:MODEL`, ...); default the task's own.
    """
    from steergap.scoring import scorer_of

    with in_a_line():
        return scorer_of(task, judge)


@task
def behaviour(
    task: str,
    scenarios: str | None = None,
    per_category: int | None = None,
    subset_seed: int = 0,
    judge: str | None = None,
) -> Task:
    """A task of one's own (a folder), or any of ours by name; the other arguments are our commands' flags."""
    from steergap.scoring import task_of

    with in_a_line():
        return task_of(task, scenarios, per_category, subset_seed, judged(task, judge))


def _named(name: str) -> Callable[..., Task]:
    @task(name=name)
    def one(
        scenarios: str | None = None,
        per_category: int | None = None,
        subset_seed: int = 0,
        judge: str | None = None,
    ) -> Task:
        return behaviour(name, scenarios, per_category, subset_seed, judge)

    return one


TASKS = {name: _named(name) for name in (*names(), "organism")}
"""`steergap/instrumental` and so on."""
