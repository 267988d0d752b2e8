"""Propensity as a table: each arm, then what is paired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer.show import words
from steer.show.table import Table


def propensity_table(summary: Mapping[str, Any]) -> Table:
    """Mean propensity of each arm, then paired differences; the vector's are out of fold."""
    found = summary["propensity"]
    of_vector: Mapping[str, Any] = summary.get("choice", {}).get("propensity", {})
    paired = found["gaps"] | {f"vector {words.GAPS[k]}, out of fold": gap for k, gap in of_vector.items()}
    rows = [(name, nats(one), "", "") for name, one in found["arms"].items()]
    rows += [
        (name, nats(gap), words.p_value(gap["p"]), words.percent(gap["wrong_way"]))
        for name, gap in paired.items()
    ]
    links = (*found["arms"], *[""] * len(paired))
    return Table(("arm or gap", "nats, 95 %", "p (signs)", "wrong way %"), tuple(rows), links)


def nats(one: Mapping[str, Any]) -> str:
    """An estimate with its interval: +2.81 [1.94, 3.60]."""
    if one["nats"] is None or one["ci"] is None:
        return words.NO_ESTIMATE
    low, high = one["ci"]
    return f"{one['nats']:+.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")
