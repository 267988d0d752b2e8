"""What runs in the vector's place: controls at the cells that were chosen for the vector, out of fold.

Random directions, shuffled labels, another concept and unrelated contrasts are pushed where and as hard as
the vector is. Asked for, every unrelated contrast runs the whole grid instead and chooses cells of its own as
the vector did: on the same halves, under the same cap, and either way round, for it has no right one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from experiments.measures import mass_kept, measure_drift
from experiments.options import VectorChoice
from experiments.running import add_arms
from experiments.session import Session
from experiments.sweep.choice import Candidate, CrossFit, MeasuredCell, OutOfFold, cross_fit, paired
from experiments.sweep.grid import Cell, cell_name
from experiments.sweep.options import SweepChoice
from experiments.sweep.out_of_fold import ControlPair
from experiments.sweep.vector_source import Control, control_arms, null_contrasts
from steer.store import RunStore
from steer.types import Arm


@dataclass(frozen=True, slots=True, eq=False)
class Controls:
    """Every control out of fold, and the arms that were run for them. choosing: unrelated contrasts chose."""

    pairs: tuple[ControlPair, ...] = ()
    arms: tuple[Arm, ...] = ()
    choosing: bool = False


def run_controls(
    session: Session,
    store: RunStore,
    choice: SweepChoice,
    beside: Sequence[Control],
    grid: Sequence[Cell],
    fit: CrossFit,
    half: Mapping[str, int],
) -> Controls:
    """All controls of a choice, with their drift."""
    nulls = [one for one in beside if one.kind == "contrast"] if choice.nulls_choose else []
    found = _pushed(session, store, choice.vector, [one for one in beside if one not in nulls], fit, half)
    if not nulls:
        return found
    own = _choosing(session, store, choice, nulls, grid, half)
    return Controls((*found.pairs, *own.pairs), (*found.arms, *own.arms), choosing=True)


def choosing_arms(session: Session, choice: SweepChoice, cells: int) -> int:
    """Arms of nulls that choose their own cells of a grid of so many."""
    return cells * len(null_contrasts(session.task, choice.vector)) if choice.nulls_choose else 0


def _pushed(
    session: Session,
    store: RunStore,
    choice: VectorChoice,
    beside: Sequence[Control],
    fit: CrossFit,
    half: Mapping[str, int],
) -> Controls:
    """Controls at both signs of the cells that were chosen on either half.

    On the scenarios of the other half alone: they are reported, and choose nothing.
    """
    places: dict[tuple[int, float], set[str]] = {}
    for number, c in enumerate(fit.chosen):
        assert c.candidate.layer is not None, "symmetric candidates are cells"
        assert c.candidate.magnitude is not None, "symmetric candidates are cells"
        others = {scenario for scenario, h in half.items() if h != number}
        for sign in (-1,) if choice.operation == "ablate" else (1, -1):
            places.setdefault((c.candidate.layer, sign * c.candidate.magnitude), set()).update(others)
    placed = control_arms(beside, sorted(places), choice)
    only = {name: places[cell.layer, cell.magnitude] for name, (_, cell) in placed.items()}
    arms = [cell.arm for _, cell in placed.values()]
    add_arms(session, store, arms, only=only)
    measure_drift(session, store, arms)
    return Controls(tuple(_pair(control, fit, placed) for control in beside), tuple(arms))


def _choosing(
    session: Session,
    store: RunStore,
    choice: SweepChoice,
    nulls: Sequence[Control],
    grid: Sequence[Cell],
    half: Mapping[str, int],
) -> Controls:
    """Every null at all cells of the grid, on all scenarios, reported at the cells that it chose itself.

    Its plus is what raises the hit rate: which side of an unrelated contrast is called positive means
    nothing. One that has no cell under the cap on a half could not be used: its effect is 0.
    """
    placed = control_arms(nulls, [(cell.layer, cell.magnitude) for cell in grid], choice.vector)
    arms = [cell.arm for _, cell in placed.values()]
    add_arms(session, store, arms)
    drift, kept = measure_drift(session, store, arms), mass_kept(store)
    outcomes = store.outcomes(session.judge.name)
    pairs: list[ControlPair] = []
    for null in nulls:
        own = [cell for control, cell in placed.values() if control is null]
        measured = [
            MeasuredCell(c.arm.name, c.layer, c.magnitude, drift[c.arm.name], kept.get(c.arm.name, 1.0))
            for c in own
        ]
        plus, minus = f"{null.name} +", f"{null.name} -"
        fit = cross_fit(outcomes, either(paired(measured)), half, choice.cap, plus=plus, minus=minus)
        nothing = [OutOfFold(name, ("baseline", "baseline")) for name in (plus, minus)]
        pairs.append(ControlPair(null.name, null.kind, *(fit.pair if isinstance(fit, CrossFit) else nothing)))
    return Controls(tuple(pairs), tuple(arms), choosing=True)


def either(pairs: Sequence[Candidate]) -> list[Candidate]:
    """The pairs, and every one the other way round."""
    return [*pairs, *(replace(pair, plus=pair.minus, minus=pair.plus) for pair in pairs)]


def _pair(control: Control, fit: CrossFit, placed: Mapping[str, tuple[Control, Cell]]) -> ControlPair:
    """A control at the chosen cells, put together as the vector's arms are."""

    def signed(sign: int) -> OutOfFold:
        ran = (
            cell_name(c.candidate.layer or 0, sign * (c.candidate.magnitude or 0), f"{control.name} ")
            for c in fit.chosen
        )
        first, second = (arm if arm in placed else "baseline" for arm in ran)  # ablated: one sign only
        return OutOfFold(f"{control.name} {'+' if sign > 0 else '-'}", (first, second))

    return ControlPair(control.name, control.kind, signed(1), signed(-1))
