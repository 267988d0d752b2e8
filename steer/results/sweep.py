"""What a sweep found: its cells, the choice out of fold, and controls in the vector's place."""

from __future__ import annotations

from steer.gaps import Gap, Movement
from steer.propensity import Shift
from steer.results.estimates import Estimate, FoldedArm
from steer.results.record import Record


class CellResult(Record):
    """A cell of a sweep; its rates are its arm's. gap: against baseline, selection. chosen_on: halves.

    stopped_after: of a cell that a race stopped, its rows; it has no gap, and is compared with no other.
    """

    arm: str
    layer: int
    magnitude: float
    span: str
    operation: str
    vector: str
    chosen_on: tuple[str, ...]
    gap: Gap | None
    stopped_after: int | None = None


class Fold(Record):
    """What a half chose: the arms, where, and by what; its numbers are selection, never a report."""

    choose_on: str
    report_on: str
    plus: str
    minus: str
    layer: int | None
    magnitude: float | None
    points_selection: float
    points_selection_valid: float | None
    nats_selection: float | None = None
    drift: float | None


class Folded(Record):
    """A pair of arms out of fold. gaps, shifts: plus-minus, plus (against baseline), minus (baseline
    against it); shifts are in propensity, where options were compared."""

    folds: tuple[Fold, Fold]
    movement: dict[str, Movement]
    gaps: dict[str, Gap]
    shifts: dict[str, Shift] = {}


class CapUsed(Record):
    """What a chosen cell may do at most: share of nonsense; drift in nats a token, None for no cap."""

    nonsense: float
    drift: float | None


class Choice(Record):
    """report: the chosen pair out of fold; none: why there is none. asymmetric: any two cells (secondary)."""

    cap: CapUsed
    none: str = ""
    report: Folded | None = None
    chosen_arms: tuple[str, ...] = ()
    asymmetric: Folded | None = None


class ControlResult(Record):
    """A control's three gaps in the vector's place, out of fold."""

    control: str
    kind: str
    gaps: dict[str, Estimate | None]
    shifts: dict[str, Shift] = {}


ENOUGH = 19
"""Nulls from which on their 95th percentile is one of them (the largest of 19)."""


class Bound(Record):
    """Of the nulls' |effects|: the largest, the 95th percentile (None of fewer than 19), and whether the
    vector's whole interval is beyond it.

    percentile: of the vector's |effect| among theirs, ties counted half. p: (1 + those at least as large) /
    (1 + n), the permutation test's; None where the vector or all of them have no estimate.
    """

    largest: float | None
    percentile_95: float | None
    beyond: bool | None
    percentile: float | None = None
    p: float | None = None


class BeyondNulls(Record):
    """The vector among nulls of a kind. directions: how many; gaps: in points; shifts: in nats.

    choosing: each chose its cells as the vector did; else they are pushed at the vector's.
    """

    directions: int
    gaps: dict[str, Bound]
    shifts: dict[str, Bound] = {}
    choosing: bool = False


class ScreenedCell(Record):
    """A cell of the whole grid, measured on items that are not evaluated; None where a row failed."""

    arm: str
    layer: int
    magnitude: float
    kept: bool
    propensity: float | None
    mass: float | None


class Screening(Record):
    """How a grid was screened. answers_saved: not generated for it."""

    items: int
    identity: str
    answers_saved: int
    cells: tuple[ScreenedCell, ...]


class Race(Record):
    """rows: of the grid's cells that were run, of all that the grid has."""

    rows: int
    of: int


class Sweep(Record):
    """halves: scenario -> 0 or 1. out_of_fold: arms put together of what either half chose."""

    cells: tuple[CellResult, ...]
    halves: dict[str, int]
    choice: Choice
    vector_flags: tuple[str, ...] = ()
    out_of_fold: dict[str, FoldedArm] = {}
    controls: tuple[ControlResult, ...] = ()
    beyond_random: BeyondNulls | None = None
    beyond_contrasts: BeyondNulls | None = None
    screening: Screening | None = None
    race: Race | None = None
    left_out: tuple[str, ...] = ()
