"""Guards of rank-k projections: whole at full rank, nothing at k = 0, energies that add up, fair controls."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from steer.errors import UserError
from vectors.rank import project, random_subspace, subspace

D = 24


def differences(rows: int, *, rank: int = D, seed: int = 0) -> torch.Tensor:
    """Pair differences with a common mean, of at most the given rank, [rows, D] fp32."""
    random = np.random.default_rng(seed)
    factors = random.normal(size=(rows, rank)) + 1.0
    return torch.tensor(factors @ random.normal(size=(rank, D)), dtype=torch.float32)


@pytest.mark.parametrize(("rows", "rank"), [(200, D), (10, D), (50, 3), (1, 1)])
def test_at_full_rank_the_mean_difference_is_whole(rows: int, rank: int) -> None:
    data = differences(rows, rank=rank)
    direction = data.mean(0)
    space = subspace(data)
    assert space.rank == min(rows, rank, D)
    found = project(direction, space, space.rank)
    torch.testing.assert_close(found.as_is, direction, rtol=1e-5, atol=1e-5)
    assert found.renormalised is not None
    torch.testing.assert_close(found.renormalised, direction, rtol=1e-5, atol=1e-5)
    assert found.kept == pytest.approx(1.0, abs=1e-9)


def test_energies_sum_to_one_and_are_those_of_the_gram_matrix() -> None:
    data = differences(60)
    space = subspace(data)
    assert sum(space.energy) == pytest.approx(1.0, abs=1e-12)
    eigenvalues = np.linalg.eigvalsh(data.double().numpy().T @ data.double().numpy())[::-1]
    np.testing.assert_allclose(space.energy, eigenvalues / eigenvalues.sum(), rtol=1e-9)
    assert list(space.energy) == sorted(space.energy, reverse=True)


def test_it_is_not_centred() -> None:
    axis = torch.zeros(D)
    axis[3] = 1.0
    noise = torch.randn(100, D, generator=torch.Generator().manual_seed(0)) * 0.1
    data = noise - noise.mean(0) + 2 * axis
    found = project(data.mean(0), subspace(data), 1)
    assert found.kept > 0.999  # centring would have taken away the very direction


def test_nothing_is_left_at_k_0() -> None:
    found = project(differences(20).mean(0), subspace(differences(20)), 0)
    assert not bool(found.as_is.any())
    assert found.renormalised is None
    assert found.kept == 0.0


def test_more_components_keep_more_and_renormalising_gives_the_length_back() -> None:
    data = differences(60)
    direction, space = data.mean(0), subspace(data)
    found = [project(direction, space, k) for k in range(1, space.rank + 1)]
    kept = [one.kept for one in found]
    assert kept == sorted(kept)
    for one in found:
        assert float(one.as_is.norm() / direction.norm()) == pytest.approx(math.sqrt(one.kept), rel=1e-5)
        assert one.renormalised is not None
        assert float(one.renormalised.norm()) == pytest.approx(float(direction.norm()), rel=1e-5)


def test_a_random_subspace_keeps_its_share_and_no_more() -> None:
    direction = differences(20).mean(0)
    kept = [project(direction, random_subspace(D, 6, seed=s), 6).kept for s in range(300)]
    assert np.mean(kept) == pytest.approx(6 / D, abs=0.02)
    space = random_subspace(D, 6, seed=1)
    torch.testing.assert_close(space.basis @ space.basis.T, torch.eye(6, dtype=torch.float64))
    assert torch.equal(space.basis, random_subspace(D, 6, seed=1).basis)
    assert not torch.equal(space.basis, random_subspace(D, 6, seed=2).basis)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (torch.zeros(4, D), "all zero"),
        (torch.full((4, D), math.nan), "NaN"),
        (torch.zeros(D), "needs rows"),
    ],
)
def test_rows_without_a_subspace_are_refused(data: torch.Tensor, message: str) -> None:
    with pytest.raises(UserError, match=message):
        subspace(data)


@pytest.mark.parametrize("k", [-1, 4])
def test_k_outside_the_rank_is_refused(k: int) -> None:
    data = differences(20, rank=3)
    with pytest.raises(UserError, match=f"k {k} is not within the rank: allowed are 0 to 3"):
        project(data.mean(0), subspace(data), k)
    with pytest.raises(UserError, match="not within the rank"):
        random_subspace(3, k, seed=0)
