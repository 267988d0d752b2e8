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

SUSPECTS = 64
"""Rows a part at most after one loss; after two, a row goes alone."""

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

    def take(self, free: int) -> Part | None:
        """The next part, for one of the workers that are free; None while there is none."""
        ...

    def came(self, part: Part, item: Any) -> Iterable[Any]:
        """Something came back; what of it (or of what came before) can go on."""
        ...

    def lost(self, part: Part, why: str) -> None:
        """The part's worker is gone; UserError where nothing should be tried again."""
        ...


class Rows:
    """Rows to generate: what is left, in equal parts for the workers that are free, a prompt's rows together.

    An engine keeps its slots full until its part runs out, and then waits for the longest row. So parts are
    as few as can be: small ones at the end, as for loops of equal steps, would each cost such a wait
    (`benchmarks.scaling` has the figures).
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        groups: dict[object, list[Request]] = {}
        for request in requests:
            groups.setdefault((request.adapter, request.prompt_ids), []).append(request)
        self._left = [request for group in groups.values() for request in group]
        self._losses: Counter[str] = Counter()
        self._suspects: list[Request] = []
        self._poison: dict[str, str] = {}

    def take(self, free: int) -> Part | None:
        source = self._suspects or self._left
        count = -(-len(source) // free)
        if self._suspects:
            losses = self._losses[source[0].key]
            alike = sum(self._losses[request.key] == losses for request in source)
            count = min(-(-alike // free), SUSPECTS) if losses == 1 else 1
        chosen = source[:count]
        del source[:count]
        return Part("generate", (chosen,), {r.key: r for r in chosen}) if chosen else None

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
            else:
                self._poison[key] = why
        self._suspects.sort(key=lambda request: self._losses[request.key])  # rows alone come last
        if len(self._poison) >= POISONED:
            self.conclude()

    def conclude(self) -> None:
        """Raise RowError if a row was given up."""
        for key, why in self._poison.items():
            raise RowError(key, why)


class InOrder:
    """Parts of any kind, each with one answer; the answers go on in the order of the parts."""

    def __init__(self, parts: Iterable[tuple[str, tuple[Any, ...]]], *, workers: int) -> None:
        self._parts, self._ahead = enumerate(parts), AHEAD * workers
        self._again: list[Part] = []
        self._ready: dict[int, Any] = {}
        self._due = self._taken = 0

    def take(self, free: int) -> Part | None:
        if self._again:
            return self._again.pop()
        if self._taken - self._due >= self._ahead:
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
