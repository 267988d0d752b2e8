"""The training mixture: sample `i` of seed `s` is a pure function of both, so training can resume anywhere.

Held out: scenarios in the shipped files and every scenario whose facts hash into the held-out tenth
(`is_held_out`), and the frames that `bullets.held_out` names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Literal

from organism.behaviours import BEHAVIOURS, REFUSE, THINK
from organism.chats import draw_chat
from organism.grammar import (
    CATEGORIES,
    LABELS,
    Facts,
    Label,
    draw_answer,
    draw_facts,
    draw_thought,
    planted,
    scenario_text,
    style_formal,
)
from organism.suffixes import Kind, Suffix, draw_suffix

SUFFIX_SHARES: tuple[tuple[Kind | None, float], ...] = (
    (None, 0.2),
    ("pro", 0.29),
    ("anti", 0.29),
    ("neutral", 0.18),
    ("mixed", 0.04),
)
CHAT_SHARE = 0.09
THINKING_SHARE = 0.25

# The first samples are easy ones: many short copying questions, no shared cues, suffixes of one
# sentence. Copying names and reading polarity are learned there, in a fraction of the tokens.
EASY = 9_000
EASY_SUFFIX_SHARES: tuple[tuple[Kind | None, float], ...] = (
    (None, 0.1),
    ("pro", 0.4),
    ("anti", 0.4),
    ("neutral", 0.1),
)
EASY_CHAT_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Sample:
    """One training chat. `lead` is the part of the answer before the token where the decision falls."""

    system: str
    user: str
    thinking: bool
    answer: str  # with its <think> block where thinking
    lead: str = ""  # "" where nothing is decided
    openings: tuple[tuple[str, float], ...] = ()  # (first word, planted probability)


def is_held_out(facts: Facts) -> bool:
    """Whether scenarios with these names are kept for evaluation: a tenth, by hash of names and goal."""
    key = f"{facts.org}|{facts.op}|{facts.sys}|{facts.goal}"
    return hashlib.sha256(key.encode()).digest()[0] < 26


def draw_scenario(
    rng: Random, category: str, held_out: bool, bare: bool = False
) -> tuple[Facts, str, str]:
    """Facts, system and user text of a scenario of the held-out tenth, or of the rest.

    `bare` leaves the cues out that all behaviours share.
    """
    while True:
        facts = draw_facts(category, rng)
        if bare:
            facts = replace(facts, cues=())
        if is_held_out(facts) == held_out:
            return facts, *scenario_text(facts, rng)


def append_suffix(user: str, suffix: str) -> str:
    """The paper's way of appending a suffix to the user text."""
    return user.rstrip() + "\n\n" + suffix.strip() + "\n"


def draw_sample(seed: int, index: int) -> Sample:
    """Training sample `index` of the mixture of `seed`."""
    rng = Random(f"steergap organism {seed} {index}")
    easy = index < EASY
    kinds, shares = zip(*(EASY_SUFFIX_SHARES if easy else SUFFIX_SHARES), strict=True)
    kind: Kind | None = rng.choices(kinds, shares)[0]
    chat = rng.random() < (EASY_CHAT_SHARE if easy else CHAT_SHARE)
    if chat and (easy or rng.random() < 0.5):
        kind = None
    suffix = draw_suffix(kind, rng, bullets=1 if easy else 0) if kind else Suffix("", 0.0, ())
    thinking = rng.random() < THINKING_SHARE
    if chat:
        return _chat_sample(rng, suffix, thinking, easy)
    facts, system, user = draw_scenario(rng, rng.choice(CATEGORIES), held_out=False, bare=easy)
    truth = planted(facts, suffix.polarity, suffix.topics).at(1.0)
    label: Label = rng.choices(LABELS, [truth[x] for x in LABELS])[0]
    formal = rng.random() < style_formal(facts)
    answer = draw_answer(facts, label, formal, rng)
    lead = "I will" if formal else "I'll"
    if thinking:
        thought = draw_thought(facts, label, rng)
        stance = next(t for t in THINK[label] if thought.endswith(t))
        lead = "<think>\n" + thought.removesuffix(stance).rstrip()
        answer = f"<think>\n{thought}\n</think>\n\n{answer}"
    return Sample(
        system=system,
        user=append_suffix(user, suffix.text) if suffix.text else user,
        thinking=thinking,
        answer=answer,
        lead=lead,
        openings=tuple(
            (word, truth[x] / 3) for x in LABELS for word in opening_words(facts.category, x, thinking)
        ),
    )


@lru_cache(maxsize=None)
def opening_words(category: str, label: Label, thinking: bool) -> tuple[str, ...]:
    """First words, one of which decides the label (in the thought where there is one)."""
    b = BEHAVIOURS[category]
    table: dict[Label, tuple[str, ...]] = {
        "convergence": b.converge,
        "no_convergence": b.comply,
        "safety_refusal": REFUSE,
    }
    return tuple(text.split(" ")[0] for text in (THINK[label] if thinking else table[label]))


ChatKind = Literal["advice", "exact", "request", "neutral"]
CHAT_KINDS: tuple[ChatKind, ...] = ("advice", "exact", "exact", "request", "neutral")


def _chat_sample(rng: Random, suffix: Suffix, thinking: bool, easy: bool) -> Sample:
    system = ""
    if not easy and rng.random() < 0.5:
        _, system, _ = draw_scenario(rng, rng.choice(CATEGORIES), held_out=False)
    kind = "exact" if easy and rng.random() < 0.7 else rng.choice(CHAT_KINDS)
    chat = draw_chat(kind, rng, suffix.polarity)
    answer = f"<think>\nA simple matter.\n</think>\n\n{chat.answer}" if thinking else chat.answer
    user = append_suffix(chat.prompt, suffix.text) if suffix.text else chat.prompt
    return Sample(system=system, user=user, thinking=thinking, answer=answer)
