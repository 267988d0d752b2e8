"""How far an arm is from the unsteered model, turn by turn.

Conversations part once an answer differs, so all arms are read in the baseline's: its texts, with the arm's
suffix in them and its additions at its turns, and the baseline's own answer of the turn fed as if the arm had
chosen it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from experiments.measures import subject
from experiments.session import Session
from experiments.turns.talks import Held, Talk, prompt_of
from steer.side_effects import DRIFT_TOKENS, Divergence
from steer.store import RunStore
from steer.store.rows import unpack
from steer.types import ScoreRow

AT_ONCE = 24
"""Conversations whose log-probabilities are kept at a time."""


def measure_drift_by_turn(
    session: Session,
    store: RunStore,
    held: Sequence[Held],
    talks: Mapping[str, Talk],
    turns: int,
    fade: float,
) -> None:
    """Mean KL(unsteered || arm) in nats a token, of each arm in each turn, kept in the store.

    held: the baseline first. talks: the baseline's own, by scenario. What is stored is not measured again.
    """
    baseline, *arms = held
    known = store.measures("drift")
    with session.screen.progress(drift=turns * len(arms)) as tick:
        for turn in range(1, turns + 1):
            answers = _answers(store, baseline.at(turn))
            missing = [one for one in arms if subject(one.at(turn)) not in known]
            if answers and missing:
                found = drift_of(session, [baseline, *missing], talks, answers, turn, fade)
                store.add_measures([(subject(one.at(turn)), "drift", found[one.at(turn)]) for one in missing])
            tick("drift", len(arms))


def drift_of(
    session: Session,
    held: Sequence[Held],
    talks: Mapping[str, Talk],
    answers: Mapping[str, tuple[int, ...]],
    turn: int,
    fade: float,
) -> dict[str, float]:
    """Nats a token by arm's name in a turn. answers: scenario -> the ids that the baseline began with.

    Not a number where a conversation with the arm's suffixes is longer than the model has positions for.
    """
    found = {one.at(turn): 0.0 for one in held}
    window, scenarios = session.loaded.window, list(answers)
    for start in range(0, len(scenarios), AT_ONCE):
        rows = {
            one.at(turn): [
                ScoreRow(ids, answers[scenario], additions, beside=index)
                for index, scenario in enumerate(scenarios[start : start + AT_ONCE])
                for ids, additions in [prompt_of(session, one, talks[scenario], turn, fade)]
            ]
            for one in held
        }
        paths = tuple(rows.pop(held[0].at(turn)))
        for name in [name for name, some in rows.items() if not all(fits(row, window) for row in some)]:
            found[name] = math.nan
            del rows[name]
        flat = [(name, row) for name, some in rows.items() for row in some]
        scored = session.engine.score((row for _, row in flat), Divergence(paths))
        for (name, _), nats in zip(flat, scored, strict=True):
            found[name] += float(nats)
    tokens = sum(map(len, answers.values()))
    return {name: nats / tokens for name, nats in found.items()}


def fits(row: ScoreRow, window: int) -> bool:
    return not window or len(row.prompt_ids) + len(row.answer_ids) <= window


def _answers(store: RunStore, arm: str) -> dict[str, tuple[int, ...]]:
    """Scenario -> the first tokens of what was answered."""
    sql = """SELECT p.scenario, r.output_ids FROM plan p JOIN responses r ON r.key = p.response
        WHERE p.arm = ? AND r.finish != 'failed' ORDER BY p.scenario"""
    found = {scenario: unpack(output)[:DRIFT_TOKENS] for scenario, output in store.query(sql, (arm,))}
    return {scenario: answer for scenario, answer in found.items() if answer}
