"""What a report and the exports of a large run take: seconds, peak memory, bytes.

    python -m benchmarks.report [--rows 100000] [--out benchmarks/results/report.json]

A synthetic sweep of 130 cells (76 scenarios, answers of 4 kB; labels and words drawn, no model): once
with one sample a scenario, as a sweep leaves it, and once with as many samples as --rows asks for.
Each task runs in a process of its own; peak memory is that process's.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from steer import results
from steer.metrics import gaps
from steer.results.record import updated
from steer.results.sweep import CapUsed, CellResult, Choice, Sweep
from steer.store import RunStore
from tests import synthetic

LAYERS = range(8, 21)
MAGNITUDES = (-0.45, -0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3, 0.45)
SCENARIOS = 76
ANSWER = 4096
TASKS = {
    "report": "from steer.show.page import write; write([Path(run)])",
    "jsonl": "from steer.export import export; export(Path(run), 'jsonl', Path(run) / 'rows.jsonl')",
    "csv": "from steer.export import export; export(Path(run), 'csv', Path(run) / 'rows.csv')",
}


def build(folder: Path, samples: int) -> int:
    """A finished sweep with `samples` answers a scenario; the number of its rows."""
    cells = {
        synthetic.cell_name(layer, m): (synthetic.cell_rates(layer, m), synthetic.addition(layer, m))
        for layer in LAYERS
        for m in MAGNITUDES
    }
    arms = dict(synthetic.SUFFIX_ARMS) | {name: rates for name, (rates, _) in cells.items()}
    contents = {name: synthetic.arm_config(text) for name, text in synthetic.SUFFIX_TEXTS.items()}
    contents |= {name: synthetic.arm_config("", [added]) for name, (_, added) in cells.items()}
    config = synthetic.config_of("vector-sweep", contents, SCENARIOS)
    items = synthetic.scenarios(SCENARIOS)
    synthetic.write_store(folder, items, arms, config, length=ANSWER, samples=samples)
    with RunStore(folder, writable=False) as store:
        against = gaps(store.outcomes(synthetic.JUDGE), [(name, "baseline") for name in cells])
    measured = tuple(
        CellResult(
            arm=name,
            layer=added["layer"],
            magnitude=added["magnitude"],
            span="last",
            operation="add",
            vector=added["vector"],
            chosen_on=(),
            gap=gap,
        )
        for (name, (_, added)), gap in zip(cells.items(), against, strict=True)
    )
    cap = CapUsed(nonsense=0.1, drift=None)
    choice = Choice(cap=cap, none="nothing was chosen", chosen_arms=tuple(list(cells)[64:66]))
    sweep = Sweep(cells=measured, halves={}, choice=choice)
    found = updated(synthetic.base_result(folder, dict.fromkeys(cells, "cell")), sweep=sweep)
    results.write(folder, found)
    return len(arms) * SCENARIOS * samples


def run(task: str, folder: Path) -> dict[str, float]:
    """Wall and processor seconds and peak memory of one task in a fresh process."""
    # Linux keeps ru_maxrss over fork and exec, so that the parent's memory would count: VmHWM does not.
    peak_of = "[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0]"
    code = f"import sys; from pathlib import Path; run = sys.argv[1]; {TASKS[task]}; print({peak_of})"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = int(done.stdout.splitlines()[-1]) * 1024
    return {
        "seconds": round(wall, 1),
        "processor_seconds": round(used, 1),
        "peak_memory_mb": round(peak / 1e6),
    }


def measure(samples: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        rows = build(folder, samples)
        found: dict[str, Any] = {
            "rows": rows,
            "store_mb": round((folder / "run.sqlite").stat().st_size / 1e6),
        }
        for task in TASKS:
            found[task] = run(task, folder)
        found["report"]["page_mb"] = round((folder / "report.html").stat().st_size / 1e6, 2)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/report.json"))
    arguments = parser.parse_args()
    cells = len(LAYERS) * len(MAGNITUDES)
    samples = -(-arguments.rows // ((cells + len(synthetic.SUFFIX_ARMS)) * SCENARIOS))
    record = {
        "cells": cells,
        "scenarios": SCENARIOS,
        "answer_bytes": ANSWER,
        "runs": [measure(1), measure(samples)],
        "machine": platform.machine(),
        "python": platform.python_version(),
        "altair": version("altair"),
        "vl-convert": version("vl-convert-python"),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for one in record["runs"]:
        print(json.dumps(one))


if __name__ == "__main__":
    main()
