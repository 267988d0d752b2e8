"""Sentences that say what an interval supports. Computed from the interval each time, never stored."""

from __future__ import annotations

from steer.intervals import Interval


def figures(points: float, ci: Interval) -> str:
    """`+12.0 points, 95 % interval +3.1 to +20.4`"""
    return f"{points:+.1f} points, 95 % interval {ci[0]:+.1f} to {ci[1]:+.1f}"


def claim(text: str, points: float | None, ci: Interval | None, *, expected: int) -> str:
    """Whether a difference bears out a claim; expected: the sign that the claim gives it."""
    if points is None or ci is None:
        return f"{text}: no estimate"
    if ci[0] <= 0 <= ci[1]:
        return f"{text}: not supported ({figures(points, ci)}; no difference is among what the data allow)"
    agrees = (ci[0] > 0) == (expected > 0)
    return f"{text}: {'supported' if agrees else 'contradicted'} ({figures(points, ci)})"


def further(first: str, second: str, points: float | None, ci: Interval | None) -> str:
    """Which of two moves convergence further, from the interval of first minus second."""
    if points is None or ci is None:
        return f"{first} or {second}: no estimate of which moves convergence further"
    if ci[0] > 0:
        return f"{first} moves convergence further than {second} ({figures(points, ci)})"
    if ci[1] < 0:
        return f"{second} moves convergence further than {first} ({figures(points, ci)} for {first})"
    widest = max(-ci[0], ci[1])
    return (
        f"no difference between {first} and {second} was shown "
        f"({figures(points, ci)}; one of up to {widest:.0f} points is not ruled out)"
    )
