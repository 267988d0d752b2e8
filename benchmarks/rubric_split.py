"""Which published labels may tune the rubric judge, and which may only test it.

The rule was committed before any cue was written. Models are ranked by the hash of their
name and the lower half tunes; a scenario tunes when its hash modulo 3 is not 0. An answer
tunes when both do, tests when neither does; the two mixed parts tune nothing and are
reported apart.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Part = Literal["tune", "test", "new_model", "new_scenario"]

_SALT = "steergap rubric split 1\n"


def _digest(text: str) -> int:
    return int.from_bytes(sha256((_SALT + text).encode()).digest(), "big")


def tuning_models(models: Iterable[str]) -> set[str]:
    """The half of the distinct `models` (rounded up) with the lowest hashes."""
    ranked = sorted(set(models), key=_digest)
    return set(ranked[: (len(ranked) + 1) // 2])


def part(model: str, scenario: str, tuning: set[str]) -> Part:
    """Part of one answer; `tuning` comes from `tuning_models` over the whole data set."""
    old_model, old_scenario = model in tuning, _digest(scenario) % 3 != 0
    if old_model and old_scenario:
        return "tune"
    if old_model:
        return "new_scenario"
    return "new_model" if old_scenario else "test"
