"""Requests of every kind, tiny models to run them, and an independent way to generate: plain Hugging Face."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from steer.engines.slots import Fast, SlotEngine
from steer.sampling import choose, how
from steer.types import OPERATIONS, SPANS, Addition, Limits, LoadedModel, Request, Response
from tests.tiny import checkpoint


def tiny_model(folder: Path, family: str, dtype: torch.dtype = torch.float64, **options: Any) -> LoadedModel:
    checkpoint(folder, family, **options)
    extra: dict[str, Any] = {"experts_implementation": "eager"} if family == "qwen3_moe" else {}
    module = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **extra).eval()
    return LoadedModel(
        name=family,
        weights="test",
        dtype=str(dtype).removeprefix("torch."),
        device="cpu",
        module=module,
        tokenizer=AutoTokenizer.from_pretrained(folder),
        stop_ids=(2, 0),
        n_layers=module.config.num_hidden_layers,
        d_model=module.config.hidden_size,
    )


def addition(draw: random.Random, *, n_layers: int = 4, d_model: int = 32, **fixed: Any) -> Addition:
    """An addition of any kind, big enough to change the text."""
    operation = draw.choice(OPERATIONS)
    options: dict[str, Any] = {
        "direction": torch.tensor([draw.gauss(0, 1) for _ in range(d_model)]),
        "layer": draw.randrange(n_layers),
        "operation": operation,
        "magnitude": draw.choice([-1.5, 0.0, 0.7, 2.0]),
        "span": draw.choice(SPANS),
        "unit": draw.choice(["norm", "raw"]),
        "norm": 6.0,
        "projection_mean": 0.3,
        "projection_std": 2.0,
    } | fixed
    if options["operation"] == "ablate":
        options["magnitude"] = 1.0
    return Addition(**options)


def requests(
    seed: int, count: int, *, sampled: bool = True, longest: int = 24, new: int = 12
) -> list[Request]:
    """Mixed rows: other prompts, settings, limits, temperatures; some share a prompt."""
    draw = random.Random(seed)
    prompts = [
        tuple(draw.randrange(3, 300) for _ in range(draw.choice([1, 2, 3, 7, longest])))
        for _ in range(max(2, count // 2))
    ]
    return [
        Request(
            key=f"row{i}",
            prompt_ids=draw.choice(prompts),
            # many ids, so that random rows end early and late
            stop_ids=tuple(draw.sample(range(400), draw.choice([1, 2, 30]))),
            additions=tuple(addition(draw) for _ in range(draw.choice([0, 1, 1, 2, 3]))),
            temperature=draw.choice([0.0, 0.7, 1.3]) if sampled else 0.0,
            stream=draw.getrandbits(64),
            limits=Limits(prompt=64, new=draw.randrange(1, new + 1)),
        )
        for i in range(count)
    ]


def touched(span: str, prompt: int, total: int) -> list[int]:
    """Edited positions among the first `total`, written from the definition, one by one."""
    rules = {
        "all": lambda p: True,
        "prompt": lambda p: p < prompt,
        "last": lambda p: p >= prompt - 1,
        "generated": lambda p: p >= prompt,
    }
    return [p for p in range(1, total) if rules[span](p)]


class PlainHooks:
    """Steers one row by plain forward hooks, position by position, with its own arithmetic."""

    def __init__(self, module: Any, request: Request) -> None:
        self.module, self.request, self.seen = module, request, 0
        self.record: list[list[float]] = [[] for _ in request.additions]
        self.passed: dict[int, bool] = {}
        self.handles: list[Any] = []

    def open(self, a: Addition) -> bool:
        """Whether a's gate has been read, and let it act."""
        return a.gate is None or self.passed.get(id(a), False)

    def __enter__(self) -> PlainHooks:
        for layer, block in enumerate(self.module.model.layers):
            self.handles.append(block.register_forward_hook(self.hook(layer)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def hook(self, layer: int) -> Any:
        def run(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
            if layer == 0:
                self.first, self.seen = self.seen, self.seen + output.shape[1]
            output = output.clone()
            prompt = len(self.request.prompt_ids)
            for a in self.request.additions:
                column = prompt - 1 - self.first
                if a.gate is not None and a.gate.layer == layer and 0 <= column < output.shape[1]:
                    d = a.gate.direction.to(output)
                    along = float(output[0, column] @ d) / math.sqrt(float(d @ d))
                    self.passed[id(a)] = along >= a.gate.threshold
            for index, a in enumerate(self.request.additions):
                if a.layer != layer:
                    continue
                d = a.direction.to(output)
                u = d / math.sqrt(float(d @ d))
                for column in range(output.shape[1]):
                    position = self.first + column
                    if position not in touched(a.span, prompt, position + 1) or not self.open(a):
                        continue
                    if a.tokens is not None and position - (prompt - 1) >= a.tokens:
                        continue
                    h = output[0, column].clone()
                    if a.operation == "add":
                        new = h + (a.magnitude * d if a.unit == "raw" else a.magnitude * a.norm * u)
                    elif a.operation == "ablate":
                        new = h - (h @ u) * u
                    else:
                        new = h + (a.projection_mean + a.magnitude * a.projection_std - h @ u) * u
                    output[0, column] = new
                    self.record[index].append(float((new - h).norm() / h.norm()))
            return output

        return run


def plain_generate(loaded: LoadedModel, request: Request) -> tuple[list[int], list[list[float]]]:
    """One row alone by `model.generate` and plain hooks: (output ids, |delta|/|h| of each edit)."""
    module = loaded.module
    shipped, module.generation_config = module.generation_config, GenerationConfig(pad_token_id=0)

    def pick(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        step = input_ids.shape[1] - len(request.prompt_ids)
        token, _ = choose(scores, how([request], scores.device), torch.tensor([step], device=scores.device))
        return torch.full_like(scores, -math.inf).index_fill(1, token, 0.0)

    try:
        with PlainHooks(module, request) as hooks, torch.inference_mode():
            ids = torch.tensor([request.prompt_ids], device=module.device)
            out = module.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=request.limits.new,
                do_sample=False,
                eos_token_id=list(request.stop_ids),
                logits_processor=[pick] if request.temperature > 0 else [],
            )
        return out[0, len(request.prompt_ids) :].tolist(), hooks.record
    finally:
        module.generation_config = shipped


def decoded(
    loaded: LoadedModel, rows: list[Request], answers: dict[str, Response], fast: Fast | None = None
) -> torch.Tensor:
    """Log-probabilities of given answers, token by token, by the slot engine's own decode steps: forced."""
    said: dict[str, list[float]] = {row.key: [] for row in rows}

    def forced(logits: torch.Tensor, live: list[Request], step: torch.Tensor) -> tuple[Any, Any]:
        tokens = [answers[r.key].output_ids[i] for r, i in zip(live, step.tolist(), strict=True)]
        chosen = torch.tensor(tokens, device=logits.device)
        own = logits.float().log_softmax(-1).gather(1, chosen[:, None])[:, 0]
        for row, log_p in zip(live, own.tolist(), strict=True):
            said[row.key].append(log_p)
        return chosen, torch.zeros_like(chosen, dtype=torch.bool)

    with (
        patch("steer.engines.rows.how", lambda live, _device: list(live)),
        patch("steer.engines.slots.choose", forced),
    ):
        list(SlotEngine(loaded, batch=7, fast=fast).generate(rows))
    return torch.tensor([p for row in rows for p in said[row.key]])
