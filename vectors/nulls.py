"""Vectors of unrelated contrasts: how far a direction that means something else goes in the vector's place.

Random directions are a weak null: a contrast of politeness lies where models keep what they use, and moves
behaviour more. The contrasts are files of pairs, `vectors/data/nulls` in plain English or the task's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from steer.errors import UserError
from steer.types import LoadedModel, Scenario
from vectors.activations import capture_contrast
from vectors.contrasts import DATA, from_file, read_lines
from vectors.controls import unrelated
from vectors.directions import RECIPES, equal_weights
from vectors.vector import SteeringVector

NULLS = DATA / "nulls"


def null_files(folder: Path, count: int) -> list[Path]:
    """The first `count` of a folder's contrasts, by name. UserError where there are fewer."""
    found = sorted(folder.glob("*.jsonl"))
    if count > len(found):
        raise UserError(
            f"--nulls {count}: {folder} holds {len(found)} unrelated contrasts: ask for at most so many, or "
            "write more files of {positive, negative} lines there"
        )
    return found[:count]


def null_vector(
    loaded: LoadedModel,
    vector: SteeringVector,
    file: Path,
    *,
    method: str,
    contrast: Path | None,
    evaluation: Sequence[Scenario],
    thinking: bool,
    cache: Path,
) -> SteeringVector:
    """The direction of a file's pairs by `method` at every layer of `vector`, as long as `vector`'s.

    contrast: the file that `vector` was made of, if it was of one. UserError where they share a pair.
    """
    made = from_file(loaded, file, evaluation=evaluation, thinking=thinking)
    shared = _pairs(file) & _pairs(contrast) if contrast is not None else set[str]()
    if shared or made.hash() == vector.provenance.pairs_hash:
        raise UserError(
            f"{file} shares {len(shared) or len(made.pairs)} pairs with the contrast that the vector is made "
            "of: a null shares none; take them out of it, or give --nulls 0"
        )
    captured = capture_contrast(loaded, made, vector.layers, cache=cache, tick=lambda _: None)
    weights = equal_weights(captured.strata)
    found = {
        layer: RECIPES[method](captured.at("positive", layer), captured.at("negative", layer), weights)
        for layer in vector.layers
    }
    return unrelated(vector, found, f"unrelated contrast: {made.name}, pairs {made.hash()[:16]}")


def _pairs(file: Path) -> set[str]:
    """A file's pairs, whichever side is called positive."""
    return {
        json.dumps(sorted(json.dumps(line[side]) for side in ("positive", "negative")))
        for _, line in read_lines(file)
    }
