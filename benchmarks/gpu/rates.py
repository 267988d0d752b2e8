"""The two limits of this device: bytes a second of a copy, operations a second of a matrix product."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from benchmarks.gpu.sections import Keep, Setup


def seconds(work: Callable[[], object], device: str, repeats: int = 10) -> float:
    """The median wall time of some runs after a first one, the device's work done."""
    import torch

    found: list[float] = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return statistics.median(found[1:])


def bandwidth(setup: Setup) -> float:
    """Bytes a second, read and written, of copying a large tensor."""
    import torch

    count = 2**22 if setup.quick else 2**31
    source = torch.ones(count, dtype=torch.uint8, device=setup.device)
    target = torch.empty_like(source)
    return 2 * count / seconds(lambda: target.copy_(source), setup.device)


def run(setup: Setup, keep: Keep) -> None:
    import torch

    keep("copy", {"bytes a second": bandwidth(setup)})
    size = 256 if setup.quick else 8192
    a = torch.randn(size, size, dtype=torch.bfloat16, device=setup.device)
    taken = seconds(lambda: a @ a, setup.device)
    keep("product", {"size": size, "operations a second": 2 * size**3 / taken})
