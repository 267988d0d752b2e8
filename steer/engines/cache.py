"""Where the slot engine keeps keys and values: one slot a row, left-aligned, each with its own length.

Keys are [layer, slot, head, column, head_dim] (a tensor a device), and so are values; a decode step
writes column `lengths[row]` of each row and attends to the columns up to it. What lies beyond is
finite and masked. It does not know tokens, requests or steering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BUCKET = 64
"""Columns by which the cache grows at least; beyond, by half its width."""


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """Keys and values of one prompt's first tokens: a pair of [layer, head, column, head_dim] a device."""

    length: int
    banks: tuple[tuple[Tensor, Tensor], ...]

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for pair in self.banks for tensor in pair)


def prefix_of(layers: Sequence[tuple[Tensor, Tensor]], rows: Sequence[int], length: int) -> Prefix:
    """Cut one prompt's keys and values out of a prefill's.

    layers: (key, value) of each layer, [row, head, column, head_dim], rows left-aligned. rows: the
    prompt's row in each layer. length: how many columns are its own.
    """
    import torch

    def part(kind: int, group: Sequence[int]) -> Tensor:
        return torch.stack([layers[layer][kind][rows[layer], :, :length] for layer in group])

    groups = _by_device([key.device for key, _ in layers])
    return Prefix(length, tuple((part(0, group), part(1, group)) for group in groups))


def _by_device(devices: Sequence[torch.device]) -> list[list[int]]:
    """Layer indices, grouped by device, in order of first appearance."""
    groups: dict[str, list[int]] = {}
    for index, device in enumerate(devices):
        groups.setdefault(str(device), []).append(index)
    return list(groups.values())


class SlotCache:
    """The keys and values of all slots; the `past_key_values` of a decode step (its `update`).

    Rows 0 .. n-1 are in use: `begin` takes their lengths and how many columns to attend to.
    """

    def __init__(self, devices: Sequence[torch.device], slots: int) -> None:
        self._slots, self.width = slots, 0
        self._groups = _by_device(devices)
        self._devices = [devices[group[0]] for group in self._groups]
        # of a layer: its bank and its index there
        self._place = {
            layer: (bank, index)
            for bank, group in enumerate(self._groups)
            for index, layer in enumerate(group)
        }
        self._banks: list[tuple[Tensor, Tensor]] = []
        self._rows: list[Tensor] = []
        self._lengths: list[Tensor] = []
        self._columns = 0

    def fill(self, slot: int, prefix: Prefix) -> None:
        """Copy a prefix into a slot."""
        if not self._banks:
            self._allocate(prefix, prefix.length + BUCKET)
        self.reserve(prefix.length + 1)
        for bank, source in zip(self._banks, prefix.banks, strict=True):
            for store, part in zip(bank, source, strict=True):
                store[:, slot, :, : prefix.length] = part

    def reserve(self, width: int) -> None:
        """Make room for so many columns."""
        if width <= self.width:
            return
        grown = max(width, self.width + max(BUCKET, self.width // 2))
        grown = -(-grown // BUCKET) * BUCKET
        for index, bank in enumerate(self._banks):
            larger: list[Tensor] = []
            for store in bank:
                shape = (*store.shape[:3], grown, store.shape[4])
                fresh = store.new_zeros(shape)
                fresh[:, :, :, : self.width] = store
                larger.append(fresh)
            self._banks[index] = (larger[0], larger[1])
        self.width = grown

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a slot's first columns to another."""
        for bank in self._banks:
            for store in bank:
                store[:, target, :, :length] = store[:, source, :, :length]

    def wipe(self, slot: int) -> None:
        """Zero a slot: a masked NaN would still reach the next row (0 * NaN)."""
        for bank in self._banks:
            for store in bank:
                store[:, slot] = 0

    def begin(self, lengths: Tensor, columns: int) -> None:
        """Take the lengths [row] of the rows of the coming step, and the columns they need."""
        import torch

        self._columns = columns
        self._lengths = [lengths.to(device) for device in self._devices]
        self._rows = [torch.arange(len(lengths), device=device) for device in self._devices]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Write a token a row, [row, head, 1, head_dim]; return the columns [row, head, column, head_dim]."""
        bank, index = self._place[layer_idx]
        keys, values = self._banks[bank]
        rows, lengths = self._rows[bank], self._lengths[bank]
        keys, values = keys[index], values[index]
        keys[rows, :, lengths] = key_states[:, :, 0]
        values[rows, :, lengths] = value_states[:, :, 0]
        count = len(rows)
        return keys[:count, :, : self._columns], values[:count, :, : self._columns]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._columns - 1

    def _allocate(self, like: Prefix, width: int) -> None:
        self.width = -(-width // BUCKET) * BUCKET
        for keys, values in like.banks:
            shapes = [(t.shape[0], self._slots, t.shape[1], self.width, t.shape[3]) for t in (keys, values)]
            self._banks.append((keys.new_zeros(shapes[0]), values.new_zeros(shapes[1])))
