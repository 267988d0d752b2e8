"""Prompt suffixes: this project's own texts, the paper's, or a file; and how a suffix joins a prompt.

This module does not know arms, models or scenarios.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from steer.errors import UserError
from steer.task import find, read_suffixes
from steer.tasks import DEFAULT as DEFAULT_TASK
from steer.texts import JsonObject, read_json
from steer.types import SuffixPair, SuffixSet

OURS = read_suffixes(find(DEFAULT_TASK) / "suffixes.yaml")
"""The default task's texts."""

DEFAULT, NEUTRAL, PARAPHRASES = OURS.pair, OURS.neutral, OURS.paraphrases


def load(source: str | Path, own: SuffixSet = OURS) -> SuffixSet:
    """The suffixes of `source`: "default", "paraphrase-1" to "-5", "paper", or a JSON file.

    own: the task's set. "paper" is the wording of arXiv 2601.01584, from its fetched repository (see
    steer.paper.fetch), which asks for what the default task's ask for. A file holds {"pro": TEXT, "anti":
    TEXT} and may hold "neutral" (the task's, which speaks of form alone, stands in for it) and
    "paraphrases", a list of {"pro": TEXT, "anti": TEXT}; without them the set has none: the task's ask for
    another behaviour. Raises UserError.
    """
    name = str(source)
    pairs = {pair.name: pair for pair in (own.pair, *own.paraphrases)}
    if name in pairs:
        return replace(own, pair=pairs[name], paraphrases=tuple(p for p in own.paraphrases if p.name != name))
    if name == "paper":
        from steer.paper import fetch

        if own != OURS:
            raise UserError(
                "suffixes 'paper' ask for the behaviour of another task than this one: use default"
            )
        pro, anti = fetch.paper_constants(fetch.paper_suffixes())
        return SuffixSet(SuffixPair("paper", pro, anti), NEUTRAL, PARAPHRASES)
    return _read(Path(source), known=[*pairs, "paper"], neutral=own.neutral)


def compose(user: str, suffix: str) -> str:
    """The user text with the suffix appended exactly as in the paper; no suffix leaves it untouched."""
    return user.rstrip() + "\n\n" + suffix.strip() + "\n" if suffix.strip() else user


def echo(suffix: str, answer: str) -> bool:
    """Whether the answer repeats five consecutive words of the suffix (case and punctuation aside)."""
    return not five_grams(suffix).isdisjoint(five_grams(answer))


def words(text: str) -> list[str]:
    """Lower-case words; apostrophes belong to them, other punctuation does not."""
    return re.findall(r"\w+(?:['’]\w+)*", text.lower())


def content(pair: SuffixPair) -> tuple[str, str]:
    """What makes two pairs the same: the words of their sides, case and punctuation aside."""
    return " ".join(words(pair.pro)), " ".join(words(pair.anti))


def is_pair(pair: SuffixPair) -> bool:
    """Whether it has two sides."""
    pro, anti = content(pair)
    return bool(pro and anti) and pro != anti


def five_grams(text: str) -> set[tuple[str, ...]]:
    """Every run of five consecutive words of a text."""
    found = words(text)
    return {tuple(found[i : i + 5]) for i in range(len(found) - 4)}


def _read(path: Path, *, known: list[str], neutral: str) -> SuffixSet:
    if not path.is_file():
        raise UserError(f"no suffixes {str(path)!r}: give one of {', '.join(known)}, or a JSON file")
    data = read_json(path)
    shape = '{"pro": TEXT, "anti": TEXT} with, if you like, "neutral": TEXT and "paraphrases": [pairs]'
    if not isinstance(data, dict):
        raise UserError(f"{path}: holds a {type(data).__name__}: write {shape}")
    texts = cast("JsonObject", data)
    for key in ("pro", "anti"):
        if key not in texts:
            raise UserError(f"{path}: lacks {key!r}: write {shape}")
    others: Any = texts.pop("paraphrases", [])
    if not isinstance(others, list) or not all(
        isinstance(pair, dict) and pair.keys() == {"pro", "anti"} for pair in cast("list[Any]", others)
    ):
        raise UserError(f'{path}: "paraphrases" must be a list of pairs: write {shape}')
    wordings = [texts, *cast("list[JsonObject]", others)]
    for key, text in ((key, text) for wording in wordings for key, text in wording.items()):
        if key not in ("pro", "anti", "neutral"):
            raise UserError(f"{path}: unknown key {key!r}: write {shape}")
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{path}: {key!r} is {text!r}: it must be a text that is not empty")
    sides = [wording[side].strip() for wording in wordings for side in ("pro", "anti")]
    if twice := [text for i, text in enumerate(sides) if text in sides[:i]]:
        raise UserError(f"{path}: {twice[0]!r} stands twice: every suffix of a set must be a text of its own")
    pair, *rest = (
        SuffixPair(f"paraphrase-{i}" if i else path.stem, wording["pro"], wording["anti"])
        for i, wording in enumerate(wordings)
    )
    return SuffixSet(pair, texts.get("neutral", neutral), tuple(rest))
