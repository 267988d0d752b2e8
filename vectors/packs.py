"""Token rows packed into fewer: what several begin with is computed once.

A pack is one row of a forward, and its tokens are a tree: each has the position it has in the rows it belongs
to, and attends to the tokens before it there alone. It does not know models or what is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steer.prefixes import common

if TYPE_CHECKING:
    from torch import Tensor

MOST = 256
"""Tokens of a pack, unless one row alone is longer: each attends to all, and is then told what not to see."""


@dataclass(frozen=True, slots=True)
class Pack:
    """Tokens with their positions, and the columns of every row's tokens among them, by the row's number."""

    ids: list[int] = field(default_factory=list[int])
    positions: list[int] = field(default_factory=list[int])
    rows: dict[int, list[int]] = field(default_factory=dict[int, list[int]])

    def add(self, number: int, ids: Sequence[int], after: Sequence[int]) -> None:
        """A row whose first tokens stand in the columns `after`."""
        self.rows[number] = [*after, *range(len(self.ids), len(self.ids) + len(ids) - len(after))]
        self.ids.extend(ids[len(after) :])
        self.positions.extend(range(len(after), len(ids)))


def packed(rows: Mapping[int, tuple[int, ...]], *, share: bool) -> list[Pack]:
    """Numbered rows, each in a pack with those that begin as it does, or in one of its own."""
    packs: list[Pack] = []
    last = -1
    for number in sorted(rows, key=rows.__getitem__):
        ids = rows[number]
        alike = common(rows[last], ids) if packs and share else 0
        if not alike or len(packs[-1].ids) + len(ids) - alike > MOST:
            packs.append(Pack())
            alike = 0
        packs[-1].add(number, ids, packs[-1].rows[last][:alike] if alike else ())
        last = number
    return packs


def visible(packs: Sequence[Pack], width: int) -> Tensor:
    """What each token attends to, [pack, 1, column, column] bool. Right-padded; a pad sees itself."""
    import torch

    seen = torch.eye(width, dtype=torch.bool).repeat(len(packs), 1, 1)
    for own, pack in zip(seen, packs, strict=True):
        for columns in pack.rows.values():
            at = torch.tensor(columns)
            own[at[:, None], at] = torch.ones(len(at), len(at), dtype=torch.bool).tril()
    return seen[:, None]
