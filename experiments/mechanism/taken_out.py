"""What is left of a gap while a direction is taken out of the stream: the arms, run and read out of fold.

The suffix's gap without the vector's direction, from the layer that the other half of the scenarios chose;
the vector's without the suffix's shift. `experiments.mechanism.mediation` says what the shares mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from experiments.measures import mass_kept
from experiments.mechanism.mediation import NO_GAP, has_gap, sentence_of, share_left, word_of
from experiments.options import VectorChoice
from experiments.running import add_arms
from experiments.session import Session
from experiments.sweep.choice import Candidate, CrossFit, NothingChosen, OutOfFold, cross_fit
from experiments.sweep.grid import Cell
from experiments.sweep.options import Cap
from experiments.sweep.vector_source import Control
from steer.results.mechanism import Mediation, Share, Where
from steer.store import RunStore
from steer.types import Addition, Arm, Span
from vectors.ablation import ablated, clamped, subspace_ablated
from vectors.controls import random_isotropic
from vectors.rank import Subspace, random_subspace
from vectors.vector import SteeringVector

Edits = Callable[[Sequence[int]], tuple[Addition, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What may be taken out. shift: the suffix's own mean shift, pro - anti, on the extraction scenarios.
    spaces: by layer, the axes of the contrast's pairs, the strongest first."""

    vector: SteeringVector
    beside: Sequence[Control]
    shift: SteeringVector
    spaces: Mapping[int, Subspace]
    layers: tuple[int, ...]
    ranks: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """What is taken out of the stream at given layers, and what its arms are called."""

    what: str
    kind: str
    edits: Edits
    where: Where = "on"

    def arm(self, base: Arm, layer: int, n_layers: int) -> Arm:
        layers = range(layer, n_layers) if self.where == "on" else (layer,)
        return replace(base, name=self.name(base, layer), additions=base.additions + self.edits(layers))

    def name(self, base: Arm, layer: int) -> str:
        return f"{base.name} ~ {self.what} L{layer}{'+' if self.where == 'on' else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A gap that may go through a direction. arms, layers: by half, what it chose: the arms of the gap, and
    from where on something is taken out."""

    arms: tuple[tuple[Arm, Arm], tuple[Arm, Arm]]
    layers: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Runner:
    """Runs arms with something taken out, and reads what is left. `ran`: every arm it put into the run."""

    session: Session
    store: RunStore
    half: Mapping[str, int]
    ran: dict[str, Arm] = field(default_factory=dict[str, Arm])

    def shares(self, site: Site, taken: Sequence[Taken]) -> list[Share]:
        """Of the site's gap, what each leaves, out of fold."""
        depth = self.session.loaded.n_layers
        arms = {
            arm.name: arm
            for one in taken
            for pair, layer in zip(site.arms, site.layers, strict=True)
            for arm in (one.arm(base, layer, depth) for base in pair)
        }
        add_arms(self.session, self.store, [arm for arm in arms.values() if arm.name not in self.ran])
        self.ran.update(arms)
        outcomes = self.store.outcomes(self.session.judge.name)
        found: list[Share] = []
        for one in taken:
            gap = [
                OutOfFold(f"whole {sign}", _both(pair)) for sign, pair in zip("+-", _sides(site), strict=True)
            ]
            left = [
                OutOfFold(
                    f"left {sign}",
                    (one.name(pair[0], site.layers[0]), one.name(pair[1], site.layers[1])),
                )
                for sign, pair in zip("+-", _sides(site), strict=True)
            ]
            rows = [row for arm in (*gap, *left) for row in arm.rows(outcomes, self.half)]
            found.append(
                share_left(
                    rows,
                    (gap[0].name, gap[1].name),
                    (left[0].name, left[1].name),
                    what=one.what,
                    kind=one.kind,
                    where=one.where,
                    layers=site.layers,
                )
            )
        return found


def _sides(site: Site) -> Iterator[tuple[Arm, Arm]]:
    """The gap's upper arm by half, then its lower one."""
    yield from zip(*site.arms, strict=True)


def _both(pair: tuple[Arm, Arm]) -> tuple[str, str]:
    return pair[0].name, pair[1].name


def of_suffix(runner: Runner, source: Source, span: Span, cap: Cap, notes: list[str]) -> Mediation:
    """The suffix's gap with the vector's direction taken out."""
    session, store, pair = runner.session, runner.store, runner.session.suffixes.pair
    arms = (Arm("pro", pair.pro), Arm("anti", pair.anti))
    gap = has_gap(store.outcomes(session.judge.name), ("pro", "anti"))
    unit: Literal["points", "nats"] = "nats" if session.choosing else "points"
    if gap is None:
        return Mediation(of="suffix", unit=unit, word="not shown", sentence=f"of the suffix's gap {NO_GAP}")
    out = Taken("vector", "vector", partial(ablated, source.vector, span=span))
    alone = replace(out, where="alone")
    by_layer = [
        share
        for layer in source.layers
        for share in runner.shares(Site((arms, arms), (layer, layer)), [out, alone])
    ]
    kept = mass_kept(store)
    candidates: list[Candidate] = []
    for layer in source.layers:
        # the choice is for the largest gap the other way: for the least that is left
        minus, plus = (out.name(arm, layer) for arm in (arms if gap.points > 0 else arms[::-1]))
        mass = min(kept.get(plus, 1.0), kept.get(minus, 1.0))
        candidates.append(Candidate(plus, minus, size=-layer, layer=layer, kept=mass))
    outcomes = store.outcomes(session.judge.name)
    fit = cross_fit(outcomes, candidates, runner.half, Cap(cap.nonsense, None), plus="+", minus="-")
    if isinstance(fit, NothingChosen):
        return Mediation(
            of="suffix", unit=unit, word="not shown", sentence=str(fit), by_layer=tuple(by_layer)
        )
    first, second = (one.candidate.layer or 0 for one in fit.chosen)
    taken = [out, alone]
    if span in source.vector.projections:
        taken.append(Taken("vector, clamped", "clamp", partial(clamped, source.vector, span=span)))
    else:
        notes.append("nothing is clamped: the vector's file says no unsteered projections")
    taken += [Taken(c.name, c.kind, partial(ablated, c.vector, span=span)) for c in source.beside]
    taken += [
        Taken(f"rank {k}", "rank", partial(subspace_ablated, source.spaces, k, span=span))
        for k in source.ranks
    ]
    if source.ranks:
        most, width = max(source.ranks), session.loaded.d_model
        spaces = {layer: random_subspace(width, most, seed=layer) for layer in source.spaces}
        edits = partial(subspace_ablated, spaces, most, span=span)
        taken.append(Taken(f"random rank {most}", "random rank", edits))
    report = runner.shares(Site((arms, arms), (first, second)), taken)
    return told("suffix", unit, report, by_layer)


def of_vector(
    runner: Runner, source: Source, choice: VectorChoice, grid: Sequence[Cell], fit: CrossFit
) -> tuple[Mediation, tuple[Arm, Arm]]:
    """The chosen vector's gap with the suffix's own mean shift taken out; and its upper arm by half."""
    arms = {cell.arm.name: cell.arm for cell in grid}
    first, second = (one.candidate for one in fit.chosen)
    site = Site(
        ((arms[first.plus], arms[first.minus]), (arms[second.plus], arms[second.minus])),
        (first.layer or 0, second.layer or 0),
    )
    unit: Literal["points", "nats"] = "nats" if runner.session.choosing else "points"
    steered = (site.arms[0][0], site.arms[1][0])
    if has_gap(fit.outcomes, (fit.plus, fit.minus)) is None:
        none = f"of the vector's gap {NO_GAP}"
        return Mediation(of="vector", unit=unit, word="not shown", sentence=none), steered
    out = Taken("suffix's shift", "suffix", partial(ablated, source.shift, span=choice.span))
    randoms = [
        Taken(
            f"random{seed}",
            "random",
            partial(ablated, random_isotropic(source.shift, seed), span=choice.span),
        )
        for seed in range(choice.controls)
    ]
    return told(
        "vector", unit, runner.shares(site, [out, replace(out, where="alone"), *randoms]), ()
    ), steered


def told(
    of: Literal["suffix", "vector"],
    unit: Literal["points", "nats"],
    report: Sequence[Share],
    by_layer: Sequence[Share],
) -> Mediation:
    main, *others = report
    return Mediation(
        of=of,
        unit=unit,
        word=word_of(main, others),
        sentence=sentence_of(of, main, others),
        report=tuple(report),
        by_layer=tuple(by_layer),
    )
