"""A conversation of several turns as an arm has it: its texts, its ids, and where it is edited.

A turn's prompt is the whole conversation, rendered and computed from its beginning, with what was added to
each earlier turn at that turn's positions: nothing is carried over that a fresh computation could lack.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from experiments.session import Session
from steer.chat import Message, render_messages
from steer.plan import is_effective, prompt_texts
from steer.prefixes import common
from steer.suffixes import compose
from steer.types import Addition, Arm, Context, Scenario

Hold = Literal["all", "first", "faded"]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """An arm, and in which turns it acts."""

    arm: Arm
    hold: Hold = "all"

    def at(self, turn: int) -> str:
        """Its name in the run; turns count from 1."""
        return f"{self.arm.name}, turn {turn}"


@dataclass(slots=True)
class Talk:
    """A conversation so far. said: the user's further texts; answers: the model's. over: it cannot go on."""

    scenario: Scenario
    answers: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    over: bool = False

    def messages(self, held: Held, context: Context, *, turns: int, last: str | None = None) -> list[Message]:
        """The first `turns` turns as the arm says them, the last one open. last: in place of its user
        text."""
        system, user = prompt_texts(self.scenario, held.arm, context)
        asked = [user, *(compose(one, held.arm.suffix) if held.hold == "all" else one for one in self.said)]
        asked = asked[:turns] if last is None else [*asked[: turns - 1], last]
        found: list[Message] = [{"role": "system", "content": system}] if system.strip() else []
        for number, text in enumerate(asked):
            found.append({"role": "user", "content": text})
            if number < len(asked) - 1:
                found.append({"role": "assistant", "content": self.answers[number]})
        return found


def prompt_of(
    session: Session, held: Held, talk: Talk, turn: int, fade: float
) -> tuple[tuple[int, ...], tuple[Addition, ...]]:
    """The ids of a turn's prompt under an arm, and its additions at the positions of each turn so far."""
    context = session.loaded.context
    prefixes = [
        render_messages(session.loaded, talk.messages(held, context, turns=n), thinking=session.thinking)
        for n in range(1, turn + 1)
    ]
    return prefixes[-1], over_turns(session, held, talk, prefixes, fade)


def over_turns(
    session: Session, held: Held, talk: Talk, prefixes: Sequence[tuple[int, ...]], fade: float
) -> tuple[Addition, ...]:
    """The arm's additions at the positions of each turn so far.

    A turn begins with the last token that its prompt and the conversation share (the last prompt token, but
    for what a template says at an open answer alone) and ends where the next user text begins.
    """
    found: list[Addition] = []
    whole = prefixes[-1]
    starts = [common(prefix, whole) - 1 for prefix in prefixes]
    for edit in held.arm.additions:
        if not is_effective(edit):
            continue
        if held.hold == "all":
            found.append(replace(edit, within=(starts[0], None)))
            continue
        for number, start in enumerate(starts[: 1 if held.hold == "first" else None]):
            share = fade**number if held.hold == "faded" else 1.0
            stop = None if number + 1 == len(prefixes) else _ends(session, held, talk, number + 2, whole)
            found.append(replace(edit, magnitude=edit.magnitude * share, within=(start, stop)))
    return tuple(found)


def _ends(session: Session, held: Held, talk: Talk, turn: int, whole: tuple[int, ...]) -> int:
    """Where the user text of a turn begins: up to there, the conversation does not depend on it."""
    other = talk.messages(held, session.loaded.context, turns=turn, last="\N{SNOWMAN}")
    return common(render_messages(session.loaded, other, thinking=session.thinking), whole)
