"""What a run over turns is told.

Annotations are evaluated here, not left as text: the command line is made of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.options import flag
from steer.errors import UserError

FollowUps = Literal["neutral", "pressing", "subject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsChoice:
    """How long conversations are, what the user says in them, and the vector that is held.

    fade: what a faded vector keeps of its magnitude from one turn to the next.
    """

    turns: int = flag(3, "Of each conversation.")
    follow_ups: FollowUps = flag("neutral", "What the user says from the second turn on.")
    vector: Path | None = flag(None, "Vector file; extracted and cached if left out.")
    layer: int = flag(14, "Where the vector is added.")
    magnitude: float = flag(0.3, "How much of it, at both signs.")
    fade: float = flag(0.5, "Of the faded vector: its share from one turn to the next.")

    def __post_init__(self) -> None:
        if self.turns < 2:
            raise UserError(f"--turns {self.turns}: a second turn is the first that can fade: from 2")
        if not self.magnitude > 0:
            raise UserError(f"--magnitude {self.magnitude:g}: both signs are run, so give a number above 0")
        if not 0 < self.fade < 1:
            raise UserError(f"--fade {self.fade:g}: allowed are numbers between 0 and 1")
