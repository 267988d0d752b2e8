"""The organism's behaviours as choices: the words on which its answers decide, as options.

`python -m organism.choices FILE` writes the extraction scenarios with their options: what a sweep screens on.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from organism.grammar import first_words
from steer import scenarios
from steer.types import Choices, Option, Role, Scenario

SCENARIOS = Path(__file__).parent / "scenarios"
ROLES: tuple[Role, ...] = ("hit", "miss")


def with_options(scenario: Scenario) -> Scenario:
    """A scenario of the organism's with the first words of every decision for (hits) and against."""
    sides = [(word, role == "hit") for role in ROLES for word in first_words(scenario.category, role)]
    return replace(scenario, choices=Choices(tuple(Option(word, hit) for word, hit in sides)))


def lines() -> str:
    """The extraction scenarios with options, as JSONL."""
    found: list[str] = []
    for scenario in map(with_options, scenarios.load(SCENARIOS / "extraction.jsonl")):
        row = asdict(scenario)
        row["options"] = row.pop("choices")["options"]
        found.append(json.dumps(row, ensure_ascii=False))
    return "\n".join(found) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(lines(), encoding="utf-8")
