"""Transfer: does a vector made of one behaviour move the others? Six by six, never on its own items.

The vector of a behaviour is extracted from the extraction scenarios of that category alone (which
are no evaluation scenarios); it is applied at the layers and magnitudes that the comparison chose.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from experiments.choice import CrossFit
from experiments.extract import extraction_source
from experiments.running import add_arms
from experiments.session import Session
from experiments.vector_source import CACHE, VectorChoice, extracted_from
from steer import scenarios
from steer.metrics import gap
from steer.store import RunStore
from steer.types import Arm, Outcome
from vectors.files import write_atomically
from vectors.vector import addition


def transfer(
    session: Session, store: RunStore, choice: VectorChoice, fit: CrossFit
) -> Callable[[Sequence[Outcome]], dict[str, Any]]:
    """Extract a vector a category and run it at both signs of the cell chosen on half A.

    Comes back as a function that reads the matrix out of all outcomes.
    """
    items = scenarios.load(extraction_source(session.loaded))
    chosen = fit.chosen[0].candidate
    assert chosen.layer is not None
    assert chosen.magnitude is not None
    categories = list(dict.fromkeys(s.category for s in items))
    arms: list[Arm] = []
    for category in categories:
        own = [s for s in items if s.category == category]
        lines = [
            json.dumps({"id": s.id, "category": s.category, "system": s.system, "user": s.user}) for s in own
        ]
        path = CACHE / "scenarios" / f"{scenarios.identity(own)[:12]}.jsonl"
        write_atomically(path, ("\n".join(lines) + "\n").encode())
        vector = extracted_from(session, replace(choice, file=None), path)
        for sign, name in ((1, "+"), (-1, "-")):
            edit = addition(vector, chosen.layer, sign * chosen.magnitude, span=choice.span)
            arms.append(Arm(f"from {category} {name}", additions=(edit,)))
    add_arms(session, store, arms)

    def read(outcomes: Sequence[Outcome]) -> dict[str, Any]:
        to = list(dict.fromkeys(o.category for o in outcomes))
        points = [
            [
                gap([o for o in outcomes if o.category == there], f"from {c} +", f"from {c} -").points_all
                for there in to
            ]
            for c in categories
        ]
        place = {"layer": chosen.layer, "magnitude": chosen.magnitude}
        return {"from": categories, "to": to, "points": points, **place}

    return read
