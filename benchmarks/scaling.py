"""How many workers can one driver feed? A simulation, with the costs of a row measured on this machine.

    python -m benchmarks.scaling [--out FILE]

Measured, with the real pipeline, store and Ray, and an engine that answers at once: seconds of the driver a
row (reading the answer, writing it with SQLite), a message and a row of it through Ray, a wait among so many
streams, a row planned into a part; bytes of a row out and back.

Simulated: workers that each decode up to SLOTS rows, a token a row every STEP seconds, whatever the number of
rows (a GPU bound by its weights), and give what has ended every second; one driver that handles one message
at a time, and cuts the work into parts by `steer.engines.parts.Rows` itself. Beside it, parts that are half
of what is left for each worker, and so small at the end. Lengths are geometric, MEAN tokens, cut at MOST. It
is a model of the plan, not of any GPU: STEP is an assumption.
"""

from __future__ import annotations

import argparse
import heapq
import json
import pickle
import random
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from steer import pipeline
from steer.checkpoints import ORGANISM
from steer.engines.parts import Part, Rows
from steer.engines.worker import HOLD_SECONDS
from steer.store import RunStore
from steer.types import Addition, Limits, Request, Response
from tests import fakes

SLOTS, STEP, MEAN, MOST = 256, 0.025, 300, 1024
PROMPT = 400
"""Tokens of a prompt."""

WORKERS = (1, 8, 64, 256, 1000)

QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}

ROWS_EACH = 2048
"""Rows a worker, so that a run is of the same length for any number of them."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of the driver: a row read, stored and judged by a judge that takes no time; a message through
    Ray, and a row of it; a wait, and each stream it waits for; a row put into a part and pickled. Bytes of a
    row out and back."""

    row: float
    message: float
    message_row: float
    wait: float
    wait_stream: float
    sent: float
    bytes_out: float
    bytes_back: float


class Instant:
    """Answers at once, MEAN tokens each."""

    name = "instant"

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        for request in requests:
            yield Response(request.key, tuple(100 + i % 97 for i in range(MEAN)), "length", seconds=0.1)

    def score(self, rows: object, read: object) -> Iterator[Any]:
        raise NotImplementedError


def requests(prompts: int, cells: int) -> list[Request]:
    """A sweep: every prompt under every cell."""
    import torch

    additions = [Addition(torch.randn(4096), cell, 0.3) for cell in range(cells)]
    draw = random.Random(0)
    texts = [tuple(draw.randrange(150_000) for _ in range(PROMPT)) for _ in range(prompts)]
    return [
        Request(f"{p:032x}{c:032x}", ids, (2,), (addition,), limits=Limits(new=MOST))
        for c, addition in enumerate(additions)
        for p, ids in enumerate(texts)
    ]


def measure(*, rows: int = 1200, repeats: int = 7) -> Costs:
    """The costs on this machine, with what a run really does."""
    import ray
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(ORGANISM)
    loaded = replace(fakes.loaded(), tokenizer=tokenizer)
    taken_rows: list[float] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder, RunStore(Path(folder) / "run") as store:
            items = fakes.scenarios(rows // 4)
            plan = fakes.planned(items)
            store.claim(fakes.CONFIG)
            store.add_plan(items, plan.prompts.values(), plan.rows)
            judge = fakes.FakeJudge()
            began = time.perf_counter()
            pipeline.run(store, plan, loaded, Instant(), judge, tick=lambda *_: None)
            taken_rows.append((time.perf_counter() - began) / len(plan.requests))

    asked = requests(64, 66)
    began = time.perf_counter()
    work, out = Rows(asked), 0
    for free in range(8, 0, -1):
        part = work.take(free)
        assert part is not None
        out += len(pickle.dumps(part.arguments))
    sent, out = (time.perf_counter() - began) / len(asked), out / len(asked)
    answers = list(Instant().generate(asked[:100]))
    back = len(pickle.dumps(answers)) / len(answers)

    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=2**27, **QUIET)

    class Source:
        def give(self, messages: int, each: int) -> Iterator[list[Response]]:
            for _ in range(messages):
                yield answers[:each]

        def never(self) -> Iterator[int]:
            time.sleep(1e6)
            yield 0

    actor: Any = ray.remote(Source).options(num_cpus=0).remote()
    give = actor.give.options(num_returns="streaming")
    taken: dict[int, float] = {}
    for each in (1, 50):
        for messages in (50, 400):  # the first warms up
            stream = give.remote(messages, each)
            ray.wait([stream], fetch_local=False)
            began = time.perf_counter()
            for ref in stream:
                ray.get(ref)
            taken[each] = (time.perf_counter() - began) / messages
    silent: Any = ray.remote(Source).options(num_cpus=0).remote()
    never = silent.never.options(num_returns="streaming")
    waits: dict[int, float] = {}
    for count in (1, 1000):
        streams = [never.remote() for _ in range(count)]
        began = time.perf_counter()
        for _ in range(20):
            ray.wait(streams, num_returns=count, timeout=0, fetch_local=False)
        waits[count] = (time.perf_counter() - began) / 20
    ray.shutdown()
    return Costs(
        row=min(taken_rows),  # other work on the machine only adds
        message=taken[1],
        message_row=max(0.0, (taken[50] - taken[1]) / 49),
        wait=waits[1],
        wait_stream=(waits[1000] - waits[1]) / 999,
        sent=sent,
        bytes_out=out,
        bytes_back=back,
    )


class Halves(Rows):
    """Parts that are half of what is left for each worker, and no smaller than a full batch is worth."""

    def __init__(self, asked: list[Request], workers: int) -> None:
        super().__init__(asked)
        self._all = workers

    def take(self, free: int) -> Part | None:
        return super().take(max(1, min(2 * self._all, len(self._left) // 8)))


def ends(rows: int, draw: random.Random) -> list[float]:
    """When each of so many rows has ended, by a worker that begins now."""
    slots = [0.0] * min(SLOTS, rows)
    found: list[float] = []
    for _ in range(rows):
        found.append(heapq.heappop(slots) + min(MOST, 1 + int(draw.expovariate(1 / MEAN))) * STEP)
        heapq.heappush(slots, found[-1])
    return sorted(found)


def simulate(
    workers: int, costs: Costs, *, halves: bool = False, rows_each: int = ROWS_EACH, seed: int = 0
) -> dict[str, float]:
    """Rows a second, and what share of the time the driver works."""
    draw = random.Random(seed)
    asked = [Request(f"{p}/{c}", (p,), ()) for c in range(64) for p in range(workers * rows_each // 64)]
    work = Halves(asked, workers) if halves else Rows(asked)
    events: list[tuple[float, int, int, bool]] = []  # when, worker, rows, whether its part is done
    now = busy = 0.0  # the driver has done all up to now; it worked
    done = 0
    free = list(range(workers))
    while free or events:
        for left in range(len(free), 0, -1):
            worker, part = free.pop(), work.take(left)
            if part is None:
                continue
            cost = costs.message + len(part.rows) * costs.sent
            now, busy = now + cost, busy + cost
            ended = [now + end for end in ends(len(part.rows), draw)]
            while ended:
                until = ended[0] + HOLD_SECONDS
                count = bisect_right(ended, until)
                last = count == len(ended)
                heapq.heappush(events, (ended[-1] if last else until, worker, count, last))
                ended = ended[count:]
        if not events:
            break
        now = max(now, events[0][0])
        cost = costs.wait + costs.wait_stream * workers  # one wait for all that has come
        while events and events[0][0] <= now:
            _, worker, count, last = heapq.heappop(events)
            cost += costs.message + count * (costs.message_row + costs.row)
            done += count
            free += [worker] if last else []
        now, busy = now + cost, busy + cost
    return {
        "workers": workers,
        "rows": done,
        "seconds": round(now),
        "rows a second": round(done / now, 1),
        "of full slots": round(done / now / (SLOTS / (MEAN * STEP) * workers), 3),
        "driver works": round(busy / now, 3),
        "MB a second out": round(done / now * costs.bytes_out / 1e6, 2),
        "MB a second back": round(done / now * costs.bytes_back / 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    costs = measure()
    found = {
        "costs": asdict(costs),
        "rows a second that the driver can take": round(1 / (costs.row + costs.message_row + costs.sent)),
        "simulated": [simulate(workers, costs) for workers in WORKERS],
        "with parts small at the end": [simulate(workers, costs, halves=True) for workers in WORKERS[1:]],
    }
    Console().print_json(data=found)
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
