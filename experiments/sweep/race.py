"""A race: pairs of cells that a half of the scenarios cannot choose any more are stopped on that half.

Either half has an order of its own, cut into stages, the same for all pairs. Every pair runs the first stage;
after each, what is hopeless stops and the others go one further, until nothing that could still be chosen is
short of a row. What is chosen is then run on the other half too. A half's race sees its own rows alone, so
what is reported out of fold is as independent of the choice as that of the whole grid. Decisions are a
function of rows, replayed from the first stage on, so a run that was killed takes the same ones again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from experiments.running import add_arms
from experiments.session import Session
from experiments.sweep.choice import (
    UNDER,
    Candidate,
    Cap,
    Chosen,
    MeasuredCell,
    arms_of,
    choose_in,
    excess,
    halves,
    members,
    paired,
)
from experiments.sweep.grid import Cell
from steer.errors import UserError
from steer.outcomes import LABELLED, VALID, Table, tabulate
from steer.store import RunStore

STAGES = 8
MISS = 0.2
"""Level of a look, over all pairs; how often a race misses the choice is measured (`benchmarks.race`)."""

EXPECTED = 0.45
"""Share of the grid's rows where one pair stands out by 40 points (`benchmarks/results/race.json`)."""

Order = tuple[tuple[str, ...], ...]
"""A half's scenarios, stage by stage."""

Rows = Mapping[str, frozenset[str]]
"""Arm -> the scenarios that it runs on."""


@dataclass(frozen=True, slots=True)
class Raced:
    """left: by half, the candidates that ran on all of it. rows: what the race ran, of each of its arms."""

    left: tuple[Sequence[Candidate], Sequence[Candidate]]
    rows: Rows


def check_race(session: Session, magnitudes: Sequence[float]) -> None:
    """Raise UserError where nothing is generated, or a cell could never be chosen."""
    if session.choosing:
        raise UserError(
            "--race: options are scored in one pass each and nothing is generated that could be saved, and "
            "whether an arm keeps the options' mass is told on all scenarios: leave it out"
        )
    alone = [m for m in magnitudes if -m not in magnitudes]
    if alone and len(magnitudes) > 1:
        raise UserError(
            f"--race: magnitude {alone[0]:g} has no other sign in the grid, so no half could choose it: "
            f"give {-alone[0]:g} too, or leave both out"
        )


def expected(session: Session, cells: int, *, of_layers: int = 0) -> dict[str, int]:
    """For a plan: the grid's generations at least, and where one pair stands out.

    of_layers: how many layers the grid has, where all of a chosen one is run.
    """
    rows = cells * len(session.scenarios)
    whole = rows // of_layers if of_layers else 0
    return {
        "of these the grid's, whole": rows,
        "with --race at least": rows // STAGES + whole * (STAGES - 1) // STAGES,
        "with --race where one pair stands out": round(whole + EXPECTED * (rows - whole)),
    }


def orders(half: Mapping[str, int], categories: Mapping[str, str], *, seed: int) -> tuple[Order, Order]:
    """The stages of either half: drawn with the seed, and at any stage as even over categories as can be."""
    first, second = (_order({s: categories[s] for s in members(half, n)}, seed) for n in (0, 1))
    return first, second


def _order(categories: Mapping[str, str], seed: int) -> Order:
    drawn = sorted(categories, key=lambda name: hashlib.sha256(f"{seed}\0race\0{name}".encode()).digest())
    place: dict[str, float] = {}
    for category in set(categories.values()):
        own = [name for name in drawn if categories[name] == category]
        place |= {name: (i + 0.5) / len(own) for i, name in enumerate(own)}
    order = sorted(drawn, key=lambda name: place[name])
    ends = sorted({math.ceil(len(order) * stage / STAGES) for stage in range(STAGES + 1)})
    return tuple(tuple(order[start:end]) for start, end in pairwise(ends))


def hopeless(table: Table, pairs: Sequence[Candidate], scenarios: Sequence[str], cap: Cap) -> list[bool]:
    """Whether a half, all of whose scenarios these are, can no longer choose each pair.

    Surely so where an arm is over the cap on drift, or has more nonsense already than the whole half may
    have. Else where the pair is behind the one that leads among those under the caps: the upper limit of
    what it will be ahead by on the whole half, from the scenarios that both have run on, is under 0. The
    limit is normal, one-sided, at level `MISS` over all pairs, with half a scenario added either way (as
    Bonett and Price's) and the correction for drawing n of N scenarios without replacement.
    """
    number = {name: i for i, name in enumerate(table.scenarios)}
    seen = [number[name] for name in scenarios if name in number]
    rows, hits, valid, labelled = (
        table.count(flags)[seen]
        for flags in (~table.has("missing"), table.has("hit"), table.has(*VALID), table.has(*LABELLED))
    )
    plus = [table.arms.index(pair.plus) for pair in pairs]
    minus = [table.arms.index(pair.minus) for pair in pairs]
    known = (rows[:, plus] > 0) & (rows[:, minus] > 0)
    rate = hits / np.maximum(rows, 1)
    lead = np.where(known, rate[:, plus] - rate[:, minus], 0.0)
    lost = (rows - valid).sum(0) / (len(scenarios) * rows.max())
    worse = np.maximum(lost[plus], lost[minus])
    over = np.array([excess(pair, share, cap) > UNDER for pair, share in zip(pairs, worse, strict=True)])
    able = ~over & (labelled[:, plus].sum(0) > 0) & (labelled[:, minus].sum(0) > 0)
    if not able.any():
        return over.tolist()
    first = int(np.argmax(np.where(able, lead.sum(0) / known.sum(0), -math.inf)))
    both = known & known[:, [first]]
    ahead = np.where(both, lead - lead[:, [first]], 0.0)
    n = both.sum(0)
    mean = ahead.sum(0) / (n + 1)
    variance = ((ahead**2).sum(0) + 1) / (n + 1) - mean**2
    z = NormalDist().inv_cdf(1 - MISS / max(1, len(pairs) - 1))
    upper = mean + z * np.sqrt(variance / (n + 1) * (1 - n / len(scenarios)))
    return (over | (upper < 0)).tolist()


def race(
    pairs: Sequence[Candidate],
    order: tuple[Order, Order],
    cap: Cap,
    measured: Callable[[Rows], Table],
) -> Raced:
    """Run it. measured: runs what it has not run of the rows, and tabulates the pairs' arms on them alone."""
    done = np.array([[1] * len(pairs)] * 2)
    last = np.array([[len(stages)] for stages in order])
    while True:
        rows = _rows(pairs, order, done)
        table = measured(rows)
        out = [hopeless(table, pairs, sum(stages, ()), cap) for stages in order]
        on = (done < last) & ~np.array(out)
        if not on.any():
            break
        done += on
    first, second = (
        [pair for pair, whole in zip(pairs, row, strict=True) if whole] or pairs for row in done == last
    )
    return Raced((first, second), rows)


def _rows(pairs: Sequence[Candidate], order: tuple[Order, Order], done: np.ndarray) -> Rows:
    return {
        arm: frozenset(
            name for n, stages in enumerate(order) for stage in stages[: done[n, i]] for name in stage
        )
        for i, pair in enumerate(pairs)
        for arm in (pair.plus, pair.minus)
        if arm != "baseline"
    }


def start(session: Session, grid: Sequence[Cell]) -> Rows:
    """The first stage of every cell: what is run before anything is decided."""
    _, order = _drawn(session)
    return {cell.arm.name: frozenset((*order[0][0], *order[1][0])) for cell in grid}


def _drawn(session: Session) -> tuple[dict[str, int], tuple[Order, Order]]:
    """The halves, and their stages."""
    categories, seed = {s.id: s.category for s in session.scenarios}, session.options.subset_seed
    half = halves(categories, seed=seed)
    return half, orders(half, categories, seed=seed)


def run_race(
    session: Session,
    store: RunStore,
    grid: Sequence[Cell],
    drift: Mapping[str, float],
    cap: Cap,
    *,
    layers: bool = False,
) -> Raced:
    """Race a grid whose first stage is in the store; then run what was chosen on all scenarios.

    layers: every cell of the chosen layers, too, for dose curves.
    """
    half, order = _drawn(session)
    pairs = paired([MeasuredCell(c.arm.name, c.layer, c.magnitude, drift[c.arm.name]) for c in grid])
    ran = start(session, grid)

    def run(rows: Rows) -> None:
        nonlocal ran
        new = {arm: rows[arm] - ran[arm] for arm in rows if rows[arm] > ran[arm]}
        if new:
            session.screen.note(f"race: {len(new)} of {len(grid)} cells go on")
            add_arms(session, store, [c.arm for c in grid if c.arm.name in new], only=new)
        ran = {**ran, **rows}

    def measured(rows: Rows) -> Table:
        run(rows)
        outcomes = store.outcomes(session.judge.name)
        known = [o for o in outcomes if o.arm == "baseline" or o.scenario in rows.get(o.arm, ())]
        return tabulate(known, arms_of(pairs))

    raced = race(pairs, order, cap, measured)
    table = measured(raced.rows)
    best = [choose_in(table, left, members(half, n), cap) for n, left in enumerate(raced.left)]
    chosen = [one.candidate for one in best if isinstance(one, Chosen)]
    if len(chosen) < len(best):
        return raced
    names, places = arms_of(chosen), {one.layer for one in chosen}
    whole = [c.arm.name for c in grid if c.arm.name in names or (layers and c.layer in places)]
    rows = {**raced.rows, **dict.fromkeys(whole, frozenset(half))}
    run(rows)
    return Raced(raced.left, rows)
