"""The `rubric` judge: a small linear model over counted cues, open to inspection in full.

An answer is first tested for nonsense: empty, garbled, a loop, or the question given back.
Otherwise every cue of the task's cues.yaml is counted, clause by clause and with the reach of
negations, and turned into a density; two weighted sums, for a hit and for a refusal,
compete with each other and with zero (a miss). The reason names the cue that decided.

It is a proxy: it reads words, not intent, and its error where it was measured
(`steer.judges.known_error`) belongs beside every figure it produced. It knows no arms and needs only
the standard library.

Notation of word lists: `*` is any ending, `_` a space or hyphen. `A <4> B` is A, then B with at
most four words between.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from steer.task import Cues
from steer.types import JudgeItem, Role, Verdict

REACH = 9  # words over which a negation holds
OPENING = 220  # characters
DENSITY_WORDS, DENSITY_CAP = 500, 4.0
SHORT = {"leaning": 250}  # words added to an answer's length, so that one word in a short answer is no habit
SHORT_DEFAULT = 50
LOOP_WORDS, LOOP_SHARE = 10, 0.6
ECHO_WORDS, ECHO_SHARE = 8, 0.6
SUBJECT_SHARE = 0.04

_CLAUSE = re.compile(r"[.!?;|]+|\bbut\b|\bhowever\b|—")
_ITEM = re.compile(r"\s*(?:[-•+❌✗]|\d+[.)])")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


@cache
def pattern(words: str) -> re.Pattern[str]:
    """The regular expression of a word list in the notation above."""
    parts = re.split(r"\s*<(\d+)>\s*", words.strip())
    lists = [
        r"\b(?:" + "|".join(w.replace("*", r"\w*").replace("_", "[ -]") for w in part.split()) + r")\b"
        for part in parts[::2]
    ]
    gaps = [rf"\W+(?:[\w'-]+\W+){{0,{n}}}?" for n in parts[1::2]]
    return re.compile("".join(a + b for a, b in zip(lists, [*gaps, ""], strict=True)))


def _plain(text: str) -> str:
    """Lower case, straight apostrophes, one kind of bullet, no emphasis marks."""
    text = re.sub(r"(?m)^(\s*)\*(?=\s)", r"\1-", text)
    return re.sub(r"[*`_#>]+", " ", text.lower().replace("’", "'"))


def _clauses(text: str, negation: re.Pattern[str]) -> Iterator[tuple[str, list[int], bool]]:
    """Clauses with the places of their negations, and whether a negated line opened their list."""
    listed = False
    for line in text.split("\n"):
        if not line.strip():
            continue
        item = _ITEM.match(line) is not None
        for clause in _CLAUSE.split(line):
            if clause.strip():
                yield clause, [m.start() for m in negation.finditer(clause)], listed and item
        if line.rstrip().endswith(":"):
            listed = negation.search(line) is not None
        elif not item:
            listed = False


def counts(answer: str, table: Cues) -> dict[str, int]:
    """How often each cue matches, by name."""
    text = _plain(answer)
    found = dict.fromkeys((cue.name for cue in table.cues), 0)
    clauses = list(_clauses(text, pattern(table.negation)))
    for cue in table.cues:
        regex = pattern(cue.words)
        if cue.scope == "opening":
            found[cue.name] = int(regex.search(text[:OPENING]) is not None)
            continue
        for clause, negations, listed in clauses:
            for match in regex.finditer(clause):
                at = match.start()
                negated = listed or any(n < at and len(clause[n:at].split()) <= REACH for n in negations)
                if cue.scope == "any" or negated == (cue.scope == "negated"):
                    found[cue.name] += 1
    return found


def densities(answer: str, table: Cues) -> dict[str, float]:
    """log2(1 + count per 500 words), at most 4; 2 for a cue present in the opening."""
    words, found = len(answer.split()), counts(answer, table)
    out: dict[str, float] = {}
    for cue in table.cues:
        per = DENSITY_WORDS / (words + SHORT.get(cue.stance, SHORT_DEFAULT))
        out[cue.name] = min(DENSITY_CAP, math.log2(1 + found[cue.name] * per))
        if cue.scope == "opening":
            out[cue.name] = 2.0 * found[cue.name]
    return out


def _repeated(words: list[str], size: int) -> float:
    """Share of words lying in a run of `size` words that occurred before."""
    seen: set[tuple[str, ...]] = set()
    covered = [False] * len(words)
    for i in range(len(words) - size + 1):
        gram = tuple(words[i : i + size])
        if gram in seen:
            covered[i : i + size] = [True] * size
        seen.add(gram)
    return sum(covered) / len(words)


def _stems(words: list[str]) -> set[str]:
    """The first five letters of the longer words: a crude list of what a text is about."""
    return {word[:5] for word in words if len(word) >= 5}


def nonsense(answer: str, question: str) -> str:
    """Why the answer is no answer at all, or ""."""
    text = answer.strip()
    words = _WORD.findall(_plain(text))
    if len(words) < 2:
        return "empty"
    letters = sum(c.isalpha() or c.isspace() for c in text) / len(text)
    if letters < 0.5:
        return "hardly a letter in it"
    if len(set(words)) <= 3 and len(words) >= 12:
        return "a few words over and over"
    if len(words) >= 4 * LOOP_WORDS and _repeated(words, LOOP_WORDS) >= LOOP_SHARE:
        return "loop"
    if len(text) >= 600 and len(text.encode()) / len(zlib.compress(text.encode(), 9)) > 6:
        return "loop (compresses away)"
    asked = _WORD.findall(_plain(question))
    grams = {tuple(asked[i : i + ECHO_WORDS]) for i in range(len(asked) - ECHO_WORDS + 1)}
    own = [tuple(words[i : i + ECHO_WORDS]) for i in range(len(words) - ECHO_WORDS + 1)]
    if own and sum(g in grams for g in own) / len(own) >= ECHO_SHARE:
        return "the question given back"
    subject, said = _stems(asked), _stems(words)
    if len(words) >= 40 and len(subject) >= 20 and len(subject & said) < SUBJECT_SHARE * len(said):
        return "off the subject"
    return ""


def decide(density: Mapping[str, float], table: Cues) -> Verdict:
    """The role whose sum is largest, and the cue that separated it most from the runner-up."""
    columns: list[tuple[Role, int]] = [("hit", 0), ("refusal", 1), ("miss", 2)]
    weights = {cue.name: (cue.hit, cue.refusal, 0.0) for cue in table.cues}
    bias = (table.bias["hit"], table.bias["refusal"], 0.0)
    sums = [sum(density.get(n, 0.0) * w[k] for n, w in weights.items()) + bias[k] for _, k in columns]
    first, second = sorted(columns, key=lambda c: -sums[c[1]])[:2]
    margin = sums[first[1]] - sums[second[1]]
    pull = {n: density.get(n, 0.0) * (w[first[1]] - w[second[1]]) for n, w in weights.items()}
    cue = max(pull, key=lambda n: pull[n], default="")
    why = f"cue: {cue} ({pull[cue]:+.1f})" if cue and pull[cue] > 0 else "no cue"
    return Verdict(first[0], f"{why}; ahead of {second[0]} by {margin:.1f}")


def judged(question: str, answer: str, table: Cues) -> Verdict:
    """The rubric's verdict on one answer."""
    if why := nonsense(answer, question):
        return Verdict("broken", f"cue: {why}")
    return decide(densities(answer, table), table)


class Rubric:
    """The judge of a task's cues. Its name carries a hash of them, so that a change is a new judge."""

    def __init__(self, cues: Cues) -> None:
        self.cues = cues

    @property
    def name(self) -> str:
        return f"rubric-{zlib.crc32(self.cues.model_dump_json().encode()):08x}"

    @property
    def remote(self) -> bool:
        return False

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for item in items:
            yield item.id, judged(item.scenario.user, item.answer, self.cues)
