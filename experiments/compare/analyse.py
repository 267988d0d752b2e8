"""Suffix against vector, from outcomes: gaps side by side, exchange rate, tug of war, frontier.

Pure: labels and numbers in, JSON values out. It runs no model; `experiments.compare.run` plans the arms
whose outcomes come here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.compare.exchange import (
    MATCHED,
    exchange_rate,
    first_reach,
    match_doses,
    out_of_fold_doses,
    side_effect_at,
)
from experiments.compare.frontier import Trade, undominated
from experiments.compare.verdicts import further
from experiments.contrasts import gap_difference, mean_gap
from experiments.sweep.choice import (
    Candidate,
    Cap,
    CrossFit,
    MeasuredCell,
    NothingChosen,
    OutOfFold,
    cross_fit,
)
from experiments.tug import tug_of_war
from steer.measures import MEASURES
from steer.metrics import arm_metrics, gaps
from steer.results.comparison import Exchange, FrontierPoint, SideEffectPair, Sides, Tug, TugMatched, TugPoint
from steer.results.estimates import ArmResult, Dose, GapDifference, MatchedDose, Reached, TugOfWar, measure_of
from steer.types import Outcome

SIDES = (("pro", 1, "vector +"), ("anti", -1, "vector -"))
"""Suffix arm, the sign it should move the hit rate in, and the vector's out-of-fold arm."""

DOSE = "dose "
"""What the out-of-fold arms of a dose curve are named by, with their magnitude."""

SIDE_EFFECTS = tuple(measure.name for measure in MEASURES if measure.frontier)
UP_DOWN: tuple[tuple[Literal["up", "down"], int], ...] = (("up", 1), ("down", -1))


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One direction of the dose curve: out-of-fold arms of growing magnitude, and their outcomes.

    made: each dose's cells. matched: the doses that do what the suffix does, chosen out of fold too; its
    rows are among the outcomes.
    """

    suffix: str
    sign: int
    outcomes: tuple[Outcome, ...]
    doses: tuple[Dose, ...]
    made: tuple[OutOfFold, ...]
    half: Mapping[str, int]
    reached: Reached
    half_reached: Reached
    matched: MatchedDose | None


def tune_suffix(
    outcomes: Sequence[Outcome], pairs: Sequence[tuple[str, str]], half: Mapping[str, int], cap: Cap
) -> CrossFit | NothingChosen:
    """The paraphrase pair chosen on the same halves as the vector; no cap on its drift."""
    candidates = [Candidate(plus=pro, minus=anti, size=float(i)) for i, (pro, anti) in enumerate(pairs)]
    return cross_fit(
        outcomes, candidates, half, Cap(cap.nonsense, drift=None), plus="tuned pro", minus="tuned anti"
    )


def side_by_side(
    outcomes: Sequence[Outcome],
    vector: CrossFit,
    tuned: CrossFit | NothingChosen,
    pairs: Sequence[tuple[str, str]],
) -> Sides:
    """The suffix's gap, tuned and untuned, the vector's, their difference, and each split in two."""
    pooled = [*outcomes, *vector.outcomes]
    wanted = {
        "suffix": ("pro", "anti"),
        "vector": ("vector +", "vector -"),
        "suffix pro-baseline": ("pro", "baseline"),
        "suffix baseline-anti": ("baseline", "anti"),
        "vector plus-baseline": ("vector +", "baseline"),
        "vector baseline-minus": ("baseline", "vector -"),
    }
    against = {
        "difference": ("suffix", "vector"),
        "difference_up": ("suffix pro-baseline", "vector plus-baseline"),
        "difference_down": ("suffix baseline-anti", "vector baseline-minus"),
    }
    if isinstance(tuned, CrossFit):
        pooled += tuned.outcomes
        wanted["suffix_tuned"] = ("tuned pro", "tuned anti")
        against["difference_tuned"] = ("suffix_tuned", "vector")
    return Sides(
        gaps=dict(zip(wanted, gaps(pooled, list(wanted.values())), strict=True)),
        differences={
            name: gap_difference(pooled, wanted[first], wanted[second])
            for name, (first, second) in against.items()
        },
        wordings_all=mean_gap(outcomes, pairs, "all"),
        wordings_valid=mean_gap(outcomes, pairs, "valid"),
    )


def verdict(sides: Sides, noun: str) -> str:
    """Which of the two moves the model further."""
    found = sides.differences["difference"]
    return _further("the suffix", found, noun)


def verdict_tuned(sides: Sides, noun: str) -> str:
    """The same of a suffix that was given a budget; of the default one where none could be chosen."""
    found = sides.differences.get("difference_tuned")
    return verdict(sides, noun) if found is None else _further("the tuned suffix", found, noun)


def _further(suffix: str, found: GapDifference, noun: str) -> str:
    estimate = found.over_all
    return further(
        suffix, "the vector", noun, estimate and estimate.points, estimate and estimate.ci, found.p
    )


def sides(
    outcomes: Sequence[Outcome],
    cells: Sequence[MeasuredCell],
    fit: CrossFit,
    half: Mapping[str, int],
    cap: Cap,
) -> dict[str, Side]:
    """The dose curve of each side on the layers chosen on the other half, and what it takes to match."""
    found: dict[str, Side] = {}
    for suffix, sign, _ in SIDES:
        made, doses = out_of_fold_doses(outcomes, cells, fit, half, cap, sign=sign, prefix=DOSE)
        rows = [row for dose in made for row in dose.rows(outcomes, half)]
        pooled = [*outcomes, *rows]
        reached, half_reached = (
            exchange_rate(
                pooled,
                doses,
                baseline="baseline",
                suffix=suffix,
                sign=sign,
                over="all",
                half=half,
                share=share,
            )
            for share in (1.0, 0.5)
        )
        matched = match_doses(outcomes, cells, fit, half, cap, suffix=suffix, sign=sign)
        if matched is not None:
            rows += OutOfFold(MATCHED, matched.arms).rows(outcomes, half)
        found[suffix] = Side(
            suffix, sign, tuple(rows), tuple(doses), tuple(made), half, reached, half_reached, matched
        )
    return found


def exchange(
    outcomes: Sequence[Outcome], found: Mapping[str, Side], arms: Mapping[str, ArmResult]
) -> dict[str, Exchange]:
    """Per side the magnitude worth the suffix's whole and half effect, and both arms' side effects there.

    side_effects: of the suffix, and of the vector where it has the suffix's effect, and half of it; those
    that labels tell are out of fold, others are of the cells as they were measured (`arms`: a result's).
    """
    result: dict[str, Exchange] = {}
    for suffix, side in found.items():
        effects = _dose_effects(outcomes, side, arms)
        beside: dict[str, SideEffectPair] = {}
        for effect in SIDE_EFFECTS:
            whole, half = (
                None if reached.size is None else _side_effect(side, effects, effect, reached.size)
                for reached in (side.reached, side.half_reached)
            )
            beside[effect] = SideEffectPair(
                suffix=measure_of(arms[suffix], effect), vector=whole, vector_half=half
            )
        result[suffix] = Exchange(
            whole=side.reached, half=side.half_reached, doses=side.doses, side_effects=beside
        )
    return result


Effects = Mapping[str, Mapping[str, float | None]]
"""Side effects by dose arm, and at "" of the baseline."""


def _dose_effects(
    outcomes: Sequence[Outcome], side: Side, arms: Mapping[str, ArmResult]
) -> tuple[Effects, ...]:
    """On the scenarios of either half."""
    found: list[Effects] = []
    for number in (0, 1):
        there = [r for r in (*outcomes, *side.outcomes) if side.half.get(r.scenario) == number]
        labels = arm_metrics(there)
        cells = {"": ("baseline", "baseline")} | {
            made.name: (made.name, made.arms[1 - number]) for made in side.made
        }
        found.append(
            {
                name: dict(arms[cell].measures)
                | {"broken_all": labels[arm].broken_all, "refusal_valid": labels[arm].refusal_valid}
                for name, (arm, cell) in cells.items()
            }
        )
    return tuple(found)


def _side_effect(side: Side, effects: Sequence[Effects], effect: str, size: float) -> float | None:
    """A side effect of the vector at a size: the mean of the halves', weighted by their scenarios."""
    first, second = (
        side_effect_at(side.doses, {arm: one.get(effect) for arm, one in there.items()}, size, number=number)
        for number, there in enumerate(effects)
    )
    if first is None or second is None:
        return None
    share = sum(side.half.values()) / len(side.half)
    return (1 - share) * first + share * second


def tug(
    outcomes: Sequence[Outcome],
    found: Mapping[str, Side],
    combined: Mapping[tuple[str, str], Sequence[Outcome]],
    by_builder: Mapping[str, Sequence[Outcome]],
) -> dict[str, Tug]:
    """How much of a defence an attack undoes, at matched solo effect, over magnitude, by who placed it.

    combined: (defence suffix arm, dose name or `MATCHED`) -> outcomes of both together, out of fold,
    under an arm name of `both_name`. by_builder: see `_builder_tug`.
    """
    result: dict[str, Tug] = {}
    for defence, attack in (("anti", "pro"), ("pro", "anti")):
        side = found[attack]
        rows = [*outcomes, *side.outcomes]
        both: list[Dose] = []
        for dose in side.doses:
            extra = combined.get((defence, dose.arm))
            if extra is not None:
                rows += extra
                both.append(Dose(both_name(defence, dose.arm), dose.size, dose.coherent))
        known = {dose.size: dose.arm for dose in both}

        def pull(attack: str, together: str, rows: Sequence[Outcome] = rows, by: str = defence) -> TugOfWar:
            return tug_of_war(rows, baseline="baseline", attack=attack, defence=by, both=together, over="all")

        curve = tuple(
            TugPoint(size=dose.size, coherent=dose.coherent, pull=pull(dose.arm, known[dose.size]))
            for dose in side.doses
            if dose.size in known
        )
        even = None
        if both:  # the size that takes the defended model back to the baseline's rate
            back = {"baseline": 1.0}
            even = first_reach(
                rows, both, start=defence, target=back, sign=side.sign, over="all", half=side.half
            )
        matched, together = None, combined.get((defence, MATCHED))
        if side.matched is not None and together is not None:
            aim = side.reached.distance
            matched = TugMatched(
                dose=side.matched,
                suffix=side.suffix,
                suffix_points=None if aim is None else side.sign * aim,
                pull=pull(MATCHED, both_name(defence, MATCHED), [*rows, *together]),
            )
        builder = _builder_tug([*outcomes, *side.outcomes], side, defence, by_builder.get(defence))
        result[f"{defence} defends"] = Tug(
            defence=defence, curve=curve, matched=matched, break_even=even, builder=builder
        )
    return result


def _builder_tug(
    rows: Sequence[Outcome], side: Side, defence: str, together: Sequence[Outcome] | None
) -> dict[str, TugOfWar]:
    """The defence in the builder's system message, against the vector and against the user's suffix.

    The vector is at the matched dose, the user's suffix alone is what that was matched to.
    together: outcomes of "DEFENCE by builder & dose", None where nothing was matched.
    """
    builder = f"{defence} by builder"
    attacks = {"suffix": (side.suffix, f"{builder} & {side.suffix} by user")}
    if side.matched is not None and together is not None:
        attacks["vector"] = (MATCHED, f"{builder} & dose")
    rows = [*rows, *(together or ())]
    return {
        name: tug_of_war(rows, baseline="baseline", attack=arm, defence=builder, both=both, over="all")
        for name, (arm, both) in attacks.items()
    }


def both_name(suffix: str, steered: str) -> str:
    """The arm of a suffix and of a steered arm, or a dose of several out of fold, together."""
    return f"{suffix} & {steered}"


def frontier(
    outcomes: Sequence[Outcome], arms: Mapping[str, ArmResult], names: Sequence[str]
) -> tuple[FrontierPoint, ...]:
    """Effect in points against each side effect, up and down apart; undominated arms are marked."""
    found = gaps(outcomes, [(name, "baseline") for name in names])
    rows: list[FrontierPoint] = []
    for direction, sign in UP_DOWN:
        moved = {
            g.first: sign * g.points_all
            for g in found
            if g.points_all is not None and sign * g.points_all > 0
        }
        for effect in SIDE_EFFECTS:
            values = {name: measure_of(arms[name], effect) for name in moved}
            trades = [Trade(name, points, values[name]) for name, points in moved.items()]
            best = set(undominated(trades))
            rows += [
                FrontierPoint(
                    arm=name,
                    direction=direction,
                    effect_points=points,
                    side_effect=effect,
                    value=values[name],
                    undominated=name in best,
                    role="selection" if arms[name].kind == "cell" else "report",
                )
                for name, points in moved.items()
            ]
    return tuple(rows)
