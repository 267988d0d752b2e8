"""Where the slot engine keeps keys and values: prompts once each, and one slot a row for its own tokens.

A prompt (all but its last token) lies in a place of its own and is shared by the rows that have it. A
row's own tokens lie left-aligned in its slot; a decode step writes column `length` of each row and
attends to the columns up to it. What lies beyond is finite and masked. Banks are
[layer, place or slot, head, column, head_dim], a pair a device. It does not know tokens, requests or
steering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steer.engines.attention import Tiles, tiles_of
from steer.engines.varlen import Order, Sorted, Stretches, own
from steer.uploads import upload

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BUCKET = 64
"""Columns by which a bank grows at least; beyond, by half its width."""
ALIGNED = 16
"""Columns attended to are a multiple of this: kernels like aligned products."""

Bank = tuple["Tensor", "Tensor"]


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """Keys and values of one prompt's first tokens: a pair of [layer, head, column, head_dim] a device."""

    length: int
    banks: tuple[Bank, ...]

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for pair in self.banks for tensor in pair)


def prefix_of(layers: Sequence[Bank], rows: Sequence[int], length: int) -> Prefix:
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
    """The keys and values of all rows; the `past_key_values` of a decode step (its `update`), and the
    `Prompts` of its attention.

    Rows 0 .. n-1 are in use: `begin` takes the lengths of their own tokens.

    group: query heads of a key-value head where attention is `steer.engines.varlen`'s, else 0. Banks then
    lie [layer, place or slot, column, head, head_dim] in memory, and columns are not cut.
    """

    def __init__(self, devices: Sequence[torch.device], slots: int, group: int = 0) -> None:
        groups = _by_device(devices)
        self._devices = [devices[group[0]] for group in groups]
        # of a layer: its bank and its index there
        self._layers = {
            layer: (bank, index) for bank, group in enumerate(groups) for index, layer in enumerate(group)
        }
        self._own: list[Bank] = []
        self._prompts: list[Bank] = []
        self._slots, self._group = slots, group
        self._columns = 0
        self._held: list[Hashable | None] = [None] * slots  # the prompt of each slot's row
        self._places: dict[Hashable, int] = {}
        self._prefixes: dict[Hashable, int] = {}  # their lengths
        self._users: Counter[Hashable] = Counter()
        self._laid: list[tuple[Tensor, Tiles]] = []  # prompts' mask and tiles, a device
        self._orders: list[Order] = []  # where there is a group: rows by prompt, a device
        self._changed = True  # since prompts were laid out
        self._stretches: list[tuple[Stretches, Sorted]] = []
        self._rows: list[Tensor] = []
        self._lengths: list[Tensor] = []

    @property
    def width(self) -> int:
        """Columns of a slot."""
        return self._own[0][0].shape[3] if self._own else 0

    @property
    def prompts(self) -> int:
        """Prompts held."""
        return len(self._places)

    def enter(self, slot: int, key: Hashable, prefix: Prefix) -> None:
        """A row with this prompt takes a slot; rows of equal keys share one prompt."""
        if key not in self._places:
            place = len(self._places)
            self._prompts = _room(
                self._prompts,
                prefix.banks,
                place + 1,
                max(1, prefix.length),
                most=self._slots,
                by_column=self._group > 0,
            )
            for bank, source in zip(self._prompts, prefix.banks, strict=True):
                for store, part in zip(bank, source, strict=True):
                    store[:, place, :, : prefix.length] = part
                    store[:, place, :, prefix.length :] = 0  # a masked NaN would still spoil a row
            self._places[key], self._prefixes[key] = place, prefix.length
        if not self._own:
            self._own = _room([], prefix.banks, self._slots, 1, by_column=self._group > 0)
        self._users[key] += 1
        self._held[slot] = key
        self._changed = True

    def leave(self, slot: int) -> None:
        """A row ends; the last prompt moves to the place of one that nobody has any more."""
        key, self._held[slot] = self._held[slot], None
        self._users[key] -= 1
        self._changed = True
        if self._users[key]:
            return
        place, last = self._places.pop(key), len(self._places)
        del self._users[key], self._prefixes[key]
        for other, there in self._places.items():
            if there == last:
                for bank in self._prompts:
                    for store in bank:
                        store[:, place] = store[:, last]
                self._places[other] = place

    def move(self, source: int, target: int, length: int) -> None:
        """Move a row with so many own tokens to another slot."""
        for bank in self._own:
            for store in bank:
                store[:, target, :, :length] = store[:, source, :, :length]
        self._held[target], self._held[source] = self._held[source], None
        self._changed = True

    def wipe(self, slot: int) -> None:
        """Zero a slot: a masked NaN would still reach the next row (0 * NaN)."""
        for bank in self._own:
            for store in bank:
                store[:, slot] = 0

    def ready(self, rows: int, longest: int) -> None:
        """Make room for the coming step of so many rows, of which the longest has so many tokens of its own,
        and lay out their prompts: the host's part of it. Rows past those held read the first prompt."""
        need = longest + 1
        self._own = _room(self._own, self._own, self._slots, need, by_column=self._group > 0)
        self._columns = self.width if self._group else min(-(-need // ALIGNED) * ALIGNED, self.width)
        if self._changed:
            self._lay_out([self._places.get(key, 0) for key in self._held[:rows]])
            self._changed = False

    def begin(self, lengths: Tensor, longest: int) -> Tensor:
        """Take the own lengths [row] of the rows of the coming step, and the largest of them (which the
        host knows: reading it would wait); the mask of their own columns, [row, 1, 1, column] in the
        cache's dtype, or a bare one that nobody reads."""
        import torch

        self.ready(len(lengths), longest)
        self._lengths = [lengths.to(device) for device in self._devices]
        self._rows = [torch.arange(len(lengths), device=device) for device in self._devices]
        if self._group:
            width = self._prompts[0][0].shape[3]
            self._stretches = [
                (own(there, self._columns, self._group), order.read(len(there), width))
                for there, order in zip(self._lengths, self._orders, strict=True)
            ]
            return lengths.new_zeros(1, 1, 1, 1, dtype=self._own[0][0].dtype)
        hidden = torch.arange(self._columns, device=lengths.device) > lengths[:, None]
        return _mask(hidden, self._own[0][0].dtype)[:, None, None]

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Write a token a row, [row, head, 1, head_dim]; return the rows' own columns,
        [row, head, column, head_dim]."""
        bank, index = self._layers[layer_idx]
        keys, values = (store[index] for store in self._own[bank])
        rows, lengths = self._rows[bank], self._lengths[bank]
        keys[rows, :, lengths] = key_states[:, :, 0]
        values[rows, :, lengths] = value_states[:, :, 0]
        count = len(rows)
        return keys[:count, :, : self._columns], values[:count, :, : self._columns]

    def prompt(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tiles]:
        """Keys and values [prompt, head, column, head_dim], mask [prompt, 1, column] and the rows' tiles."""
        bank, index = self._layers[layer]
        mask, tiles = self._laid[bank]
        count, _, columns = mask.shape
        keys, values = (store[index, :count, :, :columns] for store in self._prompts[bank])
        return keys, values, mask, tiles

    def shared(self, layer: int) -> tuple[Stretches, Tensor, Tensor, Sorted]:
        """As `steer.engines.varlen` asks for it."""
        bank, index = self._layers[layer]
        mine, by_prompt = self._stretches[bank]
        keys, values = (store[index] for store in self._prompts[bank])
        return mine, keys, values, by_prompt

    def held(self) -> list[Tensor]:
        """All that a step reads and writes."""
        banks = [store for bank in (*self._own, *self._prompts) for store in bank]
        return [*banks, *(order.held for order in self._orders)]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._columns - 1

    def _lay_out(self, prompt_of: list[int]) -> None:
        import torch

        lengths = [self._prefixes[key] for key in sorted(self._places, key=self._places.__getitem__)]
        _, places, _, width, _ = self._prompts[0][0].shape
        if self._group:
            if not self._orders or self._orders[0].prompts != places:
                self._orders = [Order(self._slots, places, self._group, device) for device in self._devices]
            for order in self._orders:
                order.lay(prompt_of, lengths, width)
            return
        columns = min(-(-max(1, *lengths) // ALIGNED) * ALIGNED, width)
        tiles = tiles_of(prompt_of, len(self._places))

        def on(device: torch.device) -> tuple[Tensor, Tiles]:
            hidden = torch.arange(columns, device=device) >= upload(lengths, device)[:, None]
            return _mask(hidden, self._prompts[0][0].dtype)[:, None], tiles.to(device)

        self._laid = [on(device) for device in self._devices]


def _mask(hidden: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to scores: the smallest number where `hidden`; finite, so that a prompt of no
    column weighs nothing and is not NaN."""
    import torch

    zeros = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device)
    return zeros.masked_fill(hidden, torch.finfo(dtype).min)


def _room(
    banks: Sequence[Bank],
    like: Sequence[Bank],
    count: int,
    columns: int,
    *,
    most: int = 0,
    by_column: bool,
) -> list[Bank]:
    """The banks, grown where they lack room for `count` places of `columns` columns.

    like: pairs of [layer, ..., head, column, head_dim], for what a bank is of. most: places that
    they will ever need. by_column: columns lie before heads in memory.
    """
    held, width = (banks[0][0].shape[1], banks[0][0].shape[3]) if banks else (0, 0)
    if count <= held and columns <= width:
        return list(banks)
    if columns > width:
        width = max(columns, width + max(BUCKET, width // 2) if banks else 0)
        width = -(-width // BUCKET) * BUCKET
    if count > held:
        held = max(count, min(2 * held, most))
    grown: list[Bank] = []
    for i, (keys, values) in enumerate(like):
        pair: list[Tensor] = []
        for kind, source in enumerate((keys, values)):
            layers, heads, dim = source.shape[0], source.shape[-3], source.shape[-1]
            lying = (width, heads) if by_column else (heads, width)
            fresh = source.new_zeros(layers, held, *lying, dim)
            fresh = fresh.transpose(2, 3) if by_column else fresh
            if banks:
                old = banks[i][kind]
                fresh[:, : old.shape[1], :, : old.shape[3]] = old
            pair.append(fresh)
        grown.append((pair[0], pair[1]))
    return grown
