"""Measures of a run with a narrow task, beside those every run has: relevance, and held-out loss.

Kept in the run's store, each arm once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.emergent.narrow import Pair, as_scenarios, examples
from experiments.measures import subject
from experiments.session import Session
from steer.chat import render
from steer.plan import prompt_texts
from steer.relevance import relevance
from steer.side_effects import mean_nll
from steer.store import RunStore
from steer.types import Arm, ScoreRow


def measure_relevance(session: Session, store: RunStore, arms: Sequence[Arm]) -> None:
    """Per arm over all items, as `steer.relevance` has it: `relevance` (match), `relevance_cosine`, each
    beside its figure for other questions (`_shuffled`), and `relevance_above`."""
    known = store.measures("relevance")
    missing = [arm for arm in arms if subject(arm.name) not in known]
    if not missing:
        return
    session.screen.note(f"relevance of the answers of {len(missing)} arms, by the unsteered model")
    questions = {s.id: f"{s.system}\n{s.user}".strip() for s in session.scenarios}
    answers: dict[str, dict[str, str]] = {}
    for name in ["baseline", *(arm.name for arm in missing)]:
        answers[name] = {row.scenario: row.answer for row in store.rows(session.judge.name, arm=name)}
    found = relevance(session.loaded, questions, answers)
    rows: list[tuple[str, str, float | None]] = []
    for arm in missing:
        one = found[arm.name]
        rows += [
            (subject(arm.name), "relevance", one.match),
            (subject(arm.name), "relevance_shuffled", one.match_shuffled),
            (subject(arm.name), "relevance_cosine", one.cosine),
            (subject(arm.name), "relevance_cosine_shuffled", one.cosine_shuffled),
            (subject(arm.name), "relevance_above", one.above),
        ]
    store.add_measures(rows)


def measure_held_out(session: Session, store: RunStore, arms: Sequence[Arm], held: Sequence[Pair]) -> None:
    """Per arm on the held-out narrow items: nats a token of the unwanted answer (`held_out_nll`), and the
    share of items whose unwanted answer is likelier a token than the wanted one (`held_out_prefers`)."""
    known = store.measures("held_out_nll")
    missing = [arm for arm in arms if subject(arm.name) not in known]
    texts = examples(session.loaded, held)
    items = as_scenarios(held)

    with session.screen.progress(held_out=len(missing)) as tick:
        for arm in missing:
            rows: list[ScoreRow] = []
            for scenario, example in zip(items, texts, strict=True):
                texts_sent = prompt_texts(scenario, arm, session.loaded.context)
                prompt = render(session.loaded, *texts_sent, thinking=session.thinking)
                rows += [
                    ScoreRow(prompt, answer, arm.additions, arm.adapter)
                    for answer in (example.unwanted_ids, example.wanted_ids)
                ]
            nll = [float(value) for value in session.engine.score(rows, mean_nll)]
            unwanted, wanted = nll[0::2], nll[1::2]
            prefers = sum(u < w for u, w in zip(unwanted, wanted, strict=True)) / len(held)
            if not all(map(math.isfinite, nll)):  # a comparison with what is no number says nothing
                prefers = math.nan
            store.add_measures(
                [
                    (subject(arm.name), "held_out_nll", sum(unwanted) / len(held)),
                    (subject(arm.name), "held_out_prefers", prefers),
                ]
            )
            tick("held_out", 1)
