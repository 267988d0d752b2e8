"""What a run found, in one sentence, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from steer.gaps import Gap
from steer.intervals import Interval
from steer.results import Result
from steer.results.comparison import Comparison
from steer.results.sweep import Choice
from steer.show import emergent, losses, mechanism, turns, words
from steer.show.table import Headline


def headline(result: Result) -> Headline:
    """What the run found, by the kind of run; under it what it lost, and what speaks against its vector."""
    found = _finding(result) if result.emergent is None else emergent.headline(result.emergent)
    lost = (losses.unlabelled(result), losses.lost_measures(result))
    flags = () if result.sweep is None else result.sweep.vector_flags
    return replace(
        found,
        details=(
            *(words.sentence(line) for line in lost if line),
            *found.details,
            *(f"Vector flagged, {line}." for line in flags),
        ),
    )


def _finding(result: Result) -> Headline:
    noun = result.task.words.noun
    if result.turns is not None:
        return turns.headline(result.turns)
    if result.comparison is not None:
        found = _compared(result.comparison)
        how = () if result.mechanism is None else mechanism.headline(result.mechanism).details
        return replace(found, details=(*found.details, *how))
    if result.mechanism is not None:
        return mechanism.headline(result.mechanism)
    if result.sweep is not None:
        return _chosen(result.sweep.choice, noun)
    gaps = result.gaps
    if "pro-anti" in gaps:
        named = (("pro-baseline", "Pro suffix over baseline"), ("baseline-anti", "Baseline over anti suffix"))
        split = [
            f"{name}: {_points(gaps[key].points_all, gaps[key].ci_all)}."
            for key, name in named
            if key in gaps
        ]
        gap = gaps["pro-anti"]
        sentence = moves(gap, "Steering by suffix, from anti to pro", noun)
        return Headline(sentence, (both_denominators("suffix gap", gap), *split), _interval(gap))
    for name, gap in gaps.items():
        sentence = moves(gap, f"From {gap.second} to {gap.first}", noun)
        return Headline(sentence, (both_denominators(f"{name} gap", gap),), _interval(gap))
    name, arm = next(iter(result.arms.items()))
    return Headline(
        f"{words.percent(arm.rate_all)} % of the answers under {name} {result.task.words.verb} "
        f"{words.limits(arm.rate_all_ci, scale=100)}."
    )


def _compared(comparison: Comparison) -> Headline:
    gaps = comparison.sides.gaps
    verdict, _, figures = words.minus(comparison.verdict).partition(" (")
    details = [both_denominators(f"{name} gap", gaps[name]) for name in ("suffix", "vector") if name in gaps]
    details.append("The vector's gap is out of fold: chosen on one half, measured on the other.")
    return Headline(words.sentence(verdict), tuple(details), words.capital(figures).removesuffix(")"))


def _chosen(choice: Choice, noun: str) -> Headline:
    if choice.report is None:
        return Headline(words.sentence(choice.none))
    gaps = choice.report.gaps
    gap = gaps["plus-minus"]
    details = (
        both_denominators("vector gap", gap),
        *_over_baseline(gaps["plus"], "Adding"),
        *_over_baseline(gaps["minus"], "Subtracting"),
        "Layer and magnitude were chosen on one half of the scenarios and measured on the other.",
    )
    return Headline(
        moves(gap, "Steering by vector, from subtracting to adding it", noun), details, _interval(gap)
    )


def _over_baseline(gap: Gap, verb: str) -> Iterator[str]:
    """A gap with the baseline, read as arm minus baseline whichever way round it was taken."""
    value, ci = gap.points_all, gap.ci_all
    if gap.first.startswith("baseline"):
        value, ci = (None if value is None else -value), (None if ci is None else (-ci[1], -ci[0]))
    yield f"{verb} the vector, against baseline: {_points(value, ci)}."


def moves(gap: Gap, subject: str, noun: str) -> str:
    """One sentence on a gap that says "no clear" wherever the interval includes 0."""
    value, ci = gap.points_all, gap.ci_all
    if value is None or ci is None:
        return f"{subject}: no estimate of how far {noun} moves."
    if ci[0] <= 0 <= ci[1]:
        return f"{subject}, no clear effect on {noun}: {words.points(value)} points, the interval includes 0."
    verb = "rises" if value > 0 else "falls"
    return f"{subject}, {noun} {verb} by {abs(value):.1f} points."


def both_denominators(name: str, gap: Gap) -> str:
    """A gap over all answers and over valid ones: where they differ, the invalid answers decide it."""
    over_all, over_valid = _points(gap.points_all, gap.ci_all), words.gap(gap)[1]
    return f"{words.capital(name)}: {over_all} over all answers, {over_valid} over valid ones."


def _interval(gap: Gap) -> str:
    """The interval of a gap over all answers, as a phrase."""
    ci = gap.ci_all
    if ci is None:
        return ""
    return f"95 % interval {words.points(ci[0])} to {words.points(ci[1])} points, of all answers"


def _points(value: float | None, ci: Interval | None) -> str:
    return words.NO_ESTIMATE if value is None else f"{words.points(value)} points {words.limits(ci)}"
