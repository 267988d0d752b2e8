"""Directions that should do nothing in particular: what a real vector must be compared with.

All have the length of the real direction at every layer, so that `raw` and `norm` magnitudes compare,
and say how like it they are (`control_cosine` in the layer's trust).
Captured activations are `[pair, layer, d_model]`, layers in the order of `vector.layers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from steer.errors import UserError
from vectors.directions import Recipe, cosine
from vectors.vector import LayerTrust, SteeringVector, norms_at

if TYPE_CHECKING:
    from torch import Generator, Tensor

MOST_LIKE_REAL = 0.2
DRAWS = 100


def random_isotropic(vector: SteeringVector, seed: int) -> SteeringVector:
    """A direction drawn from N(0, I) at every layer."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    found = {layer: torch.randn(vector.provenance.d_model, generator=generator) for layer in vector.layers}
    return _control(vector, found, f"random isotropic, seed {seed}")


def random_residual(vector: SteeringVector, positive: Tensor, negative: Tensor, seed: int) -> SteeringVector:
    """A direction drawn from N(0, Σ), Σ the covariance of the residual stream around each side's mean.

    Drawn as g @ X / sqrt(n) with g ~ N(0, I) over the n centred rows X: no [d_model, d_model] matrix.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    found: dict[int, Tensor] = {}
    for k, layer in enumerate(vector.layers):
        sides = [side[:, k].double() - side[:, k].double().mean(0) for side in (positive, negative)]
        rows = torch.cat(sides)
        found[layer] = torch.randn(len(rows), dtype=torch.float64, generator=generator) @ rows
    return _control(vector, found, f"random from the residual covariance, seed {seed}")


def label_control(
    vector: SteeringVector,
    positive: Tensor,
    negative: Tensor,
    strata: Sequence[str],
    recipe: Recipe,
    seed: int,
) -> SteeringVector:
    """`recipe` on pairs of which exactly half, in every stratum, have their labels exchanged.

    The common mean cancels: with random signs instead, what is left of it would be the real vector
    again. A stratum of odd size leaves one pair out, drawn anew each time. A layer whose |cosine| with
    the real direction is over 0.2 is redrawn, at most 100 times; then UserError.
    """
    import torch

    found: dict[int, Tensor] = {}
    for k, layer in enumerate(vector.layers):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + layer)
        best = 1.0
        for _ in range(DRAWS):
            signs, weights = half_flips(strata, generator)
            flip = signs[:, None] < 0
            first = torch.where(flip, negative[:, k], positive[:, k])
            second = torch.where(flip, positive[:, k], negative[:, k])
            direction = recipe(first, second, weights)
            likeness = cosine(direction, vector.directions[layer])
            best = min(best, abs(likeness))
            if abs(likeness) <= MOST_LIKE_REAL and bool(direction.any()):
                found[layer] = direction
                break
        else:
            raise UserError(
                f"label control at layer {layer}: |cosine| with the real vector was {best:.2f} at best in "
                f"{DRAWS} draws, over {MOST_LIKE_REAL}: take more pairs, or the mean-difference recipe"
            )
    return _control(vector, found, f"labels exchanged in half of the pairs, seed {seed}")


def half_flips(strata: Sequence[str], generator: Generator) -> tuple[Tensor, Tensor]:
    """Signs `[pair]`, exactly half of each stratum −1, and weights `[pair]`, equal a stratum, sum 1."""
    import torch

    signs = torch.ones(len(strata))
    weights = torch.zeros(len(strata), dtype=torch.float64)
    names = [s for s in dict.fromkeys(strata) if strata.count(s) >= 2]
    if not names:
        raise UserError("label controls need two pairs in a category at least")
    for name in names:
        members = torch.tensor([i for i, s in enumerate(strata) if s == name])
        members = members[torch.randperm(len(members), generator=generator)]
        half = len(members) // 2
        signs[members[:half]] = -1.0
        weights[members[: 2 * half]] = 1 / (2 * half * len(names))
    return signs, weights


def orthogonal_part(vector: SteeringVector, other: SteeringVector) -> SteeringVector:
    """The part of `vector` orthogonal to `other` at every layer both have, not rescaled."""
    layers = [layer for layer in vector.layers if layer in other.directions]
    if not layers:
        raise UserError("the two vectors have no layer in common")
    found: dict[int, Tensor] = {}
    for layer in layers:
        d, o = vector.directions[layer].double(), other.directions[layer].double()
        rest = d - (d @ o) / (o @ o) * o
        if rest.norm() <= 1e-6 * d.norm():
            raise UserError(f"at layer {layer} the two vectors are parallel: nothing is left")
        found[layer] = rest.float()
    what = f"the part orthogonal to {other.id}"
    provenance = replace(vector.provenance, control=what, parent=vector.id, details={})
    return SteeringVector(found, provenance, norms_at(vector, found))


def other_concept(vector: SteeringVector, other: SteeringVector) -> SteeringVector:
    """Another concept's directions (formality, say) with the lengths of `vector`, as its control."""
    found = {layer: other.directions[layer] for layer in vector.layers if layer in other.directions}
    if not found:
        raise UserError("the two vectors have no layer in common")
    return _control(vector, found, f"other concept: {other.provenance.contrast} ({other.id})")


def unrelated(vector: SteeringVector, found: dict[int, Tensor], what: str) -> SteeringVector:
    """Directions of an unrelated contrast with the lengths of `vector`. UserError where one is zero."""
    if zero := [layer for layer, d in found.items() if not bool(d.any())]:
        raise UserError(f"{what}: the two sides do not differ at layer {zero[0]}: take later layers")
    return _control(vector, found, what)


def _control(vector: SteeringVector, found: dict[int, Tensor], what: str) -> SteeringVector:
    """Rescale to the real lengths, and keep the cosine with the real direction in the trust figures.

    The norms n_L are the model's and stay; projections are the real direction's and go, so that
    `clamp` refuses a control.
    """
    directions = {
        layer: (d.double() * (vector.directions[layer].double().norm() / d.double().norm())).float()
        for layer, d in found.items()
    }
    trust = {
        layer: LayerTrust(control_cosine=cosine(d, vector.directions[layer]))
        for layer, d in directions.items()
    }
    provenance = replace(vector.provenance, control=what, parent=vector.id, details={})
    return SteeringVector(directions, provenance, norms_at(vector, found), trust=trust)
