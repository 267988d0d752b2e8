"""Transfer: does a vector made of one behaviour move the others? Six by six, never on its own items.

The vector of a behaviour is extracted from the extraction scenarios of that category alone (which
are no evaluation scenarios). Each evaluation scenario is run at the layer and magnitude that the
comparison chose on the other half, so the matrix is a report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from experiments.extraction.extract import DRAWS, extraction_source
from experiments.extraction.plan import suffixed_answers
from experiments.options import VectorChoice
from experiments.running import add_arms
from experiments.session import Session, vectors_cache
from experiments.sweep.choice import CrossFit, OutOfFold, placed
from experiments.sweep.grid import edit_at
from experiments.sweep.vector_source import extracted_from
from steer import scenarios
from steer.atomic import write_atomically
from steer.errors import UserError
from steer.metrics import Gap, gap
from steer.pipeline import accounted
from steer.results.comparison import Transfer
from steer.store import RunStore
from steer.types import Arm, Outcome
from vectors.directions import RECIPES
from vectors.foreign import read_vector

SIGNS = ((1, "+"), (-1, "-"))
MADE_OF_SCENARIOS = ("suffix", "response")


def transfer_arms(session: Session) -> int:
    """How many arms it runs at most."""
    items = scenarios.load(extraction_source(session.task))
    return 2 * len(SIGNS) * len({s.category for s in items})


def transfer_answers(session: Session, choice: VectorChoice) -> int:
    """Answers that extracting a vector a category takes at most."""
    each = 1 + (suffixed_answers(DRAWS) if recipe(choice).contrast == "response" else 0)
    return each * len(scenarios.load(extraction_source(session.task)))


def recipe(choice: VectorChoice) -> VectorChoice:
    """The choice that makes a category's vector as the whole one was made; UserError where there is none.

    Statements, formality and pairs of one's own are not made of extraction scenarios: every category's
    vector would be the same one.
    """
    if choice.operation == "ablate":
        raise UserError("--transfer runs a vector at either sign, and ablate has none: leave one of them out")
    contrast, method, what = choice.contrast, choice.method, f"--contrast {choice.contrast}"
    if choice.file is not None:
        made = read_vector(choice.file).provenance
        contrast, method = made.contrast, made.method
        what = f"--vector {choice.file} (contrast {contrast!r}, method {method!r})"
        if made.control or made.parent or method not in RECIPES:
            what += f", {made.control or ('a part of a vector' if made.parent else 'of no known recipe')}"
            contrast = ""
    if contrast not in MADE_OF_SCENARIOS:
        raise UserError(
            f"--transfer with {what}: a vector a category can only be made of whole vectors of the contrasts "
            f"{' and '.join(MADE_OF_SCENARIOS)}; name another, or leave --transfer out"
        )
    return replace(choice, file=None, contrast=contrast, method=method)


def transfer(
    session: Session, store: RunStore, choice: VectorChoice, fit: CrossFit, half: Mapping[str, int]
) -> tuple[Sequence[str], Callable[[Sequence[Outcome]], Transfer]]:
    """Extract a vector a category and run it at both signs of the cells chosen on either half.

    Names of the arms, and a function that reads the matrix out of all outcomes.
    """
    items = scenarios.load(extraction_source(session.task))
    how = recipe(choice)
    places = [placed(chosen.candidate) for chosen in fit.chosen]
    categories = list(dict.fromkeys(s.category for s in items))
    arms: dict[str, Arm] = {}
    pairs: dict[str, tuple[OutOfFold, OutOfFold]] = {}
    for category in categories:
        own = [s for s in items if s.category == category]
        lines = [
            json.dumps({"id": s.id, "category": s.category, "system": s.system, "user": s.user}) for s in own
        ]
        path = vectors_cache() / "scenarios" / f"{scenarios.identity(own)[:12]}.jsonl"
        write_atomically(path, ("\n".join(lines) + "\n").encode())
        with accounted(store, session.judge):
            vector = extracted_from(session, how, path)
        signed: list[OutOfFold] = []
        for sign, name in SIGNS:
            names: list[str] = []
            for layer, magnitude in places:
                edit = edit_at(vector, layer, sign * magnitude, choice)
                names.append(f"from {category} L{layer}{sign * magnitude:+g}")
                arms[names[-1]] = Arm(names[-1], additions=(edit,))
            signed.append(OutOfFold(f"from {category} {name}", (names[0], names[1])))
        pairs[category] = (signed[0], signed[1])
    add_arms(session, store, list(arms.values()))

    def read(outcomes: Sequence[Outcome]) -> Transfer:
        there = {o.category for o in outcomes}
        to = [c for c in categories if c in there] + sorted(there - set(categories))
        found = [[_gap(pairs[c], outcomes, half, there) for there in to] for c in categories]
        return Transfer(
            made_of=tuple(categories),
            measured_on=tuple(to),
            points=tuple(tuple(one.points_all for one in row) for row in found),
            ci=tuple(tuple(one.ci_all for one in row) for row in found),
            n=tuple(one.pairs for one in found[0]),
            places=tuple(places),
        )

    return list(arms), read


def _gap(
    pair: tuple[OutOfFold, OutOfFold], outcomes: Sequence[Outcome], half: Mapping[str, int], category: str
) -> Gap:
    there = [o for o in outcomes if o.category == category]
    plus, minus = pair
    return gap([*plus.rows(there, half), *minus.rows(there, half)], plus.name, minus.name)
