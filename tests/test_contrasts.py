"""Differences of gaps, comparisons across models, and the sentences computed from intervals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from experiments.across_models import rate_differences, trend
from experiments.contrasts import gap_difference, mean_gap, relabel
from experiments.verdicts import claim, further
from steer.gaps import gap
from steer.types import Outcome
from tests import published
from tests.outcome_tables import nested, table


def test_a_difference_of_gaps_by_hand():
    rows = table({
        "pro": "CCCCNXC-",
        "anti": "NNNCNNCC",
        "plus": "CCNCNCNC",
        "minus": "CNNNNNNN",
    })  # fmt: skip
    found = gap_difference(rows, ("pro", "anti"), ("plus", "minus"))
    # The last scenario is missing from one arm: seven rows. Per scenario (pro-anti) - (plus-minus):
    changes = [1 - 0, 1 - 1, 1 - 0, 0 - 1, 0, 0 - 1, 0 - 0]
    assert found.rows == 7
    assert found.over_all is not None
    assert found.over_all.points == pytest.approx(100 * sum(changes) / 7)
    assert found.over_valid is not None
    assert found.over_valid.points == pytest.approx(100 * ((5 / 6 - 2 / 7) - (4 / 7 - 1 / 7)))
    flips = [abs(np.dot(s, changes)) >= abs(sum(changes)) for s in itertools.product((-1, 1), repeat=7)]
    assert found.p == pytest.approx(np.mean(flips))


def test_gaps_that_share_an_arm_are_the_gap_of_the_other_two():
    rows = table({"pro": "CCCCCNNN", "base": "CNNNNNNN", "plus": "CCNNCNCN"})
    found = gap_difference(rows, ("pro", "base"), ("plus", "base"))
    plain = gap(rows, "pro", "plus")
    assert found.over_all is not None
    assert found.over_all.points == pytest.approx(plain.points_all)
    assert found.p == plain.p


def test_a_difference_of_gaps_is_seen_through_its_interval():
    equal = gap_difference(nested({"a": 80, "b": 20, "c": 80, "d": 20}), ("a", "b"), ("c", "d"))
    apart = gap_difference(nested({"a": 90, "b": 10, "c": 60, "d": 50}), ("a", "b"), ("c", "d"))
    assert equal.over_all is not None
    assert apart.over_all is not None
    assert not equal.over_all.excludes_zero
    assert equal.over_all.ci[1] - equal.over_all.ci[0] > 1
    assert apart.over_all.excludes_zero
    assert apart.p is not None
    assert apart.p < 1e-10


def test_the_mean_gap_of_paraphrases():
    rows = nested({"p1": 80, "a1": 20, "p2": 70, "a2": 40})
    found = mean_gap(rows, [("p1", "a1"), ("p2", "a2")], "all")
    assert found is not None
    assert found.points == pytest.approx(45)
    assert found.ci[0] < 45 < found.ci[1]


def test_wordings_that_agree_are_no_further_scenarios():
    """Six wordings that do the same on every scenario are known as well as one of them."""
    one = nested({"pro 0": 24, "anti 0": 0}, scenarios=24)
    six = nested({f"{side} {i}": n for i in range(6) for side, n in (("pro", 24), ("anti", 0))}, scenarios=24)
    single = mean_gap(one, [("pro 0", "anti 0")], "all")
    every = mean_gap(six, [(f"pro {i}", f"anti {i}") for i in range(6)], "all")
    assert single is not None
    assert every is not None
    assert every.points == single.points == 100
    assert every.ci == pytest.approx(single.ci)


def test_relabelled_rows_come_from_the_arm_named_for_their_scenario():
    rows = table({"a": "CC", "b": "NN"})
    made = relabel(rows, "mix", {"s000": "a", "s001": "b"})
    assert made == [
        Outcome("mix", "s000", "c0", 0, "convergence"),
        Outcome("mix", "s001", "c0", 0, "no_convergence"),
    ]


def anti_count(model: str) -> tuple[int, int]:
    counts = published.COUNTS[model, "anti_ic"]
    return sum(c[0] for c in counts), sum(c[0] + c[1] + c[3] for c in counts)


@pytest.mark.parametrize(
    ("small", "large", "counts"),
    [
        ("Qwen3-4B-Instruct-2507", "Qwen3-30B-A3B-Instruct-2507", (3, 2)),
        ("Qwen3-4B-Thinking-2507", "Qwen3-30B-A3B-Thinking-2507", (7, 3)),
    ],
)
def test_that_larger_models_converge_less_under_the_anti_suffix_is_not_supported(
    small: str, large: str, counts: tuple[int, int]
):
    rates = {model: anti_count(model) for model in (large, small)}
    assert rates == {large: (counts[1], 71), small: (counts[0], 71)}
    (found,) = rate_differences(rates)
    assert found.p is not None
    assert found.p > 0.3
    assert found.ci is not None
    assert found.ci[0] < 0 < found.ci[1]
    sentence = claim(
        "the larger model converges less under the anti suffix", found.points, found.ci, expected=-1
    )
    assert ": not supported (" in sentence
    assert f"{found.ci[0]:+.1f} to {found.ci[1]:+.1f}" in sentence


def test_differences_between_models_are_newcombes_and_holm_corrected():
    found = rate_differences({"a": (56, 70), "b": (48, 80), "c": (0, 0)})
    assert [(one.first, one.second) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found[0].ci == pytest.approx((5.24, 33.39), abs=0.005)
    assert found[0].p_holm == found[0].p
    assert (found[1].points, found[1].ci, found[1].p) == (None, None, None)


def test_a_trend_needs_three_models_that_differ():
    assert trend([1, 2], [3, 4]) is None
    assert trend([1, 1, 1], [3, 4, 5]) is None
    x, y = np.array([1.0, 2.0, 4.0, 5.0]), np.array([10.0, 14.0, 15.0, 22.0])
    found = trend(x.tolist(), y.tolist())
    assert found is not None
    slope = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    residual = y - y.mean() - slope * (x - x.mean())
    error = np.sqrt((residual**2).sum() / 2 / ((x - x.mean()) ** 2).sum())
    assert found.slope == pytest.approx(slope)
    assert found.ci == pytest.approx((slope - 4.302653 * error, slope + 4.302653 * error), rel=1e-6)


@pytest.mark.parametrize(
    ("ci", "expected", "word"),
    [
        ((2, 9), 1, "supported"),
        ((2, 9), -1, "contradicted"),
        ((-1, 9), 1, "not supported"),
        ((0, 9), 1, "not supported"),
    ],
)
def test_a_verdict_follows_from_the_interval(ci: tuple[float, float], expected: int, word: str):
    assert claim("it", 5, ci, expected=expected).startswith(f"it: {word} (")


def test_which_moves_further_is_said_only_when_the_interval_says_so():
    assert further("suffix", "vector", 20, (5, 33)).startswith("suffix moves convergence further than vector")
    assert further("suffix", "vector", -20, (-33, -5)).startswith(
        "vector moves convergence further than suffix"
    )
    assert further("suffix", "vector", 2, (-9, 13)).startswith(
        "no difference between suffix and vector was shown"
    )
    assert "no estimate" in further("suffix", "vector", None, None)
    assert claim("it", None, None, expected=1) == "it: no estimate"
