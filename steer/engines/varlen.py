"""Attention of a decode step by FlashAttention with variable lengths. Never run on a device.

As in `steer.engines.attention` a row attends to its prompt, which others may share, and to its own tokens
apart: two calls of PyTorch's own kernel, joined by their log-sum-exp. The query heads of one key-value head
are queries of one sequence, which needs no order as nothing is causal here: keys are read once for all of
them, and the kernel never splits them, so that a row does not depend on its company. The kernel is of CUDA
and 16 bit; elsewhere a stand-in computes the same. It does not know slots, requests or steering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice, repeat
from typing import TYPE_CHECKING, Any, Protocol

from steer.engines.attention import plain
from steer.uploads import upload

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Stretches:
    """Where sequences lie in flat queries and keys.

    queries, keys: [sequence + 1] int32, where each begins. used: [sequence] int32, its keys from there on.
    most: no sequence has more (queries, keys).
    """

    queries: Tensor
    keys: Tensor
    used: Tensor
    most: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows by prompt: order [row], the rows so sorted; back [row], where each lies then; bare [row],
    whether its prompt has no column; stretches: a sequence a prompt."""

    order: Tensor
    back: Tensor
    bare: Tensor
    stretches: Stretches


class Shared(Protocol):
    """What holds the keys and values."""

    def shared(self, layer: int) -> tuple[Stretches, Tensor, Tensor, Sorted]:
        """The rows' own tokens; the prompts' keys and values, [prompt, head, column, head_dim]; the rows by
        prompt."""
        ...


class Order:
    """Rows sorted by their prompts on a device, always in the same memory: what reads it need not be told.

    slots, prompts: the most there will be. group: query heads of a key-value head.
    """

    def __init__(self, slots: int, prompts: int, group: int, device: torch.device) -> None:
        import torch

        self.prompts, self._group = prompts, group
        self._sizes = (slots, slots, slots, prompts + 1, prompts + 1, prompts)
        self.held = torch.zeros(sum(self._sizes), dtype=torch.int32, device=device)

    def lay(self, prompt_of: Sequence[int], lengths: Sequence[int], width: int) -> None:
        """Rows with these prompts, of these lengths, that lie `width` columns apart."""
        order = sorted(range(len(prompt_of)), key=prompt_of.__getitem__)
        back = sorted(range(len(order)), key=order.__getitem__)
        bare = [lengths[prompt] == 0 for prompt in prompt_of]
        rows = Counter(prompt_of)
        begins = accumulate((self._group * rows[p] for p in range(self.prompts)), initial=0)
        keys = range(0, width * (self.prompts + 1), width)
        parts = zip((order, back, bare, begins, keys, lengths), self._sizes, strict=True)
        flat = [int(x) for part, size in parts for x in islice(chain(part, repeat(0)), size)]
        self.held.copy_(upload(flat, self.held.device, self.held.dtype))

    def read(self, rows: int, width: int) -> Sorted:
        """The first rows, as they were last laid."""
        order, back, bare, queries, keys, used = self.held.split(self._sizes)
        stretches = Stretches(queries, keys, used, (rows * self._group, width))
        return Sorted(order[:rows].long(), back[:rows].long(), bare[:rows].bool(), stretches)


def own(lengths: Tensor, width: int, group: int) -> Stretches:
    """A sequence a row, `width` columns apart: [row] used, and the one that is being written."""
    import torch

    def begins(step: int) -> Tensor:
        return torch.arange(0, len(lengths) * step + 1, step, dtype=torch.int32, device=lengths.device)

    return Stretches(begins(group), begins(width), (lengths + 1).int(), (group, width))


def flash(query: Tensor, key: Tensor, value: Tensor, at: Stretches, scaling: float) -> tuple[Tensor, Tensor]:
    """query [query, head, head_dim], key and value [key, head, head_dim] -> the output, like query, and the
    log of the sum of e^score [head, query] fp32: +inf where a query has no key.

    What `torch.nn.attention.varlen.varlen_attn` calls; that has `seqused_k` from torch 2.12 on only.
    """
    import torch

    return torch.ops.aten._flash_attention_forward(
        *(query, key, value, at.queries, at.keys, *at.most, 0.0, False, False),
        scale=scaling,
        seqused_k=at.used,
    )[:2]


def stand_in(
    query: Tensor, key: Tensor, value: Tensor, at: Stretches, scaling: float
) -> tuple[Tensor, Tensor]:
    """What `flash` gives, in fp32 or wider, on any device; a query's other keys are masked one by one."""
    import torch

    def sequence(begins: Tensor, count: int) -> Tensor:
        places = torch.arange(count, dtype=torch.int32, device=begins.device)
        return torch.searchsorted(begins, places, right=True) - 1

    wide = torch.promote_types(query.dtype, torch.float32)
    mine, theirs = sequence(at.queries, len(query)), sequence(at.keys, len(key))
    read = torch.arange(len(key), device=key.device) - at.keys[theirs] < at.used[theirs]
    scores = torch.einsum("qhd,khd->hqk", query.to(wide), key.to(wide)) * scaling
    scores = scores.masked_fill(~((mine[:, None] == theirs) & read), float("-inf"))
    none = at.used[mine] == 0
    share = scores.softmax(-1).masked_fill(none[:, None], 0.0)
    out = torch.einsum("hqk,khd->qhd", share, value.to(wide).masked_fill(~read[:, None, None], 0.0))
    return out.to(query.dtype), scores.logsumexp(-1).masked_fill(none, float("inf"))


def attend(query: Tensor, key: Tensor, value: Tensor, at: Stretches, scaling: float) -> tuple[Tensor, Tensor]:
    """query [row, head of its group, key-value head, head_dim]; key and value [place, head, column,
    head_dim], which lie [place, column, head, head_dim]. The output, like query; its log-sum-exp [..., 1]."""
    kernel = flash if query.is_cuda and query.dtype.itemsize == 2 else stand_in
    keys, values = (part.transpose(1, 2).view(-1, *query.shape[2:]) for part in (key, value))
    out, weight = kernel(query.flatten(0, 1), keys, values, at, scaling)
    return out.view(query.shape), weight.mT.reshape(*query.shape[:3], 1)


def varlen_prompts(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float,
    prompts: Shared,
    **more: Any,
) -> tuple[Tensor, None]:
    """An attention function of `transformers`, as `steer.engines.attention.shared_prompts`; reads no mask."""
    import torch

    plain(more)
    rows, heads, _, dim = query.shape
    folded = query[:, :, 0].view(rows, key.shape[1], -1, dim).transpose(1, 2)
    mine, keys, values, by_prompt = prompts.shared(int(module.layer_idx))  # pyright: ignore[reportArgumentType]
    first, a = attend(folded, key, value, mine, scaling)
    second, b = attend(folded[by_prompt.order], keys, values, by_prompt.stretches, scaling)
    b = b[by_prompt.back].masked_fill(by_prompt.bare[:, None, None, None], float("-inf"))
    share = torch.sigmoid(a - b)  # e^a / (e^a + e^b)
    out = torch.lerp(second[by_prompt.back].to(share.dtype), first.to(share.dtype), share)
    return out.to(query.dtype).transpose(1, 2).reshape(rows, 1, heads, dim), None
