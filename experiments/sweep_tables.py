"""What a sweep shows in the terminal: the choice, its controls, arms with side effects, a heat map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from experiments.propensity_tables import print_propensity
from experiments.tables import evidence, gap_text, print_footer, print_gaps
from steer.screen import Screen, interval, p_value, percent
from steer.show import words

SHADES = " ░▒▓█"
RANDOM_SHOWN = 3
REPETITION = {"fluency": "fluency", "compression": "compression ratio", "distinct3": "distinct-3"}


def print_sweep(screen: Screen, summary: dict[str, Any], folder: Path) -> None:
    """The choice beside its controls first, then what it rests on."""
    print_choice(screen, summary)
    print_controls(screen, summary)
    suffixes = [name for name in summary["arms"] if summary["arm_kinds"].get(name) in ("baseline", "suffix")]
    print_effects(screen, summary, suffixes)
    print_gaps(screen, summary)
    print_propensity(screen, summary, suffixes)
    print_heat(screen, summary)
    print_footer(screen, summary, folder)


def print_heat(screen: Screen, summary: dict[str, Any]) -> None:
    """The hit rate of all rows by layer and magnitude; the chosen cells and nonsense are marked."""
    cells = summary["cells"]
    magnitudes = sorted({c["magnitude"] for c in cells})
    layers = sorted({c["layer"] for c in cells})
    by_place = {(c["layer"], c["magnitude"]): c for c in cells}
    middle = sum(magnitude < 0 for magnitude in magnitudes)
    baseline = percent(summary["arms"]["baseline"]["rate_all"]).split(".")[0]
    rows: list[list[str]] = []
    for layer in layers:
        row = [_heat(by_place.get((layer, magnitude))) for magnitude in magnitudes]
        rows.append([f"{layer}", *row[:middle], baseline, *row[middle:]])
    signs = [f"{m:+g}" for m in magnitudes]
    columns = ["layer", *signs[:middle], "0", *signs[middle:]]
    noun = words.capital(words.spoken(summary)["noun"])
    title = f"{noun} %, of all, by layer and magnitude (selection){evidence(summary)}"
    screen.table(title, columns, rows)
    screen.line(
        "  A, B after a number: chosen on that half. Shade: nonsense, ░ from 20 %, ▒ 40 %, ▓ 60 %, █ 80 %."
    )


def _heat(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    rate, broken = cell["rate_all"], cell["broken_all"]
    if rate is None or broken is None:
        return "–"
    shade, text = SHADES[min(int(broken * 5 + 1e-9), 4)], f"{100 * rate:.0f}"
    return f"{text} {''.join(cell['chosen_on'])}{shade}".rstrip()


def print_effects(screen: Screen, summary: dict[str, Any], names: Iterable[str]) -> None:
    """Rates and side effects of arms, and of the arms that are put together out of fold: all report."""
    controls = {f"{c['control']} {sign}" for c in summary.get("controls_out_of_fold", ()) for sign in "+-"}
    hidden = {f"{c['control']} {sign}" for c in _aside(summary) for sign in "+-"}
    shown = [item for item in summary.get("out_of_fold", {}).items() if item[0] not in hidden]
    together = sorted(shown, key=lambda item: item[0] in controls)
    arms = {name: summary["arms"][name] for name in names} | dict(together)
    rows = [
        [
            name,
            rate_text(arm, "all"),
            rate_text(arm, "valid"),
            percent(arm["refusal_valid"]),
            percent(arm["broken_all"]),
            number_text(arm.get("fluency")),
            number_text(arm.get("drift")),
            percent(arm.get("capability")),
            percent(arm.get("over_refusal")),
        ]
        for name, arm in arms.items()
    ]
    columns = ["arm", "% of all", "of valid", "refused", "nonsense", "fluency", "drift", "right", "over-r."]
    noun = words.capital(words.spoken(summary)["noun"])
    screen.table(f"{noun}, and side effects (report){evidence(summary)}", columns, rows)
    screen.line(
        "  95 % intervals. fluency: nats a token of the answer under the unsteered model, plain prompt.\n"
        "  drift: nats a token on neutral prompts. right: % of exact-answer questions. "
        "over-r.: % of harmless requests refused."
    )
    rows = [
        [name, str(arm["cut"]), *(number_text(arm.get(effect)) for effect in REPETITION)]
        for name, arm in arms.items()
    ]
    screen.table(
        "Loops score well on likelihood: how the answers read", ["arm", "cut", *REPETITION.values()], rows
    )


def rate_text(arm: Mapping[str, Any], over: str) -> str:
    ci = arm[f"rate_{over}_ci"]
    return percent(arm[f"rate_{over}"]) + ("" if ci is None else f" [{100 * ci[0]:.0f}, {100 * ci[1]:.0f}]")


def number_text(value: float | None) -> str:
    return "–" if value is None else f"{value:z.2f}"  # z: no minus before 0.00


def _aside(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Random controls past the first ones: they are in summary.json, and in the percentile."""
    random = [c for c in summary.get("controls_out_of_fold", ()) if c["kind"] == "random"]
    return random[RANDOM_SHOWN:]


def print_choice(screen: Screen, summary: dict[str, Any]) -> None:
    """The cross-fitted headline, and the asymmetric pair as a second look."""
    for line in summary.get("vector_flags", []):
        screen.line(f"vector flagged, {line}")
    choice = summary["choice"]
    if "none" in choice:
        screen.line(choice["none"])
        return
    cap = choice["cap"]
    drift = "" if cap["drift"] is None else f" and drift at most {cap['drift']:g} nats a token"
    screen.line(
        f"cap on a chosen cell: nonsense at most {cap['nonsense']:.0%}{drift}; ties to the smaller drift"
    )
    for fold in choice["folds"]:
        screen.line(
            f"chosen on half {fold['choose_on']}: layer {fold['layer']}, ±{fold['magnitude']:g} "
            f"({_chosen_by(fold)}, selection), reported on half {fold['report_on']}"
        )
    rows = _gap_rows(choice, "vector")
    if "asymmetric" in choice:
        rows += _gap_rows(choice["asymmetric"], "best pair of cells (secondary)")[:1]
    columns = ["vector, out of fold (report)", "points, of all", "of valid", "p (Holm, of 3)"]
    screen.table("The chosen vector" + evidence(summary), columns, rows)


def _chosen_by(fold: Mapping[str, Any]) -> str:
    valid = fold["points_selection_valid"]
    beside = "" if valid is None else f", {valid:+.1f} of valid"
    return f"{fold['points_selection']:+.1f} points there of all{beside}"


def _gap_rows(choice: Mapping[str, Any], what: str) -> list[list[str]]:
    names = {
        "plus-minus": f"{what}: + against −",
        "plus": f"{what}: + against baseline",
        "minus": f"{what}: baseline against −",
    }
    return [
        [
            label,
            gap_text(choice[name], "all"),
            gap_text(choice[name], "valid"),
            p_value(choice[name]["p_holm"]),
        ]
        for name, label in names.items()
    ]


def estimate_text(found: Mapping[str, Any] | None) -> str:
    if found is None or found["points"] is None:
        return words.NO_ESTIMATE
    return f"{found['points']:+.1f} {interval(found['ci'])}"


def print_controls(screen: Screen, summary: dict[str, Any]) -> None:
    """What directions that mean nothing in particular did in the vector's place."""
    controls = summary.get("controls_out_of_fold")
    if not controls:
        return
    gaps = tuple(words.GAPS)
    choice, aside = summary["choice"], _aside(summary)
    rows = [["the vector", "", *(gap_text(choice[name], "all") for name in gaps)]]
    rows += [
        [c["control"], c["kind"], *(estimate_text(c[name]) for name in gaps)]
        for c in controls
        if c not in aside
    ]
    if aside:
        rows.append([f"{len(aside)} more random directions", "random", "", "", ""])
    found = summary["beyond_random"]
    n = found["directions"]
    if n:
        title, bounds = words.random_bounds(found)
        rows.append([title, "", *(f"{b:.1f}" if b is not None else "–" for b in bounds)])
    columns = ["in the vector's place (report)", "kind", *words.GAPS.values()]
    screen.table("Effect and controls, points of all, 95 % intervals" + evidence(summary), columns, rows)
    if n:
        screen.line(f"the vector's interval and the random directions: {words.beyond(found)}")
