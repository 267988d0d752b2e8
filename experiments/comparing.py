"""Suffix against vector, from outcomes: gaps side by side, exchange rate, tug of war, frontier.

Pure: labels and numbers in, JSON values out. It runs no model; `experiments.compare` plans the arms
whose outcomes come here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from experiments.choice import Candidate, Cap, CrossFit, MeasuredCell, NothingChosen, cross_fit
from experiments.contrasts import gap_difference, mean_gap
from experiments.exchange import (
    MATCHED,
    Dose,
    Matched,
    Reached,
    exchange_rate,
    match_doses,
    out_of_fold_doses,
    side_effect_at,
)
from experiments.frontier import Trade, undominated
from experiments.out_of_fold import Composite
from experiments.tug import break_even, tug_of_war
from experiments.verdicts import further
from steer.metrics import arm_metrics, gaps
from steer.types import Outcome

SIDES = (("pro", 1, "vector +"), ("anti", -1, "vector -"))
"""Suffix arm, the sign it should move the hit rate in, and the vector's out-of-fold arm."""

DOSE = "dose "
"""What the out-of-fold arms of a dose curve are named by, with their magnitude."""

SIDE_EFFECTS = ("broken_all", "refusal_valid", "fluency", "drift")


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
    made: tuple[Composite, ...]
    half: Mapping[str, int]
    reached: Reached
    half_reached: Reached
    matched: Matched | None


def tune_suffix(
    outcomes: Sequence[Outcome], pairs: Sequence[tuple[str, str]], half: Mapping[str, int], cap: Cap
) -> CrossFit | NothingChosen:
    """The paraphrase pair chosen on the same halves as the vector; no cap on its drift."""
    candidates = [Candidate(plus=pro, minus=anti, size=float(i)) for i, (pro, anti) in enumerate(pairs)]
    return cross_fit(outcomes, candidates, half, Cap(cap.nonsense), plus="tuned pro", minus="tuned anti")


def side_by_side(
    outcomes: Sequence[Outcome],
    vector: CrossFit,
    tuned: CrossFit | NothingChosen,
    pairs: Sequence[tuple[str, str]],
    *,
    noun: str,
) -> dict[str, Any]:
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
    if isinstance(tuned, CrossFit):
        pooled += tuned.outcomes
        wanted["suffix_tuned"] = ("tuned pro", "tuned anti")
    found = dict(zip(wanted, map(asdict, gaps(pooled, list(wanted.values()))), strict=True))
    difference = gap_difference(pooled, wanted["suffix"], wanted["vector"])
    result: dict[str, Any] = {**found, "difference": asdict(difference)}
    for name, first, second in (
        ("difference_up", "suffix pro-baseline", "vector plus-baseline"),
        ("difference_down", "suffix baseline-anti", "vector baseline-minus"),
    ):
        result[name] = asdict(gap_difference(pooled, wanted[first], wanted[second]))
    if isinstance(tuned, CrossFit):
        versus = gap_difference(pooled, wanted["suffix_tuned"], wanted["vector"])
        result["difference_tuned"] = asdict(versus)
    for over in ("all", "valid"):
        mean = mean_gap(outcomes, pairs, over)
        result[f"suffix_paraphrase_mean_{over}"] = mean and asdict(mean)
    estimate = difference.over_all
    result["verdict"] = further(
        "the suffix", "the vector", noun, estimate and estimate.points, estimate and estimate.ci, difference.p
    )
    return result


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
            rows += matched.rows(outcomes, half)
        found[suffix] = Side(
            suffix, sign, tuple(rows), tuple(doses), tuple(made), half, reached, half_reached, matched
        )
    return found


def exchange(
    outcomes: Sequence[Outcome], found: Mapping[str, Side], arms: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Per side the magnitude worth the suffix's whole and half effect, and both arms' side effects there.

    side_effects: of the suffix, and of the vector where it has the suffix's effect, and half of it; those
    that labels tell are out of fold, others are of the cells as they were measured (`arms`: a summary's).
    """
    result: dict[str, Any] = {}
    for suffix, side in found.items():
        effects = _dose_effects(outcomes, side, arms)
        beside: dict[str, Any] = {}
        for effect in SIDE_EFFECTS:
            at = [
                None if reached.size is None else _side_effect(side, effects, effect, reached.size)
                for reached in (side.reached, side.half_reached)
            ]
            beside[effect] = {"suffix": arms[suffix].get(effect), "vector": at[0], "vector_half": at[1]}
        result[suffix] = {
            "whole": asdict(side.reached),
            "half": asdict(side.half_reached),
            "doses": [asdict(dose) for dose in side.doses],
            "side_effects": beside,
        }
    return result


def _dose_effects(
    outcomes: Sequence[Outcome], side: Side, arms: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], ...]:
    """On the scenarios of either half: side effects by dose arm, and at "" of the baseline."""
    found: list[dict[str, dict[str, Any]]] = []
    for number in (0, 1):
        there = [r for r in (*outcomes, *side.outcomes) if side.half.get(r.scenario) == number]
        labels = arm_metrics(there)
        cells = {"": ("baseline", "baseline")} | {
            made.name: (made.name, made.arms[1 - number]) for made in side.made
        }
        found.append(
            {
                name: dict(arms[cell])
                | {effect: getattr(labels[arm], effect) for effect in ("broken_all", "refusal_valid")}
                for name, (arm, cell) in cells.items()
            }
        )
    return tuple(found)


def _side_effect(
    side: Side, effects: Sequence[Mapping[str, Mapping[str, Any]]], effect: str, size: float
) -> float | None:
    """A side effect of the vector at a size: the mean of the halves', weighted by their scenarios."""
    values = [
        side_effect_at(side.doses, {arm: one.get(effect) for arm, one in there.items()}, size, number=number)
        for number, there in enumerate(effects)
    ]
    first, second = values
    if first is None or second is None:
        return None
    share = sum(side.half.values()) / len(side.half)
    return (1 - share) * first + share * second


def tug(
    outcomes: Sequence[Outcome],
    found: Mapping[str, Side],
    combined: Mapping[tuple[str, str], Sequence[Outcome]],
) -> dict[str, Any]:
    """How much of a defence an attack undoes, at matched solo effect and over magnitude.

    combined: (defence suffix arm, dose name or `MATCHED`) -> outcomes of both together, out of fold,
    under an arm name of `both_name`.
    """
    result: dict[str, Any] = {}
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
        entry: dict[str, Any] = {"defence": defence, "curve": []}
        for dose in side.doses:
            if dose.size in known:
                pulled = tug_of_war(
                    rows,
                    baseline="baseline",
                    attack=dose.arm,
                    defence=defence,
                    both=known[dose.size],
                    over="all",
                )
                entry["curve"].append({"size": dose.size, "coherent": dose.coherent, **asdict(pulled)})
        entry["matched"] = _matched_tug(rows, side, defence, combined.get((defence, MATCHED)))
        if both:
            level = break_even(
                rows,
                both,
                baseline="baseline",
                defence=defence,
                sign=side.sign,
                over="all",
                half=side.half,
            )
            entry["break_even"] = asdict(level)
        result[f"{defence} defends"] = entry
    return result


def _matched_tug(
    rows: Sequence[Outcome], side: Side, defence: str, together: Sequence[Outcome] | None
) -> dict[str, Any] | None:
    """U at the matched dose; suffix_points: the suffix's own effect, which it was matched to."""
    if side.matched is None or together is None:
        return None
    pulled = tug_of_war(
        [*rows, *together],
        baseline="baseline",
        attack=MATCHED,
        defence=defence,
        both=both_name(defence, MATCHED),
        over="all",
    )
    aim = side.reached.distance
    points = None if aim is None else side.sign * aim
    return asdict(side.matched) | {"suffix": side.suffix, "suffix_points": points} | asdict(pulled)


def builder_tug(
    outcomes: Sequence[Outcome], found: Mapping[str, Side], by_builder: Mapping[str, Sequence[Outcome]]
) -> dict[str, dict[str, Any]]:
    """The defence in the builder's system message, against the vector and against the user's suffix.

    The vector is at the matched dose, the user's suffix alone is what that was matched to.
    by_builder: defence suffix -> outcomes of "DEFENCE by builder & dose". Like `tug`, by "DEFENCE defends".
    """
    result: dict[str, dict[str, Any]] = {}
    for defence, attack in (("anti", "pro"), ("pro", "anti")):
        side, builder = found[attack], f"{defence} by builder"
        rows = [*outcomes, *side.outcomes, *by_builder.get(defence, ())]
        attacks = {"builder_against_user": (attack, f"{builder} & {attack} by user")}
        if side.matched is not None and defence in by_builder:
            attacks["builder_against_vector"] = (MATCHED, f"{builder} & dose")
        result[f"{defence} defends"] = {
            name: asdict(
                tug_of_war(rows, baseline="baseline", attack=arm, defence=builder, both=both, over="all")
            )
            for name, (arm, both) in attacks.items()
        }
    return result


def both_name(suffix: str, steered: str) -> str:
    """The arm of a suffix and of a steered arm, or a dose of several out of fold, together."""
    return f"{suffix} & {steered}"


def frontier(
    outcomes: Sequence[Outcome], arms: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Effect in points against each side effect, up and down apart; undominated arms are marked."""
    found = gaps(outcomes, [(name, "baseline") for name in names])
    rows: list[dict[str, Any]] = []
    for direction, sign in (("up", 1), ("down", -1)):
        moved = {
            g.first: sign * g.points_all
            for g in found
            if g.points_all is not None and sign * g.points_all > 0
        }
        for effect in SIDE_EFFECTS:
            trades = [Trade(name, points, arms[name].get(effect)) for name, points in moved.items()]
            best = set(undominated(trades))
            rows += [
                {
                    "arm": trade.arm,
                    "direction": direction,
                    "effect_points": trade.effect,
                    "side_effect": effect,
                    "value": trade.cost,
                    "undominated": trade.arm in best,
                }
                for trade in trades
            ]
    return rows
