"""What was found of how suffix and vector work: where they move the stream, and what carries their gaps."""

from __future__ import annotations

from typing import Literal

from steer.intervals import Interval
from steer.results.estimates import OpenInterval
from steer.results.record import Record
from steer.shifts import Along

Word = Literal["shared path", "partly", "apart", "not shown"]
Where = Literal["on", "alone"]
"""From a layer on, or at it alone."""


class ShiftAt(Record):
    """At the output of a layer. size: |mean shift| in mean residual norms. axes: by direction. random_cosine,
    random_share: where 95 % of isotropic directions have theirs."""

    layer: int
    size: float
    size_ci: Interval
    axes: dict[str, Along]
    random_cosine: Interval
    random_share: Interval

    @property
    def vector(self) -> Along:
        """Of the steering vector, which is the first."""
        return next(iter(self.axes.values()))


class StreamShift(Record):
    """The stream under an arm minus that under what it is held against, a scenario at a time. read: where."""

    arm: str
    against: str
    read: str
    scenarios: int
    layers: tuple[ShiftAt, ...]


class Share(Record):
    """What is left of a gap while something is taken out of the stream: share = left / gap. None, and why,
    where there is no gap to share. points, or nats where options are compared.

    kind: vector, clamp, suffix, random, label, concept or rank. where: from the layer on, or at it alone.
    layers: the layer, or those that either half chose.
    """

    what: str
    kind: str
    where: Where
    layers: tuple[int, ...]
    gap: float | None
    gap_ci: Interval | None
    left: float | None
    left_ci: Interval | None
    share: float | None
    share_ci: OpenInterval | None
    reason: str = ""


class Mediation(Record):
    """How much of one gap goes through one direction. report: out of fold, what the verdict is of first, then
    what it is held against; by_layer: at every layer of the grid, none of them chosen."""

    of: Literal["suffix", "vector"]
    unit: Literal["points", "nats"]
    word: Word
    sentence: str
    report: tuple[Share, ...] = ()
    by_layer: tuple[Share, ...] = ()


class TokensAt(Record):
    """What a layer's direction raises and lowers, through the final norm and the unembedding.

    strongest: the most that a token is raised, in standard deviations over the vocabulary; random: the mean
    of that over isotropic directions.
    """

    layer: int
    raises: tuple[str, ...]
    lowers: tuple[str, ...]
    strongest: float
    random: float


class Mechanism(Record):
    """vector: None, and a note why, where no cell was chosen. lens: of the vector, at the grid's layers."""

    word: Word
    verdict: str
    suffix: Mediation
    vector: Mediation | None = None
    shifts: tuple[StreamShift, ...] = ()
    lens: tuple[TokensAt, ...] = ()
    notes: tuple[str, ...] = ()
