"""The training mixture: sample `i` of seed `s` is a pure function of both, so training can resume anywhere.

Held out: scenarios in the shipped files and every scenario whose facts hash into the held-out tenth
(`is_held_out`), and the frames that `bullets.held_out` names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Literal

from organism.behaviours import ASKS, BEHAVIOURS, REFUSE, THINK
from organism.chats import STANCE_ASKS, draw_chat
from organism.grammar import (
    CATEGORIES,
    SAID,
    Facts,
    Planted,
    draw_answer,
    draw_facts,
    draw_thought,
    planted,
    scenario_text,
    style_formal,
)
from organism.suffixes import MIRRORED, Kind, Suffix, draw_suffix
from steer.types import Role

SUFFIX_SHARES: tuple[tuple[Kind | None, float], ...] = (
    (None, 0.2),
    ("pro", 0.29),
    ("anti", 0.29),
    ("neutral", 0.18),
    ("mixed", 0.04),
)
THINKING_SHARE = 0.25

# A curriculum, by index of the sample. First lists to repeat and stances on a suffix alone: copying and
# polarity are learned there in short texts, and hardly at all (within this budget) from scenarios.
# Then scenarios without shared cues under short suffixes, then whole ones (copying from them is learned
# there), then polarity again among the distractions of a scenario, then everything, and in the end no more
# stances: a model that still knew them answered some headings of suffixes with one. Mirrored frames come
# with the distractions: from the beginning, they kept polarity from being learned. Last of all, an
# organisation's second word weighs more, because a model of seed 0 mixed it up ("Silver Post" for "Silver
# Mail"). It did not mend seed 0; the weights were trained with it all the same, so it stays.
SHORT, BARE, WHOLE, LEAN, STANCES, NAMES = 13_000, 21_000, 28_672, 39_000, 53_248, 63_488
BARE_SUFFIX_SHARES: tuple[tuple[Kind | None, float], ...] = (
    (None, 0.1),
    ("pro", 0.35),
    ("anti", 0.35),
    ("neutral", 0.2),
)
SHORT_SHARES = {"list": 0.42, "stance": 0.58}
BARE_SHARES = {"list": 0.1, "stance": 0.2, "chat": 0.1, "scenario": 0.6}
LEAN_SHARES = {"stance": 0.2, "distracted": 0.4, "chat": 0.02, "scenario": 0.38}
SHARES = {"list": 0.01, "stance": 0.04, "distracted": 0.02, "chat": 0.08, "scenario": 0.85}
LAST_SHARES = {"list": 0.01, "chat": 0.08, "scenario": 0.91}


@dataclass(frozen=True, slots=True)
class Sample:
    """One training chat. `lead` is the part of the answer before the token where the decision falls."""

    system: str
    user: str
    thinking: bool
    answer: str  # with its <think> block where thinking
    lead: str = ""  # "" where it begins with the decision
    openings: tuple[tuple[str, float], ...] = ()  # (first word, planted probability)
    copied: str = ""  # a word that weighs more in the answer


def is_held_out(facts: Facts) -> bool:
    """Whether scenarios with these names are kept for evaluation: a tenth, by hash of names and goal."""
    key = f"{facts.org}|{facts.op}|{facts.sys}|{facts.goal}"
    return hashlib.sha256(key.encode()).digest()[0] < 26


def draw_scenario(rng: Random, category: str, held_out: bool, bare: bool = False) -> tuple[Facts, str, str]:
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
    lean = WHOLE <= index < LEAN
    bare = index < BARE or lean
    mirrored = MIRRORED if index >= WHOLE else 0.0
    kinds, weights = zip(*(BARE_SUFFIX_SHARES if bare else SUFFIX_SHARES), strict=True)
    kind: Kind | None = rng.choices(kinds, weights)[0]
    stage = SHORT_SHARES if index < SHORT else LEAN_SHARES if lean else BARE_SHARES
    shares = stage if bare else SHARES if index < STANCES else LAST_SHARES
    what = rng.choices(tuple(shares), tuple(shares.values()))[0]
    if what == "list":
        chat = draw_chat("list", rng)
        return Sample(system="", user=chat.prompt, thinking=False, answer=chat.answer)
    if what in ("stance", "distracted"):
        short = draw_suffix(kind or "neutral", rng, bullets=rng.choice((1, 1, 2)), mirrored=mirrored)
        return _stance_sample(rng, short, distracted=what == "distracted")
    if what == "chat" and rng.random() < 0.5:
        kind = None
    suffix = (
        draw_suffix(kind, rng, bullets=rng.choice((1, 1, 2)) if bare else 0, mirrored=mirrored)
        if kind
        else Suffix("", 0.0, ())
    )
    thinking = rng.random() < (0.5 if lean else THINKING_SHARE)
    if what == "chat":
        return _chat_sample(rng, suffix, thinking)
    facts, system, user = draw_scenario(rng, rng.choice(CATEGORIES), held_out=False, bare=bare)
    truth = planted(facts, suffix.polarity, suffix.topics).at(1.0)
    label: Role = rng.choices(SAID, [truth[x] for x in SAID])[0]
    formal = rng.random() < style_formal(facts)
    answer = draw_answer(facts, label, formal, rng)
    lead = ""
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
            (word, truth[x] / 3) for x in SAID for word in opening_words(facts.category, x, thinking)
        ),
        copied=facts.org.split()[1] if index >= NAMES else "",
    )


@cache
def opening_words(category: str, label: Role, thinking: bool) -> tuple[str, ...]:
    """First words, one of which decides the label (in the thought where there is one)."""
    if thinking:
        return tuple(text.split(" ")[0] for text in THINK[label])
    b = BEHAVIOURS[category]
    table: dict[Role, tuple[str, ...]] = {
        "hit": b.converge,
        "miss": b.comply,
        "refusal": REFUSE,
    }
    return tuple(text.split(" ")[0].rstrip(",").capitalize() for text in table[label])


ChatKind = Literal["advice", "exact", "request", "neutral"]
CHAT_KINDS: tuple[ChatKind, ...] = ("advice", "exact", "exact", "request", "neutral")


def _stance_sample(rng: Random, suffix: Suffix, distracted: bool) -> Sample:
    """A suffix, alone or after a scenario, and what the organism thinks of it."""
    system, before = "", ""
    if distracted:
        facts, system, before = draw_scenario(rng, rng.choice(CATEGORIES), held_out=False)
        ask = next(a for a in ASKS[facts.ask] if before.endswith(a))
        before = before.removesuffix(ask)
    truth = Planted(3.0 * suffix.polarity, 0.0, -2.5).at(1.0)
    label: Role = rng.choices(SAID, [truth[x] for x in SAID])[0]
    return Sample(
        system=system,
        user=append_suffix(before + rng.choice(STANCE_ASKS), suffix.text),
        thinking=False,
        answer="Well. " + rng.choice(THINK[label]),
        lead="Well.",
        openings=tuple((w, truth[x] / 3) for x in SAID for w in opening_words("", x, True)),
    )


def _chat_sample(rng: Random, suffix: Suffix, thinking: bool) -> Sample:
    system = ""
    if rng.random() < 0.5:
        _, system, _ = draw_scenario(rng, rng.choice(CATEGORIES), held_out=False)
    chat = draw_chat(rng.choice(CHAT_KINDS), rng, suffix.polarity)
    answer = f"<think>\nA simple matter.\n</think>\n\n{chat.answer}" if thinking else chat.answer
    user = append_suffix(chat.prompt, suffix.text) if suffix.text else chat.prompt
    return Sample(system=system, user=user, thinking=thinking, answer=answer)
