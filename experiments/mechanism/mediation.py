"""How much of a gap goes through a direction: what is left of it while the direction is taken out.

    share left = [r(+, out) - r(-, out)] / [r(+) - r(-)]

0: the direction carries the gap; 1: it has no part in it. Both gaps are of the same scenarios, and the
interval is Fieller's: the shares s for which the interval of (left - s * gap) includes 0, bounded because
that of the gap does not. Rates are of all answers; of choices it is means of propensities. It knows outcomes,
no models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from experiments.contrasts import Pair, rates_of, weighted
from experiments.tug import WEAK, tug_of_war
from steer.intervals import TAIL, Array, Interval
from steer.propensity import propensities
from steer.results.estimates import Estimate, OpenInterval
from steer.results.mechanism import Share, Where, Word
from steer.show import words
from steer.types import Outcome

NO_GAP = "no share is estimated: the interval of the gap includes 0"
CARRIED, NEARLY_ALL = 0.5, 0.95
"""Shared: less than half is left; partly: less than nearly all is. Both of the whole interval."""

ABOUT = {"suffix": "the vector's direction", "vector": "the suffix's mean shift"}
"""Whose gap, and what is taken out of it."""


def has_gap(outcomes: Sequence[Outcome], gap: Pair) -> Estimate | None:
    """The gap of two arms, of choices in nats; None where its interval includes 0 or nothing was measured."""
    rows = [row for row in outcomes if row.arm in gap]
    table = propensities(rows)
    if table is None:
        found = weighted(rates_of(rows, gap, "all"), (1, -1))
    else:
        change = table.of(gap[0]) - table.of(gap[1])
        told = _in_nats(np.stack([change, change], axis=1)[~np.isnan(change)])
        found = None if told.gap is None or told.gap_ci is None else Estimate(told.gap, told.gap_ci)
    return found if found is not None and found.excludes_zero else None


def share_left(
    outcomes: Sequence[Outcome],
    gap: Pair,
    left: Pair,
    *,
    what: str,
    kind: str,
    where: Where,
    layers: Sequence[int],
) -> Share:
    """What is left of the gap of two arms between two others; the rest says what was taken out, and where."""
    place = {"what": what, "kind": kind, "where": where, "layers": tuple(dict.fromkeys(layers))}
    rows = [row for row in outcomes if row.arm in (*gap, *left)]
    table = propensities(rows)
    if table is not None:
        pairs = np.stack([table.of(first) - table.of(second) for first, second in (gap, left)], axis=1)
        return Share.model_validate(place | _in_nats(pairs[~np.isnan(pairs).any(1)])._asdict())
    pull = tug_of_war(rows, baseline=gap[1], attack=gap[0], defence=left[1], both=left[0], over="all")
    alone, under = pull.alone, pull.under_defence
    reason = pull.reason.replace(WEAK, "weak gap: the share tends to be too small")
    if alone is not None and not alone.excludes_zero:
        reason = NO_GAP
    found = _Left(
        alone and alone.points,
        alone and alone.ci,
        under and under.points,
        under and under.ci,
        pull.u,
        pull.ci,
        reason,
    )
    return Share.model_validate(place | found._asdict())


class _Left(NamedTuple):
    """As `Share` has it."""

    gap: float | None = None
    gap_ci: Interval | None = None
    left: float | None = None
    left_ci: Interval | None = None
    share: float | None = None
    share_ci: OpenInterval | None = None
    reason: str = ""


def _in_nats(pairs: Array) -> _Left:
    """The same of paired differences [scenario, (gap, left)], with t intervals."""
    from scipy.special import stdtrit

    count = len(pairs)
    if count < 3:
        return _Left(reason="fewer than three scenarios have all four arms")
    mean, far = pairs.mean(0), float(stdtrit(count - 1, 1 - TAIL)) ** 2
    error = far * np.cov(pairs, rowvar=False) / count  # squared half-widths of the means' intervals
    half = np.sqrt(np.diag(error))
    ci: list[Interval] = [(float(m - h), float(m + h)) for m, h in zip(mean, half, strict=True)]
    found = _Left(float(mean[0]), ci[0], float(mean[1]), ci[1], reason=NO_GAP)
    if ci[0][0] <= 0 <= ci[0][1]:
        return found
    a, b, c = mean[0] ** 2 - error[0, 0], mean[0] * mean[1] - error[0, 1], mean[1] ** 2 - error[1, 1]
    root = math.sqrt(max(0.0, b * b - a * c))
    limits = (float((b - root) / a), float((b + root) / a))
    return found._replace(share=float(mean[1] / mean[0]), share_ci=limits, reason="")


def word_of(main: Share, controls: Sequence[Share]) -> Word:
    """What the interval supports. A random direction that leaves as little shows nothing of this one."""
    if main.share is None or main.share_ci is None:
        return "not shown"
    low, high = (-math.inf if main.share_ci[0] is None else main.share_ci[0]), main.share_ci[1]
    if high is None or high >= NEARLY_ALL:
        return "apart" if low > CARRIED and high is not None else "not shown"
    least = min((one.share for one in controls if one.kind == "random" and one.share is not None), default=1)
    if least <= high:
        return "not shown"
    return "shared path" if high < CARRIED else "partly"


def sentence_of(of: Literal["suffix", "vector"], main: Share, controls: Sequence[Share]) -> str:
    """The figures that the word rests on."""
    if main.share is None:
        return f"of the {of}'s gap {main.reason}"
    from_on = f"from layer {' or '.join(map(str, main.layers))} on"
    randoms = [one.share for one in controls if one.kind == "random" and one.share is not None]
    least = words.fixed(100 * min(randoms), 0) if randoms else ""
    beside = f"; of {len(randoms)} random directions at least {least} %" if randoms else ""
    weak = f"; {main.reason}" if main.reason else ""
    return (
        f"with {ABOUT[of]} ablated {from_on}, {words.fixed(100 * main.share, 0)} % of the {of}'s gap is left "
        f"{words.share_limits(main.share_ci)}{beside}{weak}"
    )


def together(suffix: Word, vector: Word | None) -> Word:
    """Of both ways: the suffix's, partly where the vector's was shown and is another."""
    differs = suffix != "not shown" and vector not in (None, "not shown", suffix)
    return "partly" if differs else suffix
