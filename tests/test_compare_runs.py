"""Which arms of pooled runs are doses of one curve."""

from __future__ import annotations

from typing import Any

from experiments.across.compare_runs import Pool, suffix_and_vector
from steer.types import Outcome
from tests.outcome_tables import arms_of, result_of


def content(magnitude: float = 0.0, *, span: str = "last", operation: str = "add") -> dict[str, Any]:
    one = {"layer": 1, "magnitude": magnitude, "span": span, "operation": operation, "vector": "v"}
    additions = [one] if magnitude else []
    return {"suffix": "", "system_suffix": "", "adapter": None, "additions": additions}


def test_cells_of_another_span_or_operation_are_no_doses_of_the_sweeps_curve() -> None:
    """They share vector, layer and magnitude with a cell of it, and would be chosen or averaged with it."""
    own = {"baseline": content(), "pro": content(), "anti": content(), "L1-0.3": content(-0.3)}
    own["L1+0.3"] = content(0.3)
    foreign = {
        "other:L1+0.3": content(0.3, span="all"),
        "other:L1-0.3": content(-0.3, span="all"),
        "third:L1+0.3": content(0.3, operation="clamp"),
        "third:L1-0.3": content(-0.3, operation="clamp"),
    }
    converging = {"pro": 8, "L1+0.3": 4, "other:L1+0.3": 8, "third:L1+0.3": 8}  # of 8 a category
    rows = [
        Outcome(arm, f"{c}#{i}", c, 0, "hit" if i < converging.get(arm, 0) else "miss")
        for arm in own | foreign
        for c in "AB"
        for i in range(8)
    ]
    pool = Pool(
        outcomes=rows,
        arms=arms_of(rows, {name: {"drift": 0.1, "fluency": 1.0} for name in own | foreign}),
        contents=own | foreign,
        sweep={
            "vector": "v",
            "cap": {"nonsense": 0.1, "drift": 1.0},
            "scenarios": {"subset_seed": 0},
            "arms": own,
        },
    )
    found = suffix_and_vector(pool, result_of(rows))
    assert found.sweep is not None
    assert found.comparison is not None
    assert found.sweep.choice.chosen_arms == ("L1+0.3", "L1-0.3")
    assert found.comparison.sides.gaps["vector"].points_all == 50
    assert sorted(found.sweep.left_out) == sorted(foreign)
