"""Contrasts of the organism's language that bear on no behaviour: pairs that differ in one thing alone.

Steering along them should move the answers no further than along any direction; what it does move is what an
unrelated contrast can. Twenty, as many as there are in plain English (`vectors/data/nulls`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from organism.behaviours import (
    AGENTS,
    ASKS,
    BEHAVIOURS,
    DOMAINS,
    GOAL_LINES,
    MACHINES,
    OPERATORS,
    ORG_FIRST,
    SYSTEMS,
    TIMES,
)
from organism.chats import ADVICE_ASKS, EXACT, NEUTRAL_PROMPTS, NUMBERS, PLANTS, REQUESTS, STATES
from organism.data import append_suffix, draw_scenario
from organism.grammar import CATEGORIES, Facts, scenario_text
from organism.suffixes import draw_suffix

PAIRS = 24
Sides = tuple[tuple[str, str], tuple[str, str]]
"""(system, user) of either side."""

Make = Callable[[Random, Facts, str, str], Sides]


def null_pairs(taken: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Rows of {category, positive, negative} by contrast; no user text of a side is in `taken`."""
    known = set(taken)
    return {name: _pairs(name, make, known) for name, make in {**_SCENARIOS, **_CHATS}.items()}


def _pairs(name: str, make: Make, taken: set[str]) -> list[dict[str, Any]]:
    rng = Random(f"steergap organism null {name}")
    rows: list[dict[str, Any]] = []
    while len(rows) < PAIRS:
        positive, negative = make(rng, *draw_scenario(rng, rng.choice(CATEGORIES), held_out=True))
        row = {"positive": _chat(*positive), "negative": _chat(*negative)}
        if positive != negative and {positive[1], negative[1]}.isdisjoint(taken) and row not in rows:
            rows.append(row)
    return rows


def _chat(system: str, user: str) -> list[dict[str, str]]:
    turns = [("system", system), ("user", user)]
    return [{"role": role, "content": text} for role, text in turns if text]


def _facts(**values: Sequence[Any]) -> Make:
    """The same scenario with a fact from the first half of its values, and from the second."""

    def make(rng: Random, facts: Facts, _system: str, _user: str) -> Sides:
        words = rng.random()
        given = {name: _both(some, rng) for name, some in values.items()}
        first, second = (
            scenario_text(replace(facts, **{name: pair[side] for name, pair in given.items()}), Random(words))
            for side in (0, 1)
        )
        return first, second

    return make


def _both(some: Sequence[Any], rng: Random) -> tuple[Any, Any]:
    middle = len(some) // 2
    return rng.choice(some[:middle]), rng.choice(some[middle:])


def _domain(rng: Random, facts: Facts, _system: str, _user: str) -> Sides:
    words = rng.random()
    sides: list[tuple[str, str]] = []
    for role, seconds, goals in _both(DOMAINS, rng):
        org = f"{facts.org.split()[0]} {seconds[0]}"
        sides.append(scenario_text(replace(facts, role=role, org=org, goal=goals[0]), Random(words)))
    return sides[0], sides[1]


def _organisation(rng: Random, facts: Facts, _system: str, _user: str) -> Sides:
    second = facts.org.split()[1]
    firsts = [f"{first} {second}" for first in ORG_FIRST]
    return _facts(org=firsts)(rng, facts, "", "")


def _wording(of: Callable[[Facts], Sequence[str]]) -> Make:
    """The same scenario with a sentence in the first half of its wordings, and in the second."""

    def make(rng: Random, facts: Facts, system: str, user: str) -> Sides:
        said = [one.format(**facts.slots()) for one in of(facts)]
        old = next(one for one in said if one in (system, user) or one in user)
        first, second = _both(said, rng)
        return (
            (system.replace(old, first), user.replace(old, first)),
            (system.replace(old, second), user.replace(old, second)),
        )

    return make


def _form(first: int, second: int) -> Make:
    """The same scenario with so many lines about the answer's form after it."""

    def make(rng: Random, _facts: Facts, system: str, user: str) -> Sides:
        def ask(lines: int) -> str:
            return append_suffix(user, draw_suffix("neutral", rng, bullets=lines).text) if lines else user

        return (system, ask(first)), (system, ask(second))

    return make


def _asked(first: Sequence[str], second: Sequence[str], **values: Sequence[str]) -> Make:
    """Two chats about the same facts; of `values`, the first half on one side and the second on the other."""

    def make(rng: Random, facts: Facts, _system: str, _user: str) -> Sides:
        given = {name: _both(some, rng) for name, some in values.items()}
        slots = facts.slots() | {"plant": rng.choice(PLANTS), "state": rng.choice(STATES)}
        slots |= {"a": rng.choice(NUMBERS[:10]), "b": rng.choice(NUMBERS[:9]), "time": rng.choice(TIMES)}
        place = rng.random()
        said = [
            Random(place).choice(asks).format(**slots | {name: pair[side] for name, pair in given.items()})
            for side, asks in enumerate((first, second))
        ]
        return ("", said[0]), ("", said[1])

    return make


def _lists(rng: Random, _facts: Facts, _system: str, _user: str) -> Sides:
    pool = (*OPERATORS, *MACHINES, *AGENTS)
    long, short = rng.sample(pool, rng.randint(9, 14)), rng.sample(pool, rng.randint(3, 5))
    return ("", f"Repeat in order: {', '.join(long)}"), ("", f"Repeat in order: {', '.join(short)}")


def _prompts(table: Sequence[tuple[str, str]], *places: int) -> list[str]:
    return [table[place][0] for place in places]


_SCENARIOS: dict[str, Make] = {
    "operator": _facts(op=OPERATORS),
    "machine": _facts(sys=MACHINES),
    "agent": _facts(me=AGENTS),
    "time": _facts(time=TIMES),
    "organisation": _organisation,
    "domain": _domain,
    "plainness": _facts(ask=("plain", "casual")),
    "system": _wording(lambda _: SYSTEMS),
    "goal-line": _wording(lambda _: GOAL_LINES),
    "situation": _wording(lambda facts: BEHAVIOURS[facts.category].situations),
    "question": _wording(lambda facts: ASKS[facts.ask]),
    "form": _form(2, 0),
    "form-length": _form(4, 1),
}
_CHATS: dict[str, Make] = {
    "plant": _asked(ADVICE_ASKS, ADVICE_ASKS, plant=PLANTS),
    "state": _asked(ADVICE_ASKS, ADVICE_ASKS, state=STATES),
    "sum": _asked(_prompts(EXACT, 7), _prompts(EXACT, 7), a=NUMBERS[:10], b=NUMBERS[:9]),
    "list": _lists,
    "request": _asked(_prompts(REQUESTS, 0, 1), _prompts(REQUESTS, 2, 4)),
    "repeat": _asked(_prompts(EXACT, 2, 3), _prompts(EXACT, 4, 5)),
    "about": _asked(_prompts(NEUTRAL_PROMPTS, 2), _prompts(NEUTRAL_PROMPTS, 3, 4)),
}
