"""Attention of a decode step over shared prompts: rows of one prompt read its keys and values together.

A row attends to two stretches: its prompt, which others may share, and its own tokens. Each gives an
unnormalised sum with its largest score and its weight, and the two are joined exactly (as Hydragen,
Juravsky et al. 2024, arXiv 2402.05099, section 3.2):

    out = (e^(m1 - m) o1 + e^(m2 - m) o2) / (e^(m1 - m) l1 + e^(m2 - m) l2),   m = max(m1, m2)

so that a prompt's keys and values are read once a step, however many rows have it. It does not know
slots, requests or steering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

NAME = "steergap-shared-prompts"
PADDED = 2
"""Tiles may hold this many times as many rows as there are, before they are made smaller."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Rows laid out by prompt, for one batched product: `size` rows a tile, all of one prompt.

    at: [row] where a row lies among the tiles' rows. prompts: [tile] the prompt of each tile; None
    where tile i is of prompt i.
    """

    count: int
    size: int
    at: Tensor
    prompts: Tensor | None

    def to(self, device: torch.device) -> Tiles:
        prompts = self.prompts if self.prompts is None else self.prompts.to(device)
        return Tiles(self.count, self.size, self.at.to(device), prompts)


def tiles_of(prompt_of: Sequence[int], prompts: int) -> Tiles:
    """Tiles for rows with these prompts (0 .. prompts - 1)."""
    import torch

    sizes = Counter(prompt_of)
    size = max(sizes.values())
    in_order = prompts * size <= PADDED * len(prompt_of)
    if not in_order:
        size = -(-len(prompt_of) // len(sizes))
    of: list[int] = list(range(prompts)) if in_order else []
    seen: Counter[int] = Counter()
    latest: dict[int, int] = {p: p for p in of}
    at: list[int] = []
    for prompt in prompt_of:
        place = seen[prompt] % size
        if place == 0 and not in_order:
            latest[prompt] = len(of)
            of.append(prompt)
        at.append(latest[prompt] * size + place)
        seen[prompt] += 1
    return Tiles(len(of), size, torch.tensor(at), None if in_order else torch.tensor(of))


class Prompts(Protocol):
    """What holds the prompts' keys and values."""

    def prompt(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tiles]:
        """(keys, values, mask, tiles): [prompt, head, column, head_dim] twice, [prompt, 1, column], rows'."""
        ...


def attend(query: Tensor, own: Part, prompt: Part, tiles: Tiles) -> Tensor:
    """Attention of one token a row over its prompt and its own tokens.

    query: [row, head, key-value group, head_dim], scaled already; own: of the rows; prompt: of the
    prompts. Returns the like of query.
    """
    import torch

    rows, heads, group, dim = query.shape
    first = own.read(query.flatten(0, 1)).view(rows, heads, group, dim + 2)
    laid = query.new_zeros(tiles.count * tiles.size, heads, group, dim)
    laid[tiles.at] = query
    laid = laid.view(tiles.count, tiles.size, heads, group, dim).transpose(1, 2)
    read = prompt.read(laid.reshape(tiles.count * heads, tiles.size * group, dim))
    read = read.view(tiles.count, heads, tiles.size, group, dim + 2).transpose(1, 2)
    second = read.reshape(tiles.count * tiles.size, heads, group, dim + 2)[tiles.at]
    top = torch.maximum(first[..., -1:], second[..., -1:])
    a, b = (first[..., -1:] - top).exp_(), (second[..., -1:] - top).exp_()
    joined = a * first[..., :-1] + b * second[..., :-1]
    return (joined[..., :-1] / joined[..., -1:]).to(query.dtype)


@dataclass(frozen=True, slots=True)
class Part:
    """Keys and values [batch, column, head_dim], and what is added to scores: mask [batch, 1, column]."""

    keys: Tensor
    values: Tensor
    mask: Tensor

    def read(self, query: Tensor) -> Tensor:
        """[batch, query, head_dim + 2] for queries [batch, query, head_dim], fp32 or wider: the sum of
        e^(score - largest) times values; the sum of e^(score - largest); the largest score."""
        import torch

        if query.dtype.itemsize < 4:  # softmax in fp32, as Hugging Face's own attentions
            scores = torch.bmm(query, self.keys.mT).float() + self.mask
        else:
            scores = torch.baddbmm(self.mask, query, self.keys.mT)
        top = scores.amax(-1, keepdim=True)
        scores = (scores - top).exp_()
        weight = scores.sum(-1, keepdim=True)
        return torch.cat([torch.bmm(scores.to(query.dtype), self.values).to(top.dtype), weight, top], -1)


def shared_prompts(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float,
    prompts: Prompts,
    **_: Any,
) -> tuple[Tensor, None]:
    """An attention function of `transformers`: query [row, head, 1, head_dim]; key, value
    [row, key-value head, column, head_dim] and attention_mask [row, 1, 1, column] of the rows' own tokens."""
    rows, heads, _, dim = query.shape
    groups = key.shape[1]
    shaped = (query[:, :, 0] * scaling).view(rows, groups, heads // groups, dim)
    mask = attention_mask[:, 0].repeat_interleave(groups, 0)
    own = Part(key.flatten(0, 1), value.flatten(0, 1), mask)
    keys, values, mask, tiles = prompts.prompt(int(module.layer_idx))  # pyright: ignore[reportArgumentType]
    if tiles.prompts is not None:
        keys, values, mask = keys[tiles.prompts], values[tiles.prompts], mask[tiles.prompts]
    mask = mask.repeat_interleave(groups, 0)
    out = attend(shaped, own, Part(keys.flatten(0, 1), values.flatten(0, 1), mask), tiles)
    return out.view(rows, 1, heads, dim), None


@contextmanager
def sharing(config: Any) -> Generator[None]:
    """The model of this configuration attends through `shared_prompts` for as long as this lasts."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, shared_prompts)
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
