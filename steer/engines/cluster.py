"""Where workers run: Ray on this machine, started and stopped by us, or a cluster that is there and stays.

It knows processes, GPUs and addresses, and nothing of models or rows.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from steer.errors import UserError

ANSWER_SECONDS = 15
"""So long a cluster has to answer at its address."""

STARTS = 4
"""Ray is started here so often before that is an error."""

STORE_BYTES = 256 * 2**20
"""Of Ray's shared memory on this machine: what travels is small, and what does not fit goes to disk."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """workers: how many there are to be. gpus, threads: of each. ours: Ray was started by us, or joined."""

    workers: int
    gpus: int
    threads: int
    ours: bool

    def spawn(self, made: type, *arguments: Any) -> Any:
        """An actor of a class, as soon as there is a place for it."""
        import ray

        actor: Any = ray.remote(made)
        options = {"num_gpus": self.gpus} if self.gpus else {"scheduling_strategy": "SPREAD"}
        return actor.options(num_cpus=0, max_restarts=0, max_task_retries=0, **options).remote(*arguments)

    def close(self) -> None:
        import ray

        if self.ours:
            ray.shutdown()


def join(workers: str, *, address: str | None, gpus_per_worker: int, cpu: bool) -> Cluster:
    """Start Ray here, or join the cluster at an address (HOST:PORT, or `auto` for the one on this machine).

    workers: a number, or `auto` for as many as there are GPUs for. cpu: leave GPUs alone. Raises UserError.
    """
    if find_spec("ray") is None:
        raise UserError("--workers needs the package ray: install it with pip install 'steergap[cluster]'")
    import ray

    ours = not ray.is_initialized()
    if ours:
        _connect(address)
    try:
        return _room(workers, ray.cluster_resources(), gpus_per_worker, cpu=cpu, ours=ours)
    except BaseException:
        if ours:
            ray.shutdown()
        raise


def _connect(address: str | None) -> None:
    import ray
    import torch

    try:
        if address is None:
            _start(torch.get_num_threads())
        else:
            _answers(address)
            ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
    except UserError:
        raise
    except Exception as error:  # of many kinds: versions that differ, no node on this machine, no ports
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(f"Ray at {address or 'this machine'} cannot be used: {said}") from error


def _start(cores: int) -> None:
    """Start Ray here. It gives its own node 30 seconds, too few on a busy machine: it is tried again."""
    import ray

    for left in reversed(range(STARTS)):
        try:
            ray.init(
                "local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                _system_config={"worker_niceness": 0},  # they are the run: nothing here goes before them
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
            return
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise
            ray.shutdown()


def _answers(address: str) -> None:
    """Raise UserError unless a cluster answers at the address. Ray itself would wait for minutes."""
    if address == "auto":
        return
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        asked = subprocess.run(command, capture_output=True, timeout=ANSWER_SECONDS)
        answered, said = asked.returncode == 0, asked.stderr
    except subprocess.TimeoutExpired:
        answered, said = False, b""
    if b"InvalidAuthToken" in said:
        raise UserError(
            f"--ray-address {address!r}: this cluster asks for a token: set RAY_AUTH_MODE=token, with "
            "the token in ~/.ray/auth_token or RAY_AUTH_TOKEN"
        )
    if not answered:
        raise UserError(
            f"--ray-address {address!r}: no cluster answers there; give HOST:PORT of its head (port 6379 "
            "unless it was told otherwise), on a machine that is one of its nodes"
        )


def _room(workers: str, has: Mapping[str, float], gpus_per_worker: int, *, cpu: bool, ours: bool) -> Cluster:
    gpus = 0 if cpu else int(has.get("GPU", 0))
    if workers == "auto" and not gpus:
        raise UserError("--workers auto: as many as GPUs, and Ray finds none: give a number")
    if gpus_per_worker > 1 and not gpus:
        raise UserError(f"--gpus-per-worker {gpus_per_worker}: Ray finds no GPU; leave it out")
    count = gpus // gpus_per_worker if workers == "auto" else int(workers)
    if gpus and not 0 < count * gpus_per_worker <= gpus:
        raise UserError(
            f"--workers {workers}: with {gpus_per_worker} GPUs each, and Ray finds {gpus}: "
            f"at most {gpus // gpus_per_worker} workers, or fewer --gpus-per-worker"
        )
    threads = max(1, int(has.get("CPU", 1)) // count)
    return Cluster(count, gpus_per_worker if gpus else 0, threads, ours)
