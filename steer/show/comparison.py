"""Tables of suffix against vector: sides, exchange rate, tug of war, frontier, transfer, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steer.show import words
from steer.show.table import Table

SIDE_NAMES = {
    "suffix": "suffix: pro − anti",
    "suffix_tuned": "suffix, wording chosen out of fold",
    "suffix_paraphrase_mean_all": "suffix, mean of all wordings",
    "vector": "vector: plus − minus, out of fold",
    "difference": "suffix − vector",
    "difference_tuned": "tuned suffix − vector",
    "suffix pro-baseline": "suffix: pro − baseline",
    "vector plus-baseline": "vector: plus − baseline",
    "difference_up": "suffix − vector, upwards",
    "suffix baseline-anti": "suffix: baseline − anti",
    "vector baseline-minus": "vector: baseline − minus",
    "difference_down": "suffix − vector, downwards",
}


def side_estimate(found: Mapping[str, Any], over: str) -> tuple[float | None, Sequence[float] | None]:
    """Points and interval of one side: a gap, a difference of gaps (`over_all`), or a bare estimate."""
    if f"points_{over}" in found:
        return found[f"points_{over}"], found[f"ci_{over}"]
    inner = found.get(f"over_{over}", found)
    return (None, None) if inner is None or "points" not in inner else (inner["points"], inner["ci"])


def side_table(sides: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, title in SIDE_NAMES.items():
        found = sides.get(name)
        if found is None:
            continue
        valid = sides.get("suffix_paraphrase_mean_valid") if name.endswith("mean_all") else found
        cells = [
            words.with_limits(*side_estimate(one or {}, o)) for one, o in ((found, "all"), (valid, "valid"))
        ]
        rows.append((title, *cells, words.p_value(found.get("p_holm", found.get("p")))))
    columns = ("gap, points, paired", "of all, 95 %", "of valid, 95 %", "p (Holm; differences: own)")
    return Table(columns, tuple(rows))


TWO_SIDED = (
    "an interval with two ends stands only where a dose is clearly beyond the suffix and few resamples never "
    "reach it: where the strongest dose only just reaches it that is rare, and then wrong"
)
"""Of the 95 %: intervals and bounds together hold the truth that often."""


def exchange_table(exchange: Mapping[str, Any]) -> Table:
    """Per suffix, the magnitude that is worth all and half of its effect, and the side effects there."""
    effects = ("broken_all", "fluency", "drift")
    rows: list[tuple[str, ...]] = []
    for suffix, side in exchange.items():
        for share in ("whole", "half"):
            found = side[share]
            bound = found["at_least"]
            rows.append(
                (
                    f"{suffix} suffix" if share == "whole" else f"half of {suffix}'s effect",
                    found["reason"] if found["size"] is None else words.number(found["size"]),
                    words.open_limits(found["ci"]) if bound is None else f"at least {words.number(bound)}",
                    "–" if found["never"] is None else f"{100 * found['never']:.1f}",
                    *(
                        _beside(side["side_effects"][effect], effect) if share == "whole" else ""
                        for effect in effects
                    ),
                )
            )
    caption = "; ".join([TWO_SIDED, *words.uneven_doses(exchange)])
    columns = ("as strong as", "|magnitude|", "95 %", "never, % of resamples")
    beside = tuple(f"{SIDE_EFFECTS[effect]}: suffix / vector" for effect in effects)
    return Table((*columns, *beside), tuple(rows), caption=caption)


SIDE_EFFECTS = {
    "broken_all": "nonsense, %",
    "refusal_valid": "refusal, %",
    "fluency": "fluency",
    "drift": "drift",
}


def _beside(pair: Mapping[str, float | None], effect: str) -> str:
    say = words.percent if SIDE_EFFECTS[effect].endswith("%") else words.number
    return f"{say(pair['suffix'])} / {say(pair['vector'])}"


def tug_table(tug: Mapping[str, Any]) -> Table:
    """Each defence against its attack at every dose: how much of the attack's effect is kept."""
    rows: list[tuple[str, ...]] = []
    notes = ["matched: does alone what the suffix does, on the half that is not reported"]
    for name, entry in tug.items():
        if name == "table":
            continue
        level = entry.get("break_even")
        even = "–" if level is None else words.number(level["size"])
        matched = entry["matched"]
        named = [(f"|magnitude| {point['size']:g}", point) for point in entry["curve"]]
        named += [(f"matched: |magnitude| {words.matched_sizes(matched)}", matched)] if matched else []
        notes += [f"{name}: {words.stands_in(matched)}"] if matched and words.stands_in(matched) else []
        for place, point in named:
            rows.append(
                (
                    f"{name}, {place}",
                    "no estimate" if point["u"] is None else words.number(point["u"]),
                    words.open_limits(point["ci"])
                    + (f"; {point['reason']}" if point["ci"] and point["reason"] else ""),
                    *(_points(point[part]) for part in ("alone", "under_defence", "interaction")),
                    even,
                )
            )
    columns = ("tug of war", "U: share kept", "95 %", "attack alone", "under defence", "interaction")
    return Table((*columns, "break-even |magnitude|"), tuple(rows), caption="; ".join(notes))


def _points(found: Mapping[str, Any] | None) -> str:
    return words.NONE if found is None else words.with_limits(found["points"], found["ci"])


def arm_rates(rows: Sequence[Mapping[str, Any]]) -> Table:
    found = tuple(
        (
            row["arm"],
            words.percent(row["rate_all"]),
            words.limits(row["rate_all_ci"], scale=100),
            words.percent(row["rate_valid"]),
            words.percent(row["broken_all"]),
        )
        for row in rows
    )
    columns = ("arm", "conv % of all", "95 %", "conv % of valid", "nonsense %")
    return Table(columns, found, tuple(row["arm"] for row in rows))


def frontier_table(frontier: Sequence[Mapping[str, Any]]) -> Table:
    best = [point for point in frontier if point["undominated"]]
    rows = tuple(
        (
            p["arm"],
            p["direction"],
            SIDE_EFFECTS[p["side_effect"]],
            f"{p['effect_points']:.1f}",
            _value(p["value"], p["side_effect"]),
        )
        for p in best
    )
    columns = ("undominated arm", "moves", "side effect", "effect, points", "its value")
    return Table(columns, rows, tuple(p["arm"] for p in best))


def _value(value: float | None, effect: str) -> str:
    return words.percent(value) if SIDE_EFFECTS[effect].endswith("%") else words.number(value)


def transfer_table(transfer: Mapping[str, Any]) -> Table:
    rows = tuple(
        (name, *map(words.with_limits, values, limits))
        for name, values, limits in zip(transfer["from"], transfer["points"], transfer["ci"], strict=True)
    )
    places = " and ".join(words.places(transfer["places"]))
    caption = f"points of plus − minus with 95 % intervals, out of fold: {places}"
    return Table(("vector of \\ measured on", *transfer["to"]), rows, caption=caption)


def cost_table(costs: Mapping[str, Mapping[str, Any]]) -> Table:
    """What each way of steering costs, a way a column."""
    keys = list(dict.fromkeys(key for cost in costs.values() for key in cost))
    rows = tuple((k.replace("_", " "), *(words.number(cost.get(k)) for cost in costs.values())) for k in keys)
    return Table(("", *costs), rows)
