"""Numbers and results in words: the one place that says how a number is written, for every reader of a run.

A minus sign is "−", an interval "[−3.1, 20.4]", what has no value "–".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steer.gaps import Gap
from steer.propensity import Nats, Shift, Steerability
from steer.results.comparison import Exchange, TugMatched, TugPoint
from steer.results.estimates import Dose, Estimate, GapDifference, TugOfWar
from steer.results.sweep import ENOUGH, BeyondNulls
from steer.store.config import ArmContent

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


def rate(value: float | None, ci: Sequence[float] | None) -> str:
    """A share in percent with its interval: 50.0 [31.4, 68.6]."""
    return percent(value) if value is None or ci is None else f"{percent(value)} {limits(ci, scale=100)}"


def fixed(value: float | None, digits: int = 2) -> str:
    """To so many digits after the point; never a minus before 0."""
    return NONE if value is None else f"{value:z.{digits}f}".replace("-", "−")


def between(value: float | None, ci: Sequence[float] | None, digits: int = 2) -> str:
    """With its interval, to so many digits: 0.52 [0.31, 0.70]; of no value the interval alone."""
    said = "" if ci is None else f"[{', '.join(fixed(end, digits) for end in ci)}]"
    return f"{fixed(value, digits)} {said}".strip() if value is not None else said or NONE


def share(value: float | None, ci: Sequence[float | None] | None) -> str:
    """A share that may be below 0 or above 1, in percent: 4 [−12, 21]."""
    return NO_ESTIMATE if value is None else f"{fixed(100 * value, 0)} {share_limits(ci)}".strip()


def share_limits(ci: Sequence[float | None] | None) -> str:
    """A share's interval, in percent."""
    return open_limits(ci and [None if end is None else float(round(100 * end)) for end in ci])


def with_limits(value: float | None, ci: Sequence[float] | None) -> str:
    return NO_ESTIMATE if value is None else f"{points(value)} {limits(ci)}"


def whole_points(value: float | None, ci: Sequence[float] | None) -> str:
    """Where many stand side by side: +12 [3, 21]."""
    if value is None or ci is None:
        return NONE
    return f"{value:+.0f} [{ci[0]:.0f}, {ci[1]:.0f}]".replace("-", "−")


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


def estimate(found: Estimate | None) -> str:
    return NO_ESTIMATE if found is None else with_limits(found.points, found.ci)


def gap(found: Gap) -> tuple[str, str]:
    """Of all answers, and of valid ones."""
    return with_limits(found.points_all, found.ci_all), with_limits(found.points_valid, found.ci_valid)


def difference(found: GapDifference) -> tuple[str, str]:
    """Of all answers, and of valid ones."""
    return estimate(found.over_all), estimate(found.over_valid)


def nats(found: Nats | Shift | Steerability) -> str:
    """A propensity, or a slope of it, with its interval."""
    value = found.slope if isinstance(found, Steerability) else found.nats
    if value is None or found.ci is None:
        return NO_ESTIMATE
    low, high = found.ci
    return f"{value:+.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def kept(pull: TugOfWar) -> str:
    """U with its interval."""
    if pull.u is None:
        return NO_ESTIMATE
    return fixed(pull.u) + ("" if pull.ci is None else f" {open_limits(pull.ci)}")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{capital(text).rstrip('.')}."


def minus(text: str) -> str:
    """A text whose numbers have the minus sign of all others."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


GAPS = {
    "plus-minus": "+ against −",
    "plus": "+ against baseline",
    "minus": "baseline against −",
}
"""The three gaps of a chosen vector, and of a control in its place."""


@dataclass(frozen=True, slots=True)
class Family:
    """How nulls of a kind are spoken of."""

    short: str
    noun: str
    name: str
    flag: str


FAMILIES = {
    "random": Family("random", "directions", "random directions", "--controls"),
    "contrast": Family("unrelated", "contrasts", "unrelated contrasts", "--nulls"),
}


def beyond(found: BeyondNulls, family: Family = FAMILIES["random"], *, in_nats: bool = False) -> str:
    """Per gap, whether the vector's whole interval lies beyond the nulls' 95th percentile."""
    n, bounds = found.directions, found.shifts if in_nats else found.gaps
    if n < ENOUGH:
        return f"{n} {family.noun}: too few for a percentile ({ENOUGH} or more, {family.flag} {ENOUGH})"
    said = {True: "beyond", False: "not beyond", None: "no estimate against"}
    verdicts = ", ".join(f"{title} {said[bounds[gap].beyond]}" for gap, title in GAPS.items())
    return f"{verdicts} their 95th percentile"


def null_bounds(
    found: BeyondNulls, family: Family = FAMILIES["random"], *, in_nats: bool = False
) -> tuple[str, list[float | None]]:
    """Title and values, a gap each: the nulls' 95th percentile, or the largest of too few."""
    n, bounds = found.directions, found.shifts if in_nats else found.gaps
    some = [bounds[gap] for gap in GAPS]
    if n >= ENOUGH:
        return f"|{family.short}|, 95th percentile of {n}", [one.percentile_95 for one in some]
    return f"|{family.short}|, largest of {n}", [one.largest for one in some]


def rank(found: BeyondNulls, family: Family, *, in_nats: bool = False) -> tuple[str, list[str]]:
    """Title and texts, a gap each: where |the vector| stands among the nulls, and the permutation p."""
    bounds = found.shifts if in_nats else found.gaps
    some = [bounds[gap] for gap in GAPS]
    own = " at their own cells" if found.choosing else ""
    title = f"vector among {found.directions} {family.short}{own}: percentile, p"
    return title, [
        NONE if one.percentile is None or one.p is None else f"{one.percentile:.0f}, {p_value(one.p)}"
        for one in some
    ]


def places(cells: Sequence[tuple[int, float]]) -> list[str]:
    """Cells [layer, |magnitude|], each once: layer 14 ±0.3."""
    return list(dict.fromkeys(f"layer {layer} ±{magnitude:g}" for layer, magnitude in cells))


def matched_sizes(matched: TugMatched) -> str:
    """The matched |magnitude|, or those of either half where they differ."""
    return " and ".join(f"{size:g}" for size in dict.fromkeys(matched.dose.sizes))


def stands_in(matched: TugMatched) -> str:
    """What to say of a match where no dose is as strong as the suffix, so that the largest stands in."""
    short = [half for half, reached in zip("AB", matched.dose.reached, strict=True) if not reached]
    where = "" if len(short) == 2 else f" on half {' '.join(short)}"
    said = f"no dose is as strong as the {matched.suffix} suffix{where}: the largest stands in"
    return said if short else ""


def over_cap(dose: Dose | TugPoint) -> str:
    """Where a dose does not count: over the cap on the half that chose it, for the other's scenarios."""
    short = [half for half, able in zip("BA", dose.coherent, strict=True) if not able]
    return "" if not short else ", over the cap" + (f" on half {short[0]}" if len(short) == 1 else "")


def uneven_doses(exchange: Mapping[str, Exchange]) -> list[str]:
    """The doses that count for one half's scenarios only, side by side."""
    found: list[str] = []
    for suffix, side in exchange.items():
        uneven = [f"{d.size:g}{over_cap(d)}" for d in side.doses if len(set(d.coherent)) == 2]
        if uneven:
            where = "not on the other half's curve, which stays level past its last dose"
            found.append(f"{suffix}: {'; '.join(uneven)}: {where}")
    return found


def settings(content: ArmContent | None) -> str:
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
        vector = f", vector {vector[:12]}" if (vector := one["vector"]) else ""
        gate = f", if open at layer {gate['layer']}" if (gate := one.get("gate")) else ""
        tokens = f", first {tokens} tokens" if (tokens := one.get("tokens")) else ""
        parts.append(f"{what}{size}{unit} at layer {one['layer']}, span {one['span']}{tokens}{gate}{vector}")
    if content["adapter"]:
        parts.append(f"adapter {content['adapter']}")
    return "; ".join(parts) or "nothing added"


def stopped(rows: int) -> str:
    """In place of the rate of a cell that a race stopped."""
    return f"stopped after {rows}"
