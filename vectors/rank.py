"""Rank: how many components of the pair differences a direction needs to do what it does.

Uncentred SVD of rows [row, d_model] (pair differences, or several trained vectors); a direction is
projected on the first k right singular vectors. Not centred: the mean difference is what is sought.
A direction that lies in the rows' span, as their mean does, is whole again at full rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from steer.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-6
"""Singular values below this share of the largest are rounding, not rank (rows are fp32)."""


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """basis: [component, d_model] fp64, orthonormal rows, the strongest first.

    energy: [component], each one's share of the rows' summed squares; sums to 1. Empty for a random one.
    """

    basis: Tensor
    energy: tuple[float, ...] = ()

    @property
    def rank(self) -> int:
        return int(self.basis.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A direction projected on k components.

    as_is: [d_model] fp32, shorter than the direction by what was lost; zero where nothing is left.
    renormalised: the same with the direction's length, None where nothing is left.
    kept: |projection|^2 / |direction|^2.
    """

    k: int
    as_is: Tensor
    renormalised: Tensor | None
    kept: float


def subspace(rows: Tensor) -> Subspace:
    """The row space of [row, d_model], by singular value."""
    import torch

    if rows.ndim != 2 or rows.shape[0] < 1:
        raise UserError(f"a subspace needs rows [row, d_model], not {list(rows.shape)}")
    if not bool(torch.isfinite(rows).all()):
        raise UserError("the rows of a subspace hold NaN or infinity; capture them again")
    _, sizes, basis = torch.linalg.svd(rows.double(), full_matrices=False)
    if not bool(sizes[0] > 0):
        raise UserError("the rows of a subspace are all zero: there is no component to project on")
    real = sizes > TOLERANCE * sizes[0]
    shares = sizes[real].square() / sizes[real].square().sum()
    return Subspace(basis[real], tuple(shares.tolist()))


def random_subspace(d_model: int, k: int, *, seed: int) -> Subspace:
    """k orthonormal rows, uniformly oriented: the control for a subspace that was found."""
    import torch

    check_k(k, d_model)
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(d_model, max(k, 1), generator=generator, dtype=torch.float64)
    orthonormal, triangle = torch.linalg.qr(normal)
    return Subspace((orthonormal * triangle.diagonal().sign()).T[:k])


def project(direction: Tensor, space: Subspace, k: int) -> Projection:
    """`direction` [d_model] on the first k components; k = 0 leaves nothing, which is the baseline."""
    check_k(k, space.rank)
    whole = direction.double()
    basis = space.basis[:k]
    part = basis.T @ (basis @ whole)
    kept = float(part.square().sum() / whole.square().sum())
    if kept < TOLERANCE**2:
        return Projection(k, (part * 0).float(), None, 0.0)
    return Projection(k, part.float(), (part * (whole.norm() / part.norm())).float(), kept)


def check_k(k: int, rank: int) -> None:
    """Raise UserError unless 0 <= k <= rank."""
    if not 0 <= k <= rank:
        raise UserError(
            f"k {k} is not within the rank: allowed are 0 to {rank}; give a smaller k or more pairs"
        )
