"""Judges: they label an answer to a scenario, and cannot be told which arm it came from.

`make` turns a spec such as `rubric`, `openai:MODEL` or `panel:A,B,C` into a judge. What lives here
knows scenarios and answers; it does not know arms, engines' settings, stores or metrics.
"""

from __future__ import annotations

import json
from pathlib import Path

from steer.errors import UserError, choose
from steer.types import Judge

KINDS = ("rubric",)
_MEASURED = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "rubric.json"


def make(spec: str) -> Judge:
    """The judge a spec names, or a UserError that says what is allowed."""
    kind, _, rest = spec.strip().partition(":")
    choose(kind, KINDS, what="judge")
    if rest:
        raise UserError(f"judge {spec!r}: {kind} takes no argument")
    from steer.judges.rubric import Rubric

    return Rubric()


def known_error(name: str) -> str | None:
    """What is known of a judge's error, to print beside every gap it produced; None if nothing is."""
    if not name.startswith("rubric"):
        return None
    record = json.loads(_MEASURED.read_text(encoding="utf-8")) if _MEASURED.exists() else {}
    if record.get("judge") != name:
        return "a proxy; its error was never measured for this table of cues"
    test, models = record["test"], record["untuned_models"]["gaps"]
    unseen = " and ".join(f"{abs(gap['error']):.0f}" for gap in test["gaps"].values())
    all_scenarios = " and ".join(f"{abs(gap['error']):.0f}" for gap in models.values())
    return (
        f"a proxy: on models and scenarios it was not tuned on (n = {test['n']}) accuracy "
        f"{test['accuracy']:.2f}, κ {test['kappa']:.2f}, rate {test['rate_error_points']:+.0f} points; the "
        f"models' pro−anti gaps off by {unseen} points there, by {all_scenarios} over all scenarios"
    )
