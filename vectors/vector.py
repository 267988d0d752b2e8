"""The steering vector: one direction a layer, with what is needed to trust it and to apply it.

It makes `Addition`s for `steer`. It does not know how directions are found or where they are stored.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from steer.errors import UserError, choose
from steer.types import OPERATIONS, SPANS, Addition, Gate, LoadedModel, Operation, Span, Unit

if TYPE_CHECKING:
    from torch import Tensor

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""How pydantic checks these dataclasses when a file is read."""

Details = dict[str, str | int | float | bool | list[str]]
"""Facts that belong to one contrast: keep rates, judge, answer lengths."""

WEAK_SPLIT_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a vector came from. Empty strings and 0 where a foreign file does not say.

    weights: the model's fingerprint (`LoadedModel.weights`). read: the positions that were averaged.
    template: sha256 of the chat template. pairs_hash: sha256 of all token rows read, with their ranges.
    control: what kind of control this is, "" for a vector that means something. parent: id of the vector
    it is a control of or a part of. source: the file format it was read from. details: counts and names
    that belong to one contrast (keep rates, judge, answer lengths, ...).
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    d_model: int
    n_layers: int = 0
    model: str = ""
    weights: str = ""
    dtype: str = ""
    contrast: str = ""
    method: str = ""
    read: str = ""
    sign: str = "positive - negative"
    template: str = ""
    thinking: bool = False
    pairs: int = 0
    pairs_hash: str = ""
    evidence: str = ""
    control: str = ""
    parent: str = ""
    source: str = "extracted"
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LayerTrust:
    """Figures that say how far a direction can be trusted; None where there was nothing to measure it on.

    split_half: mean cosine of directions from two random halves of the pairs. heldout_auc, heldout_d: of
    pairs that the direction was not made from (a contrast that separates trivially has 1.0 here).
    own_auc: AUC of the projection of the model's own unsuffixed answers, hits against the rest, within
    category; own_prompt_auc: the same read at the last prompt token, before the answer.
    own_comparisons: pairs of answers that these two compare. norm_ratio: |d| over n_L (span `last`).
    promotes, demotes: tokens by the unembedding of d. suffix_word, suffix_cosine: the suffix token whose
    unembedding is most like d. recipe_cosines: to the other recipes on the same pairs. control_cosine: of a
    control with the real direction. lens_difference: max |ours - TransformerLens's| of some captured rows.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    split_half: float | None = None
    heldout_auc: float | None = None
    heldout_d: float | None = None
    own_auc: float | None = None
    own_prompt_auc: float | None = None
    own_comparisons: int = 0
    norm_ratio: float | None = None
    promotes: tuple[str, ...] = ()
    demotes: tuple[str, ...] = ()
    suffix_word: str = ""
    suffix_cosine: float | None = None
    recipe_cosines: dict[str, float] = field(default_factory=dict)
    control_cosine: float | None = None
    lens_difference: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SteeringVector:
    """Directions at block outputs. Checked when made: finite, not zero, of one width.

    directions: layer -> [d_model] fp32. parts: other directions kept from the same capture
    ("pro-neutral" -> layer -> [d_model]). norms: span -> layer -> n_L. projections: span -> layer ->
    (mean, standard deviation) of the unsteered projection on d/|d|, for `clamp`.
    id: content hash (first 16 hex digits of a sha256) of all that steers or says where it came from;
    trust figures are not in it.
    """

    directions: dict[int, Tensor]
    provenance: Provenance
    norms: dict[Span, dict[int, float]] = field(default_factory=dict)
    projections: dict[Span, dict[int, tuple[float, float]]] = field(default_factory=dict)
    parts: dict[str, dict[int, Tensor]] = field(default_factory=dict)
    trust: dict[int, LayerTrust] = field(default_factory=dict)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.directions:
            raise UserError("a steering vector needs a direction at one layer at least, this one has none")
        for name, directions in {"": self.directions, **self.parts}.items():
            for layer, direction in directions.items():
                _check_direction(layer, direction, self.provenance, part=name)
        for span, norms in self.norms.items():
            for layer, norm in norms.items():
                if not (math.isfinite(norm) and norm > 0):
                    raise UserError(
                        f"the norm of layer {layer}, span {span!r}, is {norm}: it must be positive"
                    )
        object.__setattr__(self, "id", _content_hash(self))

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(sorted(self.directions))


def _check_direction(layer: int, direction: Tensor, provenance: Provenance, *, part: str) -> None:
    import torch

    where = f"direction of layer {layer}" + (f" of part {part!r}" if part else "")
    if layer < 0 or (provenance.n_layers and layer >= provenance.n_layers):
        raise UserError(f"{where}: the model has layers 0 to {provenance.n_layers - 1}")
    if direction.dtype != torch.float32 or tuple(direction.shape) != (provenance.d_model,):
        raise UserError(
            f"{where} is {direction.dtype} {list(direction.shape)}: "
            f"it must be torch.float32 [{provenance.d_model}], the model's d_model"
        )
    if not bool(torch.isfinite(direction).all()):
        raise UserError(f"{where} holds NaN or infinity: extract it again in float32 or bfloat16")
    if not bool(direction.any()):
        raise UserError(f"{where} is zero: there is nothing to add; leave this layer out")


def _content_hash(vector: SteeringVector) -> str:
    def of(directions: dict[int, Tensor]) -> dict[str, str]:
        return {
            str(layer): hashlib.sha256(d.contiguous().numpy().tobytes()).hexdigest()
            for layer, d in directions.items()
        }

    content = {
        "directions": of(vector.directions),
        "parts": {name: of(part) for name, part in vector.parts.items()},
        "norms": {s: {str(k): v for k, v in by.items()} for s, by in vector.norms.items()},
        "projections": {s: {str(k): list(v) for k, v in by.items()} for s, by in vector.projections.items()},
        "provenance": asdict(vector.provenance),
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def norms_at(vector: SteeringVector, layers: Iterable[int]) -> dict[Span, dict[int, float]]:
    """The vector's norms at some of its layers."""
    chosen = set(layers)
    return {span: {k: v for k, v in by.items() if k in chosen} for span, by in vector.norms.items()}


def part(vector: SteeringVector, name: str) -> SteeringVector:
    """A part kept from the same capture ("pro-neutral") as a vector of its own; it cannot clamp."""
    choose(name, vector.parts, what="part")
    provenance = replace(vector.provenance, sign=name, parent=vector.id, details={})
    return SteeringVector(directions=vector.parts[name], provenance=provenance, norms=vector.norms)


def flags(vector: SteeringVector, layer: int) -> tuple[str, ...]:
    """Reasons to distrust this layer's direction, to be shown wherever it is used."""
    found: list[str] = []
    trust = vector.trust.get(layer)
    if trust is None or trust.split_half is None:
        if not vector.provenance.control:
            found.append("no split-half cosine")
    elif trust.split_half < WEAK_SPLIT_HALF:
        found.append(f"split-half cosine under {WEAK_SPLIT_HALF}: mostly noise")
    if not vector.provenance.weights:
        found.append("made on an unknown model")
    return tuple(found)


def flagged(vector: SteeringVector, layers: Iterable[int]) -> list[str]:
    """The flags of some layers in lines of one reason each: `layers 0-3: split-half ...`."""
    reasons: dict[str, list[int]] = {}
    for layer in sorted(set(layers)):
        for reason in flags(vector, layer):
            reasons.setdefault(reason, []).append(layer)
    return [f"layers {ranges(where)}: {reason}" for reason, where in reasons.items()]


def check_model(vector: SteeringVector, loaded: LoadedModel) -> None:
    """Raise UserError unless the vector fits the model: width, layers, and the very weights it was made on.

    A file that does not say which weights is always allowed.
    """
    made = vector.provenance
    if made.d_model != loaded.d_model:
        raise UserError(
            f"the vector's d_model is {made.d_model}, that of {loaded.name} is {loaded.d_model}: "
            f"it was made on {made.model or 'another model'}"
        )
    if (made.n_layers and made.n_layers != loaded.n_layers) or vector.layers[-1] >= loaded.n_layers:
        raise UserError(
            f"the vector is of a model with {made.n_layers or vector.layers[-1] + 1} layers, "
            f"{loaded.name} has {loaded.n_layers}: it was made on {made.model or 'another model'}"
        )
    if made.weights and made.weights != loaded.weights:
        raise UserError(
            f"the vector was made on {made.model} ({made.weights[7:19]}), this is {loaded.name} "
            f"({loaded.weights[7:19]}): extract one for it"
        )


def addition(
    vector: SteeringVector,
    layer: int,
    magnitude: float,
    *,
    span: Span = "last",
    operation: Operation = "add",
    unit: Unit = "norm",
    gate: Gate | None = None,
    tokens: int | None = None,
) -> Addition:
    """The vector at one layer as an `Addition`, with the norm and projections of that layer and span.

    gate, tokens: when it acts at all, and for how long (`steer.types.Addition`).
    """
    choose(span, SPANS, what="span")
    choose(operation, OPERATIONS, what="operation")
    choose(unit, ("norm", "raw"), what="unit")
    if layer not in vector.directions:
        raise UserError(f"the vector has no direction at layer {layer}: it has {ranges(vector.layers)}")
    if not math.isfinite(magnitude):
        raise UserError(f"magnitude {magnitude} is not a finite number")
    if operation == "ablate" and magnitude != 1:
        raise UserError(f"magnitude {magnitude:g} with ablate: projecting out has no size, it must be 1")
    norm, mean, std = 1.0, 0.0, 1.0
    if operation == "add" and unit == "norm":
        if layer not in vector.norms.get(span, {}):
            raise UserError(
                f"the vector has no mean residual norm for span {span!r}, layer {layer} "
                f"(it has {', '.join(vector.norms) or 'none'}): use raw units, or extract it with answers"
            )
        norm = vector.norms[span][layer]
    if operation == "clamp":
        if layer not in vector.projections.get(span, {}):
            raise UserError(
                f"the vector has no unsteered projection for span {span!r}, layer {layer} "
                f"(it has {', '.join(vector.projections) or 'none'}): clamp needs one; use add"
            )
        mean, std = vector.projections[span][layer]
    return Addition(
        direction=vector.directions[layer],
        layer=layer,
        magnitude=float(magnitude),
        span=span,
        operation=operation,
        unit=unit,
        norm=norm,
        projection_mean=mean,
        projection_std=std,
        vector=vector.id,
        gate=gate,
        tokens=tokens,
    )


def ranges(layers: Iterable[int]) -> str:
    """Layers in words: `0, 3-7, 9`."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
