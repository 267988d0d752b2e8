"""The tables that commands print, from a summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer.screen import Screen, interval, p_value, percent
from steer.show import losses, words
from steer.summary import about_real_models


def print_arms(screen: Screen, summary: dict[str, Any]) -> None:
    """Rates of every arm on both denominators."""
    rows = [
        [
            name,
            str(arm["n"]),
            _with(percent(arm["rate_all"]), interval(arm["rate_all_ci"], scale=100)),
            _with(percent(arm["rate_valid"]), interval(arm["rate_valid_ci"], scale=100)),
            percent(arm["refusal_valid"]),
            percent(arm["broken_all"]),
            str(arm["invalid"] + arm["truncated"] + arm["failed"] + arm["missing"]),
        ]
        for name, arm in summary["arms"].items()
    ]
    noun = words.spoken(summary)["noun"]
    columns = ["arm", "n", f"{noun} %, of all", "of valid", "refused", "nonsense", "no label"]
    screen.table(words.capital(noun) + evidence(summary), columns, rows)


def print_gaps(screen: Screen, summary: dict[str, Any]) -> None:
    """Gaps in percentage points, paired, on both denominators."""
    rows = [
        [
            name,
            gap_text(gap, "all"),
            gap_text(gap, "valid"),
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
    for line in filter(None, (losses.unlabelled(summary), losses.lost_measures(summary))):
        screen.line(line)
    print_judge(screen, summary)
    for name, used in summary["judge"].get("usage", {}).items():
        screen.line(
            f"judge calls: {name}: {used['calls']}, {used['input_tokens']} tokens in "
            f"({used['cached_tokens']} from the cache), {used['output_tokens']} out"
        )
    print_echo(screen, summary)
    screen.line(f"determinism: {summary['determinism']}")
    print_evidence(screen, summary)
    screen.line(f"results: {folder}")


def print_judge(screen: Screen, summary: dict[str, Any]) -> None:
    """Whose labels these are, with what is known of their error: it belongs beside every gap."""
    judge = summary["judge"]
    known = f" (known error: {judge['known_error']})" if judge["known_error"] else ""
    screen.line(f"judge: {judge['name']}{known}")


def print_evidence(screen: Screen, summary: dict[str, Any]) -> None:
    if summary["evidence"]:
        bearing = about_real_models(summary["evidence"])
        screen.line(f"evidence: {summary['evidence']}{f'; {bearing}' if bearing else ''}")


def print_echo(screen: Screen, summary: dict[str, Any]) -> None:
    """How often answers repeat a suffix, which tells even a blind judge the arm; the gaps without those."""
    echo = summary.get("echo")
    if echo is None or not any(echo["shares"].values()):
        return
    shares = ", ".join(f"{arm} {percent(share)} %" for arm, share in echo["shares"].items())
    screen.line(f"answers that repeat five words in a row of a suffix: {shares}")
    gaps = [f"{name} {gap_text(gap, 'all')} (n = {gap['n']})" for name, gap in echo["gaps"].items()]
    if gaps:
        screen.line(f"gaps without them, points of all: {'; '.join(gaps)}")


def evidence(summary: dict[str, Any]) -> str:
    return f" · evidence: {summary['evidence']}" if summary["evidence"] else ""


def gap_text(gap: Mapping[str, Any], over: str) -> str:
    value = gap[f"points_{over}"]
    return words.NO_ESTIMATE if value is None else f"{value:+.1f} {interval(gap[f'ci_{over}'])}"
