"""nnsight's view of a loaded model: the one place that imports it."""

from __future__ import annotations

import sys
from importlib import import_module
from operator import attrgetter
from typing import Any

from steer.blocks import decoder_layers
from steer.types import LoadedModel

ANYIO = {
    "anyio.abc": "SocketAttribute",
    "anyio.streams.file": "FileStreamAttribute",
    "anyio.streams.tls": "TLSAttribute",
}
"""The classes of anyio that cannot be made once every object has a `save`; it loads them when asked for."""


def traced(loaded: LoadedModel) -> tuple[Any, Any]:
    """(nnsight's model, its decoder blocks).

    nnsight hangs a `save` on every object of the process, and anyio, which judges behind endpoints and
    inspect_ai need, cannot be imported after that: so it comes first.
    """
    if "nnsight" not in sys.modules:  # else somebody brought it before, and it is too late
        for module, name in ANYIO.items():
            getattr(import_module(module), name)
    from nnsight import TransformersModel

    model: Any = TransformersModel(loaded.module, tokenizer=loaded.tokenizer)
    return model, attrgetter(decoder_layers(loaded.module)[0])(model)
