"""`vector show`; with --lens what each direction says, and which heads and MLPs write along the best."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from experiments.extract import extraction_source
from experiments.options import Options
from experiments.session import open_task
from steer import chat, models, suffixes
from steer.errors import UserError
from steer.finite import finite
from steer.screen import Screen
from steer.show import words
from steer.show.mechanism import lens_section
from vectors import trust_screen
from vectors.contrasts import extraction_scenarios
from vectors.contrasts import suffix as suffix_contrast
from vectors.lens import attributed
from vectors.lens import lens as tokens_of
from vectors.vector import SteeringVector, check_model

PAIRS = 48
"""Scenarios under either suffix that attribution reads at most."""


def show_vector(vector: SteeringVector, *, lens: bool, json_only: bool) -> None:
    """Print a vector's trust report, and what the lens says if asked; or both as JSON."""
    screen = Screen(quiet=json_only)
    if not json_only:
        screen.out.print(trust_screen.show(vector))
    told = through_lens(vector, screen) if lens else {}
    if json_only:
        print(json.dumps(finite(trust_screen.as_dict(vector) | told), indent=1, allow_nan=False))


def through_lens(vector: SteeringVector, screen: Screen) -> dict[str, Any]:
    """Load the vector's model, print the lens and who writes along it; the same as JSON values.

    Raises UserError for a vector that does not say its model.
    """
    name = vector.provenance.model
    if not name:
        raise UserError(
            "--lens: the vector does not say what model it is of: give one that was extracted here"
        )
    loaded = models.load(name)
    check_model(vector, loaded)
    found = tokens_of(loaded, vector.directions)
    table = lens_section(found).table
    assert table is not None
    screen.table("what each layer's direction says", list(table.columns), list(table.rows))
    told: dict[str, Any] = {"lens": [one.model_dump() for one in found]}
    layer = best_layer(vector)
    task = open_task(Options(model=name))
    own = suffixes.load("default", task.suffixes)
    items = extraction_scenarios(extraction_source(task))[:PAIRS]
    made = suffix_contrast(
        loaded, items, suffixes=replace(own, paraphrases=(own.pair,)), thinking=chat.is_thinking(loaded)
    )
    pairs = [(pair.positive[0].ids, pair.negative[0].ids) for pair in made.pairs]
    try:
        parts, count = attributed(loaded, pairs, made.strata, vector.directions[layer], layer)
    except UserError as error:
        screen.line(str(error))
        return told | {"attribution": None, "reason": str(error)}
    screen.table(
        f"who writes along it at layer {layer}, pro − anti, {len(pairs)} pairs, the first of {count} parts",
        ["part", "in units of the stream"],
        [[one.part, words.between(one.mean, one.ci, 3)] for one in parts],
    )
    return told | {"attribution": {"layer": layer, "parts": [asdict(one) for one in parts], "of": count}}


def best_layer(vector: SteeringVector) -> int:
    """Where the direction ranks the model's own answers best; the middle one where that was not measured."""
    known = {layer: auc for layer, t in vector.trust.items() if (auc := t.own_auc) is not None}
    return max(known, key=lambda layer: known[layer]) if known else vector.layers[len(vector.layers) // 2]
