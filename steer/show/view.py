"""From a run folder to what the page shows: texts and tables for the template, answers for the reader."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from steer.atomic import refuse_other_than_file
from steer.results import Result, read
from steer.screen import Tick, unheard
from steer.show import answers, words
from steer.show.arms import chosen_arms, main_arms
from steer.show.figures.arms import times
from steer.show.headline import headline
from steer.show.sections import Section, sections
from steer.show.table import Headline
from steer.store import RunStore
from steer.store.config import ArmContent, Config
from steer.task import Words
from steer.texts import read_text
from steer.types import STATUSES, Outcome

MARKS = {"baseline": "base", "suffix": "suffix", "cell": "vector", "both": "both", "adapter": "both"}
"""The colour of each kind of arm that the legend names."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the template sees it; `result` goes to the figures, `data` to the page's reader as JSON."""

    title: str
    folder: str
    headline: Headline
    marks: frozenset[str]
    evidence: str
    words: Words
    facts: tuple[tuple[str, str], ...]
    judge: str
    known_error: str
    sections: tuple[Section, ...]
    suffixes: tuple[tuple[str, str], ...]
    repeat: str
    run_file: str
    result: Result
    model: str
    data: Mapping[str, object]
    answers: answers.Answers


def load(folder: Path, *, budget: int, tick: Tick = unheard) -> Run:
    """Read a run; its answers fill at most `budget` characters of the page. tick: see `answers.collect`."""
    result = read(folder)
    judge = result.judge.name
    with RunStore(folder, writable=False) as store:
        outcomes = store.outcomes(judge)
        scenarios = store.scenarios()
        names = [name for name in store.arms() if name in result.arms]
        main = main_arms(result, names)
        carried = answers.collect(store, judge, names, main, budget=budget, tick=tick)
        judges = _other_judges(store, judge)
        contents, config = store.arm_contents(), store.config()
    # what carries both has a table of its own in a comparison
    alone = [name for name in main if result.comparison is None or result.arms[name].kind != "both"]
    settings = {name: contents.get(result.arms[name].arm) for name in names}
    model, command = config["model"]["name"], config["command"]
    order = {s.id: i for i, s in enumerate(scenarios)}
    data = {
        "model": model,
        "arms": _arms(result, names, carried, _statuses(outcomes, order), settings),
        "scenarios": [[s.id, s.category, s.system, s.user] for s in scenarios],
        "statuses": list(STATUSES),
        "words": result.task.words.model_dump(),
        "labels": {one.role: one.name for one in reversed(result.task.labels)},
    }
    return Run(
        title=f"{model} · {command}" if command else model,
        folder=str(folder),
        headline=headline(result),
        marks=frozenset(MARKS.get(result.arms[name].kind, "") for name in main),
        evidence=result.evidence,
        words=result.task.words,
        facts=_facts(result, config, len(scenarios)),
        judge=judge,
        known_error=result.judge.known_error or "",
        sections=tuple(sections(result, alone, every=names, outcomes=outcomes, judges=judges)),
        suffixes=tuple(
            (name, content["suffix"])
            for name, content in settings.items()
            if result.arms[name].kind == "suffix"
            and content
            and content["suffix"]
            and not content["system_suffix"]
        ),
        repeat=f"python cli.py {command} --config {shlex.quote(str(folder / 'run.yaml'))}",
        run_file=_text(folder / "run.yaml"),
        result=result,
        model=model,
        data=data,
        answers=carried,
    )


def _arms(
    result: Result,
    names: Sequence[str],
    carried: answers.Answers,
    statuses: Mapping[str, list[list[int]]],
    settings: Mapping[str, ArmContent | None],
) -> list[dict[str, object]]:
    """The arms as the page's reader takes them."""
    pieces = {piece.arm: i for i, piece in enumerate(carried.pieces)}
    chosen = chosen_arms(result)
    return [
        {
            "name": name,
            "kind": arm.kind,
            "n": arm.n,
            "percent": times(100, arm.rate_all),
            "temperature": arm.temperature,
            "chosen": name in chosen,
            "settings": words.settings(settings[name]),
            "statuses": statuses[name],
            "piece": pieces.get(name),
            "shown": carried.pieces[pieces[name]].rows if name in pieces else 0,
            "rows": len(statuses[name]),
        }
        for name, arm in ((name, result.arms[name]) for name in names)
    ]


def _text(path: Path) -> str:
    return read_text(path, received=True) if refuse_other_than_file(path) else ""


def _statuses(outcomes: Sequence[Outcome], order: Mapping[str, int]) -> dict[str, list[list[int]]]:
    """{arm: [[scenario, sample, index into STATUSES], ...]} in scenario order."""
    code = {status: i for i, status in enumerate(STATUSES)}
    found: dict[str, list[list[int]]] = {}
    for o in outcomes:
        found.setdefault(o.arm, []).append([order[o.scenario], o.sample, code[o.status]])
    return found


def _facts(result: Result, config: Config, n: int) -> tuple[tuple[str, str], ...]:
    sampling = config["sampling"]
    temperatures = ", ".join("greedy" if t == 0 else f"T = {t:g}" for t in sampling["temperatures"])
    samples = sampling["samples"]
    facts = [
        ("Model", f"{config['model']['name']} ({config['model']['dtype']})"),
        ("Scenarios", f"{n} in {len(result.categories)} categories"),
        ("Arms", str(len(result.arms))),
        ("Sampling", temperatures + (f", {samples} samples" if samples > 1 else "")),
    ]
    return tuple((name, value) for name, value in facts if value)


def _other_judges(store: RunStore, judge: str) -> dict[str, dict[tuple[str, str], int]]:
    """{other judge: {(label of `judge`, its label): answers}} for answers that both have judged."""
    sql = """
        SELECT b.judge, a.role, b.role, count(*) FROM verdicts a JOIN verdicts b ON a.response = b.response
        WHERE a.judge = ? AND b.judge != ? GROUP BY b.judge, a.role, b.role"""
    found: dict[str, dict[tuple[str, str], int]] = {}
    for other, mine, theirs, n in store.query(sql, (judge, judge)):
        found.setdefault(other, {})[mine, theirs] = n
    return found
