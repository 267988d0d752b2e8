"""Numbers that JSON has no name for, and that no other tool would read."""

from __future__ import annotations

import math
from typing import Any, cast

from steer.texts import JsonObject


def finite(value: Any) -> Any:
    """A JSON value in which what is infinite or not a number is null."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in cast("JsonObject", value).items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in cast(list[Any], value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value
