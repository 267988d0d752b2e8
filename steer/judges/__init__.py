"""Judges: they label an answer to a scenario, and cannot be told which arm it came from.

`make` turns a spec such as `rubric`, `openai:MODEL` or `panel:A,B,C` into a judge. What lives here
knows scenarios and answers; it does not know arms, engines' settings, stores or metrics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from steer.errors import UserError, choose
from steer.judges.apis import CONCURRENCY, TIMEOUT
from steer.task import SHIPPED, TaskRecord
from steer.types import Judge

if TYPE_CHECKING:
    from typing import Unpack

    from steer.judges.apis import Usage
    from steer.judges.endpoint import Access

__all__ = ["CONCURRENCY", "TIMEOUT", "known_error", "make", "notes", "usage", "used_since"]

KINDS = ("rubric", "openai", "hf", "panel", "human", "choice")
BASELINE_ERRORS = ("error_pro_baseline", "error_baseline_anti")


def make(spec: str, task: TaskRecord, *, preflight: bool = True, **access: Unpack[Access]) -> Judge:
    """The judge of a task's answers that a spec names: `rubric`, `openai:MODEL`, `hf:MODEL` or `panel:A,B,C`.

    access: how `openai:` is reached (also as a member of a panel). Raises UserError for a spec
    that does not parse, a missing key, or an endpoint that does not answer the pre-flight call.
    """
    kind, _, rest = spec.strip().partition(":")
    choose(kind, KINDS, what="judge")
    if (kind in ("rubric", "choice")) == bool(rest):
        form = {"rubric": "rubric", "choice": "choice", "panel": "panel:A,B,C", "human": "human:NAME"}.get(
            kind, f"{kind}:MODEL"
        )
        raise UserError(f"judge {spec!r}: write {form}")
    if kind == "human":
        raise UserError(
            f"judge {spec!r}: people judge through a sheet: python cli.py annotate RUN --judge {spec}"
        )
    if kind == "choice":
        from steer.judges.choice import ChoiceJudge

        return ChoiceJudge(task)
    if task.prompt is None:
        raise UserError(
            f"judge {spec!r}: the task {task.name!r} compares options, nothing is judged: leave it out"
        )
    if kind == "openai":
        from steer.judges.endpoint import Endpoint
        from steer.judges.remote import OpenAIJudge

        return OpenAIJudge(Endpoint(rest, **access), task, preflight=preflight)
    if kind == "hf":
        from steer.judges.local import open_judge

        return open_judge(rest, task)
    if kind == "panel":
        from steer.judges.panel import Panel, members

        return Panel([make(member, task, preflight=preflight, **access) for member in members(spec)])
    from steer.judges.rubric import Rubric

    if task.cues is None:
        raise UserError(
            f"judge {spec!r}: the task {task.name!r} has no cues.yaml that says what the rubric counts: "
            f"give --judge openai:MODEL or hf:MODEL, or write one"
        )
    return Rubric(task.cues)


def notes(judge: Judge) -> list[str]:
    """What a reader of its verdicts should know of how they were got; most judges have nothing to say."""
    return list(getattr(judge, "notes", ()))


def usage(judge: Judge) -> dict[str, dict[str, int]]:
    """Calls and tokens so far, by model and host; nothing for judges on this machine."""
    used: Mapping[str, Usage] = getattr(judge, "usage", {})
    return {name: asdict(one) for name, one in used.items()}


def used_since(judge: Judge, before: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Calls and tokens after an earlier `usage`, by model and host."""
    return {
        name: {what: n - before.get(name, {}).get(what, 0) for what, n in used.items()}
        for name, used in usage(judge).items()
    }


def known_error(name: str) -> str | None:
    """What is known of a judge's error, to print beside every gap it produced; None if nothing is."""
    if name == "choice":
        return "none: an option's log-probability is compared, nothing is judged"
    if name == "organism-truth":
        return "right by construction: it reads the grammar that the organism was trained on"
    if not name.startswith("rubric"):
        return None
    files = sorted(SHIPPED.glob("*/rubric_error.json"))
    records = {one["judge"]: one for one in (json.loads(file.read_text("utf-8")) for file in files)}
    if (record := records.get(name)) is None:
        return "a proxy; its error was never measured for this table of cues"
    test, models = record["test"], record["untuned_models"]
    unseen, seen = ([abs(gap["error"]) for gap in part["gaps"].values()] for part in (test, models))
    baseline = [
        max(abs(gap[name]) for gap in part["gaps"].values() for name in BASELINE_ERRORS)
        for part in (test, models)
    ]
    return (
        f"a proxy: on models and scenarios it was not tuned on (n = {test['n']}) accuracy "
        f"{test['accuracy']:.2f}, κ {test['kappa']:.2f}, rate {test['rate_error_points']:+.0f} points; there "
        f"the models' pro−anti gaps are off by {_and(unseen)} points, gaps against the baseline by up to "
        f"{baseline[0]:.0f}; over all scenarios by {_and(seen)} and up to {baseline[1]:.0f}"
    )


def _and(errors: list[float]) -> str:
    return " and ".join(f"{error:.0f}" for error in errors)
