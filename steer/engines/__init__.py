"""Engines: they turn requests into responses, steered row by row.

`reference` is plain batched generation under nnsight; `slots` is the fast one and must equal it.
They know nothing of scenarios, arms' names, judges or stores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

from steer.errors import choose

if TYPE_CHECKING:
    from steer.types import Engine, LoadedModel

EngineKind = Literal["auto", "slots", "nnsight"]
ENGINES: tuple[EngineKind, ...] = get_args(EngineKind)


def make_engine(
    kind: str, loaded: LoadedModel, *, batch: int | None = None, say: Callable[[str], None] = print
) -> Engine:
    """The engine of a kind. `auto` takes `slots` where it can run the model; `say` hears why it cannot.

    batch: the most rows at once; by default as many as memory holds.
    """
    choose(kind, ENGINES, what="engine")
    if kind != "nnsight":
        from steer.engines.slots import SlotEngine, unsupported

        reason = unsupported(loaded)
        if kind == "slots" or not reason:
            return SlotEngine(loaded, batch=batch)
        say(f"engine: nnsight, because the slot engine cannot run {loaded.name}: {reason}")
    from steer.engines.reference import ReferenceEngine

    return ReferenceEngine(loaded, batch=batch)
