"""From a run folder to what the page shows: texts and tables for the template, answers for the reader."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from steer.atomic import refuse_other_than_file
from steer.errors import UserError
from steer.show import answers, emergent, losses, tables, words
from steer.show.figures.arms import times
from steer.show.table import Table
from steer.show.words import Headline
from steer.store import RunStore
from steer.texts import read_json, read_text
from steer.types import STATUSES, Outcome

MARKS = {"baseline": "base", "suffix": "suffix", "cell": "vector", "both": "both", "adapter": "both"}
"""The colour of each kind of arm that the legend names."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the template sees it; `summary` goes to the figures, `data` to the page's reader as JSON."""

    title: str
    folder: str
    headline: Headline
    marks: frozenset[str]
    evidence: str
    words: Mapping[str, str]
    facts: tuple[tuple[str, str], ...]
    judge: str
    known_error: str
    tables: dict[str, Table]
    notes: dict[str, str]
    suffixes: tuple[tuple[str, str], ...]
    repeat: str
    run_file: str
    summary: Mapping[str, Any]
    data: dict[str, Any]
    answers: answers.Answers


def read_summary(folder: Path) -> dict[str, Any]:
    """The run's `summary.json`; UserError where there is none or it cannot be read."""
    path = folder / "summary.json"
    if refuse_other_than_file(path) is None:
        raise UserError(
            f"no summary.json in {str(folder)!r}: give the folder of a finished run, or repeat its command"
        )
    found = read_json(path, received=True)
    if not isinstance(found, dict):
        raise UserError(f"{str(path)!r} is damaged: repeat the run's command to write it again")
    return cast("dict[str, Any]", found)


def load(folder: Path, *, budget: int, tick: answers.Tick = answers.unheard) -> Run:
    """Read a run; its answers fill at most `budget` characters of the page. tick: see `answers.collect`."""
    summary = read_summary(folder)
    judge = summary["judge"]["name"]
    with RunStore(folder, writable=False) as store:
        outcomes = store.outcomes(judge)
        scenarios = store.scenarios()
        names = [name for name in store.arms() if name in summary["arms"]]
        kinds = {name: words.kind_of(summary, name) for name in names}
        main = words.main_arms(summary, names)
        carried = answers.collect(store, judge, names, main, budget=budget, tick=tick)
        judges = _other_judges(store, judge)
        contents = store.arm_contents()
    chosen: list[str] = summary.get("choice", {}).get("chosen_arms", [])
    config = summary["config"]
    order = {s.id: i for i, s in enumerate(scenarios)}
    pieces = {piece.arm: i for i, piece in enumerate(carried.pieces)}
    statuses = _statuses(outcomes, order)
    rows = {name: sum(1 for _ in statuses[name]) for name in names}
    arms = [
        {
            "name": name,
            "kind": kinds[name],
            "n": summary["arms"][name]["n"],
            "percent": times(100, summary["arms"][name]["rate_all"]),
            "temperature": summary["arms"][name].get("temperature"),
            "chosen": name in chosen,
            "settings": words.settings(contents.get(words.base_name(summary, name))),
            "statuses": statuses[name],
            "piece": pieces.get(name),
            "shown": carried.pieces[pieces[name]].rows if name in pieces else 0,
            "rows": rows[name],
        }
        for name in names
    ]
    model = config["model"]["name"]
    command = str(config.get("command", ""))
    data = {
        "model": model,
        "arms": arms,
        "scenarios": [[s.id, s.category, s.system, s.user] for s in scenarios],
        "statuses": list(STATUSES),
        "words": words.spoken(summary),
        "labels": {one["role"]: one["name"] for one in reversed(summary["task"]["labels"])},
    }
    return Run(
        title=f"{model} · {command}" if command else model,
        folder=str(folder),
        headline=_headline(summary),
        marks=frozenset(MARKS.get(kinds[name], "") for name in main),
        evidence=summary["evidence"],
        words=words.spoken(summary),
        facts=_facts(summary, len(scenarios)),
        judge=judge,
        known_error=summary["judge"]["known_error"] or "",
        tables=tables.all_tables(summary, names, main, outcomes, judges),
        notes=_notes(summary),
        suffixes=tuple(
            (name, content["suffix"])
            for name in names
            if kinds[name] == "suffix"
            and (content := contents.get(words.base_name(summary, name)))
            and content["suffix"]
            and not content["system_suffix"]
        ),
        repeat=f"python cli.py {command} --config {shlex.quote(str(folder / 'run.yaml'))}",
        run_file=_text(folder / "run.yaml"),
        summary=summary,
        data=data,
        answers=carried,
    )


def _headline(summary: Mapping[str, Any]) -> Headline:
    """What the run found, and before all that it rests on, what it lost."""
    found = emergent.headline(summary) if "spillover" in summary else words.headline(summary)
    lost = (losses.unlabelled(summary), losses.lost_measures(summary))
    return replace(found, details=(*(f"{s[:1].upper()}{s[1:]}." for s in lost if s), *found.details))


def _text(path: Path) -> str:
    return read_text(path, received=True) if refuse_other_than_file(path) else ""


def _statuses(outcomes: Sequence[Outcome], order: Mapping[str, int]) -> dict[str, list[list[int]]]:
    """{arm: [[scenario, sample, index into STATUSES], ...]} in scenario order."""
    code = {status: i for i, status in enumerate(STATUSES)}
    found: dict[str, list[list[int]]] = {}
    for o in outcomes:
        found.setdefault(o.arm, []).append([order[o.scenario], o.sample, code[o.status]])
    return found


def _facts(summary: Mapping[str, Any], n: int) -> tuple[tuple[str, str], ...]:
    config = summary["config"]
    sampling = config.get("sampling", {})
    temperatures = ", ".join("greedy" if t == 0 else f"T = {t:g}" for t in sampling.get("temperatures", []))
    samples = sampling.get("samples", 1)
    facts = [
        ("Model", f"{config['model']['name']} ({config['model']['dtype']})"),
        ("Scenarios", f"{n} in {len(summary['categories'])} categories"),
        ("Arms", str(len(summary["arms"]))),
        ("Sampling", temperatures + (f", {samples} samples" if samples > 1 else "")),
    ]
    return tuple((name, value) for name, value in facts if value)


def _notes(summary: Mapping[str, Any]) -> dict[str, str]:
    """The sentence that stands over a section."""
    notes: dict[str, str] = {}
    choice = summary.get("choice")
    if choice and "folds" in choice:
        folds = "; ".join(
            f"chosen on half {f['choose_on']}: layer {f['layer']} at ±{f['magnitude']:g}, "
            f"reported on half {f['report_on']}"
            for f in choice["folds"]
        )
        cap = choice.get("cap") or {}
        capped = " and ".join(
            f"nonsense at most {100 * v:g} %" if k == "nonsense" else f"{k} at most {v:g}"
            for k, v in cap.items()
            if v is not None
        )
        notes["choice"] = f"{folds[:1].upper()}{folds[1:]}." + (
            f" Cells allowed: {capped}." if capped else ""
        )
    elif choice and "none" in choice:
        notes["choice"] = choice["none"]
    found = summary.get("beyond_random")
    if found and found["directions"]:
        notes["controls"] = f"The vector's interval and the random directions: {words.beyond(found)}."
    if "notes" in summary:
        notes["emergent"] = "\n".join(summary["notes"])
    return notes


def _other_judges(store: RunStore, judge: str) -> dict[str, dict[tuple[str, str], int]]:
    """{other judge: {(label of `judge`, its label): answers}} for answers that both have judged."""
    sql = """
        SELECT b.judge, a.role, b.role, count(*) FROM verdicts a JOIN verdicts b ON a.response = b.response
        WHERE a.judge = ? AND b.judge != ? GROUP BY b.judge, a.role, b.role"""
    found: dict[str, dict[tuple[str, str], int]] = {}
    for other, mine, theirs, n in store.query(sql, (judge, judge)):
        found.setdefault(other, {})[mine, theirs] = n
    return found
