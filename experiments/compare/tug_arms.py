"""The arms of the tug of war: every suffix with the vector and with a random direction, who placed it varied.

A plan, and how its arms are put together out of fold; `experiments.tug` computes what is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from experiments.compare.analyse import Side, both_name
from experiments.options import VectorChoice
from experiments.sweep.choice import CrossFit, OutOfFold
from experiments.sweep.grid import Cell, cell_name, edit_at
from experiments.sweep.vector_source import Control
from steer.suffixes import SuffixSet
from steer.types import Arm

NO_SUFFIX, NO_VECTOR = "no suffix", "no vector"
ROWS = (NO_SUFFIX, "neutral", "pro", "anti", "pro by builder", "anti by builder")
COLUMNS = (NO_VECTOR, "vector +", "vector -", "random")
TUGS = (("anti", "pro"), ("pro", "anti"))
"""Defending suffix, and the suffix whose solo effect the attacking vector is matched to."""


@dataclass(slots=True, eq=False)
class TugPlan:
    """arms: what has to be run, by name. square: (row, column) -> the arm out of fold that stands there."""

    arms: dict[str, Arm] = field(default_factory=dict[str, Arm])
    square: dict[tuple[str, str], OutOfFold] = field(default_factory=dict[tuple[str, str], OutOfFold])


def at_layer(grid: Sequence[Cell], layer: int | None, magnitude: float) -> Cell | None:
    """The cell of a place in the grid, if it was run."""
    return next((c for c in grid if c.layer == layer and c.magnitude == magnitude), None)


def plan_tug(
    suffixes: SuffixSet,
    grid: Sequence[Cell],
    fit: CrossFit,
    two: Mapping[str, Side],
    random: Control | None,
    choice: VectorChoice,
) -> TugPlan:
    """The square at matched solo effect; each defence at every dose; builder against user, either order."""
    bases = suffix_bases(suffixes)
    plan = TugPlan()
    columns = _columns(grid, two, random, choice)
    for row, base in bases.items():
        plan.arms[base.name] = base
        plan.square[row, NO_VECTOR] = OutOfFold(f"{row}, {NO_VECTOR}", (base.name, base.name))
        for column, steered in columns.items():
            first, second = (_together(base, arm) for arm in steered)
            plan.arms |= {first.name: first, second.name: second}
            plan.square[row, column] = OutOfFold(f"{row}, {column}", (first.name, second.name))
    for defence, attack in TUGS:
        side = two[attack]
        for dose in side.doses:
            for fold in fit.chosen:
                cell = at_layer(grid, fold.candidate.layer, side.sign * dose.size)
                if cell is not None:
                    both = _together(bases[defence], cell.arm)
                    plan.arms[both.name] = both
        builder = bases[f"{defence} by builder"]
        user = replace(builder, name=f"{builder.name} & {attack} by user", suffix=bases[attack].suffix)
        plan.arms[user.name] = user
    return plan


def kind_of(arm: Arm) -> Literal["suffix", "control", "both"]:
    """What an arm of the tug of war holds; one without a suffix is the random direction's alone."""
    if not arm.additions:
        return "suffix"
    return "both" if arm.suffix or arm.system_suffix else "control"


def suffix_bases(suffixes: SuffixSet) -> dict[str, Arm]:
    """Row of the square -> its arm without a vector."""
    pair = suffixes.pair
    texts = {"neutral": suffixes.neutral, "pro": pair.pro, "anti": pair.anti}
    bases = {NO_SUFFIX: Arm("baseline")}
    bases |= {name: Arm(name, text) for name, text in texts.items() if text}
    bases |= {
        f"{name} by builder": Arm(f"{name} by builder", system_suffix=texts[name]) for name in ("pro", "anti")
    }
    return {row: bases[row] for row in ROWS if row in bases}


def _together(base: Arm, steered: Arm) -> Arm:
    """A suffix arm with a steered arm's additions; the baseline with them is the steered arm."""
    if base.name == "baseline":
        return steered
    return replace(base, name=both_name(base.name, steered.name), additions=steered.additions)


def _columns(
    grid: Sequence[Cell], two: Mapping[str, Side], random: Control | None, choice: VectorChoice
) -> dict[str, tuple[Arm, Arm]]:
    """Column -> the steered arms at the doses that either half matched, on its layer."""
    found: dict[str, tuple[Arm, Arm]] = {}
    by_name = {cell.arm.name: cell for cell in grid}
    for column, suffix in (("vector +", "pro"), ("vector -", "anti")):
        matched = two[suffix].matched
        if matched is None:
            continue
        first, second = (by_name[name] for name in matched.arms)
        found[column] = (first.arm, second.arm)
        if random is not None and "random" not in found:
            found["random"] = (_random_arm(random, first, choice), _random_arm(random, second, choice))
    return found


def _random_arm(control: Control, cell: Cell, choice: VectorChoice) -> Arm:
    """The control in a cell's place."""
    edit = edit_at(control.vector, cell.layer, cell.magnitude, choice)
    return Arm(cell_name(cell.layer, cell.magnitude, f"{control.name} "), additions=(edit,))
