"""What every engine does around its forward passes: padding, limits, memory, adapters.

It does not know how steering is applied or how tokens are chosen.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from steer.adapters import active, grouped
from steer.errors import UserError
from steer.types import LoadedModel, Request, Response, ScoreRow

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Row = TypeVar("Row")
Done = TypeVar("Done")
Adapted = TypeVar("Adapted", Request, ScoreRow)

UNLIMITED = 2**62
WINDOW = 16
"""Batches looked ahead, so that rows of like length share a batch."""


def refusal(request: Request, window: int) -> Response | None:
    """The failed response of a request that cannot be run, or None. A prompt is never cut.

    window: the model's (`LoadedModel.window`).
    """
    length, limits = len(request.prompt_ids), request.limits
    if length == 0:
        return Response(request.key, (), "failed", error="the prompt is empty")
    if length > limits.prompt:
        error = f"the prompt has {length} tokens: the limit is {limits.prompt}; raise the prompt limit"
        return Response(request.key, (), "failed", error=error)
    if window and length + limits.new > window:
        error = f"prompt and answer may have {length + limits.new} tokens: the model has {window} positions"
        return Response(request.key, (), "failed", error=error)
    return None


def prompt_length(request: Request) -> int:
    return len(request.prompt_ids)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device (the CPU allocator raises RuntimeError)."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def free_memory() -> None:
    """Give cached device memory back after an allocation failed."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def give_back() -> None:
    """Give the system the memory of freed tensors that lies between small ones in use.

    The C library of most Linux systems (glibc) keeps it, and a long run would grow by holes too small for the
    next tensor.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


def in_batches(
    rows: Iterable[Row],
    size: int,
    run: Callable[[Sequence[Row]], Sequence[Done]],
    *,
    length: Callable[[Row], int],
) -> Iterator[list[tuple[int, Done]]]:
    """Run rows in batches of like length; yields (index of the row in the input, result), a batch at a time.

    Out of memory halves the batch, for good; with one row left, UserError says so. The error may
    hold tensors through its traceback, so it is let go before the next try.
    """
    numbered = enumerate(rows)
    while window := list(islice(numbered, WINDOW * size)):
        window.sort(key=lambda item: -length(item[1]))  # the longest first: memory is short at once or never
        while window:
            part, message = window[:size], ""
            try:
                results = run([row for _, row in part])
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                message = str(error).splitlines()[0]
            else:
                window = window[size:]
                yield [(index, result) for (index, _), result in zip(part, results, strict=True)]
                continue
            if len(part) == 1:
                tokens = length(part[0][1])
                raise UserError(
                    f"out of memory with a single row of {tokens} tokens ({message}); "
                    "use a smaller model, a smaller dtype or lower limits"
                )
            free_memory()
            size = len(part) // 2


def free_bytes(device: torch.device) -> int:
    """Memory that can still be had on a device."""
    import psutil
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = psutil.virtual_memory().available  # Apple's GPUs share it
    return min(free, container_bytes(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")))


def container_bytes(mounted: Path, membership: Path) -> int:
    """Memory that the limits of a container leave (cgroups, version 2 or 1); more than any where none is.

    mounted: where the groups are; membership: the file of this process's groups. Pages of files that the
    kernel would give back count as free.
    """
    left = UNLIMITED
    for line in membership.read_text().splitlines() if membership.is_file() else ():
        _, kinds, group = line.split(":", 2)
        if not kinds:
            base, names = mounted, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            base = mounted / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = [part for part in group.split("/") if part not in ("", "..")]
        # each group above has a limit of its own; a container may see its group as the root
        for depth in range(len(own) + 1):
            left = min(left, _left(base.joinpath(*own[:depth]), *names))
    return left


def _left(group: Path, limit: str, usage: str, cached: str) -> int:
    """What one group's limit leaves."""
    try:
        most = (group / limit).read_text().strip()
        if most == "max":
            return UNLIMITED
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, int(most) - int((group / usage).read_text()) + int(stat.get(cached, 0)))
    except OSError:  # the root has no limit
        return UNLIMITED


def pad_left(rows: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids, attention mask and positions (-1 at pads), each [row, position] int64, left-padded."""
    import torch

    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    positions = (torch.arange(width, device=device) - (width - lengths)[:, None]).clamp(min=-1)
    return ids, (positions >= 0).long(), positions


def input_device(loaded: LoadedModel) -> torch.device:
    """Where token ids go: the device of the input embedding."""
    return next(loaded.module.get_input_embeddings().parameters()).device


def with_adapters(
    module: nn.Module, rows: Sequence[Adapted], run: Callable[[Sequence[Adapted]], Sequence[Done]]
) -> list[Done]:
    """`run` on the rows of one adapter at a time, with it on; results in the order of `rows`."""
    found: dict[int, Done] = {}
    for adapter, part in grouped(enumerate(rows), lambda item: item[1].adapter).items():
        with active(module, adapter):
            done = run([row for _, row in part])
        found.update({index: result for (index, _), result in zip(part, done, strict=True)})
    return [found[index] for index in range(len(rows))]
