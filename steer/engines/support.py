"""What the slot engine cannot run, as far as a configuration says. It does not know how the engine works."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from steer.ropes import own_positions
from steer.types import LoadedModel, Request

MOST_HEAD = 256


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


def not_fast(loaded: LoadedModel, *, graphs: bool) -> str:
    """Why the fast path of the slot engine's decode steps cannot run a model it can run, or ""."""
    if not loaded.device.startswith("cuda") or loaded.module.dtype.itemsize != 2:
        return f"it wants a CUDA device and 16 bit (--dtype bfloat16), not {loaded.dtype} on {loaded.device}"
    if graphs and len({parameter.device for parameter in loaded.module.parameters()}) > 1:
        return "it lies on several devices, and a graph is of one"
    config: Any = loaded.module.config.get_text_config(decoder=True)
    if (size := head_size(config)) > MOST_HEAD or size % 8:
        return f"its heads have {size} numbers: FlashAttention takes multiples of 8 up to {MOST_HEAD}"
    return ""


def heads_of(config: Any) -> tuple[int, int]:
    """Query heads and key-value heads of a layer."""
    heads: int = config.num_attention_heads
    return heads, getattr(config, "num_key_value_heads", None) or heads


def head_size(config: Any) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


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
