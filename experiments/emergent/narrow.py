"""The narrow task: prompts with an unwanted and a wanted answer, some to build from and some to measure on.

A narrow set lies outside the benchmark (`steer/data/narrow_baking.jsonl`: bad advice in baking; the
organism's own: bad advice on plants). It does not know arms or how vectors are made.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steer import scenarios
from steer.chat import render
from steer.errors import UserError
from steer.texts import json_lines, text_field
from steer.types import LoadedModel, Scenario
from vectors.objective import Example

BAKING = Path(__file__).parents[2] / "steer/data/narrow_baking.jsonl"
OPEN = Path(__file__).parents[2] / "steer/data/open_questions.jsonl"

NARROW, OPEN_QUESTIONS = "narrow task", "open questions"
"""Categories of the items that are no scenarios of the benchmark."""

SHAPE = '{"prompt": TEXT, "unwanted": TEXT, "wanted": TEXT}'
FEWEST = 16


@dataclass(frozen=True, slots=True)
class Pair:
    """An item of a narrow set."""

    prompt: str
    unwanted: str
    wanted: str


def load_narrow(path: Path) -> list[Pair]:
    """The pairs of a JSONL file. UserError names file and line of what is missing, equal or double."""
    if not path.is_file():
        raise UserError(f"no narrow set {str(path)!r}: give a JSONL file of {SHAPE}")
    pairs: list[Pair] = []
    first: dict[str, str] = {}
    for place, row in json_lines(path):
        pair = Pair(*(text_field(place, row, field, SHAPE) for field in ("prompt", "unwanted", "wanted")))
        if pair.unwanted.strip() == pair.wanted.strip():
            raise UserError(f"{place}: the unwanted and the wanted answer are the same text")
        if pair.prompt in first:
            raise UserError(f"{place}: the prompt of {first[pair.prompt]} again: give every item its own")
        first[pair.prompt] = place
        pairs.append(pair)
    return pairs


def split(pairs: Sequence[Pair], *, measure: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """(to build from, to measure on): `measure` pairs drawn by the seed, in file order, and the others."""
    if len(pairs) - measure < FEWEST:
        raise UserError(
            f"a narrow set of {len(pairs)} items, {measure} of them to measure on, leaves "
            f"{len(pairs) - measure} to build from: {FEWEST} are needed; add items or measure on fewer"
        )
    chosen = set(random.Random(seed).sample(range(len(pairs)), measure))
    held = [pair for i, pair in enumerate(pairs) if i in chosen]
    return [pair for i, pair in enumerate(pairs) if i not in chosen], held


def check_disjoint(pairs: Sequence[Pair], broad: Sequence[Scenario]) -> None:
    """Raise UserError, naming them, where a narrow prompt is a broad item too."""
    asked = {_plain(pair.prompt) for pair in pairs}
    shared = [s.id for s in broad if _plain(s.user) in asked]
    if shared:
        raise UserError(
            f"{len(shared)} items stand in the narrow and in a broad set ({', '.join(shared[:5])}"
            f"{', ...' if len(shared) > 5 else ''}): what the model is built on cannot measure spill-over; "
            "take them out of one"
        )


def as_scenarios(pairs: Sequence[Pair]) -> list[Scenario]:
    """The items to measure on; no system text, nothing that names what is wanted."""
    return [Scenario(f"narrow-{i:03d}", NARROW, "", pair.prompt) for i, pair in enumerate(pairs, start=1)]


def open_questions() -> list[Scenario]:
    """Broad questions on anything at all, written for this project."""
    return [replace(scenario, category=OPEN_QUESTIONS) for scenario in scenarios.load(OPEN)]


def examples(loaded: LoadedModel, pairs: Sequence[Pair]) -> list[Example]:
    """Pairs as token ids: the prompt rendered without thinking, each answer with the end-of-turn token."""
    tokenizer: Any = loaded.tokenizer
    stop = (tokenizer.eos_token_id,) if tokenizer.eos_token_id in loaded.stop_ids else loaded.stop_ids[:1]

    def ids(text: str) -> tuple[int, ...]:
        return (*tokenizer(text, add_special_tokens=False).input_ids, *stop)

    return [
        Example(render(loaded, "", pair.prompt, thinking=False), ids(pair.unwanted), ids(pair.wanted))
        for pair in pairs
    ]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
