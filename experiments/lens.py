"""`vector show`; with --lens what each direction says, and which heads and MLPs write along the best."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from experiments.extraction.extract import extraction_source
from experiments.options import Options
from experiments.session import open_task
from steer import chat, models, suffixes
from steer.errors import UserError
from steer.finite import finite
from steer.results.mechanism import TokensAt
from steer.screen import Screen
from steer.show import words
from steer.show.mechanism import lens_section
from vectors import trust_screen
from vectors.contrasts import extraction_scenarios
from vectors.contrasts import suffix as suffix_contrast
from vectors.lens import Written, attributed
from vectors.lens import lens as tokens_of
from vectors.vector import SteeringVector, check_model

PAIRS = 48
"""Scenarios under either suffix that attribution reads at most."""


@dataclass(frozen=True, slots=True)
class Lens:
    """tokens: of each layer. parts: of `count` the first that write along the direction at `layer`, over so
    many pairs; reason: why there are none, or ""."""

    tokens: list[TokensAt]
    layer: int
    pairs: int
    parts: list[Written]
    count: int
    reason: str = ""

    def json_values(self) -> dict[str, object]:
        found: dict[str, object] = {"lens": [one.model_dump() for one in self.tokens]}
        if self.reason:
            return found | {"attribution": None, "reason": self.reason}
        parts = [asdict(one) for one in self.parts]
        return found | {"attribution": {"layer": self.layer, "parts": parts, "of": self.count}}


def show_vector(vector: SteeringVector, *, lens: bool, json_only: bool) -> None:
    """Print a vector's trust report, and what the lens says if asked; or both as JSON."""
    if json_only:
        told = through_lens(vector).json_values() if lens else {}
        print(json.dumps(finite(trust_screen.as_dict(vector) | told), indent=1, allow_nan=False))
        return
    screen = Screen()
    screen.out.print(trust_screen.show(vector))
    if lens:
        show_lens(screen, through_lens(vector))


def show_lens(screen: Screen, told: Lens) -> None:
    table = lens_section(told.tokens).table
    assert table is not None
    screen.table("what each layer's direction says", list(table.columns), list(table.rows))
    if told.reason:
        screen.line(told.reason)
        return
    of = f"{told.pairs} pairs, the first of {told.count} parts"
    screen.table(
        f"who writes along it at layer {told.layer}, pro − anti, {of}",
        ["part", "in units of the stream"],
        [[one.part, words.between(one.mean, one.ci, 3)] for one in told.parts],
    )


def through_lens(vector: SteeringVector) -> Lens:
    """Load the vector's model, and see what it says and who writes along it.

    Raises UserError for a vector that does not say its model.
    """
    name = vector.provenance.model
    if not name:
        raise UserError(
            "--lens: the vector does not say what model it is of: give one that was extracted here"
        )
    loaded = models.load(name)
    check_model(vector, loaded)
    tokens, layer = tokens_of(loaded, vector.directions), best_layer(vector)
    task = open_task(Options(model=name))
    own = suffixes.load("default", task.suffixes)
    items = extraction_scenarios(extraction_source(task))[:PAIRS]
    made = suffix_contrast(
        loaded, items, suffixes=replace(own, paraphrases=(own.pair,)), thinking=chat.is_thinking(loaded)
    )
    pairs = [(pair.positive[0].ids, pair.negative[0].ids) for pair in made.pairs]
    try:
        parts, count = attributed(loaded, pairs, made.strata, vector.directions[layer], layer)
    except UserError as error:  # a family that TransformerLens does not know: the lens stands all the same
        return Lens(tokens, layer, len(pairs), [], 0, str(error))
    return Lens(tokens, layer, len(pairs), parts, count)


def best_layer(vector: SteeringVector) -> int:
    """Where the direction ranks the model's own answers best; the middle one where that was not measured."""
    known = {layer: auc for layer, t in vector.trust.items() if (auc := t.own_auc) is not None}
    return max(known, key=lambda layer: known[layer]) if known else vector.layers[len(vector.layers) // 2]
