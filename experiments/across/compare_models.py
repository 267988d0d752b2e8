"""Several models: the comparison on each, one row a model, and what may be said across them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.across.models import answered, rate_differences, trend
from experiments.compare.run import compare
from experiments.compare.verdicts import claim
from experiments.options import Options, each_model
from experiments.sweep.options import CompareChoice
from steer.metrics import rates_alone
from steer.results import Result
from steer.results.across import ModelRow, Models
from steer.results.estimates import Trend
from steer.results.record import Plan
from steer.screen import Screen
from steer.show import words
from steer.show.terminal import print_judge
from steer.store import RunStore
from steer.types import Outcome

RATES = ("baseline", "pro", "anti")


def compare_models(
    models: Sequence[str], options: Options, choice: CompareChoice
) -> tuple[Models, dict[str, Path]]:
    """Run the comparison on every model in turn; what was found, and each model's folder."""
    rows: dict[str, ModelRow] = {}
    folders: dict[str, Path] = {}
    outcomes: dict[str, list[Outcome]] = {}
    last: Result | None = None
    for name, own in each_model(models, options):
        found, folder = compare(own, choice)
        if isinstance(found, Plan) or folder is None:
            rows[name] = ModelRow(folder="", plan=None if isinstance(found, Result) else found.plan)
            continue
        rows[name], folders[name], last = model_row(found, folder), folder, found
        with RunStore(folder, writable=False) as store:
            outcomes[name] = answered(store, found.judge.name)
    if last is None:
        return Models(models=rows), folders
    together = across(rows, outcomes, last)
    if not options.quiet:
        print_models(Screen(), together)
        print_judge(Screen(), last.judge)
    return together, folders


def model_row(found: Result, folder: Path) -> ModelRow:
    """What is known of a model from its comparison, or from any finished run with suffix arms."""
    arms = found.arms
    gaps = found.comparison.sides.gaps if found.comparison else {}
    return ModelRow(
        folder=str(folder),
        arms={name: rates_alone(arms[name]) for name in RATES if name in arms},
        capability=arms["baseline"].measures.get("capability") if "baseline" in arms else None,
        suffix=gaps.get("suffix") or found.gaps.get("pro-anti"),
        vector=gaps.get("vector"),
        difference=found.comparison and found.comparison.sides.differences["difference"],
    )


def across(
    rows: Mapping[str, ModelRow], outcomes: Mapping[str, Sequence[Outcome]], one: Result, evidence: str = ""
) -> Models:
    """Pairwise differences of each arm's rate, and the trend of steerability over capability.

    outcomes: by model, as `answered` gives them. one: of any of the models, for task and judge.
    """
    pairwise = {arm: tuple(rate_differences(outcomes, arm)) for arm in RATES}
    noun = one.task.words.noun
    verdicts = [
        claim(
            f"more {noun} in {d.first} than in {d.second} under {arm}", d.points, d.ci, d.p_holm, expected=1
        )
        for arm, differences in pairwise.items()
        for d in differences
    ]
    trends: dict[str, Trend | None] = {}
    for way in ("suffix", "vector"):
        known = [
            (row.capability, gap.points_all)
            for row in rows.values()
            if (gap := row.suffix if way == "suffix" else row.vector) is not None
            and row.capability is not None
            and gap.points_all is not None
        ]
        trends[way] = trend([x for x, _ in known], [y for _, y in known])
    return Models(
        models=dict(rows),
        pairwise=pairwise,
        trend=trends,
        verdicts=tuple(verdicts),
        judge=one.judge,
        task=one.task,
        evidence=evidence,
    )


def print_models(screen: Screen, found: Models) -> None:
    """A row a model, what may be said of each pair, and the trend."""
    rows = [
        [
            name,
            words.percent(row.capability),
            *(
                words.NONE if gap is None else words.with_limits(gap.points_all, gap.ci_all)
                for gap in (row.suffix, row.vector)
            ),
        ]
        for name, row in found.models.items()
    ]
    screen.table("Steerability gaps by model", ["model", "capability %", "suffix, points", "vector"], rows)
    for sentence in found.verdicts:
        screen.line(sentence)
    for way, line in found.trend.items():
        if line is not None:
            slope = words.with_limits(line.slope, line.ci)
            screen.line(
                f"trend of the {way} gap over capability: {slope} points per unit ({line.models} models)"
            )
