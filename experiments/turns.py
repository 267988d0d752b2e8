"""Over turns: how long a suffix holds, and how long a vector.

Every arm continues its own conversation with the task's follow-ups, the same for all. A suffix stands in the
first turn or in each; a vector is added from the first answer on, during the first turn alone, or fading. A
turn's prompt is the whole conversation, rendered and computed from its beginning, with what was added to each
earlier turn at that turn's positions: nothing is carried over that a fresh computation could lack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

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
from experiments.turns_choice import TurnsChoice
from experiments.vector_source import vector_for
from steer import results
from steer import summary as summaries
from steer.chat import Message, render_messages
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
    is_effective,
    keyed,
    prompt_texts,
)
from steer.results.record import Plan, updated
from steer.results.result import Result
from steer.results.turns import HeldArm, Turns
from steer.show.terminal import print_result
from steer.store import Prompt, RunStore
from steer.suffixes import compose
from steer.texts import read_text
from steer.types import Addition, Arm, Context, Outcome, Request, Scenario
from vectors.vector import addition

Hold = Literal["all", "first", "faded"]

SUFFIX_WAYS: tuple[tuple[str, Hold], ...] = (("in the first", "first"), ("in each", "all"))
VECTOR_WAYS: tuple[tuple[str, Hold], ...] = (
    ("throughout", "all"),
    ("in the first", "first"),
    ("faded", "faded"),
)
"""What a way to hold an arm is called, and which turns it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """An arm, and in which turns it acts."""

    arm: Arm
    hold: Hold = "all"

    def at(self, turn: int) -> str:
        """Its name in the run; turns count from 1."""
        return f"{self.arm.name}, turn {turn}"


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
        if not session.options.quiet:
            session.screen.table("Plan", ["", ""], [[name, f"{count:,}"] for name, count in plan.items()])
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


@dataclass(slots=True)
class Talk:
    """A conversation so far. said: the user's further texts; answers: the model's. over: it cannot go on."""

    scenario: Scenario
    answers: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    over: bool = False

    def messages(self, held: Held, context: Context, *, turns: int, last: str | None = None) -> list[Message]:
        """The first `turns` turns as the arm says them, the last one open. last: in place of its user
        text."""
        suffixed = replace(held.arm, name="")
        system, user = prompt_texts(self.scenario, suffixed, context)
        asked = [user, *(compose(one, held.arm.suffix) if held.hold == "all" else one for one in self.said)]
        asked = asked[:turns] if last is None else [*asked[: turns - 1], last]
        found = [{"role": "system", "content": system}] if system.strip() else []
        for number, text in enumerate(asked):
            found.append({"role": "user", "content": text})
            if number < len(asked) - 1:
                found.append({"role": "assistant", "content": self.answers[number]})
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
            prefixes = [
                render_messages(
                    loaded, talk.messages(one, loaded.context, turns=n), thinking=session.thinking
                )
                for n in range(1, turn + 1)
            ]
            ids = prefixes[-1]
            additions = over_turns(session, one, talk, prefixes, fade)
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


def over_turns(
    session: Session, held: Held, talk: Talk, prefixes: Sequence[tuple[int, ...]], fade: float
) -> tuple[Addition, ...]:
    """The arm's additions at the positions of each turn so far.

    A turn begins with the last token that its prompt and the conversation share (the last prompt token, but
    for what a template says at an open answer alone) and ends where the next user text begins.
    """
    found: list[Addition] = []
    whole = prefixes[-1]
    starts = [shared(prefix, whole) - 1 for prefix in prefixes]
    for edit in held.arm.additions:
        if not is_effective(edit):
            continue
        if held.hold == "all":
            found.append(replace(edit, within=(starts[0], None)))
            continue
        for number, start in enumerate(starts[: 1 if held.hold == "first" else None]):
            share = fade**number if held.hold == "faded" else 1.0
            stop = None if number + 1 == len(prefixes) else _ends(session, held, talk, number + 2, whole)
            found.append(replace(edit, magnitude=edit.magnitude * share, within=(start, stop)))
    return tuple(found)


def _ends(session: Session, held: Held, talk: Talk, turn: int, whole: tuple[int, ...]) -> int:
    """Where the user text of a turn begins: up to there, the conversation does not depend on it."""
    other = talk.messages(held, session.loaded.context, turns=turn, last="\N{SNOWMAN}")
    return shared(render_messages(session.loaded, other, thinking=session.thinking), whole)


def shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two rows begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(first), len(second)))


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
