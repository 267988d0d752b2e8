"""Sentences that say what a comparison supports: decided by the p printed beside it, never stored.

Where several comparisons stand together that is Holm's p: an interval alone, one of many, excludes 0 too
often.
"""

from __future__ import annotations

from steer.intervals import Interval
from steer.show.words import p_value

LEVEL = 0.05


def figures(points: float, ci: Interval) -> str:
    """`+12.0 points, 95 % interval +3.1 to +20.4`"""
    return f"{points:+.1f} points, 95 % interval {ci[0]:+.1f} to {ci[1]:+.1f}"


def claim(text: str, points: float | None, ci: Interval | None, p: float | None, *, expected: int) -> str:
    """Whether a difference bears out a claim; p: Holm's; expected: the sign that the claim gives it."""
    if points is None or ci is None or p is None:
        return f"{text}: no estimate"
    if p < LEVEL:
        word = "supported" if (points > 0) == (expected > 0) else "contradicted"
    else:
        word = "not supported"
    return f"{text}: {word} ({figures(points, ci)}; corrected p {p_value(p)})"


def further(
    first: str, second: str, what: str, points: float | None, ci: Interval | None, p: float | None
) -> str:
    """Which of two moves something (the task's noun) further, from first minus second."""
    if points is None or ci is None or p is None:
        return f"{first} or {second}: no estimate of which moves {what} further"
    if p < LEVEL and points > 0:
        return f"{first} moves {what} further than {second} ({figures(points, ci)})"
    if p < LEVEL:
        return f"{second} moves {what} further than {first} ({figures(points, ci)} for {first})"
    widest = max(-ci[0], ci[1])
    return (
        f"no difference between {first} and {second} was shown "
        f"({figures(points, ci)}; one of up to {widest:.0f} points is not ruled out)"
    )
