"""Work on a model's weights where they are: in this process, or with workers that hold replicas.

It does not know what the work is, or how workers are reached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypedDict, TypeVar

Found = TypeVar("Found")


class Described(TypedDict):
    """How many workers there are, and of what devices, by place."""

    n: int
    devices: dict[str, str]


class Workers(Protocol):
    """Replicas of a model in processes of their own: what a model without weights has instead of them."""

    def each(self, function: Callable[..., Found], parts: Iterable[tuple[Any, ...]]) -> Iterator[Found]:
        """`function(loaded, *part)` of each part, on any worker, in the order of the parts.

        function: a module's own; it, the parts and what it finds are pickled.
        """
        ...

    @property
    def described(self) -> Described: ...

    def standing(self) -> str:
        """How it goes, for a line of progress."""
        ...

    def close(self) -> None: ...


class Model(Protocol):
    """What is needed of a `steer.types.LoadedModel` here."""

    @property
    def workers(self) -> Workers | None: ...


def each(loaded: Model, function: Callable[..., Found], parts: Iterable[tuple[Any, ...]]) -> Iterator[Found]:
    """`function(loaded, *part)` of each part, in their order, wherever the model is."""
    if loaded.workers is not None:
        yield from loaded.workers.each(function, parts)
        return
    for part in parts:
        yield function(loaded, *part)


def once(loaded: Model, function: Callable[..., Found], *arguments: Any) -> Found:
    """`function(loaded, *arguments)`, wherever the model is."""
    (found,) = each(loaded, function, [arguments])
    return found
