"""What the slot engine cannot run, as far as a configuration says. It does not know how the engine works."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from steer.ropes import own_positions
from steer.types import LoadedModel, Request


def unsupported(loaded: LoadedModel) -> str:
    """Why the slot engine cannot run a model, or ""."""
    config: Any = loaded.module.config.get_text_config(decoder=True)
    kinds = {kind for kind in getattr(config, "layer_types", None) or [] if kind != "full_attention"}
    if kinds:
        return f"it has layers of {', '.join(sorted(kinds))}"
    if not getattr(config, "layer_types", None) and getattr(config, "sliding_window", None):
        return f"it attends through a sliding window of {config.sliding_window}"
    if getattr(config, "is_encoder_decoder", False):
        return "it is an encoder-decoder"
    if getattr(config, "kv_lora_rank", None):
        return "it caches latents, not keys and values"
    if not getattr(config, "rope_parameters", None):
        return "its positions are not rotary"
    implementation = getattr(config, "_attn_implementation", "")
    if implementation not in ("sdpa", "eager"):
        return f"its attention implementation is {implementation!r} (allowed are sdpa and eager)"
    if not getattr(loaded.module, "_supports_attention_backend", False):
        return "its attention cannot be replaced through transformers' attention interface"
    if getattr(config, "attn_logit_softcapping", None):
        return "it caps its attention logits"
    return ""


def too_long(loaded: LoadedModel, requests: Iterable[Request]) -> str:
    """Why the slot engine cannot run rows of such a length on a model, or ""."""
    bound = own_positions(loaded.module)
    longest = max((len(request.prompt_ids) + request.limits.new for request in requests), default=0)
    if longest < bound:
        return ""
    return (
        f"prompt and new tokens may come to {longest}, and from {bound} on the model's rotary positions "
        "follow the longest row beside (fewer --new-tokens keep below)"
    )
