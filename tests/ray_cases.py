"""What tests of workers share: a Ray of their own, engines that misbehave in a worker, what is left of it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from steer.engines import worker
from steer.engines.worker import ModelSource
from steer.types import LoadedModel, Request, Response

RAY: dict[str, Any] = {
    "num_cpus": 2,
    "num_gpus": 4,  # of which there is none: Ray counts what it is told
    "include_dashboard": False,
    "object_store_memory": 80 * 2**20,
    "_system_config": {"worker_niceness": 0},
    "log_to_driver": False,
    "logging_level": "CRITICAL",
}


class Soon(ModelSource):
    """A model whose worker gives each row as it ends, so that its death finds rows which had not come."""

    def open(self, say: Callable[[str], None]) -> tuple[LoadedModel, Any]:
        worker.HOLD_SECONDS = 0.0
        return super().open(say)


PATIENCE = 600
"""Seconds until a process counts as hung: a busy machine may take long to start one."""


@dataclass(frozen=True)
class Rigged:
    """A model whose engine does something to its process when it is given a certain row."""

    spec: str
    bad: str
    fault: Literal["raise", "die", "memory"]
    dtype: str = "float64"

    def open(self, say: Callable[[str], None]) -> tuple[LoadedModel, Any]:
        loaded, engine = ModelSource(self.spec, None, self.dtype, "auto", None, "auto", None).open(say)
        plain = engine.generate

        def generate(requests: Iterable[Request]) -> Iterator[Response]:
            asked = list(requests)
            first = [r for r in asked if r.key != self.bad]
            yield from plain(first)
            if len(first) < len(asked):
                self._misbehave()

        engine.generate = generate  # type: ignore[method-assign]
        return loaded, engine

    def _misbehave(self) -> None:
        if self.fault == "raise":
            raise IndexError("index out of range in self")
        if self.fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        import resource

        used = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
        held: list[bytearray] = []
        try:
            while True:
                held.append(bytearray(2**24))
        except MemoryError:
            os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does


STOPPED = """
import os, signal, sys
import cli
from steer import pipeline
from steer.engines import replicas
from steer.store import RunStore
from tests import ray_cases
pipeline.FLUSH_ROWS = 4
replicas.ModelSource = ray_cases.Soon
how, at = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts with & ignore it
plain, killed = RunStore.add_responses, []
def stops(self, *arguments):
    plain(self, *arguments)
    done = len(self.done())
    if how == "BOTH" and done >= at // 2 and not killed:
        killed.append(ray_cases.workers()[0])
        os.kill(killed[0], signal.SIGKILL)
    if done >= at:
        os.killpg(0, signal.SIGINT) if how == "SIGINT" else os.kill(os.getpid(), signal.SIGKILL)
RunStore.add_responses = stops
sys.argv = ["cli.py", *sys.argv[3:]]
sys.exit(cli.main())
"""
"""A command that stops once it has so many rows: as by Ctrl-C (SIGINT to its whole group), by SIGKILL, or by
that after a worker's at half as many rows (BOTH)."""


@contextmanager
def own_ray() -> Iterator[tuple[Path, dict[str, str]]]:
    """A place for the Ray of a subprocess, and its environment; a short path, as sockets want."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    try:
        yield folder, os.environ | {"RAY_TMPDIR": str(folder)}
    finally:
        for process in processes_of(folder):
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def workers() -> list[int]:
    """The processes of workers that this one's Ray has."""
    found: list[int] = []
    for process in psutil.Process().children(recursive=True):
        try:
            found += [process.pid] if process.cmdline()[0].startswith("ray::Worker") else []
        except (psutil.Error, IndexError):
            continue
    return sorted(found)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that was started with RAY_TMPDIR at a folder."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_TMPDIR") == str(folder) and process.status() != "zombie":
                found.append(process)
        except psutil.Error:
            continue
    return found


def left_of(folder: Path) -> Sequence[psutil.Process]:
    """Those that do not end by themselves."""
    return psutil.wait_procs(processes_of(folder), timeout=PATIENCE)[1]
