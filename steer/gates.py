"""Conditions of additions: a gate is read once a row, at the last prompt token, and may hold an edit back.

It does not know edits, spans or engines (`steer.interventions` asks it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steer.errors import UserError
from steer.types import Addition, Gate

if TYPE_CHECKING:
    from torch import Tensor, dtype


def check_direction(holder: Addition | Gate, d_model: int) -> None:
    """Raise UserError unless its direction can be one of this model."""
    import torch

    direction, layer = holder.direction, holder.layer
    if tuple(direction.shape) != (d_model,):
        raise UserError(
            f"direction of shape {tuple(direction.shape)}: this model needs ({d_model},); "
            "was the vector extracted from another model?"
        )
    if not bool(torch.isfinite(direction).all()):
        raise UserError(f"direction of layer {layer} holds NaN or infinity; extract the vector again")
    if float(direction.double().norm()) == 0.0:
        raise UserError(f"direction of layer {layer} is zero; a selection of nothing steers nothing")


def check_gate(addition: Addition, gate: Gate, d_model: int) -> None:
    """Raise UserError unless the addition can wait for the gate."""
    if not 0 <= gate.layer <= addition.layer:
        raise UserError(
            f"a gate at layer {gate.layer} of an addition at layer {addition.layer}: it is read too late; "
            f"allowed are 0 to {addition.layer}"
        )
    if addition.within is not None:
        raise UserError(
            "a gate with positions of its own: it is read at the last prompt token; leave one out"
        )
    if addition.span not in ("last", "generated"):
        raise UserError(
            f"a gate with span {addition.span!r}: it is read at the last prompt token, after that span "
            "begins; use last or generated"
        )
    if not math.isfinite(gate.threshold):
        raise UserError(f"a gate's threshold of {gate.threshold}: it must be a finite number")
    check_direction(gate, d_model)


@dataclass(slots=True, eq=False)
class Gates:
    """At most one gate a row, all read at one layer for the edits of one slab.

    unit: [row, d_model] and threshold: [row], what the projection must reach. position: [row] of the last
    prompt token, plus 1; 0 where a row has no gate here. shut: [row] bool, the slab's own.
    """

    unit: Tensor
    threshold: Tensor
    position: Tensor
    shut: Tensor

    @classmethod
    def none(cls, like: Tensor, shut: Tensor, wide: dtype) -> Gates:
        """Of rows without gates. like: [row, d_model]."""
        unit = like.new_zeros(like.shape, dtype=wide)
        return cls(unit, unit.new_zeros(len(like)), shut.new_zeros(len(like)).long(), shut)

    def first(self, rows: int) -> Gates:
        """Those of the first rows, as views."""
        return Gates(self.unit[:rows], self.threshold[:rows], self.position[:rows], self.shut[:rows])

    def tensors(self) -> list[Tensor]:
        """All but the slab's."""
        return [self.unit, self.threshold, self.position]

    def set(self, row: int, gate: Gate, prompt: int) -> None:
        direction = gate.direction.detach().double()
        self.unit[row] = (direction / direction.norm()).to(self.unit)
        self.threshold[row], self.position[row], self.shut[row] = gate.threshold, prompt, True

    def read(self, hidden: Tensor, positions: Tensor) -> None:
        """Open or shut each row whose last prompt token is fed. hidden: [row, position, d_model]; positions:
        [row, position]."""
        import torch

        here = positions + 1 == self.position[:, None]
        here &= positions >= 0
        projection = (hidden.to(self.unit) * self.unit[:, None]).sum(-1)
        passed = (here & (projection >= self.threshold[:, None])).any(-1)
        self.shut.copy_(torch.where(here.any(-1), ~passed, self.shut))
