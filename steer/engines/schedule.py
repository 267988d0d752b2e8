"""Which request enters next: the one expected to run longest, so that no long row is left for the end.

Lengths are learnt while the run goes: a row is expected to be as long as its prompt's rows and its
setting's rows were so far. Before anything is known, prompts and settings are taken evenly.
Order changes the time a run takes, never a row's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steer.types import Request

RELEARN = 32
"""Finished rows after which the queue is sorted again."""


class Queue:
    """The requests that wait."""

    def __init__(self, requests: Sequence[Request]) -> None:
        # a low-discrepancy shuffle (multiples of the golden ratio): every prompt and setting comes early
        order = sorted(range(len(requests)), key=lambda i: i * 0x9E3779B97F4A7C15 % 2**64)
        self._waiting = [requests[i] for i in order]
        self._lengths: dict[object, tuple[int, int]] = {}  # group -> (rows, tokens)
        self._fresh = 0
        self._sort()

    def __len__(self) -> int:
        return len(self._waiting)

    def ahead(self, count: int) -> list[Request]:
        """The next requests, in order."""
        return self._waiting[: -count - 1 : -1]

    def pop(self) -> Request:
        return self._waiting.pop()

    def put_back(self, requests: Iterable[Request]) -> None:
        self._waiting.extend(requests)

    def learn(self, request: Request, tokens: int) -> None:
        """Take the length of a finished row into account."""
        for group in (None, *_groups(request)):
            rows, total = self._lengths.get(group, (0, 0))
            self._lengths[group] = (rows + 1, total + tokens)
        self._fresh += 1
        if self._fresh >= RELEARN:
            self._fresh = 0
            self._sort()

    def _sort(self) -> None:
        self._waiting.sort(key=self._expected)  # stable; the last one is next

    def _expected(self, request: Request) -> float:
        """Additive in the prompt and the setting; the limit while nothing is known."""
        overall = self._mean(None)
        if overall is None:
            return float(request.limits.new)
        parts = [mean for group in _groups(request) if (mean := self._mean(group)) is not None]
        return min(sum(parts) - overall * (len(parts) - 1), float(request.limits.new))

    def _mean(self, group: object) -> float | None:
        rows, total = self._lengths.get(group, (0, 0))
        return total / rows if rows else None


def _groups(request: Request) -> tuple[object, object]:
    """What rows of like length share: the prompt, and the setting."""
    return request.prompt_ids, tuple(id(addition) for addition in request.additions)
