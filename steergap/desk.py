"""What waits at the same time is done together: rows by one engine, answers by one judge.

It does not know messages, arms or Inspect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

from steer.errors import UserError

Asked = TypeVar("Asked")
Found = TypeVar("Found")

QUIET = (0.02, 0.5)
"""Seconds without a new question after which a batch begins: SHARE of the last batch's, within these."""
SHARE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[Asked, Found]):
    key: str
    asked: Asked
    enough: int
    future: Future[Found]


class Desk(Generic[Asked, Found]):
    """Takes questions from any thread and answers each by a future; a thread of its own does the work.

    work: (key, answer) of every question of a batch, in any order. Equal keys are one question.
    """

    def __init__(self, work: Callable[[list[Asked]], Iterable[tuple[str, Found]]]) -> None:
        self._work = work
        self._queue: SimpleQueue[_Waiting[Asked, Found]] = SimpleQueue()
        self._quiet = 0.2
        Thread(target=self._serve, daemon=True).start()

    def submit(self, key: str, asked: Asked, *, enough: int = 0) -> Future[Found]:
        """enough: as many as can wait at once, so that no more are waited for; 0: unknown."""
        waiting: _Waiting[Asked, Found] = _Waiting(key, asked, enough, Future())
        self._queue.put(waiting)
        return waiting.future

    def _serve(self) -> None:
        while True:
            self._run([one for one in self._gather() if one.future.set_running_or_notify_cancel()])

    def _gather(self) -> list[_Waiting[Asked, Found]]:
        found = [self._queue.get()]
        while not len(found) >= found[0].enough > 0:
            try:
                found.append(self._queue.get(timeout=self._quiet))
            except Empty:
                break
        return found

    def _run(self, batch: list[_Waiting[Asked, Found]]) -> None:
        """An error is that of everything that has no answer yet."""
        left: dict[str, list[Future[Found]]] = {}
        for one in batch:
            left.setdefault(one.key, []).append(one.future)
        began = time.monotonic()
        error: Exception = UserError("it was left without an answer: --max-calls is used up")
        try:
            for key, answer in self._work(list({one.key: one.asked for one in batch}.values())):
                for future in left.pop(key):
                    future.set_result(answer)
        except Exception as raised:  # carried to those who asked
            error = raised
        least, most = QUIET
        self._quiet = min(most, max(least, SHARE * (time.monotonic() - began)))
        for future in (future for futures in left.values() for future in futures):
            future.set_exception(error)
