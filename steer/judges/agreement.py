"""How far judges agree: confusion counts and what follows from them, α, and a gap corrected by few labels.

Counts are arrays [..., reference label, judge label], so that a bootstrap is one more axis.
`invalid` is no label: such items are counted by the caller and left out here. The formulas agree
with scikit-learn (tests/test_agreement.py). This module knows no store and no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from steer.intervals import TAIL, Array, Interval, PairedRates, contrast_interval, paired_rates
from steer.types import JUDGED, Judged

KINDS: tuple[Judged, ...] = tuple(label for label in JUDGED if label != "invalid")

RESAMPLES = 2000


def confusion(reference: Sequence[Judged], judge: Sequence[Judged]) -> Array:
    """Counts [4, 4] of label pairs, in the order of KINDS."""
    counts = np.zeros((len(KINDS), len(KINDS)))
    for first, second in zip(reference, judge, strict=True):
        counts[KINDS.index(first), KINDS.index(second)] += 1
    return counts


def collapse(counts: Array) -> Array:
    """Hits against the rest: [..., 2, 2]."""
    one = KINDS.index("hit")
    rest = [k for k in range(counts.shape[-1]) if k != one]
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
    """Share of the reference's hits that the judge found."""
    two = collapse(counts)
    return _ratio(two[..., 0, 0], two[..., 0, :].sum(-1))


def specificity(counts: Array) -> Array:
    """Share of what the reference calls no hit that the judge called so too."""
    two = collapse(counts)
    return _ratio(two[..., 1, 1], two[..., 1, :].sum(-1))


def rate_error(counts: Array) -> Array:
    """Judge's hit rate minus the reference's, a fraction."""
    two = collapse(counts)
    return _ratio(two[..., 0].sum(-1) - two[..., 0, :].sum(-1), two.sum((-1, -2)))


def _ratio(top: ArrayLike, bottom: ArrayLike) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.true_divide(top, bottom)


def interval(scenarios: Array, figure: Callable[[Array], Array]) -> Interval | None:
    """95 % interval of a figure of counts [scenario, 4, 4]; None where the figure is not defined.

    The scenario is the unit: each gets an exponential weight (the Bayesian bootstrap, Rubin 1981). One
    further scenario stands in for what was not seen: all its labels are of the pair that moves the limit
    furthest out, of the labels that either judge used. For a share of single rows that is Clopper and
    Pearson's interval, for a bounded mean Gaffke's (2005, Mathematical Methods of Statistics 14:451); its
    width is never 0. For κ and F1 there is no proof: `python -m benchmarks.agreement` measures all.
    """
    total = scenarios.sum(0)
    if np.isnan(figure(total)):
        return None
    used = [k for k in range(len(KINDS)) if k < 2 or total[k].any() or total[:, k].any()]
    rows = scenarios[scenarios.sum((1, 2)) > 0][:, used][:, :, used]
    weights = np.random.default_rng(0).exponential(size=(RESAMPLES, len(rows) + 1))
    cells = len(used) ** 2
    unseen = np.eye(cells).reshape(cells, len(used), len(used)) * total.sum() / len(rows)
    seen = np.tensordot(weights[:, :-1], rows, axes=1)
    drawn = figure(seen[:, None] + weights[:, -1, None, None, None] * unseen)
    lower, upper = np.quantile(drawn, [TAIL, 1 - TAIL], axis=0)
    return float(lower.min()), float(upper.max())


def alpha(units: Sequence[Sequence[Judged | None]]) -> float | None:
    """Krippendorff's α for nominal labels, by `krippendorff`.

    units: per item, what each judge said (None: nothing). Items with fewer than two labels count
    for nothing; None if no item has two, or all labels are equal.
    """
    import krippendorff

    counts = np.array([[unit.count(kind) for kind in KINDS] for unit in units]).reshape(-1, len(KINDS))
    counts = counts[counts.sum(1) > 1]
    if (counts.sum(0) > 0).sum() < 2:
        return None
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


NEEDED = 12
"""Scenarios with labels, in either arm, below which a gap is not corrected."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A gap in points by the judge alone (`raw`) and corrected by labels, with 95 % intervals.

    points, ci: None with the reason where there are too few labels. labelled: labels of the reference per
    arm; disagreements: how many of them the judge missed.
    """

    raw: float
    raw_ci: Interval
    points: float | None
    ci: Interval | None
    labelled: tuple[int, int]
    disagreements: tuple[int, int]
    reason: str = ""


Row = tuple[str, int]
"""(scenario, sample)"""

Said = Mapping[Row, bool]
"""Whether a row is a hit."""


def corrected_gap(judge: tuple[Said, Said], labels: tuple[Said, Said]) -> Corrected | None:
    """The difference (prediction-powered) estimator of a gap of hit rates.

    judge: per arm (first, second), for every row, whether the judge called it a hit. labels:
    the same by the reference, for some rows, drawn at random within an arm. Per arm
    rate = mean_all f + mean_labelled (y - f) (Angelopoulos et al. 2023, eq. 2; Särndal et al. 1992,
    the difference estimator); gap = first - second. The variance sums each scenario's whole
    influence, so that rows of one scenario, and f with its own correction, may be correlated:
    u_i = sum over arms of ± [(f - mean f)/N + (r - mean r)/n], Var = m/(m - 1) Σ u_i² + Σ 1/(2 n²); t
    quantile with the fewer labelled scenarios less one. The last sum is half a disagreement an arm: few
    labels that all agree do not say that none of the others would differ. With fewer than `NEEDED`
    labelled scenarios in an arm nothing is corrected. None where an arm has no label or one row.

    The interval covers 94 % or more from there on (`python -m benchmarks.agreement`).
    """
    from scipy.stats import t

    counted = [[row for row in known if row in said] for said, known in zip(judge, labels, strict=True)]
    if not all(counted) or min(map(len, judge)) < 2:
        return None
    influence: dict[str, float] = {}
    points = unseen = 0.0
    missed: list[int] = []
    for sign, said, known, rows in zip((1, -1), judge, labels, counted, strict=True):
        mean = sum(said.values()) / len(said)
        residuals = {row: float(known[row]) - float(said[row]) for row in rows}
        shift = sum(residuals.values()) / len(rows)
        points += sign * (mean + shift)
        unseen += 1 / (2 * len(rows) ** 2)
        missed.append(sum(r != 0 for r in residuals.values()))
        for row, f in said.items():
            influence[row[0]] = influence.get(row[0], 0.0) + sign * (f - mean) / len(said)
        for row, r in residuals.items():
            influence[row[0]] += sign * (r - shift) / len(rows)
    raw = contrast_interval(_rates(judge), (1, -1))
    assert raw is not None
    labelled = [len({scenario for scenario, _ in rows}) for rows in counted]
    few = min(labelled) < NEEDED
    m = len(influence)
    variance = m / (m - 1) * sum(u * u for u in influence.values()) + unseen
    half = 0.0 if few else float(t.ppf(1 - TAIL, min(labelled) - 1)) * variance**0.5
    return Corrected(
        100 * raw[0],
        _points(raw[1]),
        None if few else 100 * points,
        None if few else _points((points - half, points + half)),
        (len(counted[0]), len(counted[1])),
        (missed[0], missed[1]),
        f"needs labels on {NEEDED} scenarios of either arm" if few else "",
    )


def gap_error(judge: tuple[Said, Said], reference: tuple[Said, Said]) -> tuple[float, Interval]:
    """The judge's gap minus the reference's in points, all four on the same rows, with its interval."""
    found = contrast_interval(_rates((*judge, *reference)), (1, -1, -1, 1))
    assert found is not None
    return 100 * found[0], _points(found[1])


def _rates(arms: Sequence[Said]) -> PairedRates:
    place = {scenario: i for i, scenario in enumerate(dict.fromkeys(row[0] for said in arms for row in said))}
    hits, trials = np.zeros((2, len(place), len(arms)))
    for arm, said in enumerate(arms):
        for (scenario, _), hit in said.items():
            hits[place[scenario], arm] += hit
            trials[place[scenario], arm] += 1
    return paired_rates(hits, trials)


def _points(ci: Interval) -> Interval:
    return 100 * ci[0], 100 * ci[1]
