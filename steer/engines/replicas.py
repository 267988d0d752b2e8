"""An engine made of workers: each holds the model and the ordinary engine, here or on other machines.

The driver keeps the plan and the store, and holds no weights. Work goes out in parts and comes back as it
is done; what a lost worker had not given is given to another, and the worker replaced. A row's text depends
on the row alone, so neither the number of workers nor their order is part of a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from steer import canary, models
from steer.elsewhere import Described
from steer.engines import ENGINES
from steer.engines.batching import refusal
from steer.engines.cluster import Cluster, join
from steer.engines.parts import LOSSES, InOrder, Part, Parts, Rows, chunks
from steer.engines.worker import Card, ModelSource, Source, Worker
from steer.errors import UserError, choose
from steer.types import LoadedModel, Read, Reading, Request, Response, ScoreRow

if TYPE_CHECKING:
    from torch import Tensor

SCORED = 64
"""Rows a part of what is scored."""

PATIENCE = 60.0
"""Seconds without a worker after which that is said, and said again."""

Found = TypeVar("Found")


@dataclass(slots=True, eq=False)
class _Slot:
    """Where a worker is. `actor`: None while there is none. `starting`: the card it is about to give.

    losses: workers lost here while they started, since one did start.
    """

    number: int
    actor: Any = None
    starting: Any = None
    losses: int = 0
    place: str = ""


def make_replicas(
    kind: str,
    spec: str,
    *,
    workers: str,
    address: str | None = None,
    gpus_per_worker: int = 1,
    mixed_devices: bool = False,
    batch: int | None = None,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | None = None,
    say: Callable[[str], None] = print,
) -> tuple[LoadedModel, ReplicaEngine]:
    """A model without weights and the engine of its workers, which hold them; `close` the engine after use.

    workers, address, gpus_per_worker: as `steer.engines.cluster.join` has them. kind, batch: of each worker's
    engine. The rest is as in `steer.models.load`.
    """
    choose(kind, ENGINES, what="engine")
    found = models.resolve(spec, revision=revision)
    own = found.hub or spec == "organism"  # a name that means the same from every folder
    where = spec if own else str(Path(spec).expanduser().resolve())
    if gpus_per_worker > 1:
        device_map = device_map or "auto"
    joined = join(workers, address=address, gpus_per_worker=gpus_per_worker, cpu=device == "cpu")
    try:
        say(f"{joined.workers} workers: each loads {spec} and checks its engine")
        source = ModelSource(where, revision, dtype, device, device_map, kind, batch)
        engine = ReplicaEngine(joined, source, mixed=mixed_devices, say=say)
        return models.outline(spec, engine.card.model, engine, revision=revision), engine
    except BaseException:
        joined.close()
        raise


class ReplicaEngine:
    """Generates, scores and calls functions of the model on a cluster's workers.

    mixed: workers may be of differing devices in 16 bit. say: hears what a user should know.
    Raises UserError unless every worker starts and all agree on what they are.
    """

    def __init__(self, cluster: Cluster, source: Source, *, mixed: bool, say: Callable[[str], None]) -> None:
        self._cluster, self._source, self._mixed, self._say = cluster, source, mixed, say
        self._card: Card | None = None
        self._told: dict[object, tuple[float, Request]] = {}
        self._said: set[str] = set()
        self._devices: dict[str, str] = {}  # place -> kind
        self._tokens, self._began = 0, 0.0
        self._slots = [_Slot(number) for number in range(cluster.workers)]
        self._settle()

    @property
    def card(self) -> Card:
        """What all workers are."""
        assert self._card is not None, "every worker has started"
        return self._card

    @property
    def name(self) -> str:
        return self.card.engine

    @property
    def reason(self) -> str:
        return self.card.reason

    def standing(self) -> str:
        """How it goes, for a line of progress."""
        ready = sum(slot.starting is None for slot in self._slots)
        rate = self._tokens / max(time.monotonic() - self._began, 1e-9)
        return f"{ready} of {len(self._slots)} workers, {rate:,.0f} tokens/s"

    @property
    def described(self) -> Described:
        """How many, and the devices of all that ever started."""
        return {"n": len(self._slots), "devices": dict(self._devices)}

    def close(self) -> None:
        """End the workers, and Ray if we started it."""
        for slot in self._slots:
            self._end(slot)
        self._slots = []
        self._cluster.close()

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        asked = list(requests)
        self.prove(asked)
        rows = Rows(asked)
        self._tokens, self._began = 0, time.monotonic()
        for response in self._work(rows):
            self._tokens += len(response.output_ids)
            yield response
        rows.conclude()

    def score(self, rows: Iterable[ScoreRow], read: Read | Reading) -> Iterator[Tensor]:
        import ray

        sent = ray.put(read)
        parts = (("score", (sent.hex(), sent, part)) for part in chunks(rows, SCORED))
        for found in self._work(InOrder(parts, workers=len(self._slots))):
            yield from found

    def each(self, function: Callable[..., Found], parts: Iterable[tuple[Any, ...]]) -> Iterator[Found]:
        told = (("call", (function, part)) for part in parts)
        yield from self._work(InOrder(told, workers=len(self._slots)))

    def prove(self, requests: Sequence[Request]) -> None:
        """Let every worker prove its engine on these requests, as far as they are of another kind."""
        fresh = {
            what: found
            for what, found in _telling(requests, self.card.model.window).items()
            if found[0] > self._told.get(what, (float("-inf"),))[0]
        }
        if fresh:
            self._told |= fresh
            self._settle()

    def _start(self, slot: _Slot) -> None:
        """Let a worker, a new one where there is none, prove itself on all that was told."""
        if slot.actor is None:
            slot.actor = self._cluster.spawn(Worker, self._source, self._cluster.threads)
        slot.starting = slot.actor.start.remote(str(slot.number), [row for _, row in self._told.values()])

    def _settle(self) -> None:
        """Start every worker, and wait for all. What they agree on may change with what they prove."""
        self._card = None
        for slot in self._slots:
            self._start(slot)
        for slot in self._slots:
            while slot.starting is not None:
                self._started(slot)

    def _started(self, slot: _Slot) -> None:
        import ray
        from ray.exceptions import RayError

        try:
            card: Card = ray.get(slot.starting)
        except UserError as error:
            raise _own(error) from None
        except RayError as error:
            slot.losses += 1
            if slot.losses >= LOSSES:
                raise UserError(f"{LOSSES} workers were lost as they started: {_why(error)}") from error
            self._end(slot)
            self._start(slot)
            return
        slot.starting, slot.losses, slot.place = None, 0, card.place
        self._agree(card)
        self._devices[card.place] = card.device
        for line in card.said:
            if line not in self._said:
                self._said.add(line)
                self._say(line)

    def _agree(self, card: Card) -> None:
        """Raise UserError unless a worker is what the others are."""
        first = self._card = self._card or card
        for (what, theirs), (_, own) in zip(_decisive(first), _decisive(card), strict=True):
            if theirs != own:
                raise UserError(
                    f"workers differ: {what} is {theirs} at {first.place} and {own} at {card.place}; "
                    "make them the same on every node"
                )
        if card.device == first.device or f"mixed {card.device}" in self._said:
            return
        devices = f"workers run on {first.device} and on {card.device}"
        if card.model.dtype in ("bfloat16", "float16") and not self._mixed:
            raise UserError(
                f"{devices}: in {card.model.dtype} their texts differ; take one kind, --dtype float32, or "
                "--mixed-devices, which the result then says"
            )
        self._said.add(f"mixed {card.device}")
        self._say(f"{devices}: texts are the same up to rounding")

    def _work(self, parts: Parts) -> Generator[Any]:
        """All that comes of the parts. If it is left early, the workers that are busy are ended."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        busy: dict[Any, tuple[_Slot, Part]] = {}
        for slot in self._slots:
            if slot.actor is None:
                self._start(slot)
        idle = [slot for slot in self._slots if slot.starting is None]
        try:
            while True:
                while idle and (part := parts.take(len(idle))) is not None:
                    slot = idle.pop()
                    method = getattr(slot.actor, part.method).options(num_returns="streaming")
                    busy[method.remote(*part.arguments)] = slot, part
                starting = {slot.starting: slot for slot in self._slots if slot.starting is not None}
                if not busy and (idle or not starting):
                    return
                waiting: list[Any] = [*busy, *starting]
                ray.wait(waiting, num_returns=1, timeout=PATIENCE, fetch_local=False)
                ready: list[Any]
                ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0, fetch_local=False)
                if not ready and not busy:
                    self._say("no worker is left: the run goes on as soon as there is a place for one")
                for one in ready:
                    if one in starting:
                        self._started(starting[one])
                        idle += [starting[one]] if starting[one].starting is None else []
                        continue
                    slot, part = busy[one]
                    try:
                        item = ray.get(next(one))
                    except UserError as error:
                        raise _own(error) from None
                    except RayError as error:
                        if isinstance(error, RayTaskError) and part.method != "generate":
                            raise
                        del busy[one]
                        self._end(slot)
                        self._start(slot)
                        why = _why(error)
                        self._say(f"worker {slot.place} is lost ({why}): another takes its place")
                        parts.lost(part, why)
                        continue
                    yield from parts.came(part, item)
                    if part.done:
                        del busy[one]
                        idle.append(slot)
        finally:
            for slot, part in busy.values():
                if not part.done:
                    self._end(slot)

    def _end(self, slot: _Slot) -> None:
        """End a worker that is lost, broken, or does what nobody waits for."""
        import ray

        if slot.actor is not None and ray.is_initialized():
            ray.kill(slot.actor)
        slot.actor = slot.starting = None


def _decisive(card: Card) -> list[tuple[str, Any]]:
    """What decides a text, or could: workers have it in common."""
    model = card.model
    return [
        ("steergap and libraries", card.versions),
        ("dtype", model.dtype),
        ("the weights' hash", model.weights),
        ("the hash of configuration and tokenizer", model.files),
        ("the engine", card.engine),
    ]


def _telling(requests: Sequence[Request], window: int) -> dict[object, tuple[float, Request]]:
    """The rows that decide what a proof is of, with the figure each is the largest in.

    By adapter the longest and the shortest prompt and the longest row; the largest of each case of an
    addition.
    """
    found: dict[object, tuple[float, Request]] = {}
    for request in requests:
        if refusal(request, window) is not None:
            continue
        length = len(request.prompt_ids)
        sizes: dict[object, float] = {
            (request.adapter, "longest"): length,
            (request.adapter, "shortest"): -length,
            (request.adapter, "row"): length + request.limits.new,
        }
        sizes |= {canary.case(addition): abs(addition.magnitude) for addition in request.additions}
        for what, size in sizes.items():
            if what not in found or size > found[what][0]:
                found[what] = size, request
    return found


def _own(error: UserError) -> UserError:
    """A worker's error as it was raised there."""
    return UserError(str(getattr(error, "cause", error)))


def _why(error: Exception) -> str:
    """Why a worker was lost, in a line."""
    from ray.exceptions import OutOfMemoryError, RayTaskError

    if isinstance(error, RayTaskError):
        cause: object = error.cause  # pyright: ignore[reportAttributeAccessIssue]
        return f"{type(cause).__name__}: {cause}".splitlines()[0][:200]
    text = str(error)
    if "creation task" in text:
        return text.strip().splitlines()[-1][:200]
    if isinstance(error, OutOfMemoryError):
        return "its node ran out of memory"
    return "its process or its node died, perhaps for lack of memory"
