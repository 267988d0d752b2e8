"""Compared logs for a terminal, as JSON, as Markdown, and as one page in which both answers can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.logs.pairs import Comparison, Discordant, scored, scorers
from experiments.logs.read import Log
from steer.screen import Screen, plain
from steer.show.markdown import table_lines
from steer.show.table import Table
from steer.show.words import p_value
from steer.summary import about_real_models

LISTED = 8
"""Samples named in a line of the terminal."""
SHOWN = 200
"""Pairs of answers a comparison in the page."""


def as_dict(logs: Sequence[Log], comparisons: Sequence[Comparison]) -> dict[str, object]:
    """Everything but the answers."""
    return {
        "task": logs[0].task,
        "version": logs[0].version,
        "dataset": logs[0].dataset,
        "evidence": evidence(logs),
        "logs": [
            {
                "name": log.name,
                "path": log.path,
                "model": log.model,
                "rows": len(log.rows),
                "errored": log.errored,
                "missing": missing(logs, log),
            }
            for log in logs
        ],
        "comparisons": [asdict(one) for one in comparisons],
        "not_compared": sorted(frozenset[str]().union(*(log.words for log in logs))),
    }


def evidence(logs: Sequence[Log]) -> str:
    return " · ".join(dict.fromkeys(log.evidence for log in logs if log.evidence))


def missing(logs: Sequence[Log], log: Log) -> int:
    """Samples and epochs that another log has and this one lacks."""
    return len(set[Any]().union(*(one.rows for one in logs)) - log.rows.keys())


def tables(logs: Sequence[Log], comparisons: Sequence[Comparison]) -> dict[str, Table]:
    """{title: table}."""
    names = scorers(logs)
    means = {log.name: [_mean(list(scored(log, name).values())) for name in names] for log in logs}
    rows = [
        (log.name, log.model, str(len(log.rows)), str(log.errored), str(missing(logs, log)), *means[log.name])
        for log in logs
    ]
    return {
        f"Logs of {logs[0].task}": Table(("log", "model", "rows", "errors", "missing", *names), tuple(rows)),
        "Paired differences": Table(
            ("first − second", "scorer", "pairs", "means", "difference", "95 %", "higher", "p", "p (Holm)"),
            tuple(map(_comparison, comparisons)),
        ),
    }


def _comparison(one: Comparison) -> tuple[str, ...]:
    left = f" of {one.pairs + one.unpaired}" if one.unpaired else ""
    return (
        f"{one.first} − {one.second}",
        one.scorer,
        f"{one.pairs}{left}",
        f"{_value(one, one.first_mean)} | {_value(one, one.second_mean)}",
        _value(one, one.difference, sign=True),
        "–" if one.ci is None else f"[{_value(one, one.ci[0])}, {_value(one, one.ci[1])}]",
        f"{one.only_first} | {one.only_second}",
        p_value(one.p),
        p_value(one.p_holm),
    )


def _value(one: Comparison, value: float, *, sign: bool = False) -> str:
    """Binary scores in percent and percentage points."""
    number = f"{100 * value:+.1f}" if one.kind == "binary" else f"{value:+.4g}"
    return number if sign or value < 0 else number.removeprefix("+")


def _mean(values: Sequence[float]) -> str:
    return f"{sum(values) / len(values):.3f}" if values else "–"


def discordant_lines(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """A line a comparison and side: which samples it scores higher."""
    for one in comparisons:
        for name, side in (
            (one.first, [d for d in one.discordant if d.first > d.second]),
            (one.second, [d for d in one.discordant if d.first < d.second]),
        ):
            if side:
                more = f" and {len(side) - LISTED} more" if len(side) > LISTED else ""
                told = ", ".join(_label(d) for d in side[:LISTED]) + more
                yield f"{one.scorer}, {one.first} − {one.second}: {name} is higher on {told}"


def _label(pair: Discordant) -> str:
    return pair.id if pair.epoch == 1 else f"{pair.id} (epoch {pair.epoch})"


def notes(logs: Sequence[Log]) -> list[str]:
    """What a reader of the numbers should know."""
    words = sorted(frozenset[str]().union(*(log.words for log in logs)))
    found = [f"not compared, their scores are words: {', '.join(words)}"] if words else []
    if said := evidence(logs):
        found.append(f"evidence: {said}{f'; {about_real_models(said)}' if about_real_models(said) else ''}")
    found.append(
        "binary scores in percent and points, with Tango's paired score interval (several epochs: MOVER); "
        "other numbers with a bootstrap over samples; p by exact sign flips of samples (McNemar's for binary)"
    )
    return found


def show(screen: Screen, logs: Sequence[Log], comparisons: Sequence[Comparison]) -> None:
    for title, table in tables(logs, comparisons).items():
        screen.table(title, table.columns, table.rows)
    for line in [*discordant_lines(comparisons), *notes(logs)]:
        screen.line(line)


def markdown(logs: Sequence[Log], comparisons: Sequence[Comparison]) -> str:
    lines: list[str] = []
    for title, table in tables(logs, comparisons).items():
        lines += [f"## {' '.join(plain(title).split())}", "", *table_lines(table), ""]
    samples = Table(
        ("first − second", "scorer", "sample", "epoch", "first", "second"),
        tuple(
            (f"{one.first} − {one.second}", one.scorer, d.id, str(d.epoch), f"{d.first:g}", f"{d.second:g}")
            for one in comparisons
            for d in one.discordant
        ),
    )
    return "\n".join([*lines, "## Samples that differ", "", *table_lines(samples), "", *notes(logs), ""])


@dataclass(frozen=True, slots=True)
class _Side:
    name: str
    score: float
    answer: str
    reason: str


def page(logs: Sequence[Log], comparisons: Sequence[Comparison]) -> str:
    """One page without scripts: the tables, and every pair that differs, opened by a click."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    by_name = {log.name: log for log in logs}
    return environment.get_template("page.html").render(
        task=logs[0].task,
        evidence=evidence(logs),
        tables=tables(logs, comparisons),
        notes=notes(logs),
        pairs=[(one, [_both(one, pair, by_name) for pair in one.discordant[:SHOWN]]) for one in comparisons],
        shown=SHOWN,
    )


def _both(one: Comparison, pair: Discordant, logs: Mapping[str, Log]) -> dict[str, object]:
    sides: list[_Side] = []
    for name, score in ((one.second, pair.second), (one.first, pair.first)):
        row = logs[name].rows[pair.id, pair.epoch]
        sides.append(_Side(name, score, row.answer, row.reasons.get(one.scorer, "")))
    return {"label": _label(pair), "question": logs[one.first].questions[pair.id], "sides": sides}
