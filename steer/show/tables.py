"""A summary's numbers as tables of text, for the page and for Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from steer.judges import agreement
from steer.screen import plain
from steer.show import comparison, emergent, propensity, words
from steer.show.table import Table
from steer.types import Outcome

LISTED_ITEMS = 40
"""Scenarios named in a list of those that moved the wrong way or could not move."""


def all_tables(
    summary: Mapping[str, Any],
    names: Sequence[str],
    main: Sequence[str],
    outcomes: Sequence[Outcome],
    judges: Mapping[str, Mapping[tuple[str, str], int]],
) -> dict[str, Table]:
    tables = {"arms": arm_table(summary, main), "gaps": gap_table(summary["gaps"])}
    if len(main) < len(names):
        tables["all_arms"] = arm_table(summary, names)
    if "propensity" in summary:
        tables["propensity"] = propensity.propensity_table(summary)
    if summary.get("cells"):
        tables["cells"] = cell_table(summary)
    if summary.get("controls_out_of_fold"):
        tables["controls"] = control_table(summary)
    if "side_by_side" in summary:
        tables["side_by_side"] = comparison.side_table(summary["side_by_side"])
    if "exchange" in summary:
        tables["exchange"] = comparison.exchange_table(summary["exchange"])
    if "tug" in summary:
        tables["tug"] = comparison.tug_table(summary["tug"])
        tables["tug_arms"] = comparison.arm_rates(summary["tug"]["table"])
    if summary.get("frontier"):
        tables["frontier"] = comparison.frontier_table(summary["frontier"])
    if "transfer" in summary:
        tables["transfer"] = comparison.transfer_table(summary["transfer"])
    if "costs" in summary:
        tables["costs"] = comparison.cost_table(summary["costs"])
    if summary.get("spillover"):
        tables |= emergent.emergent_tables(summary)
    tables["categories"] = category_table(summary, main)
    items = item_table(summary, outcomes)
    if items is not None:
        tables["items"] = items
    agreement = agreement_table(judges)
    if agreement is not None:
        tables["agreement"] = agreement
    tables["config"] = config_table(summary)
    return {name: _shown(table, set(names)) for name, table in tables.items()}


def _shown(table: Table, arms: set[str]) -> Table:
    """Control and direction characters shown, not obeyed; links only to arms that have answers."""
    rows = tuple(tuple(plain(cell) for cell in row) for row in table.rows)
    links = tuple(link if link in arms else "" for link in table.links)
    return Table(tuple(plain(c) for c in table.columns), rows, links, plain(table.caption))


def arm_table(summary: Mapping[str, Any], names: Sequence[str]) -> Table:
    measured = [
        ("fluency", "fluency"),
        ("drift", "drift"),
        ("capability", "capability %"),
        ("over_refusal", "over-refusal %"),
    ]
    arms = {name: summary["arms"][name] for name in names}
    measured = [(k, title) for k, title in measured if any(arm.get(k) is not None for arm in arms.values())]
    rows: list[tuple[str, ...]] = []
    for name, arm in arms.items():
        unlabelled = arm["invalid"] + arm["truncated"] + arm["failed"] + arm.get("missing", 0)
        rows.append(
            (
                name,
                str(arm["n"]),
                words.percent(arm["rate_all"]),
                words.limits(arm["rate_all_ci"], scale=100),
                words.percent(arm["rate_valid"]),
                words.limits(arm["rate_valid_ci"], scale=100),
                words.percent(arm["refusal_valid"]),
                words.percent(arm["broken_all"]),
                str(unlabelled),
                *(
                    words.percent(arm.get(k)) if title.endswith("%") else words.number(arm.get(k))
                    for k, title in measured
                ),
            )
        )
    columns = ("arm", "n", "% of all", "95 %", "% of valid", "95 %", "refusal %", "nonsense %")
    return Table((*columns, "no label", *(title for _, title in measured)), tuple(rows), tuple(names))


def gap_table(gaps: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            name,
            words.points(g["points_all"]),
            words.limits(g["ci_all"]),
            words.points(g["points_valid"]),
            words.limits(g["ci_valid"]),
            f"{g['only_first']} / {g['only_second']}",
            words.p_value(g["p"]),
            words.p_value(g["p_holm"]),
            str(g["wrong_way"]),
            str(g["cannot_move"]),
        )
        for name, g in gaps.items()
    )
    columns = ("gap", "points of all", "95 %", "points of valid", "95 %", "only 1st / 2nd", "p", "p Holm")
    return Table((*columns, "wrong way", "cannot move"), rows, tuple(g["first"] for g in gaps.values()))


def cell_table(summary: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = []
    for cell in sorted(summary["cells"], key=lambda c: (c["layer"], c["magnitude"])):
        arm = summary["arms"][cell["arm"]]
        rows.append(
            (
                cell["arm"],
                str(cell["layer"]),
                words.signed(cell["magnitude"]),
                cell["span"],
                words.percent(arm["rate_all"]),
                words.points(cell["points_all"]),
                words.limits(cell["ci_all"]),
                words.p_value(cell["p_holm"]),
                words.percent(arm["broken_all"]),
                words.number(arm.get("fluency")),
                words.number(arm.get("drift")),
                cell["role"],
            )
        )
    columns = (
        "cell",
        "layer",
        "magnitude",
        "span",
        "conv % of all",
        "points",
        "95 %",
        "p Holm",
        "nonsense %",
    )
    links = tuple(row[0] for row in rows)
    return Table((*columns, "fluency", "drift", "role"), tuple(rows), links)


def control_table(summary: Mapping[str, Any]) -> Table:
    """Vector and controls out of fold: each half's scenarios at the cell that the other half chose."""
    choice, bounds = summary["choice"], summary["beyond_random"]
    vector = (words.with_limits(choice[gap]["points_all"], choice[gap]["ci_all"]) for gap in words.GAPS)
    rows = [("the vector", "", *vector)]
    rows += [
        (c["control"], c["kind"], *(words.with_limits(c[gap]["points"], c[gap]["ci"]) for gap in words.GAPS))
        for c in summary["controls_out_of_fold"]
    ]
    if bounds["directions"]:
        title, limits = words.random_bounds(bounds)
        rows.append((title, "", *(words.NONE if limit is None else f"{limit:.1f}" for limit in limits)))
    caption = "points of all with 95 % intervals, out of fold"
    return Table(("in the vector's place", "kind", *words.GAPS.values()), tuple(rows), caption=caption)


def category_table(summary: Mapping[str, Any], arms: Sequence[str]) -> Table:
    """Rates of the arms, then how many scenarios moved which way under the main gaps."""
    moved = category_movement(summary)
    rows: list[tuple[str, ...]] = []
    for category, found in summary["categories"].items():
        n = max((found[a]["n"] for a in arms if a in found), default=0)
        rates = (words.percent(found[a]["rate_all"]) if a in found else words.NONE for a in arms)
        ways = (
            f"{one[category]['right_way']} / {one[category]['wrong_way']}" if category in one else words.NONE
            for one in moved.values()
        )
        stuck = [str(one[category]["cannot_move"]) for one in list(moved.values())[:1] if category in one]
        rows.append((category, str(n), *ways, *stuck, *rates))
    titles = [f"right / wrong way, {name}" for name in moved]
    columns = ("category", "n", *titles, *(["cannot move"] if moved else []), *arms)
    return Table(
        columns, tuple(rows), caption=f"scenarios moved; {words.spoken(summary)['noun']}, % of all answers"
    )


def category_movement(summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """{gap: {category: scenarios by how they moved}}: the run's first gap, then the vector's out of fold."""
    found: dict[str, Mapping[str, Any]] = dict(list(summary.get("movement", {}).items())[:1])
    if "movement" in summary.get("choice", {}):
        found["vector"] = summary["choice"]["movement"]
    return found


def item_table(summary: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Table | None:
    """Scenarios that moved the wrong way under a gap, and those that are hits under every arm."""
    adjective = words.spoken(summary)["adjective"]
    valid = {
        (o.scenario, o.sample, o.arm): o.status == "hit"
        for o in outcomes
        if o.status in ("hit", "miss", "refusal")
    }
    units = list(dict.fromkeys((o.scenario, o.sample) for o in outcomes))
    rows: list[tuple[str, ...]] = []
    links: list[str] = []
    for name, gap in summary["gaps"].items():
        change: dict[str, int] = {}
        for id, sample in units:
            first, second = valid.get((id, sample, gap["first"])), valid.get((id, sample, gap["second"]))
            if first is not None and second is not None:
                change[id] = change.get(id, 0) + first - second
        moved = [id for id, sum_of in change.items() if sum_of < 0]
        if moved:
            rows.append((f"wrong way, {name}", str(len(moved)), _listed(moved)))
            links.append(gap["first"])
    always = {o.scenario for o in outcomes} - {o.scenario for o in outcomes if o.status != "hit"}
    if always:
        rows.append((f"cannot move: {adjective} under every arm", str(len(always)), _listed(sorted(always))))
        links.append("")
    never = {o.scenario for o in outcomes} - {o.scenario for o in outcomes if o.status == "hit"}
    if never:
        rows.append((f"never moved: {adjective} under no arm", str(len(never)), _listed(sorted(never))))
        links.append("")
    return Table(("scenarios", "n", "which"), tuple(rows), tuple(links)) if rows else None


def config_table(summary: Mapping[str, Any]) -> Table:
    """Everything that decides the run's rows (arms apart), then where it ran."""
    rows: list[tuple[str, ...]] = []

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{prefix}.{key}" if prefix else str(key), inner)
        else:
            rows.append((prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))

    add("", {k: v for k, v in summary["config"].items() if k != "arms"})
    add("provenance", summary["provenance"])
    rows.append(("determinism", summary["determinism"]))
    return Table(("setting", "value"), tuple(rows))


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - LISTED_ITEMS} more" if len(ids) > LISTED_ITEMS else ""
    return ", ".join(ids[:LISTED_ITEMS]) + more


def agreement_table(others: Mapping[str, Mapping[tuple[str, str], int]]) -> Table | None:
    """How other judges agree with the run's, where both gave a label: {judge: {(run's label, its label):
    answers}}. The figures are `agreement`'s."""
    rows: list[tuple[str, ...]] = []
    for other, found in others.items():
        counts = np.zeros((len(agreement.KINDS), len(agreement.KINDS)))
        for (mine, theirs), n in found.items():
            if mine in agreement.KINDS and theirs in agreement.KINDS:
                counts[agreement.KINDS.index(mine), agreement.KINDS.index(theirs)] = n
        total = int(counts.sum())
        kappa = float(agreement.kappa(counts))
        rows.append(
            (
                other,
                str(total),
                str(sum(found.values()) - total),
                f"{100 * float(agreement.accuracy(counts)):.1f}" if total else words.NONE,
                words.NONE if math.isnan(kappa) else f"{kappa:.2f}".replace("-", "−"),
                words.points(100 * float(agreement.rate_error(counts))) if total else words.NONE,
            )
        )
    columns = (
        "other judge",
        "answers both labelled",
        "where one gave none",
        "same label %",
        "κ",
        "points by which its rate is higher",
    )
    return Table(columns, tuple(rows)) if rows else None
