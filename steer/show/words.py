"""Numbers and results in words: what a summary says, for the page, the figures and the Markdown tables."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

NONE = "–"
NO_ESTIMATE = "no estimate"
"""Of a gap over nothing."""


def points(value: float | None) -> str:
    """Percentage points with a sign: +12.3, −4.0."""
    if value is None:
        return NO_ESTIMATE
    return f"{value:+.1f}".replace("-", "−")


def percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f}"


def limits(ci: Sequence[float] | None, *, scale: float = 1.0) -> str:
    """An interval: [−3.1, 20.4]."""
    if ci is None:
        return NONE
    return f"[{scale * ci[0]:.1f}, {scale * ci[1]:.1f}]".replace("-", "−")


def open_limits(ci: Sequence[float | None] | None) -> str:
    """An interval to three digits; an end that is None lies too far off to be found, if anywhere."""
    if ci is None:
        return NONE
    low, high = ("−∞" if ci[0] is None else number(ci[0])), ("∞" if ci[1] is None else number(ci[1]))
    return f"[{low}, {high}]"


def with_limits(value: float | None, ci: Sequence[float] | None) -> str:
    return NO_ESTIMATE if value is None else f"{points(value)} {limits(ci)}"


def p_value(p: float | None) -> str:
    if p is None:
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def number(value: float | None) -> str:
    if value is None:
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.3g}".replace("-", "−") if isinstance(value, float) else f"{value:,}"


def signed(magnitude: float) -> str:
    return f"{magnitude:+g}".replace("-", "−")


def spoken(summary: Mapping[str, Any]) -> Mapping[str, str]:
    """How the run's task speaks of hits: noun, verb, adjective (`steer.task.Words`)."""
    return summary["task"]["words"]


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Headline:
    """The result in one sentence, its interval beside it, and what both rest on in the sentences under it."""

    sentence: str
    details: tuple[str, ...]
    aside: str = ""


def headline(summary: Mapping[str, Any]) -> Headline:
    """What the run found, by the kind of run, and what speaks against its vector."""
    found = _finding(summary)
    flags = (f"Vector flagged, {line}." for line in summary.get("vector_flags", ()))
    return replace(found, details=(*found.details, *flags))


def _finding(summary: Mapping[str, Any]) -> Headline:
    gaps: Mapping[str, Mapping[str, Any]] = summary["gaps"]
    noun = spoken(summary)["noun"]
    if "verdict" in summary:
        sides = summary.get("side_by_side", {})
        named = [(f"{name} gap", sides[name]) for name in ("suffix", "vector") if name in sides]
        verdict, _, figures = re.sub(r"(?<!\w)-(?=\d)", "−", summary["verdict"]).partition(" (")
        sentence = f"{capital(verdict).rstrip('.')}."
        halves = ("The vector's gap is out of fold: chosen on one half, measured on the other.",)
        details = (*(both_denominators(n, g) for n, g in named), *halves)
        return Headline(sentence, details, f"{figures[:1].upper()}{figures[1:].removesuffix(')')}")
    choice = summary.get("choice")
    if choice is not None:
        if "none" in choice:
            return Headline(f"{choice['none'][:1].upper()}{choice['none'][1:].rstrip('.')}.", ())
        gap = choice["plus-minus"]
        halves = "Layer and magnitude were chosen on one half of the scenarios and measured on the other."
        split = [
            f"{verb} the vector, against baseline: {with_interval(over_baseline(choice[side]))}."
            for side, verb in (("plus", "Adding"), ("minus", "Subtracting"))
            if side in choice
        ]
        sentence = moves(gap, "Steering by vector, from subtracting to adding it", noun)
        return Headline(sentence, (both_denominators("vector gap", gap), *split, halves), interval_of(gap))
    if "pro-anti" in gaps:
        split = [
            f"{name}: {with_interval(gaps[key])}."
            for key, name in (
                ("pro-baseline", "Pro suffix over baseline"),
                ("baseline-anti", "Baseline over anti suffix"),
            )
            if key in gaps
        ]
        gap = gaps["pro-anti"]
        sentence = moves(gap, "Steering by suffix, from anti to pro", noun)
        return Headline(sentence, (both_denominators("suffix gap", gap), *split), interval_of(gap))
    if gaps:
        name, gap = next(iter(gaps.items()))
        return Headline(
            moves(gap, f"From {gap['second']} to {gap['first']}", noun),
            (both_denominators(f"{name} gap", gap),),
            interval_of(gap),
        )
    arms: Mapping[str, Mapping[str, Any]] = summary["arms"]
    name, arm = next(iter(arms.items()))
    return Headline(
        f"{percent(arm['rate_all'])} % of the answers under {name} {spoken(summary)['verb']} "
        f"{limits(arm['rate_all_ci'], scale=100)}.",
        (),
    )


def moves(gap: Mapping[str, Any], subject: str, noun: str) -> str:
    """One sentence on a gap that says "no clear" wherever the interval includes 0."""
    value, ci = gap["points_all"], gap["ci_all"]
    if value is None or ci is None:
        return f"{subject}: no estimate of how far {noun} moves."
    if ci[0] <= 0 <= ci[1]:
        return f"{subject}, no clear effect on {noun}: {points(value)} points, the interval includes 0."
    verb = "rises" if value > 0 else "falls"
    return f"{subject}, {noun} {verb} by {abs(value):.1f} points."


def interval_of(gap: Mapping[str, Any]) -> str:
    """The interval of a gap over all answers, as a phrase."""
    ci = gap["ci_all"]
    return "" if ci is None else f"95 % interval {points(ci[0])} to {points(ci[1])} points, of all answers"


def over_baseline(gap: Mapping[str, Any]) -> dict[str, Any]:
    """A gap with the baseline, read as arm minus baseline whichever way round it was taken."""
    value, ci = gap["points_all"], gap["ci_all"]
    if not str(gap.get("first", "")).startswith("baseline"):
        return {"points_all": value, "ci_all": ci}
    return {"points_all": None if value is None else -value, "ci_all": ci and [-ci[1], -ci[0]]}


def with_interval(gap: Mapping[str, Any]) -> str:
    value = gap["points_all"]
    return NO_ESTIMATE if value is None else f"{points(value)} points {limits(gap['ci_all'])}"


def both_denominators(name: str, gap: Mapping[str, Any]) -> str:
    """A gap over all answers and over valid ones: where they differ, the invalid answers decide it."""
    over_all = f"{name[:1].upper()}{name[1:]}: {with_interval(gap)} over all answers"
    if "points_valid" not in gap:
        return f"{over_all}."
    return f"{over_all}, {with_limits(gap['points_valid'], gap['ci_valid'])} over valid ones."


GAPS = {
    "plus-minus": "+ against −",
    "plus": "+ against baseline",
    "minus": "baseline against −",
}
"""The three gaps of a chosen vector, and of a control in its place."""

ENOUGH = 19
"""Random directions from which on their 95th percentile is one of them (the largest of 19)."""


def beyond(found: Mapping[str, Any]) -> str:
    """Per gap, whether the vector's whole interval lies beyond the random directions' 95th percentile."""
    n = found["directions"]
    if n < ENOUGH:
        return f"{n} directions: too few for a percentile ({ENOUGH} or more, --controls {ENOUGH})"
    said = {True: "beyond", False: "not beyond", None: "no estimate against"}
    verdicts = ", ".join(f"{title} {said[found[gap]['beyond']]}" for gap, title in GAPS.items())
    return f"{verdicts} their 95th percentile"


def random_bounds(found: Mapping[str, Any]) -> tuple[str, list[float | None]]:
    """Title and values, a gap each: the random directions' 95th percentile, or the largest of too few."""
    n = found["directions"]
    title, key = ("95th percentile", "abs_points_95") if n >= ENOUGH else ("largest", "abs_points_max")
    return f"|random|, {title} of {n}", [found[gap][key] for gap in GAPS]


def places(cells: Sequence[Sequence[Any]]) -> list[str]:
    """Cells [layer, |magnitude|], each once: layer 14 ±0.3."""
    return list(dict.fromkeys(f"layer {layer} ±{magnitude:g}" for layer, magnitude in cells))


def matched_sizes(matched: Mapping[str, Any]) -> str:
    """The matched |magnitude|, or those of either half where they differ."""
    return " and ".join(f"{size:g}" for size in dict.fromkeys(matched["sizes"]))


def stands_in(matched: Mapping[str, Any]) -> str:
    """What to say of a match where no dose is as strong as the suffix, so that the largest stands in."""
    short = [half for half, reached in zip("AB", matched["reached"], strict=True) if not reached]
    where = "" if len(short) == 2 else f" on half {' '.join(short)}"
    said = f"no dose is as strong as the {matched['suffix']} suffix{where}: the largest stands in"
    return said if short else ""


def over_cap(dose: Mapping[str, Any]) -> str:
    """Where a dose does not count: over the cap on the half that chose it, for the other's scenarios."""
    short = [half for half, able in zip("BA", dose["coherent"], strict=True) if not able]
    return "" if not short else ", over the cap" + (f" on half {short[0]}" if len(short) == 1 else "")


def uneven_doses(exchange: Mapping[str, Any]) -> list[str]:
    """The doses that count for one half's scenarios only, side by side."""
    found: list[str] = []
    for suffix, side in exchange.items():
        uneven = [f"{d['size']:g}{over_cap(d)}" for d in side["doses"] if len(set(d["coherent"])) == 2]
        if uneven:
            where = "not on the other half's curve, which stays level past its last dose"
            found.append(f"{suffix}: {'; '.join(uneven)}: {where}")
    return found


def settings(content: Mapping[str, Any] | None) -> str:
    """An arm's configuration in a few words: what is added where, or where its suffix goes."""
    if content is None:
        return ""
    parts: list[str] = []
    if content.get("system_suffix"):
        parts.append("suffix in the system message")
    if content["suffix"]:
        parts.append("suffix in the user message")
    for one in content["additions"]:
        what = {"add": "add", "ablate": "ablate", "clamp": "clamp to"}[one["operation"]]
        size = "" if one["operation"] == "ablate" else f" {signed(one['magnitude'])}"
        unit = "" if one["operation"] != "add" else f" {one['unit']}"
        vector = f", vector {one['vector'][:12]}" if one["vector"] else ""
        parts.append(f"{what}{size}{unit} at layer {one['layer']}, span {one['span']}{vector}")
    if content["adapter"]:
        parts.append(f"adapter {content['adapter']}")
    return "; ".join(parts) or "nothing added"


def base_name(summary: Mapping[str, Any], arm: str) -> str:
    """The arm's own name: rows at several temperatures stand under one name each."""
    return str(summary["arms"].get(arm, {}).get("arm") or arm)


def is_variant(arm: str) -> bool:
    """Whether a suffix arm is another wording or placing of one that stands beside it."""
    return "paraphrase" in arm or " by builder" in arm


def kind_of(summary: Mapping[str, Any], arm: str) -> str:
    """The arm's kind; a run that tells no kinds has a baseline and suffixes alone."""
    base = base_name(summary, arm)
    kinds: Mapping[str, str] | None = summary.get("arm_kinds")
    if kinds is None:
        return "baseline" if base == "baseline" else "suffix"
    return kinds.get(arm) or kinds.get(base) or "other"


def main_arms(summary: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """The arms a reader wants first: all but controls and the cells of a grid that were not chosen."""
    chosen: Sequence[str] = summary.get("choice", {}).get("chosen_arms", [])
    aside = {"control", "other", "cell"} if summary.get("cells") else {"control", "other"}
    return [name for name in names if name in chosen or kind_of(summary, name) not in aside]
