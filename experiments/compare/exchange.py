"""Exchange rate: the smallest |magnitude| at which a vector first does what a suffix does.

A dose curve is the hit rate of arms of growing |magnitude| (linear between them), starting at
magnitude 0 with the arm that lacks the vector. The target is a weighted mean of other arms' rates, on
the same scenarios. The suffix's effect is reached where the curve crosses the suffix's own rate; half
of it, where it crosses the mean of the suffix's and the baseline's; a defence is broken even where the
attacked curve crosses the baseline's. It knows outcomes, no models.

Which doses count is decided out of fold too: on the half that chose a layer, for the other half's scenarios.
So the halves may differ in their doses; past the strongest that counts, a half's curve stays level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from experiments.contrasts import Over, shared_counts
from experiments.sweep.choice import CrossFit, MeasuredCell, OutOfFold, is_coherent, members
from experiments.sweep.options import Cap
from steer.intervals import TAIL, Array, contrast, paired_rates
from steer.outcomes import tabulate
from steer.resampling import bootstrap_weights, resampled_rates
from steer.results.estimates import Dose, MatchedDose, Reached
from steer.types import Outcome

MATCHED = "matched dose"
"""The out-of-fold arm of the doses that `match_doses` chose on either half."""

NO_HALVES: Mapping[str, int] = MappingProxyType({})
"""Of a curve whose doses count for all scenarios."""

STEPS = 240
"""Points of the magnitude axis at which the interval is tested, besides the doses themselves."""


def exchange_rate(
    outcomes: Sequence[Outcome],
    doses: Sequence[Dose],
    *,
    baseline: str,
    suffix: str,
    sign: int,
    over: Over,
    half: Mapping[str, int] = NO_HALVES,
    share: float = 1.0,
) -> Reached:
    """The size at which the vector's effect first reaches `share` of the suffix's, both against baseline.

    sign: +1 where the suffix is to raise the hit rate, -1 where it is to lower it.
    """
    target = {suffix: share, baseline: 1 - share}
    return first_reach(outcomes, doses, start=baseline, target=target, sign=sign, over=over, half=half)


def first_reach(
    outcomes: Sequence[Outcome],
    doses: Sequence[Dose],
    *,
    start: str,
    target: Mapping[str, float],
    sign: int,
    over: Over,
    half: Mapping[str, int] = NO_HALVES,
) -> Reached:
    """Where the curve from `start` through the coherent doses first reaches the target (weights by arm).

    half: by scenario, needed where doses count for one half only; the curve is then the mean of the halves'
    own, weighted by their rows.

    The interval is the set of sizes at which "the curve is at the target" is not rejected (Fieller's
    way, with the paired interval of `steer.intervals.contrast`): from the first size not significantly
    short of the target to the first one significantly beyond. A percentile bootstrap of the crossing
    covers too little on flat curves (`benchmarks/results/calibration.json`). The share that never
    reaches the target is of resamples of the scenarios, stratified by category and joint for all arms;
    where it is over 2.5 %, or no size is significantly beyond, there is no upper limit.
    """
    curves = [sorted((d for d in doses if d.coherent[n]), key=lambda dose: dose.size) for n in (0, 1)]
    if not all(curves):
        return Reached(None, None, None, None, None, "no coherent cell on the curve")
    names = [start, *dict.fromkeys(dose.arm for curve in curves for dose in curve)]
    arms = list(dict.fromkeys([*names, *target]))
    sizes = np.unique([0.0, *(dose.size for curve in curves for dose in curve)])
    goal = np.array([target.get(arm, 0.0) for arm in arms])
    table = tabulate(outcomes, arms)
    hits, trials = shared_counts(table, over)
    # Halves with the same doses are one part; otherwise each part has its own columns [part, arm] of rates.
    where = np.array([half.get(scenario, 0) for scenario in table.scenarios])
    parts = [(where == n, curves[n]) for n in (0, 1) if (where == n).any()]
    if curves[0] == curves[1]:
        parts = [(where >= 0, curves[0])]
    weights = [trials[part, 0].sum() / max(1, trials[:, 0].sum()) for part, _ in parts]
    hits, trials = (
        np.concatenate([counts * part[:, None] for part, _ in parts], axis=1) for counts in (hits, trials)
    )
    rates = paired_rates(hits, trials)
    if np.isnan(rates.value).any():
        return Reached(None, None, None, None, None, "an arm has no row with a label")
    # [size, part and arm]: weights of the rates, whose sum is >= 0 where the target is reached
    excess = np.concatenate(
        [
            weight * sign * (_levels(curve, start, arms, sizes) - goal)
            for weight, (_, curve) in zip(weights, parts, strict=True)
        ],
        axis=1,
    )
    distance = -100 * float(excess[0] @ rates.value)
    if distance <= 0:
        return Reached(None, None, None, None, distance, "there is no effect in this direction to match")
    drawn = resampled_rates(bootstrap_weights(table.categories, seed=0), hits, trials) @ excess.T
    never = float(np.isinf(first_crossing(sizes, drawn)).mean())
    size = float(first_crossing(sizes, (excess @ rates.value)[None])[0])
    axis = np.union1d(sizes, np.linspace(0, sizes[-1], STEPS + 1))
    along = np.stack([np.interp(axis, sizes, column) for column in excess.T], axis=1)
    low, high = contrast(rates, along)[1:]
    possible, beyond = high >= 0, low > 0
    lower = float(axis[possible.argmax()]) if possible.any() else float(axis[-1])
    closed = beyond.any() and never <= TAIL and np.isfinite(size)
    return Reached(
        size=size if np.isfinite(size) else None,
        ci=(lower, float(axis[beyond.argmax()])) if closed else None,
        at_least=None if closed else lower,
        never=never,
        distance=distance,
        reason="" if np.isfinite(size) else f"not reached up to {sizes[-1]:g}",
    )


def _levels(curve: Sequence[Dose], start: str, arms: Sequence[str], sizes: Array) -> Array:
    """Weights [size, arm] of the arms' rates in a curve's level, which is flat past its last dose."""
    knots = [0.0, *(dose.size for dose in curve)]
    named = (start, *(dose.arm for dose in curve))
    return np.stack([np.interp(sizes, knots, [float(arm == name) for name in named]) for arm in arms], axis=1)


def first_crossing(sizes: Array, excess: Array) -> Array:
    """The first size [...] at which excess [..., size], linear in between, is >= 0; inf where none is.

    A NaN (a rate without rows in a resample) is not a crossing.
    """
    reached = excess >= 0
    first = reached.argmax(-1)
    right = np.maximum(first, 1)
    low = np.take_along_axis(excess, (right - 1)[..., None], -1)[..., 0]
    high = np.take_along_axis(excess, right[..., None], -1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        between = sizes[right - 1] + (sizes[right] - sizes[right - 1]) * (-low / (high - low))
    between = np.where(np.isnan(between), sizes[right], between)
    return np.where(reached.any(-1), np.where(first == 0, sizes[0], between), np.inf)


def out_of_fold_doses(
    outcomes: Sequence[Outcome],
    cells: Sequence[MeasuredCell],
    fit: CrossFit,
    half: Mapping[str, int],
    cap: Cap,
    *,
    sign: int,
    prefix: str,
) -> tuple[list[OutOfFold], list[Dose]]:
    """Dose arms on the layer chosen on the other half, named `prefix` and the magnitude.

    A dose counts for a half's scenarios where the cell they are reported under is under the cap on the
    *other* half, which chose it: no scenario decides which doses are reported on it. Magnitudes that one of
    the two layers lacks are left out.
    """
    by_place = {(cell.layer, cell.magnitude): cell for cell in cells}
    layers = [chosen.candidate.layer for chosen in fit.chosen]
    made: list[OutOfFold] = []
    doses: list[Dose] = []
    for magnitude in sorted({cell.magnitude for cell in cells if cell.magnitude * sign > 0}, key=abs):
        pair = [by_place.get((layer, magnitude)) for layer in layers if layer is not None]
        both = [cell for cell in pair if cell is not None]
        if len(both) < 2:
            continue
        first, second = both
        a, b = (is_coherent(outcomes, cell, members(half, n), cap) for n, cell in enumerate(both))
        made.append(OutOfFold(f"{prefix}{magnitude:+g}", (first.arm, second.arm)))
        doses.append(Dose(made[-1].name, abs(magnitude), (b, a)))
    return made, doses


def match_doses(
    outcomes: Sequence[Outcome],
    cells: Sequence[MeasuredCell],
    fit: CrossFit,
    half: Mapping[str, int],
    cap: Cap,
    *,
    suffix: str,
    sign: int,
) -> MatchedDose | None:
    """On each half, the dose of its chosen layer that does what the suffix does there, of all rows.

    None where a half has nothing to match (its suffix has no effect that way) or no dose under the cap.
    """
    found: list[tuple[Dose, bool]] = []
    for number, chosen in enumerate(fit.chosen):
        scenarios = members(half, number)
        rows = [row for row in outcomes if row.scenario in scenarios]
        doses = [
            Dose(cell.arm, abs(cell.magnitude), (able, able))
            for cell in cells
            if cell.layer == chosen.candidate.layer and cell.magnitude * sign > 0
            for able in [is_coherent(rows, cell, scenarios, cap)]
        ]
        reached = exchange_rate(rows, doses, baseline="baseline", suffix=suffix, sign=sign, over="all")
        dose = nearest_dose(doses, reached)
        if dose is None:
            return None
        found.append((dose, reached.size is not None))
    (first, first_reached), (second, second_reached) = found
    return MatchedDose((first.arm, second.arm), (first.size, second.size), (first_reached, second_reached))


def nearest_dose(doses: Sequence[Dose], reached: Reached) -> Dose | None:
    """The coherent dose closest to where the target is reached, the largest where none reaches it.

    None where there is nothing to reach: an effect of nothing, or the other way, is matched by no dose.
    """
    coherent = [dose for dose in doses if all(dose.coherent)]
    if reached.distance is None or reached.distance <= 0 or not coherent:
        return None
    size = max(dose.size for dose in coherent) if reached.size is None else reached.size
    return min(coherent, key=lambda dose: (abs(dose.size - size), dose.size))


def side_effect_at(
    doses: Sequence[Dose], values: Mapping[str, float | None], size: float, *, number: int
) -> float | None:
    """A side effect at a size between the doses that count for half `number`, linear as its curve is.

    values: the effect on that half by dose arm, and at "" of magnitude 0; None where one is not known.
    """
    curve = sorted((dose for dose in doses if dose.coherent[number]), key=lambda dose: dose.size)
    heights = [values[name] for name in ("", *(dose.arm for dose in curve))]
    known = [height for height in heights if height is not None]
    if len(known) < len(heights):
        return None
    return float(np.interp(size, [0.0, *(dose.size for dose in curve)], known))
