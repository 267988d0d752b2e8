"""A vector's trust report, on the screen and as JSON: the figures, and which of them mean something."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from steer.screen import make_table, plain
from steer.summary import about_real_models
from vectors.vector import LayerTrust, SteeringVector, flagged, flags, ranges

if TYPE_CHECKING:
    from rich.console import Group


def as_dict(vector: SteeringVector) -> dict[str, object]:
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
        bearing = about_real_models(made.evidence)
        lines.append(f"evidence: {made.evidence}{f'; {bearing}' if bearing else ''}")
    lines.append(f"model    {made.model or 'unknown'}  {made.weights[:24]}  {made.dtype}")
    lines.append(
        f"layers   {ranges(vector.layers)} of {made.n_layers or 'an unknown number'}, d_model {made.d_model}"
    )
    if made.pairs:
        lines.append(f"pairs    {made.pairs}, read at: {made.read}, sign: {made.sign}")
    if vector.parts:
        lines.append(f"parts    {', '.join(vector.parts)}")
    if made.control:
        lines.append(f"control  {made.control} (of {made.parent})")
    lines += [f"flags    {line}" for line in flagged(vector, vector.layers) or ["none"]]
    lines += [
        f"{name}: {'; '.join(value) if isinstance(value, list) else value}"
        for name, value in made.details.items()
    ]
    parts: list[Any] = [Text(plain(line)) for line in lines]
    figures = _figures(vector)
    if len(figures) > 1:
        columns = [list(column) for column in figures.values()]
        parts.append(make_table("trust by layer", list(figures), list(zip(*columns, strict=True))))
        parts += [Text(plain(line)) for line in meaning(vector)]
    parts += _tokens_table(vector)
    others = sorted({name for t in vector.trust.values() for name in t.recipe_cosines})
    if others:
        rows = [
            [str(layer), *(f"{t.recipe_cosines[o]:.2f}" if o in t.recipe_cosines else "–" for o in others)]
            for layer, t in sorted(vector.trust.items())
        ]
        parts.append(make_table("cosine to other recipes", ["layer", *others], rows))
    return Group(*parts)


def _figures(vector: SteeringVector) -> dict[str, list[str]]:
    """Column -> a cell a layer; columns in which no layer has a figure are left out."""
    kept = {layer: vector.trust.get(layer, LayerTrust()) for layer in vector.layers}
    figures: dict[str, list[float | None]] = {
        "split-half": [t.split_half for t in kept.values()],
        "own AUC": [t.own_auc for t in kept.values()],
        "at prompt": [t.own_prompt_auc for t in kept.values()],
        "held-out AUC": [t.heldout_auc for t in kept.values()],
        "d": [t.heldout_d for t in kept.values()],
        "|d|/n_L": [t.norm_ratio for t in kept.values()],
        "cos to the real": [t.control_cosine for t in kept.values()],
    }
    found = {"layer": [str(layer) for layer in kept]}
    for name, values in figures.items():
        if any(value is not None for value in values):
            found[name] = ["–" if value is None else f"{value:.2f}" for value in values]
    if any(t.suffix_cosine is not None for t in kept.values()):
        found["suffix word"] = [
            "–" if t.suffix_cosine is None else f"{_token(t.suffix_word)} {t.suffix_cosine:+.2f}"
            for t in kept.values()
        ]
    if any(flags(vector, layer) for layer in kept):
        found["flags"] = ["; ".join(flags(vector, layer)) for layer in kept]
    return found


def meaning(vector: SteeringVector) -> list[str]:
    """Which figures mean something for this contrast, in words."""
    if vector.provenance.control:
        return [
            "cos to the real: what a control shares with the vector it stands beside, it does as that vector "
            "does; label controls over 0.2 are refused."
        ]
    if not vector.trust:
        return ["Nothing was measured of this vector: its file does not say how far to trust it."]
    lines = [
        "split-half: under 0.5 the direction is mostly noise; a high value says that it is stable, "
        "not what it is about.",
        "own AUC: does the direction rank the model's own unsuffixed answers, hits above the rest, "
        "within a category? 0.5 is chance. This is the figure that says what the direction is about, "
        "if it is well above that of an unrelated concept (`extract --contrast formality`); 'at prompt' "
        "reads the last prompt token, before the answer.",
    ]
    comparisons = max((t.own_comparisons for t in vector.trust.values()), default=0)
    if not comparisons:
        lines[1] += " Not measured here: no category had answers of both kinds."
    elif comparisons < 200:
        lines[1] += f" Here it rests on only {comparisons} comparisons."
    measured = [t.own_auc for _, t in sorted(vector.trust.items()) if t.own_auc is not None]
    if 0 in vector.trust and len(measured) > 1 and 0.5 < max(measured) <= measured[0] + 0.02:
        lines.append(
            "Layer 0 already has the best own AUC: there the stream is little more than the words "
            "read, so the answers' wording alone may tell the two kinds apart; 'at prompt' is read before it."
        )
    if vector.provenance.contrast == "suffix":
        lines.append(
            "Here split-half is high by construction (both halves see the same suffix texts), and held-out "
            "AUC and d mean little: a suffix contrast separates trivially, since the prompts differ in "
            "their words. A large 'suffix word' cosine says that the direction may be just words."
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


def _tokens_table(vector: SteeringVector) -> list[Any]:
    """Promoted and demoted tokens a layer, whole: the lines wrap."""
    from rich.text import Text

    shown = {layer: t for layer, t in sorted(vector.trust.items()) if t.promotes}
    if not shown:
        return []
    table = make_table("tokens by the unembedding (· is a space)", ["layer", "promotes", "demotes"], [])
    for column in table.columns[1:]:
        column.no_wrap, column.justify, column.ratio = False, "left", 1
    for layer, t in shown.items():
        sides = (" ".join(map(_token, side)) for side in (t.promotes, t.demotes))
        table.add_row(str(layer), *map(Text, sides))
    return [table]


def _token(text: str) -> str:
    """A token with its spaces as dots, control and direction characters escaped."""
    return plain(repr(text)[1:-1].replace(" ", "·"))
