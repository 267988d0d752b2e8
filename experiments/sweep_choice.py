"""What a sweep is told: its grid, its vector, and what a chosen cell may cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from experiments.choice import Cap
from experiments.grid import DEFAULT_MAGNITUDES
from experiments.options import VectorChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepChoice:
    """The grid and what a chosen cell may cost.

    magnitudes: as `experiments.grid.parse_magnitudes` reads them; both signs of a magnitude are
    needed for it to be a candidate. screen: how many cells of the grid are generated for, the others being
    left out by their propensity on items that are not evaluated; 0 is all.
    """

    layers: str = "10-20"
    magnitudes: str = DEFAULT_MAGNITUDES
    vector: VectorChoice = field(default_factory=VectorChoice)
    cap: Cap = field(default_factory=lambda: Cap(nonsense=0.1, drift=1.0))
    screen: int = 0
