"""The tables of `agreement RUN`, from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steer.judges import agreement as stats
from steer.screen import Screen, interval, percent
from steer.show import words

FIGURES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "kappa": "κ, four labels",
    "kappa_hit": "κ, {noun} or not",
    "sensitivity": "found: sensitivity for {noun}",
    "specificity": "spared: specificity for {noun}",
    "rate_error_points": "error of the {noun} rate, points",
}


def print_agreement(found: dict[str, Any], screen: Screen) -> None:
    reference, noun = found["reference"], words.spoken(found)["noun"]
    compared = {name: one for name, one in found["judges"].items() if one["n"]}
    compared |= {f"{name} (retest)": one for name, one in found["retest"].items() if one["n"]}
    if compared:
        screen.table(
            f"Agreement with {reference}; 95 % intervals, the scenario as the unit",
            ["", *compared],
            [
                ["answers both labelled", *(str(one["n"]) for one in compared.values())],
                *(
                    [title.format(noun=noun), *(_figure(one, name) for one in compared.values())]
                    for name, title in FIGURES.items()
                ),
                ["no usable label", *(str(one.get("unusable", 0)) for one in compared.values())],
            ],
        )
    for name, one in found["judges"].items():
        if not one["n"]:
            screen.note(f"{name} and {reference} labelled no answer in common")
            continue
        _print_judge(screen, name, one, found)
        if known := found["known_errors"].get(name):
            screen.line(f"{name}: {known}")
    _print_echo(screen, found)
    if found["alpha"] is not None:
        judges = 1 + len(found["judges"])
        screen.line(f"Krippendorff's α of {judges} judges: {found['alpha']:.2f}")
    if known := found["known_errors"].get(reference):
        screen.line(f"{reference}, the reference: {known}")
    screen.line("rates and gaps here are over the answers that both judges labelled; raw and corrected gaps")
    screen.line("over all that the judge labelled. Corrected: labels of the reference must be a random part.")


def _print_judge(screen: Screen, name: str, one: dict[str, Any], found: dict[str, Any]) -> None:
    reference, noun, kinds = found["reference"], words.spoken(found)["noun"], list(stats.KINDS)
    said = {label["role"]: label["name"] for label in reversed(found["task"]["labels"])}
    screen.table(
        f"{name}: its labels (columns) for each label of {reference}",
        ["", *(said.get(kind, kind) for kind in kinds)],
        [[said.get(a, a), *(str(one["confusion"][a][b]) for b in kinds)] for a in kinds],
    )
    screen.table(
        f"{name}: by arm",
        ["arm", "n", "accuracy", f"κ {noun}", "found", "spared", "rate error, points"],
        [[arm, *_part(part), _with(part, "rate_error_points", _signed)] for arm, part in one["arms"].items()],
    )
    gaps: dict[str, dict[str, Any]] = one["gaps"]
    named = [gap for gap in gaps if "error" in gaps[gap]][:3]
    screen.table(
        f"{name}: by category, errors in points",
        ["category", "n", "accuracy", "rate", *named],
        [
            [
                category,
                str(part["n"]),
                _two(part["accuracy"]),
                _signed(part["rate_error_points"]),
                *(_signed(gaps[gap]["categories"].get(category)) for gap in named),
            ]
            for category, part in one["categories"].items()
        ],
    )
    if gaps:
        screen.table(
            f"{name}: gaps in points",
            ["gap", "n", "judge", "reference", "error"],
            [
                [
                    gap,
                    str(part["n"]),
                    _signed(part.get("judge")),
                    _signed(part.get("reference")),
                    _with(part, "error", _signed),
                ]
                for gap, part in gaps.items()
            ],
        )
    partly = {gap: part["corrected"] for gap, part in gaps.items() if "corrected" in part}
    if partly:
        screen.table(
            f"{name}: gaps in points, raw and corrected by the labels of {reference}",
            ["gap", "raw", "corrected", "labels an arm", "of these otherwise"],
            [
                [
                    gap,
                    f"{_signed(part['raw'])} {interval(part['raw_ci'])}",
                    part["reason"] or f"{_signed(part['points'])} {interval(part['ci'])}",
                    " + ".join(map(str, part["labelled"])),
                    " + ".join(map(str, part["disagreements"])),
                ]
                for gap, part in partly.items()
            ],
        )


def _print_echo(screen: Screen, found: dict[str, Any]) -> None:
    if not any(found["echo"].values()):
        return
    shares = ", ".join(f"{arm} {percent(share)} %" for arm, share in found["echo"].items())
    screen.line(f"answers that repeat five words in a row of a suffix: {shares}")
    rows = [
        [
            name,
            gap,
            _signed(part["points_all_with_echo"]),
            f"{_signed(part['points_all'])} {interval(part['ci_all'])}",
            str(part["n"]),
        ]
        for name, gaps in found["gaps_without_echo"].items()
        for gap, part in gaps.items()
    ]
    if rows:
        columns = ["judge", "gap", "all items", "without echo", "items"]
        screen.table("Gaps in points, over all items and where neither answer echoes a suffix", columns, rows)


def _figure(one: Mapping[str, Any], name: str) -> str:
    return _with(one, name, _signed if name == "rate_error_points" else _two)


def _with(one: Mapping[str, Any], name: str, show: Any) -> str:
    ci: Sequence[float] | None = one.get(f"{name}_ci")
    if ci is None or one.get(name) is None:
        return show(one.get(name))
    digits = 1 if show is _signed else 2
    return f"{show(one[name])} [{ci[0]:.{digits}f}, {ci[1]:.{digits}f}]"


def _part(part: Mapping[str, Any]) -> list[str]:
    names = ("accuracy", "kappa_hit", "sensitivity", "specificity")
    return [str(part["n"]), *(_two(part[name]) for name in names)]


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}"
