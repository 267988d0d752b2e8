"""How many positions a model has: prompt and answer together.

Where positions are looked up (learned as in GPT-2 and OPT, tabled as in GPT-J), there is nothing beyond:
answers end there. Rotary ones go on, where the model was not trained. It does not know requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SPARE = 8
"""Rows a table of positions may have beyond those the configuration names (OPT's has 2)."""


def named(module: PreTrainedModel) -> int:
    """Positions that the configuration names, whatever they are called there; 0 where it names none."""
    config: Any = module.config.get_text_config(decoder=True)
    return int(getattr(config, "max_position_embeddings", None) or 0)


def bound(module: PreTrainedModel) -> int:
    """Positions that the model looks up in a table; 0 where it can compute any.

    A table of positions is an embedding other than the tokens', or a buffer [position, dim], of as many
    rows as positions are named.
    """
    from torch import nn

    positions = named(module)
    tokens = module.get_input_embeddings()
    rows = [m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding) and m is not tokens]
    rows += [len(buffer) for buffer in module.buffers() if buffer.dim() == 2]
    return positions if any(0 < positions <= count <= positions + SPARE for count in rows) else 0
