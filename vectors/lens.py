"""What a direction says: the tokens it raises and lowers through final norm and unembedding (the logit lens),
beside what random directions raise; and which heads and MLPs write along it (direct attribution).

The lens is the model's own head. Attribution reads every part's output through TransformerLens, whose import
is slow; where it does not know the family, or the parts do not add up to the stream, there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from steer.elsewhere import once
from steer.errors import UserError
from steer.intervals import Array, Interval
from steer.resampling import bootstrap_weights, percentile_interval
from steer.results.mechanism import TokensAt
from vectors.trust import TOKENS, through_head

if TYPE_CHECKING:
    from torch import Tensor

    from steer.types import LoadedModel

RANDOM = 20
TOP = 10
EXACT = 1e-5
"""Of a row's stream: parts that miss it by more are not all of it (fp32 rounding is under 1e-6)."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one part writes along a direction under pro more than under anti, in units of the stream."""

    part: str
    mean: float
    ci: Interval


def lens(loaded: LoadedModel, directions: Mapping[int, Tensor]) -> list[TokensAt]:
    """A layer's direction through the head, each layer's, in their order."""
    return once(loaded, _lens, dict(directions))


def _lens(loaded: LoadedModel, directions: Mapping[int, Tensor]) -> list[TokensAt]:
    import torch

    layers = sorted(directions)
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(RANDOM, loaded.d_model, generator=generator)
    logits, _ = through_head(loaded, torch.cat([torch.stack([directions[k] for k in layers]), random]))
    scores = (logits - logits.mean(-1, keepdim=True)) / logits.std(-1, keepdim=True)
    chance = float(scores[len(layers) :].max(-1).values.mean())
    tokenizer: Any = loaded.tokenizer

    def words(order: Tensor) -> tuple[str, ...]:
        return tuple(tokenizer.decode([i]) for i in order[:TOKENS].tolist())

    return [
        TokensAt(
            layer=layer,
            raises=words(row.argsort(descending=True)),
            lowers=words(row.argsort()),
            strongest=float(row.max()),
            random=chance,
        )
        for layer, row in zip(layers, scores, strict=False)
    ]


def attributed(
    loaded: LoadedModel,
    pairs: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
    categories: Sequence[str],
    direction: Tensor,
    layer: int,
) -> tuple[list[Written], int]:
    """The TOP parts up to a layer that write along d/|d| more, or less, under pro than under anti prompts.

    pairs: token ids of both, read at the last position. Means with a bootstrap over pairs; and how many parts
    there are. The model is rewired: it serves nothing else after that. Raises UserError for a family that
    TransformerLens does not know.
    """
    bridge = bridged(loaded)
    sides = [[_parts(bridge, ids, direction, layer) for ids in side] for side in zip(*pairs, strict=True)]
    names = list(sides[0][0])
    change: Array = _table(sides[0], names) - _table(sides[1], names)  # [pair, part]
    weights = bootstrap_weights(categories, seed=0)
    found = [
        Written(name, float(own.mean()), percentile_interval(weights @ own / len(own)) or (0.0, 0.0))
        for name, own in zip(names, change.T, strict=True)
    ]
    return sorted(found, key=lambda one: -abs(one.mean))[:TOP], len(found)


def bridged(loaded: LoadedModel) -> Any:
    """TransformerLens's view of a loaded model, which it rewires."""
    from transformer_lens.model_bridge import TransformerBridge

    try:
        return TransformerBridge.boot_transformers(
            loaded.name,
            hf_model=loaded.module,
            tokenizer=loaded.tokenizer,
            device=loaded.device,
            dtype=loaded.module.dtype,
        )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise UserError(
            f"attribution is missing: transformer-lens does not know {loaded.name!r} ({str(error)[:120]})"
        ) from error


def _table(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> Array:
    import numpy as np

    return np.array([[row[name] for name in names] for row in rows])


def _parts(bridge: Any, ids: tuple[int, ...], direction: Tensor, layer: int) -> dict[str, float]:
    """What each part writes along d/|d| at the last position; in sum the stream's projection there."""
    import torch

    with torch.inference_mode():
        _, cache = bridge.run_with_cache(torch.tensor([ids], device=bridge.cfg.device))

    def at(name: str) -> Tensor:
        found: Tensor = cache[f"blocks.{name}"][0, -1].double().cpu()
        return found

    unit = direction.double() / direction.double().norm()
    found = {"embedding": float(at("0.hook_resid_pre") @ unit)}
    for block in range(layer + 1):
        attention = at(f"{block}.hook_attn_out")
        heads = (
            cast("Tensor", bridge.blocks[block].attn.W_O).detach().double().cpu()
        )  # [head, d_head, d_model]
        mixed = at(f"{block}.attn.hook_z").reshape(len(heads), -1)
        own = torch.einsum("hd,hdm,m->h", mixed, heads, unit)
        found |= {f"L{block} head {head}": float(value) for head, value in enumerate(own)}
        found[f"L{block} attention bias"] = float(attention @ unit - own.sum())
        found[f"L{block} MLP"] = float(at(f"{block}.hook_mlp_out") @ unit)
    stream = at(f"{layer}.hook_resid_post")
    off = abs(sum(found.values()) - float(stream @ unit))
    if off > EXACT * float(stream.norm()):
        raise UserError(
            "attribution is missing: what transformer-lens sees of this model's parts misses its stream by "
            f"{off:.2g}"
        )
    return found
