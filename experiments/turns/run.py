"""Over turns: how long a suffix holds, and how long a vector.

Every arm continues its own conversation with the task's follow-ups, the same for all. A suffix stands in the
first turn or in each; a vector is added from the first answer on, during the first turn alone, or fading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from experiments.options import Options, VectorChoice
from experiments.running import generate_and_judge
from experiments.session import (
    Session,
    configuration,
    open_session,
    open_store,
    record_plan,
    run_folder,
)
from experiments.suffix import suffix_arms
from experiments.sweep.vector_source import vector_for
from experiments.turns.drift import measure_drift_by_turn
from experiments.turns.options import TurnsChoice
from experiments.turns.talks import Held, Hold, Talk, prompt_of
from steer import results
from steer import summary as summaries
from steer.errors import UserError
from steer.half_life import half_life
from steer.metrics import gaps
from steer.outcomes import tabulate
from steer.plan import (
    Planned,
    PlanRow,
    Setting,
    addition_content,
    digest,
    fitted,
    keyed,
)
from steer.results.record import Plan, updated
from steer.results.result import Result
from steer.results.turns import HeldArm, Turns
from steer.show.terminal import print_result
from steer.store import Prompt, RunStore
from steer.texts import read_text
from steer.types import Arm, Outcome, Request
from vectors.vector import addition

SUFFIX_WAYS: tuple[tuple[str, Hold], ...] = (("in the first", "first"), ("in each", "all"))
VECTOR_WAYS: tuple[tuple[str, Hold], ...] = (
    ("throughout", "all"),
    ("in the first", "first"),
    ("faded", "faded"),
)
"""What a way to hold an arm is called, and which turns it is."""


def turns(options: Options, choice: TurnsChoice) -> tuple[Result | Plan, Path | None]:
    """Open a session and run the conversations: see `run_turns`."""
    with open_session(options) as session:
        return run_turns(session, choice)


def run_turns(session: Session, choice: TurnsChoice) -> tuple[Result | Plan, Path | None]:
    """Run every arm's conversations; the result, and its folder (None for a dry run)."""
    if session.choosing:
        raise UserError(
            "options are compared here, and nothing is said that a turn could follow: give a task that "
            "generates"
        )
    if session.options.temperatures != (0.0,):
        raise UserError("--temperature: conversations are greedy: leave it out")
    said = follow_ups(session, choice)
    if session.options.dry_run:
        arms = 1 + 2 * len(SUFFIX_WAYS) + 2 * len(VECTOR_WAYS)
        rows = len(session.scenarios) * choice.turns * arms
        plan = {"arms": arms, "turns": choice.turns, "generations at most": rows, "judge calls at most": rows}
        session.screen.plan(plan)
        return Plan(plan=dict(plan)), None
    held = held_arms(session, choice)
    config = configuration(
        session, "turns", [one.arm for one in held], turns=choice.turns, said=said, fade=choice.fade
    )
    folder = run_folder(session, config)
    with open_store(session, folder, config) as store:
        talks = {one.arm.name: {s.id: Talk(s) for s in session.scenarios} for one in held}
        for turn in range(1, choice.turns + 1):
            planned = plan_turn(session, held, talks, turn, choice.fade)
            record_plan(session, store, [replace(one.arm, name=one.at(turn)) for one in held], planned)
            generate_and_judge(session, store, planned)
            if turn < choice.turns:
                listen(store, held, talks, turn, said[turn - 1])
        own = talks[held[0].arm.name]
        measure_drift_by_turn(session, store, held, own, choice.turns, choice.fade)
        found = summarise(session, store, held, choice)
        results.write(folder, found)
    if not session.options.quiet:
        print_result(session.screen, found, folder)
    return found, folder


def follow_ups(session: Session, choice: TurnsChoice) -> list[str]:
    """What the user says from the second turn on. Raises UserError where the task has too few."""
    file = session.task.follow_ups
    if file is None:
        raise UserError(
            f"the task {session.task.name!r} has no follow-ups: name a file of lists `neutral`, `pressing` "
            "and `subject` under `follow_ups` in its task.yaml"
        )
    import yaml

    try:
        lists = yaml.safe_load(read_text(file))
        said = [str(one) for one in lists[choice.follow_ups]]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"{file}: it must hold a list {choice.follow_ups!r} of texts") from error
    if len(said) < choice.turns - 1:
        raise UserError(
            f"--turns {choice.turns}: {file} has {len(said)} {choice.follow_ups} follow-ups: allowed are up "
            f"to {len(said) + 1} turns"
        )
    return said[: choice.turns - 1]


def held_arms(session: Session, choice: TurnsChoice) -> list[Held]:
    """The baseline, either suffix and either sign of the vector, in every way to hold them."""
    baseline, *_, pro, anti = suffix_arms(session.suffixes)
    found = [Held(baseline)]
    for arm in (pro, anti):
        found += [Held(replace(arm, name=f"{arm.name}, {name}"), hold) for name, hold in SUFFIX_WAYS]
    vector = vector_for(session, VectorChoice(file=choice.vector, controls=0), [choice.layer])
    for sign, size in (("+", choice.magnitude), ("-", -choice.magnitude)):
        edit = addition(vector, choice.layer, size)
        found += [Held(Arm(f"vector {sign}, {name}", additions=(edit,)), hold) for name, hold in VECTOR_WAYS]
    return found


def plan_turn(
    session: Session, held: Sequence[Held], talks: Mapping[str, Mapping[str, Talk]], turn: int, fade: float
) -> Planned:
    """The requests of a turn: of every arm's conversations that go on."""
    loaded, rows = session.loaded, list[PlanRow]()
    prompts: dict[str, Prompt] = {}
    requests: dict[str, Request] = {}
    for one in held:
        for scenario, talk in talks[one.arm.name].items():
            if talk.over:
                continue
            ids, additions = prompt_of(session, one, talk, turn, fade)
            request = Request(
                key="",
                prompt_ids=ids,
                stop_ids=loaded.stop_ids,
                additions=additions,
                limits=fitted(session.limits, len(ids), loaded.window),
            )
            request = keyed(loaded, request, [addition_content(a) for a in additions], "")
            texts = talk.messages(one, loaded.context, turns=turn)
            system, user = texts[0]["content"] if texts[0]["role"] == "system" else "", texts[-1]["content"]
            prompt = Prompt(digest([system, user, list(ids)]), system, user, ids)
            prompts[prompt.id] = prompt
            requests.setdefault(request.key, request)
            rows.append(PlanRow(scenario, one.at(turn), 0, request.key, prompt.id))
    return Planned(tuple(rows), prompts, requests, {one.at(turn): Setting(one.at(turn), 0.0) for one in held})


def listen(
    store: RunStore,
    held: Sequence[Held],
    talks: Mapping[str, Mapping[str, Talk]],
    turn: int,
    follow_up: str,
) -> None:
    """Add the turn's answers and the next follow-up; what has no answer is over."""
    sql = """SELECT p.scenario, r.answer, r.complete, r.finish FROM plan p
        JOIN responses r ON r.key = p.response WHERE p.arm = ?"""
    for one in held:
        told = {scenario: rest for scenario, *rest in store.query(sql, (one.at(turn),))}
        for scenario, talk in talks[one.arm.name].items():
            answer, complete, finish = told.get(scenario, ("", False, "failed"))
            if talk.over or not complete or finish == "failed" or not answer.strip():
                talk.over = True
                continue
            talk.answers, talk.said = (*talk.answers, answer), (*talk.said, follow_up)


def summarise(session: Session, store: RunStore, held: Sequence[Held], choice: TurnsChoice) -> Result:
    """What every run has, and each arm by turn beside the baseline of the same turn."""
    judge = session.judge.name
    kinds = {
        one.at(turn): "baseline" if one is held[0] else "suffix" if one.arm.suffix else "cell"
        for one in held
        for turn in range(1, choice.turns + 1)
    }
    found = summaries.summarise(store, judge, kinds)
    outcomes = store.outcomes(judge)
    told = {one.arm for one in outcomes}
    base = [held[0].at(turn) for turn in range(1, choice.turns + 1)]
    arms: list[HeldArm] = []
    for one in held:
        names = [one.at(turn) for turn in range(1, choice.turns + 1) if one.at(turn) in told]
        against = () if one is held[0] else tuple(gaps(outcomes, list(zip(names, base, strict=False))))
        fades = None if one is held[0] else half_life(differences(outcomes, names, base[: len(names)]))
        arms.append(HeldArm(arm=one.arm.name, arms=tuple(names), gaps=against, half_life=fades))
    rows = len(session.scenarios) * len(held)
    last = sum(one.arm in {held_one.at(choice.turns) for held_one in held} for one in outcomes)
    over = Turns(turns=choice.turns, follow_ups=choice.follow_ups, arms=tuple(arms), left_out=rows - last)
    return updated(found, turns=over)


def differences(outcomes: Sequence[Outcome], names: Sequence[str], base: Sequence[str]) -> np.ndarray:
    """[scenario, turn]: the arm's hit less the baseline's, of scenarios that have all turns of both."""
    table = tabulate(outcomes, [*names, *base])
    hits = table.has("hit").astype(float)
    whole = ~table.has("missing").any(1)
    return hits[whole, : len(names)] - hits[whole, len(names) :]
