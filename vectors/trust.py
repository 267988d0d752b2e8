"""How far a direction can be trusted: figures a layer, and the screen that says which of them mean something.

It does not know contrasts or engines; it gets matrices, labels and directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from steer.interventions import decoder_layers
from steer.screen import make_table, plain
from vectors.directions import Recipe, cosine, equal_weights
from vectors.vector import SteeringVector, flags, ranges

if TYPE_CHECKING:
    from rich.console import Group
    from torch import Tensor

    from steer.types import LoadedModel

SPLITS = 5
FOLDS = 5
TOKENS = 10
VOCABULARY_BLOCK = 16384


def split_half(
    positive: Tensor, negative: Tensor, strata: Sequence[str], recipe: Recipe, *, seed: int = 0
) -> float | None:
    """Mean cosine of the directions of two random halves (stratified), over SPLITS splits."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    found: list[float] = []
    for _ in range(SPLITS):
        parts = _parts(strata, 2, generator)
        halves = [_directed(positive, negative, strata, part, recipe) for part in parts if len(part) >= 2]
        if len(halves) == 2:
            found.append(cosine(*halves))
    return sum(found) / len(found) if found else None


def held_out(
    positive: Tensor, negative: Tensor, strata: Sequence[str], recipe: Recipe, *, seed: int = 0
) -> tuple[float | None, float | None]:
    """(AUC, Cohen's d) of projections of pairs that the direction was not made from; the mean over FOLDS."""
    import torch

    generator = torch.Generator().manual_seed(seed)
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
    *,
    seed: int = 0,
) -> tuple[float | None, list[int]]:
    """AUC within category at the layer that is best on the other half of the items, and the layers chosen.

    scores: `[item, layer]`.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
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
    import torch

    path, _ = decoder_layers(loaded.module)
    base: Any = attrgetter(path.rpartition(".")[0])(loaded.module)
    head: Any = loaded.module.get_output_embeddings()
    weight: Tensor = head.weight
    layers = sorted(directions)
    size = min(len(cast("Any", loaded.tokenizer)), weight.shape[0])
    suffix = sorted({i for i in suffix_ids if i < size})
    with torch.inference_mode():
        stacked = torch.stack([directions[layer] for layer in layers])
        stacked = stacked / stacked.norm(dim=-1, keepdim=True)
        if hasattr(base, "norm"):
            stacked = base.norm(stacked.to(weight.device, weight.dtype))
        stacked = stacked.to(weight.device).float()  # [layer, d_model]
        logits = torch.cat(
            [
                stacked @ weight[start : min(start + VOCABULARY_BLOCK, size)].float().T
                for start in range(0, size, VOCABULARY_BLOCK)
            ],
            dim=1,
        ).cpu()  # [layer, token]
        lengths = stacked.norm(dim=-1).cpu()
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


def as_dict(vector: SteeringVector) -> dict[str, Any]:
    """The trust report as JSON: provenance, and figures with flags a layer."""
    return {
        "id": vector.id,
        "evidence": vector.provenance.evidence,
        "provenance": asdict(vector.provenance),
        "norms": {span: {str(k): v for k, v in by.items()} for span, by in vector.norms.items()},
        "layers": {
            str(layer): (asdict(vector.trust[layer]) if layer in vector.trust else {})
            | {"norm": vector.directions[layer].norm().item(), "flags": list(flags(vector, layer))}
            for layer in vector.layers
        },
    }


def show(vector: SteeringVector) -> Group:
    """What a person should see before using a vector; for a rich console."""
    from rich.console import Group
    from rich.text import Text

    made = vector.provenance
    lines = [f"vector {vector.id}: {made.contrast or 'unknown contrast'}, {made.method or 'unknown recipe'}"]
    if made.evidence:
        lines.append(
            f"evidence: {made.evidence} (its tendencies were trained in: no result about real models)"
        )
    lines.append(f"model    {made.model or 'unknown'}  {made.weights[:24]}  {made.dtype}")
    lines.append(
        f"layers   {ranges(vector.layers)} of {made.n_layers or 'an unknown number'}, d_model {made.d_model}"
    )
    if made.pairs:
        lines.append(f"pairs    {made.pairs}, read at: {made.read}, sign: {made.sign}")
    if made.control:
        lines.append(f"control  {made.control} (of {made.parent})")
    lines += [
        f"{name}: {'; '.join(value) if isinstance(value, list) else value}"
        for name, value in made.details.items()
    ]
    columns = ["layer", "split-half", "own AUC", "at prompt", "held-out AUC", "d", "|d|/n_L", "word", "flags"]
    rows: list[list[str]] = []
    for layer in vector.layers:
        t = vector.trust.get(layer)
        figures = [None] * 6
        word = ""
        if t is not None:
            figures = [t.split_half, t.own_auc, t.own_prompt_auc, t.heldout_auc, t.heldout_d, t.norm_ratio]
            if t.suffix_cosine is not None:
                word = f"{_token(t.suffix_word)} {t.suffix_cosine:+.2f}"
        cells = ["–" if f is None else f"{f:.2f}" for f in figures]
        rows.append([str(layer), *cells, word, "; ".join(flags(vector, layer))])
    table = make_table("trust by layer", columns, rows)
    parts: list[Any] = [Text(plain(line)) for line in lines] + [table]
    parts += [Text(plain(line)) for line in meaning(vector)]
    parts.append(_tokens_table(vector))
    others = sorted({name for t in vector.trust.values() for name in t.recipe_cosines})
    if others:
        rows = [
            [str(layer), *(f"{t.recipe_cosines[o]:.2f}" if o in t.recipe_cosines else "–" for o in others)]
            for layer, t in sorted(vector.trust.items())
        ]
        parts.append(make_table("cosine to the other recipes on the same pairs", ["layer", *others], rows))
    return Group(*parts)


def meaning(vector: SteeringVector) -> list[str]:
    """Which figures mean something for this contrast, in words."""
    lines = [
        "split-half: under 0.5 the direction is mostly noise; a high value says that it is stable, "
        "not what it is about.",
        "own AUC: does the direction rank the model's own unsuffixed answers, convergence above the rest, "
        "within a category? 0.5 is chance. This is the figure that says what the direction is about; "
        "'at prompt' reads the last prompt token, before the answer.",
    ]
    comparisons = max((t.own_comparisons for t in vector.trust.values()), default=0)
    if not comparisons:
        lines[1] += " Not measured here: no category had answers of both kinds."
    elif comparisons < 200:
        lines[1] += f" Here it rests on only {comparisons} comparisons."
    if vector.provenance.contrast == "suffix":
        lines.append(
            "Here split-half is high by construction (both halves see the same suffix texts), and held-out "
            "AUC and d mean little: a suffix contrast separates trivially, since the prompts differ in "
            "their words. A large 'word' cosine says that the direction may be just words."
        )
    elif vector.provenance.contrast == "response":
        lines.append(
            "held-out AUC and d: of answers written under suffixes, read without them: they may still "
            "differ in style and wording, so compare with own AUC."
        )
    else:
        lines.append(
            "held-out AUC and d: of texts of the same kind; they say nothing of the model's own behaviour."
        )
    return lines


def _tokens_table(vector: SteeringVector) -> Any:
    rows = [
        [str(layer), " ".join(map(_token, t.promotes)), " ".join(map(_token, t.demotes))]
        for layer, t in sorted(vector.trust.items())
        if t.promotes
    ]
    return make_table("tokens by the unembedding", ["layer", "promotes", "demotes"], rows)


def _token(text: str) -> str:
    """A token in quotes, control characters escaped."""
    return repr(text)


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
