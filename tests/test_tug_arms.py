"""The arms of the tug of war: what stands where in the square, counted by hand."""

from __future__ import annotations

import torch

from experiments.compare.analyse import sides
from experiments.compare.tug_arms import TugPlan, kind_of, plan_tug
from experiments.options import VectorChoice
from experiments.sweep.choice import CrossFit, cross_fit, halves, symmetric
from experiments.sweep.choice import MeasuredCell as Measured
from experiments.sweep.grid import cells
from experiments.sweep.options import Cap
from experiments.sweep.vector_source import Control
from steer.suffixes import DEFAULT, NEUTRAL, SuffixSet
from steer.types import SPANS
from tests.outcome_tables import by_half
from vectors.vector import Provenance, SteeringVector

COUNTS = {"baseline": (4, 4), "pro": (6, 8), "anti": (4, 2)}
COUNTS |= {"L1+0.2": (6, 6), "L1+0.4": (9, 8), "L1-0.2": (2, 3), "L1-0.4": (1, 3)}
"""By half: the pro suffix is matched by 0.2 on the first, by 0.4 on the second; anti by none on the first."""


def plan() -> TugPlan:
    vector = SteeringVector(
        {1: torch.ones(4)},
        Provenance(d_model=4, n_layers=2),
        norms={span: {1: 1.0} for span in SPANS},
    )
    half = halves({f"s{i:03}": "c0" for i in range(20)}, seed=0)
    rows = by_half(half, COUNTS)
    grid = cells(vector, (1,), (-0.4, -0.2, 0.2, 0.4), VectorChoice())
    measured = [Measured(cell.arm.name, cell.layer, cell.magnitude, 0.1) for cell in grid]
    fit = cross_fit(rows, symmetric(measured), half, Cap(drift=None), plus="vector +", minus="vector -")
    assert isinstance(fit, CrossFit)
    two = sides(rows, measured, fit, half, Cap(drift=None))
    suffixes = SuffixSet(DEFAULT, NEUTRAL)
    return plan_tug(suffixes, grid, fit, two, Control("random0", "random", vector), VectorChoice())


def test_the_square_holds_the_dose_that_the_other_half_matched() -> None:
    """It once held one dose, matched on the very scenarios that it was reported on."""
    found = plan()
    assert found.square["no suffix", "vector +"].arms == ("L1+0.2", "L1+0.4")
    assert found.square["anti by builder", "vector +"].arms == (
        "anti by builder & L1+0.2",
        "anti by builder & L1+0.4",
    )
    assert found.square["anti", "random"].arms == ("anti & random0 L1+0.2", "anti & random0 L1+0.4")
    assert {arm for one in found.square.values() for arm in one.arms} <= found.arms.keys()


def test_a_side_with_nothing_to_match_has_no_column() -> None:
    assert {column for _, column in plan().square} == {"no vector", "vector +", "random"}


def test_an_arm_is_of_the_kind_of_what_it_holds() -> None:
    """All of them were once called both, a lone suffix and a lone random direction too."""
    arms = plan().arms
    kinds = {"pro by builder": "suffix", "anti by builder & pro by user": "suffix"}
    kinds |= {"random0 L1+0.4": "control", "pro & random0 L1+0.4": "both", "anti & L1+0.2": "both"}
    assert {name: kind_of(arms[name]) for name in kinds} == kinds
