"""What a conversation over several turns found: each arm by turn, and how fast its effect fades."""

from __future__ import annotations

from steer.gaps import Gap
from steer.half_life import HalfLife
from steer.results.record import Record


class HeldArm(Record):
    """An arm held over turns. arms: its names in the run, by turn. gaps: against the baseline of the same
    turn, paired. half_life: of that gap over all, in turns; None where the first turn's is not clear."""

    arm: str
    arms: tuple[str, ...]
    gaps: tuple[Gap, ...] = ()
    half_life: HalfLife | None = None


class Turns(Record):
    """follow_ups: which of the task's. left_out: conversations that ended early, an answer having none."""

    turns: int
    follow_ups: str
    arms: tuple[HeldArm, ...]
    left_out: int
