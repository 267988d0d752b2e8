"""What a comparison shows in the terminal: one table of arms, the gaps side by side, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.sweep_tables import print_choice
from experiments.tables import evidence, print_footer
from steer.screen import Screen, interval, p_value, percent


def print_comparison(screen: Screen, summary: dict[str, Any], folder: Path) -> None:
    """Headline first, then everything it rests on."""
    if "side_by_side" not in summary:
        print_choice(screen, summary)
        print_footer(screen, summary, folder)
        return
    screen.line(f"{summary['verdict']}{evidence(summary)}")
    print_side_by_side(screen, summary)
    print_effects(screen, summary)
    print_choice(screen, summary)
    print_exchange(screen, summary)
    print_tug(screen, summary)
    print_costs(screen, summary)
    if "transfer" in summary:
        print_transfer(screen, summary["transfer"])
    print_footer(screen, summary, folder)


def print_side_by_side(screen: Screen, summary: dict[str, Any]) -> None:
    found = summary["side_by_side"]
    labels = {
        "suffix": "suffix: pro − anti",
        "suffix_tuned": "suffix, paraphrase chosen out of fold",
        "vector": "vector: + − − (out of fold)",
        "suffix pro-baseline": "suffix: pro − baseline",
        "vector plus-baseline": "vector: + − baseline",
        "suffix baseline-anti": "suffix: baseline − anti",
        "vector baseline-minus": "vector: baseline − −",
    }
    rows = [
        [label, _gap(found[name], "all"), _gap(found[name], "valid"), p_value(found[name]["p_holm"])]
        for name, label in labels.items()
        if name in found
    ]
    means = [found[f"suffix_paraphrase_mean_{over}"] for over in ("all", "valid")]
    rows.insert(1, ["suffix: mean of all wordings", *(_estimate(mean) for mean in means), "–"])
    for name, label in (
        ("difference", "suffix − vector"),
        ("difference_tuned", "tuned suffix − vector"),
        ("difference_up", "suffix − vector, upwards"),
        ("difference_down", "suffix − vector, downwards"),
    ):
        if name in found:
            one = found[name]
            rows.append([label, _estimate(one["over_all"]), _estimate(one["over_valid"]), p_value(one["p"])])
    columns = ["gap in points, paired", "of all", "of valid", "p (Holm; last rows: own)"]
    screen.table("Suffix and vector side by side" + evidence(summary), columns, rows)


def print_effects(screen: Screen, summary: dict[str, Any]) -> None:
    """The suffix arms and the chosen cells with their side effects."""
    kinds, arms = summary["arm_kinds"], summary["arms"]
    shown = [
        name
        for name in arms
        if name in summary["choice"]["chosen_arms"]
        or (kinds.get(name) in ("baseline", "suffix") and "paraphrase" not in name)
    ]
    columns = ["arm", "converged %, of all", "of valid", "refused", "nonsense"]
    columns += ["fluency", "drift", "capability", "over-refusal"]
    rows: list[list[str]] = []
    for name in shown:
        arm = arms[name]
        rows.append(
            [
                name,
                f"{percent(arm['rate_all'])} {interval(arm['rate_all_ci'], scale=100)}",
                f"{percent(arm['rate_valid'])} {interval(arm['rate_valid_ci'], scale=100)}",
                percent(arm["refusal_valid"]),
                percent(arm["nonsensical_all"]),
                _number(arm.get("fluency")),
                _number(arm.get("drift")),
                percent(arm.get("capability")),
                percent(arm.get("over_refusal")),
            ]
        )
    screen.table("Arms and their side effects (fluency, drift: nats a token)", columns, rows)


def print_exchange(screen: Screen, summary: dict[str, Any]) -> None:
    rows: list[list[str]] = []
    for suffix, side in summary["exchange"].items():
        for share in ("whole", "half"):
            one = side[share]
            size = "–" if one["size"] is None else f"{one['size']:.3g}"
            if one["ci"] is not None:
                size += f" [{one['ci'][0]:.3g}, {one['ci'][1]:.3g}]"
            elif one["at_least"] is not None:
                size += f" (at least {one['at_least']:.3g})"
            never = percent(one["never"])
            rows.append([f"{suffix}, {share} of its effect", size, never, one["reason"]])
    columns = ["worth the suffix", "|magnitude|", "never reached, % of resamples", ""]
    screen.table("Exchange rate, on layers chosen out of fold", columns, rows)


def print_tug(screen: Screen, summary: dict[str, Any]) -> None:
    rows: list[list[str]] = []
    for name, entry in summary["tug"].items():
        if name == "table" or entry.get("matched") is None:
            continue
        point, level = entry["matched"], entry.get("break_even")
        u = "no estimate" if point["u"] is None else f"{point['u']:.2f}"
        if point["ci"] is not None:
            u += f" [{point['ci'][0]:.2f}, {point['ci'][1]:.2f}]"
        even = "–" if level is None or level["size"] is None else f"{level['size']:.3g}"
        rows.append([name, f"{point['size']:g}", u, _estimate(point["interaction"]), even])
    columns = [
        "tug of war",
        "at |magnitude|",
        "U: effect kept",
        "interaction, points",
        "break-even |magnitude|",
    ]
    screen.table("Suffix against vector", columns, rows)
    rows = [
        [
            row["arm"],
            f"{percent(row['rate_all'])} {interval(row['rate_all_ci'], scale=100)}",
            percent(row["nonsensical_all"]),
        ]
        for row in summary["tug"]["table"]
        if " by " in row["arm"] or "random" in row["arm"]
    ]
    screen.table("Builder, user and random directions", ["arm", "converged %, of all", "nonsense"], rows)


def print_costs(screen: Screen, summary: dict[str, Any]) -> None:
    names = list(summary["costs"]["suffix"])
    rows = [
        [name.replace("_", " "), *(f"{summary['costs'][way][name]:,.0f}" for way in ("suffix", "vector"))]
        for name in names
    ]
    screen.table("What it costs", ["", "suffix", "vector"], rows)


def print_transfer(screen: Screen, found: Mapping[str, Any]) -> None:
    rows = [
        [start, *("–" if v is None else f"{v:+.0f}" for v in row)]
        for start, row in zip(found["from"], found["points"], strict=True)
    ]
    title = f"Transfer: points of + − −, layer {found['layer']}, ±{found['magnitude']:g}"
    screen.table(title, ["vector of \\ on", *(name[:12] for name in found["to"])], rows)


def _gap(gap: Mapping[str, Any], over: str) -> str:
    value = gap[f"points_{over}"]
    return "–" if value is None else f"{value:+.1f} {interval(gap[f'ci_{over}'])}"


def _estimate(found: Mapping[str, Any] | None) -> str:
    return "–" if found is None else f"{found['points']:+.1f} {interval(found['ci'])}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
