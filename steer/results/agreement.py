"""What `agreement RUN` finds: how far the judges of a run agree, and what their errors do to its numbers."""

from __future__ import annotations

from typing import Literal

from steer.echoes import WithoutEcho
from steer.intervals import Interval
from steer.judges.agreement import Corrected
from steer.results.record import SCHEMA_VERSION, Record
from steer.results.result import TaskWords


class Scores(Record):
    """n: answers that both labelled. figures: accuracy, macro_f1, kappa, kappa_hit, sensitivity, specificity
    (fractions), rate_error_points; ci: their intervals, with the scenario as the unit."""

    n: int
    figures: dict[str, float | None]
    ci: dict[str, Interval | None] = {}


class GapAgreement(Record):
    """A gap by both judges in points, over the n rows that both labelled in both arms; the judge's error, by
    category too; corrected: over all that the judge labelled."""

    n: int
    judge: float | None = None
    reference: float | None = None
    error: float | None = None
    error_ci: Interval | None = None
    categories: dict[str, float] = {}
    corrected: Corrected | None = None


class JudgeAgreement(Record):
    """A judge against the reference. confusion: [reference's role][judge's]; unusable: it gave no label."""

    scores: Scores
    confusion: dict[str, dict[str, int]]
    unusable: int
    arms: dict[str, Scores]
    categories: dict[str, Scores]
    gaps: dict[str, GapAgreement]


class Agreement(Record):
    """judges: None for one that labelled no answer in common with the reference. retest: repetitions of a
    judge against its first pass, by `JUDGE ~ PASS`. alpha: Krippendorff's, the reference among them."""

    schema_version: Literal[3] = SCHEMA_VERSION
    reference: str
    task: TaskWords
    judges: dict[str, JudgeAgreement | None]
    known_errors: dict[str, str]
    echo: dict[str, float | None]
    gaps_without_echo: dict[str, dict[str, WithoutEcho]]
    alpha: float | None
    retest: dict[str, Scores]
