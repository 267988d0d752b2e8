"""How rows of token ids begin."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many ids two rows begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))
