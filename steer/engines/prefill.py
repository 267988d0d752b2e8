"""Prompts but their last token, computed on the side, each part once for all rows that share it.

Rows share a prompt's keys and values as far as their steering leaves them alone: wholly for spans
`last` and `generated`; for `all` and `prompt` up to the first edited layer. So a prefill starts
with one row a prompt, and a row branches off where its first edit falls:

    layer 0 .. L        one row a prompt
    output of layer L   a copy of it for each request whose first edit is here; the edit
    layer L+1 ..        the copies, and the prompts' own rows while others still need them

It does not know slots, queues or tokens to come.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steer.blocks import stream, with_stream
from steer.engines.batching import input_device
from steer.engines.cache import Prefix, prefix_of
from steer.interventions import Steering, reach
from steer.types import Addition, Applied, LoadedModel, Request, ScoreRow
from steer.uploads import upload

if TYPE_CHECKING:
    from torch import Tensor, nn

Share = tuple[tuple[int, ...], tuple[int, ...]]
"""What a prefix depends on: the prompt, and the additions that reach into it."""


@dataclass(slots=True)
class Work:
    """What a run took, in tokens. Deterministic, unlike seconds.

    row_steps: rows times decode steps. output: tokens returned. prefilled: prompt tokens computed on
    the side (through some of the layers: that part of a token); pads: beside them. prompts: tokens of
    the distinct prompts.
    """

    row_steps: int = 0
    output: int = 0
    prefilled: float = 0.0
    pads: float = 0.0
    prompts: int = 0


@contextmanager
def steered(layers: Sequence[nn.Module], steering: Steering) -> Generator[None]:
    """Edit the outputs of the decoder blocks for as long as this lasts: one forward."""

    def hook_of(layer: int) -> Any:
        def hook(_module: nn.Module, _args: object, output: Any) -> Any:
            return with_stream(output, steering.edit(layer, stream(output, steering.d_model)))

        return hook

    handles = [layers[layer].register_forward_hook(hook_of(layer)) for layer in steering.layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, slots=True)
class Branches:
    """Rows of a forward that share one until their first edit.

    first: [row] the layer of that edit, ascending; as large as there are layers where there is none.
    shared: [row] the fed row that stands for it until then.
    """

    first: tuple[int, ...]
    shared: tuple[int, ...]

    def gone(self, layer: int) -> int:
        """How many rows have branched off before a layer: the first of what it computes."""
        return bisect_left(self.first, layer)

    def runs(self, layer: int) -> bool:
        """Whether a layer still computes the shared rows, after those that have branched off."""
        return self.gone(layer) < len(self.first)

    def place(self, row: int, layer: int) -> int:
        """Where a row, or what stands for it, is among those that a layer computes."""
        return row if self.first[row] < layer else self.gone(layer) + self.shared[row]

    @contextmanager
    def steered(self, layers: Sequence[nn.Module], steering: Steering) -> Generator[None]:
        """Branch rows off and edit them, for as long as this lasts: one forward of the shared rows."""
        import torch

        def hook_of(layer: int) -> Any:
            before, after = self.gone(layer), self.gone(layer + 1)
            rows_of = [before + row for row in self.shared[before:after]]
            leaving = upload(rows_of, next(layers[layer].parameters()).device, torch.int64)

            def hook(_module: nn.Module, _args: object, output: Any) -> Any:
                hidden = stream(output, steering.d_model)
                rows = (
                    torch.cat([hidden[:before], hidden[leaving.to(hidden.device)]])
                    if before < after
                    else hidden[:after]
                )
                edited = steering.edit(layer, rows)
                running = self.runs(layer + 1)
                return with_stream(output, torch.cat([edited, hidden[before:]]) if running else edited)

            return hook

        handles = [
            layers[layer].register_forward_hook(hook_of(layer))
            for layer in range(len(layers))
            if layer in steering.layers or self.gone(layer) != self.gone(layer + 1)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def reaches(addition: Addition, prompt: int) -> bool:
    """Whether an addition edits a position of the prompt before its last."""
    return reach(addition, prompt)[0] < prompt - 1


def reaching(request: Request | ScoreRow) -> tuple[Addition, ...]:
    prompt = len(request.prompt_ids)
    return tuple(addition for addition in request.additions if reaches(addition, prompt))


def share(request: Request | ScoreRow) -> Share:
    """Rows with equal shares have the same keys and values up to the prompt's last token."""
    return request.prompt_ids, tuple(id(addition) for addition in reaching(request))


def prefill(
    loaded: LoadedModel, layers: Sequence[nn.Module], requests: Sequence[Request], work: Work
) -> Iterator[tuple[Request, Prefix, tuple[Applied, ...]]]:
    """Each request with its prompt's keys and values, and what `reaching` additions did there.

    Rows are right-padded: causal attention keeps the pads out by itself.
    """
    import torch
    from transformers import DynamicCache

    depth, device = len(layers), input_device(loaded)

    def first_edit(request: Request) -> int:
        return min((addition.layer for addition in reaching(request)), default=depth)

    jobs = sorted(requests, key=first_edit)  # a row keeps its number from where it branches off
    prompts = list(dict.fromkeys(request.prompt_ids for request in jobs))
    shared = {prompt: row for row, prompt in enumerate(prompts)}
    lengths = [len(prompt) - 1 for prompt in prompts]
    width = max(1, *lengths)
    fed = [
        list(prompt[: max(1, n)]) + [0] * (width - max(1, n))
        for prompt, n in zip(prompts, lengths, strict=True)
    ]
    branches = Branches(tuple(map(first_edit, jobs)), tuple(shared[job.prompt_ids] for job in jobs))

    steering = Steering(layers, rows=len(jobs), d_model=loaded.d_model, dtype=loaded.module.dtype)
    for row, job in enumerate(jobs):
        steering.set(row, reaching(job), len(job.prompt_ids))
    columns = torch.arange(width, device=device)
    own = upload([len(job.prompt_ids) - 1 for job in jobs], device)
    steering.begin(torch.where(columns < own[:, None], columns, -1))
    cache: Any = DynamicCache()
    with branches.steered(layers, steering):
        loaded.module(
            input_ids=upload(fed, device),
            attention_mask=_causal(loaded, width),
            position_ids=columns[None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    pairs = [(layer.keys, layer.values) for layer in cache.layers]
    for row, job in enumerate(jobs):
        places = [branches.place(row, layer) for layer in range(depth)]
        yield job, prefix_of(pairs, places, len(job.prompt_ids) - 1), steering.applied(row)
    computed = sum(
        sum(len(job.prompt_ids) - 1 for job in jobs[: branches.gone(layer)])
        + branches.runs(layer) * sum(lengths)
        for layer in range(depth)
    )
    fed_rows = sum(branches.gone(layer) + branches.runs(layer) * len(prompts) for layer in range(depth))
    work.prefilled += computed / depth
    work.pads += (fed_rows * width - computed) / depth


def _causal(loaded: LoadedModel, width: int) -> Tensor | None:
    """A causal mask for any number of rows: none for sdpa; eager attention would build one a row."""
    import torch

    config: Any = loaded.module.config.get_text_config(decoder=True)
    if getattr(config, "_attn_implementation", "") == "sdpa":
        return None
    mask = torch.full((width, width), float("-inf"), dtype=loaded.module.dtype, device=input_device(loaded))
    return mask.triu(1)[None, None]
