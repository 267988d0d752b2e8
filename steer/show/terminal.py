"""A run's sections on a terminal: the finding, tables with their notes, and what all of it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from steer.results import Result
from steer.results.result import Echo, JudgeUsed
from steer.screen import Screen
from steer.show import losses, words
from steer.show.arms import few_arms
from steer.show.headline import headline
from steer.show.sections import Section, sections
from steer.summary import about_real_models

ON_PAGES = frozenset(
    {"all-arms", "cells", "together", "categories", "made", "energy", "defence", "config", "every-try"}
    | {"stream-1-layers", "stream-2-layers", "mediation-layers"}
)
"""Sections that are too long for a screen; `report` and `export` have them."""

FEW = 3
"""Nulls of a kind that are shown; all are in the percentile."""


def print_result(screen: Screen, result: Result, folder: object) -> None:
    """What the run found, first; then what that rests on; `folder`: where all of it is."""
    print_finding(screen, result)
    shown = sections(result, few_arms(result), few=FEW)
    print_sections(screen, [section for section in shown if _fits(section, result)], result.evidence)
    print_footer(screen, result, folder)


def _fits(section: Section, result: Result) -> bool:
    """Rates of arms say little where a run has a narrow set and others: its own tables part them."""
    return section.name not in ON_PAGES and not (result.emergent is not None and section.name == "arms")


def print_finding(screen: Screen, result: Result) -> None:
    """The headline or the verdict, and what speaks against the vector."""
    found = headline(result)
    said = f"{found.sentence}{f' {found.aside}.' if found.aside else ''}"
    if result.comparison is not None:
        said = words.minus(result.comparison.verdict)
    screen.line(said + _evidence(result.evidence))
    for line in () if result.sweep is None else result.sweep.vector_flags:
        screen.line(f"Vector flagged, {line}.")


def print_sections(screen: Screen, shown: Sequence[Section], evidence: str) -> None:
    """Tables and the notes under them. How to read them is said on a page, and in the documents."""
    for section in shown:
        if section.table is not None:
            screen.table(section.title + _evidence(evidence), section.table.columns, section.table.rows)
        for line in section.note.splitlines():
            screen.line(f"  {line}")
        if section.note:
            screen.line("")


def print_footer(screen: Screen, result: Result, folder: object) -> None:
    """What was lost, whose labels these are, what is promised, what they are evidence of, where all is."""
    for line in filter(None, (losses.unlabelled(result), losses.lost_measures(result))):
        screen.line(line)
    print_judge(screen, result.judge)
    _print_echo(screen, result.echo)
    screen.line(f"determinism: {result.determinism}")
    print_evidence(screen, result.evidence)
    screen.line(f"results: {folder}")


def print_judge(screen: Screen, judge: JudgeUsed) -> None:
    """Whose labels these are, with what is known of their error: it belongs beside every gap."""
    known = f" (known error: {judge.known_error})" if judge.known_error else ""
    screen.line(f"judge: {judge.name}{known}")
    for name, used in judge.usage.items():
        screen.line(
            f"judge calls: {name}: {used['calls']}, {used['input_tokens']} tokens in "
            f"({used['cached_tokens']} from the cache), {used['output_tokens']} out"
        )


def print_evidence(screen: Screen, evidence: str) -> None:
    if evidence:
        bearing = about_real_models(evidence)
        screen.line(f"evidence: {evidence}{f'; {bearing}' if bearing else ''}")


def _print_echo(screen: Screen, echo: Echo) -> None:
    """How often answers repeat a suffix, which tells even a blind judge the arm; the gaps without those."""
    if not any(echo.shares.values()):
        return
    shares = ", ".join(f"{arm} {words.percent(share)} %" for arm, share in echo.shares.items())
    screen.line(f"answers that repeat five words in a row of a suffix: {shares}")
    gaps = [
        f"{name} {words.with_limits(gap.points_all, gap.ci_all)} (n = {gap.n})"
        for name, gap in echo.gaps.items()
    ]
    if gaps:
        screen.line(f"gaps without them, points of all: {'; '.join(gaps)}")


def _evidence(evidence: str) -> str:
    return f" · evidence: {evidence}" if evidence else ""
