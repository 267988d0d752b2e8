"""The tables of `agreement RUN`, from its figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steer.judges import agreement as stats
from steer.screen import Screen


def print_agreement(found: dict[str, Any], screen: Screen) -> None:
    title = f"Agreement with {found['reference']}"
    rows = [[name, *_line(one)] for name, one in found["judges"].items()]
    rows += [[f"{name} (retest)", *_line(one)] for name, one in found["retest"].items()]
    columns = [
        "judge",
        "n",
        "accuracy",
        "macro-F1",
        "κ four labels",
        "κ convergence",
        "found",
        "spared",
        "rate error",
    ]
    screen.table(title, columns, rows)
    for name, one in found["judges"].items():
        if not one["n"]:
            screen.note(f"{name} and {found['reference']} labelled no answer in common")
            continue
        kinds = list(stats.KINDS)
        screen.table(
            f"{name}: its labels (columns) for each label of {found['reference']}",
            ["", *kinds],
            [[a, *(str(one["confusion"][a][b]) for b in kinds)] for a in kinds],
        )
        screen.table(
            f"{name}: by arm",
            ["arm", "n", "accuracy", "κ convergence", "found", "spared", "rate error", "95 %"],
            [
                [
                    arm,
                    str(part["n"]),
                    _two(part["accuracy"]),
                    _two(part["kappa_convergence"]),
                    _two(part["sensitivity"]),
                    _two(part["specificity"]),
                    _signed(part["rate_error_points"]),
                    _span(part.get("rate_error_ci")),
                ]
                for arm, part in one["arms"].items()
            ],
        )
        screen.table(
            f"{name}: gaps in points",
            ["gap", "n", "judge", "reference", "error", "95 %", "corrected", "95 %", "labels"],
            [_gap_line(gap, part) for gap, part in one["gaps"].items()],
        )
    if any(found["echo"].values()):
        shares = ", ".join(f"{arm} {share:.0%}" for arm, share in found["echo"].items())
        screen.line(f"Answers that repeat five words in a row of a suffix: {shares}")
        screen.table(
            "Gaps in points, over all items and where neither answer echoes a suffix",
            ["judge", "gap", "all items", "without echo", "95 %", "items"],
            [
                [
                    name,
                    gap,
                    _signed(part["points_all_with_echo"]),
                    _signed(part["points_all"]),
                    _span(part["ci_all"]),
                    str(part["n"]),
                ]
                for name, gaps in found["gaps_without_echo"].items()
                for gap, part in gaps.items()
            ],
        )
    if found["alpha"] is not None:
        screen.line(f"Krippendorff's α over all judges: {found['alpha']:.2f}")
    screen.line("found, spared: sensitivity and specificity for convergence; rates and gaps over all items.")


def _line(one: dict[str, Any]) -> list[str]:
    if not one["n"]:
        return ["0"] + [""] * 7
    names = ("accuracy", "macro_f1", "kappa", "kappa_convergence", "sensitivity", "specificity")
    return [str(one["n"]), *(_two(one[name]) for name in names), _signed(one["rate_error_points"])]


def _gap_line(gap: str, part: dict[str, Any]) -> list[str]:
    corrected: dict[str, Any] = part.get("corrected", {})
    return [
        gap,
        str(part["n"]),
        _signed(part.get("judge")),
        _signed(part.get("reference")),
        _signed(part.get("error")),
        _span(part.get("error_ci")),
        _signed(corrected.get("points")),
        _span(corrected.get("ci")),
        " + ".join(str(n) for n in corrected.get("labelled", ())),
    ]


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}"


def _span(value: Sequence[float] | None) -> str:
    return "–" if value is None else f"{value[0]:+.1f} to {value[1]:+.1f}"
