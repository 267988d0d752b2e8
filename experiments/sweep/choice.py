"""A fair choice: choose on one half of the scenarios, report on the other, and the reverse.

The best of 66 pairs of cells that do nothing looks like a gap of 10 to 15 points
(`benchmarks/results/calibration.json`). Here no scenario is reported under an arm that was chosen with
its help: the pooled out-of-fold rows are the headline, and the numbers a choice was made by are marked
as selection. Candidates are pairs of arms, so that a layer at
plus and minus a magnitude and a paraphrase of the two suffixes get the same right to be tuned.
It knows outcomes, no models.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from experiments.sweep.options import Cap
from steer.errors import UserError
from steer.outcomes import LABELLED, VALID, Table, tabulate
from steer.propensity import MASS_KEPT
from steer.types import Outcome

FEWEST = 12
"""Scenarios to cross-fit with: exact McNemar cannot go below p = 0.05 with fewer than six a half."""

UNDER = 1 + 1e-9
"""Times a cap that are still under it."""


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """An arm of a sweep. drift: nats a token on neutral prompts; None when it was not measured, infinite
    when the measure was lost. kept: of a choice, its mass as a share of the baseline's."""

    arm: str
    layer: int
    magnitude: float
    drift: float | None = None
    kept: float = 1.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two arms that are chosen together: `plus` is to raise the hit rate, `minus` to lower it.

    drift: the larger of the two arms', infinite where one was lost. kept: the smaller of theirs. size: what
    a tie of gap and drift is decided by (the sum of |magnitude|, or a paraphrase's number; the smaller wins).
    """

    plus: str
    minus: str
    drift: float | None = None
    size: float = 0.0
    layer: int | None = None
    magnitude: float | None = None
    kept: float = 1.0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A candidate and the numbers of the half it was chosen on: selection, never to be reported.

    points: its gap over all rows; points_valid: beside it, over valid ones, None without any.
    nats: its gap in propensity, by which choices are chosen; None where answers were judged.
    """

    candidate: Candidate
    points: float
    points_valid: float | None
    nonsense: float
    nats: float | None = None


@dataclass(frozen=True, slots=True)
class NothingChosen:
    """No candidate is under the cap on a half; the nearest, by the larger of its two excesses."""

    half: int
    nearest: Candidate
    nonsense: float
    cap: Cap

    def __str__(self) -> str:
        arms = f"{self.nearest.plus} / {self.nearest.minus}"
        kept = "" if self.nearest.kept >= MASS_KEPT else f", mass {self.nearest.kept:.0%} of the baseline's"
        drift = "" if self.nearest.drift is None else f", drift {_drift_text(self.nearest.drift)}"
        limit = "" if self.cap.drift is None else f", drift {self.cap.drift:.3g}"
        return (
            f"no cell is under the cap (nonsense {self.cap.nonsense:.0%}{limit}) on half {self.half + 1}: "
            f"the nearest is {arms} with nonsense {self.nonsense:.0%}{drift}{kept}; "
            "add smaller magnitudes or raise the cap"
        )


def _drift_text(drift: float) -> str:
    return f"{drift:.3g}" if math.isfinite(drift) else "lost (not a number)"


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """arms[h]: the arm that half h chose, which the scenarios of the other half report on."""

    name: str
    arms: tuple[str, str]

    def reported_on(self, half: int) -> str:
        """The arm that the scenarios of a half report on: the other half chose it."""
        return self.arms[1 - half]

    def rows(self, outcomes: Sequence[Outcome], half: Mapping[str, int]) -> list[Outcome]:
        """Its outcomes, under its name."""
        arm_of = {scenario: self.reported_on(h) for scenario, h in half.items()}
        return [replace(row, arm=self.name) for row in outcomes if arm_of.get(row.scenario) == row.arm]


@dataclass(frozen=True, slots=True)
class CrossFit:
    """chosen[h] was chosen on half h and is reported on the other one.

    pair: the arms that are to raise and to lower the hit rate. outcomes: their rows (report).
    """

    chosen: tuple[Chosen, Chosen]
    pair: tuple[OutOfFold, OutOfFold]
    outcomes: tuple[Outcome, ...]

    @property
    def plus(self) -> str:
        return self.pair[0].name

    @property
    def minus(self) -> str:
        return self.pair[1].name


def halves(categories: Mapping[str, str], *, seed: int) -> dict[str, int]:
    """Scenario id -> half 0 or 1, from scenario id -> category.

    Within a category scenarios alternate in the order of a hash of seed and id, and an odd one out
    goes to the half that is short: sizes differ by at most one in a category and in total, and the
    order of the ids changes nothing. Raises UserError when there are too few scenarios.
    """
    if len(categories) < FEWEST:
        raise UserError(
            f"{len(categories)} scenarios are too few to choose on one half and report on the other: "
            f"at least {FEWEST} are needed"
        )
    half: dict[str, int] = {}
    turn = 0
    for category in sorted(set(categories.values())):
        members = [scenario for scenario, name in categories.items() if name == category]
        for scenario in sorted(members, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest()):
            half[scenario] = turn
            turn = 1 - turn
    return half


def symmetric(cells: Iterable[MeasuredCell]) -> list[Candidate]:
    """One layer at plus and minus a magnitude, for all that are in the sweep with both signs."""
    return [pair for pair in asymmetric(cells) if pair.magnitude is not None]


def asymmetric(cells: Iterable[MeasuredCell]) -> list[Candidate]:
    """Every cell of positive with every cell of negative magnitude (the secondary choice)."""
    every = list(cells)
    positive = [cell for cell in every if cell.magnitude > 0]
    negative = [cell for cell in every if cell.magnitude < 0]
    return [_pair(plus, minus) for plus, minus in product(positive, negative)]


def against_baseline(cells: Iterable[MeasuredCell]) -> list[Candidate]:
    """The baseline with every cell: of ablated ones, which have no other sign."""
    return [
        Candidate("baseline", cell.arm, cell.drift, 0.0, cell.layer, abs(cell.magnitude), cell.kept)
        for cell in cells
    ]


def _pair(plus: MeasuredCell, minus: MeasuredCell) -> Candidate:
    mirrored = plus.layer == minus.layer and plus.magnitude == -minus.magnitude
    return Candidate(
        plus=plus.arm,
        minus=minus.arm,
        drift=None if plus.drift is None or minus.drift is None else max(plus.drift, minus.drift),
        size=plus.magnitude - minus.magnitude,
        layer=plus.layer if plus.layer == minus.layer else None,
        magnitude=plus.magnitude if mirrored else None,
        kept=min(plus.kept, minus.kept),
    )


def paired(cells: Sequence[MeasuredCell]) -> list[Candidate]:
    """What the primary choice is made of: mirrored cells, or ablated ones against the baseline."""
    return symmetric(cells) or against_baseline(cells)


def placed(candidate: Candidate) -> tuple[int, float]:
    """Layer and |magnitude| of a symmetric candidate; ValueError for another."""
    if candidate.layer is None or candidate.magnitude is None:
        raise ValueError(f"{candidate.plus} and {candidate.minus} are not one layer at plus and minus")
    return candidate.layer, candidate.magnitude


def choose(
    outcomes: Sequence[Outcome], candidates: Sequence[Candidate], scenarios: set[str], cap: Cap
) -> Chosen | NothingChosen:
    """`choose_in` the table of the candidates' arms."""
    return choose_in(tabulate(outcomes, arms_of(candidates)), candidates, scenarios, cap)


def choose_in(
    table: Table, candidates: Sequence[Candidate], scenarios: set[str], cap: Cap, *, half: int = 0
) -> Chosen | NothingChosen:
    """The candidate with the largest gap over all rows of the scenarios, among those under the cap; of
    choices, the one with the largest gap in propensity.

    Over all, as the headline that reports the choice: an unlabelled or nonsensical row is no hit.
    Ties go to the smaller drift, then the smaller size, then the name. `half` is only what the answer
    is labelled with when there is none.
    """
    if not candidates:
        raise ValueError("no candidates to choose from")
    if cap.drift is not None and any(candidate.drift is None for candidate in candidates):
        raise ValueError("a cap on drift needs the drift of every candidate")
    used = np.isin(table.scenario, [i for i, name in enumerate(table.scenarios) if name in scenarios])[
        :, None
    ]
    hits = (table.has("hit") & used).sum(0)
    valid = (table.has(*VALID) & used).sum(0)
    rows = (~table.has("missing") & used).sum(0)
    broken = {a: 1 - int(v) / int(n) if n else 1.0 for a, v, n in zip(table.arms, valid, rows, strict=True)}
    told = (table.has(*LABELLED) & used).any(0)
    rate, rate_valid = (
        {a: int(h) / int(n) if n else math.nan for a, h, n in zip(table.arms, hits, counted, strict=True)}
        for counted in (rows * told, valid)
    )

    scored = used & ~np.isnan(table.propensity)
    counts = scored.sum(0)
    with np.errstate(invalid="ignore"):
        means = dict(zip(table.arms, np.where(scored, table.propensity, 0).sum(0) / counts, strict=True))

    def nats(candidate: Candidate) -> float:
        return round(float(means[candidate.plus] - means[candidate.minus]), 9)

    def lead(candidate: Candidate) -> float:
        return nats(candidate) if counts.any() else gap(candidate)

    def nonsense(candidate: Candidate) -> float:
        return max(broken[candidate.plus], broken[candidate.minus])

    def gap(candidate: Candidate) -> float:
        # Rounded, so that equal fractions tie.
        return round(rate[candidate.plus] - rate[candidate.minus], 9)

    def tie(candidate: Candidate) -> tuple[float, float, str, str]:
        drift = float("inf") if candidate.drift is None else candidate.drift
        return drift, candidate.size, candidate.plus, candidate.minus

    able = [c for c in candidates if excess(c, nonsense(c), cap) <= UNDER and not math.isnan(lead(c))]
    if not able:
        nearest = min(candidates, key=lambda c: (excess(c, nonsense(c), cap), *tie(c)))
        return NothingChosen(half, nearest, nonsense(nearest), cap)
    best = min(able, key=lambda candidate: (-lead(candidate), *tie(candidate)))
    over_valid = rate_valid[best.plus] - rate_valid[best.minus]
    return Chosen(
        candidate=best,
        points=100 * gap(best),
        points_valid=None if math.isnan(over_valid) else 100 * over_valid,
        nonsense=nonsense(best),
        nats=nats(best) if counts.any() else None,
    )


def excess(candidate: Candidate, nonsense: float, cap: Cap) -> float:
    """By how many times the largest of the caps is exceeded; at most `UNDER` is under them."""
    over = max(_times(nonsense, cap.nonsense), _times(MASS_KEPT, candidate.kept))
    if cap.drift is None or candidate.drift is None:
        return over
    return max(over, _times(candidate.drift, cap.drift))


def _times(value: float, cap: float) -> float:
    """How many times its cap a value is; anything at all is twice a cap of 0."""
    return value / cap if cap else 2.0 * (value > 0)


def is_coherent(outcomes: Sequence[Outcome], cell: MeasuredCell, scenarios: set[str], cap: Cap) -> bool:
    """Whether a cell is under the cap on the scenarios."""
    alone = Candidate(plus=cell.arm, minus=cell.arm, drift=cell.drift, kept=cell.kept)
    return isinstance(choose(outcomes, [alone], scenarios, cap), Chosen)


def cross_fit(
    outcomes: Sequence[Outcome],
    candidates: Sequence[Candidate],
    half: Mapping[str, int],
    cap: Cap,
    *,
    plus: str,
    minus: str,
) -> CrossFit | NothingChosen:
    """Choose on either half, and pool what the choices did on the other one as arms `plus` and `minus`."""
    return fit_halves(outcomes, (candidates, candidates), half, cap, plus=plus, minus=minus)


def fit_halves(
    outcomes: Sequence[Outcome],
    candidates: tuple[Sequence[Candidate], Sequence[Candidate]],
    half: Mapping[str, int],
    cap: Cap,
    *,
    plus: str,
    minus: str,
) -> CrossFit | NothingChosen:
    """`cross_fit` where either half has candidates of its own."""
    table = tabulate(outcomes, arms_of([*candidates[0], *candidates[1]]))
    first, second = (choose_in(table, candidates[n], members(half, n), cap, half=n) for n in (0, 1))
    if isinstance(first, NothingChosen):
        return first
    if isinstance(second, NothingChosen):
        return second
    return pool(outcomes, (first, second), half, plus=plus, minus=minus)


def pool(
    outcomes: Sequence[Outcome],
    chosen: tuple[Chosen, Chosen],
    half: Mapping[str, int],
    *,
    plus: str,
    minus: str,
) -> CrossFit:
    """Each half's scenarios under what was chosen on the other half."""
    first, second = (one.candidate for one in chosen)
    pair = (OutOfFold(plus, (first.plus, second.plus)), OutOfFold(minus, (first.minus, second.minus)))
    return CrossFit(chosen, pair, tuple(row for arm in pair for row in arm.rows(outcomes, half)))


def members(half: Mapping[str, int], number: int) -> set[str]:
    """The scenarios of a half."""
    return {scenario for scenario, where in half.items() if where == number}


def arms_of(candidates: Sequence[Candidate]) -> list[str]:
    """Their arms, each once."""
    return sorted({arm for candidate in candidates for arm in (candidate.plus, candidate.minus)})
