"""Where a model's decoder blocks lie, and the residual stream in what a block returns.

It does not know what is read from the stream or done to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from steer.elsewhere import once
from steer.engines.batching import pad_left
from steer.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from steer.types import LoadedModel

LAYER_PATHS = (
    "model.layers",
    "model.language_model.layers",
    "model.decoder.layers",
    "transformer.h",
    "transformer.blocks",
    "gpt_neox.layers",
    "backbone.layers",
)

FINAL_NORMS = (
    "norm",
    "ln_f",
    "norm_f",
    "final_layer_norm",
    "final_layernorm",
    "embedding_norm",
    "final_norm",
)


def decoder_layers(module: nn.Module) -> tuple[str, list[nn.Module]]:
    """The attribute path and the decoder blocks of a causal language model."""
    for path in LAYER_PATHS:
        found: object = module
        for name in path.split("."):
            found = getattr(found, name, None)
        if found is not None:
            return path, list(cast("nn.ModuleList", found))
    raise UserError(
        f"cannot find the decoder layers of {type(module).__name__}: looked for the attributes "
        f"{', '.join(LAYER_PATHS)}; use a decoder-only model of transformers"
    )


def final_norm(module: nn.Module) -> nn.Module | None:
    """What reads the last decoder block's output: the norm before the unembedding, if there is one."""
    path, _ = decoder_layers(module)
    parent = module.get_submodule(path.rpartition(".")[0])
    return next((getattr(parent, name) for name in FINAL_NORMS if hasattr(parent, name)), None)


def stream(output: Any, d_model: int) -> Tensor:
    """The residual stream [row, position, d_model] of a block's output: it, or the first of a tuple."""
    hidden = cast("Tensor", output[0] if isinstance(output, tuple | list) else output)
    if hidden.dim() != 3 or hidden.shape[-1] != d_model:
        raise UserError(
            f"a block of this model gives {tuple(hidden.shape)}, not [row, position, {d_model}]: vectors "
            "cannot be read from it or added to it; steer it by a suffix"
        )
    return hidden


def with_stream(output: Any, hidden: Tensor) -> Any:
    """A block's output with another stream in it."""
    return (hidden, *cast("tuple[Any, ...]", output)[1:]) if isinstance(output, tuple | list) else hidden


def check_stream(loaded: LoadedModel) -> None:
    """Raise UserError unless vectors can be read from each block's stream and added to it: two tiny forwards.

    A row's stream must be the same beside a longer one, padded: what reads streams reads them in batches.
    """
    once(loaded, _check_stream)


def _check_stream(loaded: LoadedModel) -> None:
    long, short = tuple(range(1, 9)), (5, 3, 4)
    beside = _streams(loaded, [long, short])
    tolerance = 0.1 if loaded.module.dtype.itemsize < 4 else 1e-3
    for layer, (whole, alone) in enumerate(zip(beside, _streams(loaded, [short]), strict=True)):
        off = float((whole[1, -len(short) :] - alone[0]).norm() / alone[0].norm())
        if not off <= tolerance:
            raise UserError(
                f"pads before a row change its stream at layer {layer} by {off:.2g} of its length (allowed "
                f"{tolerance:g}): vectors cannot be read from this model; steer it by a suffix"
            )


def _streams(loaded: LoadedModel, rows: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """The stream [row, position, d_model] after each block, fp32, of left-padded rows."""
    import torch

    found: list[Tensor] = []

    def keep(_module: nn.Module, _args: object, output: Any) -> None:
        found.append(stream(output, loaded.d_model).float())

    handles = [block.register_forward_hook(keep) for block in decoder_layers(loaded.module)[1]]
    ids, mask, positions = pad_left(rows, 9, loaded.module.device)  # no padding token: its embedding is 0
    given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions.clamp(min=0)}
    try:
        with torch.inference_mode():
            loaded.module(**given, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return found
