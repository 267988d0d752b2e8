"""Activations of a whole contrast, kept in a cache by content, a chunk of pairs at a time.

So an interrupt costs a chunk at most, and another recipe on the same pairs captures nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from steer.atomic import write_atomically
from steer.errors import UserError
from steer.plan import digest
from steer.types import LoadedModel
from steer.versions import made_by
from vectors.capture import Row, capture
from vectors.contrasts import Contrast

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 32
"""Pairs captured between two saves."""


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """A contrast's activations: `[pair, layer, d_model]` fp32 a side, layers as in `layers`."""

    layers: tuple[int, ...]
    strata: tuple[str, ...]
    sides: dict[str, Tensor]

    def at(self, side: str, layer: int) -> Tensor:
        """`[pair, d_model]` of one side at one layer."""
        return self.sides[side][:, self.layers.index(layer)]


def capture_contrast(
    loaded: LoadedModel, made: Contrast, layers: Sequence[int], *, cache: Path, tick: Callable[[int], None]
) -> Captured:
    """Activations of every side; `tick` is told how many rows are done."""
    found = {
        side: cached_capture(loaded, made.rows(side), layers, len(made.pairs), cache=cache, tick=tick)
        for side in made.sides
    }
    return Captured(tuple(layers), tuple(made.strata), found)


def cached_capture(
    loaded: LoadedModel,
    rows: Sequence[Row],
    layers: Sequence[int],
    slots: int,
    *,
    cache: Path,
    tick: Callable[[int], None],
) -> Tensor:
    """`capture`, CHUNK slots at a time, each chunk kept in the cache under the hash of its content.

    rows: ordered by slot. Returns `[slot, layer, d_model]`.
    """
    import torch
    from safetensors.torch import load_file, save

    out = torch.zeros(slots, len(layers), loaded.d_model)
    for number, grouped in groupby(rows, key=lambda row: row.slot // CHUNK):
        first = number * CHUNK
        chunk = [Row(r.ids, r.start, r.end, r.slot - first) for r in grouped]
        count = min(CHUNK, slots - first)
        content = [
            made_by(),
            loaded.weights,
            loaded.files,
            loaded.dtype,
            list(layers),
            [(r.ids, r.start, r.end, r.slot) for r in chunk],
        ]
        file = cache / f"capture-{digest(content)[:24]}.safetensors"
        if not file.is_file():
            values = capture(loaded, chunk, layers=layers, slots=count)
            write_atomically(file, save({"activations": values}))
        out[first : first + count] = load_file(file)["activations"]
        tick(len(chunk))
    if not bool(torch.isfinite(out).all()):
        bad = [layer for k, layer in enumerate(layers) if not bool(torch.isfinite(out[:, k]).all())]
        raise UserError(
            f"the residual stream of {loaded.name} in {loaded.dtype} is not finite at layer {bad[0]}: "
            "load it in bfloat16 or float32"
        )
    return out
