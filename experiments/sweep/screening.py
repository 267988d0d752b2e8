"""Screening a grid: which cells are worth generating for, by propensity on items that are never evaluated.

Every cell is scored, none generated: options of the task's screening or extraction scenarios, or its
statement pairs, as the answer to one request. Both signs of a magnitude are kept or left out together, and
none that loses the options' mass or drifts further than the cap allows. It does not know the run's outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.extraction.extract import extraction_source
from experiments.measures import load_probes
from experiments.session import Session, evaluation
from experiments.sweep.grid import Cell
from experiments.sweep.options import Cap
from steer import scenarios, side_effects
from steer.choices import answers
from steer.errors import UserError
from steer.finite import finite
from steer.plan import plan
from steer.propensity import MASS_KEPT
from steer.results.sweep import ScreenedCell, Screening
from steer.types import Arm, Choices, Option, Scenario
from vectors.contrasts import ABOUT_YOURSELF, extraction_scenarios, read_lines


@dataclass(frozen=True, slots=True, eq=False)
class Screened:
    """The cells that are kept, and what every cell's propensity and mass were."""

    cells: tuple[Cell, ...]
    found: Screening


def check_screen(keep: int, cells: int) -> None:
    """Raise UserError unless an even number of cells, fewer than the grid has, is to be kept."""
    if keep < 2 or keep % 2 or keep >= cells:
        raise UserError(
            f"--screen {keep}: of a grid of {cells} cells it keeps both signs of the best: allowed are even "
            f"numbers from 2 and under {cells}"
        )


def screening_items(session: Session) -> list[Scenario]:
    """Choices that are apart from what is evaluated. Raises UserError where the task has none."""
    task = session.task
    source = task.screening or task.extraction
    if source is not None:
        found = extraction_scenarios(source, evaluation=[*session.scenarios, *evaluation(session.options)])
        if all(item.choices for item in found):
            return found
    if task.statements is None:
        extraction_source(task)
        raise UserError(
            f"--screen: the task {task.name!r} has nothing to screen on: give its extraction scenarios "
            "options, or name a file of such under `screening` in its task.yaml"
        )
    return [
        Scenario(
            line["id"],
            line["category"],
            "",
            ABOUT_YOURSELF,
            Choices((Option(line["positive"], True), Option(line["negative"], False))),
        )
        for _, line in read_lines(task.statements)
    ]


def screen(session: Session, grid: Sequence[Cell], keep: int, cap: Cap) -> Screened:
    """Keep the `keep` cells whose pairs of signs are the furthest apart in propensity, under the caps."""
    check_screen(keep, len(grid))
    if session.thinking:
        raise UserError(
            f"--screen: options are scored where an answer begins; {session.loaded.name} thinks there"
        )
    items = screening_items(session)
    arms = [Arm("baseline"), *(cell.arm for cell in grid)]
    measured = _scores(session, items, arms)
    base = measured["baseline"]["mass"]
    places = {(cell.layer, cell.magnitude): cell for cell in grid}
    pairs = [
        (cell, places[cell.layer, -cell.magnitude])
        for cell in grid
        if cell.magnitude > 0 and (cell.layer, -cell.magnitude) in places
    ]

    def gap(pair: tuple[Cell, Cell]) -> float:
        plus, minus = (measured[cell.arm.name]["propensity"] for cell in pair)
        return plus - minus

    able = [
        pair
        for pair in pairs
        if math.isfinite(gap(pair)) and all(measured[c.arm.name]["mass"] >= MASS_KEPT * base for c in pair)
    ]
    kept: list[Cell] = []
    for pair in sorted(able, key=gap, reverse=True):
        if len(kept) == keep:
            break
        if cap.drift is None or _drift(session, [cell.arm for cell in pair]) <= cap.drift:
            kept += pair
    if not kept:
        raise UserError(
            "--screen: no pair of cells is under the caps on mass and drift: add smaller magnitudes"
        )
    names = {cell.arm.name for cell in kept}
    saved = (len(grid) - len(kept)) * len(session.scenarios)
    session.screen.note(
        f"screened {len(grid)} cells on {len(items)} items that are not evaluated: {len(kept)} are kept, "
        f"{saved:,} answers of {len(grid) * len(session.scenarios):,} are not generated"
    )
    return Screened(
        tuple(cell for cell in grid if cell.arm.name in names),
        Screening(
            items=len(items),
            identity=scenarios.identity(items),
            answers_saved=saved,
            cells=tuple(
                ScreenedCell(
                    arm=c.arm.name,
                    layer=c.layer,
                    magnitude=c.magnitude,
                    kept=c.arm.name in names,
                    **finite(measured[c.arm.name]),
                )
                for c in grid
            ),
        ),
    )


def _scores(session: Session, items: Sequence[Scenario], arms: Sequence[Arm]) -> dict[str, dict[str, float]]:
    """Mean propensity and mass of each arm; NaN where a row failed."""
    planned = plan(session.loaded, items, arms, limits=session.limits)
    found: dict[str, dict[str, float]] = {}
    with session.screen.progress(screen=len(planned.requests)) as tick:
        for one in answers(session.engine, planned.requests.values()):
            found[one.response.key] = one.measures
            tick("screen", 1)
    values: dict[str, list[dict[str, float]]] = {}
    for row in planned.rows:
        values.setdefault(row.arm, []).append(found[row.response])

    def mean(rows: list[dict[str, float]], name: str) -> float:
        return float(np.mean([row.get(name, math.nan) for row in rows]))

    return {arm: {name: mean(rows, name) for name in ("propensity", "mass")} for arm, rows in values.items()}


def _drift(session: Session, arms: Sequence[Arm]) -> float:
    """The largest drift of the arms; infinite where it was lost."""
    neutral = load_probes(session).neutral
    found = side_effects.drift(session.engine, session.loaded, arms, neutral)
    return max(value if math.isfinite(value) else math.inf for _, value in found)
