"""Judging an existing run again: by another judge, repeatedly, its thinking apart, or by people.

Verdicts of different judges lie side by side in the run store; nothing is generated.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from steer import judges, pipeline
from steer.atomic import is_stream, write_atomically
from steer.errors import UserError
from steer.judges import make
from steer.judges import sheet as sheets
from steer.judges.panel import majority, members, panel_name
from steer.plan import digest
from steer.screen import Screen
from steer.store import RunStore
from steer.store.config import Config
from steer.types import Judge, JudgeItem, Scenario, Sees, Verdict

if TYPE_CHECKING:
    from typing import Unpack

    from steer.judges.endpoint import Access

Part = Literal["answer", "thinking"]


@dataclass(frozen=True, slots=True, eq=False)
class Renamed:
    """A judge under another name, so that its verdicts are kept beside those it gave before."""

    inner: Judge
    name: str

    @property
    def remote(self) -> bool:
        return self.inner.remote

    @property
    def usage(self) -> Mapping[str, object]:
        return getattr(self.inner, "usage", {})

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        return self.inner.judge(items)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What `annotate` wrote: two forms of one sheet."""

    csv: Path
    html: Path | None
    n: int


def judge_run(
    folder: Path,
    spec: str,
    *,
    repeat: int = 1,
    part: Part = "answer",
    sees: Sees | None = None,
    retry_invalid: bool = False,
    screen: Screen,
    **access: Unpack[Access],
) -> list[str]:
    """Judge every answer of a run that `spec` has not judged; returns the judge names in the store.

    repeat: the first pass is the judge's own, further ones are kept as NAME~2, NAME~3, ...
    part: `thinking` judges what came before the answer, as NAME+thinking.
    sees: None is blind, or for the run's own judge what it saw; the other choice is kept as
    NAME+steered or NAME+unsteered. Members of a panel are judged one by one, then the majority is
    taken; one that is named as the run's store names it has judged already. Answers that got no label
    for a reason that may pass (of transport, of budget) are judged again; retry_invalid: all without one.
    access: how a judge behind an endpoint is reached.
    """
    if repeat < 1:
        raise UserError(f"--repeat {repeat}: give a whole number from 1")
    panel = spec.startswith("panel:")
    if panel and repeat > 1:
        raise UserError(f"--repeat {repeat} of a panel: repeat one of its members")
    with RunStore(folder, writable=False) as store:
        known = set(store.judges()) if panel else set[str]()
    specs = members(spec) if panel else [spec]
    run_judge = _open(folder).get("judge", {})
    with RunStore(folder, writable=False) as store:
        task = store.task()
    made = {  # all of them first: an endpoint that is down is said before a model is loaded
        member: make(member, task, **access) for member in specs if member not in known
    }

    def judged(store: RunStore, judge: Judge, k: int) -> str:
        name = judge.name + ("+thinking" if part == "thinking" else "")
        own: Sees = run_judge.get("sees", "unsteered") if name == run_judge.get("name") else "unsteered"
        seen: Sees = sees or own
        name += (f"+{seen}" if seen != own else "") + (f"~{k}" if k > 1 else "")
        store.reopen(name, unsettled_only=not retry_invalid)
        _pass(store, Renamed(judge, name), part, seen, screen)
        return name

    with RunStore(folder) as store:
        names = [
            judged(store, made[member], k) if member in made else member
            for member in specs
            for k in range(1, repeat + 1)
        ]
        for judge in made.values():
            _say(judge, screen)
        names += [_majorities(store, names)] if panel else []
        for name in names if part == "answer" else ():
            if lost := pipeline.without_label(store, name):
                screen.note(lost)
        return names


def _say(judge: Judge, screen: Screen) -> None:
    for note in judges.notes(judge):
        screen.note(note)
    for name, used in judges.usage(judge).items():
        if used["calls"]:
            screen.note(
                f"{name}: {used['calls']} calls, {used['input_tokens']} tokens in "
                f"({used['cached_tokens']} from the cache), {used['output_tokens']} out"
            )


def _open(folder: Path) -> Config:
    """The configuration of a run that has something to judge."""
    with RunStore(folder, writable=False) as store:
        if not any(True for _ in store.query("SELECT 1 FROM responses WHERE finish != 'failed' LIMIT 1")):
            raise UserError(
                f"run {str(folder)!r} has no answers to judge: finish it with the command that began it"
            )
        return store.config()


def _pass(store: RunStore, judge: Judge, part: Part, sees: Sees, screen: Screen) -> None:
    if part == "thinking":
        items = _thoughts(store, judge.name)
        waiting = sum(len(keys) for _, keys in items.values())
        with screen.progress(generate=0, judge=waiting) as tick, pipeline.accounted(store, judge):
            for n in _keep(store, judge, items):
                tick("judge", n)
        return
    waiting = sum(1 for _ in store.unjudged(judge.name))
    with screen.progress(generate=0, judge=waiting) as tick:
        pipeline.judge_stored(store, judge, sees, tick)


def _thoughts(store: RunStore, name: str) -> dict[str, tuple[JudgeItem, list[str]]]:
    """Judge input -> (item, response keys) for every thinking text that `name` has not judged."""
    scenarios = {s.id: s for s in store.scenarios()}
    sql = """
        SELECT r.key, min(p.scenario), r.thinking FROM responses r JOIN plan p ON p.response = r.key
        WHERE r.finish != 'failed' AND trim(r.thinking) != ''
          AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.response = r.key AND v.judge = ?)
        GROUP BY r.key ORDER BY r.key"""
    found: dict[str, tuple[JudgeItem, list[str]]] = {}
    for key, scenario, thinking in store.query(sql, (name,)):
        item = _item(scenarios[scenario], thinking)
        found.setdefault(item.id, (item, []))[1].append(key)
    return found


def _item(scenario: Scenario, text: str) -> JudgeItem:
    return JudgeItem(digest([scenario.category, scenario.system, scenario.user, text]), scenario, text)


def _keep(store: RunStore, judge: Judge, items: dict[str, tuple[JudgeItem, list[str]]]) -> Iterator[int]:
    for seen, verdict in judge.judge([item for item, _ in items.values()]):
        keys = items[seen][1]
        store.add_verdicts(judge.name, [(key, seen, verdict) for key in keys])
        yield len(keys)


def _majorities(store: RunStore, names: list[str]) -> str:
    """Store the panel's verdict on every response that all its members judged."""
    panel = panel_name(names)
    store.reopen(panel, unsettled_only=False)  # its members may have more to say by now
    sql = "SELECT response, judge, role, reason, input FROM verdicts"
    given: dict[str, dict[str, Verdict]] = {}
    inputs: dict[str, str] = {}
    for key, judge, role, reason, seen in store.query(sql):
        if judge in names:
            given.setdefault(key, {})[judge] = Verdict(role, reason)
            inputs[key] = seen
    store.add_verdicts(
        panel, [(key, inputs[key], majority(v)) for key, v in given.items() if len(v) == len(names)]
    )
    return panel


# --- people ----------------------------------------------------------------------------------


def annotate(folder: Path, name: str, *, n: int = 60, seed: int = 0, out: Path | None = None) -> Sheet:
    """Write a blind sheet of `n` answers, as equal a number from each arm as there is, in random order.

    name: `human:NAME`; answers this person has judged are left out. out: the CSV file (the HTML
    form lies beside it); default sheet-NAME.csv in the run folder. What is filled in on a sheet that is
    there stays on it. Into a pipe goes the CSV alone.
    """
    person = _person(name)
    if n < 1:
        raise UserError(f"--n {n}: give a whole number from 1")
    path = out or folder / f"sheet-{person}.csv"
    streams = out is not None and is_stream(path)
    page = path.with_suffix(".html")
    if page == path:
        raise UserError(f"--out {str(path)!r}: the form takes that name; give the CSV file, NAME.csv")
    given = {} if streams else sheets.filled_in(path)
    _open(folder)
    with RunStore(folder, writable=False) as store:
        pools = _by_arm(store, name)
        known = {item.id: item for _, item in _answers(store)}
        stored = {id: (v.label, v.reason) for id, v in store.verdict_by_input(name).items()}
        task = store.task()
    if strange := len(given.keys() - known.keys()):
        raise UserError(
            f"{str(path)!r} holds {strange} label{'s' * (strange != 1)} of answers that are not in this run: "
            "give another --out"
        )
    given = {id: label for id, label in given.items() if stored.get(id) != label}
    draw = random.Random(seed)
    for pool in pools.values():
        draw.shuffle(pool)
    chosen: dict[str, JudgeItem] = {}
    while len(chosen) < n and any(pools.values()):
        for pool in pools.values():
            if pool and len(chosen) < n:
                item = pool.pop()
                chosen.setdefault(item.id, item)
    chosen |= {id: known[id] for id in given}
    if not chosen:
        raise UserError(f"{name} has judged every answer of {str(folder)!r}: nothing is left for a sheet")
    items = sorted(chosen.values(), key=lambda item: digest([seed, item.id]))
    write_atomically(path, sheets.to_csv(items, given).encode("utf-8-sig"), streams=streams)
    if streams:
        return Sheet(path, None, len(items))
    write_atomically(page, sheets.to_html(items, f"{len(items)} answers to label", task).encode())
    return Sheet(path, page, len(items))


def import_sheet(folder: Path, sheet: Path, name: str, *, partial: bool = False) -> dict[str, object]:
    """Read a filled-in sheet back as the verdicts of `name`; equal answers all get the label.

    Returns counts: `labels` read, `rows` of the run they settle. A label that contradicts an earlier
    one of the same name is a UserError.
    """
    _person(name)
    _open(folder)
    with RunStore(folder) as store:
        keys: dict[str, list[str]] = {}
        for key, item in _answers(store):
            keys.setdefault(item.id, []).append(key)
        verdicts = sheets.read(sheet, keys.keys(), store.task(), partial=partial)
        before = store.verdict_by_input(name)
        changed = [id for id, v in verdicts if id in before and before[id].label != v.label]
        if changed:
            raise UserError(
                f"{name} labelled {len(changed)} of these answers otherwise before: import under another name"
            )
        new = [(key, id, verdict) for id, verdict in verdicts for key in keys[id]]
        store.add_verdicts(name, new)
    return {"judge": name, "labels": len(verdicts), "rows": len(new)}


def _person(name: str) -> str:
    kind, _, person = name.partition(":")
    if kind != "human" or not person or not person.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"judge {name!r}: write human:NAME, with letters, digits, - and _ in the name")
    return person


def _answers(store: RunStore) -> Iterator[tuple[str, JudgeItem]]:
    """(response key, item) of every complete answer: what any judge of answers may see."""
    scenarios = {s.id: s for s in store.scenarios()}
    for key, scenario, _, answer in store.unjudged(""):
        yield key, _item(scenarios[scenario], answer)


def _by_arm(store: RunStore, name: str) -> dict[str, list[JudgeItem]]:
    """The answers that `name` has not judged, by arm."""
    judged = store.verdict_by_input(name)
    items = {key: item for key, item in _answers(store) if item.id not in judged}
    pools: dict[str, list[JudgeItem]] = {arm: [] for arm in store.arms()}
    for arm, key in store.query("SELECT DISTINCT arm, response FROM plan ORDER BY arm, response"):
        if key in items:
            pools[arm].append(items[key])
    return pools
