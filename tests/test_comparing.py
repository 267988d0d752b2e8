"""The comparison's figures on a hand-made run: one layer, three doses a side, nested effects."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from experiments.choice import Cap, CrossFit, cross_fit, halves, symmetric
from experiments.choice import MeasuredCell as Measured
from experiments.compare_tables import print_square, print_tug
from experiments.comparing import both_name, exchange, frontier, side_by_side, sides, tug, tune_suffix
from experiments.exchange import MATCHED
from steer.screen import Screen
from steer.show import comparison
from steer.summary import spoken_of
from steer.types import Outcome
from tests.outcome_tables import nested, table
from tests.tasks import RECORD

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


def arms() -> dict[str, dict[str, float]]:
    return {
        name: {"broken_all": 0.01, "refusal_valid": 0.0, "fluency": 1.0, "drift": 0.0}
        | ({"drift": abs(float(name[2:]))} if name.startswith("L") else {})
        for name in COUNTS
    }


def test_gaps_stand_side_by_side(outcomes: list[Outcome], half: dict[str, int], fit: CrossFit) -> None:
    tuned = tune_suffix(outcomes, PAIRS, half, CAP)
    found = side_by_side(outcomes, fit, tuned, PAIRS, noun="convergence")
    points = {name: found[name]["points_all"] for name in found if name.startswith(("suffix ", "vector"))}
    assert found["suffix"]["points_all"] == pytest.approx(60)
    assert found["suffix_tuned"]["points_all"] == pytest.approx(60)
    assert points["vector"] == pytest.approx(80)
    assert points["suffix pro-baseline"] == pytest.approx(30)
    assert points["vector plus-baseline"] == pytest.approx(40)
    assert points["suffix baseline-anti"] == pytest.approx(30)
    assert points["vector baseline-minus"] == pytest.approx(40)
    assert found["suffix_paraphrase_mean_all"]["points"] == pytest.approx((60 + 30) / 2)
    assert found["difference"]["over_all"]["points"] == pytest.approx(-20)
    assert found["verdict"].startswith("the vector moves convergence further than the suffix")


def test_the_exchange_rate_interpolates_the_dose_curve(
    outcomes: list[Outcome], half: dict[str, int], fit: CrossFit
) -> None:
    two = sides(outcomes, CELLS, fit, half, CAP)
    assert two["pro"].reached.size == pytest.approx(0.2 + 0.1 * (80 - 75) / (90 - 75))
    assert two["pro"].half_reached.size == pytest.approx(0.1 + 0.1 * (65 - 60) / (75 - 60))
    assert two["anti"].reached.size == pytest.approx(0.2 + 0.1 * (30 - 20) / (30 - 10))
    found = exchange(outcomes, two, arms())
    assert found["pro"]["side_effects"]["drift"]["vector"] == pytest.approx(two["pro"].reached.size)
    assert found["pro"]["side_effects"]["drift"]["suffix"] == 0.0


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
    measured = {n: {"broken_all": 0.05, "refusal_valid": 0.0, "fluency": 1.0, "drift": 0.5} for n in letters}
    found = exchange(rows, sides(rows, cells, fit, half, CAP), measured)["pro"]
    assert found["whole"]["size"] == pytest.approx(0.2 * 50 / 60)
    assert found["side_effects"]["broken_all"]["vector"] == 0.0
    assert found["side_effects"]["drift"]["vector"] == pytest.approx(0.5)


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
    found = tug(outcomes, two, combined)["anti defends"]
    by_size = {point["size"]: point for point in found["curve"]}
    assert by_size[0.2]["u"] == pytest.approx((30 - 20) / (75 - 50))
    assert by_size[0.2]["interaction"]["points"] == pytest.approx((30 - 20) - (75 - 50))
    assert found["break_even"]["size"] == pytest.approx(0.2 + 0.1 * (50 - 30) / (60 - 30))


def matched_tug(counts: dict[str, int]) -> dict[str, Any]:
    """The tug of war of `counts`, the defences with the matched doses at 40, as a summary holds it."""
    rows = nested(COUNTS | counts, scenarios=N)
    half = halves({o.scenario: o.category for o in rows}, seed=0)
    fit = cross_fit(rows, symmetric(CELLS), half, CAP, plus="vector +", minus="vector -")
    assert isinstance(fit, CrossFit)
    two = sides(rows, CELLS, fit, half, CAP)
    together = {
        (defence, MATCHED): nested({both_name(defence, MATCHED): 40}, scenarios=N)
        for defence in ("anti", "pro")
    }
    square = [
        {"suffix": "pro", "vector": "vector -", "rate_all": 0.4, "rate_all_ci": (0.3, 0.5)},
    ]
    return {"tug": tug(rows, two, together), "tug_square": square, "evidence": "", "task": spoken_of(RECORD)}


def shown(found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    print_tug(Screen(), found)
    print_square(Screen(), found)
    return " ".join(capsys.readouterr().out.split())


def test_the_matched_dose_says_what_either_does_alone(
    half: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the sign that it moves: the vector that pulls down once read as one that pulls up."""
    found = matched_tug({})
    matched = found["tug"]["pro defends"]["matched"]
    # Cell X converges on the first COUNTS[X] scenarios; each scenario counts under the other half's cell.
    lowered = sum(i < COUNTS[matched["arms"][1 - half[f"s{i:03}"]]] for i in range(N))
    assert matched["suffix_points"] == pytest.approx(20 - 50)
    assert matched["alone"]["points"] == pytest.approx(lowered - 50)
    assert matched["u"] == pytest.approx((40 - 80) / (lowered - 50))
    said = shown(found, capsys)
    assert f"the vector does {lowered - 50:+.1f} points, the anti suffix -30.0" in said
    assert "the vector does +" in said
    assert "the pro suffix +30.0" in said
    assert "stands in" not in said
    assert "together, at matched solo effect (report)" in said


def test_a_suffix_without_an_effect_is_matched_by_no_dose(capsys: pytest.CaptureFixture[str]) -> None:
    """Its largest dose once stood in as "matched solo effect"."""
    found = matched_tug({"pro": 50, "anti": 60})
    assert [found["tug"][f"{name} defends"]["matched"] for name in ("anti", "pro")] == [None, None]
    assert "matched solo effect" not in shown(found, capsys)
    assert not any("matched" in row[0] for row in comparison.tug_table(found["tug"]).rows)


def test_the_largest_dose_stands_in_only_with_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    found = matched_tug({"pro": 100})
    said = shown(found, capsys)
    caveat = "no dose is as strong as the pro suffix: the largest stands in"
    assert f"together, at matched solo effect; {caveat} (report)" in said
    assert f"the pro suffix +50.0; {caveat}" in said
    page = comparison.tug_table(found["tug"])
    assert f"anti defends: {caveat}" in page.caption
    assert "pro defends: no dose" not in page.caption
    assert "anti defends, matched: |magnitude| 0.3" in [row[0] for row in page.rows]


def test_the_frontier_marks_what_nothing_beats(outcomes: list[Outcome]) -> None:
    found = frontier(outcomes, arms(), [name for name in COUNTS if name != "baseline"])
    best = {row["arm"] for row in found if row["side_effect"] == "drift" and row["undominated"]}
    assert best == {"pro", "L1+0.3", "anti", "L1-0.3"}
    up = {row["arm"] for row in found if row["direction"] == "up"}
    assert up == {"pro", "pro two", "L1+0.1", "L1+0.2", "L1+0.3"}


def test_every_figure_is_plain_data(outcomes: list[Outcome], half: dict[str, int], fit: CrossFit) -> None:
    import json

    two = sides(outcomes, CELLS, fit, half, CAP)
    tuned = tune_suffix(outcomes, PAIRS, half, CAP)
    json.dumps(side_by_side(outcomes, fit, tuned, PAIRS, noun="convergence"))
    json.dumps(tug(outcomes, two, {}))
    json.dumps([asdict(s.reached) for s in two.values()])
