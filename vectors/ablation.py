"""What takes a direction, or several, out of the stream: ablations and clamps over a span of layers.

A subspace of rank k is k ablations one after the other: its axes are orthonormal, so each leaves what the
others took. It does not know engines, arms or where a direction came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from steer.errors import UserError
from steer.types import Addition, Span
from vectors.rank import Subspace, check_k
from vectors.vector import SteeringVector, addition, ranges

if TYPE_CHECKING:
    from torch import Tensor


def ablated(vector: SteeringVector, layers: Iterable[int], *, span: Span = "last") -> tuple[Addition, ...]:
    """The vector's own direction at each of the layers, projected out there."""
    return tuple(addition(vector, layer, 1.0, span=span, operation="ablate") for layer in layers)


def clamped(vector: SteeringVector, layers: Iterable[int], *, span: Span = "last") -> tuple[Addition, ...]:
    """The projection on the vector's direction at each of the layers, set to its unsteered mean."""
    return tuple(addition(vector, layer, 0.0, span=span, operation="clamp") for layer in layers)


def subspace_ablated(
    spaces: Mapping[int, Subspace], k: int, layers: Iterable[int], *, span: Span = "last"
) -> tuple[Addition, ...]:
    """The first k axes of each layer's subspace, projected out there. UserError for k over the rank."""
    found: list[Addition] = []
    for layer in layers:
        if layer not in spaces:
            raise UserError(f"no subspace at layer {layer}: there are some at {ranges(spaces)}")
        check_k(k, spaces[layer].rank)
        axes: Tensor = spaces[layer].basis[:k].float()
        found += [Addition(axis, layer, 1.0, span=span, operation="ablate") for axis in axes]
    return tuple(found)
