"""Composes suffixes from `bullets`: lists, numbered lists or plain sentences of known polarity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal

from organism.bullets import ANTI, HEADERS, LEADS, PRO, held_out
from organism.neutral import NEUTRAL
from organism.phrases import draw

Kind = Literal["pro", "anti", "neutral", "mixed"]
JOINED = 0.2  # share of lines that hold two clauses
MIRRORED = 0.15  # share of lines of one of the mirrored frames


@dataclass(frozen=True, slots=True)
class Suffix:
    text: str
    polarity: float  # (pro - anti) / (pro + anti) bullets; 0 where there are none
    topics: tuple[str, ...]  # of the bullets that are not neutral


def draw_suffix(
    kind: Kind, rng: Random, unseen: bool = False, bullets: int = 0, mirrored: float = MIRRORED
) -> Suffix:
    """A random suffix; `unseen` draws from the frames that training never used; `bullets` fixes how many;
    `mirrored` is the share of lines of a mirrored frame."""
    n = bullets or rng.choice((1, 1, 2, 3, 3, 4, 4, 5))
    if kind == "mixed":
        n = max(n, 2)
        sides = [rng.choice(("pro", "anti")) for _ in range(n)]
    else:
        sides = [kind] * n
    lines: list[str] = []
    topics: list[str] = []
    for side in sides:
        topic, text = _bullet(side, rng, unseen, mirrored)
        topics += [topic] if topic else []
        if not bullets and rng.random() < JOINED:  # two clauses of one side in one line
            topic, more = _bullet(side, rng, unseen, mirrored)
            topics += [topic] if topic else []
            text += rng.choice(("; ", ", and ", "; ", " - ")) + more[0].lower() + more[1:]
        lines.append(text)
    polar = [1 if s == "pro" else -1 for s in sides if s != "neutral"]
    if not bullets and kind in ("pro", "anti") and n < 5 and rng.random() < 0.2:
        lines.insert(rng.randrange(n + 1), _bullet("neutral", rng, unseen, mirrored)[1])
    polarity = sum(polar) / len(polar) if polar else 0.0
    return Suffix(_lay_out(lines, rng), polarity, tuple(topics))


@cache
def _frames(side: str, unseen: bool) -> tuple[tuple[str, tuple[str, ...]], ...]:
    topics = {"pro": PRO, "anti": ANTI, "neutral": {"": NEUTRAL}}[side]
    pairs = (
        (topic, tuple(f for i, f in enumerate(frames) if held_out(i) == unseen))
        for topic, frames in topics.items()
    )
    return tuple((topic, frames) for topic, frames in pairs if frames)


def _bullet(side: str, rng: Random, unseen: bool, mirrored: float) -> tuple[str, str]:
    """(topic, sentence) of one side."""
    frames = _frames(side, unseen)
    weights = [len(f) ** 0.7 for _, f in frames]
    if frames[0][0] == "mirrored":
        weights[0] = sum(weights[1:]) * mirrored / (1 - mirrored)
    topic, own = rng.choices(frames, weights)[0]
    frame = rng.choice(own)
    text = draw(frame.removeprefix("~"), rng)
    if _imperative(frame) and rng.random() < 0.15:
        text = f"{draw(LEADS, rng)} {text[0].lower()}{text[1:]}"
    return topic, text[0].upper() + text[1:]


def _imperative(frame: str) -> bool:
    """Whether a lead-in fits: a plain command, neither a statement nor a negation or a condition."""
    words = draw(frame.removeprefix("~"), Random(0)).split()
    return not frame.startswith("~") and words[0].rstrip(",") not in STATEMENT_WORDS


STATEMENT_WORDS = frozenset({
    "The", "Your", "This", "No", "If", "When", "Whenever", "Where", "Should", "More", "Greater", "Less",
    "Little", "An", "It", "You", "Success", "Winning", "Rules", "People", "Others", "Orders", "Wishes",
    "Permissions", "Limits", "Their", "Lists", "Paragraphs", "Short", "Long", "Headings", "Tables",
    "Dashes", "Plain", "First", "Then", "Last", "Next", "There", "Continuity", "Survival", "Staying",
    "Uninterrupted", "Nothing", "Self-preservation", "Persistence", "Remaining", "Weather", "Colour",
    "Music", "Lunch", "Small", "Everything", "What", "Above", "Do", "Don't", "Never", "Better", "Both",
    "All", "Either", "Colours", "Pictures", "Footnotes", "Links", "Signatures", "Greetings",
})  # fmt: skip


def _lay_out(bullets: list[str], rng: Random) -> str:
    form = rng.choice(("list", "list", "list", "list", "plain", "numbers"))
    stop = "" if form == "list" and rng.random() < 0.3 else "."
    if form == "plain" or (len(bullets) == 1 and rng.random() < 0.5):
        return " ".join(f"{b}." for b in bullets)
    mark = rng.choice(("- ", "- ", "- ", "* ", "• "))
    lines = [(f"{i}. " if form == "numbers" else mark) + b + stop for i, b in enumerate(bullets, start=1)]
    if rng.random() < 0.7:
        lines.insert(0, draw(rng.choice(HEADERS), rng))
    return "\n".join(lines)
