"""What a run over turns says: rates by turn, gaps against the baseline of the same turn, half-lives."""

from __future__ import annotations

from collections.abc import Iterator

from steer.results import Result
from steer.results.turns import HeldArm, Turns
from steer.show import words
from steer.show.table import Headline, Section, Table


def headline(found: Turns) -> Headline:
    """Which effect fades, and how fast."""
    said = [f"{one.arm}: half-life {half_life(one)}" for one in found.arms[1:]]
    return Headline(
        f"Over {found.turns} turns, {found.follow_ups} follow-ups.", tuple(f"{one}." for one in said)
    )


def turn_sections(result: Result, found: Turns) -> Iterator[Section]:
    """Three tables: effects with how long they last, rates, and what it does besides."""
    noun = words.capital(result.task.words.noun)
    turns = tuple(f"turn {turn}" for turn in range(1, found.turns + 1))
    yield Section(
        "turns",
        "Effect by turn",
        "Gap against the baseline of the same turn, points of all, paired. Half-life: turns in which a "
        "constant factor a turn halves the gap.",
        Table(
            ("arm", *turns, "half-life"),
            tuple(
                (one.arm, *_padded(found, [words.gap(g)[0] for g in one.gaps]), half_life(one))
                for one in found.arms[1:]
            ),
        ),
        f"{found.left_out} conversations ended early, for want of an answer." if found.left_out else "",
    )
    yield Section(
        "turn-rates",
        f"{noun} %, of all, by turn; refusals and nonsense in brackets",
        table=Table(
            ("arm", *turns),
            tuple(
                (one.arm, *_padded(found, [_rates(result, name) for name in one.arms])) for one in found.arms
            ),
        ),
        part=True,
    )
    yield Section(
        "turn-drift",
        "Drift by turn, nats a token",
        "KL from the unsteered model in the baseline's own conversation, the arm's suffix and vector in it.",
        Table(
            ("arm", *turns),
            tuple(
                (one.arm, *_padded(found, [_drift(result, n) for n in one.arms])) for one in found.arms[1:]
            ),
        ),
        part=True,
    )


def _padded(found: Turns, cells: list[str]) -> list[str]:
    return cells + [words.NONE] * (found.turns - len(cells))


def _rates(result: Result, name: str) -> str:
    arm = result.arms[name]
    return (
        f"{words.rate(arm.rate_all, arm.rate_all_ci)} ({words.percent(arm.refusal_valid)}, "
        f"{words.percent(arm.broken_all)})"
    )


def _drift(result: Result, name: str) -> str:
    drift = result.arms[name].measures.get("drift")
    return words.NONE if drift is None else words.fixed(drift, 3)


def half_life(one: HeldArm) -> str:
    """With its interval; endless where the effect need not fade."""
    found = one.half_life
    if found is None:
        return "no clear effect at first"
    if found.ci is None:
        return "no constant factor a turn fits"
    return f"{_turns(found.turns)} [{', '.join(map(_turns, found.ci))}]"


def _turns(value: float | None) -> str:
    return "endless" if value is None else words.fixed(value)
