"""Differences of gaps, comparisons across models, and the sentences computed from intervals."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from scipy.stats import fisher_exact
from statsmodels.stats.proportion import confint_proportions_2indep

from benchmarks import across_models, published_counts
from experiments.across.compare_models import across
from experiments.across.models import answered, rate_differences, trend
from experiments.compare.verdicts import claim, further
from experiments.contrasts import gap_difference, mean_gap
from steer.gaps import gap
from steer.results.across import ModelRow
from steer.store import PlanRow, Prompt, RunStore, StoredResponse
from steer.types import Outcome, Response, Scenario, Verdict
from tests.outcome_tables import nested, result_of, table


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


def test_that_larger_models_converge_less_under_the_anti_suffix_is_not_supported():
    lines = published_counts.larger_models()
    assert len(lines) == 3
    assert all(": not supported (" in line for line in lines)
    first, first_n, second, second_n = 3, 71, 7, 71  # 30B-Thinking against 4B-Thinking
    tail = fisher_exact([[first, first_n - first], [second, second_n - second]]).pvalue
    limits = confint_proportions_2indep(first, first_n, second, second_n, method="newcomb", compare="diff")
    assert f"95 % interval {100 * limits[0]:+.1f} to {100 * limits[1]:+.1f}" in lines[1]
    assert f"corrected p {3 * tail:.3f}" in lines[1]  # the smallest of three


MODELS = {
    "a": table({"pro": "CCCCCCCCNNNN", "anti": "NNNNNNNNNNNN"}),
    "b": table({"pro": "CCNNNNNNNNNC", "anti": "NNNNNNNNNNNN"}),
    "c": table({"pro": "CCCCCCCCNNNN"}),
}


def test_models_are_compared_scenario_by_scenario_and_holm_corrected():
    found = rate_differences(MODELS, "pro")
    assert [(one.first, one.second) for one in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    alone = gap(
        [replace(row, arm=name) for name in "ab" for row in MODELS[name] if row.arm == "pro"], "a", "b"
    )
    assert (found[0].points, found[0].ci) == (alone.points_all, alone.ci_all)
    mcnemar = 2 * (1 + 7) / 2**7  # six scenarios one way, one the other
    assert found[0].p == pytest.approx(mcnemar)
    assert found[0].p_holm == pytest.approx(3 * mcnemar)
    assert found[1].points == 0
    assert [one.second for one in rate_differences(MODELS, "anti")] == ["b"]  # c has no such arm
    assert rate_differences(MODELS, "baseline") == []


def test_more_samples_of_the_same_scenarios_are_no_more_scenarios():
    """Ten equal samples of twelve scenarios say what one sample says: once they were 120 scenarios."""
    ten = {name: [replace(row, sample=i) for row in rows for i in range(10)] for name, rows in MODELS.items()}
    once, often = rate_differences(MODELS, "pro")[0], rate_differences(ten, "pro")[0]
    assert often.p == once.p
    assert once.ci is not None
    assert often.ci is not None
    assert often.ci[1] - often.ci[0] > 0.9 * (once.ci[1] - once.ci[0])
    assert often.ci[0] < 0 < often.ci[1]


@pytest.mark.parametrize("samples", [1, 10])
def test_two_models_of_equal_rates_seldom_seem_to_differ(samples: int):
    """76 scenarios that the models find hard independently, samples alike to .8: once 6 and 42 %."""
    hits = across_models.answers(np.random.default_rng(3), 400, (0.4, 0.4), samples, 0.8, 0.0)
    lower, upper, p = across_models.paired(hits, samples)
    noise = 3 * np.sqrt(0.05 * 0.95 / 400)
    assert np.mean((lower > 0) | (upper < 0)) < 0.05 + noise
    assert np.mean(p < 0.05) < 0.05 + noise
    if samples > 1:
        low, high = across_models.as_scenarios(hits, samples)
        assert np.mean((low > 0) | (high < 0)) > 0.3
    # What the simulation measures is what is reported.
    rows = {
        model: [
            Outcome("pro", f"s{i:02}", "c", j, "hit" if j < count else "miss")
            for i, count in enumerate(hits[0, :, side])
            for j in range(samples)
        ]
        for side, model in enumerate("ab")
    }
    (one,) = rate_differences(rows, "pro")
    assert one.ci == pytest.approx((100 * lower[0], 100 * upper[0]))
    assert one.p == pytest.approx(p[0])


def test_models_that_share_only_some_scenarios_are_compared_on_those():
    """Same id and text; a scenario under the same id with another text is another scenario."""
    stores = {"a": ["one", "two", "three"], "b": ["one", "TWO", "three"], "c": ["I", "II", "III"]}
    rows = {name: answered_by(texts) for name, texts in stores.items()}
    by_pair = {(one.first, one.second): one for one in rate_differences(rows, "pro")}
    assert by_pair["a", "b"].pairs == 2
    assert by_pair["a", "b"].points == 0
    nothing = by_pair["a", "c"]
    assert (nothing.pairs, nothing.points, nothing.ci, nothing.p, nothing.p_holm) == (
        0,
        None,
        None,
        None,
        None,
    )


def answered_by(texts: list[str]) -> list[Outcome]:
    """What `answered` makes of a run of these scenarios with one arm, whose first answer converged."""
    items = [Scenario(f"s{i}", "c", "", text) for i, text in enumerate(texts)]
    rows = [PlanRow(item.id, "pro", 0, item.id, "p") for item in items]
    with TemporaryDirectory() as folder, RunStore(Path(folder)) as store:
        store.add_plan(items, [Prompt("p", "", "", ())], rows)
        store.add_responses(
            StoredResponse(Response(row.response, (5,), "stop"), "", "x", True, "f") for row in rows
        )
        labels = ["hit", *["miss"] * (len(items) - 1)]
        store.add_verdicts("j", [(r.response, "i", Verdict(x)) for r, x in zip(rows, labels, strict=True)])
        return answered(store, "j")


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
    ("points", "p", "expected", "word"),
    [
        (5, 0.01, 1, "supported"),
        (5, 0.01, -1, "contradicted"),
        (-5, 0.01, 1, "contradicted"),
        (5, 0.05, 1, "not supported"),
        (-5, 0.3, 1, "not supported"),
    ],
)
def test_a_verdict_follows_the_corrected_p(points: float, p: float, expected: int, word: str):
    """Whatever its own interval, which does not know how many stand beside it."""
    ci = (points - 3, points + 3)
    assert claim("it", points, ci, p, expected=expected).startswith(f"it: {word} (")


def test_sentences_across_models_never_say_more_than_the_holm_p_beside_them():
    """Of six models, where two differ only just: its own interval excludes 0, the corrected p does not."""
    letters = {name: "CCCCCC" + "N" * 18 for name in "abcde"} | {"f": "N" * 24}
    rows = {name: table({"pro": row}) for name, row in letters.items()}
    models = {name: ModelRow(folder=name) for name in letters}
    one = result_of(rows["a"])
    found = across(models, rows, one)
    only_just = [d for d in found.pairwise["pro"] if d.ci and d.ci[0] > 0 and d.p is not None and d.p < 0.05]
    assert len(only_just) == 5
    assert all(d.p_holm is not None and d.p_holm > 0.05 for d in only_just)
    assert all(": not supported (" in sentence for sentence in found.verdicts)
    # The same difference of two models alone is shown.
    alone = across({name: models[name] for name in "af"}, {name: rows[name] for name in "af"}, one)
    assert [": supported (" in sentence for sentence in alone.verdicts] == [True]


def test_which_moves_further_is_said_only_when_its_p_says_so():
    assert further("suffix", "vector", "convergence", 20, (5, 33), 0.01).startswith(
        "suffix moves convergence further than vector"
    )
    assert further("suffix", "vector", "convergence", -20, (-33, -5), 0.01).startswith(
        "vector moves convergence further than suffix"
    )
    for ci in ((-9, 13), (1, 13)):
        assert further("suffix", "vector", "convergence", 2, ci, 0.06).startswith(
            "no difference between suffix and vector was shown"
        )
    assert "no estimate" in further("suffix", "vector", "convergence", None, None, None)
    assert claim("it", None, None, None, expected=1) == "it: no estimate"
