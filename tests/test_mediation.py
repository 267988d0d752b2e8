"""The share left of a gap and its word, on labels and propensities counted by hand and simulated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.mediation import draw, measured, share_of
from experiments.mechanism.mediation import has_gap, sentence_of, share_left, together, word_of
from steer.results.mechanism import Share
from steer.types import Outcome

GAP, LEFT = ("pro", "anti"), ("pro out", "anti out")


def labels(arm: str, hits: Sequence[bool]) -> list[Outcome]:
    return [Outcome(arm, f"s{i}", "c", 0, "hit" if hit else "miss") for i, hit in enumerate(hits)]


def share(outcomes: list[Outcome]) -> Share:
    return share_left(outcomes, GAP, LEFT, what="vector", kind="vector", where="on", layers=(3, 3))


def told(value: float | None, low: float | None, high: float | None, kind: str = "vector") -> Share:
    ci = None if value is None else (low, high)
    return Share(
        what=kind, kind=kind, where="on", layers=(1,), gap=50, gap_ci=(30, 70), left=10, left_ci=(0, 20),
        share=value, share_ci=ci,
    )  # fmt: skip


def test_a_share_of_labels_is_the_ratio_of_gaps_in_points() -> None:
    rows = [
        *labels("pro", [True] * 18 + [False] * 2),
        *labels("anti", [True] * 2 + [False] * 18),
        *labels("pro out", [True] * 12 + [False] * 8),
        *labels("anti out", [True] * 8 + [False] * 12),
    ]
    found = share(rows)
    assert (found.gap, found.left, found.layers) == (pytest.approx(80), pytest.approx(20), (3,))
    assert found.share == pytest.approx(0.25)
    assert found.share_ci is not None
    low, high = found.share_ci
    assert low is not None
    assert high is not None
    assert low < 0.25 < high


def test_a_share_of_propensities_has_fiellers_interval() -> None:
    """Solved here on a grid: the shares whose t interval of (left - share * gap) includes 0."""
    from scipy.stats import ttest_1samp

    values = draw(np.random.default_rng(3), "nats", 25, 2.0, 0.5, 0.4)
    found = share_of(values, "nats")
    gap, left = values[:, 0] - values[:, 1], values[:, 2] - values[:, 3]
    assert found.share == pytest.approx(left.mean() / gap.mean())
    grid = np.linspace(-1, 2, 3001)
    kept = [s for s in grid if ttest_1samp(left - s * gap, 0).pvalue >= 0.05]
    assert found.share_ci == pytest.approx((min(kept), max(kept)), abs=2e-3)


def test_a_gap_that_is_none_is_not_shared_out() -> None:
    rows = [row for arm in (*GAP, *LEFT) for row in labels(arm, [True, False] * 8)]
    found = share(rows)
    assert (found.share, found.share_ci) == (None, None)
    assert found.reason == "no share is estimated: the interval of the gap includes 0"
    assert has_gap(rows, GAP) is None
    assert word_of(found, []) == "not shown"
    assert sentence_of("suffix", found, []).endswith(found.reason)


@pytest.mark.parametrize(
    ("main", "randoms", "word"),
    [
        ((0.1, -0.1, 0.3), (0.9, 1.0), "shared path"),
        ((0.6, 0.4, 0.8), (0.9, 1.0), "partly"),
        ((0.3, 0.1, 0.6), (0.9, 1.0), "partly"),
        ((0.98, 0.8, 1.2), (0.9, 1.0), "apart"),
        ((0.7, 0.3, 1.1), (0.9, 1.0), "not shown"),
        ((0.1, -0.1, 0.3), (0.25, 1.0), "not shown"),  # so does a random direction
        ((0.9, 0.7, None), (1.0,), "not shown"),
        ((None, None, None), (), "not shown"),
    ],
)
def test_the_word_follows_the_interval_and_the_random_directions(
    main: tuple[float | None, float | None, float | None], randoms: tuple[float, ...], word: str
) -> None:
    beside = [told(value, value, value, kind="random") for value in randoms]
    beside.append(told(0.0, 0.0, 0.1, kind="rank"))  # no random direction: it says nothing of this one
    assert word_of(told(*main), beside) == word


def test_two_ways_that_differ_are_partly_and_the_suffix_s_must_be_shown() -> None:
    assert together("shared path", "shared path") == "shared path"
    assert together("shared path", "apart") == "partly"
    assert together("apart", "not shown") == "apart"
    assert together("apart", None) == "apart"
    assert together("not shown", "apart") == "not shown"


@pytest.mark.parametrize(("kind", "n", "gap"), [("labels", 76, 0.8), ("nats", 20, 2.0)])
def test_a_part_of_the_simulation(kind: str, n: int, gap: float) -> None:
    for truth in (0.0, 1.0):
        found = measured(kind, n, gap, 0.5, truth, runs=60)
        assert found["given"] > 0.9
        assert found["coverage"] > 0.87  # 4 binomial standard errors under 0.95, of 60 runs, are lower still
        assert found["right"] > 0.8
