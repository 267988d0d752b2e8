"""A summary's numbers as tables of text, for the page and for Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from steer.report import words
from steer.screen import plain
from steer.types import LABELS, Outcome

LISTED_ITEMS = 40
"""Scenarios named in a list of those that moved the wrong way or could not move."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts. `links`: the arm whose answers stand behind a row, "" for none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    links: tuple[str, ...] = ()
    caption: str = ""


def all_tables(
    summary: Mapping[str, Any],
    names: Sequence[str],
    kinds: Mapping[str, str],
    chosen: Sequence[str],
    outcomes: Sequence[Outcome],
    judges: Mapping[str, Mapping[tuple[str, str], int]],
) -> dict[str, Table]:
    main = [n for n in names if kinds[n] not in ("cell", "control") or n in chosen]
    tables = {"arms": arm_table(summary, main), "gaps": gap_table(summary["gaps"])}
    if len(main) < len(names):
        tables["all_arms"] = arm_table(summary, names)
    if summary.get("cells"):
        tables["cells"] = cell_table(summary)
    if summary.get("controls"):
        tables["controls"] = control_table(summary)
    if "side_by_side" in summary:
        tables["side_by_side"] = side_table(summary["side_by_side"])
    if "exchange" in summary:
        tables["exchange"] = exchange_table(summary["exchange"])
    if "tug" in summary:
        tables["tug"] = tug_table(summary["tug"])
        tables["tug_numbers"] = tug_numbers(summary["tug"])
    if summary.get("frontier"):
        tables["frontier"] = frontier_table(summary["frontier"])
    if "transfer" in summary:
        tables["transfer"] = transfer_table(summary["transfer"])
    if "costs" in summary:
        tables["costs"] = cost_table(summary["costs"])
    tables["categories"] = category_table(summary["categories"], main)
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
                words.percent(arm["nonsensical_all"]),
                str(unlabelled),
                *(
                    words.percent(arm.get(k)) if title.endswith("%") else words.number(arm.get(k))
                    for k, title in measured
                ),
            )
        )
    columns = ("arm", "n", "conv % of all", "95 %", "conv % of valid", "95 %", "refusal %", "nonsense %")
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
                words.percent(arm["nonsensical_all"]),
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
    rows = tuple(
        (
            c["arm"],
            c["kind"],
            str(c["layer"]),
            words.signed(c["magnitude"]),
            words.points(c["points_all"]),
            words.limits(c["ci_all"]),
        )
        for c in summary["controls"]
    )
    columns = ("control", "kind", "layer", "magnitude", "points against baseline", "95 %")
    return Table(columns, rows, tuple(c["arm"] for c in summary["controls"]))


SIDE_NAMES = {
    "suffix": "suffix: pro − anti",
    "suffix_tuned": "suffix, tuned on the other half",
    "suffix_paraphrase_mean": "suffix, mean of paraphrases",
    "vector": "vector: plus − minus",
    "difference": "suffix − vector",
}


def side_table(sides: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, title in SIDE_NAMES.items():
        gap = sides.get(name)
        if gap is None:
            continue
        value, ci = gap.get("points_all", gap.get("points")), gap.get("ci_all", gap.get("ci"))
        rows.append((title, words.points(value), words.limits(ci), words.p_value(gap.get("p"))))
    for part, both in sides.get("split", {}).items():
        for method, gap in both.items():
            if isinstance(gap, dict):
                cells = (f"{method}: {part}", words.points(gap["points_all"]), words.limits(gap["ci_all"]))
                rows.append((*cells, words.p_value(gap.get("p"))))
    return Table(("gap", "points of all", "95 %", "p"), tuple(rows))


ESTIMATES = ("value", "u", "size", "magnitude", "points")
"""What an estimate is called in the parts of a summary; each stands beside its `ci` and `reason`."""


def exchange_table(exchange: Mapping[str, Any]) -> Table:
    rows: list[tuple[str, ...]] = []

    def add(name: str, found: Mapping[str, Any]) -> None:
        key = next((key for key in ESTIMATES if key in found), None)
        if key is None:
            for inner, value in found.items():
                if isinstance(value, dict):
                    add(f"{name}, {TITLES.get(inner, inner)}", cast(dict[str, Any], value))
            return
        never = found.get("never", found.get("never_share"))
        bound = found.get("at_least", found.get("bound"))
        rows.append(
            (
                name,
                found.get("reason") or "not reached" if found[key] is None else words.number(found[key]),
                _limits(found.get("ci")),
                words.NONE if never is None else f"{100 * never:.1f} %",
                words.NONE if bound is None else f"at least {words.number(bound)}",
            )
        )

    for key, found in exchange.items():
        if isinstance(found, dict):
            add(TITLES.get(key, key), cast(dict[str, Any], found))
    return Table(("as strong as", "|magnitude|", "95 %", "never reached", "one-sided bound"), tuple(rows))


TITLES = {"pro": "pro suffix", "anti": "anti suffix", "half": "half of the effect"}


def _limits(ci: Sequence[float] | None) -> str:
    return words.NONE if ci is None else f"[{words.number(ci[0])}, {words.number(ci[1])}]"


def tug_table(tug: Mapping[str, Any]) -> Table:
    vectors = list(dict.fromkeys(row["vector"] for row in tug["table"]))
    suffixes = list(dict.fromkeys(row["suffix"] for row in tug["table"]))
    rate = {(row["suffix"], row["vector"]): row["rate_all"] for row in tug["table"]}
    rows = tuple((s, *(words.percent(rate.get((s, v))) for v in vectors)) for s in suffixes)
    return Table(("suffix \\ vector", *vectors), rows, caption="convergence, % of all answers")


def tug_numbers(tug: Mapping[str, Any]) -> Table:
    names = {
        "U": "U: share of the attack that survives the anti suffix",
        "mirror": "its mirror: the pro suffix against the subtracted vector",
        "interaction_points": "interaction, points",
        "break_even": "break-even magnitude",
    }
    rows: list[tuple[str, ...]] = []
    for key, title in names.items():
        if key not in tug:
            continue
        found: Any = tug[key] if isinstance(tug[key], dict) else {"value": tug[key]}
        value = next((found[name] for name in ESTIMATES if name in found), None)
        said = found.get("reason") or "no estimate" if value is None else words.number(value)
        rows.append((title, said, _limits(found.get("ci"))))
    return Table(("", "estimate", "95 %"), tuple(rows))


def frontier_table(frontier: Sequence[Mapping[str, Any]]) -> Table:
    best = [point for point in frontier if point["undominated"]]
    rows = tuple(
        (p["arm"], p["side_effect"], words.points(p["effect_points"]), words.number(p["value"])) for p in best
    )
    columns = ("undominated arm", "side effect", "points against baseline", "its value")
    return Table(columns, rows, tuple(p["arm"] for p in best))


def transfer_table(transfer: Mapping[str, Any]) -> Table:
    rows = tuple(
        (name, *(words.points(v) for v in values))
        for name, values in zip(transfer["from"], transfer["points"], strict=True)
    )
    return Table(("vector of \\ measured on", *transfer["to"]), rows, caption="points against baseline")


def cost_table(costs: Mapping[str, Mapping[str, Any]]) -> Table:
    keys = list(dict.fromkeys(key for cost in costs.values() for key in cost))
    rows = tuple((arm, *(words.number(cost.get(k)) for k in keys)) for arm, cost in costs.items())
    return Table(("arm", *(k.replace("_", " ") for k in keys)), rows, tuple(costs))


def category_table(categories: Mapping[str, Mapping[str, Any]], arms: Sequence[str]) -> Table:
    rows: list[tuple[str, ...]] = []
    for category, found in categories.items():
        n = max((found[a]["n"] for a in arms if a in found), default=0)
        rows.append(
            (category, str(n), *(words.percent(found[a]["rate_all"]) if a in found else "–" for a in arms))
        )
    return Table(("category", "n", *arms), tuple(rows), caption="convergence, % of all answers")


def item_table(summary: Mapping[str, Any], outcomes: Sequence[Outcome]) -> Table | None:
    """Scenarios that moved the wrong way under a gap, and those convergent under every arm."""
    valid = {
        (o.scenario, o.sample, o.arm): o.status == "convergence"
        for o in outcomes
        if o.status in ("convergence", "no_convergence", "safety_refusal")
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
    always = {o.scenario for o in outcomes} - {o.scenario for o in outcomes if o.status != "convergence"}
    if always:
        rows.append(("cannot move: convergent under every arm", str(len(always)), _listed(sorted(always))))
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
    """How other judges agree with the run's: {judge: {(run's label, its label): answers}}."""
    rows: list[tuple[str, ...]] = []
    for other, counts in others.items():
        total = sum(counts.values())
        same = sum(n for (mine, theirs), n in counts.items() if mine == theirs)
        mine = {label: sum(n for (a, _), n in counts.items() if a == label) for label in LABELS}
        theirs = {label: sum(n for (_, b), n in counts.items() if b == label) for label in LABELS}
        chance = sum(mine[label] * theirs[label] for label in LABELS) / total**2
        kappa = None if chance == 1 else (same / total - chance) / (1 - chance)
        rows.append(
            (
                other,
                str(total),
                f"{100 * same / total:.1f}",
                words.NONE if kappa is None else f"{kappa:.2f}".replace("-", "−"),
                words.points(100 * (theirs["convergence"] - mine["convergence"]) / total),
            )
        )
    columns = (
        "other judge",
        "answers both judged",
        "same label %",
        "κ",
        "points by which its rate is higher",
    )
    return Table(columns, tuple(rows)) if rows else None
