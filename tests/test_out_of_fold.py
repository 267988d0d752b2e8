"""Arms put together out of fold, and controls held beside the vector in the same way, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from experiments.compare.analyse import sides, tug
from experiments.sweep import out_of_fold
from experiments.sweep.choice import CrossFit, OutOfFold, cross_fit, symmetric
from experiments.sweep.choice import MeasuredCell as Measured
from experiments.sweep.options import Cap
from experiments.sweep.out_of_fold import (
    GAPS,
    ControlPair,
    control_effects,
    described,
    mean,
)
from steer.gaps import gap
from steer.intervals import Interval
from steer.results import Estimate
from steer.results.sweep import ControlResult, Fold, Folded
from steer.show import words
from steer.show.sweep import few_controls
from steer.types import Outcome
from tests.outcome_tables import arms_of, nested, table

HALF = {f"s{i:03}": int(i >= 4) for i in range(8)}
ARMS = {
    #            half A | half B
    "baseline": "CCNN" + "CCNN",
    "first": "CCCC" + "NNNN",
    "second": "NNNN" + "CCCN",
    "low": "NNNN" + "NNNN",
}


def test_each_half_is_reported_under_what_the_other_half_chose() -> None:
    """Half A chose `first`: half B's scenarios are its. Half A's own good rows are not counted."""
    made = OutOfFold("vector +", ("first", "second"))
    arms = arms_of(table(ARMS), {"first": {"fluency": 1.0, "drift": 0.5}, "second": {"fluency": 2.0}})
    found = described([made], table(ARMS), HALF, arms)["vector +"]
    assert (found.n, found.hit, found.arms) == (8, 0, ("first", "second"))
    turned = described([OutOfFold("vector +", ("second", "first"))], table(ARMS), HALF, arms)["vector +"]
    assert turned.hit == 4 + 3
    assert found.measures == {"fluency": 1.5}  # the drift of one arm is unknown


def test_a_control_is_measured_as_the_vector_is() -> None:
    pair = ControlPair(
        "random0",
        "random",
        OutOfFold("random0 +", ("second", "first")),
        OutOfFold("random0 -", ("low", "low")),
    )
    (found,) = control_effects([pair], table(ARMS), HALF)
    points = {name: one.points for name, one in found.gaps.items() if one is not None}
    assert points == pytest.approx({"plus-minus": 700 / 8, "plus": 100 * (7 - 4) / 8, "minus": 400 / 8})
    whole = found.gaps["plus-minus"]
    assert whole is not None
    assert whole.ci[0] < 87.5 < whole.ci[1]


def report(ci: Interval | None) -> Folded:
    """A chosen vector whose three gaps have this interval."""
    one = replace(gap(table({"a": "C", "b": "N"}), "a", "b"), ci_all=ci)
    fold = Fold(
        choose_on="A",
        report_on="B",
        plus="a",
        minus="b",
        layer=1,
        magnitude=0.2,
        points_selection=0.0,
        points_selection_valid=None,
        drift=None,
    )
    return Folded(folds=(fold, fold), movement={}, gaps=dict.fromkeys(GAPS, one))


def control(kind: str, points: float | None) -> ControlResult:
    found = None if points is None else Estimate(points, (points, points))
    return ControlResult(control="c", kind=kind, gaps=dict.fromkeys(GAPS, found))


@pytest.mark.parametrize(
    ("ci", "beyond"), [((9.6, 30.0), True), ((9.4, 30.0), False), ((-30.0, -9.6), True), (None, None)]
)
def test_beyond_random_means_that_the_whole_interval_is(
    ci: tuple[float, float] | None, beyond: bool | None
) -> None:
    """Twenty directions of -9.5, -8.5, ..., 9.5 points: the 95th percentile of their sizes is 9.5."""
    sizes = [i / 2 for i in range(-19, 20, 2)]
    controls = [*(control("random", points) for points in sizes), control("label", 80.0)]
    found = out_of_fold.beyond(report(ci), controls, "random")
    assert found.directions == 20
    assert found.gaps["plus"].percentile_95 == pytest.approx(9.5)
    assert found.gaps["plus"].beyond is beyond


@pytest.mark.parametrize(("n", "bound"), [(0, None), (3, None), (18, None), (19, 19.0), (39, 38.0)])
def test_a_percentile_needs_nineteen_directions(n: int, bound: float | None) -> None:
    """The 95th percentile of n is the one of rank 0.95 (n + 1): the largest of 19, the second of 39."""
    found = out_of_fold.beyond(
        report((90.0, 99.0)), [control("random", float(i)) for i in range(1, n + 1)], "random"
    )
    assert found.gaps["plus"].percentile_95 == (bound and pytest.approx(bound))
    assert found.gaps["plus"].largest == (n or None)
    assert found.gaps["plus"].beyond is (None if bound is None else True)
    said, (title, bounds) = words.beyond(found), words.null_bounds(found)
    if n < 19:
        assert said == f"{n} directions: too few for a percentile (19 or more, --controls 19)"
        assert (title, bounds) == (f"|random|, largest of {n}", [n or None] * 3)
    else:
        assert said.startswith("+ against − beyond, ")
        assert title == f"|random|, 95th percentile of {n}"


def test_directions_without_an_estimate_do_not_make_up_the_number() -> None:
    controls = [control("random", i if i < 18 else None) for i in range(30)]
    found = out_of_fold.beyond(report((90.0, 99.0)), controls, "random")
    assert found.gaps["plus"].beyond is None
    assert "no estimate against" in words.beyond(found)


def test_a_mean_with_a_part_unknown_is_unknown() -> None:
    assert mean([1.0, 2.0]) == 1.5
    assert mean([1.0, None]) is None
    assert mean([]) is None


def test_a_defence_by_the_builder_is_pulled_at_by_vector_and_by_user() -> None:
    n = 100
    counts = {"baseline": 50, "pro": 80, "anti": 20, "L1+0.2": 80, "L1-0.2": 20}
    counts |= {"anti by builder": 30, "anti by builder & pro by user": 45}
    rows: list[Outcome] = nested(counts, scenarios=n)
    half = {scenario: i % 2 for i, scenario in enumerate(sorted({o.scenario for o in rows}))}
    cells = [Measured(name, 1, float(name[2:]), drift=0.1) for name in counts if name.startswith("L")]
    cap = Cap(drift=None)
    fit = cross_fit(rows, symmetric(cells), half, cap, plus="vector +", minus="vector -")
    assert isinstance(fit, CrossFit)
    two = sides(rows, cells, fit, half, cap)
    together = {"anti": nested({"anti by builder & dose": 60}, scenarios=n)}
    rows += nested({"pro by builder": 70, "pro by builder & anti by user": 40}, scenarios=n)
    found = tug(rows, two, {}, together)
    assert found["anti defends"].builder["vector"].u == pytest.approx((60 - 30) / (80 - 50))
    assert found["anti defends"].builder["suffix"].u == pytest.approx((45 - 30) / (80 - 50))
    assert found["pro defends"].builder["suffix"].u == pytest.approx((40 - 70) / (20 - 50))
    assert "vector" not in found["pro defends"].builder


@pytest.mark.parametrize(
    ("own", "p", "percentile"), [(25.0, 1 / 21, 100), (20.0, 2 / 21, 97.5), (-18.5, 3 / 21, 90), (0.0, 1, 0)]
)
def test_the_vectors_rank_among_nulls_counts_sizes_and_ties_against_it(
    own: float, p: float, percentile: float
) -> None:
    """Nulls of 1, -2, 3, ..., -20 points."""
    controls = [control("contrast", float(i if i % 2 else -i)) for i in range(1, 21)]
    one = replace(report((1.0, 2.0)).gaps["plus"], points_all=own)
    told = report((1.0, 2.0)).model_copy(update={"gaps": dict.fromkeys(GAPS, one)})
    found = out_of_fold.beyond(told, [*controls, control("random", 90.0)], "contrast")
    assert (found.directions, found.gaps["plus"].p) == (20, pytest.approx(p))
    assert found.gaps["plus"].percentile == pytest.approx(percentile)
    title, texts = words.rank(found, words.FAMILIES["contrast"])
    assert title == "vector among 20 unrelated: percentile, p"
    assert texts[0].startswith(f"{percentile:.0f}, 0.") or p == 1


def test_of_many_contrasts_the_strongest_are_shown_and_of_random_directions_the_first() -> None:
    controls = [
        control(kind, points).model_copy(update={"control": f"{kind} {points:g}"})
        for kind in ("random", "contrast")
        for points in (1.0, -9.0, 4.0)
    ]
    shown = [one.control for one in few_controls([*controls, control("label", 2.0)], 2)]
    assert shown == ["random 1", "random -9", "contrast -9", "contrast 4", "c"]
