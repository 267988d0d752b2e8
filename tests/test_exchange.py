"""Exchange rate, tug of war and frontier on hand-made tables."""

from __future__ import annotations

import random

import numpy as np
import pytest

from experiments.compare.exchange import (
    exchange_rate,
    first_crossing,
    first_reach,
    match_doses,
    nearest_dose,
    out_of_fold_doses,
    side_effect_at,
)
from experiments.compare.frontier import Trade, undominated
from experiments.contrasts import rates_of
from experiments.sweep.choice import Chosen, CrossFit, MeasuredCell, OutOfFold, cross_fit, halves, symmetric
from experiments.sweep.options import Cap
from experiments.tug import WEAK, tug_of_war
from steer.intervals import contrast_interval
from steer.resampling import RESAMPLES, bootstrap_weights
from steer.results.estimates import Dose, MatchedDose, Reached
from steer.types import Outcome
from tests.outcome_tables import by_half, nested, table

NEITHER = (False, False)
DOSES = [Dose("v1", 0.1), Dose("v2", 0.2), Dose("v3", 0.3)]


def rate(counts: dict[str, int], doses: list[Dose] = DOSES, *, sign: int = 1, share: float = 1.0) -> Reached:
    return exchange_rate(
        nested(counts), doses, baseline="base", suffix="suffix", sign=sign, over="all", share=share
    )


@pytest.mark.parametrize(
    ("v", "suffix", "share", "expected"),
    [
        ((45, 55, 75), 65, 1.0, 0.25),
        ((45, 55, 75), 65, 0.5, 0.175),  # the mean of 40 and 65 is 52.5
        ((45, 55, 75), 55, 1.0, 0.2),  # a tie at a dose is reached there
        ((70, 50, 90), 60, 1.0, 0.1 * 20 / 30),  # not monotone: the first crossing counts
        ((40, 40, 60), 41, 1.0, 0.205),
    ],
)
def test_the_exchange_rate_is_the_first_crossing(
    v: tuple[int, int, int], suffix: int, share: float, expected: float
):
    counts = {"base": 40, "suffix": suffix, **{f"v{i + 1}": n for i, n in enumerate(v)}}
    found = rate(counts, share=share)
    assert found.size == pytest.approx(expected)
    assert found.distance == pytest.approx(share * (suffix - 40))
    lower, upper = found.ci or (found.at_least, np.inf)
    assert lower is not None
    assert lower <= expected <= upper


def test_the_anti_side_is_the_mirror_of_the_pro_side():
    up = rate({"base": 40, "suffix": 65, "v1": 45, "v2": 55, "v3": 75})
    down = rate({"base": 60, "suffix": 35, "v1": 55, "v2": 45, "v3": 25}, sign=-1)
    assert down.size == pytest.approx(up.size)
    assert down.distance == pytest.approx(up.distance)
    assert down.ci == pytest.approx(up.ci)


def test_incoherent_cells_are_not_on_the_curve():
    counts = {"base": 40, "suffix": 65, "v1": 45, "v2": 90, "v3": 75}
    assert rate(counts).size == pytest.approx(0.1 + 0.1 * 20 / 45)
    doses = [Dose("v3", 0.3), Dose("v2", 0.2, NEITHER), Dose("v1", 0.1)]
    assert rate(counts, doses).size == pytest.approx(0.1 + 0.2 * 20 / 30)
    assert rate(counts, [Dose("v1", 0.1, NEITHER)]).reason == "no coherent cell on the curve"


def test_a_suffix_that_is_not_reached_leaves_a_lower_bound():
    found = rate({"base": 10, "suffix": 90, "v1": 11, "v2": 12, "v3": 14})
    assert (found.size, found.ci, found.at_least, found.never) == (None, None, 0.3, 1.0)
    assert found.reason == "not reached up to 0.3"


def test_a_crossing_that_many_resamples_miss_has_only_a_bound():
    # The strongest dose is one scenario of a hundred above the suffix.
    swapped = nested({"base": 40, "v1": 45, "v2": 50})
    swapped += table({"suffix": "C" * 50 + "N" * 30 + "C" * 10 + "N" * 10}, per_category=100)
    swapped += table({"v3": "C" * 61 + "N" * 39}, per_category=100)
    found = exchange_rate(swapped, DOSES, baseline="base", suffix="suffix", sign=1, over="all")
    assert found.size is not None
    assert 0.29 < found.size < 0.3
    assert found.ci is None
    assert found.never is not None
    assert 0.2 < found.never < 0.6
    assert found.at_least is not None
    assert 0 < found.at_least < 0.3


@pytest.mark.parametrize(("base", "suffix"), [(40, 40), (40, 30), (0, 0)])
def test_a_suffix_without_an_effect_in_its_direction_has_no_exchange_rate(base: int, suffix: int):
    found = rate({"base": base, "suffix": suffix, "v1": 45, "v2": 55, "v3": 75})
    assert (found.size, found.ci) == (None, None)
    assert "no effect in this direction" in found.reason


def test_the_share_that_never_reaches_counts_joint_resamples():
    generator = random.Random(5)
    letters = {a: "".join("CN"[generator.random() > p] for _ in range(40)) for a, p in
               (("base", 0.4), ("v1", 0.45), ("v2", 0.5), ("v3", 0.6), ("suffix", 0.6))}  # fmt: skip
    rows = table(letters, per_category=10)
    found = exchange_rate(rows, DOSES, baseline="base", suffix="suffix", sign=1, over="all")
    weights = bootstrap_weights([f"c{i // 10}" for i in range(40)], seed=0)
    never = 0
    for draw in weights:
        count = {
            a: sum(w for w, letter in zip(draw, s, strict=True) if letter == "C") for a, s in letters.items()
        }
        never += all(count[a] < count["suffix"] - 1e-9 for a in ("base", "v1", "v2", "v3"))
    assert found.never == pytest.approx(never / RESAMPLES)
    assert 0.01 < never / RESAMPLES < 0.9


def test_the_interval_ends_where_the_paired_interval_stops_holding_zero():
    rows = nested({"base": 30, "suffix": 55, "v1": 35, "v2": 60, "v3": 90})
    found = exchange_rate(rows, DOSES, baseline="base", suffix="suffix", sign=1, over="all")
    assert found.ci is not None
    rates = rates_of(rows, ("base", "v1", "v2", "v3", "suffix"), "all")

    def around_zero(size: float) -> bool:
        curve = [float(np.interp(size, [0, 0.1, 0.2, 0.3], np.eye(4)[i])) for i in range(4)]
        limits = contrast_interval(rates, [*curve, -1.0])
        assert limits is not None
        return limits[1][0] <= 0 <= limits[1][1]

    step = 0.3 / 240
    assert around_zero(found.ci[0])
    assert not around_zero(found.ci[0] - step)
    assert around_zero(found.ci[1] - step)
    assert not around_zero(found.ci[1])


def test_a_crossing_in_a_resample_without_rows_is_not_a_crossing():
    sizes = np.array([0.0, 1.0, 2.0])
    excess = np.array([[-1.0, np.nan, 1.0], [np.nan, np.nan, np.nan], [0.0, 1.0, 1.0], [-1.0, -0.5, 0.5]])
    assert first_crossing(sizes, excess) == pytest.approx([2.0, np.inf, 0.0, 1.5])


def test_doses_come_from_the_layer_chosen_on_the_other_half():
    categories = {f"s{i:03}": "c" for i in range(20)}
    half = halves(categories, seed=0)
    first, second = ({s for s in half if half[s] == number} for number in (0, 1))

    def arm(name: str, converges: set[str]) -> list[Outcome]:
        return [Outcome(name, s, c, 0, "hit" if s in converges else "miss") for s, c in categories.items()]

    # Layer 1 works on the first half's scenarios only, layer 2 on the second half's.
    rows = [
        *arm("L1+", first),
        *arm("L1-", set()),
        *arm("L2+", second),
        *arm("L2-", set()),
        *arm("L1++", first),
    ]
    cells = [
        MeasuredCell("L1+", 1, 0.2, 0.1), MeasuredCell("L1-", 1, -0.2, 0.1),
        MeasuredCell("L1++", 1, 0.4, 0.1),
        MeasuredCell("L2+", 2, 0.2, 0.6), MeasuredCell("L2-", 2, -0.2, 0.1),
    ]  # fmt: skip
    cap = Cap(nonsense=0.1, drift=1.0)
    fit = cross_fit(rows, symmetric(cells), half, cap, plus="+", minus="-")
    assert isinstance(fit, CrossFit)
    assert [chosen.candidate.layer for chosen in fit.chosen] == [1, 2]
    made, doses = out_of_fold_doses(rows, cells, fit, half, cap, sign=1, prefix="dose ")
    assert doses == [Dose("dose +0.2", 0.2)]  # 0.4 is missing from layer 2
    assert [dose.arms for dose in made] == [("L1+", "L2+")]
    assert all(row.status == "miss" for row in made[0].rows(rows, half))
    strict = Cap(nonsense=0.1, drift=0.5)
    # Layer 2, chosen on the second half, drifts too far: it does not count on the first, where it reports.
    assert out_of_fold_doses(rows, cells, fit, half, strict, sign=1, prefix="dose ")[1] == [
        Dose("dose +0.2", 0.2, (False, True))
    ]


def test_no_scenario_decides_which_doses_are_reported_on_it():
    """One layer, whose dose breaks answers of the first half only: it is off the second half's curve."""
    half = {f"s{i:03}": int(i >= 10) for i in range(20)}
    letters = {"L1+": "X" * 5 + "C" * 15, "L1-": "N" * 20}
    rows = table(letters, per_category=20)
    cells = [MeasuredCell("L1+", 1, 0.2, 0.1), MeasuredCell("L1-", 1, -0.2, 0.1)]
    wide, cap = Cap(1.0, drift=None), Cap(0.1, drift=None)
    fit = cross_fit(rows, symmetric(cells), half, wide, plus="+", minus="-")
    assert isinstance(fit, CrossFit)
    assert out_of_fold_doses(rows, cells, fit, half, cap, sign=1, prefix="")[1] == [
        Dose("+0.2", 0.2, (True, False))
    ]


UNEVEN = [Dose("v1", 0.1), Dose("v2", 0.2, (True, False)), Dose("v3", 0.3, (False, True))]


@pytest.mark.parametrize("goal", [3, 4, 5, 6, 7])
def test_the_curve_of_uneven_doses_is_the_mean_of_the_halves(goal: int):
    """Half 0 ends at 0.2 and stays level; half 1 goes from 0.1 to 0.3 past the dose that it lacks."""
    half = halves({f"s{i:03}": "c0" for i in range(25)}, seed=0)  # halves of 13 and 12 scenarios
    counts = {"base": (1, 2), "v1": (2, 4), "v2": (6, 0), "v3": (0, 10), "suffix": (goal, goal)}
    rows = by_half(half, counts)
    found = exchange_rate(rows, UNEVEN, baseline="base", suffix="suffix", sign=1, over="all", half=half)
    axis = np.linspace(0, 0.3, 3001)
    first = np.interp(axis, [0, 0.1, 0.2], [1, 2, 6])
    second = np.interp(axis, [0, 0.1, 0.3], [2, 4, 10])
    assert found.size == pytest.approx(axis[((first + second) >= 2 * goal - 1e-9).argmax()], abs=1e-4)
    assert found.distance == pytest.approx(100 * (2 * goal - 3) / 25)


def test_even_doses_do_not_need_the_halves():
    rows = nested({"base": 30, "suffix": 55, "v1": 35, "v2": 60, "v3": 90})
    half = {row.scenario: int(row.scenario[-1] in "02468") for row in rows}
    plain, split = (
        exchange_rate(rows, DOSES, baseline="base", suffix="suffix", sign=1, over="all", half=h)
        for h in ({}, half)
    )
    assert plain == split


def test_a_cap_at_its_edge_does_not_make_a_dose_look_cleaner_than_it_is():
    """True nonsense is 13 %, the cap 10 %. Wherever the dose counts, it is reported as it is, on average.

    Kept where it was under the cap on both halves, it would be reported with 6 %.
    """
    generator = np.random.default_rng(0)
    half = {f"s{i:03}": i % 2 for i in range(76)}
    cells = [MeasuredCell("L1+", 1, 0.2, 0.1), MeasuredCell("L1-", 1, -0.2, 0.1)]
    still = nested({"L1-": 0}, scenarios=76)
    reported: list[float] = []
    for _ in range(150):
        broken = generator.random(76) < 0.13
        rows = [*table({"L1+": "".join("X" if b else "C" for b in broken)}, per_category=76), *still]
        pick = Chosen(symmetric(cells)[0], 0.0, None, 0.0)
        fit = CrossFit((pick, pick), (OutOfFold("+", ("a", "a")), OutOfFold("-", ("a", "a"))), ())
        [made], [dose] = out_of_fold_doses(rows, cells, fit, half, Cap(0.1, drift=None), sign=1, prefix="")
        for number, counts in enumerate(dose.coherent):
            there = [r.status for r in made.rows(rows, half) if half[r.scenario] == number]
            if counts:
                reported.append(there.count("broken") / len(there))
    assert len(reported) > 60
    assert np.mean(reported) == pytest.approx(0.13, abs=0.02)


def test_the_matched_dose_and_its_side_effects():
    found = Reached(0.16, None, None, None, 20.0)
    assert nearest_dose(DOSES, found) == DOSES[1]
    assert nearest_dose([Dose("v1", 0.1), Dose("v2", 0.2, NEITHER)], found) == Dose("v1", 0.1)
    assert nearest_dose(DOSES, Reached(None, None, None, None, 20.0)) == DOSES[2]
    for nothing in (None, 0.0, -5.0):
        assert nearest_dose(DOSES, Reached(None, None, None, None, nothing)) is None
    drift = {"": 0.0, "v1": 0.2, "v2": 0.4, "v3": 2.0}
    assert side_effect_at(DOSES, drift, 0.25, number=0) == pytest.approx(1.2)
    assert side_effect_at(DOSES, drift, 0.05, number=0) == pytest.approx(0.1)
    assert side_effect_at(UNEVEN, drift, 0.25, number=0) == pytest.approx(0.4)
    assert side_effect_at(UNEVEN, drift, 0.25, number=1) == pytest.approx(0.2 + 1.8 * 0.15 / 0.2)
    assert side_effect_at(DOSES, drift | {"v2": None}, 0.05, number=0) is None
    assert side_effect_at(UNEVEN, drift | {"v2": None}, 0.05, number=1) is not None


def test_a_dose_is_matched_on_the_half_that_does_not_report_it():
    """Half 0 needs 0.2 to do what the suffix does there, half 1 needs 0.4: each goes to the other half."""
    half = halves({f"s{i:03}": "c0" for i in range(20)}, seed=0)
    counts = {"baseline": (4, 4), "pro": (6, 8), "anti": (4, 2)}
    counts |= {"L1+0.2": (6, 6), "L1+0.4": (9, 8), "L1-0.2": (2, 3), "L1-0.4": (1, 3)}
    cells = [MeasuredCell(name, 1, float(name[2:]), 0.1) for name in counts if name.startswith("L")]
    rows = by_half(half, counts)
    fit = cross_fit(rows, symmetric(cells), half, Cap(drift=None), plus="+", minus="-")
    assert isinstance(fit, CrossFit)
    found = match_doses(rows, cells, fit, half, Cap(drift=None), suffix="pro", sign=1)
    assert found == MatchedDose(("L1+0.2", "L1+0.4"), (0.2, 0.4), (True, True))
    assert found is not None
    reported = OutOfFold("matched", found.arms).rows(rows, half)
    assert sum(row.status == "hit" for row in reported) == 9 + 6
    # The anti suffix does nothing on half 0: nothing is matched, whatever it does on half 1.
    assert match_doses(rows, cells, fit, half, Cap(drift=None), suffix="anti", sign=-1) is None
    # With an effect on either, half 1's doses fall short of it: its largest stands in.
    rows = by_half(half, counts | {"anti": (2, 1)})
    found = match_doses(rows, cells, fit, half, Cap(drift=None), suffix="anti", sign=-1)
    assert found == MatchedDose(("L1-0.2", "L1-0.4"), (0.2, 0.4), (True, False))


def tug(counts: dict[str, int]):
    rows = nested(dict(zip(("0", "a", "d", "da"), counts.values(), strict=True)))
    return rows, tug_of_war(rows, baseline="0", attack="a", defence="d", both="da", over="all")


@pytest.mark.parametrize(
    ("rates", "u", "interaction"),
    [
        ((40, 80, 10, 30), 0.5, -20),
        ((40, 80, 10, 10), 0.0, -40),  # the defence holds
        ((40, 80, 10, 50), 1.0, 0),  # the defence takes nothing away from the attack
        ((40, 80, 20, 10), -0.25, -50),  # the attack is turned round
        ((60, 20, 90, 70), 0.5, 20),  # the mirror: the attack lowers
    ],
)
def test_the_share_an_attack_keeps(rates: tuple[int, ...], u: float, interaction: float):
    rows, found = tug(dict(zip("0adx", rates, strict=True)))
    assert found.u == pytest.approx(u)
    assert found.interaction is not None
    assert found.interaction.points == pytest.approx(interaction)
    assert found.ci is not None
    assert found.ci[0] < u < found.ci[1]
    # Fieller: at either end, 0 lies on the edge of the interval of numerator - u * denominator.
    paired = rates_of(rows, ("0", "a", "d", "da"), "all")
    for end, side in zip(found.ci, (0, 1), strict=True):
        limits = contrast_interval(paired, (end, -end, -1, 1))
        assert limits is not None
        assert min(abs(limit) for limit in limits[1]) < 1e-6, side


def test_no_share_where_the_attack_alone_may_do_nothing():
    found = tug({"0": 40, "a": 42, "d": 10, "da": 30})[1]
    assert (found.u, found.ci) == (None, None)
    assert "includes 0" in found.reason
    assert found.interaction is not None
    assert found.interaction.points == pytest.approx(18)
    floor = tug({"0": 0, "a": 0, "d": 0, "da": 0})[1]
    assert floor.u is None


@pytest.mark.parametrize(("attack", "weak"), [(46, True), (49, True), (60, False), (90, False)])
def test_a_weak_attacks_share_is_said_to_be_too_small(attack: int, weak: bool):
    """Of 100, from 40: what is only just seen is seen because it looks strong."""
    found = tug({"0": 40, "a": attack, "d": 10, "da": 10 + attack - 40})[1]
    assert found.u == pytest.approx(1)
    assert found.alone is not None
    assert weak == (found.alone.ci[0] < found.alone.points / 3)
    assert found.reason == (WEAK if weak else "")
    down = tug({"0": 60, "a": 100 - attack, "d": 90, "da": 90 - attack + 40})[1]  # the mirror
    assert down.reason == found.reason


def test_an_arm_of_nonsense_gives_no_share_over_valid():
    rows = table({"0": "CN", "a": "CC", "d": "XX", "da": "NN"})
    found = tug_of_war(rows, baseline="0", attack="a", defence="d", both="da", over="valid")
    assert (found.u, found.reason) == (None, "an arm has no row with a label")


def test_break_even_is_where_the_attacked_defence_is_back_at_the_baseline():
    rows = nested({"base": 40, "anti": 10, "anti v1": 20, "anti v2": 30, "anti v3": 70})
    doses = [Dose(f"anti v{i}", i / 10) for i in (1, 2, 3)]
    found = first_reach(rows, doses, start="anti", target={"base": 1.0}, sign=1, over="all")
    assert found.size == pytest.approx(0.225)
    assert found.distance == pytest.approx(30)


def test_the_frontier_is_what_no_arm_beats():
    trades = [
        Trade("cheap", 10, 0.1),
        Trade("same", 10, 0.1),
        Trade("worse", 9, 0.1),
        Trade("dearer", 10, 0.2),
        Trade("strong", 30, 0.5),
        Trade("unknown", None, 0.0),
        Trade("unmeasured", 99, None),
    ]
    assert undominated(trades) == ["cheap", "same", "strong"]
    assert undominated([]) == []


@pytest.mark.parametrize("seed", range(20))
def test_the_frontier_agrees_with_its_definition(seed: int):
    generator = random.Random(seed)
    trades = [Trade(str(i), generator.randrange(6), generator.randrange(6)) for i in range(15)]

    def beaten(one: Trade) -> bool:
        return any(
            (other.effect or 0) >= (one.effect or 0)
            and (other.cost or 0) <= (one.cost or 0)
            and (other.effect, other.cost) != (one.effect, one.cost)
            for other in trades
        )

    assert set(undominated(trades)) == {trade.arm for trade in trades if not beaten(trade)}
