"""What capture costs beside the bare forwards it reads.

    python -m benchmarks.capture [--model M] [--out benchmarks/results/capture.json]

Two arms in one process, interleaved, on the same padded batches: (a) the decoder stack alone, without
head, hooks or cache; (b) `vectors.capture.capture` at every layer. Prints a table; the file says on
what machine and with which versions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from steer import models
from steer.types import LoadedModel
from vectors.capture import Row, batches, capture, encode
from vectors.packs import packed


def random_rows(vocabulary: int, *, rows: int, shortest: int, longest: int) -> list[Row]:
    """Rows of random tokens, half read at the last token and half over their second half."""
    generator = torch.Generator().manual_seed(0)
    found: list[Row] = []
    for i in range(rows):
        length = int(torch.randint(shortest, longest + 1, (1,), generator=generator))
        ids = tuple(torch.randint(10, vocabulary, (length,), generator=generator).tolist())
        found.append(Row(ids, length - 1 if i % 2 else length // 2, length, i))
    return found


def bare(loaded: LoadedModel, rows: Sequence[Row], batch_tokens: int) -> None:
    """The same batches through the decoder stack, nothing read."""
    stack: Any = loaded.module.base_model
    for batch in batches([len(row.ids) for row in rows], batch_tokens=batch_tokens):
        encoded, _ = encode(loaded, packed({i: rows[i].ids for i in batch}, share=False))
        with torch.inference_mode():
            stack(**encoded, use_cache=False)


def seconds(work: Callable[[], object]) -> float:
    """Wall time with a GPU; on a CPU the processor time, which other work on the machine does not stretch."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    begun = clock()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - begun


def machine(device: str) -> str:
    """The GPU's name, or the processor's."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{device}: {names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="organism")
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--shortest", type=int, default=60)
    parser.add_argument("--longest", type=int, default=200)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/capture.json"))
    chosen = parser.parse_args()
    loaded = models.load(chosen.model)
    rows = random_rows(
        loaded.module.config.vocab_size, rows=chosen.rows, shortest=chosen.shortest, longest=chosen.longest
    )
    layers = range(loaded.n_layers)

    def captured() -> object:
        return capture(loaded, rows, layers=layers, slots=len(rows), batch_tokens=chosen.batch_tokens)

    def forwards() -> None:
        bare(loaded, rows, chosen.batch_tokens)

    forwards()  # once each for what is set up once
    captured()
    times = [(seconds(forwards), seconds(captured)) for _ in range(chosen.repeats)]
    ratios = sorted(b / a for a, b in times)
    result = {
        "model": loaded.name,
        "device": machine(loaded.device),
        "clock": "wall" if torch.cuda.is_available() else "processor time",
        "load_average": os.getloadavg()[0],
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("torch", "transformers", "nnsight")},
        },
        "dtype": loaded.dtype,
        "threads": torch.get_num_threads(),
        "layers": loaded.n_layers,
        "rows": chosen.rows,
        "tokens": sum(len(row.ids) for row in rows),
        "batch_tokens": chosen.batch_tokens,
        "forwards_seconds": statistics.median(a for a, _ in times),
        "capture_seconds": statistics.median(b for _, b in times),
        "ratio_median": statistics.median(ratios),
        "ratio_min": ratios[0],
        "ratio_max": ratios[-1],
        "repeats": chosen.repeats,
    }
    print(f"{'arm':<22}{'seconds':>9}")
    print(f"{'bare forwards':<22}{result['forwards_seconds']:>9.3f}")
    print(f"{'capture, all layers':<22}{result['capture_seconds']:>9.3f}")
    print(f"ratio {result['ratio_median']:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} repeats)")
    chosen.out.write_text(json.dumps(result, indent=1) + "\n")
    print(chosen.out)


if __name__ == "__main__":
    main()
