"""`Result`: all a run found. `summary.json` is its serialisation, docs/summary.schema.json its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from steer.atomic import refuse_other_than_file, write_atomically
from steer.echoes import WithoutEcho
from steer.errors import UserError
from steer.gaps import Gap, Movement
from steer.metrics import ArmMetrics
from steer.propensity import Nats, Shift, Steerability
from steer.results.comparison import Comparison
from steer.results.emergent import Emergent
from steer.results.estimates import ArmResult
from steer.results.mechanism import Mechanism
from steer.results.record import SCHEMA_VERSION, Record
from steer.results.sweep import Sweep
from steer.results.turns import Turns
from steer.task import TaskLabel, Words
from steer.texts import read_json

FILE = "summary.json"


class TaskWords(Record):
    """What a reader needs of the task."""

    name: str
    title: str
    words: Words
    labels: tuple[TaskLabel, ...]


class JudgeUsed(Record):
    """usage: calls and tokens by model and host, of judges behind an endpoint."""

    name: str
    known_error: str | None
    usage: dict[str, dict[str, int]] = {}


class Unlabelled(Record):
    """Rows without a label by arm, and why, the commonest reason first."""

    arms: dict[str, int] = {}
    reasons: dict[str, int] = {}


class Echo(Record):
    """Share of an arm's answers that repeat a suffix, and the gaps without those."""

    shares: dict[str, float | None] = {}
    gaps: dict[str, WithoutEcho] = {}


class Propensity(Record):
    """Of choices, in nats: arms, gaps by name, slopes by way; mass_lost: arms that lose the options' mass."""

    arms: dict[str, Nats]
    gaps: dict[str, Shift]
    steerability: dict[str, Steerability | None]
    mass_lost: tuple[str, ...] = ()


class Result(Record):
    """gaps, movement: by `first-second`; movement and categories by category. config: what decides the
    run's rows; provenance: what does not."""

    schema_version: Literal[3] = SCHEMA_VERSION
    arms: dict[str, ArmResult]
    gaps: dict[str, Gap]
    movement: dict[str, dict[str, Movement]] = {}
    categories: dict[str, dict[str, ArmMetrics]] = {}
    propensity: Propensity | None = None
    unlabelled: Unlabelled = Unlabelled()
    echo: Echo = Echo()
    judge: JudgeUsed
    task: TaskWords
    config: Mapping[str, object]
    provenance: Mapping[str, object] = {}
    determinism: str
    evidence: str
    sweep: Sweep | None = None
    comparison: Comparison | None = None
    mechanism: Mechanism | None = None
    emergent: Emergent | None = None
    turns: Turns | None = None


def write(folder: Path, result: Result) -> Path:
    """`summary.json`, replaced whole."""
    path = folder / FILE
    text = json.dumps(result.json_values(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())
    return path


def read(folder: Path) -> Result:
    """The run's `summary.json`; UserError where there is none, or of another version, or damaged."""
    path = folder / FILE
    if refuse_other_than_file(path) is None:
        raise UserError(
            f"no summary.json in {str(folder)!r}: give the folder of a finished run, or repeat its command"
        )
    found = read_json(path, received=True)
    again = "repeat the run's command to write it again"
    if not isinstance(found, dict):
        raise UserError(f"{str(path)!r} is damaged: {again}")
    version = found.get("schema_version", 2)
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{str(path)!r} is a summary of version {version!r}; this reads {SCHEMA_VERSION}: {again}"
        )
    try:
        return Result.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{str(path)!r} is damaged at {where}: {first['msg'].lower()}: {again}") from error
