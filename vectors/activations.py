"""Activations of a whole contrast, kept in a cache by content, a chunk of pairs at a time.

So an interrupt costs a chunk at most, and another recipe on the same pairs captures nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from steer.atomic import write_atomically
from steer.elsewhere import each
from steer.errors import UserError
from steer.plan import digest
from steer.types import LoadedModel
from steer.versions import made_by
from vectors.capture import Row, capture
from vectors.contrasts import Contrast

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 64
"""Slots captured between two saves: both sides of 32 pairs."""


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
    """Activations of every side, a pair's together: they begin alike.

    `tick` is told how many rows are done.
    """
    count = len(made.sides)
    rows = [
        replace(row, slot=count * row.slot + place)
        for place, side in enumerate(made.sides)
        for row in made.rows(side)
    ]
    rows.sort(key=lambda row: row.slot)
    found = cached_capture(loaded, rows, layers, count * len(made.pairs), cache=cache, tick=tick)
    sides = {side: found[place::count].contiguous() for place, side in enumerate(made.sides)}
    return Captured(tuple(layers), tuple(made.strata), sides)


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
    from safetensors.torch import save

    out = torch.zeros(slots, len(layers), loaded.d_model)
    missing: list[tuple[Path, int, list[Row]]] = []  # file, first slot, rows
    for number, grouped in groupby(rows, key=lambda row: row.slot // CHUNK):
        first = number * CHUNK
        chunk = [Row(r.ids, r.start, r.end, r.slot - first) for r in grouped]
        content = [
            made_by(),
            loaded.weights,
            loaded.files,
            loaded.dtype,
            list(layers),
            [(r.ids, r.start, r.end, r.slot) for r in chunk],
        ]
        file = cache / f"capture-{digest(content)[:24]}.safetensors"
        values = _kept(file)
        if values is None:
            missing.append((file, first, chunk))
        else:
            out[first : first + CHUNK] = values
            tick(len(chunk))
    parts = ((chunk, tuple(layers), min(CHUNK, slots - first)) for _, first, chunk in missing)
    for (file, first, chunk), values in zip(missing, each(loaded, _captured, parts), strict=True):
        write_atomically(file, save({"activations": values}, {"sha256": _sha256(values)}))
        out[first : first + CHUNK] = values
        tick(len(chunk))
    if not bool(torch.isfinite(out).all()):
        bad = [layer for k, layer in enumerate(layers) if not bool(torch.isfinite(out[:, k]).all())]
        raise UserError(
            f"the residual stream of {loaded.name} in {loaded.dtype} is not finite at layer {bad[0]}: "
            "load it in bfloat16 or float32"
        )
    return out


def _captured(loaded: LoadedModel, rows: Sequence[Row], layers: Sequence[int], slots: int) -> Tensor:
    return capture(loaded, rows, layers=layers, slots=slots)


def _kept(file: Path) -> Tensor | None:
    """A chunk in the cache; None where there is none, or an earlier version's without a checksum."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        return None
    try:
        with safe_open(file, framework="pt") as opened:  # pyright: ignore[reportUnknownVariableType]
            written: str | None = (opened.metadata() or {}).get("sha256")
            values: Tensor = opened.get_tensor("activations")
    except SafetensorError as error:
        raise _damaged(file, str(error)) from None
    if written is not None and written != _sha256(values):
        raise _damaged(file, "its checksum is another")
    return values if written is not None else None


def _damaged(file: Path, reason: str) -> UserError:
    return UserError(f"{file} is damaged ({reason[:120]}): delete it, and the same command captures it again")


def _sha256(values: Tensor) -> str:
    kind = f"{values.dtype} {list(values.shape)}"
    return hashlib.sha256(kind.encode() + values.contiguous().numpy().tobytes()).hexdigest()
