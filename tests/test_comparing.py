"""The comparison's figures on a hand-made run: one layer, three doses a side, nested effects."""

from __future__ import annotations

import json

import pytest

from experiments.compare.analyse import (
    both_name,
    exchange,
    frontier,
    side_by_side,
    sides,
    tug,
    tune_suffix,
    verdict,
)
from experiments.compare.exchange import MATCHED
from experiments.sweep.choice import CrossFit, OutOfFold, cross_fit, halves, symmetric
from experiments.sweep.choice import MeasuredCell as Measured
from experiments.sweep.options import Cap
from experiments.sweep.out_of_fold import described
from steer.results import Result
from steer.results.comparison import Comparison, Together, Tug
from steer.results.estimates import ArmResult
from steer.screen import Screen
from steer.show.comparison import comparison_sections
from steer.show.table import Section
from steer.show.terminal import print_sections
from steer.types import Outcome
from tests.outcome_tables import arms_of, nested, result_of, table

N = 100
CAP = Cap(nonsense=0.1, drift=1.0)
COUNTS = {
    "baseline": 50,
    "pro": 80,
    "anti": 20,
    "pro two": 70,
    "anti two": 40,
    "L1+0.1": 60,
    "L1+0.2": 75,
    "L1+0.3": 90,
    "L1-0.1": 45,
    "L1-0.2": 30,
    "L1-0.3": 10,
}
BUILDER = {
    "anti by builder": 20,
    "pro by builder": 80,
    "anti by builder & pro by user": 50,
    "pro by builder & anti by user": 50,
}
PAIRS = [("pro", "anti"), ("pro two", "anti two")]
CELLS = [
    Measured(name, 1, float(name[2:]), drift=abs(float(name[2:]))) for name in COUNTS if name.startswith("L")
]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return nested(COUNTS, scenarios=N)


@pytest.fixture(scope="module")
def half(outcomes: list[Outcome]) -> dict[str, int]:
    return halves({o.scenario: o.category for o in outcomes}, seed=0)


@pytest.fixture(scope="module")
def fit(outcomes: list[Outcome], half: dict[str, int]) -> CrossFit:
    found = cross_fit(outcomes, symmetric(CELLS), half, CAP, plus="vector +", minus="vector -")
    assert isinstance(found, CrossFit)
    return found


def arms(outcomes: list[Outcome]) -> dict[str, ArmResult]:
    drift = {name: abs(float(name[2:])) if name.startswith("L") else 0.0 for name in COUNTS}
    return arms_of(outcomes, {name: {"fluency": 1.0, "drift": value} for name, value in drift.items()})


def test_gaps_stand_side_by_side(outcomes: list[Outcome], half: dict[str, int], fit: CrossFit) -> None:
    tuned = tune_suffix(outcomes, PAIRS, half, CAP)
    found = side_by_side(outcomes, fit, tuned, PAIRS)
    points = {name: gap.points_all for name, gap in found.gaps.items()}
    assert points["suffix"] == pytest.approx(60)
    assert points["suffix_tuned"] == pytest.approx(60)
    assert points["vector"] == pytest.approx(80)
    assert points["suffix pro-baseline"] == pytest.approx(30)
    assert points["vector plus-baseline"] == pytest.approx(40)
    assert points["suffix baseline-anti"] == pytest.approx(30)
    assert points["vector baseline-minus"] == pytest.approx(40)
    assert found.wordings_all is not None
    assert found.wordings_all.points == pytest.approx((60 + 30) / 2)
    difference = found.differences["difference"].over_all
    assert difference is not None
    assert difference.points == pytest.approx(-20)
    assert verdict(found, "convergence").startswith("the vector moves convergence further than the suffix")


def test_the_exchange_rate_interpolates_the_dose_curve(
    outcomes: list[Outcome], half: dict[str, int], fit: CrossFit
) -> None:
    two = sides(outcomes, CELLS, fit, half, CAP)
    assert two["pro"].reached.size == pytest.approx(0.2 + 0.1 * (80 - 75) / (90 - 75))
    assert two["pro"].half_reached.size == pytest.approx(0.1 + 0.1 * (65 - 60) / (75 - 60))
    assert two["anti"].reached.size == pytest.approx(0.2 + 0.1 * (30 - 20) / (30 - 10))
    drift = exchange(outcomes, two, arms(outcomes))["pro"].side_effects["drift"]
    assert drift.vector == pytest.approx(two["pro"].reached.size)
    assert drift.suffix == 0.0


def test_nonsense_at_the_exchange_rate_is_that_of_the_scenarios_that_report() -> None:
    """Layer 1 is chosen on half 0 and breaks 5 of the answers there; reported, on half 1, it breaks none."""
    half = {f"s{i:03}": int(i >= 50) for i in range(N)}
    letters = {"baseline": "N" * 100, "anti": "N" * 100, "pro": "C" * 25 + "N" * 25 + "C" * 25 + "N" * 25}
    letters |= {
        "L1+": "X" * 5 + "C" * 45 + "C" * 30 + "N" * 20,
        "L2+": "C" * 30 + "N" * 20 + "C" * 45 + "X" * 5,
    }
    letters |= {"L1-": "N" * 100, "L2-": "N" * 100}
    rows = table(letters, per_category=N)
    cells = [
        Measured(name, int(name[1]), 0.2 if name[2] == "+" else -0.2, 0.5) for name in letters if "L" in name
    ]
    fit = cross_fit(rows, symmetric(cells), half, CAP, plus="vector +", minus="vector -")
    assert isinstance(fit, CrossFit)
    assert [one.candidate.layer for one in fit.chosen] == [1, 2]
    measured = arms_of(rows, {name: {"fluency": 1.0, "drift": 0.5} for name in letters})
    assert measured["L1+"].broken_all == 0.05
    found = exchange(rows, sides(rows, cells, fit, half, CAP), measured)["pro"]
    assert found.whole.size == pytest.approx(0.2 * 50 / 60)
    assert found.side_effects["broken_all"].vector == 0.0
    assert found.side_effects["drift"].vector == pytest.approx(0.5)


def test_tug_of_war_at_the_matched_dose_and_over_magnitude(
    outcomes: list[Outcome], half: dict[str, int], fit: CrossFit
) -> None:
    two = sides(outcomes, CELLS, fit, half, CAP)
    # Defended, the attack of +0.2 takes the rate from 20 to 30 instead of from 50 to 75.
    defended = {"dose +0.1": 24, "dose +0.2": 30, "dose +0.3": 60}
    combined = {
        ("anti", dose): nested({both_name("anti", dose): count}, scenarios=N)
        for dose, count in defended.items()
    }
    found = tug([*outcomes, *nested(BUILDER, scenarios=N)], two, combined, {})["anti defends"]
    pull = {point.size: point.pull for point in found.curve}[0.2]
    assert pull.u == pytest.approx((30 - 20) / (75 - 50))
    assert pull.interaction is not None
    assert pull.interaction.points == pytest.approx((30 - 20) - (75 - 50))
    assert found.break_even is not None
    assert found.break_even.size == pytest.approx(0.2 + 0.1 * (50 - 30) / (60 - 30))


def matched_tug(counts: dict[str, int]) -> Result:
    """With the tug of war of `counts`, the defences with the matched doses at 40."""
    rows = nested(COUNTS | BUILDER | counts, scenarios=N)
    half = halves({o.scenario: o.category for o in rows}, seed=0)
    fit = cross_fit(rows, symmetric(CELLS), half, CAP, plus="vector +", minus="vector -")
    assert isinstance(fit, CrossFit)
    two = sides(rows, CELLS, fit, half, CAP)
    together = {
        (defence, MATCHED): nested({both_name(defence, MATCHED): 40}, scenarios=N)
        for defence in ("anti", "pro")
    }
    both = described([OutOfFold("both", ("pro", "pro"))], rows, half, arms_of(rows))["both"]
    comparison = Comparison(
        verdict="",
        sides=side_by_side(rows, fit, tune_suffix(rows, PAIRS, half, CAP), PAIRS),
        exchange={},
        tug=tug(rows, two, together, {}),
        square=(Together(suffix="pro", vector="vector -", arm=both),),
    )
    return result_of(rows, comparison=comparison)


def tugs(found: Result) -> dict[str, Tug]:
    assert found.comparison is not None
    return found.comparison.tug


def parts(found: Result) -> dict[str, Section]:
    """The sections of the comparison, by name: tug-1 is the anti suffix's defence."""
    assert found.comparison is not None
    return {section.name: section for section in comparison_sections(found, found.comparison)}


def shown(found: Result, capsys: pytest.CaptureFixture[str]) -> str:
    print_sections(Screen(), list(parts(found).values()), "")
    return " ".join(capsys.readouterr().out.split())


def rows_of(section: Section) -> list[str]:
    assert section.table is not None
    return [row[0] for row in section.table.rows]


def test_the_matched_dose_says_what_either_does_alone(
    half: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the sign that it moves: the vector that pulls down once read as one that pulls up."""
    found = matched_tug({})
    matched = tugs(found)["pro defends"].matched
    assert matched is not None
    # Cell X converges on the first COUNTS[X] scenarios; each scenario counts under the other half's cell.
    lowered = sum(i < COUNTS[matched.dose.arms[1 - half[f"s{i:03}"]]] for i in range(N))
    assert matched.suffix_points == pytest.approx(20 - 50)
    assert matched.pull.alone is not None
    assert matched.pull.alone.points == pytest.approx(lowered - 50)
    assert matched.pull.u == pytest.approx((40 - 80) / (lowered - 50))
    said = shown(found, capsys)
    assert f"the vector does −{50 - lowered:.1f} points, the anti suffix −30.0" in said
    assert "the vector does +" in said
    assert "the pro suffix +30.0" in said
    assert "stands in" not in said
    assert "together, at matched solo effect (report)" in said


def test_a_suffix_without_an_effect_is_matched_by_no_dose(capsys: pytest.CaptureFixture[str]) -> None:
    """Its largest dose once stood in as "matched solo effect"."""
    found = matched_tug({"pro": 50, "anti": 60})
    assert [tugs(found)[f"{name} defends"].matched for name in ("anti", "pro")] == [None, None]
    assert "matched solo effect" not in shown(found, capsys)
    assert not any("matched" in row for i in (1, 2) for row in rows_of(parts(found)[f"tug-{i}"]))


def test_the_largest_dose_stands_in_only_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    found = matched_tug({"pro": 100})
    said = shown(found, capsys)
    caveat = "no dose is as strong as the pro suffix: the largest stands in"
    assert f"together, at matched solo effect; {caveat} (report)" in said
    assert f"the pro suffix +50.0; {caveat}" in said
    anti, pro = (parts(found)[f"tug-{i}"] for i in (1, 2))
    assert "anti defends" in anti.title
    assert caveat in anti.note
    assert "pro defends" in pro.title
    assert "no dose" not in pro.note
    assert "vector, matched: 0.3" in rows_of(anti)


def test_the_frontier_marks_what_nothing_beats(outcomes: list[Outcome]) -> None:
    found = frontier(outcomes, arms(outcomes), [name for name in COUNTS if name != "baseline"])
    best = {point.arm for point in found if point.side_effect == "drift" and point.undominated}
    assert best == {"pro", "L1+0.3", "anti", "L1-0.3"}
    up = {point.arm for point in found if point.direction == "up"}
    assert up == {"pro", "pro two", "L1+0.1", "L1+0.2", "L1+0.3"}


def test_every_figure_is_plain_data() -> None:
    found = matched_tug({})
    written = json.dumps(found.model_dump(), allow_nan=False)
    assert Result.model_validate_json(written) == found
