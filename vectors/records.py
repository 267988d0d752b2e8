"""An arm from what a run recorded of it, and the vector file that holds its directions.

A run keeps hashes of directions, not directions: the file must hold the very ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from steer.errors import UserError, choose
from steer.plan import direction_digest
from steer.store.config import ArmContent, GateContent, VectorAddition
from steer.texts import JsonObject, read_json
from steer.types import Addition, Arm, Gate
from vectors.vector import SteeringVector, ranges


def read_arm(source: str, vector: SteeringVector | None) -> Arm:
    """The arm in a JSON file, or `FILE:NAME`: the arm of that name in a run's `summary.json`.

    vector: holds the directions of its additions. Raises UserError, for an adapter's arm too.
    """
    path, _, name = source.partition(":")
    if not Path(path).is_file():
        raise UserError(f"arm {source!r}: {path!r} is not a file: give FILE, or RUN/summary.json:NAME")
    content: Any = read_json(Path(path))
    if name:
        arms: JsonObject = content.get("config", {}).get("arms", {}) if isinstance(content, dict) else {}
        content = arms[choose(name, arms, what=f"arm of {path}")]
    try:
        record = TypeAdapter(ArmContent).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"arm {source!r}: {where}: {first['msg']}: give an arm as a run's summary holds it"
        ) from None
    if record["adapter"]:
        raise UserError(
            f"arm {source!r} has an adapter, whose folder no run records: it cannot be applied here"
        )
    additions = tuple(_addition(one, vector, source) for one in record["additions"])
    return Arm(name or Path(path).stem, record["suffix"], record["system_suffix"], additions)


def _addition(record: VectorAddition, vector: SteeringVector | None, source: str) -> Addition:
    if vector is None:
        raise UserError(
            f"arm {source!r} adds vector {record['vector']!r}, whose file is wanted: give it as vector"
        )
    if "within" in record:
        raise UserError(f"arm {source!r} is of one turn of a conversation: give an arm of every row")
    if record["layer"] not in vector.directions:
        raise UserError(
            f"arm {source!r} adds at layer {record['layer']}: the vector given has {ranges(vector.layers)}"
        )
    mean, std = record["projection"] or (0.0, 1.0)
    addition = Addition(
        direction=vector.directions[record["layer"]],
        layer=record["layer"],
        magnitude=record["magnitude"],
        span=record["span"],
        operation=record["operation"],
        unit=record["unit"],
        norm=1.0 if record["norm"] is None else record["norm"],
        projection_mean=mean,
        projection_std=std,
        vector=record["vector"],
        gate=_gate(record.get("gate"), vector, source),
        tokens=record.get("tokens"),
    )
    if direction_digest(addition) != record["direction"]:
        raise UserError(
            f"arm {source!r} adds vector {record['vector']!r} at layer {record['layer']}: "
            "the one given is another"
        )
    return addition


def _gate(record: GateContent | None, vector: SteeringVector, source: str) -> Gate | None:
    """Its probe must be the vector's own direction: no run keeps another."""
    if record is None:
        return None
    probe = vector.directions.get(record["layer"])
    gate = None if probe is None else Gate(probe, record["layer"], record["threshold"])
    if gate is None or direction_digest(gate) != record["direction"]:
        raise UserError(
            f"arm {source!r} waits for a gate at layer {record['layer']}: the vector given is no such probe"
        )
    return gate
