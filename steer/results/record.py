"""A record: what all parts of a result are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from steer.finite import finite

SCHEMA_VERSION = 3


class Record(BaseModel):
    """A part of a result: nothing in it changes, and a field that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def json_values(self) -> dict[str, object]:
        """As JSON has it: no NaN, no infinity; whole parts that are not there are left out."""
        return {name: value for name, value in finite(self.model_dump()).items() if value is not None}


Changed = TypeVar("Changed", bound=Record)


def updated(record: Changed, **changes: object) -> Changed:
    """A copy with other values, which are checked."""
    return type(record).model_validate(dict(record) | changes)


class Plan(Record):
    """What a dry run prints: what would be run, in numbers."""

    plan: dict[str, int | float | str]
    config: Mapping[str, object] = {}
