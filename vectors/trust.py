"""How far a direction can be trusted: figures a layer.

It does not know contrasts, engines or files; it gets matrices, labels and directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from steer.blocks import final_norm
from steer.elsewhere import once
from vectors.directions import Recipe, cosine, equal_weights

if TYPE_CHECKING:
    from torch import Tensor

    from steer.types import LoadedModel

SPLITS = 5
FOLDS = 5
TOKENS = 10
VOCABULARY_BLOCK = 16384


def split_half(positive: Tensor, negative: Tensor, strata: Sequence[str], recipe: Recipe) -> float | None:
    """Mean cosine of the directions of two random halves (stratified), over SPLITS splits."""
    import torch

    generator = torch.Generator().manual_seed(0)
    found: list[float] = []
    for _ in range(SPLITS):
        parts = _parts(strata, 2, generator)
        halves = [_directed(positive, negative, strata, part, recipe) for part in parts if len(part) >= 2]
        if len(halves) == 2:
            found.append(cosine(*halves))
    return sum(found) / len(found) if found else None


def held_out(
    positive: Tensor, negative: Tensor, strata: Sequence[str], recipe: Recipe
) -> tuple[float | None, float | None]:
    """(AUC, Cohen's d) of projections of pairs that the direction was not made from; the mean over FOLDS."""
    import torch

    generator = torch.Generator().manual_seed(0)
    parts = _parts(strata, FOLDS, generator)
    aucs: list[float] = []
    effects: list[float] = []
    for k, part in enumerate(parts):
        rest = [i for j, other in enumerate(parts) if j != k for i in other]
        if len(part) < 2 or len(rest) < 2:
            continue
        direction = _directed(positive, negative, strata, sorted(rest), recipe).double()
        p, n = positive[part].double() @ direction, negative[part].double() @ direction
        aucs.append(_auc(p, n))
        spread = ((p.var() + n.var()) / 2).sqrt().item()
        if spread > 0:
            effects.append((p.mean() - n.mean()).item() / spread)
    return (
        sum(aucs) / len(aucs) if aucs else None,
        sum(effects) / len(effects) if effects else None,
    )


def within_auc(
    scores: Tensor, positive: Sequence[bool], categories: Sequence[str]
) -> tuple[float | None, int]:
    """AUC over pairs of a positive and a negative item of one category; (AUC, number of such pairs)."""
    import torch

    won, count = 0.0, 0
    labels = torch.tensor(positive, dtype=torch.bool)
    for category in dict.fromkeys(categories):
        inside = torch.tensor([c == category for c in categories])
        p, n = scores[inside & labels], scores[inside & ~labels]
        if len(p) and len(n):
            won += _auc(p, n) * len(p) * len(n)
            count += len(p) * len(n)
    return (won / count if count else None), count


def cross_fitted_auc(
    scores: Tensor,
    positive: Sequence[bool],
    categories: Sequence[str],
    layers: Sequence[int],
) -> tuple[float | None, list[int]]:
    """AUC within category at the layer that is best on the other half of the items, and the layers chosen.

    scores: `[item, layer]`.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    strata = [f"{c}/{p}" for c, p in zip(categories, positive, strict=True)]
    halves = _parts(strata, 2, generator)
    chosen: list[int] = []
    found: list[tuple[float, int]] = []
    for here, there in (halves, halves[::-1]):

        def auc_of(k: int, items: list[int]) -> tuple[float | None, int]:
            return within_auc(scores[items, k], [positive[i] for i in items], [categories[i] for i in items])

        best = max(range(len(layers)), key=lambda k: auc_of(k, there)[0] or 0.0)
        value, count = auc_of(best, here)
        if value is not None:
            chosen.append(layers[best])
            found.append((value, count))
    total = sum(count for _, count in found)
    return (sum(v * c for v, c in found) / total if total else None), chosen


def unembedding_tokens(
    loaded: LoadedModel, directions: dict[int, Tensor], suffix_ids: Sequence[int]
) -> dict[int, tuple[tuple[str, ...], tuple[str, ...], str, float | None]]:
    """Layer -> (tokens promoted, tokens demoted, suffix token most like d, its cosine with signs).

    By the unembedding of the direction after the final norm (whose gain applies to every dimension);
    the cosine is that of the normed direction with the token's unembedding.
    """
    return once(loaded, _unembedding_tokens, directions, suffix_ids)


def _unembedding_tokens(
    loaded: LoadedModel, directions: dict[int, Tensor], suffix_ids: Sequence[int]
) -> dict[int, tuple[tuple[str, ...], tuple[str, ...], str, float | None]]:
    import torch

    weight: Tensor = cast("Any", loaded.module.get_output_embeddings()).weight
    layers = sorted(directions)
    logits, lengths = through_head(loaded, torch.stack([directions[layer] for layer in layers]))
    suffix = sorted({i for i in suffix_ids if i < logits.shape[1]})
    with torch.inference_mode():
        rows = weight[suffix].float().norm(dim=-1).cpu() if suffix else None
    tokenizer: Any = loaded.tokenizer
    found: dict[int, tuple[tuple[str, ...], tuple[str, ...], str, float | None]] = {}
    for k, layer in enumerate(layers):
        order = logits[k].argsort(descending=True)
        promoted = tuple(tokenizer.decode([int(i)]) for i in order[:TOKENS])
        demoted = tuple(tokenizer.decode([int(i)]) for i in order.flip(0)[:TOKENS])
        word, likeness = "", None
        if rows is not None:
            cosines = logits[k, suffix] / (rows * lengths[k]).clamp(min=1e-30)
            best = int(cosines.abs().argmax())
            word, likeness = tokenizer.decode([suffix[best]]), cosines[best].item()
        found[layer] = (promoted, demoted, word, likeness)
    return found


def through_head(loaded: LoadedModel, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Directions [row, d_model], of unit length, through the final norm and the unembedding.

    Logits [row, token] of the tokenizer's tokens, and lengths [row] after the norm; fp32 on the CPU.
    """
    import torch

    norm = final_norm(loaded.module)
    weight: Tensor = cast("Any", loaded.module.get_output_embeddings()).weight
    size = min(len(cast("Any", loaded.tokenizer)), weight.shape[0])
    with torch.inference_mode():
        stacked = directions / directions.norm(dim=-1, keepdim=True)
        if norm is not None:
            stacked = norm(stacked.to(weight.device, weight.dtype))
        stacked = stacked.to(weight.device).float()
        blocks = (weight[at : min(at + VOCABULARY_BLOCK, size)] for at in range(0, size, VOCABULARY_BLOCK))
        logits = torch.cat([stacked @ block.float().T for block in blocks], dim=1)
    return logits.cpu(), stacked.norm(dim=-1).cpu()


def _parts(strata: Sequence[str], count: int, generator: Any) -> list[list[int]]:
    """Items dealt at random into `count` parts, stratum by stratum, so that sizes differ by one at most."""
    import torch

    parts: list[list[int]] = [[] for _ in range(count)]
    turn = 0
    for name in dict.fromkeys(strata):
        members = [i for i, s in enumerate(strata) if s == name]
        for j in torch.randperm(len(members), generator=generator).tolist():
            parts[turn % count].append(members[j])
            turn += 1
    return [sorted(part) for part in parts]


def _directed(
    positive: Tensor, negative: Tensor, strata: Sequence[str], items: Sequence[int], recipe: Recipe
) -> Tensor:
    chosen = list(items)
    return recipe(positive[chosen], negative[chosen], equal_weights([strata[i] for i in chosen]))


def _auc(positive: Tensor, negative: Tensor) -> float:
    """P(positive > negative) + P(equal) / 2."""
    differences = positive[:, None] - negative[None, :]
    return ((differences > 0).double().mean() + (differences == 0).double().mean() / 2).item()
