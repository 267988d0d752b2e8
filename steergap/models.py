"""Models loaded once a process, each with one engine, on which rows of all arms run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from steer.types import LoadedModel, Request, Response
from steergap.desk import Desk

if TYPE_CHECKING:
    from steer.types import Engine
    from steergap.arguments import ModelChoice

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A model, its engine, and where rows wait for it."""

    loaded: LoadedModel
    engine: Engine
    desk: Desk[Request, Response]


@cache
def ready(choice: ModelChoice) -> Ready:
    """Load a model. Raises UserError."""
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
    engine = make_engine(choice.engine, loaded, batch=choice.batch, say=log.warning)

    def work(requests: list[Request]) -> Iterator[tuple[str, Response]]:
        return ((response.key, response) for response in engine.generate(requests))

    return Ready(loaded, engine, Desk(work))
