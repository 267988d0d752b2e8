"""Several models: the comparison on each, one row a model, and what may be said across them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from experiments.across_models import answered, rate_differences, trend
from experiments.compare import CompareChoice, compare
from experiments.options import Options
from experiments.tables import print_judge
from experiments.verdicts import claim
from steer.errors import UserError
from steer.screen import Screen, interval, percent
from steer.store import RunStore
from steer.types import Outcome

RATES = ("baseline", "pro", "anti")


def compare_models(
    models: Sequence[str], options: Options, choice: CompareChoice
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Run the comparison on every model in turn; what was found, and each model's folder."""
    names = [name.strip() for name in models if name.strip()]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise UserError(f"--models {','.join(models)}: give two different models or more, as a,b")
    rows: dict[str, dict[str, Any]] = {}
    folders: dict[str, Path] = {}
    outcomes: dict[str, list[Outcome]] = {}
    judge: dict[str, Any] = {}
    task: dict[str, Any] = {}
    for name in names:
        out = None if options.out is None else options.out / name.replace("/", "--")
        summary, folder = compare(replace(options, model=name, out=out), choice)
        rows[name] = model_row(summary, folder)
        if folder is not None:
            folders[name] = folder
            with RunStore(folder, writable=False) as store:
                outcomes[name] = answered(store, summary["judge"]["name"])
        judge, task = summary.get("judge", {}), summary.get("task", {})
    found: dict[str, Any] = {"models": rows}
    if not options.dry_run:
        found |= across(rows, outcomes, task["words"]["noun"]) | {"judge": judge, "task": task}
        if not options.quiet:
            print_models(Screen(), found)
            print_judge(Screen(), found)
    return found, folders


def model_row(summary: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """What is known of a model from its comparison, or from any finished run with suffix arms."""
    arms = summary.get("arms", {})
    beside = summary.get("side_by_side", {})
    counts = {name: (arms[name]["hit"], arms[name]["n"]) for name in RATES if name in arms}
    return {
        "folder": str(folder),
        "counts": counts,
        "capability": arms.get("baseline", {}).get("capability"),
        "rates": {name: _rate(arms[name]) for name in RATES if name in arms},
        "suffix": beside.get("suffix") or summary.get("gaps", {}).get("pro-anti"),
        "vector": beside.get("vector"),
        "difference": beside.get("difference"),
        "plan": summary.get("plan"),
    }


def across(
    rows: Mapping[str, dict[str, Any]], outcomes: Mapping[str, Sequence[Outcome]], noun: str
) -> dict[str, Any]:
    """Pairwise differences of each arm's rate, and the trend of steerability over capability.

    outcomes: by model, as `answered` gives them. noun: what the rates count, in the task's word.
    """
    result: dict[str, Any] = {"pairwise": {}, "trend": {}, "verdicts": []}
    for arm in RATES:
        differences = rate_differences(outcomes, arm)
        result["pairwise"][arm] = [asdict(one) for one in differences]
        result["verdicts"] += [
            claim(
                f"more {noun} in {d.first} than in {d.second} under {arm}",
                d.points,
                d.ci,
                d.p_holm,
                expected=1,
            )
            for d in differences
        ]
    for way in ("suffix", "vector"):
        known = [row for row in rows.values() if row["capability"] is not None and row[way] is not None]
        found = trend([r["capability"] for r in known], [r[way]["points_all"] for r in known])
        result["trend"][way] = found and asdict(found)
    return result


def _rate(arm: dict[str, Any]) -> dict[str, Any]:
    return {name: arm[name] for name in ("rate_all", "rate_all_ci", "rate_valid", "rate_valid_ci")}


def print_models(screen: Screen, found: dict[str, Any]) -> None:
    rows = [
        [
            name,
            percent(row["capability"]),
            *("–" if row[way] is None else _gap(row[way]) for way in ("suffix", "vector")),
        ]
        for name, row in found["models"].items()
    ]
    screen.table("Steerability gaps by model", ["model", "capability %", "suffix, points", "vector"], rows)
    for sentence in found["verdicts"]:
        screen.line(sentence)
    for way, line in found["trend"].items():
        if line is not None:
            slope = f"{line['slope']:+.1f} {interval(line['ci'])}"
            screen.line(
                f"trend of the {way} gap over capability: {slope} points per unit ({line['models']} models)"
            )


def _gap(gap: dict[str, Any]) -> str:
    return f"{gap['points_all']:+.1f} {interval(gap['ci_all'])}"
