"""Decoding at a real model's size: Qwen3-4B's configuration with random weights, whose speed is its own.

Every way generates the same rows: prompts of 200 to 400 tokens, 64 to 256 new ones. The limit is the least
time in which a step's bytes (the weights, each prompt's keys and values once, each row's own) are read at
the bandwidth measured beside it.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks.gpu.rates import bandwidth
from benchmarks.gpu.sections import Keep, Setup

if TYPE_CHECKING:
    from steer.types import LoadedModel, Request

Answers = dict[str, tuple[int, ...]]

PLAN = (
    *(("slots", 256, 256), ("slots", 256, 0), ("profile", 256, 256), ("hooks", 256, 1), ("slots", 64, 32)),
    *(("hooks", 64, 1), ("slots", 1, 1), ("hooks", 1, 1), ("nnsight", 64, 32), ("slots", 256, 32)),
    *(("slots", 256, 1), ("slots", 64, 0), ("slots", 64, 1), ("slots", 1, 0), ("profile", 1, 1)),
)
"""(way, rows at once, different settings), in order of worth: time may run out. `hooks` is `generate` with a
forward hook, whose batches have one setting; one row of it at once is row by row; `profile` is of `slots`, or
of the engine named after it."""
QUICK = (
    ("slots", 4, 4),
    ("slots", 4, 0),
    ("profile", 4, 4),
    ("hooks", 4, 1),
    ("hooks", 1, 1),
    ("nnsight", 4, 4),
)


def model(setup: Setup) -> LoadedModel:
    """Qwen3-4B as published (2025), its weights random; two narrow layers where quick."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen3Config

    from steer.types import LoadedModel
    from tests.tiny import tokenizer

    shape: dict[str, int] = {"hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36}
    shape |= {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936}
    if setup.quick:
        shape |= {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "vocab_size": 500}
        shape |= {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    config = Qwen3Config(
        **shape,
        tie_word_embeddings=True,
        max_position_embeddings=40960,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )
    torch.manual_seed(0)
    with torch.device(setup.device):
        module: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    return LoadedModel(
        name="Qwen3-4B's shape",
        weights="random",
        dtype="bfloat16",
        device=str(module.device),
        module=module.eval().requires_grad_(False),
        tokenizer=tokenizer(),
        stop_ids=(),
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
    )


def rows_of(loaded: LoadedModel, count: int, settings: int, *, quick: bool) -> list[Request]:
    """Rows with so many different settings among them; 0: none is steered."""
    import torch

    from steer.types import Addition, Limits, Request

    draw = random.Random(0)
    vocabulary = loaded.module.config.vocab_size
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(loaded.d_model, generator=generator) for _ in range(4)]
    first = loaded.n_layers // 2
    additions = [
        Addition(directions[i % 4], first + i % max(1, loaded.n_layers // 3), 0.1 + i / 1000)
        for i in range(settings)
    ]
    shortest, longest, least, most = (12, 24, 4, 8) if quick else (200, 400, 64, 256)
    return [
        Request(
            key=str(i),
            prompt_ids=tuple(draw.randrange(vocabulary) for _ in range(draw.randint(shortest, longest))),
            stop_ids=(vocabulary - 1,),
            additions=(additions[i % settings],) if settings else (),
            limits=Limits(new=draw.randint(least, most)),
        )
        for i in range(count)
    ]


def measured(loaded: LoadedModel, rows: Sequence[Request], work: Callable[[], Answers]) -> dict[str, Any]:
    """What a way of generating rows takes. Tokens a second count prompts' time and the rows' own tokens;
    steps are the forwards of one token a row, from the first of them to the end; of the slot engine's also
    the median of those before a row ends, which graphs' captures leave alone."""
    import torch

    gpu = loaded.device.startswith("cuda")
    begun: list[float] = []

    def step(_module: Any, _args: Any, kwargs: Any) -> None:
        if kwargs["input_ids"].shape[1] == 1:
            begun.append(time.perf_counter())

    if gpu:
        torch.cuda.reset_peak_memory_stats()
    hook = loaded.module.register_forward_pre_hook(step, with_kwargs=True)
    began = time.perf_counter()
    try:
        with timed() as steps:
            answers = work()
    finally:
        hook.remove()
    if gpu:
        torch.cuda.synchronize()
    end = time.perf_counter()
    count = len(steps) or len(begun)  # a replayed step calls no module
    full = [1000 * taken for live, taken in steps if live == len(rows)]
    tokens = sum(min(len(answers[row.key]), row.limits.new) for row in rows)
    return {
        "tokens": tokens,
        "seconds": end - began,
        "tokens a second": tokens / (end - began),
        "steps": count,
        "ms a step": 1000 * (end - begun[0]) / count,
        **({"full steps": len(full), "ms a full step": statistics.median(full)} if full else {}),
        "peak GiB": torch.cuda.max_memory_allocated() / 2**30 if gpu else 0.0,
    }


@contextmanager
def timed() -> Generator[list[tuple[int, float]]]:
    """(live rows, seconds) of each step of the slot engine; each ends with its tokens on the host."""
    from steer.engines import slots

    steps: list[tuple[int, float]] = []
    whole: Any = slots._Run._step

    def step(run: Any) -> Any:
        live, began = len(run.live), time.perf_counter()
        ended = whole(run)
        steps.append((live, time.perf_counter() - began))
        return ended

    with patch.object(slots._Run, "_step", step):
        yield steps


def shares(
    loaded: LoadedModel, rows: Sequence[Request], found: dict[str, Any], rate: float
) -> dict[str, float]:
    """The least time in which the bytes of all steps are read, over the time of the steps; and of the full
    ones, in which each row has half as many tokens of its own as there are such steps."""
    from steer.engines.slots import token_bytes

    weights = sum(parameter.nbytes for parameter in loaded.module.parameters())
    prompts = sum(len(row.prompt_ids) * row.limits.new for row in rows)
    own = sum(row.limits.new * (row.limits.new + 1) // 2 for row in rows)
    read = found["steps"] * weights + token_bytes(loaded) * (prompts + own)
    share = {"share of limit": read / rate / (found["steps"] * found["ms a step"] / 1000)}
    if steps := found.get("full steps"):
        held = sum(len(row.prompt_ids) + steps / 2 for row in rows)
        read = weights + token_bytes(loaded) * held
        share["share of limit, full steps"] = read / rate / (found["ms a full step"] / 1000)
    return share


def profiled(setup: Setup, loaded: LoadedModel, rows: Sequence[Request], kind: str) -> dict[str, Any]:
    """Kernels a decode step (on a CPU: operations), and which take the most time of the device."""
    from torch.profiler import ProfilerActivity, profile

    from steer.engines import bare_engine
    from steer.types import Limits

    gpu = setup.device.startswith("cuda")
    counts: list[int] = []
    longest: dict[str, float] = {}
    for new in (2, 6):
        short = [replace(row, limits=Limits(new=new)) for row in rows]
        with profile(activities=[ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU]) as seen:
            list(bare_engine(kind, loaded, batch=len(rows)).generate(short))
        events = seen.key_averages()
        counts.append(sum(event.count for event in events))
        taken = {e.key[:80]: e.self_device_time_total if gpu else e.self_cpu_time_total for e in events}
        longest = dict(sorted(taken.items(), key=lambda item: -item[1])[:12])
    return {"kernels a step": (counts[1] - counts[0]) / 4, "microseconds of the longest": longest}


def run(setup: Setup, keep: Keep) -> None:
    measure(setup, keep, QUICK if setup.quick else PLAN)


def measure(setup: Setup, keep: Keep, plan: Sequence[tuple[str, int, int]]) -> None:
    from benchmarks.sweep import hooked_generate, ids_of
    from steer.engines import bare_engine
    from steer.types import Limits

    rate = bandwidth(setup)
    keep("copy", {"bytes a second": rate})
    loaded = model(setup)

    def hooks(rows: Sequence[Request]) -> Answers:
        most = Limits(new=max(row.limits.new for row in rows))
        return hooked_generate(loaded, [replace(row, limits=most) for row in rows])

    def generate(kind: str, rows: Sequence[Request]) -> Answers:
        return ids_of(list(bare_engine(kind, loaded, batch=len(rows)).generate(rows)))

    warm = rows_of(loaded, 2, 1, quick=True)
    hooks(warm)
    generate("slots", warm)
    for way, count, settings in plan:
        rows = rows_of(loaded, count, settings, quick=setup.quick)
        name = f"{way}, {count} rows, {settings} settings"
        if way.startswith("profile"):
            keep(name, profiled(setup, loaded, rows, way.partition(" ")[2] or "slots"))
            continue
        found = measured(loaded, rows, partial(hooks if way == "hooks" else partial(generate, way), rows))
        keep(name, found | shares(loaded, rows, found, rate))
