"""What is done to the residual stream: one affine edit a row, a layer and a position.

Every Addition has one form on the unit direction u = d/|d|:

    h' = h + shift * u + gain * (h . u) * u

    add     shift = magnitude * norm (norm units) or magnitude * |d| (raw), gain = 0
    ablate  shift = 0, gain = -1
    clamp   shift = projection_mean + magnitude * projection_std, gain = -1

It may wait for a `Gate`, read at the last prompt token before anything is edited there.

`edit` is the pure function every engine calls; `Steering` holds the edits of a batch of rows, and
counts, inside the hook, what was really done. It does not know where a direction came from, how
tokens are chosen, or which engine runs the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steer.errors import UserError
from steer.gates import Gates, check_direction, check_gate
from steer.ropes import NEVER
from steer.types import OPERATIONS, SPANS, Addition, Applied, Span

if TYPE_CHECKING:
    from torch import Tensor, dtype, nn


def validate(addition: Addition, *, n_layers: int, d_model: int) -> None:
    """Raise UserError unless the addition can be made to a model of this shape."""
    layer, magnitude = addition.layer, addition.magnitude
    if not 0 <= layer < n_layers:
        raise UserError(f"layer {layer} is not in the model: allowed are 0 to {n_layers - 1}")
    check_direction(addition, d_model)
    if not math.isfinite(magnitude):
        raise UserError(f"magnitude {magnitude} is not a finite number")
    if addition.span not in SPANS:
        raise UserError(f"unknown span {addition.span!r}: allowed are {', '.join(SPANS)}")
    if addition.operation not in OPERATIONS:
        raise UserError(f"unknown operation {addition.operation!r}: allowed are {', '.join(OPERATIONS)}")
    if addition.operation == "ablate" and magnitude != 1.0:
        raise UserError(f"magnitude {magnitude} with ablate: it projects out, so magnitude must be 1")
    least = 2 if addition.span == "generated" else 1
    if addition.tokens is not None and addition.tokens < least:
        raise UserError(
            f"tokens {addition.tokens} with span {addition.span}: nothing is steered; allowed are whole "
            f"numbers from {least}"
        )
    if addition.gate is not None:
        check_gate(addition, addition.gate, d_model)


def affine(addition: Addition) -> tuple[Tensor, Tensor, float]:
    """(shift * u [d_model] fp64, u [d_model] fp64, gain) of an addition."""
    direction = addition.direction.detach().cpu().double()
    length = direction.norm()
    unit = direction / length
    if addition.operation == "ablate":
        return unit * 0.0, unit, -1.0
    if addition.operation == "clamp":
        target = addition.projection_mean + addition.magnitude * addition.projection_std
        return target * unit, unit, -1.0
    size = addition.norm if addition.unit == "norm" else float(length)
    return (addition.magnitude * size) * unit, unit, 0.0


def span_range(span: Span, prompt: int) -> tuple[int, int]:
    """First position edited and the one after the last, for a prompt of `prompt` tokens.

    Positions are 0-based among the row's own tokens, so pads have none; position 0 is never edited.
    `generated` starts at the first generated token's own position: it is fed at the second forward,
    so that token was chosen before.
    """
    return {
        "all": (1, NEVER),
        "prompt": (1, prompt),
        "last": (max(prompt - 1, 1), NEVER),
        "generated": (max(prompt, 1), NEVER),
    }[span]


def reach(addition: Addition, prompt: int) -> tuple[int, int]:
    """`span_range` of an addition, or its own; it ends earlier where it acts on the first tokens alone."""
    if addition.within is not None:
        start, end = addition.within
        return max(1, start), NEVER if end is None else end
    start, stop = span_range(addition.span, prompt)
    return start, stop if addition.tokens is None else min(stop, prompt - 1 + addition.tokens)


def first_layer(addition: Addition) -> int:
    """Where it first does anything: reads its gate, or edits."""
    return addition.layer if addition.gate is None else addition.gate.layer


def span_mask(positions: Tensor, start: Tensor, stop: Tensor) -> Tensor:
    """Which positions are edited. positions: [row, position], -1 at pads; start, stop: [row]."""
    return (positions >= start[:, None]) & (positions < stop[:, None])


@dataclass(slots=True, eq=False)
class Slab:
    """At most one edit a row, all at one layer.

    delta: [row, d_model] shift * u, cast once to the stream's dtype; zero where a row has no edit.
    unit: [row, d_model] u, and gain: [row]; None while every row only adds. fp32 or wider.
    start, stop: [row] the positions edited, as `span_range` gives them; 0, 0 where there is no edit.
    positions, relative: [row] edited positions so far, and the sum of |delta| / |h| over them.
    shut: [row] bool, held back by a gate; None while no row has one.
    """

    delta: Tensor
    start: Tensor
    stop: Tensor
    positions: Tensor
    relative: Tensor
    unit: Tensor | None = None
    gain: Tensor | None = None
    shut: Tensor | None = None

    def first(self, rows: int) -> Slab:
        """The slab of the first rows, as views."""
        unit, gain = self.unit, self.gain
        return Slab(
            self.delta[:rows],
            self.start[:rows],
            self.stop[:rows],
            self.positions[:rows],
            self.relative[:rows],
            unit if unit is None else unit[:rows],
            gain if gain is None else gain[:rows],
            None if self.shut is None else self.shut[:rows],
        )

    def tensors(self) -> list[Tensor]:
        held = (
            self.delta,
            self.start,
            self.stop,
            self.positions,
            self.relative,
            self.unit,
            self.gain,
            self.shut,
        )
        return [tensor for tensor in held if tensor is not None]


def change(hidden: Tensor, slab: Slab) -> Tensor:
    """The edit's delta before masking: [row, position or 1, d_model], in the stream's dtype."""
    delta = slab.delta[:, None]
    if slab.unit is None or slab.gain is None:
        return delta
    unit = slab.unit[:, None]
    projection = (hidden.to(unit.dtype) * unit).sum(-1, keepdim=True)
    return (delta + slab.gain[:, None, None] * projection * unit).to(hidden.dtype)


def edit(hidden: Tensor, slab: Slab, mask: Tensor) -> Tensor:
    """Apply a slab. hidden: [row, position, d_model]; mask: [row, position] bool.

    Unmasked positions come back bit for bit (a choice, not a product: 0 * NaN and -0 stay out).
    """
    import torch

    return torch.where(mask[..., None], hidden + change(hidden, slab), hidden)


def _count(hidden: Tensor, slab: Slab, mask: Tensor) -> None:
    """Add the masked positions, and |delta| / |h| there (nothing where that is no number: the row then
    fails, and its record must still be JSON), to the slab's record."""
    import torch

    delta = change(hidden, slab)
    relative = delta.float().norm(dim=-1) / hidden.float().norm(dim=-1)  # [row, position]
    slab.positions += mask.sum(-1)
    slab.relative += torch.where(mask & relative.isfinite(), relative, 0.0).sum(-1)


def _record(slab: Slab, row: int) -> list[Tensor]:
    """Of a row: edited positions, the sum of |delta| / |h|, whether a gate holds it back."""
    shut = slab.relative.new_zeros(()) if slab.shut is None else slab.shut[row].float()
    return [slab.positions[row].float(), slab.relative[row], shut]


class Steering:
    """The edits of a batch of rows, by layer, and the record of what they did.

    Rows are set, cleared and moved by their engine; `begin` takes the positions of the coming
    forward, and `edit` is called at the output of each layer in `layers`. A row's k-th addition at
    a layer lies in the layer's k-th slab, and slabs are applied in order.

    keep: slabs stay in their place when no row has them any more.
    """

    def __init__(
        self, layers: Sequence[nn.Module], *, rows: int, d_model: int, dtype: dtype, keep: bool = False
    ) -> None:
        import torch

        self._devices = [next(layer.parameters()).device for layer in layers]
        self._rows, self.d_model, self._dtype, self._keep = rows, d_model, dtype, keep
        self._wide = torch.float64 if dtype == torch.float64 else torch.float32
        self._slabs: dict[tuple[int, int], Slab] = {}
        self._users: dict[tuple[int, int], int] = {}
        # of each row: its additions' layers in order, the slab each lies in (None: out of its reach), and
        # whether it has a gate
        self._places: list[list[tuple[int, tuple[int, int] | None, bool]]] = [[] for _ in range(rows)]
        self._coming: dict[int, list[tuple[Slab, Tensor]]] = {}
        # by the layer they are read at and the slab they are of; and of a forward, with the positions fed
        self._gates: dict[tuple[int, tuple[int, int]], Gates] = {}
        self._reading: dict[int, list[tuple[Gates, Tensor]]] = {}

    @property
    def layers(self) -> list[int]:
        """The layers at which any row has an edit or a gate, ascending."""
        return sorted({layer for layer, _ in (*self._slabs, *self._gates)})

    def set(self, row: int, additions: Sequence[Addition], prompt: int, *, since: int = 0) -> None:
        """Give a row its additions; those whose positions all lie before `since` are left out."""
        self.clear(row)
        depth: dict[int, int] = {}
        for addition in additions:
            validate(addition, n_layers=len(self._devices), d_model=self.d_model)
            layer = addition.layer
            start, stop = reach(addition, prompt)
            if stop <= max(start, since):
                self._places[row].append((layer, None, False))
                continue
            place = (layer, depth.get(layer, 0))
            depth[layer] = place[1] + 1
            self._places[row].append((layer, place, addition.gate is not None))
            self._users[place] = self._users.get(place, 0) + 1
            slab = self._slab(place)
            shift, unit, gain = affine(addition)
            slab.delta[row] = shift.to(self._dtype).to(slab.delta.device)
            slab.start[row], slab.stop[row] = start, stop
            if gain != 0.0 and slab.unit is None:
                slab.unit = slab.delta.new_zeros(slab.delta.shape, dtype=self._wide)
                slab.gain = slab.unit.new_zeros(self._rows)
            if gain != 0.0 and slab.unit is not None and slab.gain is not None:
                slab.unit[row] = unit.to(self._wide).to(slab.unit.device)
                slab.gain[row] = gain
            if addition.gate is not None:
                if slab.shut is None:
                    slab.shut = slab.start.new_zeros(self._rows).bool()
                key = addition.gate.layer, place
                if key not in self._gates:
                    self._gates[key] = Gates.none(slab.delta, slab.shut, self._wide)
                self._gates[key].set(row, addition.gate, prompt)

    def clear(self, row: int) -> None:
        """Take a row's additions away, and forget what they did."""
        for _, place, _ in self._places[row]:
            if place is None:
                continue
            self._users[place] -= 1
            if self._users[place] == 0 and not self._keep:
                del self._slabs[place], self._users[place]
                self._gates = {key: gates for key, gates in self._gates.items() if key[1] != place}
                continue
            for tensor in self._tensors(place):
                tensor[row] = 0
        self._places[row] = []

    def move(self, source: int, target: int) -> None:
        """Move a row, with its record, to a cleared one."""
        for _, place, _ in self._places[source]:
            if place is not None:
                for tensor in self._tensors(place):
                    tensor[target] = tensor[source]
                    tensor[source] = 0
        self._places[target], self._places[source] = self._places[source], []

    def held(self) -> list[Tensor]:
        """All that `begin` and `edit` read and write."""
        return [tensor for place in sorted(self._slabs) for tensor in self._tensors(place)]

    def _tensors(self, place: tuple[int, int]) -> list[Tensor]:
        gates = (tensor for key, own in self._gates.items() if key[1] == place for tensor in own.tensors())
        return [*self._slabs[place].tensors(), *gates]

    def begin(self, positions: Tensor) -> None:
        """Take the positions of the coming forward: [row, position], -1 at pads; the first rows only.

        A row that is fed from its first position again (its model threw the cache away, or has none)
        starts its record again.
        """
        self._coming, self._reading = {}, {}
        whole = (positions == 0).any(-1) if positions.shape[1] > 1 else None
        for (layer, _), slab in sorted(self._slabs.items(), key=lambda item: item[0]):
            part = slab.first(positions.shape[0])
            mask = span_mask(positions.to(part.start.device), part.start, part.stop)
            if whole is not None:
                part.positions[whole.to(mask.device)] = 0
                part.relative[whole.to(mask.device)] = 0
            self._coming.setdefault(layer, []).append((part, mask))
        for (layer, _), gates in self._gates.items():
            self._reading.setdefault(layer, []).append((gates, positions.to(gates.unit.device)))

    def edit(self, layer: int, hidden: Tensor) -> Tensor:
        """The edited output of a layer, [row, position, d_model]; counts what it does.

        With fewer rows than were begun, they are the first ones.
        """
        for gates, positions in self._reading.get(layer, ()):
            gates.first(len(hidden)).read(hidden, positions[: len(hidden)])
        for whole, mask in self._coming.get(layer, ()):
            slab, mask = whole.first(len(hidden)), mask[: len(hidden)]
            if slab.shut is not None:
                mask = mask & ~slab.shut[:, None]
            _count(hidden, slab, mask)
            hidden = edit(hidden, slab, mask)
        return hidden

    def applied(self, row: int) -> tuple[Applied, ...]:
        """What each of a row's additions did, in their order. Waits once for each device."""
        import torch

        slabs = {place: self._slabs[place] for _, place, _ in self._places[row] if place is not None}
        by_device: dict[torch.device, list[tuple[int, int]]] = {}
        for place, slab in slabs.items():
            by_device.setdefault(slab.start.device, []).append(place)
        done: dict[tuple[int, int] | None, tuple[float, float, float]] = {None: (0.0, 0.0, 0.0)}
        for places in by_device.values():
            counts = [torch.stack(_record(slabs[place], row)) for place in places]
            done |= zip(places, torch.stack(counts).tolist(), strict=True)
        record: list[Applied] = []
        for layer, place, gated in self._places[row]:
            positions, total, shut = done[place]
            fired = None if place is None or not gated else not shut
            record.append(Applied(layer, int(positions), total / positions if positions else 0.0, fired))
        return tuple(record)

    def _slab(self, place: tuple[int, int]) -> Slab:
        import torch

        if place not in self._slabs:
            device, rows = self._devices[place[0]], self._rows

            def zeros(*shape: int, dtype: dtype) -> Tensor:
                return torch.zeros(shape, dtype=dtype, device=device)

            self._slabs[place] = Slab(
                delta=zeros(rows, self.d_model, dtype=self._dtype),
                start=zeros(rows, dtype=torch.int64),
                stop=zeros(rows, dtype=torch.int64),
                positions=zeros(rows, dtype=torch.int64),
                relative=zeros(rows, dtype=torch.float32),
            )
        return self._slabs[place]
