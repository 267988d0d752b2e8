"""Attention of a decode step over shared prompts: rows of one prompt read its keys and values together.

A row attends to two stretches: its prompt, which others may share, and its own tokens. Each gives an
output o, its largest score m and the sum l of e^(score - m), and the two are joined exactly (as in
Hydragen, Juravsky et al. 2024, arXiv 2402.05099, section 3.2):

    out = (w1 o1 + w2 o2) / (w1 + w2),   w = l e^(m - max(m1, m2))

so that a prompt's keys and values are read once a step, however many rows have it. It does not know
slots, requests or steering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from steer.uploads import send

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

UNUSED = {
    "dropout",
    "position_ids",
    "cache_position",
    "use_cache",
    "is_causal",
    "output_attentions",
    "output_router_logits",
}
"""Arguments of attention that say nothing to a decode step."""

NAME = "steergap-shared-prompts"
PADDED = 2
"""Tiles may hold this many times as many rows as there are, before they are made smaller."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Rows laid out by prompt, for one batched product: `size` rows a tile, all of one prompt.

    rows: [count * size] the row that lies there (any where none does). at: [row] where a row lies.
    prompts: [count] the prompt of each tile; None where tile i is of prompt i.
    """

    count: int
    size: int
    rows: Tensor
    at: Tensor
    prompts: Tensor | None

    def to(self, device: torch.device) -> Tiles:
        prompts = self.prompts if self.prompts is None else send(self.prompts, device)
        return Tiles(self.count, self.size, send(self.rows, device), send(self.at, device), prompts)


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
    rows = torch.zeros(len(of) * size, dtype=torch.int64)
    rows[at] = torch.arange(len(at))
    return Tiles(len(of), size, rows, torch.tensor(at), None if in_order else torch.tensor(of))


class Prompts(Protocol):
    """What holds the prompts' keys and values."""

    def prompt(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tiles]:
        """(keys, values, mask, tiles): [prompt, head, column, head_dim] twice, [prompt, 1, column], rows'."""
        ...


def attend(query: Tensor, own: Part, prompt: Part, tiles: Tiles, *, scaling: float) -> Tensor:
    """Attention of one token a row over its prompt and its own tokens.

    query: [row, key-value head, head of its group, head_dim]; own: of the rows; prompt: of the prompts;
    scaling: of scores. Returns the like of query.
    """
    import torch

    rows, heads, group, dim = query.shape
    first = own.read(query.flatten(0, 1), scaling).view(rows, heads, group, dim + 2)
    laid = query[tiles.rows].view(tiles.count, tiles.size, heads, group, dim).transpose(1, 2)
    read = prompt.read(laid.reshape(tiles.count * heads, tiles.size * group, dim), scaling)
    read = read.view(tiles.count, heads, tiles.size, group, dim + 2).transpose(1, 2)
    second = read.reshape(tiles.count * tiles.size, heads, group, dim + 2)[tiles.at]
    top = torch.maximum(first[..., -1:], second[..., -1:])
    a = (first[..., -1:] - top).exp_() * first[..., -2:-1]
    b = (second[..., -1:] - top).exp_() * second[..., -2:-1]
    return ((a * first[..., :-2] + b * second[..., :-2]) / (a + b)).to(query.dtype)


@dataclass(frozen=True, slots=True)
class Part:
    """Keys and values [batch, column, head_dim], and what is added to scores: mask [batch, 1, column]."""

    keys: Tensor
    values: Tensor
    mask: Tensor

    def read(self, query: Tensor, scaling: float) -> Tensor:
        """[batch, query, head_dim + 2] for queries [batch, query, head_dim], fp32 or wider: the output;
        the sum of e^(score - largest); the largest score."""
        import torch

        if query.dtype.itemsize >= 4:
            scores = torch.baddbmm(self.mask, query, self.keys.mT, alpha=scaling)
        else:
            scores = _product(query, self.keys.mT) * scaling + self.mask
        # softmax is fast where exp is not: on a CPU, exp of a masked score takes twelve times as long
        share = scores.softmax(-1)
        out = _product(share.to(query.dtype), self.values)
        weight = 1 / share.amax(-1, keepdim=True)  # the largest score's share is 1 / sum
        return torch.cat([out, weight, scores.amax(-1, keepdim=True)], -1)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Batched product, 16-bit factors summed and given in fp32: rounding scores would cost far more than
    other attentions lose."""
    import torch

    if a.dtype.itemsize >= 4:
        return torch.bmm(a, b)
    if a.device.type == "cuda":
        return torch.bmm(a, b, torch.float32)
    return torch.bmm(a.float(), b.float())


def plain(more: Mapping[str, object]) -> None:
    """TypeError for an argument that asks for more than plain attention (sinks, a cap, a window)."""
    foreign = [name for name, given in more.items() if given is not None and name not in UNUSED]
    if foreign:
        raise TypeError(f"attention with {', '.join(foreign)} is not plain attention")


def shared_prompts(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float,
    prompts: Prompts,
    **more: Any,
) -> tuple[Tensor, None]:
    """An attention function of `transformers`: query [row, head, 1, head_dim]; key, value
    [row, key-value head, column, head_dim] and attention_mask [row, 1, 1, column] of the rows' own tokens.

    TypeError as `plain` raises it.
    """
    plain(more)
    rows, heads, _, dim = query.shape
    groups = key.shape[1]
    shaped = query[:, :, 0].view(rows, groups, heads // groups, dim)
    mask = attention_mask[:, 0].repeat_interleave(groups, 0)
    own = Part(key.flatten(0, 1), value.flatten(0, 1), mask)
    keys, values, mask, tiles = prompts.prompt(int(module.layer_idx))  # pyright: ignore[reportArgumentType]
    if tiles.prompts is not None:
        keys, values, mask = keys[tiles.prompts], values[tiles.prompts], mask[tiles.prompts]
    mask = mask.repeat_interleave(groups, 0)
    out = attend(shaped, own, Part(keys.flatten(0, 1), values.flatten(0, 1), mask), tiles, scaling=scaling)
    return out.view(rows, 1, heads, dim), None


@contextmanager
def sharing(config: Any, attention: Callable[..., tuple[Tensor, None]]) -> Generator[None]:
    """The model of this configuration attends through a function for as long as this lasts."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attention)
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
