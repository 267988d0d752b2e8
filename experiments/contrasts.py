"""Weighted sums of hit rates over arms on the same scenarios: differences of gaps, means of gaps.

Points are percentage points. `over` says which rows a rate is of: "all" rows, or each arm's "valid" rows.
Only rows (scenario, sample) that every arm of the contrast has are used. It knows outcomes, no models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from steer.intervals import PairedRates, contrast_interval, paired_rates
from steer.outcomes import LABELLED, VALID, Counts, Table, tabulate
from steer.results import Estimate, GapDifference
from steer.significance import sign_flip_p
from steer.types import Outcome

Over = Literal["valid", "all"]
Pair = tuple[str, str]


def shared_counts(table: Table, over: Over) -> tuple[Counts, Counts]:
    """Hits and counted rows [scenario, arm], over the rows that every arm of the table has.

    An arm without a label on any of them has nothing to count.
    """
    shared = ~table.has("missing").any(axis=1, keepdims=True)
    told = (table.has(*LABELLED) & shared).any(axis=0)
    counted = table.has(*VALID) if over == "valid" else ~table.has("missing") & told
    return table.count(table.has("hit") & shared), table.count(counted & shared)


def rates_of(outcomes: Sequence[Outcome], arms: Sequence[str], over: Over) -> PairedRates:
    """Paired rates of the arms, in the order given."""
    return paired_rates(*shared_counts(tabulate(outcomes, arms), over))


def weighted(rates: PairedRates, weights: Sequence[float]) -> Estimate | None:
    """The weighted sum of rates in points; None where an arm has no rows to estimate from."""
    found = contrast_interval(rates, weights)
    return found and Estimate(100 * found[0], (100 * found[1][0], 100 * found[1][1]))


def mean_gap(outcomes: Sequence[Outcome], pairs: Sequence[Pair], over: Over) -> Estimate | None:
    """The gap of several (first, second) pairs pooled: what an untuned paraphrase can be expected to do.

    A scenario's pairs are pooled as its samples are, for they share what is hard about it: taken as
    arms apart, several that all are hits would look like as many scenarios.
    """
    table = tabulate(outcomes, list(dict.fromkeys(arm for pair in pairs for arm in pair)))
    hits, trials = shared_counts(table, over)
    columns = [[table.arms.index(pair[side]) for pair in pairs] for side in (0, 1)]
    pooled = [np.stack([counts[:, part].sum(1) for part in columns], axis=1) for counts in (hits, trials)]
    return weighted(paired_rates(*pooled), (1, -1))


def gap_difference(outcomes: Sequence[Outcome], first: Pair, second: Pair) -> GapDifference:
    """How much further the first pair of arms is apart than the second, on the same scenarios."""
    # An arm may stand in both gaps (the baseline does): its weights are added up.
    weights: dict[str, int] = {}
    for arm, weight in zip((*first, *second), (1, -1, -1, 1), strict=True):
        weights[arm] = weights.get(arm, 0) + weight
    weights = {arm: weight for arm, weight in weights.items() if weight}
    table = tabulate(outcomes, list(weights))
    columns = np.array(list(weights.values()))
    change = (table.has("hit") * columns).sum(1)
    present = ~table.has("missing").any(1)
    by_over = {
        over: weighted(paired_rates(*shared_counts(table, over)), columns.tolist())
        for over in ("all", "valid")
    }
    return GapDifference(
        first=first,
        second=second,
        rows=int(present.sum()),
        over_all=by_over["all"],
        over_valid=by_over["valid"],
        p=None if by_over["all"] is None else sign_flip_p(table.count(change * present)),
    )
