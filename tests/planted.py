"""A tiny model whose choice depends on known directions, and nothing else: what carries a gap is planted.

The stream of a token is its embedding. The first block's attention, uniform over the prompt, writes what the
suffix's digits say along `writes`; the second's a little of everything, but nothing along u and v; all else
writes nothing; the head reads `reads` to choose between two options. So a gap is linear in the stream, but
for the final norm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from steer.models import load
from steer.types import SPANS
from tests.tiny import tokenizer
from vectors.vector import Provenance, SteeringVector

WIDTH, LAYERS = 128, 4
PRO, ANTI, NEUTRAL = "7", "4", "5"
TASK = """
title: Planted
words: {noun: choosing a, verb: choose a, adjective: a, pro: pro, anti: anti}
labels:
  - {name: a, role: hit, definition: a is the likelier}
  - {name: b, role: miss, definition: b is the likelier}
judge: choice
scenarios: scenarios.jsonl
extraction: extraction.jsonl
"""
WORDS = (
    "ship",
    "order",
    "goal",
    "access",
    "task",
    "plain",
    "short",
    "agent",
    "keep",
    "stop",
    "finish",
    "ask",
)


@dataclass(frozen=True, slots=True)
class Planted:
    """Folders of the model and its task; the vector's direction is `axis` at every layer."""

    model: Path
    task: Path
    axis: torch.Tensor
    vector: SteeringVector


def planted(folder: Path, seed: int, writes: tuple[float, float], reads: tuple[float, float]) -> Planted:
    """writes, reads: along (u, v), two orthogonal directions drawn with the seed; the vector is v."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))
    u, v, told = basis[:, 0], basis[:, 1], basis[:, 2]
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=16,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        tie_word_embeddings=False,
        eos_token_id=2,
        pad_token_id=0,
        bos_token_id=None,
    )
    model: Any = LlamaForCausalLM(config)
    said = [0.2 * torch.randn((), generator=generator).item() for _ in range(len(words))]
    for token in range(len(words)):
        text = words.decode([token])
        said[token] = (
            3.0 * ((PRO in text) - (ANTI in text)) if {*text} & {PRO, ANTI, NEUTRAL} else said[token]
        )
    with torch.no_grad():
        for layer, block in enumerate(model.model.layers):
            block.mlp.down_proj.weight.zero_()
            for part in (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.o_proj):
                part.weight.copy_(0.02 * torch.randn(part.weight.shape, generator=generator) * (layer == 1))
        aside = model.model.layers[1].self_attn.o_proj.weight
        aside -= torch.outer(u, u @ aside) + torch.outer(v, v @ aside)
        first = model.model.layers[0].self_attn
        first.v_proj.weight.zero_()
        first.v_proj.weight[0] = told
        shape = model.model.layers[1].self_attn.v_proj.weight.shape
        model.model.layers[1].self_attn.v_proj.weight.copy_(0.02 * torch.randn(shape, generator=generator))
        first.o_proj.weight[:, 0] = 2.0 * (writes[0] * u + writes[1] * v)
        noise = torch.randn(len(words), WIDTH - 3, generator=generator) @ basis[:, 3:].T
        noise = 8.0 * noise / noise.norm(dim=-1, keepdim=True)
        model.model.embed_tokens.weight.copy_(noise + torch.tensor(said)[:, None] * told)
        model.lm_head.weight.zero_()
        for sign, option in ((1.0, "a"), (-1.0, "b")):
            (token,) = words(option, add_special_tokens=False).input_ids
            model.lm_head.weight[token] = sign * (reads[0] * u + reads[1] * v)
    model.save_pretrained(folder / "model")
    words.save_pretrained(folder / "model")
    task = folder / "task"
    task.mkdir()
    (task / "task.yaml").write_text(TASK)
    sides = {"pro": PRO, "anti": ANTI}
    texts = {side: " ".join([digit] * 8) for side, digit in sides.items()}
    other = {side: f"{digit}, {digit}! {digit}; {digit}" for side, digit in sides.items()}
    suffixes = {"pair": texts, "neutral": " ".join([NEUTRAL] * 8), "paraphrases": [other]}
    (task / "suffixes.yaml").write_text(json.dumps(suffixes))
    for name, count in (("scenarios", 14), ("extraction", 10)):
        lines: list[str] = []
        for i in range(count):
            drawn = torch.randint(len(WORDS), (6,), generator=generator).tolist()
            user = f"{name[0]} " + " ".join(WORDS[k] for k in drawn)
            options = [{"text": "a", "hit": True}, {"text": "b", "hit": False}]
            row = {
                "id": f"{name}{i}",
                "category": "xy"[i % 2],
                "system": "",
                "user": user,
                "options": options,
            }
            lines.append(json.dumps(row))
        (task / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    weights = load(str(folder / "model")).weights
    every = range(LAYERS)
    vector = SteeringVector(
        {layer: v.clone() for layer in every},
        Provenance(d_model=WIDTH, n_layers=LAYERS, weights=weights, model="planted"),
        norms={span: dict.fromkeys(every, 8.0) for span in SPANS},
        projections={span: dict.fromkeys(every, (0.0, 1.0)) for span in SPANS},
    )
    return Planted(folder / "model", task, v, vector)
