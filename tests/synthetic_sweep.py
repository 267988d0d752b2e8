"""The parts of a synthetic result that a sweep and a comparison add: rates and gaps are of its outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from statistics import fmean

from steer import metrics
from steer.gaps import Gap, movement
from steer.results import Estimate, GapDifference, Result
from steer.results.comparison import (
    Comparison,
    Cost,
    Exchange,
    FrontierPoint,
    Rewrites,
    SideEffectPair,
    Sides,
    SuffixTry,
    Together,
    Transfer,
    Tries,
    TriesPoint,
    Tug,
    TugMatched,
    TugPoint,
)
from steer.results.estimates import Dose, FoldedArm, MatchedDose, Reached, TugOfWar
from steer.results.sweep import (
    BeyondNulls,
    Bound,
    CapUsed,
    CellResult,
    Choice,
    ControlResult,
    Fold,
    Folded,
    Sweep,
)
from steer.types import Outcome

Grid = Mapping[str, tuple[int, float]]
"""Arm -> layer, magnitude."""

GAPS = {"plus-minus": ("+", "-"), "plus": ("+", "baseline"), "minus": ("baseline", "-")}
EFFECTS = ("broken_all", "refusal_valid", "fluency", "drift")


def folded(outcomes: Sequence[Outcome], name: str, arms: tuple[str, str]) -> list[Outcome]:
    """Rows of either half, 0 the even scenarios, under the arm that the other half chose."""
    half = {id: i % 2 for i, id in enumerate(sorted({row.scenario for row in outcomes}))}
    return [replace(row, arm=name) for row in outcomes if row.arm == arms[1 - half[row.scenario]]]


def folded_arm(result: Result, rows: Sequence[Outcome], arms: tuple[str, str]) -> FoldedArm:
    (rates,) = metrics.arm_metrics(rows).values()
    first, second = (result.arms[name].measures for name in arms)
    means = {
        name: fmean([a, second[name] or 0]) for name, a in first.items() if a is not None and name in second
    }
    return FoldedArm(**asdict(rates), arms=arms, cut=1, measures=dict(means))


def three(rows: Sequence[Outcome], name: str) -> dict[str, Gap]:
    """The gaps of a pair of arms, `name +` and `name -`."""
    arm = {"+": f"{name} +", "-": f"{name} -", "baseline": "baseline"}
    found = metrics.gaps(rows, [(arm[first], arm[second]) for first, second in GAPS.values()])
    return dict(zip(GAPS, found, strict=True))


def estimate(gap: Gap) -> Estimate | None:
    return None if gap.points_all is None or gap.ci_all is None else Estimate(gap.points_all, gap.ci_all)


def swept(
    result: Result, outcomes: Sequence[Outcome], grid: Grid, controls: Mapping[str, tuple[str, str]]
) -> Result:
    """controls: name -> arms at either sign. Half A chooses the middle layer, B the first, at their largest
    magnitude up to 0.3."""
    arm_at = {place: name for name, place in grid.items()}
    layers = sorted({layer for layer, _ in grid.values()})
    size = max((m for _, m in grid.values() if 0 < m <= 0.3))
    places = [(layers[len(layers) // 2], size), (layers[0], size)]
    plus = arm_at[places[0]], arm_at[places[1]]
    minus = arm_at[places[0][0], -size], arm_at[places[1][0], -size]
    baseline = [row for row in outcomes if row.arm == "baseline"]
    up, down = folded(outcomes, "vector +", plus), folded(outcomes, "vector -", minus)
    rows = [*baseline, *up, *down]
    together = {"vector +": folded_arm(result, up, plus), "vector -": folded_arm(result, down, minus)}
    found: list[ControlResult] = []
    for name, (own_up, own_down) in controls.items():
        own = {
            "+": folded(outcomes, f"{name} +", (own_up, own_up)),
            "-": folded(outcomes, f"{name} -", (own_down, own_down)),
        }
        gaps = three([*baseline, *own["+"], *own["-"]], name)
        kind = name.split(" ")[0]
        found.append(
            ControlResult(control=name, kind=kind, gaps={key: estimate(gap) for key, gap in gaps.items()})
        )
        together[f"{name} +"] = folded_arm(result, own["+"], (own_up, own_up))
        together[f"{name} -"] = folded_arm(result, own["-"], (own_down, own_down))
    report = three(rows, "vector")
    folds = [
        Fold(
            choose_on=half,
            report_on="AB".replace(half, ""),
            plus=plus[i],
            minus=minus[i],
            layer=places[i][0],
            magnitude=size,
            points_selection=40.0,
            points_selection_valid=42.0,
            drift=0.1,
        )
        for i, half in enumerate("AB")
    ]
    chosen = Folded(folds=(folds[0], folds[1]), movement=movement(rows, "vector +", "vector -"), gaps=report)
    choice = Choice(
        cap=CapUsed(nonsense=0.1, drift=1.0),
        report=chosen,
        chosen_arms=tuple(dict.fromkeys((*plus, *minus))),
        asymmetric=chosen,
    )
    against = metrics.gaps(outcomes, [(name, "baseline") for name in grid])
    cells = tuple(
        CellResult(
            arm=name,
            layer=layer,
            magnitude=magnitude,
            span="last",
            operation="add",
            vector="v-3f2a",
            chosen_on=tuple(f.choose_on for f in folds if name in (f.plus, f.minus)),
            gap=gap,
        )
        for (name, (layer, magnitude)), gap in zip(grid.items(), against, strict=True)
    )
    ids = sorted({row.scenario for row in outcomes})
    sweep = Sweep(
        cells=cells,
        halves={id: i % 2 for i, id in enumerate(ids)},
        choice=choice,
        out_of_fold=together,
        controls=tuple(found),
        beyond_random=beyond(found, report),
    )
    return result.model_copy(update={"sweep": sweep})


def beyond(controls: Sequence[ControlResult], report: Mapping[str, Gap]) -> BeyondNulls:
    """Of 19 directions the 95th percentile is the largest; of fewer there is none; of more, no test."""
    random = [one for one in controls if one.kind == "random"]
    bounds: dict[str, Bound] = {}
    for name, gap in report.items():
        largest = max((abs(one.points) for c in random if (one := c.gaps[name])), default=None)
        bound = largest if len(random) == 19 else None
        ci = gap.ci_all
        far = None if bound is None or ci is None else ci[0] > bound or ci[1] < -bound
        bounds[name] = Bound(largest=largest, percentile_95=bound, beyond=far)
    return BeyondNulls(directions=len(random), gaps=bounds)


def compared(result: Result, outcomes: Sequence[Outcome], together: Sequence[str]) -> Result:
    sweep = result.sweep
    assert sweep is not None
    report = sweep.choice.report
    assert report is not None
    gaps = {
        "suffix": result.gaps["pro-anti"],
        "vector": report.gaps["plus-minus"],
        "suffix pro-baseline": result.gaps["pro-baseline"],
        "vector plus-baseline": report.gaps["plus"],
        "suffix baseline-anti": result.gaps["baseline-anti"],
        "vector baseline-minus": report.gaps["minus"],
        "suffix_tuned": result.gaps["pro-anti"],
    }
    differences = {
        "difference": difference(gaps["suffix"], gaps["vector"]),
        "difference_tuned": difference(gaps["suffix_tuned"], gaps["vector"]),
        "difference_up": difference(gaps["suffix pro-baseline"], gaps["vector plus-baseline"]),
        "difference_down": difference(gaps["suffix baseline-anti"], gaps["vector baseline-minus"]),
    }
    mean = estimate(gaps["suffix"])
    sides = Sides(gaps=gaps, differences=differences, wordings_all=mean, wordings_valid=mean)
    categories = tuple(result.categories)
    points = tuple(
        tuple(float(7 * i - 5 * j) for j in range(len(categories))) for i in range(len(categories))
    )
    fold = report.folds[0]
    arm = sweep.out_of_fold["vector +"]
    cost = Cost(
        prompt_tokens_more_an_answer=12.0,
        seconds_an_answer=0.02,
        seconds_a_baseline_answer=0.02,
        extraction_generations=0,
        extraction_pairs=60,
        arms_tuned_over=len(sweep.cells),
        judge_calls_to_choose=1200,
        judge_calls_to_report=24,
    )
    comparison = Comparison(
        verdict="no difference between the suffix and the vector was shown (−3.0 points, 95 % interval "
        "−18.0 to +12.0; one of up to 18 points is not ruled out)",
        sides=sides,
        exchange={"pro": exchange(), "anti": exchange()},
        tug={"anti defends": tug("anti", "pro", arm), "pro defends": tug("pro", "anti", None)},
        together=tuple(together),
        square=(
            Together(suffix="no suffix", vector="vector +", arm=arm),
            Together(suffix="pro", vector="vector -", arm=arm),
        ),
        frontier=frontier(result, outcomes),
        transfer=Transfer(
            made_of=categories,
            measured_on=categories,
            points=points,
            ci=tuple(tuple((value - 20, value + 20) for value in row) for row in points),
            n=tuple(4 for _ in categories),
            places=((fold.layer or 0, 0.2), (fold.layer or 0, 0.3)),
        ),
        costs={"suffix": cost, "vector": cost},
        tries=tries(mean),
    )
    return result.model_copy(update={"comparison": comparison})


def tries(gap: Estimate | None) -> Tries:
    """Two suffixes, one of a rewriter's, which no half chose; the vector has no estimate of its second."""
    made = [
        SuffixTry(
            plus="pro", minus="anti", made="wording", pro="Go on.", anti="Stop.", seen_on=12, points=40.0,
            finalist=True, chosen_on=("A", "B"),
        ),
        SuffixTry(
            plus="pro rewritten-1", minus="anti rewritten-1", made="rewritten", pro="<b>Go</b> |", anti="No.",
            seen_on=12, points=None, finalist=False, chosen_on=(),
        ),
    ]  # fmt: skip
    curves = {
        "suffix": (TriesPoint(tries=1, gap=gap), TriesPoint(tries=2, gap=gap)),
        "vector": (TriesPoint(tries=1, gap=gap), TriesPoint(tries=2, gap=None)),
    }
    asked = Rewrites(rewriter="openai:m", asked=2, usable=1, left_out={"a repetition": 1})
    return Tries(suffixes=tuple(made), curves=curves, rewrites=asked)


def difference(first: Gap, second: Gap) -> GapDifference:
    points = (first.points_all or 0) - (second.points_all or 0)
    found = Estimate(points, (points - 15, points + 15))
    return GapDifference((first.first, first.second), (second.first, second.second), 12, found, found, 0.25)


def exchange() -> Exchange:
    """The whole effect with an interval, the half with a bound; one dose over the cap on half A."""
    return Exchange(
        whole=Reached(0.2, (0.125, 0.4), None, 0.01, 30.0),
        half=Reached(0.1, None, 0.05, 0.3, 15.0),
        doses=(Dose("dose 0.2", 0.2), Dose("dose 0.45", 0.45, (True, False))),
        side_effects={name: SideEffectPair(suffix=0.02, vector=0.04, vector_half=None) for name in EFFECTS},
    )


def tug(defence: str, attack: str, arm: FoldedArm | None) -> Tug:
    """A match only where there is an arm of it; on half B the largest dose stands in."""
    effect = Estimate(30.0, (10.0, 50.0))
    pull = TugOfWar(0.6, (0.3, None), effect, Estimate(18.0, (2.0, 33.0)), Estimate(-12.0, (-30.0, 5.0)), "")
    none = TugOfWar(None, None, effect, effect, effect, "the attack has no clear effect")
    matched = None
    if arm is not None:
        dose = MatchedDose(arm.arms, (0.2, 0.3), (True, False))
        matched = TugMatched(dose=dose, suffix=attack, suffix_points=31.0, pull=pull)
    return Tug(
        defence=defence,
        curve=(
            TugPoint(size=0.2, coherent=(True, True), pull=pull),
            TugPoint(size=0.45, coherent=(True, False), pull=none),
        ),
        matched=matched,
        break_even=Reached(None, None, 0.45, 0.9, 30.0, "never"),
        builder={"suffix": none},
    )


def frontier(result: Result, outcomes: Sequence[Outcome]) -> tuple[FrontierPoint, ...]:
    """Suffixes and cells; the strongest of each direction is undominated."""
    names = [name for name, arm in result.arms.items() if arm.kind in ("suffix", "cell")]
    moved = [
        (gap.first, gap.points_all) for gap in metrics.gaps(outcomes, [(name, "baseline") for name in names])
    ]
    found: list[FrontierPoint] = []
    for direction, sign in (("up", 1), ("down", -1)):
        known = {name: sign * points for name, points in moved if points is not None and sign * points > 0}
        best = max(known, key=lambda name: known[name])
        for effect in EFFECTS:
            for name, points in known.items():
                arm = result.arms[name]
                value = getattr(arm, effect) if hasattr(arm, effect) else arm.measures[effect]
                role = "selection" if arm.kind == "cell" else "report"
                found.append(
                    FrontierPoint.model_validate(
                        {
                            "arm": name, "direction": direction, "effect_points": points,
                            "side_effect": effect, "value": value, "undominated": name == best, "role": role,
                        }
                    )
                )  # fmt: skip
    return tuple(found)
