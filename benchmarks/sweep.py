"""How long does a sweep take, by each way of running it, in one process and on the same rows?

    python -m benchmarks.sweep [--span last] [--repeats 7] [--threads 2] [--out FILE]

(a) row by row: `model.generate` with hooks, one row at a time, as the paper's script; on a sample
(b) cell by cell: `model.generate` with hooks, a cell's scenarios as a batch, as the usual libraries
(c) the nnsight reference engine
(d) the slot engine
(e) the slot engine on rows of the same lengths without steering: what steering itself costs

Every repeat runs each arm once, in an order that turns; ratios are taken within a repeat and given
as the median with the smallest and the largest. Seconds are wall time and, beside it, the process's
CPU time, which other work on the machine disturbs less. Directions are random: speed does not
depend on them. Outputs of (a) to (d) are compared row by row. The default model is the organism, a
planted fixture: its speed is a 2.6 M model's.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from steer import chat, models
from steer import scenarios as scenario_files
from steer.engines.reference import ReferenceEngine
from steer.engines.slots import SlotEngine
from steer.sampling import stream_of
from steer.types import Addition, Limits, LoadedModel, Request, Response

Ids = dict[str, tuple[int, ...]]


def sweep(
    loaded: LoadedModel, source: Path, *, count: int, cells: int, span: Any, new: int
) -> list[list[Request]]:
    """One list of requests a cell; cells differ in layer and magnitude."""
    chosen = scenario_files.load(source)[:count]
    prompts = [chat.render(loaded, s.system, s.user, thinking=False) for s in chosen]
    first, last = loaded.n_layers * 10 // 22, loaded.n_layers * 20 // 22
    generator = torch.Generator().manual_seed(0)
    norms = _norms(loaded, prompts[0])
    directions = {layer: torch.randn(loaded.d_model, generator=generator) for layer in range(loaded.n_layers)}
    places = [(first + i % (last - first + 1), (-0.3, 0.15, 0.3, -0.15)[i % 4]) for i in range(cells)]
    return [
        [
            Request(
                key=f"{layer}/{magnitude}/{i}/{scenario.id}",
                prompt_ids=prompt,
                stop_ids=loaded.stop_ids,
                additions=(Addition(directions[layer], layer, magnitude, span=span, norm=norms[layer]),),
                stream=stream_of(0, scenario.id, 0),
                limits=Limits(new=new),
            )
            for scenario, prompt in zip(chosen, prompts, strict=True)
        ]
        for i, (layer, magnitude) in enumerate(places)
    ]


def _norms(loaded: LoadedModel, prompt: tuple[int, ...]) -> list[float]:
    """The mean norm of the residual stream after each block, on one prompt but its first token."""
    norms: list[float] = []
    hooks = [
        block.register_forward_hook(lambda _m, _a, out: norms.append(float(out[0, 1:].norm(dim=-1).mean())))
        for block in loaded.module.model.layers
    ]
    with torch.inference_mode():
        loaded.module(input_ids=torch.tensor([prompt], device=loaded.device))
    for hook in hooks:
        hook.remove()
    return norms


def hooked_generate(loaded: LoadedModel, batch: Sequence[Request]) -> Ids:
    """`model.generate` on one cell's rows with one forward hook, as libraries for one vector do it."""
    (a,) = batch[0].additions
    delta = a.magnitude * a.norm * a.direction.double() / a.direction.double().norm()
    delta = delta.to(loaded.module.dtype).to(loaded.device)
    width = max(len(r.prompt_ids) for r in batch)
    pads = torch.tensor([width - len(r.prompt_ids) for r in batch], device=loaded.device)
    ids = torch.tensor(
        [[0] * (width - len(r.prompt_ids)) + list(r.prompt_ids) for r in batch], device=loaded.device
    )
    columns = torch.arange(width, device=loaded.device)
    everywhere = (columns > pads[:, None])[..., None]  # neither pads nor the first token

    def hook(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        if output.shape[1] == 1:
            return output + delta
        if a.span == "all":
            return torch.where(everywhere, output + delta, output)
        output = output.clone()
        output[:, -1] += delta
        return output

    handle = loaded.module.model.layers[a.layer].register_forward_hook(hook)
    try:
        with torch.inference_mode():
            out = loaded.module.generate(
                ids,
                attention_mask=(columns >= pads[:, None]).long(),
                max_new_tokens=batch[0].limits.new,
                do_sample=False,
                eos_token_id=list(batch[0].stop_ids),
                pad_token_id=0,
            )
    finally:
        handle.remove()
    return {r.key: _ended(row, r.stop_ids) for r, row in zip(batch, out[:, width:].tolist(), strict=True)}


def _ended(tokens: Sequence[int], stop_ids: Sequence[int]) -> tuple[int, ...]:
    end = next((i + 1 for i, token in enumerate(tokens) if token in stop_ids), len(tokens))
    return tuple(tokens[:end])


def ids_of(responses: Sequence[Response]) -> Ids:
    return {r.key: r.output_ids for r in responses}


def timed(run: Callable[[], Ids]) -> tuple[Ids, float, float]:
    """(outputs, wall seconds, CPU seconds)."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "low": round(min(values), 3),
        "high": round(max(values), 3),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    loaded = models.load(options.model, dtype=options.dtype)
    new = options.new or loaded.new_tokens or 96
    source = options.scenarios
    cells = sweep(loaded, source, count=options.count, cells=options.cells, span=options.span, new=new)
    rows = [row for cell in cells for row in cell]
    reference = ReferenceEngine(loaded, batch=options.batch)
    slots = SlotEngine(loaded, batch=options.batch)
    answers = ids_of(list(slots.generate(rows)))  # also warms up
    work = asdict(slots.work)
    bare = [replace(r, additions=(), stop_ids=(), limits=Limits(new=len(answers[r.key]))) for r in rows]
    sample = rows[:: max(1, len(rows) // options.sample)][: options.sample]

    def cell_by_cell() -> Ids:
        found: Ids = {}
        for cell in cells:
            for i in range(0, len(cell), options.batch):
                found |= hooked_generate(loaded, cell[i : i + options.batch])
        return found

    def row_by_row() -> Ids:
        found: Ids = {}
        for row in sample:
            found |= hooked_generate(loaded, [row])
        return found

    arms: dict[str, Callable[[], Ids]] = {
        "a": row_by_row,
        "b": cell_by_cell,
        "c": lambda: ids_of(list(reference.generate(rows))),
        "d": lambda: ids_of(list(slots.generate(rows))),
        "e": lambda: ids_of(list(slots.generate(bare))),
    }
    wall: dict[str, list[float]] = {name: [] for name in arms}
    cpu: dict[str, list[float]] = {name: [] for name in arms}
    differ = dict.fromkeys("abc", 0)
    for repeat in range(options.repeats):
        names = list(arms)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            found, seconds, work_seconds = timed(arms[name])
            scale = len(rows) / len(sample) if name == "a" else 1.0
            wall[name].append(seconds * scale)
            cpu[name].append(work_seconds * scale)
            if name in differ:
                differ[name] = sum(answers[key] != ids for key, ids in found.items())
        print(f"repeat {repeat + 1}: " + ", ".join(f"{n} {wall[n][-1]:.1f} s" for n in arms), flush=True)
    tokens = sum(map(len, answers.values()))

    def ratios(times: dict[str, list[float]]) -> dict[str, Any]:
        return {
            f"{name}/d": spread([x / y for x, y in zip(times[name], times["d"], strict=True)])
            for name in "abce"
        }

    return {
        "model": options.model,
        "evidence": loaded.evidence,
        "dtype": loaded.dtype,
        "device": loaded.device,
        "machine": platform.processor() or platform.machine(),
        "threads": options.threads,
        "torch": torch.__version__,
        "span": options.span,
        "rows": len(rows),
        "cells": len(cells),
        "batch": options.batch,
        "output_tokens": tokens,
        "mean_tokens": round(tokens / len(rows), 1),
        "most_tokens": max(map(len, answers.values())),
        "mean_prompt": round(sum(len(r.prompt_ids) for r in rows) / len(rows), 1),
        "sample_of_a": len(sample),
        "work": work | {"useful": work["output"] / work["row_steps"]},
        "rows_that_differ_from_d": differ,
        "wall_seconds": {name: spread(values) for name, values in wall.items()},
        "cpu_seconds": {name: spread(values) for name, values in cpu.items()},
        "wall_ratios": ratios(wall),
        "cpu_ratios": ratios(cpu),
    }


def show(result: dict[str, Any]) -> None:
    names = {
        "a": f"(a) row by row, HF generate ({result['sample_of_a']} rows, scaled)",
        "b": "(b) cell by cell, HF generate",
        "c": "(c) nnsight reference",
        "d": "(d) slot engine",
        "e": "(e) slot engine, unsteered",
    }
    table = Table(
        title=f"{result['rows']} rows, {result['cells']} cells, span {result['span']}, "
        f"batch {result['batch']}, {result['mean_tokens']} tokens a row (most {result['most_tokens']}), "
        f"{result['threads']} threads"
    )
    for column in ("way", "wall s", "CPU s", "wall / d", "CPU / d", "rows that differ"):
        table.add_column(column, justify="left" if column == "way" else "right")

    def cell(values: dict[str, float]) -> str:
        return f"{values['median']:.2f} ({values['low']:.2f}-{values['high']:.2f})"

    for name, title in names.items():
        table.add_row(
            title,
            cell(result["wall_seconds"][name]),
            cell(result["cpu_seconds"][name]),
            cell(result["wall_ratios"][f"{name}/d"]) if name != "d" else "1",
            cell(result["cpu_ratios"][f"{name}/d"]) if name != "d" else "1",
            str(result["rows_that_differ_from_d"].get(name, "")),
        )
    Console(width=130).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="organism")
    parser.add_argument("--scenarios", type=Path, default=Path("organism/scenarios/evaluation.jsonl"))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--span", default="last", choices=["last", "all", "prompt", "generated"])
    parser.add_argument("--count", type=int, default=32, help="scenarios")
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--batch", type=int, default=256, help="the largest batch, of every arm")
    parser.add_argument("--new", type=int, default=0, help="new tokens; 0: as the checkpoint says")
    parser.add_argument("--sample", type=int, default=16, help="rows of arm (a)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = measure(options)
    show(result)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
