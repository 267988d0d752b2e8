"""What a run lost, in words: answers without a label, and measures that came out not finite."""

from __future__ import annotations

from collections.abc import Mapping

from steer.results import Result

MUCH = 0.1
"""Share of a run's or an arm's rows without a label from which on it is said of them."""

NAMED = 4
"""Arms and reasons that are named; the others are counted."""


def unlabelled(result: Result) -> str:
    """How many rows have no label, of which arms, and why; "" where a tenth of no arm is without one."""
    found = result.unlabelled
    parts = {name: n for name, n in found.arms.items() if n >= MUCH * _rows(result, name)}
    if not parts:
        return ""
    total = sum(_rows(result, name) for name in result.arms)
    arms = [f"{name} {n} of {_rows(result, name)}" for name, n in _largest(parts)]
    reasons = [f"{why} ({n})" for why, n in _largest(found.reasons)]
    every = sum(found.arms.values())
    return (
        f"{every} of {total} answers are without a label ({100 * every / total:.0f} %): "
        f"{_listed(arms)}; because: {_listed(reasons, '; ')}"
    )


def lost_measures(result: Result) -> str:
    """Which measures came out not finite, of which arms; "" where none did."""
    arms = {f"{measure} of {name}": n for name, arm in result.arms.items() for measure, n in arm.lost.items()}
    if not arms:
        return ""
    said = _listed([f"{what} ({n})" for what, n in _largest(arms)])
    return f"not a number, and in no mean: {said}; a cell whose drift is lost passes no cap on it"


def _rows(result: Result, name: str) -> int:
    return result.arms[name].n + result.arms[name].missing


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])


def _listed(texts: list[str], by: str = ", ") -> str:
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return by.join(texts[:NAMED]) + more
