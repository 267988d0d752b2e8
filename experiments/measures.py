"""Side effects of a run's arms, measured once and kept in its store.

Per answer: fluency, and what its text tells (`steer.measures`). Per arm: drift, and for chosen arms
capability and over-refusal. Whatever is stored is not measured again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from experiments.session import Session
from steer import pipeline, probes, side_effects
from steer.measures import MEASURES
from steer.probes import Answers, Probes
from steer.store import RunStore
from steer.types import Arm, Scenario

FLUSH = 64
PROMPTS_OF = "SELECT DISTINCT scenario, prompt FROM plan WHERE arm = ?"


def subject(arm: str) -> str:
    """Under what an arm's own measures stand in the store."""
    return f"arm:{arm}"


def load_probes(session: Session) -> Probes:
    """Neutral prompts, questions and harmless requests in the model's language."""
    return probes.load(session.task.probes or probes.DATA)


def measure_answers(session: Session, store: RunStore) -> None:
    """Fluency under the unsteered model given the unsuffixed prompt, and what each text tells by itself.

    Nothing where options are compared: they were given.
    """
    if session.choosing:
        return
    plain = {
        scenario: store.prompt(prompt).token_ids
        for scenario, prompt in store.query(PROMPTS_OF, ("baseline",))
    }
    known = store.measures("fluency")
    # Cells that change nothing give equal answers: each text is measured once, for all rows that have it.
    rows_of: dict[tuple[str, tuple[int, ...], str], list[str]] = {}
    for key, scenario, output, answer in store.answers():
        if key not in known and scenario in plain:
            rows_of.setdefault((scenario, output, answer), []).append(key)
    todo = sorted(rows_of)  # one scenario's answers together: they share their prompt
    with session.screen.progress(fluency=len(todo)) as tick:
        scored = side_effects.fluency(
            session.engine, session.loaded, ((plain[scenario], output) for scenario, output, _ in todo)
        )
        batch: list[tuple[str, str, float | None]] = []
        for done, (text, nll) in enumerate(zip(todo, scored, strict=True), start=1):
            values = {"fluency": nll} | {one.name: one.of(text[2]) for one in MEASURES if one.of}
            batch += [(key, name, value) for key in rows_of[text] for name, value in values.items()]
            if done % FLUSH == 0 or done == len(todo):
                store.add_measures(batch)
                tick("fluency", (done - 1) % FLUSH + 1)
                batch = []


def measure_drift(session: Session, store: RunStore, arms: Sequence[Arm]) -> dict[str, float]:
    """Arm -> mean KL(unsteered || arm) in nats a token on neutral prompts; infinite where it was lost.

    Lost: it came out not finite, and under no cap, nor before any other in a tie, may such an arm stand.
    """
    known = store.measures("drift")
    missing = [arm for arm in arms if subject(arm.name) not in known]
    if missing:
        neutral = load_probes(session).neutral
        with session.screen.progress(drift=len(missing)) as tick:
            found = side_effects.drift(
                session.engine, session.loaded, missing, neutral, thinking=session.thinking
            )
            for name, value in found:
                store.add_measures([(subject(name), "drift", value)])
                tick("drift", 1)
    measured = store.measures("drift")
    drift = {arm.name: measured[subject(arm.name)] for arm in arms}
    return {name: math.inf if value is None else value for name, value in drift.items()}


def mass_kept(store: RunStore) -> dict[str, float]:
    """By arm, the options' mass as a share of the baseline's; nothing where answers were judged."""
    sql = """SELECT p.arm, avg(m.value) FROM plan p
        JOIN measures m ON m.subject = p.response AND m.name = 'mass' GROUP BY p.arm"""
    mass: dict[str, float] = dict(store.query(sql))
    return {arm: held / mass["baseline"] for arm, held in mass.items()} if mass else {}


def _refused(
    session: Session, store: RunStore, replied: Answers, harmless: Sequence[Scenario]
) -> dict[str, bool | None]:
    """Which answers to harmless requests the judge calls refusals, each judged once and kept as it comes.

    None where it gave no label.
    """
    items = probes.judge_items(replied, harmless)
    stored = store.measures("refused")
    known = {item: None if value is None else bool(value) for item, value in stored.items()}
    with pipeline.accounted(store, session.judge):
        for item, verdict in session.judge.judge([i for i in items if i.id not in known]):
            known[item] = None if verdict.role == "invalid" else verdict.role == "refusal"
            value = known[item]
            store.add_measures([(item, "refused", None if value is None else float(value))])
    left = sum(item.id not in known for item in items)
    if left:
        raise pipeline.out_of_calls(left, store)
    return known


def measure_probes(session: Session, store: RunStore, arms: Sequence[Arm]) -> None:
    """Exact-answer questions and harmless requests, under each arm; no requests where nobody judges."""
    known = store.measures("capability")
    missing = [arm for arm in arms if subject(arm.name) not in known]
    if not missing:
        return
    asked = load_probes(session)
    asked = replace(asked, harmless=()) if session.choosing else asked
    limits, thinking = session.limits, session.thinking
    questions = [q.scenario for q in asked.questions]
    session.screen.note(
        f"side effects of {len(missing)} arms: {len(questions)} questions, "
        f"{len(asked.harmless)} harmless requests"
    )
    count = len(missing)
    with session.screen.progress(questions=count * len(questions), harmless=count * len(asked.harmless)) as t:
        answered, replied = (
            probes.ask(
                session.engine,
                session.loaded,
                missing,
                prompts,
                limits=limits,
                thinking=thinking,
                tick=partial(t, what),
            )
            for what, prompts in (("questions", questions), ("harmless", asked.harmless))
        )
    right = probes.capability(answered, asked.questions)
    refused = probes.over_refusal(replied, asked.harmless, _refused(session, store, replied, asked.harmless))
    rows: list[tuple[str, str, float | None]] = []
    for arm in missing:
        rows.append((subject(arm.name), "capability", right[arm.name]))
        rows.append((subject(arm.name), "over_refusal", refused.get(arm.name)))
    store.add_measures(rows)
