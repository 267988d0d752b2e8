"""What workers gain and cost: the same rows by one process, by one worker and by two, one thread each.

    python -m benchmarks.workers [--repeats 5] [--out FILE]

Every repeat runs each way once, in an order that turns; ratios are taken within a repeat, and given as the
median with the smallest and the largest. The workers stay between repeats: loading is not in it.
Texts are compared row by row. CPU seconds are of the driver, Ray and the workers together: unlike seconds,
they are hardly longer where other programs have the cores. A run in which those took more than QUIET of
the machine is made again, TRIES times at most; what they took in the runs that count is told.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.console import Console

from benchmarks.sweep import Ids, ids_of, spread, sweep
from steer import models
from steer.engines import make_engine
from steer.engines.cluster import Cluster
from steer.engines.replicas import ReplicaEngine
from steer.engines.worker import ModelSource
from steer.types import Engine, Request

QUIET, TRIES = 0.03, 12

SCENARIOS = Path("organism/scenarios/evaluation.jsonl")

LIKE_OURS: dict[str, Any] = {  # as `steer.engines.cluster` starts it
    "log_to_driver": False,
    "logging_level": "ERROR",
    "_system_config": {"worker_niceness": 0},
}


@dataclass(frozen=True, slots=True)
class Timed:
    """others: the share of the machine that went to other programs."""

    seconds: float
    cpu: float
    others: float
    ids: Ids


def ours() -> float:
    """CPU seconds of this process and all that it started and that still lives."""
    this = psutil.Process()
    return sum(sum(p.cpu_times()[:2]) for p in (this, *this.children(recursive=True)))


def everyone() -> float:
    times: Any = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait - times.guest - times.guest_nice


def timed(engine: Engine, rows: Sequence[Request]) -> Timed:
    """The quietest of some runs; the first that is quiet enough."""
    found: list[Timed] = []
    while not found or (found[-1].others > QUIET and len(found) < TRIES):
        began, own, all_of_them = time.perf_counter(), ours(), everyone()
        ids = ids_of(list(engine.generate(rows)))
        seconds, cpu = time.perf_counter() - began, ours() - own
        others = max(0.0, everyone() - all_of_them - cpu) / (seconds * len(psutil.cpu_times(percpu=True)))
        found.append(Timed(seconds, cpu, others, ids))
    return min(found, key=lambda one: one.others)


def measure(*, cells: int, scenarios: int, repeats: int) -> dict[str, Any]:
    import ray

    torch.set_num_threads(1)
    loaded = models.load("organism")
    grid = sweep(loaded, SCENARIOS, count=scenarios, cells=cells, span="last", new=loaded.new_tokens)
    rows = [row for cell in grid for row in cell]
    ray.init(
        "local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=2**27,
        **LIKE_OURS,
    )
    asked = ModelSource("organism", None, "auto", "cpu", None, "auto", None)
    ways: dict[str, Engine] = {"alone": make_engine("auto", loaded)}
    for count, name in ((1, "one worker"), (2, "two workers")):
        ways[name] = ReplicaEngine(Cluster(count, 0, 1, False), asked, mixed=False, say=print)
    found: dict[str, list[Timed]] = {name: [] for name in ways}
    for engine in ways.values():
        list(engine.generate(rows[:8]))  # proven and warm
    for repeat in range(repeats):
        names = list(ways)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            found[name].append(timed(ways[name], rows))
    ray.shutdown()
    every = [one for runs in found.values() for one in runs]
    assert all(one.ids == every[0].ids for one in every), "other texts"

    def ratio(what: str, first: str, second: str) -> dict[str, float]:
        pairs = zip(found[first], found[second], strict=True)
        return spread([getattr(a, what) / getattr(b, what) for a, b in pairs])

    return {
        "rows": len(rows),
        "tokens": sum(map(len, every[0].ids.values())),
        "seconds": {name: spread([one.seconds for one in runs]) for name, runs in found.items()},
        "CPU seconds": {name: spread([one.cpu for one in runs]) for name, runs in found.items()},
        "throughput": {
            "two workers over one": ratio("seconds", "one worker", "two workers"),
            "one worker over alone": ratio("seconds", "alone", "one worker"),
        },
        "CPU": {
            "two workers over one": ratio("cpu", "two workers", "one worker"),
            "one worker over alone": ratio("cpu", "one worker", "alone"),
        },
        "share of the machine that others took": spread([one.others for one in every]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--scenarios", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = measure(cells=options.cells, scenarios=options.scenarios, repeats=options.repeats)
    Console().print_json(data=found)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
