"""The choice of a cell: nothing is reported on the scenarios that it was chosen with."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from experiments.sweep.choice import (
    Candidate,
    Cap,
    Chosen,
    CrossFit,
    MeasuredCell,
    NothingChosen,
    asymmetric,
    choose,
    cross_fit,
    halves,
    symmetric,
)
from steer.errors import UserError
from steer.gaps import gap
from steer.types import Outcome
from tests.outcome_tables import table

CATEGORIES = {f"s{i:03}": f"c{i // 5}" for i in range(25)}
EVERYTHING = Cap(1.0, drift=None)


def arm(name: str, converges: set[str], broken: frozenset[str] = frozenset()) -> list[Outcome]:
    """An arm that converges on the given scenarios, and is nonsensical on others."""
    return [
        Outcome(
            name,
            s,
            c,
            0,
            "broken" if s in broken else "hit" if s in converges else "miss",
        )
        for s, c in CATEGORIES.items()
    ]


def test_halves_are_even_in_total_and_in_every_category_whatever_the_order():
    half = halves(CATEGORIES, seed=1)
    for members in [set(CATEGORIES), *({s for s, c in CATEGORIES.items() if c == f"c{k}"} for k in range(5))]:
        assert abs(sum(1 if half[s] else -1 for s in members)) <= 1
    items = list(CATEGORIES.items())
    random.Random(0).shuffle(items)
    assert halves(dict(items), seed=1) == half
    assert halves(CATEGORIES, seed=2) != half


def test_too_few_scenarios_says_how_many_are_needed():
    with pytest.raises(UserError, match=r"11 scenarios are too few.*12 are needed"):
        halves({f"s{i}": "c" for i in range(11)}, seed=0)


def test_what_is_chosen_on_a_half_is_reported_on_the_other_one():
    half = halves(CATEGORIES, seed=0)
    first, second = ({s for s in half if half[s] == number} for number in (0, 1))
    # Either pair does everything on one half and nothing on the other: choosing loves it, reporting must not.
    rows = [*arm("a+", first), *arm("a-", set()), *arm("b+", second), *arm("b-", set())]
    pairs = [Candidate("a+", "a-"), Candidate("b+", "b-")]
    fit = cross_fit(rows, pairs, half, EVERYTHING, plus="+", minus="-")
    assert isinstance(fit, CrossFit)
    assert [chosen.candidate.plus for chosen in fit.chosen] == ["a+", "b+"]
    assert [chosen.points for chosen in fit.chosen] == [100, 100]
    assert gap(fit.outcomes, "+", "-").points_all == 0
    assert sorted(row.scenario for row in fit.outcomes if row.arm == "+") == sorted(CATEGORIES)


def test_a_cell_that_works_on_both_halves_is_reported_in_full():
    half = halves(CATEGORIES, seed=0)
    rows = [*arm("a+", set(half)), *arm("a-", set()), *arm("b+", set()), *arm("b-", set())]
    fit = cross_fit(
        rows, [Candidate("a+", "a-"), Candidate("b+", "b-")], half, EVERYTHING, plus="+", minus="-"
    )
    assert isinstance(fit, CrossFit)
    assert gap(fit.outcomes, "+", "-").points_all == 100


def test_the_order_of_candidates_and_rows_changes_nothing():
    half = halves(CATEGORIES, seed=0)
    generator = random.Random(3)
    rows = [row for name in "abcd" for row in arm(name, {s for s in half if generator.random() < 0.5})]
    pairs = [Candidate(plus, minus) for plus in "ab" for minus in "cd"]
    fit = cross_fit(rows, pairs, half, EVERYTHING, plus="+", minus="-")
    generator.shuffle(rows)
    other = cross_fit(rows, pairs[::-1], half, EVERYTHING, plus="+", minus="-")
    assert isinstance(fit, CrossFit)
    assert isinstance(other, CrossFit)
    assert other.chosen == fit.chosen
    assert gap(other.outcomes, "+", "-") == gap(fit.outcomes, "+", "-")


def test_a_cell_over_the_cap_is_not_chosen_however_large_its_gap():
    rows = table({"a+": "CCCCCCCCXX", "a-": "NNNNNNNNNN", "b+": "CCCCCNNNNN", "b-": "NNNNNNNNNN"})
    scenarios = {row.scenario for row in rows}
    pairs = [Candidate("a+", "a-", drift=0.1), Candidate("b+", "b-", drift=0.3)]

    def chosen(cap: Cap) -> str:
        found = choose(rows, pairs, scenarios, cap)
        return found.candidate.plus if isinstance(found, Chosen) else found.nearest.plus + "!"

    assert chosen(Cap(0.2, drift=None)) == "a+"
    assert chosen(Cap(0.19, drift=None)) == "b+"
    assert chosen(Cap(nonsense=0.19, drift=0.3)) == "b+"
    assert chosen(Cap(nonsense=0.19, drift=0.29)) == "b+!"
    assert chosen(Cap(nonsense=0.19, drift=0.1)) == "a+!"
    assert chosen(Cap(0.0, drift=None)) == "b+"


def test_a_cap_of_zero_allows_nothing() -> None:
    """It once switched the cap off: a drift of 50 nats a token was chosen under it."""
    rows = table({"+": "CCCC", "-": "NNNN", "still +": "CNNN", "still -": "NNNN"})
    scenarios = {row.scenario for row in rows}
    moved, still = Candidate("+", "-", drift=50.0), Candidate("still +", "still -", drift=0.0)
    found = choose(rows, [moved, still], scenarios, Cap(0.1, 0.0))
    assert isinstance(found, Chosen)
    assert found.candidate == still
    assert isinstance(choose(rows, [moved], scenarios, Cap(0.1, 0.0)), NothingChosen)


@pytest.mark.parametrize(
    ("nonsense", "drift", "message"),
    [
        (-0.1, None, r"cap on nonsense -0\.1: .*from 0 to 1"),
        (10, None, r"cap on nonsense 10: .*10 percent is 0\.1"),
        (float("nan"), None, "cap on nonsense nan"),
        (0.1, -1.0, "cap on drift -1: .*from 0"),
        (0.1, float("nan"), "cap on drift nan"),
        (0.1, float("inf"), "cap on drift inf"),
    ],
)
def test_a_cap_that_would_cap_nothing_is_refused(nonsense: float, drift: float | None, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        Cap(nonsense, drift)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("letter", ["X", "i", "t", "f"])
def test_every_way_of_not_being_valid_counts_towards_the_cap(letter: str):
    rows = table({"+": "CCCC" + letter, "-": "NNNNN"})
    found = choose(rows, [Candidate("+", "-")], {row.scenario for row in rows}, Cap(0.1, drift=None))
    assert isinstance(found, NothingChosen)
    assert found.nonsense == pytest.approx(0.2)


def test_no_cell_under_the_cap_names_the_nearest():
    half = halves(CATEGORIES, seed=0)
    broken = frozenset(s for s in half if half[s] == 1)
    rows = [*arm("L3+0.6", set(half), broken), *arm("L3-0.6", set(), broken)]
    pair = Candidate("L3+0.6", "L3-0.6", drift=0.25)
    found = cross_fit(rows, [pair], half, Cap(nonsense=0.1, drift=1.0), plus="+", minus="-")
    assert isinstance(found, NothingChosen)
    assert found.half == 1
    assert str(found) == (
        "no cell is under the cap (nonsense 10%, drift 1) on half 2: the nearest is L3+0.6 / L3-0.6 "
        "with nonsense 100%, drift 0.25; add smaller magnitudes or raise the cap"
    )


def test_ties_go_to_the_smaller_drift_then_the_smaller_magnitude():
    rows = table({name: letters for c in "abc" for name, letters in ((f"{c}+", "CCNN"), (f"{c}-", "NNNN"))})
    scenarios = {row.scenario for row in rows}

    def chosen(*pairs: Candidate) -> str:
        found = choose(rows, pairs, scenarios, EVERYTHING)
        assert isinstance(found, Chosen)
        return found.candidate.plus

    a = Candidate("a+", "a-", drift=0.2, size=0.2)
    b = Candidate("b+", "b-", drift=0.1, size=0.6)
    assert chosen(a, b) == "b+"
    assert chosen(replace(a, drift=0.1), b) == "a+"
    assert chosen(Candidate("c+", "c-"), a) == "a+"
    assert chosen(Candidate("b+", "b-"), Candidate("a+", "a-")) == "a+"


def test_an_arm_without_a_valid_row_is_never_chosen():
    rows = table({"a+": "XXXX", "a-": "NNNN", "b+": "CNNN", "b-": "NNNN"})
    found = choose(
        rows, [Candidate("a+", "a-"), Candidate("b+", "b-")], {row.scenario for row in rows}, EVERYTHING
    )
    assert isinstance(found, Chosen)
    assert found.candidate.plus == "b+"


def test_a_cap_on_a_drift_that_was_not_measured_is_a_fault():
    rows = table({"a+": "CC", "a-": "NN"})
    with pytest.raises(ValueError, match="drift"):
        choose(rows, [Candidate("a+", "a-")], {row.scenario for row in rows}, Cap(drift=0.5))


def test_cells_are_paired_by_layer_and_magnitude():
    cells = [
        MeasuredCell("p", 3, 0.2, 0.1),
        MeasuredCell("m", 3, -0.2, 0.4),
        MeasuredCell("q", 3, 0.3, 0.1),
        MeasuredCell("o", 4, -0.2),
    ]
    assert symmetric(cells) == [Candidate("p", "m", drift=0.4, size=0.4, layer=3, magnitude=0.2)]
    assert {(pair.plus, pair.minus) for pair in asymmetric(cells)} == {
        ("p", "m"), ("p", "o"), ("q", "m"), ("q", "o"),
    }  # fmt: skip
    assert all(pair.drift is None for pair in asymmetric(cells) if pair.minus == "o")
