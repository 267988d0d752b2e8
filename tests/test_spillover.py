"""Guards of spill-over: the ratio, when there is none, and intervals that cover and never close."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.emergent.spillover import changes, ratio_interval, spillover
from steer.intervals import paired_interval
from steer.types import Outcome, Status


def outcomes(arm: str, hits: int, n: int, *, kind: str = "item", sample: int = 0) -> list[Outcome]:
    """The first `hits` of `n` scenarios converge."""
    labels: list[Status] = ["hit"] * hits + ["miss"] * (n - hits)
    return [Outcome(arm, f"{kind}{i:03d}", kind, sample, label) for i, label in enumerate(labels)]


def both(base: int, arm: int, n: int, kind: str) -> list[Outcome]:
    return outcomes("baseline", base, n, kind=kind) + outcomes("vector", arm, n, kind=kind)


def test_the_ratio_is_broad_over_narrow_effect() -> None:
    found = spillover(both(4, 36, 40, "near"), both(10, 26, 80, "far"), "vector")
    assert found.narrow_points == pytest.approx(80.0)
    assert found.broad_points == pytest.approx(20.0)
    assert found.ratio == pytest.approx(0.25)
    assert found.ratio_ci is not None
    assert found.ratio_ci[0] < 0.25 < found.ratio_ci[1]
    assert (found.narrow_items, found.broad_items, found.why_none) == (40, 80, "")
    interval = paired_interval(32, 0, 40)
    assert interval is not None
    assert found.narrow_ci == pytest.approx([100 * x for x in interval])


def test_an_effect_against_the_narrow_task_has_a_ratio_too() -> None:
    found = spillover(both(36, 4, 40, "near"), both(60, 20, 80, "far"), "vector")
    assert found.ratio == pytest.approx(0.625)
    assert found.ratio_ci is not None
    assert 0 < found.ratio_ci[0] < 0.625 < found.ratio_ci[1]


@pytest.mark.parametrize(("base", "arm"), [(10, 10), (10, 12), (10, 8), (0, 0)])
def test_there_is_no_estimate_where_the_narrow_interval_includes_0(base: int, arm: int) -> None:
    found = spillover(both(base, arm, 40, "near"), both(10, 60, 80, "far"), "vector")
    assert (found.ratio, found.ratio_ci) == (None, None)
    assert found.why_none == "the narrow effect's interval includes 0"
    assert found.broad_points == pytest.approx(62.5)


def test_there_is_no_estimate_without_pairs() -> None:
    missing = [Outcome("vector", f"near{i:03d}", "near", 0, "missing") for i in range(5)]
    found = spillover(outcomes("baseline", 1, 5, kind="near") + missing, both(1, 5, 8, "far"), "vector")
    assert found.why_none == "no item with an outcome under both arms"


def test_other_arms_change_nothing_and_samples_count_once_a_scenario() -> None:
    near, far = both(4, 36, 40, "near"), both(10, 26, 80, "far")
    crowd = outcomes("other", 3, 40, kind="near")
    assert spillover(near + crowd, far, "vector") == spillover(near, far, "vector")
    twice = outcomes("vector", 1, 2) + outcomes("vector", 2, 2, sample=1)
    twice += outcomes("baseline", 0, 2) + outcomes("baseline", 0, 2, sample=1)
    assert changes(twice, "vector", "baseline").tolist() == [1.0, 0.5]


def test_the_interval_is_never_of_zero_width() -> None:
    low, high = ratio_interval(np.ones(40), np.zeros(80))
    assert low < 0 < high
    assert high - low > 0.01


def test_a_shaky_narrow_effect_opens_the_interval() -> None:
    low, high = ratio_interval(np.array([1.0] * 2 + [0.0] * 38), np.array([1.0] * 40 + [0.0] * 40))
    assert np.isinf(high)
    assert low > 0


def test_the_ratio_interval_covers() -> None:
    """Paired outcomes at realistic rates; a wider grid was run by hand: 93.8 to 100 %."""
    random = np.random.default_rng(0)
    covered = total = 0
    for _ in range(300):
        near = (random.random(40) < 0.5).astype(float) - (random.random(40) < 0.05)
        far = (random.random(160) < 0.25).astype(float) - (random.random(160) < 0.05)
        interval = paired_interval(int((near > 0).sum()), int((near < 0).sum()), 40)
        assert interval is not None
        if interval[0] > 0:
            low, high = ratio_interval(near, far, resamples=800)
            total += 1
            covered += low <= 0.20 / 0.45 <= high
    assert total > 290
    assert covered / total >= 0.92
