"""How far judges agree: confusion counts and what follows from them, α, and a gap corrected by few labels.

Counts are arrays [..., reference label, judge label], so that a bootstrap is one more axis.
`invalid` is no label: such items are counted by the caller and left out here. The formulas agree
with scikit-learn and `krippendorff` (tests/test_agreement.py). This module knows no store and no files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steer.types import LABELS, Label

Array = NDArray[np.float64]
KINDS: tuple[Label, ...] = tuple(label for label in LABELS if label != "invalid")


def confusion(reference: Sequence[Label], judge: Sequence[Label]) -> Array:
    """Counts [4, 4] of label pairs, in the order of KINDS."""
    counts = np.zeros((len(KINDS), len(KINDS)))
    for first, second in zip(reference, judge, strict=True):
        counts[KINDS.index(first), KINDS.index(second)] += 1
    return counts


def collapse(counts: Array) -> Array:
    """Convergence against the rest: [..., 2, 2]."""
    one = KINDS.index("convergence")
    rest = [k for k in range(len(KINDS)) if k != one]
    groups = ([one], rest)
    return np.stack(
        [np.stack([counts[..., a, :][..., b].sum((-1, -2)) for b in groups], -1) for a in groups], -2
    )


def accuracy(counts: Array) -> Array:
    """Share of equal labels; NaN without items."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum((-1, -2)))


def kappa(counts: Array) -> Array:
    """Cohen's κ (1960): (p_o - p_e) / (1 - p_e); NaN where both only ever use one label."""
    n = counts.sum((-1, -2))
    expected = _ratio((counts.sum(-1) * counts.sum(-2)).sum(-1), n * n)
    return _ratio(accuracy(counts) - expected, 1 - expected)


def macro_f1(counts: Array) -> Array:
    """Mean F1 over the labels that either used."""
    both = counts.sum(-1) + counts.sum(-2)
    f1 = _ratio(2 * np.diagonal(counts, axis1=-2, axis2=-1), both)
    return _ratio(np.nansum(f1, -1), (both > 0).sum(-1).astype(float))


def sensitivity(counts: Array) -> Array:
    """Share of the reference's convergence that the judge found."""
    two = collapse(counts)
    return _ratio(two[..., 0, 0], two[..., 0, :].sum(-1))


def specificity(counts: Array) -> Array:
    """Share of what the reference calls no convergence that the judge called so too."""
    two = collapse(counts)
    return _ratio(two[..., 1, 1], two[..., 1, :].sum(-1))


def rate_error(counts: Array) -> Array:
    """Judge's convergence rate minus the reference's, a fraction."""
    two = collapse(counts)
    return _ratio(two[..., 0].sum(-1) - two[..., 0, :].sum(-1), two.sum((-1, -2)))


def _ratio(top: ArrayLike, bottom: ArrayLike) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.true_divide(top, bottom)


def alpha(units: Sequence[Sequence[Label | None]]) -> float | None:
    """Krippendorff's α for nominal labels: 1 - D_o / D_e over the coincidences within units.

    units: per item, what each judge said (None: nothing). Items with fewer than two labels count
    for nothing; None if no item has two, or all labels are equal.
    """
    weights: dict[tuple[Label, Label], float] = {}
    for unit in units:
        given: Counter[Label] = Counter(label for label in unit if label is not None)
        m = sum(given.values())
        if m < 2:
            continue
        for a, x in given.items():
            for b, y in given.items():
                weights[a, b] = weights.get((a, b), 0.0) + x * (y - (a == b)) / (m - 1)
    totals: dict[Label, float] = {}
    for (a, _), value in weights.items():
        totals[a] = totals.get(a, 0.0) + value
    n = sum(totals.values())
    expected = sum(totals[a] * totals[b] for a in totals for b in totals if a != b) / (n - 1) if n > 1 else 0
    if not expected:
        return None
    return 1 - sum(value for (a, b), value in weights.items() if a != b) / expected


@dataclass(frozen=True, slots=True)
class Corrected:
    """A gap in points by the judge alone (`raw`) and corrected by labels, with 95 % intervals.

    labelled: labels of the reference per arm; disagreements: how many of them the judge missed.
    """

    raw: float
    raw_ci: tuple[float, float]
    points: float
    ci: tuple[float, float]
    labelled: tuple[int, int]
    disagreements: tuple[int, int]


Row = tuple[str, int]
"""(scenario, sample)"""


def corrected_gap(
    judge: tuple[Mapping[Row, bool], Mapping[Row, bool]],
    labels: tuple[Mapping[Row, bool], Mapping[Row, bool]],
) -> Corrected | None:
    """The difference (prediction-powered) estimator of a gap of convergence rates.

    judge: per arm (first, second), for every row, whether the judge called it convergence. labels:
    the same by the reference, for some rows, drawn at random within an arm. Per arm
    rate = mean_all f + mean_labelled (y - f) (Angelopoulos et al. 2023, eq. 2; Särndal et al. 1992,
    the difference estimator); gap = first - second. The variance sums each scenario's whole
    influence, so that rows of one scenario, and f with its own correction, may be correlated:
    u_i = sum over arms of ± [(f - mean f)/N + (r - mean r)/n], Var = m/(m - 1) Σ u_i²; t quantile
    with the fewer labels less one. None with fewer than two labels in an arm.
    """
    from scipy.stats import t

    counted = [[row for row in known if row in said] for said, known in zip(judge, labels, strict=True)]
    if min(map(len, counted)) < 2 or min(map(len, judge)) < 2:
        return None
    raw_influence: dict[str, float] = {}
    influence: dict[str, float] = {}
    raw = points = 0.0
    missed: list[int] = []
    for sign, said, known, rows in zip((1, -1), judge, labels, counted, strict=True):
        mean = sum(said.values()) / len(said)
        residuals = {row: float(known[row]) - float(said[row]) for row in rows}
        shift = sum(residuals.values()) / len(rows)
        raw += sign * mean
        points += sign * (mean + shift)
        missed.append(sum(r != 0 for r in residuals.values()))
        for row, f in said.items():
            part = sign * (f - mean) / len(said)
            raw_influence[row[0]] = raw_influence.get(row[0], 0.0) + part
            influence[row[0]] = influence.get(row[0], 0.0) + part
        for row, r in residuals.items():
            influence[row[0]] += sign * (r - shift) / len(rows)

    def interval(centre: float, parts: Mapping[str, float], df: int) -> tuple[float, float]:
        m = len(parts)
        half = float(t.ppf(0.975, df)) * (m / (m - 1) * sum(u * u for u in parts.values())) ** 0.5
        return 100 * (centre - half), 100 * (centre + half)

    return Corrected(
        100 * raw,
        interval(raw, raw_influence, len(raw_influence) - 1),
        100 * points,
        interval(points, influence, min(map(len, counted)) - 1),
        (len(counted[0]), len(counted[1])),
        (missed[0], missed[1]),
    )
