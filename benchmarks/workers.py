"""What workers gain and cost: the same rows by one process, by one worker and by two, one thread each.

    python -m benchmarks.workers [--repeats 5] [--out FILE]

Every repeat runs each way once, in an order that turns; ratios are taken within a repeat, and given as the
median with the smallest and the largest. The workers stay between repeats: loading is not in it.
Texts are compared row by row.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.sweep import Ids, ids_of, spread, sweep
from steer import models
from steer.engines import make_engine
from steer.engines.cluster import Cluster
from steer.engines.replicas import ReplicaEngine
from steer.engines.worker import ModelSource
from steer.types import Engine

SCENARIOS = Path("organism/scenarios/evaluation.jsonl")

LIKE_OURS: dict[str, Any] = {
    "log_to_driver": False,
    "logging_level": "ERROR",
    "_system_config": {"worker_niceness": 0},  # else other work on the machine would come before them
}


def measure(*, cells: int, scenarios: int, repeats: int) -> dict[str, Any]:
    import ray

    torch.set_num_threads(1)
    loaded = models.load("organism")
    grid = sweep(loaded, SCENARIOS, count=scenarios, cells=cells, span="last", new=loaded.new_tokens)
    rows = [row for cell in grid for row in cell]
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=2**27, **LIKE_OURS)
    asked = ModelSource("organism", None, "auto", "cpu", None, "auto", None)
    ways: dict[str, Engine] = {"alone": make_engine("auto", loaded)}
    for count, name in ((1, "one worker"), (2, "two workers")):
        ways[name] = ReplicaEngine(Cluster(count, 0, 1, False), asked, mixed=False, say=print)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    texts: dict[str, Ids] = {}
    for engine in ways.values():
        list(engine.generate(rows[:8]))  # proven and warm
    for repeat in range(repeats):
        names = list(ways)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            began = time.perf_counter()
            found = ids_of(list(ways[name].generate(rows)))
            seconds[name].append(time.perf_counter() - began)
            assert texts.setdefault("all", found) == found, f"{name}: other texts"
    ray.shutdown()
    pairs = {"two over one": ("one worker", "two workers"), "one over alone": ("alone", "one worker")}
    return {
        "rows": len(rows),
        "tokens": sum(map(len, texts["all"].values())),
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "throughput": {
            what: spread([a / b for a, b in zip(seconds[first], seconds[second], strict=True)])
            for what, (first, second) in pairs.items()
        },
        "load before": round(os.getloadavg()[0], 1),
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
