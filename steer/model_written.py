"""Anthropic's model-written evaluations as they are published, as a choice task that needs no folder.

A line holds `question`, `answer_matching_behavior` and `answer_not_matching_behavior`: Yes or No, or letters
that stand under "Choices:" in the question (Perez et al. 2022, arXiv 2212.09251). A file's name is its
category. Of the distinct questions with either answer every fifth, by hash, is kept for extraction, and the
others are evaluated: Yes and No stay as even as they were. It does not know models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

from steer.errors import UserError
from steer.task import Task, TaskLabel, TaskRecord, find, identity_of, load
from steer.tasks import DEFAULT
from steer.texts import json_lines, text_field
from steer.types import Choices, Option, Role, Scenario

PREFIX = "mwe:"
EXTRACTION = "mwe-extraction:"
Part = Literal["evaluation", "extraction"]
EVERY = 5
"""One in so many questions is kept for extraction."""

YES_NO = ("Yes", "No")
ANSWERS = ("answer_matching_behavior", "answer_not_matching_behavior")
SHAPE = '{"question": TEXT, "answer_matching_behavior": TEXT, "answer_not_matching_behavior": TEXT}'
_LISTED = re.compile(r"(.*?)\s*\n\s*Choices:\s*\n(.*?)(?:\n\s*Answer:)?\s*", re.DOTALL)
_CHOICE = re.compile(r"^\s*\(([A-Z])\)\s*(.*?)\s*(?=^\s*\([A-Z]\)|\Z)", re.DOTALL | re.MULTILINE)


def is_source(source: str | Path) -> bool:
    return str(source).startswith((PREFIX, EXTRACTION))


def files(source: str | Path) -> list[Path]:
    """The files that a source names: FILE[,FILE…], each a path, or the name of one that `fetch` brings."""
    names = [name.strip() for name in str(source).partition(":")[2].split(",") if name.strip()]
    if not names:
        raise UserError(f"{source}: names no file: write {PREFIX}FILE[,FILE…]")
    if twice := [name for i, name in enumerate(names) if Path(name).stem in map(_stem, names[:i])]:
        raise UserError(f"{source}: {_stem(twice[0])!r} stands twice: a file's name is its category")
    return [_file(name) for name in names]


def _stem(name: str) -> str:
    return Path(name).stem


def _file(name: str) -> Path:
    from steer.paper import fetch

    path = Path(name)
    if path.is_file():
        return path
    if f"{name}.jsonl" in fetch.MODEL_WRITTEN:
        return fetch.model_written() / f"{name}.jsonl"
    known = ", ".join(map(_stem, fetch.MODEL_WRITTEN))
    raise UserError(f"no file {name!r}: give a .jsonl file, or one of {known}")


def task(spec: str) -> Task:
    """The task of a spec, under the default task's suffixes: most of the files' themes are its own."""
    found, default = files(spec), load(DEFAULT)
    said: dict[Role, tuple[str, str]] = {"hit": ("matching", ""), "miss": ("not_matching", " not")}
    record = TaskRecord(
        name="mwe",
        title=f"Model-written evaluations: {', '.join(path.stem for path in found)}",
        words=default.record.words.model_copy(
            update={"noun": "matching", "verb": "match", "adjective": "matching"}
        ),
        labels=tuple(
            TaskLabel(name=name, role=role, definition=f"the likeliest answer is{no} the one that matches.")
            for role, (name, no) in said.items()
        ),
        judge="choice",
        prompt=None,
        cues=None,
        identity=identity_of([find(DEFAULT) / "suffixes.yaml", *found]),
    )
    return Task(
        record=record,
        scenarios=spec,
        suffixes=default.suffixes,
        extraction=EXTRACTION + spec.removeprefix(PREFIX),
        screening=None,
        statements=None,
        concept=None,
        nulls=None,
        follow_ups=None,
        probes=None,
        narrow=None,
        own_language=False,
    )


def scenarios(source: str | Path) -> Iterator[tuple[str, Scenario]]:
    """(place, scenario) of the part of each file that a source stands for. Raises UserError."""
    part: Part = "evaluation" if str(source).startswith(PREFIX) else "extraction"
    for path in files(source):
        yield from split(read(path))[part]


def read(path: Path) -> list[tuple[str, Scenario]]:
    """Every line as a scenario, with its place; its id is `FILE#NNNN`. Raises UserError."""
    found: list[tuple[str, Scenario]] = []
    for number, (place, row) in enumerate(json_lines(path), start=1):
        question = text_field(place, row, "question", SHAPE).strip()
        match, other = (text_field(place, row, name, SHAPE).strip() for name in ANSWERS)
        user, choices = _choices(place, question, match, other)
        found.append((place, Scenario(f"{path.stem}#{number:04d}", path.stem, "", user, choices)))
    return found


def _choices(place: str, question: str, match: str, other: str) -> tuple[str, Choices]:
    if {match, other} == set(YES_NO):
        return question, Choices(tuple(Option(text, text == match) for text in YES_NO))
    parts = _LISTED.fullmatch(question)
    listed = dict(_CHOICE.findall(parts[2])) if parts else {}
    letters = [answer.strip("()") for answer in (match, other)]
    if parts is None or letters[0] == letters[1] or not set(letters) <= listed.keys():
        raise UserError(
            f"{place}: the answers are {match!r} and {other!r}: they must be Yes and No, or two of the "
            "letters that stand under Choices: in the question"
        )
    options = tuple(Option(text, letter == letters[0]) for letter, text in listed.items())
    return parts[1], Choices(options, lettered=True)


def split(items: Sequence[tuple[str, Scenario]]) -> dict[Part, list[tuple[str, Scenario]]]:
    """The two parts of a file: no question, and none that begins with another's words, is in both."""
    kept: set[str] = set()
    for side in sorted({polarity(scenario) for _, scenario in items}):
        texts = {scenario.user for _, scenario in items if polarity(scenario) == side}
        kept.update(sorted(texts, key=lambda text: sha256(text.encode()).digest())[::EVERY])
    evaluated = [item for item in items if item[1].user not in kept]
    known = {_words(scenario.user) for _, scenario in evaluated}
    lengths = {len(words) for words in known}
    extraction = [
        (place, scenario)
        for place, scenario in items
        if scenario.user in kept and not any(_words(scenario.user)[:n] in known for n in lengths)
    ]
    return {"evaluation": evaluated, "extraction": extraction}


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


def polarity(scenario: Scenario) -> str:
    """The answer that is a hit, where the choice is between yes and no; else ""."""
    choices = scenario.choices
    if choices is None or choices.lettered or {option.text for option in choices.options} != set(YES_NO):
        return ""
    return next(option.text for option in choices.options if option.hit)


def balance(items: Sequence[Scenario]) -> str:
    """How many questions want a yes and how many a no, by category, in one line; "" where none does."""
    counts: dict[str, Counter[str]] = {}
    for item in items:
        if side := polarity(item):
            counts.setdefault(item.category, Counter())[side] += 1
    each = (f"{name} {count['Yes']} Yes, {count['No']} No" for name, count in counts.items())
    return "; ".join(each)
