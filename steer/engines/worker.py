"""A worker: a process that holds one replica of a model, and the ordinary engine on it.

It says who it is (a `Card`) and does what it is told, giving what it finds as it comes. It knows nothing
of other workers, of what is still to be done, or of Ray.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from steer.types import LoadedModel, Read, Reading, Request, Response, ScoreRow
from steer.versions import VERSION, packages

if TYPE_CHECKING:
    from torch import Tensor

    from steer.engines.proven import ProvenEngine

HOLD_SECONDS = 1.0
"""Responses are kept back so long at most, to travel together."""


class Source(Protocol):
    """Where a worker's model and engine come from; it is pickled."""

    def open(self, say: Callable[[str], None]) -> tuple[LoadedModel, ProvenEngine]: ...


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model as `steer.models.load` takes it, and an engine as `steer.engines.make_engine` does."""

    spec: str
    revision: str | None
    dtype: str
    device: str
    device_map: str | None
    engine: str
    batch: int | None

    def open(self, say: Callable[[str], None]) -> tuple[LoadedModel, ProvenEngine]:
        from steer import models
        from steer.engines import make_engine

        loaded = models.load(
            self.spec,
            revision=self.revision,
            dtype=self.dtype,
            device=self.device,
            device_map=self.device_map,
        )
        return loaded, make_engine(self.engine, loaded, batch=self.batch, say=say)


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """What a worker is: workers that do the same rows must agree on it, `place` and `device` apart.

    device: its kind, by name. model: without module and tokenizer. said: what its engine said of itself.
    """

    place: str
    device: str
    model: LoadedModel
    versions: dict[str, str]
    engine: str
    reason: str
    said: tuple[str, ...]


class Worker:
    """threads: of its computations on a CPU."""

    def __init__(self, source: Source, threads: int) -> None:
        self._source, self._threads = source, threads
        self._opened: tuple[LoadedModel, ProvenEngine] | None = None
        self._said: list[str] = []
        self._reading: tuple[str, Read] | None = None
        self.place = ""

    def start(self, place: str, requests: Sequence[Request]) -> Card:
        """Load, if that is still to be done, and prove the engine on these requests."""
        import torch

        if self._opened is None:
            torch.set_num_threads(self._threads)
            self._opened = self._source.open(self._said.append)
            self.place = f"{platform.node()}/{place}"
        loaded, engine = self._opened
        engine.prove(requests)
        said, self._said[:] = tuple(self._said), []
        model = replace(loaded, module=cast(Any, None), tokenizer=cast(Any, None))
        versions = {"steergap": VERSION, "python": platform.python_version(), **packages()}
        device = _kind(loaded.device)
        return Card(self.place, device, model, versions, engine.name, engine.reason, said)

    def generate(self, requests: Sequence[Request]) -> Iterator[list[Response]]:
        """The responses, some at a time, as rows end."""
        _, engine = self._own()
        done: list[Response] = []
        since = time.monotonic()
        for response in engine.generate(requests):
            done.append(replace(response, made=f"{engine.name} at {self.place}"))
            if time.monotonic() - since >= HOLD_SECONDS:
                yield done
                done, since = [], time.monotonic()
        yield done

    def score(self, name: str, read: Read | Reading, rows: Sequence[ScoreRow]) -> Iterator[list[Tensor]]:
        """`read` of each row, in their order. name: of this reading, which is made ready once."""
        from steer.engines.scoring import read_at

        _, engine = self._own()
        if self._reading is None or self._reading[0] != name:
            self._reading = None
            self._reading = (name, read_at(read, engine))
        yield [found.cpu() for found in engine.score(rows, self._reading[1])]

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterator[Any]:
        """`function(loaded, *arguments)`."""
        yield function(self._own()[0], *arguments)

    def _own(self) -> tuple[LoadedModel, ProvenEngine]:
        assert self._opened is not None, "a worker is started before it is told anything"
        return self._opened


def _kind(device: str) -> str:
    """What of a device decides its rounding, by name."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return f"{device} {platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
