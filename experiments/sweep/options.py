"""What a sweep, a comparison and a mechanism are told: the grid, the vector, and what a chosen cell may cost.

Annotations are evaluated here, not left as text: the command line is made of them.
"""

import math
from dataclasses import dataclass

from experiments.options import VectorChoice, flag, flags
from experiments.sweep.grid import COARSE_LAYERS, COARSE_MAGNITUDES, DEFAULT_MAGNITUDES
from steer.errors import UserError, choose

REWRITERS = ("openai", "hf")

RACE = "Stop cells on the way that no half can choose any more."
NULLS = "Every unrelated contrast chooses its own cells of the whole grid, and its sign."


@dataclass(frozen=True, slots=True)
class Cap:
    """What either arm of a candidate may do at most; UserError for what is no share or no drift.

    Besides, one under which the options lose more than half of their mass is never chosen.

    nonsense: share of rows that are not valid (nonsensical, invalid, truncated or failed).
    drift: nats a token; None for no cap on it.
    """

    nonsense: float = flag(0.1, "Most nonsense of a chosen cell, a fraction.", name="cap_nonsense")
    drift: float | None = flag(1.0, "Most drift of a chosen cell, nats a token.", name="cap_drift")

    def __post_init__(self) -> None:
        if not 0 <= self.nonsense <= 1:
            raise UserError(
                f"cap on nonsense {self.nonsense:g}: allowed are fractions from 0 to 1 (10 percent is 0.1)"
            )
        if self.drift is not None and not (math.isfinite(self.drift) and self.drift >= 0):
            raise UserError(
                f"cap on drift {self.drift:g}: allowed are finite numbers from 0, in nats a token"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepChoice:
    """The grid and what a chosen cell may cost.

    magnitudes: as `experiments.sweep.grid.parse_magnitudes` reads them; both signs of a magnitude are
    needed for it to be a candidate. screen: how many cells of the grid are generated for, the others being
    left out by their propensity on items that are not evaluated; None is all. race, nulls_choose: see
    `experiments.sweep.race` and `controls`.
    """

    layers: str = flag("10-20", "As 10-20, 10,12,14 or all.")
    magnitudes: str = flag(DEFAULT_MAGNITUDES, "Numbers or START:STOP:STEP, both signs; 0 is the baseline.")
    vector: VectorChoice = flags(VectorChoice)
    cap: Cap = flags(Cap)
    screen: int | None = flag(None, "Generate for so many cells, the best by propensity on other items.")
    race: bool = flag(False, RACE, switch="--race")
    nulls_choose: bool = flag(False, NULLS, switch="--nulls-choose")

    def __post_init__(self) -> None:
        if self.screen == 0:
            raise UserError("--screen 0: it keeps no cell: give an even number from 2, or leave it out")
        if not self.nulls_choose:
            return
        if self.race or self.screen:
            raise UserError(
                f"--nulls-choose --{'race' if self.race else 'screen'}: each null is to have what the vector "
                "had, all cells on all scenarios: leave one out"
            )
        if not self.vector.nulls or not self.vector.controls:
            raise UserError("--nulls-choose with --nulls 0 or --controls 0: there is none to choose")


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarseChoice:
    """The grid that the vector is chosen from, beside what else is run."""

    layers: str = flag(COARSE_LAYERS, "The grid to choose from.")
    magnitudes: str = flag(COARSE_MAGNITUDES, "The grid to choose from.")
    vector: VectorChoice = flags(VectorChoice)
    cap: Cap = flags(Cap)

    @property
    def sweep(self) -> SweepChoice:
        return SweepChoice(layers=self.layers, magnitudes=self.magnitudes, vector=self.vector, cap=self.cap)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareChoice(CoarseChoice):
    """What else is run, and how. suffix_budget: pairs of suffixes to choose from; None: the set's own."""

    race: bool = flag(False, RACE, switch="--race")
    nulls_choose: bool = flag(False, NULLS, switch="--nulls-choose")
    transfer: bool = flag(False, "Vectors a behaviour, on the others.", switch="--transfer")
    mechanism: bool = flag(False, "Whether both take one path, as `mechanism`.", switch="--mechanism")
    suffix_budget: int | None = flag(None, "Tune the suffix, too: so many pairs are tried.")
    rewriter: str | None = flag(None, "Some of those by openai:MODEL or hf:MODEL; it sees suffixes alone.")

    @property
    def sweep(self) -> SweepChoice:
        return SweepChoice(
            layers=self.layers,
            magnitudes=self.magnitudes,
            vector=self.vector,
            cap=self.cap,
            race=self.race,
            nulls_choose=self.nulls_choose,
        )

    def __post_init__(self) -> None:
        _ = self.sweep  # what a sweep refuses
        if self.race and self.suffix_budget is not None:
            raise UserError(
                "--race --suffix-budget: gap against tries is of cells with all of their rows, and a race "
                "stops some: leave one out"
            )
        if self.rewriter is None:
            return
        kind, _, model = self.rewriter.partition(":")
        choose(kind, REWRITERS, what="rewriter")
        if not model:
            raise UserError(f"--rewriter {self.rewriter}: write {kind}:MODEL")


@dataclass(frozen=True, slots=True, kw_only=True)
class MechanismChoice(CoarseChoice):
    """Something is taken out from each of the grid's layers on. ranks: axes of the contrast taken out."""

    ranks: str = flag("1,2,4,8", "k of the rank-k ablations, as 1,4; empty for none.")
