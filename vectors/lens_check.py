"""A second opinion on capture: the same rows through TransformerLens, and the largest difference a layer.

Imports transformer_lens (slow, and it pulls in wandb and datasets), so import this only when asked to check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vectors.capture import Row, capture

if TYPE_CHECKING:
    from steer.types import LoadedModel


def largest_differences(loaded: LoadedModel, path: str, rows: Sequence[tuple[int, ...]]) -> dict[int, float]:
    """Layer -> max |ours - TransformerLens's `hook_resid_post`| over the last position of `rows`.

    The bridge loads `path` itself: given a loaded model it would rewire it.
    """
    import torch
    from transformer_lens.model_bridge import TransformerBridge

    layers = list(range(loaded.n_layers))
    ours = capture(
        loaded,
        [Row(ids, len(ids) - 1, len(ids), i) for i, ids in enumerate(rows)],
        layers=layers,
        slots=len(rows),
    )
    bridge: Any = TransformerBridge.boot_transformers(path, device=loaded.device, dtype=loaded.module.dtype)
    worst = dict.fromkeys(layers, 0.0)
    for i, ids in enumerate(rows):
        with torch.inference_mode():
            _, cache = bridge.run_with_cache(torch.tensor([ids], device=loaded.device))
        for layer in layers:
            theirs = cache[f"blocks.{layer}.hook_resid_post"][0, -1].float().cpu()
            worst[layer] = max(worst[layer], (ours[i, layer] - theirs).abs().max().item())
    return worst
