"""Decode steps as CUDA graphs: what the host tells the device each step is told once. Never run on a device.

A step is captured for so many rows at most (a power of two; the rest of them are idle) and then replayed.
A replay reads and writes the memory it was captured with and knows nothing else: tokens, lengths, how tokens
are chosen, edits with their spans and counts, and the order of rows by prompt lie in buffers that the host
writes between replays, so that rows come and go and settings change. A step reads other memory when slots or
prompts grew or a layer was first steered: what was captured is then dropped.

Idle rows are those of the free slots behind the live ones: they write where the next row there begins, read
the first prompt, are never longer than a live row and never edited. It does not know the model, the cache or
what steering is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from operator import is_
from typing import TYPE_CHECKING, Any

from steer.engines.batching import is_out_of_memory
from steer.engines.rows import Fed
from steer.errors import UserError
from steer.sampling import How

if TYPE_CHECKING:
    import torch
    from torch import Tensor

WARM = 3
"""Steps of a kind that run as they are before one is captured: libraries make their workspaces in them, and
the checks before a run, of so many tokens at most, see each forward."""

Step = Callable[[Fed], "tuple[Tensor, Tensor]"]


def capture(work: Callable[[], object], pool: Any) -> Callable[[], None]:
    """What repeats, on the device, what `work` tells it to do; nothing is done yet."""
    import torch

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        work()
    return graph.replay


def new_pool(device: torch.device) -> Any:
    """Memory that all graphs of a run share: only one runs at a time."""
    import torch

    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


class Graphs:
    """The steps of a run with so many slots.

    step: what is fed -> chosen tokens and whether a logit was bad, [row] each, in operations on the device
    alone. held: all tensors it reads or writes beside what it is fed and the model's own.
    """

    def __init__(
        self, slots: int, device: torch.device, step: Step, held: Callable[[], Sequence[Tensor]]
    ) -> None:
        import torch

        self._slots, self._step, self._held = slots, step, held
        self._ints = torch.zeros(4, slots, dtype=torch.int64, device=device)
        self._heat = torch.zeros(slots, dtype=torch.float64, device=device)
        self._found = torch.zeros(slots, 2, dtype=torch.int64, device=device)
        self._pool = new_pool(device)
        self._greedy, self.rows = True, 0
        self._known: list[Tensor] = []
        self._runs: Counter[tuple[int, bool]] = Counter()
        self._replays: dict[tuple[int, bool], Callable[[], None]] = {}

    def take(self, fed: Fed) -> None:
        """The live rows have changed: what the next step feeds. `rows` are then those of a step."""
        import torch

        live = len(fed.tokens)
        self.rows = min(1 << (live - 1).bit_length(), self._slots)
        self._greedy = fed.how.greedy
        self._ints.zero_()
        self._ints[:, :live] = torch.stack([fed.tokens, fed.prefixes, fed.own, fed.how.stream])
        self._heat[:live] = fed.how.temperature

    def run(self) -> Tensor:
        """One step: [row, 2], the chosen token and whether a logit was bad; idle rows come last."""
        held = list(self._held())
        if len(held) != len(self._known) or not all(map(is_, held, self._known)):
            self._known = held
            self._replays.clear()
            self._runs.clear()
        kind = self.rows, self._greedy
        self._runs[kind] += 1
        if self._runs[kind] <= WARM:
            self._work(*kind)
        else:
            if kind not in self._replays:
                self._replays[kind] = self._captured(partial(self._work, *kind))
            self._replays[kind]()
        return self._found[: self.rows]

    def _captured(self, work: Callable[[], None]) -> Callable[[], None]:
        try:
            return capture(work, self._pool)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            why = str(error).splitlines()[0]
            raise UserError(
                f"a decode step cannot be captured as a CUDA graph ({why}); leave --graphs out"
            ) from error

    def _work(self, rows: int, greedy: bool) -> None:
        """The step, and the next one's tokens and lengths."""
        import torch

        tokens, prefixes, own, stream = self._ints[:, :rows]
        chosen, bad = self._step(Fed(tokens, prefixes, own, How(self._heat[:rows], stream, greedy)))
        self._found[:rows] = torch.stack([chosen, bad.long()], 1)
        tokens.copy_(chosen)
        own.add_(1)
