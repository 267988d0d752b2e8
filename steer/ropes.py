"""How many positions a row may have before its text depends on the rows beside it.

Rotary frequencies of the types `dynamic` and `longrope` (`transformers.modeling_rope_utils`) follow the
longest row of a forward beyond the length the model was first trained on: there, rows run one by one.
It does not know engines or steering.
"""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import TYPE_CHECKING, Any, cast

from steer.texts import JsonObject

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NEVER = 2**62
"""More positions than any row has."""


def own_positions(module: PreTrainedModel) -> int:
    """A row of fewer positions has the same frequencies in every batch; NEVER where all rows have."""
    config: Any = module.config.get_text_config(decoder=True)
    found: JsonObject = getattr(config, "rope_parameters", None) or {}
    # one for all layers, or one a kind of layer
    nested = [cast("JsonObject", one) for one in found.values() if isinstance(one, Mapping)]
    bounds = [NEVER]
    for rope in nested or [found]:
        if rope.get("rope_type") == "dynamic":
            bounds.append(config.max_position_embeddings)
        elif rope.get("rope_type") == "longrope":
            # the configuration's own, where it has one, is where the model throws its cache away
            bounds += [rope["original_max_position_embeddings"]]
            bounds += [getattr(config, "original_max_position_embeddings", None) or NEVER]
    return min(bounds)


def apart(module: PreTrainedModel, rows: Sized, longest: int) -> bool:
    """Whether these rows, of `longest` positions at most, must run one by one.

    A row alone begins at the original frequencies: dynamic ones remember the longest row so far, until
    a forward shorter than the original length.
    """
    import torch

    if longest < own_positions(module):
        return False
    if len(rows) == 1:
        with torch.inference_mode():
            module(input_ids=torch.zeros(1, 1, dtype=torch.int64, device=module.device), use_cache=False)
    return len(rows) > 1
