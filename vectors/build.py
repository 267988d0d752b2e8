"""From captured activations to a vector: directions, norms, projections, trust figures, provenance.

It does not generate, judge or write; answers come in labelled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from steer.chat import reads_clock, template_of
from steer.errors import UserError
from steer.suffixes import OURS, SuffixSet
from steer.types import LoadedModel, Span
from vectors import trust
from vectors.activations import Captured, cached_capture
from vectors.capture import AnsweredRow, Row, SpanStatistics, span_statistics
from vectors.contrasts import Contrast, token_ids
from vectors.directions import RECIPES, cosine, equal_weights
from vectors.responses import GivenAnswer
from vectors.vector import Details, LayerTrust, Provenance, SteeringVector

if TYPE_CHECKING:
    from torch import Tensor

PARTS = {"pro-neutral": ("positive", "neutral"), "neutral-anti": ("neutral", "negative")}

Statistics = dict[Span, dict[int, SpanStatistics]]

Tick = Callable[[str, int], None]
"""Told a kind of work (`norms`, `own`, `trust`) and how much of it was done."""


def build_vector(
    loaded: LoadedModel,
    made: Contrast,
    captured: Captured,
    own: Sequence[GivenAnswer],
    *,
    method: str,
    cache: Path,
    tick: Tick,
    suffixes: SuffixSet = OURS,
    thinking: bool = False,
) -> SteeringVector:
    """Directions by `method`, with norms, projections and trust figures from the unsteered `own` answers.

    A layer whose direction is zero or not finite is left out, and the file says so.
    """
    directions: dict[int, Tensor] = {}
    left_out: list[str] = []
    for layer in captured.layers:
        direction = _direction(captured, ("positive", "negative"), layer, method)
        if bool(direction.isfinite().all()) and bool(direction.any()):
            directions[layer] = direction
        else:
            left_out.append(f"layer {layer}: zero or not finite")
    if not directions:
        raise UserError("the two sides do not differ at any layer chosen: choose later layers or other pairs")
    parts = {
        name: {layer: _direction(captured, sides, layer, method) for layer in directions}
        for name, sides in PARTS.items()
        if "neutral" in captured.sides
    }
    statistics = _statistics(loaded, directions, own, tick=lambda n: tick("norms", n))
    ranks = rank_own(loaded, directions, own, cache=cache, tick=lambda n: tick("own", n))
    words = trust.unembedding_tokens(loaded, directions, _suffix_ids(loaded, suffixes))
    figures: dict[int, LayerTrust] = {}
    for layer, direction in directions.items():
        norm = statistics["last"][layer].norm
        promotes, demotes, word, likeness = words[layer]
        figures[layer] = replace(
            _stability(captured, layer, direction, method),
            own_auc=ranks.at_answer.get(layer),
            own_prompt_auc=ranks.at_prompt.get(layer),
            own_comparisons=ranks.comparisons,
            norm_ratio=direction.norm().item() / norm if norm > 0 else None,
            promotes=promotes,
            demotes=demotes,
            suffix_word=word,
            suffix_cosine=likeness,
        )
        tick("trust", 1)
    statuses = dict.fromkeys(a.status for a in own)
    details: Details = dict(made.details) | ranks.details
    details["own answers"] = [f"{status}: {sum(a.status == status for a in own)}" for status in statuses]
    details["own answers cut by the token limit"] = sum(a.cut for a in own)
    suffixed = made.details.get("answers", 0)
    details["generations"] = len(own) + (suffixed if isinstance(suffixed, int) else 0)
    if loaded.context != "full":
        details["context"] = loaded.context
    if reads_clock(loaded):
        details["date"] = loaded.date
    if left_out:
        details["left out"] = left_out
    return SteeringVector(
        directions=directions,
        provenance=Provenance(
            d_model=loaded.d_model,
            n_layers=loaded.n_layers,
            model=loaded.name,
            weights=loaded.weights,
            dtype=loaded.dtype,
            contrast=made.name,
            method=method,
            read=made.read,
            sign="pro - anti" if made.name in ("suffix", "response") else "positive - negative",
            template=_template_hash(loaded),
            thinking=thinking,
            pairs=len(made.pairs),
            pairs_hash=made.hash(),
            evidence=loaded.evidence,
            details=details,
        ),
        norms=_norms(statistics),
        projections=_projections(statistics),
        parts=parts,
        trust=figures,
    )


def with_norms(
    loaded: LoadedModel, vector: SteeringVector, own: Sequence[GivenAnswer], *, tick: Callable[[int], None]
) -> SteeringVector:
    """A vector whose file said no norms, with those of this model over its own unsteered answers."""
    statistics = _statistics(loaded, vector.directions, own, tick=tick)
    return replace(vector, norms=_norms(statistics), projections=_projections(statistics))


def _statistics(
    loaded: LoadedModel,
    directions: dict[int, Tensor],
    own: Sequence[GivenAnswer],
    *,
    tick: Callable[[int], None],
) -> Statistics:
    rows = [AnsweredRow(a.prompt_ids, a.thinking_ids + a.answer_ids) for a in own]
    return span_statistics(loaded, rows, directions=directions, progress=tick)


def _norms(statistics: Statistics) -> dict[Span, dict[int, float]]:
    return {span: {k: s.norm for k, s in by.items() if s.norm > 0} for span, by in statistics.items()}


def _projections(statistics: Statistics) -> dict[Span, dict[int, tuple[float, float]]]:
    return {
        span: {k: (s.projection_mean, s.projection_std) for k, s in by.items()}
        for span, by in statistics.items()
    }


@dataclass(frozen=True, slots=True)
class OwnRanks:
    """Layer -> AUC within category of the own answers, read over the answer and at the last prompt token.

    details: the same at a layer chosen on the other half of the answers.
    """

    at_answer: dict[int, float]
    at_prompt: dict[int, float]
    comparisons: int
    details: Details


def rank_own(
    loaded: LoadedModel,
    directions: dict[int, Tensor],
    own: Sequence[GivenAnswer],
    *,
    cache: Path,
    tick: Callable[[int], None],
) -> OwnRanks:
    """How well each direction ranks the model's own unsuffixed answers: hits against the rest.

    Nonsense, invalid and truncated answers are left out.
    """
    import torch

    valid = ("hit", "miss", "refusal")
    usable = [a for a in own if a.answer_ids and a.status in valid]
    labels = [a.status == "hit" for a in usable]
    categories = [a.category for a in usable]
    layers = sorted(directions)
    found: dict[str, dict[int, float]] = {"answer": {}, "prompt": {}}
    details: Details = {}
    comparisons = 0
    if not any(labels) or all(labels):
        tick(2 * len(usable))
        return OwnRanks({}, {}, 0, details)
    stacked = torch.stack([directions[layer] for layer in layers]).double()
    # an answer's row and its prompt's, one after the other: the one begins with the other
    rows = [_row(a, 2 * i + place, answer=not place) for i, a in enumerate(usable) for place in (0, 1)]
    values = cached_capture(loaded, rows, layers, len(rows), cache=cache, tick=tick)
    for place, (where, by_layer) in enumerate(found.items()):
        scores = torch.einsum("ald,ld->al", values[place::2].double(), stacked)  # [answer, layer]
        for k, layer in enumerate(layers):
            value, comparisons = trust.within_auc(scores[:, k], labels, categories)
            if value is not None:
                by_layer[layer] = value
        fitted, best = trust.cross_fitted_auc(scores, labels, categories, layers)
        if fitted is not None:
            details[f"own AUC at the {where}, layer chosen on the other half"] = round(fitted, 4)
            details[f"layers so chosen ({where})"] = [str(layer) for layer in best]
    return OwnRanks(found["answer"], found["prompt"], comparisons, details)


def _row(given: GivenAnswer, slot: int, *, answer: bool) -> Row:
    prompt = given.prompt_ids
    if not answer:
        return Row(prompt, len(prompt) - 1, len(prompt), slot)
    before = prompt + given.thinking_ids
    return Row(before + given.answer_ids, len(before), len(before) + len(given.answer_ids), slot)


def _direction(captured: Captured, sides: tuple[str, str], layer: int, method: str) -> Tensor:
    first, second = (captured.at(side, layer) for side in sides)
    return RECIPES[method](first, second, equal_weights(captured.strata))


def _stability(captured: Captured, layer: int, direction: Tensor, method: str) -> LayerTrust:
    """What the pairs themselves say of a direction."""
    positive, negative = captured.at("positive", layer), captured.at("negative", layer)
    recipe = RECIPES[method]
    auc, effect = trust.held_out(positive, negative, captured.strata, recipe)
    others = {
        name: cosine(_direction(captured, ("positive", "negative"), layer, name), direction)
        for name in RECIPES
        if name != method
    }
    return LayerTrust(
        split_half=trust.split_half(positive, negative, captured.strata, recipe),
        heldout_auc=auc,
        heldout_d=effect,
        recipe_cosines=others,
    )


def _suffix_ids(loaded: LoadedModel, suffixes: SuffixSet) -> list[int]:
    """Ids of the words of a set's suffixes."""
    texts = [text for pair in (suffixes.pair, *suffixes.paraphrases) for text in (pair.pro, pair.anti)]
    found = {i for text in texts for i in token_ids(loaded, text)}
    return [i for i in sorted(found) if str(loaded.tokenizer.decode([i])).strip().isalpha()]


def _template_hash(loaded: LoadedModel) -> str:
    template = template_of(loaded.tokenizer)
    return hashlib.sha256(template.encode()).hexdigest() if template else ""
