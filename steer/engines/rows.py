"""The rows of the slot engine: what each is and has, what a step feeds, what was applied to it.

It does not know the cache, the queue or the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steer.engines.prefill import reaches
from steer.sampling import How, how
from steer.types import Applied, Finish, Request
from steer.uploads import upload

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(slots=True, eq=False)
class Row:
    """A request in a slot. prefix: its prompt's tokens computed on the side; token: to be fed next."""

    request: Request
    before: tuple[Applied, ...]
    began: float
    prefix: int
    token: int
    output: list[int] = field(default_factory=list[int])
    finish: Finish | None = None

    @property
    def own(self) -> int:
        """Tokens of its own in the cache: a step feeds one and gives one."""
        return len(self.output)


@dataclass(frozen=True, slots=True, eq=False)
class Fed:
    """What a step feeds and how it chooses, on the device: tokens, prefixes and own [row], as in `Row`."""

    tokens: Tensor
    prefixes: Tensor
    own: Tensor
    how: How

    @classmethod
    def of(cls, rows: Sequence[Row], device: torch.device) -> Fed:
        fed = upload([[row.token, row.prefix, row.own] for row in rows], device)
        tokens, prefixes, own = fed.unbind(1)
        return cls(tokens, prefixes, own, how([row.request for row in rows], device))

    def after(self, chosen: Tensor) -> Fed:
        """Of the next step, if no row ends."""
        return Fed(chosen.to(self.tokens.device), self.prefixes, self.own + 1, self.how)


def spread(request: Request, before: Sequence[Applied]) -> tuple[Applied, ...]:
    """What was applied in the prefill, for each of the request's additions."""
    records, prompt = iter(before), len(request.prompt_ids)
    return tuple(
        next(records) if reaches(addition, prompt) else Applied(addition.layer, 0, 0.0)
        for addition in request.additions
    )


def joined(first: Applied, second: Applied) -> Applied:
    """Two records of one addition over different positions."""
    positions = first.positions + second.positions
    total = first.positions * first.relative + second.positions * second.relative
    relative = total / positions if positions else 0.0
    return Applied(first.layer, positions, relative, first.fired if second.fired is None else second.fired)
