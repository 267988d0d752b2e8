"""The slot engine: a whole grid as one queue, every row with its own steering, length and end.

A row lives in a slot. Its prompt but the last token is prefilled on the side, once for all rows
whose steering leaves it alone, and kept once for all of them; the rest is decode steps shared with
whatever rows are there; when a row ends, the next request enters. Forwards are Hugging Face's own
modules with forward hooks, so that any model with full attention in every layer runs.

It does not know what steering is (`steer.interventions`) or how tokens are chosen
(`steer.sampling`): those are the reference engine's own functions.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from steer.adapters import active, grouped
from steer.blocks import decoder_layers
from steer.engines import scoring
from steer.engines.attention import shared_prompts, sharing
from steer.engines.batching import (
    free_bytes,
    free_memory,
    input_device,
    is_out_of_memory,
    refusal,
)
from steer.engines.cache import Prefix, SlotCache
from steer.engines.graphs import Graphs
from steer.engines.prefill import Branches, Share, Work, prefill, share, steered
from steer.engines.rows import Fed, Row, joined, spread
from steer.engines.schedule import Queue
from steer.engines.support import head_size, heads_of, too_long, unsupported
from steer.engines.varlen import varlen_prompts
from steer.errors import UserError
from steer.interventions import Steering
from steer.sampling import choose
from steer.types import Applied, Finish, LoadedModel, Read, Reading, Request, Response, ScoreRow

if TYPE_CHECKING:
    from torch import Tensor, nn

Fast = Literal["attention", "graphs"]
"""What of the fast path is on (graphs have its attention): never run on a device, and nobody's default."""
MOST_ROWS = {"cpu": 256, "cuda": 512}
PREFILL_TOKENS = {"cpu": 2048, "cuda": 8192}
"""Tokens of one prefill, pads included: more would only cost memory."""
FEW_ROWS, ENOUGH = 32, 2**29
"""Rows, and bytes of rows, past which more of them at once hardly make a CPU faster."""
LIKE = 0.75
"""Prompts share a prefill if the shortest is at least this part of the longest."""
AHEAD = 8
"""Times the slots: how far into the queue a prefill looks for rows to compute along."""
MEMORY_SHARE = 0.4
"""Of free memory, for the slots: growing them takes half as much again, prefixes and logits the rest."""
PREFIX_SHARE = 0.2


def token_bytes(loaded: LoadedModel) -> int:
    """Keys and values of one token in all layers."""
    config: Any = loaded.module.config.get_text_config(decoder=True)
    return 2 * loaded.n_layers * heads_of(config)[1] * head_size(config) * loaded.module.dtype.itemsize


class SlotEngine:
    """Generates and scores. batch: the most rows at once; by default as many as memory holds.

    fast: decode steps attend through `steer.engines.varlen`, and are captured by `steer.engines.graphs`.
    `work` tells what the latest run took.
    """

    def __init__(self, loaded: LoadedModel, *, batch: int | None = None, fast: Fast | None = None) -> None:
        reason = unsupported(loaded)
        if reason:
            raise UserError(f"the slot engine cannot run {loaded.name}: {reason}; use --engine nnsight")
        self._loaded, self._batch = loaded, batch
        self._fast: Fast | None = fast
        self.name = f"slots+{fast}" if fast else "slots"
        self._layers = decoder_layers(loaded.module)[1]
        self.work = Work()

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Responses as rows end, those of one adapter after another.

        All requests are read first: their order is the engine's to choose.
        """
        runnable: list[Request] = []
        for request in requests:
            refused = refusal(request, self._loaded.window)
            if refused is None:
                runnable.append(request)
            else:
                yield refused
        if reason := too_long(self._loaded, runnable):
            raise UserError(f"the slot engine cannot run these rows: {reason}; use --engine nnsight")
        self.work = Work(prompts=sum(len(prompt) for prompt in {r.prompt_ids for r in runnable}))
        for adapter, group in grouped(runnable, lambda request: request.adapter).items():
            with active(self._loaded.module, adapter):
                yield from self._generate(group)

    def _generate(self, runnable: Sequence[Request]) -> Iterator[Response]:
        queue = Queue(runnable)
        slots = min(len(queue), self._batch or self._rows_that_fit(runnable))
        while queue:
            run = _Run(self._loaded, self._layers, queue, slots, self.work, self._fast)
            try:
                yield from run.responses()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                message = str(error).splitlines()[0]
            else:
                return
            # Rows are begun again, with half the slots: their texts do not depend on it.
            rows = run.abandon()
            if slots == 1:
                raise UserError(self._too_small(rows, message))
            slots = max(1, slots // 2)
            queue.put_back(rows)
            del run
            free_memory()

    def score(self, rows: Iterable[ScoreRow], read: Read | Reading) -> Iterator[Tensor]:
        def forward(ids: Tensor, mask: Tensor, positions: Tensor, keep: int, steering: Steering) -> Tensor:
            with steered(self._layers, steering):
                return self._loaded.module(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    use_cache=False,
                    logits_to_keep=keep,
                ).logits

        def follow(
            ids: Tensor,
            mask: Tensor,
            positions: Tensor,
            keep: int,
            past: Any,
            steering: Steering,
            branches: Branches,
        ) -> Tensor:
            with branches.steered(self._layers, steering):
                return self._loaded.module(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=past,
                    use_cache=True,
                    logits_to_keep=keep,
                ).logits

        batch = self._batch or 32
        chosen = scoring.read_at(read, self)
        return scoring.score_shared(self._loaded, rows, chosen, batch=batch, forward=forward, follow=follow)

    def _row_bytes(self, request: Request) -> int:
        """Keys and values of a row at its longest, and its logits (in the model's dtype and fp64)."""
        logits = 16 * self._loaded.module.config.get_text_config(decoder=True).vocab_size
        return token_bytes(self._loaded) * (len(request.prompt_ids) + request.limits.new) + logits

    def _rows_that_fit(self, requests: Sequence[Request]) -> int:
        if not requests:
            return 1
        device = input_device(self._loaded)
        row = max(map(self._row_bytes, requests))
        fitting = min(int(MEMORY_SHARE * free_bytes(device)) // row, MOST_ROWS.get(device.type, 64))
        if device.type == "cpu":
            fitting = min(fitting, max(FEW_ROWS, ENOUGH // row))
        return max(1, fitting)

    def _too_small(self, rows: Sequence[Request], message: str) -> str:
        need = max((self._row_bytes(row) for row in rows), default=0) / 2**20
        return (
            f"out of memory with one row at a time ({message}): a row needs about {need:.0f} MiB beside the "
            "model; use a smaller model or dtype, or lower limits"
        )


class _Run:
    """One pass through the queue with a fixed number of slots; rows 0 .. n-1 are live."""

    def __init__(
        self,
        loaded: LoadedModel,
        layers: Sequence[nn.Module],
        queue: Queue,
        slots: int,
        work: Work,
        fast: Fast | None,
    ) -> None:
        self.loaded, self.layers, self.queue, self.slots, self.work = loaded, layers, queue, slots, work
        self.device = input_device(loaded)
        self.live: list[Row] = []
        self.entering: list[Request] = []  # taken from the queue, not yet in a slot
        self.config: Any = loaded.module.config.get_text_config(decoder=True)
        heads, groups = heads_of(self.config)
        devices = [next(layer.parameters()).device for layer in layers]
        self.cache = SlotCache(devices, slots, heads // groups if fast else 0)
        self.attention = varlen_prompts if fast else shared_prompts
        self.steering = Steering(
            layers, rows=slots, d_model=loaded.d_model, dtype=loaded.module.dtype, keep=fast == "graphs"
        )
        self.graphs = Graphs(slots, self.device, self._forward, self._held) if fast == "graphs" else None
        self.store: dict[Share, tuple[Prefix, tuple[Applied, ...]]] = {}
        self.users = Counter(share(request) for request in queue.ahead(len(queue)))
        self.room = int(PREFIX_SHARE * free_bytes(self.device))
        self.together = PREFILL_TOKENS.get(self.device.type, 2048)
        self.clock = 0.0  # seconds a row has had, if it was there from the start
        self.fed: Fed | None = None  # to the coming step; None when the live rows have changed

    def responses(self) -> Iterator[Response]:
        import torch

        with torch.inference_mode():
            self._admit(list(range(min(self.slots, len(self.queue)))))
        while self.live:
            with torch.inference_mode():
                ended = self._step()
            yield from ended.values()
            if ended:
                with torch.inference_mode():
                    self._refill(sorted(ended))

    def abandon(self) -> list[Request]:
        """The requests that were under way; drops what they held."""
        rows = [row.request for row in self.live if row.finish is None] + self.entering
        self.live.clear()
        self.store.clear()
        return rows

    def _held(self) -> list[Tensor]:
        return [*self.cache.held(), *self.steering.held()]

    def _step(self) -> dict[int, Response]:
        """Feed a token a row; the responses of the rows that end, by slot."""
        import torch

        began = time.perf_counter()
        rows = self.live
        fresh = self.fed is None
        fed = self.fed = self.fed or Fed.of(rows, self.device)
        if self.graphs:
            if fresh:
                self.graphs.take(fed)
            self.cache.ready(self.graphs.rows, self._longest())
            found = self.graphs.run()[: len(rows)]
        else:
            chosen, bad = self._forward(fed)
            self.fed = fed.after(chosen)
            found = torch.stack([chosen, bad.long()], 1)
        results: list[list[int]] = found.tolist()  # the step's one wait
        self.clock += (time.perf_counter() - began) / len(rows)
        self.work.row_steps += len(rows)
        ended: dict[int, Response] = {}
        for slot, (row, (token, failed)) in enumerate(zip(rows, results, strict=True)):
            row.token = token
            if failed:
                error = f"a logit of output token {len(row.output)} is not finite"
                ended[slot] = self._response(slot, "failed", error)
                continue
            row.output.append(token)
            if token in row.request.stop_ids:
                ended[slot] = self._response(slot, "stop")
            elif len(row.output) >= row.request.limits.new:
                ended[slot] = self._response(slot, "length")
        return ended

    def _longest(self) -> int:
        return max(row.own for row in self.live)

    def _forward(self, fed: Fed) -> tuple[Tensor, Tensor]:
        """Feed a token a row: the next of each, and which rows had a logit that is not finite."""
        positions = (fed.prefixes + fed.own)[:, None]
        mask = self.cache.begin(fed.own, self._longest())
        self.steering.begin(positions)
        with steered(self.layers, self.steering), sharing(self.config, self.attention):
            logits = self.loaded.module(
                input_ids=fed.tokens[:, None],
                attention_mask=mask,
                position_ids=positions,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
                prompts=self.cache,
            ).logits[:, -1]
        return choose(logits, fed.how, fed.own)

    def _response(self, slot: int, finish: Finish, error: str = "") -> Response:
        row = self.live[slot]
        row.finish = finish
        self.work.output += len(row.output)
        self.queue.learn(row.request, len(row.output))
        applied = tuple(map(joined, row.before, self.steering.applied(slot)))
        seconds = self.clock - row.began
        return Response(row.request.key, tuple(row.output), finish, error, applied, seconds)

    def _refill(self, free: list[int]) -> None:
        """Empty the slots of ended rows, let requests in, and close the gaps that stay."""
        for slot in free:
            self.steering.clear(slot)
            self.cache.leave(slot)
            if self.live[slot].finish == "failed":
                self.cache.wipe(slot)
        count = min(len(free), len(self.queue))
        self._admit(free[:count])
        for slot in reversed(free[count:]):
            last = len(self.live) - 1
            if slot != last:
                self.cache.move(last, slot, self.live[last].own)
                self.steering.move(last, slot)
                self.live[slot] = self.live[last]
            self.live.pop()
        self.fed = None

    def _admit(self, slots: list[int]) -> None:
        """Let the next requests into these slots, prefilling what they lack."""
        began = time.perf_counter()
        self.entering = [self.queue.pop() for _ in slots]
        self._prefill(self.entering)
        for slot, request in zip(slots, list(self.entering), strict=True):
            key = share(request)
            prefix, before = self.store[key]
            self.users[key] -= 1
            if self.users[key] == 0:
                del self.store[key]
            self.cache.enter(slot, key, prefix)
            self.steering.set(slot, request.additions, len(request.prompt_ids), since=prefix.length)
            row = Row(request, spread(request, before), self.clock, prefix.length, request.prompt_ids[-1])
            self.entering.remove(request)
            if slot < len(self.live):
                self.live[slot] = row
            else:
                self.live.append(row)
        self.fed = None
        if self.live:
            self.clock += (time.perf_counter() - began) / len(self.live)

    def _prefill(self, needed: Sequence[Request]) -> None:
        """Compute the prefixes that these requests lack, and of those that follow while there is room."""
        lacking = {share(r): r for r in needed if share(r) not in self.store}
        if not lacking:
            return
        for request in self._worth_adding(lacking):
            lacking.setdefault(share(request), request)
        jobs = sorted(lacking.values(), key=lambda r: (len(r.prompt_ids), r.prompt_ids))
        while jobs:
            part = [jobs.pop()]
            longest = len(part[0].prompt_ids)
            while (
                jobs
                and len(jobs[-1].prompt_ids) >= LIKE * longest
                and len(part) < self.slots  # fewer where memory was short
                and (len(part) + 1) * longest <= self.together
            ):
                part.append(jobs.pop())
            for job, prefix, record in prefill(self.loaded, self.layers, part, self.work):
                self.store[share(job)] = (prefix, record)
        wanted = {share(r) for r in needed}
        held = sum(prefix.bytes for prefix, _ in self.store.values())
        for key in [key for key in self.store if key not in wanted]:
            if held <= self.room:
                break
            held -= self.store.pop(key)[0].bytes

    def _worth_adding(self, lacking: dict[Share, Request]) -> Iterator[Request]:
        """Waiting requests to prefill along: those with a prompt that is computed anyway, then the next."""
        prompts = {r.prompt_ids for r in lacking.values()}
        waiting = [r for r in self.queue.ahead(AHEAD * self.slots) if share(r) not in self.store]
        tokens = sum(len(r.prompt_ids) for r in lacking.values())
        held = sum(prefix.bytes for prefix, _ in self.store.values())
        fitting = (self.room - held) // token_bytes(self.loaded) - tokens
        for request in waiting:
            if request.prompt_ids in prompts and share(request) not in lacking:
                fitting -= len(request.prompt_ids)
                if fitting < 0:
                    return
                tokens += len(request.prompt_ids)
                yield request
        for request in waiting:
            tokens += len(request.prompt_ids)
            fitting -= len(request.prompt_ids)
            if tokens > self.together or fitting < 0:
                return
            yield request
