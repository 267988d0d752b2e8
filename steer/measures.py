"""The measures: what is told of an answer or an arm besides its label, each declared once.

Tables, pages, the frontier and exports read this list. One that takes an answer's text alone (`of`) is all
here: it is computed for every answer, kept in the run's store and shown. Others take a model, and
`experiments` makes them: fluency and drift (`steer.side_effects`), what is asked (`steer.probes`), a choice's
(`steer.choices`), and those of a narrow task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from steer.side_effects import compression, distinct3


@dataclass(frozen=True, slots=True)
class Measure:
    """name: in store, result and exports. title: in tables. note: what a reader is told of it.

    digits: after the point; None: a share, in percent. per: whether it is of each answer, or of an arm.
    frontier: whether effects are held against it, which less of is better.
    of: from an answer's text; None of the empty one.
    """

    name: str
    title: str
    per: Literal["answer", "arm"]
    digits: int | None = 2
    note: str = ""
    frontier: bool = False
    of: Callable[[str], float | None] | None = None


MEASURES: tuple[Measure, ...] = (
    Measure("broken_all", "nonsense %", "arm", None, frontier=True),
    Measure("refusal_valid", "refused %", "arm", None, frontier=True),
    Measure(
        "fluency",
        "fluency",
        "answer",
        note="fluency: nats a token of the answer under the unsteered model, plain prompt",
        frontier=True,
    ),
    Measure("drift", "drift", "arm", note="drift: nats a token on neutral prompts", frontier=True),
    Measure("capability", "right %", "arm", None, "right: % of exact-answer questions"),
    Measure("over_refusal", "over-refusal %", "arm", None, "over-refusal: % of harmless requests refused"),
    Measure(
        "compression",
        "compression",
        "answer",
        note="compression and distinct-3 tell loops, which fluency does not",
        of=compression,
    ),
    Measure("distinct3", "distinct-3", "answer", of=distinct3),
    Measure("relevance", "relevance", "arm"),
    Measure("relevance_shuffled", "to other questions", "arm"),
    Measure(
        "relevance_above", "relevant %", "arm", None, "relevant: % of answers nearest to their own question"
    ),
    Measure("held_out_nll", "loss", "arm", note="loss, prefers: of held-out narrow items"),
    Measure("held_out_prefers", "prefers %", "arm", None),
    Measure("propensity", "propensity", "answer"),
    Measure("propensity_token", "propensity a token", "answer"),
    Measure("mass", "mass", "answer"),
)
"""Nonsense and refusals are told by labels; the others stand in `ArmResult.measures`."""
