"""What a comparison of suffix and vector found."""

from __future__ import annotations

from typing import Literal

from steer.gaps import Gap
from steer.intervals import Interval
from steer.results.estimates import Dose, Estimate, FoldedArm, GapDifference, MatchedDose, Reached, TugOfWar
from steer.results.record import Record


class Sides(Record):
    """gaps: suffix, suffix_tuned, vector, and each split at the baseline. wordings: mean of all."""

    gaps: dict[str, Gap]
    differences: dict[str, GapDifference]
    wordings_all: Estimate | None
    wordings_valid: Estimate | None


class SideEffectPair(Record):
    """A side effect of the suffix, and of the vector where it has the whole and half of its effect."""

    suffix: float | None
    vector: float | None
    vector_half: float | None


class Exchange(Record):
    """What magnitude is worth a suffix, and half of it."""

    whole: Reached
    half: Reached
    doses: tuple[Dose, ...]
    side_effects: dict[str, SideEffectPair]


class TugPoint(Record):
    """An attack at a size, alone and under the defence."""

    size: float
    coherent: tuple[bool, bool]
    pull: TugOfWar


class TugMatched(Record):
    """The attack at the dose matched to a suffix; suffix_points: that suffix's own effect."""

    dose: MatchedDose
    suffix: str
    suffix_points: float | None
    pull: TugOfWar


class Tug(Record):
    """A defence against its attack: over magnitude, at the matched dose, and by who placed the suffix."""

    defence: str
    curve: tuple[TugPoint, ...]
    matched: TugMatched | None
    break_even: Reached | None
    builder: dict[str, TugOfWar] = {}


class Together(Record):
    """A suffix and a vector at matched solo effect, out of fold."""

    suffix: str
    vector: str
    arm: FoldedArm


class FrontierPoint(Record):
    """An arm's effect against baseline in a direction and one side effect. role: selection or report."""

    arm: str
    direction: Literal["up", "down"]
    effect_points: float
    side_effect: str
    value: float | None
    undominated: bool
    role: str


class Transfer(Record):
    """points, ci: [made of, measured on]; places: (layer, |magnitude|) of either half."""

    made_of: tuple[str, ...]
    measured_on: tuple[str, ...]
    points: tuple[tuple[float | None, ...], ...]
    ci: tuple[tuple[Interval | None, ...], ...]
    n: tuple[int, ...]
    places: tuple[tuple[int, float], ...]


class Cost(Record):
    """What a way of steering costs: a steered answer, and what it took to get there."""

    prompt_tokens_more_an_answer: float
    seconds_an_answer: float
    seconds_a_baseline_answer: float
    extraction_generations: int
    extraction_pairs: int
    arms_tuned_over: int
    judge_calls_to_choose: int
    judge_calls_to_report: int


Made = Literal["wording", "recombined", "shortened", "rewritten"]


class SuffixTry(Record):
    """A pair of suffixes: arms `plus` and `minus`, and where it came in the halving.

    seen_on: extraction scenarios that it was seen on last; points: its gap there, selection, None where it
    was over the cap. finalist: whether the halves chose from it. chosen_on: the halves that chose it.
    """

    plus: str
    minus: str
    made: Made
    pro: str
    anti: str
    seen_on: int
    points: float | None
    finalist: bool
    chosen_on: tuple[str, ...]


class TriesPoint(Record):
    """Expected gap, out of fold, of the best of `tries` drawn at random; None: no estimate."""

    tries: int
    gap: Estimate | None


class Rewrites(Record):
    """What a rewriter was asked for, why replies were left out, and what tokens it took."""

    rewriter: str
    asked: int
    usable: int
    left_out: dict[str, int]
    input_tokens: int = 0
    output_tokens: int = 0


class Tries(Record):
    """The tuned suffix. suffixes: best first. curves: gap against tries, of `suffix` and `vector`."""

    suffixes: tuple[SuffixTry, ...]
    curves: dict[str, tuple[TriesPoint, ...]]
    rewrites: Rewrites | None


class Comparison(Record):
    """Suffix against vector. together: arms that carry both, or a suffix elsewhere."""

    verdict: str
    sides: Sides
    exchange: dict[str, Exchange]
    tug: dict[str, Tug] = {}
    together: tuple[str, ...] = ()
    square: tuple[Together, ...] = ()
    frontier: tuple[FrontierPoint, ...] = ()
    transfer: Transfer | None = None
    costs: dict[str, Cost] = {}
    tries: Tries | None = None
