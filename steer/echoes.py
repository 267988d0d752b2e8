"""Answers that repeat a suffix give their arm away, even to a judge that is told nothing of arms.

How many there are by arm, and the gaps without them. It does not know judges beyond their names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from steer import metrics
from steer.intervals import Interval
from steer.store import RunStore
from steer.suffixes import five_grams
from steer.types import Outcome

Key = tuple[str, str, int]
"""(arm, scenario, sample)"""


@dataclass(frozen=True, slots=True)
class Echoes:
    """Rows whose answer repeats five words in a row of any suffix of the run, and their share by arm."""

    rows: frozenset[Key]
    shares: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class WithoutEcho:
    """A gap over all items, and over the `n` items where neither arm's answer echoes a suffix."""

    n: int
    points_all: float | None
    ci_all: Interval | None
    points_all_with_echo: float | None


def echoes(store: RunStore) -> Echoes:
    """Shares are of answers that hold anything; None where none does."""
    texts: dict[str, str] = store.meta_json("suffix_texts", {})
    suffixes = set[tuple[str, ...]]().union(*(five_grams(text) for text in texts.values()))
    found: set[Key] = set()
    answered: Counter[str] = Counter()
    sql = """SELECT p.scenario, p.sample, r.answer FROM scenarios s CROSS JOIN plan p ON p.scenario = s.id
             JOIN responses r ON r.key = p.response WHERE p.arm = ? AND r.answer != ''"""
    for arm in store.arms():
        for scenario, sample, answer in store.query(sql, (arm,)):
            answered[arm] += 1
            if suffixes and not suffixes.isdisjoint(five_grams(answer)):
                found.add((arm, scenario, sample))
    counts = Counter(arm for arm, *_ in found)
    shares = {arm: counts[arm] / answered[arm] if answered[arm] else None for arm in store.arms()}
    return Echoes(frozenset(found), shares)


def gap_without(rows: Sequence[Outcome], echoed: Echoes, first: str, second: str) -> WithoutEcho:
    """The gap of `first` minus `second` with and without the items that either arm echoed."""
    both = (first, second)
    out = {(scenario, sample) for arm, scenario, sample in echoed.rows if arm in both}
    kept = [o for o in rows if o.arm in both and (o.scenario, o.sample) not in out]
    whole = metrics.gap(rows, first, second)
    rest = metrics.gap(kept, first, second) if {o.arm for o in kept} == set(both) else None
    return WithoutEcho(
        len({(o.scenario, o.sample) for o in kept}),
        rest and rest.points_all,
        rest and rest.ci_all,
        whole.points_all,
    )
