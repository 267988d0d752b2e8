"""What a comparison shows in the terminal: the gaps side by side, and all that they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.propensity_tables import print_propensity
from experiments.sweep_tables import (
    estimate_text,
    number_text,
    print_choice,
    print_controls,
    print_effects,
    print_heat,
    rate_text,
)
from experiments.tables import evidence, gap_text, print_footer
from steer.screen import Screen, p_value, percent
from steer.show import words

EFFECT_NAMES = {
    "broken_all": "nonsense, %",
    "refusal_valid": "refused, %",
    "fluency": "fluency",
    "drift": "drift",
}
SHARES = {"broken_all", "refusal_valid"}


def print_comparison(screen: Screen, summary: dict[str, Any], folder: Path) -> None:
    """Headline first, then everything it rests on."""
    if "side_by_side" not in summary:
        print_choice(screen, summary)
        print_heat(screen, summary)
        print_footer(screen, summary, folder)
        return
    screen.line(f"{summary['verdict']}{evidence(summary)}")
    print_side_by_side(screen, summary)
    print_choice(screen, summary)
    print_controls(screen, summary)
    kinds = summary["arm_kinds"]
    suffixes = [
        n for n in summary["arms"] if kinds.get(n) in ("baseline", "suffix") and not words.is_variant(n)
    ]
    print_effects(screen, summary, suffixes)
    print_propensity(screen, summary, suffixes)
    print_exchange(screen, summary)
    print_tug(screen, summary)
    print_square(screen, summary)
    print_frontier(screen, summary)
    print_heat(screen, summary)
    print_costs(screen, summary)
    if "transfer" in summary:
        print_transfer(screen, summary["transfer"])
    print_footer(screen, summary, folder)


def print_side_by_side(screen: Screen, summary: dict[str, Any]) -> None:
    found = summary["side_by_side"]
    labels = {
        "suffix": "suffix: pro − anti",
        "suffix_tuned": "suffix, wording chosen out of fold",
        "vector": "vector: + − −, out of fold",
        "suffix pro-baseline": "suffix: pro − baseline",
        "vector plus-baseline": "vector: + − baseline",
        "suffix baseline-anti": "suffix: baseline − anti",
        "vector baseline-minus": "vector: baseline − −",
    }
    rows = [
        [label, gap_text(found[name], "all"), gap_text(found[name], "valid"), p_value(found[name]["p_holm"])]
        for name, label in labels.items()
        if name in found
    ]
    means = [found[f"suffix_paraphrase_mean_{over}"] for over in ("all", "valid")]
    rows.insert(1, ["suffix: mean of all wordings", *(estimate_text(mean) for mean in means), "–"])
    for name, label in (
        ("difference", "suffix − vector"),
        ("difference_tuned", "suffix, wording chosen, − vector"),
        ("difference_up", "suffix − vector, upwards"),
        ("difference_down", "suffix − vector, downwards"),
    ):
        if name in found:
            one = found[name]
            estimates = [estimate_text(one[f"over_{over}"]) for over in ("all", "valid")]
            rows.append([label, *estimates, p_value(one["p"])])
    columns = ["gap in points, paired (report)", "of all", "of valid", "p (Holm; differences: own)"]
    screen.table("Suffix and vector side by side" + evidence(summary), columns, rows)


def print_exchange(screen: Screen, summary: dict[str, Any]) -> None:
    """Per side the magnitude that does what the suffix does, and half of it, with both arms' side effects."""
    rows: list[list[str]] = []
    costs: list[list[str]] = []
    for suffix, side in summary["exchange"].items():
        for share, at in (("whole", "vector"), ("half", "vector_half")):
            one = side[share]
            what = suffix if share == "whole" else f"half of {suffix}"
            distance = "–" if one["distance"] is None else f"{one['distance']:.1f}"
            rows.append([what, distance, _size(one), percent(one["never"])])
            pairs = [(name, side["side_effects"][name]) for name in EFFECT_NAMES]
            both = [f"{_effect(pair['suffix'], name)} / {_effect(pair[at], name)}" for name, pair in pairs]
            costs.append([what, *both])
    columns = ["as far as the suffix", "points to go", "|magnitude| of the vector, 95 %"]
    columns += ["never, % of resamples"]
    screen.table("Exchange rate, on layers chosen out of fold (report)" + evidence(summary), columns, rows)
    for note in words.uneven_doses(summary["exchange"]):
        screen.line(f"  {note}")
    columns = ["side effects: suffix / vector there", *EFFECT_NAMES.values()]
    screen.table("What either costs at that effect" + evidence(summary), columns, costs)


def _size(reached: Mapping[str, Any]) -> str:
    """A magnitude with its interval or bound, or why there is none."""
    size = reached["reason"] if reached["size"] is None else f"{reached['size']:.3g}"
    if reached["ci"] is not None:
        return f"{size} [{reached['ci'][0]:.3g}, {reached['ci'][1]:.3g}]"
    return size if reached["at_least"] is None else f"{size} (at least {reached['at_least']:.3g})"


def _effect(value: float | None, name: str) -> str:
    return percent(value) if name in SHARES else number_text(value)


def print_tug(screen: Screen, summary: dict[str, Any]) -> None:
    """How much of the attack's effect a defence lets through, over magnitude and by who placed the suffix."""
    for name, entry in summary["tug"].items():
        if name == "table":
            continue
        matched = entry["matched"]
        rows: list[list[str]] = []
        for point in entry["curve"]:
            rows.append([f"vector at {point['size']:g}{words.over_cap(point)}", *_pull(point)])
        if matched is not None:
            rows.append([f"vector, matched: {words.matched_sizes(matched)}", *_pull(matched)])
        for key, label in (
            ("builder_against_vector", "by builder: vector, matched"),
            ("builder_against_user", "by builder: suffix by user"),
        ):
            if key in entry:
                rows.append([label, *_pull(entry[key])])
        columns = [f"{name} against", "U: effect kept", "alone, points", "under the defence", "interaction"]
        screen.table("Tug of war, out of fold (report)" + evidence(summary), columns, rows)
        if matched is None:
            screen.line("  matched: nothing; on a half the suffix has no effect or no dose is under the cap")
        else:
            alone, suffix = matched["alone"] and matched["alone"]["points"], matched["suffix"]
            said = f"alone, the vector does {_points(alone)} points, the {suffix} suffix "
            said += _points(matched["suffix_points"])
            note = f"; {words.stands_in(matched)}" if words.stands_in(matched) else ""
            screen.line(f"  matched on the half that is not reported: {said}{note}")
        if "break_even" in entry:
            screen.line(f"  break-even |magnitude|, back at the baseline: {_size(entry['break_even'])}")
    screen.line(
        "  U = effect under the defence / alone; no estimate where the interval of the latter includes 0."
    )


def _pull(point: Mapping[str, Any]) -> list[str]:
    u = "no estimate" if point["u"] is None else f"{round(point['u'], 2) + 0.0:.2f}"
    if point["ci"] is not None:
        low, high = (e if v is None else f"{v:.2f}" for v, e in zip(point["ci"], ["-∞", "∞"], strict=True))
        u += f" [{low}, {high}]"
        u += f"; {point['reason']}" if point["reason"] else ""
    return [u, *(estimate_text(point[part]) for part in ("alone", "under_defence", "interaction"))]


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}"


def print_square(screen: Screen, summary: dict[str, Any]) -> None:
    """Every suffix with every vector at matched solo effect, if there was one to match."""
    square = {(one["suffix"], one["vector"]): one for one in summary["tug_square"]}
    suffixes = list(dict.fromkeys(suffix for suffix, _ in square))
    vectors = list(dict.fromkeys(vector for _, vector in square))
    rows = [
        [
            suffix,
            *(
                rate_text(square[suffix, vector], "all") if (suffix, vector) in square else "–"
                for vector in vectors
            ),
        ]
        for suffix in suffixes
    ]
    matched = [one["matched"] for name, one in summary["tug"].items() if name != "table" and one["matched"]]
    at = "; ".join(["at matched solo effect", *filter(None, map(words.stands_in, matched))])
    at = at if matched else "no effect to match"
    noun = words.capital(words.spoken(summary)["noun"])
    title = f"{noun} %, of all: suffix and vector together, {at} (report)"
    screen.table(title + evidence(summary), ["", *vectors], rows)


def print_frontier(screen: Screen, summary: dict[str, Any]) -> None:
    """The arms that no other beats in effect and in one side effect: suffixes and cells on the same axes."""
    screen.line(
        "Frontier: undominated arms, points against baseline at what side effect (cells: selection)"
        + evidence(summary)
    )
    for direction in ("up", "down"):
        for effect, name in EFFECT_NAMES.items():
            best = [
                f"{p['arm']} {p['effect_points']:.0f} at {_effect(p['value'], effect)}"
                for p in summary["frontier"]
                if p["undominated"] and (p["direction"], p["side_effect"]) == (direction, effect)
            ]
            screen.line(f"  {direction}, {name}: {'; '.join(best) or 'no arm'}")
    screen.line("")


def print_costs(screen: Screen, summary: dict[str, Any]) -> None:
    names = list(summary["costs"]["suffix"])
    rows = [
        [name.replace("_", " "), *(_amount(summary["costs"][way][name]) for way in ("suffix", "vector"))]
        for name in names
    ]
    screen.table("What it costs", ["", "suffix", "vector"], rows)


def _amount(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def print_transfer(screen: Screen, found: Mapping[str, Any]) -> None:
    """Rows: the behaviour a vector was made of; columns: the behaviour it was measured on."""
    every = list(dict.fromkeys([*found["to"], *found["from"]]))
    letter = {name: chr(ord("a") + i) for i, name in enumerate(every)}
    rows = [
        [f"of {letter[start]}", *map(_transferred, row, limits)]
        for start, row, limits in zip(found["from"], found["points"], found["ci"], strict=True)
    ]
    places = " and ".join(words.places(found["places"]))
    title = f"Transfer: points of + − −, {places}, out of fold (report)"
    screen.table(title, ["vector", *(f"on {letter[name]}" for name in found["to"])], rows)
    count = dict(zip(found["to"], found["n"], strict=True))
    screen.line("  " + "; ".join(f"{at}: {name}, n = {count.get(name, 0)}" for name, at in letter.items()))


def _transferred(value: float | None, ci: Sequence[float] | None) -> str:
    return "–" if value is None or ci is None else f"{value:+.0f} [{ci[0]:.0f}, {ci[1]:.0f}]"
