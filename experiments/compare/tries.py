"""The tries of a suffix that is tuned: wordings of a task, and what can be made of them.

A try is a pair of texts, pro and anti, as a try of the vector is a layer at plus and minus a magnitude. What
is made is made of both sides alike, so that a pair stays one. It knows texts, no models and no outcomes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from steer.errors import UserError
from steer.results.comparison import Made
from steer.suffixes import SuffixSet, content, is_pair
from steer.types import SuffixPair

REWRITTEN = 3
"""Of what is not a wording of the task's, one in so many is asked of a rewriter."""

DRAWS = 200
"""For each pair that is wanted: a set whose parts give few different pairs ends the search."""


@dataclass(frozen=True, slots=True)
class Try:
    """A pair of suffixes, and what it was made by."""

    pair: SuffixPair
    made: Made


def wordings(suffixes: SuffixSet) -> list[SuffixPair]:
    """The set's own pairs, the default first."""
    return [suffixes.pair, *suffixes.paraphrases]


def check_budget(suffixes: SuffixSet, budget: int, rewriter: str | None) -> None:
    """Raise UserError for a budget that the set's own wordings fill or exceed."""
    own = len(wordings(suffixes))
    if budget < own:
        raise UserError(
            f"--suffix-budget {budget}: the suffixes have {own} wordings, a try each: give {own} or more"
        )
    if rewriter and not rewrites_wanted(suffixes, budget):
        raise UserError(
            f"--suffix-budget {budget}: beside {own} wordings it leaves --rewriter nothing to write: give "
            f"{own + REWRITTEN} or more"
        )


def rewrites_wanted(suffixes: SuffixSet, budget: int) -> int:
    """Tries that a rewriter is asked for."""
    return (budget - len(wordings(suffixes))) // REWRITTEN


def make_tries(
    suffixes: SuffixSet, budget: int, *, seed: int, rewritten: Sequence[SuffixPair] = ()
) -> list[Try]:
    """`budget` different pairs: the wordings, `rewritten`, and by turns recombined and shortened ones.

    Recombined: every line (of texts without lines, sentence) is that of some wording, on both sides the same
    one's. Shortened: a wording without up to half of its lines. Raises UserError where the texts give fewer.
    """
    own = wordings(suffixes)
    found = [*(Try(pair, "wording") for pair in own), *(Try(pair, "rewritten") for pair in rewritten)]
    known = {content(one.pair) for one in found}
    lines = ["\n" in text.strip() for pair in own for text in (pair.pro, pair.anti)]
    by_line = all(lines)
    parts = [(_parts(pair.pro, by_line), _parts(pair.anti, by_line)) for pair in own]
    joint = "\n" if any(lines) else " "
    longest = max(len(side) for sides in parts for side in sides)
    drawn = random.Random(f"{seed} suffix tries")
    for draw in range(DRAWS * (budget - len(found))):
        if len(found) == budget:
            break
        made: Made = "shortened" if draw % 2 else "recombined"
        if made == "recombined":
            recipe = [(drawn.randrange(len(own)), place) for place in range(longest)]
        else:
            wording = drawn.randrange(len(own))
            most = max(map(len, parts[wording]))
            kept = sorted(drawn.sample(range(most), drawn.randint((most + 1) // 2, most)))
            recipe = [(wording, place) for place in kept]
        pro, anti = (joint.join(_taken([sides[side] for sides in parts], recipe)) for side in (0, 1))
        pair = SuffixPair(f"{made}-{1 + sum(one.made == made for one in found)}", pro, anti)
        if is_pair(pair) and content(pair) not in known:
            known.add(content(pair))
            found.append(Try(pair, made))
    if len(found) < budget:
        raise UserError(
            f"--suffix-budget {budget}: {len(found)} different pairs were made of the suffixes "
            f"{suffixes.pair.name!r}: give {len(found)}, or a set with more wordings, or --rewriter"
        )
    return found


def _taken(parts: Sequence[Sequence[str]], recipe: Sequence[tuple[int, int]]) -> list[str]:
    """The parts at (wording, place), where the wording has so many."""
    return [parts[wording][place] for wording, place in recipe if place < len(parts[wording])]


def _parts(text: str, by_line: bool) -> list[str]:
    ends = r"\n+" if by_line else r"\n+|(?<=[.!?])\s+"
    return [part for part in re.split(ends, text.strip()) if part.strip()]
