"""What is said of categories, single scenarios, other judges and the configuration: for pages."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from steer.gaps import Movement
from steer.judges import agreement
from steer.results import Result
from steer.show import words
from steer.show.table import Section, Table
from steer.types import Outcome

LISTED_ITEMS = 40
"""Scenarios named in a list of those that moved the wrong way or could not move."""

Judges = Mapping[str, Mapping[tuple[str, str], int]]
"""By other judge: (label of the run's judge, its label) -> answers."""


def category_section(result: Result, arms: Sequence[str]) -> Section:
    """Rates of the arms, then how many scenarios moved which way under the main gaps."""
    moved = category_movement(result)
    rows: list[tuple[str, ...]] = []
    for category, found in result.categories.items():
        n = max((found[a].n for a in arms if a in found), default=0)
        rates = (words.percent(found[a].rate_all) if a in found else words.NONE for a in arms)
        ways = (
            f"{one[category].right_way} / {one[category].wrong_way}" if category in one else words.NONE
            for one in moved.values()
        )
        stuck = [str(one[category].cannot_move) for one in list(moved.values())[:1] if category in one]
        rows.append((category, str(n), *ways, *stuck, *rates))
    titles = [f"right / wrong way, {name}" for name in moved]
    columns = ("category", "n", *titles, *(["cannot move"] if moved else []), *arms)
    return Section(
        "categories",
        "By category",
        f"{words.capital(result.task.words.noun)} in each category, % of all answers. A category has few "
        "scenarios: mind the intervals. The table counts the scenarios that moved the right and the wrong "
        "way, and those that could not move.",
        Table(columns, tuple(rows)),
    )


def category_movement(result: Result) -> dict[str, Mapping[str, Movement]]:
    """{gap: {category: scenarios by how they moved}}: the run's first gap, then the vector's out of fold."""
    found: dict[str, Mapping[str, Movement]] = dict(list(result.movement.items())[:1])
    if result.sweep is not None and result.sweep.choice.report is not None:
        found["vector"] = result.sweep.choice.report.movement
    return found


def item_sections(result: Result, outcomes: Sequence[Outcome]) -> Iterator[Section]:
    """Scenarios that moved the wrong way under a gap, and those that are hits under every arm or none."""
    rows = [*_wrong_way(result, outcomes), *_stuck(result, outcomes)]
    if rows:
        table = Table(
            ("scenarios", "n", "which"),
            tuple((what, str(len(ids)), _listed(ids)) for what, ids, _ in rows),
            tuple(link for *_, link in rows),
        )
        title = "Scenarios that moved the wrong way, or could not move"
        yield Section("items", title, table=table, part=bool(result.gaps))


def _wrong_way(result: Result, outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[str], str]]:
    valid = {
        (o.scenario, o.sample, o.arm): o.status == "hit"
        for o in outcomes
        if o.status in ("hit", "miss", "refusal")
    }
    units = list(dict.fromkeys((o.scenario, o.sample) for o in outcomes))
    for name, gap in result.gaps.items():
        change: dict[str, int] = {}
        for id, sample in units:
            first, second = valid.get((id, sample, gap.first)), valid.get((id, sample, gap.second))
            if first is not None and second is not None:
                change[id] = change.get(id, 0) + first - second
        moved = [id for id, total in change.items() if total < 0]
        if moved:
            yield f"wrong way, {name}", moved, gap.first


def _stuck(result: Result, outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[str], str]]:
    adjective, every = result.task.words.adjective, {o.scenario for o in outcomes}
    always = sorted(every - {o.scenario for o in outcomes if o.status != "hit"})
    never = sorted(every - {o.scenario for o in outcomes if o.status == "hit"})
    if always:
        yield f"cannot move: {adjective} under every arm", always, ""
    if never:
        yield f"never moved: {adjective} under no arm", never, ""


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - LISTED_ITEMS} more" if len(ids) > LISTED_ITEMS else ""
    return ", ".join(ids[:LISTED_ITEMS]) + more


def config_section(result: Result) -> Section:
    """Everything that decides the run's rows (arms apart), then where it ran."""
    rows: list[tuple[str, str]] = []

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
                add(f"{prefix}.{key}" if prefix else str(key), inner)  # pyright: ignore[reportUnknownArgumentType]
        else:
            rows.append((prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))

    add("", {k: v for k, v in result.config.items() if k != "arms"})
    add("provenance", result.provenance)
    rows.append(("determinism", result.determinism))
    table = Table(("setting", "value"), tuple(rows))
    return Section("config", "Configuration and provenance", table=table)


def agreement_section(others: Judges) -> Section | None:
    """How other judges agree with the run's, where both gave a label. The figures are `agreement`'s."""
    rows = tuple(_agreement(other, found) for other, found in others.items())
    columns = (
        "other judge",
        "answers both labelled",
        "where one gave none",
        "same label %",
        "κ",
        "points by which its rate is higher",
    )
    sentence = "The same answers under other judges. κ is Cohen's, over all labels."
    return Section("agreement", "Agreement between judges", sentence, Table(columns, rows)) if rows else None


def _agreement(other: str, found: Mapping[tuple[str, str], int]) -> tuple[str, ...]:
    counts = np.zeros((len(agreement.KINDS), len(agreement.KINDS)))
    for (mine, theirs), n in found.items():
        if mine in agreement.KINDS and theirs in agreement.KINDS:
            counts[agreement.KINDS.index(mine), agreement.KINDS.index(theirs)] = n
    total, kappa = int(counts.sum()), float(agreement.kappa(counts))
    return (
        other,
        str(total),
        str(sum(found.values()) - total),
        words.percent(float(agreement.accuracy(counts))) if total else words.NONE,
        words.fixed(None if math.isnan(kappa) else kappa),
        words.points(100 * float(agreement.rate_error(counts))) if total else words.NONE,
    )
