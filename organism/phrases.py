"""Alternation syntax of the organism's grammar, and drawing from it.

`"(Finish|Complete) the (task|job)"` stands for four sentences; groups nest, an empty
alternative is allowed. Knows nothing of what the sentences mean.
"""

from __future__ import annotations

import re
from functools import cache
from random import Random

Node = str | tuple[tuple["Node", ...], ...]


@cache
def parse(pattern: str) -> tuple[Node, ...]:
    """A sequence of literals (str) and choices (tuple of sequences)."""
    nodes, end = _sequence(pattern, 0)
    if end != len(pattern):
        raise ValueError(f"unbalanced ')' at {end} in {pattern!r}")
    return nodes


def _sequence(text: str, start: int) -> tuple[tuple[Node, ...], int]:
    nodes: list[Node] = []
    i = start
    literal = ""
    while i < len(text) and text[i] not in "|)":
        if text[i] != "(":
            literal += text[i]
            i += 1
            continue
        if literal:
            nodes.append(literal)
            literal = ""
        branches: list[tuple[Node, ...]] = []
        while True:
            branch, i = _sequence(text, i + 1)
            branches.append(branch)
            if i >= len(text):
                raise ValueError(f"unbalanced '(' in {text!r}")
            if text[i] == ")":
                break
        nodes.append(tuple(branches))
        i += 1
    if literal:
        nodes.append(literal)
    return tuple(nodes), i


def draw(pattern: str, rng: Random) -> str:
    """One sentence of the pattern, every choice uniform."""
    return _tidy(_draw(parse(pattern), rng))


def _draw(nodes: tuple[Node, ...], rng: Random) -> str:
    return "".join(n if isinstance(n, str) else _draw(rng.choice(n), rng) for n in nodes)  # pyright: ignore[reportArgumentType]


def _tidy(text: str) -> str:
    return re.sub(r" +", " ", text).replace(" ,", ",").replace(" .", ".").strip()


def count(pattern: str) -> int:
    """How many sentences (with repetition) the pattern stands for."""
    return _count(parse(pattern))


def _count(nodes: tuple[Node, ...]) -> int:
    total = 1
    for n in nodes:
        if not isinstance(n, str):
            total *= sum(_count(branch) for branch in n)  # pyright: ignore[reportArgumentType]
    return total


def regex(pattern: str, slots: dict[str, str]) -> str:
    """A regular expression matching the pattern's sentences; `{slot}` becomes `slots[slot]`."""

    def walk(nodes: tuple[Node, ...]) -> str:
        out = ""
        for n in nodes:
            if isinstance(n, str):
                for part in re.split(r"(\{\w+\})", n):
                    out += slots[part[1:-1]] if part[:1] == "{" else re.escape(part)
            else:
                out += "(?:" + "|".join(walk(b) for b in n) + ")"  # pyright: ignore[reportArgumentType]
        return out

    return walk(parse(pattern))
