"""Each recipe finds a planted direction, with its sign; Fisher finds the one that a covariance hides."""

from __future__ import annotations

import pytest
import torch

from vectors.directions import RECIPES, cosine, equal_weights, fisher, mean_difference, pca

D = 64
N = 20 * D


def planted(
    seed: int, *, length: float = 4.0, covariance: torch.Tensor | None = None, n: int = N
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """positive, negative [n, D] whose means differ by `delta` [D], noise of the given covariance."""
    generator = torch.Generator().manual_seed(seed)
    delta = torch.randn(D, generator=generator)
    delta *= length / delta.norm()
    noise = torch.randn(2, n, D, generator=generator)
    if covariance is not None:
        noise = noise @ torch.linalg.cholesky(covariance).T
    return noise[0] + delta, noise[1], delta


def uniform(n: int) -> torch.Tensor:
    return torch.full((n,), 1 / n, dtype=torch.float64)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_planted_direction_is_found_with_its_sign(name: str, seed: int) -> None:
    positive, negative, delta = planted(seed)
    found = RECIPES[name](positive, negative, uniform(N))
    assert found.dtype == torch.float32
    assert found.shape == (D,)
    assert cosine(found, delta) >= 0.95
    assert cosine(RECIPES[name](negative, positive, uniform(N)), delta) <= -0.95


@pytest.mark.parametrize("name", RECIPES)
def test_length_is_the_projection_of_the_mean_difference(name: str) -> None:
    positive, negative, _ = planted(3)
    found = RECIPES[name](positive, negative, uniform(N)).double()
    mean = (positive.double() - negative.double()).mean(0)
    assert found.norm().item() == pytest.approx((mean @ found / found.norm()).item(), rel=1e-5)


def test_fisher_finds_what_a_known_covariance_hides() -> None:
    scales = torch.linspace(0.3, 3.0, D)
    generator = torch.Generator().manual_seed(9)
    rotation = torch.linalg.qr(torch.randn(D, D, generator=generator)).Q
    covariance = rotation @ torch.diag(scales**2) @ rotation.T
    positive, negative, delta = planted(4, covariance=covariance, n=100 * D)
    target = torch.linalg.solve(covariance, delta)
    assert cosine(fisher(positive, negative, uniform(100 * D)), target) >= 0.95
    assert cosine(mean_difference(positive, negative, uniform(100 * D)), target) < 0.7


def test_pca_is_not_centred() -> None:
    """With identical differences centred PCA has nothing left; the uncentred one finds them exactly."""
    delta = torch.arange(1.0, 9.0)
    base = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    assert cosine(pca(base + delta, base, uniform(10)), delta) > 0.9999


def test_mean_difference_is_accumulated_in_double() -> None:
    """A block of fp32 ones beside 1e8 loses them; fp64 does not."""
    positive = torch.full((1000, 2), 1e8)
    positive[:, 0] += torch.arange(1000) % 2 * 8
    negative = torch.full((1000, 2), 1e8)
    assert mean_difference(positive, negative, uniform(1000)).tolist() == [4.0, 0.0]


def test_categories_weigh_equally() -> None:
    strata = ["a"] * 3 + ["b"]
    weights = equal_weights(strata)
    assert weights.tolist() == pytest.approx([1 / 6] * 3 + [1 / 2])
    positive = torch.tensor([[1.0], [1.0], [1.0], [5.0]])
    assert mean_difference(positive, torch.zeros(4, 1), weights).item() == pytest.approx(3.0)


def test_fisher_solves_the_shrunk_covariance_with_few_pairs() -> None:
    """Against scikit-learn's matrix and a plain solve, where pairs are fewer than dimensions."""
    from sklearn.covariance import LedoitWolf

    positive, negative, _ = planted(6, n=20)
    x = torch.cat((positive - positive.mean(0), negative - negative.mean(0))).double()
    covariance = torch.from_numpy(LedoitWolf(assume_centered=True).fit(x.numpy()).covariance_)
    target = torch.linalg.solve(covariance, (positive.double() - negative.double()).mean(0))
    assert cosine(fisher(positive, negative, uniform(20)), target) > 1 - 1e-9


@pytest.mark.parametrize("name", ["mean-difference", "pca", "lat"])
def test_weight_zero_leaves_a_pair_out(name: str) -> None:
    positive, negative, _ = planted(5, n=40)
    weights = uniform(40)
    weights[30:] = 0
    weights = weights / weights.sum()
    before = RECIPES[name](positive, negative, weights)
    positive[30:] += 1e3
    torch.testing.assert_close(RECIPES[name](positive, negative, weights), before)
