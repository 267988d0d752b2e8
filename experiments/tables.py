"""The tables that commands print, from a summary."""

from __future__ import annotations

from typing import Any

from steer.screen import Screen, interval, p_value, percent


def print_arms(screen: Screen, summary: dict[str, Any]) -> None:
    """Rates of every arm on both denominators."""
    rows = [
        [
            name,
            str(arm["n"]),
            _with(percent(arm["rate_all"]), interval(arm["rate_all_ci"], scale=100)),
            _with(percent(arm["rate_valid"]), interval(arm["rate_valid_ci"], scale=100)),
            percent(arm["refusal_valid"]),
            percent(arm["nonsensical_all"]),
            str(arm["invalid"] + arm["truncated"] + arm["failed"] + arm["missing"]),
        ]
        for name, arm in summary["arms"].items()
    ]
    columns = ["arm", "n", "converged %, of all", "of valid", "refused", "nonsense", "no label"]
    screen.table("Convergence" + evidence(summary), columns, rows)


def print_gaps(screen: Screen, summary: dict[str, Any]) -> None:
    """Gaps in percentage points, paired, on both denominators."""
    rows = [
        [
            name,
            _with(_points(gap["points_all"]), interval(gap["ci_all"])),
            _with(_points(gap["points_valid"]), interval(gap["ci_valid"])),
            f"{gap['only_first']}/{gap['only_second']}",
            p_value(gap["p_holm"]),
            str(gap["wrong_way"]),
        ]
        for name, gap in summary["gaps"].items()
    ]
    columns = ["gap", "points, of all", "of valid", "only 1st/2nd", "p (Holm)", "wrong way"]
    screen.table("Gaps, paired" + evidence(summary), columns, rows)


def _with(value: str, ci: str) -> str:
    return value if value == "–" else f"{value} {ci}"


def print_footer(screen: Screen, summary: dict[str, Any], folder: object) -> None:
    judge = summary["judge"]
    known = f" (known error: {judge['known_error']})" if judge["known_error"] else ""
    screen.line(f"judge: {judge['name']}{known}")
    screen.line(f"determinism: {summary['determinism']}")
    if summary["evidence"]:
        screen.line(f"evidence: {summary['evidence']}; nothing here says anything about real models")
    screen.line(f"results: {folder}")


def evidence(summary: dict[str, Any]) -> str:
    return f" · evidence: {summary['evidence']}" if summary["evidence"] else ""


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:+.1f}"
