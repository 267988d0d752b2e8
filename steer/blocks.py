"""Where a model's decoder blocks lie, and the residual stream in what a block returns.

It does not know what is read from the stream or done to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

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


def stream(output: Any) -> Tensor:
    """The residual stream [row, position, d_model] of a block's output: it, or the first of a tuple."""
    hidden = cast("Tensor", output[0] if isinstance(output, tuple | list) else output)
    if hidden.dim() != 3:
        raise UserError(
            f"a block of this model gives {hidden.dim()} axes ({tuple(hidden.shape)}), not row, position and "
            "d_model: vectors cannot be read from it or added to it; steer it by a suffix"
        )
    return hidden


def with_stream(output: Any, hidden: Tensor) -> Any:
    """A block's output with another stream in it."""
    return (hidden, *cast("tuple[Any, ...]", output)[1:]) if isinstance(output, tuple | list) else hidden


def check_stream(loaded: LoadedModel) -> None:
    """Raise UserError unless every block gives a stream that vectors can be added to: one token's forward."""
    import torch

    def check(_module: nn.Module, _args: object, output: Any) -> None:
        stream(output)

    handles = [block.register_forward_hook(check) for block in decoder_layers(loaded.module)[1]]
    first = torch.zeros(1, 1, dtype=torch.int64, device=loaded.module.device)
    try:
        with torch.inference_mode():
            loaded.module(input_ids=first, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
