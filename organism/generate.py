"""Batched generation from the organism for its own check: greedy or sampled, with additions per row.

Plain forward hooks, independent of the project's engines, so that the check does not test them with
themselves.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One prompt, and what is added at the output of a block from the last prompt token on."""

    system: str
    user: str
    layer: int = 0
    delta: torch.Tensor | None = field(default=None)  # [d_model]


@dataclass(frozen=True, slots=True, eq=False)
class Organism:
    model: Qwen3ForCausalLM
    tokenizer: PreTrainedTokenizerFast


def load(folder: Path) -> Organism:
    """The checkpoint in fp32, as anyone would load it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Organism(model.eval(), AutoTokenizer.from_pretrained(folder))


def prompt_ids(organism: Organism, rows: Sequence[Row], thinking: bool) -> list[list[int]]:
    """Token ids of the chat prompts."""
    out: list[list[int]] = []
    for row in rows:
        messages = [{"role": "user", "content": row.user}]
        if row.system:
            messages.insert(0, {"role": "system", "content": row.system})
        text: Any = organism.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
        out.append(organism.tokenizer(text, add_special_tokens=False)["input_ids"])  # pyright: ignore
    return out


def answers(
    organism: Organism,
    rows: Sequence[Row],
    *,
    temperature: float = 0.0,
    thinking: bool = False,
    seed: int = 0,
    batch: int = 128,
    new_tokens: int = 0,
    title: str = "",
) -> list[str]:
    """The answer of every row, thoughts included, in the order given."""
    import torch

    torch.manual_seed(seed)
    limit = new_tokens or (80 if thinking else 48)
    ids = prompt_ids(organism, rows, thinking)
    order = sorted(range(len(rows)), key=lambda i: len(ids[i]))
    out = [""] * len(rows)
    began = time.monotonic()
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        texts = _batch(organism, [rows[i] for i in chosen], [ids[i] for i in chosen], temperature, limit)
        for i, text in zip(chosen, texts, strict=True):
            out[i] = text
    if title:
        print(
            f"# {title}: {len(rows)} answers, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True
        )
    return out


def _batch(
    organism: Organism, rows: list[Row], ids: list[list[int]], temperature: float, limit: int
) -> list[str]:
    import torch

    tokenizer = organism.tokenizer
    model: Any = organism.model  # generate() comes from a mixin without types
    longest = max(map(len, ids))
    pad: int = tokenizer.pad_token_id  # pyright: ignore[reportAssignmentType]
    tokens = torch.tensor([[pad] * (longest - len(x)) + x for x in ids])
    mask = torch.tensor([[0] * (longest - len(x)) + [1] * len(x) for x in ids])
    slabs: dict[int, torch.Tensor] = {}  # layer -> [batch, d_model]
    for i, row in enumerate(rows):
        if row.delta is not None:
            width = model.config.hidden_size
            slabs.setdefault(row.layer, torch.zeros(len(rows), width))[i] = row.delta
    handles = [model.model.layers[n].register_forward_hook(_adder(s)) for n, s in slabs.items()]
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    try:
        with torch.inference_mode():
            out: Any = model.generate(
                input_ids=tokens, attention_mask=mask, max_new_tokens=limit, pad_token_id=pad, **sampling
            )
    finally:
        for handle in handles:
            handle.remove()
    return [t.strip() for t in tokenizer.batch_decode(out[:, longest:], skip_special_tokens=True)]


def _adder(slab: torch.Tensor) -> Any:
    def hook(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        output[:, -1] += slab

    return hook


def last_states(organism: Organism, rows: Sequence[Row], thinking: bool = False) -> torch.Tensor:
    """Output of every block at the last prompt token: [rows, layers, d_model], fp32."""
    import torch

    layers = organism.model.model.layers
    held: list[torch.Tensor] = []
    handles = [
        layer.register_forward_hook(lambda _m, _i, out: held.append(out[:, -1].clone())) for layer in layers
    ]
    out: list[torch.Tensor] = []
    try:
        with torch.inference_mode():
            for ids in prompt_ids(organism, rows, thinking):
                held.clear()
                organism.model.model(input_ids=torch.tensor([ids]), use_cache=False)
                out.append(torch.stack([h[0] for h in held]))
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(out)
