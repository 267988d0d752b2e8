"""How much of a decode step do its two limits, operations and bytes, explain?

    python -m benchmarks.step [--threads 2] [--out FILE]

One sweep by the slot engine on the organism (a planted fixture; its speed is a 2.6 M model's). The least
time that its operations take is their number over the rate of a large matrix product here; the least time
that its bytes take, their number over the rate at which a large tensor is read here. Each is given as a
share of the time the decode steps took.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.sweep import sweep
from steer import models
from steer.engines.slots import SlotEngine, token_bytes


def rate(work: float, run: Callable[[], object], repeats: int = 9) -> float:
    """Work a second, the median of some runs after a first one."""
    run()
    seconds: list[float] = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return work / statistics.median(seconds)


def measure(threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    loaded = models.load("organism", dtype="float32")
    new = loaded.new_tokens or 96
    source = Path("organism/scenarios/evaluation.jsonl")
    cells = sweep(loaded, source, count=32, cells=16, span="last", new=new)
    rows = [row for cell in cells for row in cell]
    engine = SlotEngine(loaded, batch=256)
    list(engine.generate(rows))  # warms up

    steps: list[tuple[int, float]] = []  # (rows, seconds) of each decode step
    began = 0.0

    def before(_module: Any, _args: Any) -> None:
        nonlocal began
        began = time.perf_counter()

    def after(_module: Any, _args: Any, kwargs: Any, _output: Any) -> None:
        if kwargs["input_ids"].shape[1] == 1:
            steps.append((len(kwargs["input_ids"]), time.perf_counter() - began))

    hooks = [
        loaded.module.register_forward_pre_hook(before),
        loaded.module.register_forward_hook(after, with_kwargs=True),
    ]
    out = list(engine.generate(rows))
    for hook in hooks:
        hook.remove()

    config = loaded.module.config
    weights = sum(p.numel() for p in loaded.module.parameters())  # tied: the embedding is the head
    prompt = statistics.mean(len(r.prompt_ids) for r in rows)
    own = statistics.mean(len(r.output_ids) for r in out) / 2
    width = config.num_attention_heads * config.head_dim * config.num_hidden_layers
    row_steps = sum(n for n, _ in steps)
    operations = row_steps * (2 * weights + 4 * width * (prompt + own))
    distinct = sum(len(p) for p in {r.prompt_ids for r in rows})
    read = len(steps) * (weights * 4 + distinct * token_bytes(loaded)) + row_steps * own * token_bytes(loaded)
    square, long = torch.randn(1024, 1024), torch.randn(64 * 2**20)
    flops = rate(2 * 1024**3, lambda: square @ square)
    bandwidth = rate(4 * len(long), long.sum)
    seconds = sum(s for _, s in steps)
    return {
        "evidence": loaded.evidence,
        "threads": threads,
        "torch": torch.__version__,
        "steps": len(steps),
        "mean_rows": round(row_steps / len(steps), 1),
        "milliseconds_a_step": round(1000 * seconds / len(steps), 2),
        "gflops_of_a_matrix_product": round(flops / 1e9, 1),
        "gbytes_a_second_read": round(bandwidth / 1e9, 1),
        "share_of_operations": round(operations / flops / seconds, 3),
        "share_of_bytes": round(read / bandwidth / seconds, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = json.dumps(measure(options.threads), indent=2)
    print(found)
    if options.out:
        options.out.write_text(found + "\n")


if __name__ == "__main__":
    main()
