"""What a free worker does next: work cut into parts, and what becomes of a part whose worker was lost.

It knows nothing of Ray, or of how a worker does its part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from steer.errors import UserError
from steer.types import Request, Response

LOSSES = 3
"""A row, or a part, that so many workers were lost over is not tried again."""

SUSPECTS = 16
"""Rows a part after one loss; after two, a row goes alone."""

LEAST = 8
"""Rows of a part, while there are as many."""

POISONED = 4
"""Rows that end their workers before a run stops at once: it is not the rows then."""

AHEAD = 4
"""Parts a worker that may be done before the one that is due."""


class RowError(UserError):
    """A row ends every worker it meets; all others are done."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(
            f"row {key[:12]}: {LOSSES} workers were lost over it ({why}); the other rows are kept"
        )
        self.key, self.why = key, why


@dataclass(slots=True, eq=False)
class Part:
    """What one worker is told: a method of its and arguments.

    rows: those to generate that have not come back. done: nothing more is to come.
    """

    method: str
    arguments: tuple[Any, ...]
    rows: dict[str, Request] = field(default_factory=dict[str, Request])
    place: int = 0
    losses: int = 0
    done: bool = False


class Parts(Protocol):
    """Work in parts."""

    def take(self, workers: int) -> Part | None:
        """The next part, for one of so many workers; None while there is none."""
        ...

    def came(self, part: Part, item: Any) -> Iterable[Any]:
        """Something came back; what of it (or of what came before) can go on."""
        ...

    def lost(self, part: Part, why: str) -> None:
        """The part's worker is gone; UserError where nothing should be tried again."""
        ...


class Rows:
    """Rows to generate. Parts hold whole prompts, which a worker then computes once.

    They are half of what is left for each worker, so large at first and small at the end (factoring, as in
    Hummel, Schonberg and Flynn 1992): whoever is slower, all end at about the same time. One worker has no
    one to wait for.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        groups: dict[object, list[Request]] = {}
        for request in requests:
            groups.setdefault((request.adapter, request.prompt_ids), []).append(request)
        self._groups = list(groups.values())[::-1]  # the next one is the last
        self._left = len(requests)
        self._losses: Counter[str] = Counter()
        self._suspects: list[Request] = []
        self._poison: dict[str, str] = {}

    def take(self, workers: int) -> Part | None:
        chosen = self._suspicious() or self._whole(workers)
        self._left -= len(chosen)
        return Part("generate", (chosen,), {r.key: r for r in chosen}) if chosen else None

    def _whole(self, workers: int) -> list[Request]:
        share = self._left if workers == 1 else -(-self._left // (2 * workers))
        size, chosen = max(share, LEAST), list[Request]()
        while self._groups and len(chosen) < size:
            group = self._groups.pop()
            if chosen and len(chosen) + len(group) > size:
                self._groups.append(group)
                break
            if len(group) > 2 * size:  # near the end a prompt is computed twice, so that none waits
                self._groups.append(group[size:])
                group = group[:size]
            chosen += group
        return chosen

    def _suspicious(self) -> list[Request]:
        if not self._suspects:
            return []
        count = SUSPECTS if self._losses[self._suspects[-1].key] == 1 else 1
        chosen, self._suspects = self._suspects[-count:], self._suspects[:-count]
        return chosen

    def came(self, part: Part, item: Sequence[Response]) -> Iterator[Response]:
        for response in item:
            del part.rows[response.key]
        part.done = not part.rows
        yield from item

    def lost(self, part: Part, why: str) -> None:
        self._losses.update(list(part.rows))
        for key, request in part.rows.items():
            if self._losses[key] < LOSSES or len(part.rows) > 1:
                self._suspects.append(request)
                self._left += 1
            else:
                self._poison[key] = why
        self._suspects.sort(key=lambda request: -self._losses[request.key])  # rows alone come last
        if len(self._poison) >= POISONED:
            self.conclude()

    def conclude(self) -> None:
        """Raise RowError if a row was given up."""
        for key, why in self._poison.items():
            raise RowError(key, why)


class InOrder:
    """Parts of any kind, each with one answer; the answers go on in the order of the parts."""

    def __init__(self, parts: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
        self._parts = enumerate(parts)
        self._again: list[Part] = []
        self._ready: dict[int, Any] = {}
        self._due = self._taken = 0

    def take(self, workers: int) -> Part | None:
        if self._again:
            return self._again.pop()
        if self._taken - self._due >= AHEAD * workers:
            return None
        for place, (method, arguments) in self._parts:
            self._taken = place + 1
            return Part(method, arguments, place=place)
        return None

    def came(self, part: Part, item: Any) -> Iterator[Any]:
        self._ready[part.place], part.done = item, True
        while self._due in self._ready:
            yield self._ready.pop(self._due)
            self._due += 1

    def lost(self, part: Part, why: str) -> None:
        part.losses += 1
        if part.losses >= LOSSES:
            raise UserError(f"{LOSSES} workers were lost over the same part of the work: {why}")
        self._again.append(part)


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of so many items, the last perhaps shorter."""
    part: list[Any] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
