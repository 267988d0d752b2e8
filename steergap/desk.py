"""One model, its engine, and the thread that runs what waits: rows of whatever arms, in one batch.

It does not know messages, arms or Inspect.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from steer.types import LoadedModel, Request, Response

if TYPE_CHECKING:
    from steer.types import Engine
    from steergap.arguments import ModelChoice

QUIET = 0.05
"""Seconds without a new request after which a batch begins."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: Request
    enough: int
    future: Future[Response] = field(default_factory=Future["Response"])


class Desk:
    """Takes requests from any thread, and answers each by a future."""

    def __init__(self, loaded: LoadedModel, engine: Engine) -> None:
        self.loaded, self.engine = loaded, engine
        self._queue: SimpleQueue[_Waiting] = SimpleQueue()
        Thread(target=self._work, name=f"steergap {loaded.name}", daemon=True).start()

    def submit(self, request: Request, *, enough: int = 0) -> Future[Response]:
        """enough: as many waiting rows as there can be at once, so that none is waited for; 0: unknown."""
        waiting = _Waiting(request, enough)
        self._queue.put(waiting)
        return waiting.future

    def _work(self) -> None:
        while True:
            self._run([one for one in self._gather() if one.future.set_running_or_notify_cancel()])

    def _gather(self) -> list[_Waiting]:
        found = [self._queue.get()]
        while not len(found) >= found[0].enough > 0:
            try:
                found.append(self._queue.get(timeout=QUIET))
            except Empty:
                break
        return found

    def _run(self, batch: list[_Waiting]) -> None:
        """Equal requests are generated once. An error is that of every row that has no response."""
        left: dict[str, list[Future[Response]]] = {}
        for one in batch:
            left.setdefault(one.request.key, []).append(one.future)
        try:
            for response in self.engine.generate({one.request.key: one.request for one in batch}.values()):
                for future in left.pop(response.key):
                    future.set_result(response)
        except Exception as error:  # carried to those who asked
            for futures in left.values():
                for future in futures:
                    future.set_exception(error)


@cache
def desk_of(choice: ModelChoice) -> Desk:
    """Load a model, once a process. Raises UserError."""
    from steer import models
    from steer.engines import make_engine

    loaded = models.load(
        choice.model,
        revision=choice.revision,
        dtype=choice.dtype,
        device=choice.device,
        device_map=choice.device_map,
    )
    for reason in loaded.reasons:
        log.info(reason)
    return Desk(loaded, make_engine(choice.engine, loaded, batch=choice.batch, say=log.warning))
