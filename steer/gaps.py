"""Gaps: differences of hit rates between two arms on the same scenarios, in percentage points.

Over all pairs the interval is Tango's paired score interval (with few pairs joined with Bonett and
Price's). Over valid rows, where the arms' denominators differ, and with several samples a scenario, it
is MOVER on exact limits (`steer.intervals.contrast`): the percentile bootstrap stratified by category
stands beside it, narrower, but it covers too little near the floor. Neither interval uses the categories
to narrow itself, which makes them conservative where categories differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from steer.intervals import Array, Interval, contrast_interval, paired_interval, paired_rates
from steer.outcomes import LABELLED, UNLABELLED, VALID, Counts, Flags, Table, tabulate
from steer.resampling import bootstrap_weights, percentile_interval, resampled_rates
from steer.significance import holm, sign_flip_p
from steer.types import Outcome

SEED = 0
"""Of the bootstrap beside the interval over valid rows."""


@dataclass(frozen=True, slots=True)
class Gap:
    """First minus second arm. points, ci and bounds are percentage points; None means no estimate.

    No row with a label under either arm: no estimate of any kind.
    pairs: rows (scenario, sample) that both arms have; missing_pairs: rows that only one has.
    unlabelled_pairs: pairs in which a side got no label (invalid, truncated, failed).
    points_all, ci_all: over pairs, unlabelled rows counted as no hits; bounds_all: what
        points_all could become if missing and unlabelled rows had gone all one way or all the other.
    points_valid, ci_valid, ci_valid_bootstrap: over the valid rows of either arm among the pairs.
    only_first, only_second: discordant pairs (hits against everything else). p: exact
        McNemar on them; with several samples a scenario, the exact sign-flip test of the scenarios.
    valid_pairs, p_valid: the same test on pairs valid in both. p_holm: p corrected for all gaps
        printed together.
    wrong_way: scenarios valid in both that moved against the gap's intended (first > second) sign.
    cannot_move: scenarios that are hits under every arm of the run.
    macro_valid, macro_all: the unweighted mean of the categories' gaps, in points, over the
        macro_categories that have an estimate.
    """

    first: str
    second: str
    pairs: int
    missing_pairs: int
    unlabelled_pairs: int
    points_valid: float | None
    ci_valid: Interval | None
    ci_valid_bootstrap: Interval | None
    points_all: float | None
    ci_all: Interval | None
    bounds_all: Interval | None
    only_first: int
    only_second: int
    p: float | None
    p_holm: float | None
    valid_pairs: int
    p_valid: float | None
    wrong_way: int
    cannot_move: int
    macro_valid: float | None
    macro_all: float | None
    macro_categories: int


def gaps(outcomes: Sequence[Outcome], pairs: Sequence[tuple[str, str]]) -> list[Gap]:
    """The gap of each (first, second) pair of arms, in that order, Holm-corrected over all of them."""
    table = tabulate(outcomes)
    weights = bootstrap_weights(table.categories, seed=SEED)
    found = [_gap(table, first, second, weights) for first, second in pairs]
    corrected = holm([one.p for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]


def gap(outcomes: Sequence[Outcome], first: str, second: str) -> Gap:
    """One gap; p_holm equals p."""
    return gaps(outcomes, [(first, second)])[0]


def _gap(table: Table, first: str, second: str, weights: Array) -> Gap:
    columns = [table.arms.index(first), table.arms.index(second)]
    present, valid = ~table.has("missing")[:, columns], table.has(*VALID)[:, columns]
    unlabelled, hit = table.has(*UNLABELLED)[:, columns], table.has("hit")[:, columns]
    paired = present[:, 0] & present[:, 1]
    both = paired[:, None]
    hits, trials = table.count(hit & both), table.count(valid & both)
    labelled = table.has(*LABELLED)[:, columns] & both
    everything = table.count(np.broadcast_to(both, hit.shape)) * labelled.any(0)
    change = hit[:, 0].astype(np.int64) - hit[:, 1]
    valid_both = valid[:, 0] & valid[:, 1]
    points_all, ci_all = _difference(hits, everything)
    points_valid, ci_valid = _difference(hits, trials)
    drawn = resampled_rates(weights, hits, trials)
    macro = [_points(hits[rows], trials[rows]) for rows in _categories(table)]
    told = table.count(labelled)
    macro_all = [_points(hits[r], everything[r] * told[r].any(0)) for r in _categories(table)]
    known = [points for points in macro if points is not None]
    known_all = [points for points in macro_all if points is not None]
    return Gap(
        first=first,
        second=second,
        pairs=int(paired.sum()),
        missing_pairs=int(((present[:, 0] | present[:, 1]) & ~paired).sum()),
        unlabelled_pairs=int(((unlabelled[:, 0] | unlabelled[:, 1]) & paired).sum()),
        points_valid=points_valid,
        ci_valid=ci_valid,
        ci_valid_bootstrap=percentile_interval(100 * (drawn[:, 0] - drawn[:, 1])),
        points_all=points_all,
        ci_all=ci_all,
        bounds_all=_bounds(hit, present & ~unlabelled, (present[:, 0] | present[:, 1])),
        only_first=int((change[paired] > 0).sum()),
        only_second=int((change[paired] < 0).sum()),
        p=None if points_all is None else sign_flip_p(table.count(change * paired)),
        p_holm=None,
        valid_pairs=int(valid_both.sum()),
        p_valid=sign_flip_p(table.count(change * valid_both)) if valid_both.any() else None,
        wrong_way=int((table.count(change * valid_both) < 0).sum()),
        cannot_move=int(_stuck(table).sum()),
        macro_valid=float(np.mean(known)) if known else None,
        macro_all=float(np.mean(known_all)) if known_all else None,
        macro_categories=len(known),
    )


@dataclass(frozen=True, slots=True)
class Movement:
    """Scenarios of a category by how they moved under a gap; n: those that either arm has a row of.

    right_way, wrong_way: valid in both, hits more often under the first, the second. cannot_move:
    hits under every arm of `outcomes`.
    """

    n: int
    right_way: int
    wrong_way: int
    cannot_move: int


def movement(outcomes: Sequence[Outcome], first: str, second: str) -> dict[str, Movement]:
    """{category: how its scenarios moved}; summed over categories, a Gap's wrong_way and cannot_move."""
    table = tabulate(outcomes)
    columns = [table.arms.index(first), table.arms.index(second)]
    present, valid = ~table.has("missing")[:, columns], table.has(*VALID)[:, columns]
    hit = table.has("hit")[:, columns]
    change = hit[:, 0].astype(np.int64) - hit[:, 1]
    moved = table.count(change * (valid[:, 0] & valid[:, 1]))
    asked = table.count(present[:, 0] | present[:, 1]) > 0
    stuck = _stuck(table)
    return {
        category: Movement(
            n=int(asked[rows].sum()),
            right_way=int((moved[rows] > 0).sum()),
            wrong_way=int((moved[rows] < 0).sum()),
            cannot_move=int(stuck[rows].sum()),
        )
        for category, rows in zip(sorted(set(table.categories)), _categories(table), strict=True)
    }


def _points(hits: Counts, trials: Counts) -> float | None:
    """First minus second rate, in points, from counts [scenario, 2]."""
    first, second = (int(total) for total in trials.sum(0))
    if first == 0 or second == 0:
        return None
    return 100 * float(hits[:, 0].sum() / first - hits[:, 1].sum() / second)


def _difference(hits: Counts, trials: Counts) -> tuple[float, Interval] | tuple[None, None]:
    """`_points` with its interval: Tango's where every pair counts once in both, MOVER otherwise."""
    points = _points(hits, trials)
    if points is None:
        return None, None
    if (trials[:, 0] == trials[:, 1]).all() and trials.max() == 1:
        change = hits[:, 0] - hits[:, 1]
        ci = paired_interval(int((change > 0).sum()), int((change < 0).sum()), int(trials[:, 0].sum()))
    else:
        found = contrast_interval(paired_rates(hits, trials), (1, -1))
        ci = found and found[1]
    return (points, (100 * ci[0], 100 * ci[1])) if ci else (None, None)


def _bounds(hit: Flags, labelled: Flags, rows: Flags) -> Interval | None:
    """Points over `rows` if what got no label had gone all against, or all for, the first arm."""
    if not rows.any():
        return None
    least, most = (hit & labelled)[rows], (hit | ~labelled)[rows]
    low = least[:, 0].mean() - most[:, 1].mean()
    high = most[:, 0].mean() - least[:, 1].mean()
    return 100 * float(low), 100 * float(high)


def _stuck(table: Table) -> Flags:
    """Per scenario: hits under every arm."""
    hit, present = table.count(table.has("hit")), table.count(~table.has("missing"))
    return ((hit == present) & (present > 0)).all(axis=1)


def _categories(table: Table) -> list[Flags]:
    names = np.asarray(table.categories, dtype=object)
    return [names == category for category in sorted(set(table.categories))]
