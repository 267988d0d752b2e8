"""Engines: they turn requests into responses, steered row by row.

`reference` is plain batched generation under nnsight; `slots` is the fast one and must equal it;
`proven` is what the rest of the program gets: the first of them that proves itself on what is asked;
`replicas` is many of those, in processes of their own, here or on other machines.
They know nothing of scenarios, arms' names, judges or stores.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal, cast, get_args

from steer.errors import UserError, choose

if TYPE_CHECKING:
    from steer.engines.proven import ProvenEngine
    from steer.engines.slots import Fast
    from steer.types import Engine, LoadedModel

EngineKind = Literal["auto", "slots", "slots+attention", "slots+graphs", "nnsight"]
ENGINES: tuple[EngineKind, ...] = get_args(EngineKind)


def make_engine(
    kind: str, loaded: LoadedModel, *, batch: int | None = None, say: Callable[[str], None] = print
) -> ProvenEngine:
    """The engine of a kind. `auto` takes `slots` where it can run the model and proves itself on what it
    is asked, else `nnsight`; `say` hears why. What follows `slots+` is of its fast path: UserError where the
    model or its device has none.

    batch: the most rows at once; by default as many as memory holds.
    """
    from steer.engines.proven import ProvenEngine
    from steer.engines.support import not_fast, unsupported

    choose(kind, ENGINES, what="engine")
    kinds, why = ["slots", "nnsight"] if kind == "auto" else [kind], ""
    if kind == "auto" and (reason := unsupported(loaded)):
        kinds, why = ["nnsight"], f"the slot engine cannot run {loaded.name}: {reason}"
        say(f"engine: nnsight, because {why}")
    if "+" in kind and (reason := not_fast(loaded, graphs=kind == "slots+graphs")):
        raise UserError(f"the fast path of decode steps cannot run {loaded.name}: {reason}; leave it out")
    makers = [partial(bare_engine, one, loaded, batch=batch) for one in kinds]
    if not kind.startswith("slots"):  # a model that reads pads is right without them
        makers.append(partial(bare_engine, "nnsight", loaded, batch=1))
    return ProvenEngine(loaded, makers, say=say, reason=why)


def bare_engine(kind: str, loaded: LoadedModel, *, batch: int | None = None) -> Engine:
    """The engine `slots` (or one of its fast paths) or `nnsight` itself, unproven."""
    base, _, fast = kind.partition("+")
    if base == "slots":
        from steer.engines.slots import SlotEngine

        return SlotEngine(loaded, batch=batch, fast=cast("Fast", fast) if fast else None)
    from steer.engines.reference import ReferenceEngine

    return ReferenceEngine(loaded, batch=batch)
