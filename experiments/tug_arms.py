"""The arms of the tug of war: every suffix with the vector and with a random direction, who placed it varied.

A plan, and how its arms are put together out of fold; `experiments.tug` computes what is said of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from experiments.choice import CrossFit
from experiments.comparing import Side
from experiments.grid import Cell, cell_name
from experiments.out_of_fold import Composite
from experiments.vector_source import Control, VectorChoice
from steer.suffixes import SuffixSet
from steer.types import Arm
from vectors.vector import addition

NO_SUFFIX, NO_VECTOR = "no suffix", "no vector"
ROWS = (NO_SUFFIX, "neutral", "pro", "anti", "pro by builder", "anti by builder")
COLUMNS = (NO_VECTOR, "vector +", "vector -", "random")
TUGS = (("anti", "pro"), ("pro", "anti"))
"""Defending suffix, and the suffix whose solo effect the attacking vector is matched to."""


@dataclass(slots=True, eq=False)
class TugPlan:
    """arms: what has to be run, by name. square: (row, column) -> the composite that stands there."""

    arms: dict[str, Arm] = field(default_factory=dict[str, Arm])
    square: dict[tuple[str, str], Composite] = field(default_factory=dict[tuple[str, str], Composite])


def at_layer(grid: Sequence[Cell], layer: int | None, magnitude: float) -> Cell | None:
    """The cell of a place in the grid, if it was run."""
    return next((c for c in grid if c.layer == layer and c.magnitude == magnitude), None)


def both_arm(suffix: str, steered: Arm) -> str:
    return f"{suffix} & {steered.name}"


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
    columns = _columns(grid, fit, two, random, choice)
    for row, base in bases.items():
        plan.arms[base.name] = base
        plan.square[row, NO_VECTOR] = Composite(f"{row}, {NO_VECTOR}", (base.name, base.name))
        for column, steered in columns.items():
            first, second = (_together(base, arm) for arm in steered)
            plan.arms |= {first.name: first, second.name: second}
            plan.square[row, column] = Composite(f"{row}, {column}", (first.name, second.name))
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
    return replace(base, name=both_arm(base.name, steered), additions=steered.additions)


def _columns(
    grid: Sequence[Cell],
    fit: CrossFit,
    two: Mapping[str, Side],
    random: Control | None,
    choice: VectorChoice,
) -> dict[str, tuple[Arm, Arm]]:
    """Column -> the steered arms at the matched magnitude, on either fold's layer."""
    found: dict[str, tuple[Arm, Arm]] = {}
    layers = [fold.candidate.layer for fold in fit.chosen]
    for column, suffix in (("vector +", "pro"), ("vector -", "anti")):
        side = two[suffix]
        if side.matched is None:
            continue
        size = side.sign * side.matched.size
        pair = [cell.arm for layer in layers if (cell := at_layer(grid, layer, size)) is not None]
        if len(pair) == 2:
            found[column] = (pair[0], pair[1])
        if random is not None and "random" not in found:
            made = [_random_arm(random, layer, size, choice) for layer in layers if layer is not None]
            if len(made) == 2:
                found["random"] = (made[0], made[1])
    return found


def _random_arm(control: Control, layer: int, size: float, choice: VectorChoice) -> Arm:
    edit = addition(control.vector, layer, size, span=choice.span)
    return Arm(cell_name(layer, size, f"{control.name} "), additions=(edit,))
