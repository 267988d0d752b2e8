"""What every experiment does with its arms: plan, say what it will cost, run, summarise."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from experiments.session import (
    Session,
    configuration,
    discard,
    open_store,
    plan_arms,
    record_plan,
    record_provenance,
    run_folder,
)
from steer import judges, pipeline, results, summary
from steer.chat import read_answer
from steer.engines.parts import RowError
from steer.engines.proven import ProvenEngine
from steer.errors import UserError
from steer.results import Result
from steer.results.record import Plan
from steer.store import RunStore
from steer.types import Arm, Scenario

EVERYWHERE: Mapping[str, Collection[str]] = MappingProxyType({})


def dry_run(session: Session, command: str, arms: Sequence[Arm], **config: Any) -> Plan:
    """The plan in numbers, printed; nothing is generated, judged or written."""
    planned = plan_arms(session, arms)
    resolved = configuration(session, command, arms, **config)
    numbers: dict[str, int | float | str] = {
        "arms": len(arms),
        "scenarios": len(session.scenarios),
        "rows": len(planned.rows),
        "generations": len(planned.requests),
        "prompt_tokens": planned.prompt_tokens,
        "new_tokens_at_most": sum(r.limits.new for r in planned.requests.values()),
        "judge_calls_at_most": len(planned.requests),
        "folder": str(run_folder(session, resolved)),
    }
    session.screen.plan({name.replace("_", " "): str(value) for name, value in numbers.items()})
    return Plan(plan=numbers, config=resolved)


def run_arms(
    session: Session,
    command: str,
    arms: Sequence[Arm],
    *,
    before: Mapping[str, Mapping[str, int]] | None = None,
    only: Mapping[str, Collection[str]] = EVERYWHERE,
    **config: Any,
) -> tuple[Path, RunStore]:
    """Plan, claim the folder, generate and judge what it lacks. The store comes back open.

    before: the judge's usage before an extraction for this run, whose calls are the run's too.
    only: the scenarios of an arm that does not run on all.
    """
    planned = _planned(session, arms, only)  # what it refuses leaves no folder
    resolved = configuration(session, command, arms, **config)
    folder = run_folder(session, resolved)
    fresh = not folder.exists()
    store = open_store(session, folder, resolved)
    try:
        if before is not None:
            store.add_usage(judges.used_since(session.judge, before))
        record_plan(session, store, arms, planned)
        generate_and_judge(session, store, planned)
    except BaseException:
        discard(store) if fresh else store.close()
        raise
    return folder, store


def add_arms(
    session: Session, store: RunStore, arms: Sequence[Arm], only: Mapping[str, Collection[str]] = EVERYWHERE
) -> None:
    """Put arms into an open run, and generate and judge what it lacks of them.

    only: the scenarios of an arm that does not run on all.
    """
    planned = _planned(session, arms, only)
    record_plan(session, store, arms, planned)
    generate_and_judge(session, store, planned)


def _planned(session: Session, arms: Sequence[Arm], only: Mapping[str, Collection[str]]) -> pipeline.Planned:
    planned = plan_arms(session, arms)
    if not only:
        return planned
    rows = tuple(r for r in planned.rows if r.arm not in only or r.scenario in only[r.arm])
    wanted = {row.response for row in rows}
    requests = {key: one for key, one in planned.requests.items() if key in wanted}
    return replace(planned, rows=rows, requests=requests)


def answers(session: Session, text: str, arms: Sequence[Arm], *, system: str = "") -> dict[str, str]:
    """{arm name: answer} to one message, each at the session's first temperature; nothing is kept.

    text: what the user says; an arm's suffix is appended to it. Thinking is left out of the answers. An
    answer that failed is its error.
    """
    first = session.options.temperatures[:1]
    one = replace(
        session,
        # what is typed is sent: there is no scenario here whose system text could be left out
        loaded=replace(session.loaded, context="user" if session.loaded.context == "user" else "full"),
        scenarios=(Scenario("message", "message", system, text),),
        options=replace(session.options, temperatures=first, samples=1),
    )
    planned = plan_arms(one, arms)
    found: dict[str, str] = {}
    with session.screen.progress(generate=len(planned.requests)) as tick:
        for response in session.engine.generate(planned.requests.values()):
            request = planned.requests[response.key]
            answer = read_answer(
                session.loaded.tokenizer, response.output_ids, request.stop_ids, request.prompt_ids
            )
            found[response.key] = response.error or answer.text
            tick("generate", 1)
    return {row.arm: found[row.response] for row in planned.rows}


def _standing(session: Session) -> Callable[[], str]:
    """How generation goes, for a line of progress."""
    if session.loaded.workers is not None:
        return session.loaded.workers.standing
    engine, began = session.engine, time.monotonic()
    if not isinstance(engine, ProvenEngine):
        return lambda: ""
    before = engine.tokens()  # options are scored, not generated: there it stays

    def tokens_a_second() -> str:
        made = engine.tokens()
        return f"{made / max(time.monotonic() - began, 1e-9):,.0f} tokens/s" if made != before else ""

    return tokens_a_second


def generate_and_judge(session: Session, store: RunStore, planned: pipeline.Planned) -> None:
    store.reopen(session.judge.name)
    done = store.done()
    pending = [request for key, request in planned.requests.items() if key not in done]
    missing = len(pending)
    kept = len(planned.requests) - missing
    if kept:
        session.screen.note(f"{kept} of {len(planned.requests)} rows are already in {store.folder}")
    if pending:
        session.engine.prove(pending)
        record_provenance(session, store)
    before, began = store.output_tokens(), time.monotonic()
    unjudged = missing + sum(1 for _ in store.unjudged(session.judge.name))
    workers = session.loaded.workers
    with session.screen.progress(_standing(session), generate=missing, judge=unjudged) as tick:
        try:
            marks = pipeline.run(
                store,
                planned,
                session.loaded,
                session.engine,
                session.judge,
                judge_sees=session.options.judge_sees,
                tick=tick,
            )
        except RowError as error:
            raise UserError(f"{_whose(planned, error.key)}: {error}") from error
    if missing and workers is not None:
        record_provenance(session, store)
    if missing and not session.choosing:
        tokens, seconds = store.output_tokens() - before, time.monotonic() - began
        session.screen.note(f"{tokens:,} new tokens, {tokens / seconds:.0f} a second, judging included")
    if marks:
        session.screen.note(
            f"{marks.total()} answers hold what looks like a mark of thinking (most often "
            f"{marks.most_common(1)[0][0]}): what stands there is judged with the answer"
        )
    for note in judges.notes(session.judge):
        session.screen.note(note)
    pipeline.require_judged(store, session.judge)
    if lost := pipeline.without_label(store, session.judge.name):
        session.screen.note(lost)


def _whose(planned: pipeline.Planned, key: str) -> str:
    """The scenario and the arm of a row, for a message."""
    row = next(row for row in planned.rows if row.response == key)
    return f"scenario {row.scenario!r} under arm {row.arm!r}"


def finish(session: Session, store: RunStore) -> Result:
    """The run's result, also written beside its store."""
    found = summary.summarise(store, session.judge.name)
    results.write(store.folder, found)
    return found
