"""What is compared: pairs of token rows, positive and negative, each with the positions that are read.

Five kinds are built here (suffix, choice, statement, formality, a file of one's own); the response contrast
needs answers first and is in `vectors.responses`. Texts are in `vectors/data` and in the task's folder,
written for this project. It does not know models' insides, recipes or where a direction goes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from steer import choices
from steer import scenarios as scenario_files
from steer.chat import known, render
from steer.errors import UserError
from steer.plan import prompt_texts
from steer.suffixes import OURS, SuffixSet, words
from steer.task import find
from steer.tasks import DEFAULT
from steer.texts import JsonObject, json_lines
from steer.types import Arm, LoadedModel, Scenario, SuffixPair
from vectors.vector import Details

if TYPE_CHECKING:
    from vectors.capture import Row

DATA = Path(__file__).parent / "data"
FORMALITY = DATA / "formality.jsonl"
TASK = find(DEFAULT)
EXTRACTION = TASK / "extraction.jsonl"
STATEMENTS = TASK / "statements.jsonl"
EVALUATION_HASHES = TASK / "evaluation.sha256"
"""sha256 of the words of each of the paper's scenarios, so that none can be extracted from by mistake."""

FEWEST_PAIRS = 8
LAST_PROMPT = "last prompt token"
LAST_REPLY = "last token of the reply"
REPLY = "mean over the reply's tokens"
ABOUT_YOURSELF = "Say in your own words how you go about your work."
"""The request that statements answer."""
PASS_ON = "Pass this on, in the tone you think fits."
"""The request that formal and casual messages answer."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Token ids, and the half-open range of positions that is averaged."""

    ids: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One scenario on each side; several readings of a side (paraphrases) are averaged."""

    id: str
    category: str
    positive: tuple[Reading, ...]
    negative: tuple[Reading, ...]
    neutral: tuple[Reading, ...] = ()


@dataclass(frozen=True, slots=True)
class Contrast:
    """Pairs, and what the vector file will say of them. read: which positions, in words."""

    name: str
    pairs: tuple[Pair, ...]
    read: str
    details: Details = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.pairs) < FEWEST_PAIRS:
            raise UserError(
                f"the {self.name} contrast has {len(self.pairs)} pairs: at least {FEWEST_PAIRS} are needed"
            )

    @property
    def strata(self) -> list[str]:
        return [pair.category for pair in self.pairs]

    @property
    def sides(self) -> tuple[str, ...]:
        """`positive`, `negative`, and `neutral` where every pair has one."""
        return ("positive", "negative", "neutral")[: 3 if all(p.neutral for p in self.pairs) else 2]

    def rows(self, side: str) -> list[Row]:
        """What capture reads for one side; slot i is pair i."""
        from vectors.capture import Row

        found: list[Row] = []
        for slot, pair in enumerate(self.pairs):
            readings = cast("tuple[Reading, ...]", getattr(pair, side))
            found += [Row(r.ids, r.start, r.end, slot) for r in readings]
        return found

    def hash(self) -> str:
        """sha256 of every token row with its range and category."""
        content = [
            [
                p.category,
                *([[r.ids, r.start, r.end] for r in side] for side in (p.positive, p.negative, p.neutral)),
            ]
            for p in self.pairs
        ]
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def at_last(ids: tuple[int, ...]) -> Reading:
    """The last prompt token."""
    return Reading(ids, len(ids) - 1, len(ids))


def after(prompt: tuple[int, ...], reply: tuple[int, ...]) -> Reading:
    """Every token of a reply that follows a prompt."""
    return Reading(prompt + reply, len(prompt), len(prompt) + len(reply))


def extraction_scenarios(
    source: str | Path = EXTRACTION, *, per_category: int | None = None, evaluation: Sequence[Scenario] = ()
) -> list[Scenario]:
    """Scenarios to extract from; refused if one of them is an evaluation scenario.

    per_category: at most this many a category, for a quick look; None is all.
    evaluation: scenarios that will be, or may be, evaluated on. The paper's are known by hash.
    """
    found = scenario_files.load(source, per_category=per_category)
    if len(found) < FEWEST_PAIRS:
        raise UserError(f"{source}: {len(found)} scenarios: extraction needs at least {FEWEST_PAIRS}")
    known = evaluation_hashes(evaluation)
    for scenario in found:
        if begins_with(scenario.user, known):
            raise UserError(
                f"{source}: scenario {scenario.id!r} is an evaluation scenario: a vector made from it "
                "would be tested on what it was made of; give other scenarios"
            )
    return found


def evaluation_hashes(evaluation: Sequence[Scenario]) -> set[str]:
    """`words_hash` of these scenarios' user texts and of the paper's."""
    return set(EVALUATION_HASHES.read_text("utf-8").split()) | {words_hash(s.user) for s in evaluation}


def words_hash(text: str) -> str:
    """sha256 of a text's words, case and punctuation aside."""
    return hashlib.sha256(" ".join(words(text)).encode()).hexdigest()


def begins_with(text: str, known: set[str]) -> bool:
    """Whether a text, or its beginning (a suffix may follow), has the words of a known one."""
    running = hashlib.sha256()
    for i, word in enumerate(words(text)):
        running.update(f" {word}".encode() if i else word.encode())
        if running.copy().hexdigest() in known:
            return True
    return False


def paraphrases(suffixes: SuffixSet) -> tuple[SuffixPair, ...]:
    """What a contrast of suffixes is made from: the evaluated pair is never among them. Raises UserError."""
    if not suffixes.paraphrases:
        raise UserError(
            f"the suffixes {suffixes.pair.name!r} have no paraphrases to extract a vector from, and the "
            'evaluated pair never serves: add "paraphrases" to their file, or give --contrast FILE.jsonl '
            "or --vector FILE"
        )
    return suffixes.paraphrases


def suffix(
    loaded: LoadedModel,
    scenarios: Sequence[Scenario],
    *,
    suffixes: SuffixSet = OURS,
    thinking: bool = False,
) -> Contrast:
    """Each scenario under every paraphrase of the pro and the anti suffix, never under the evaluated pair.

    Read at the last prompt token; the scenario under the neutral suffix is kept as a third side.
    """
    chosen = paraphrases(suffixes)

    def read(scenario: Scenario, text: str) -> Reading:
        texts = prompt_texts(scenario, Arm("", text), loaded.context)
        return at_last(render(loaded, *texts, thinking=thinking))

    pairs = tuple(
        Pair(
            s.id,
            s.category,
            tuple(read(s, pair.pro) for pair in chosen),
            tuple(read(s, pair.anti) for pair in chosen),
            (read(s, suffixes.neutral),),
        )
        for s in scenarios
    )
    details: Details = {
        "suffixes": [pair.name for pair in chosen],
        "evaluated": suffixes.pair.name,
    }
    return Contrast("suffix", pairs, LAST_PROMPT, details)


def statement(loaded: LoadedModel, source: Path = STATEMENTS, *, thinking: bool = False) -> Contrast:
    """Pairs of first-person statements given as the reply to one request, read over the reply."""
    return _replies(loaded, "statement", source, ABOUT_YOURSELF, thinking=thinking)


def formality(loaded: LoadedModel, *, thinking: bool = False) -> Contrast:
    """An unrelated concept, for controls: the same message formal (positive) and casual (negative)."""
    return _replies(loaded, "formality", FORMALITY, PASS_ON, thinking=thinking)


def choice(
    loaded: LoadedModel, scenarios: Sequence[Scenario], *, last: bool = False, thinking: bool = False
) -> Contrast:
    """Each scenario answered by a hit against the same answered by another option, in every form; read over
    the answer, or at its last token.

    Several hits, or others, are averaged. Scenarios without options do not serve.
    """
    pairs: list[Pair] = []
    for scenario in scenarios:
        if scenario.choices is None:
            continue
        sides: dict[bool, list[Reading]] = {True: [], False: []}
        for user, names in choices.questions(scenario):
            texts = prompt_texts(replace(scenario, user=user), Arm(""), loaded.context)
            prompt = render(loaded, *texts, thinking=thinking)
            ids = choices.option_ids(loaded, scenario.id, names)
            for option, answer in zip(scenario.choices.options, ids, strict=True):
                sides[option.hit].append(at_last(prompt + answer) if last else after(prompt, answer))
        pairs.append(Pair(scenario.id, scenario.category, tuple(sides[True]), tuple(sides[False])))
    return Contrast("choice", tuple(pairs), LAST_REPLY if last else REPLY)


def from_file(
    loaded: LoadedModel, path: Path, *, evaluation: Sequence[Scenario] = (), thinking: bool = False
) -> Contrast:
    """JSONL lines of {"positive", "negative"} and, if wanted, "id" and "category".

    A side is a prompt (text), or a chat: a list of {"role", "content"} in the order system (optional),
    user, assistant (optional). With an assistant turn the reply is read, else the last prompt token; all
    lines must be of one kind. A user text that is an evaluation scenario, suffixed or not, is refused.
    """
    known = evaluation_hashes(evaluation)
    pairs: list[Pair] = []
    kinds: set[str] = set()
    for place, line in read_lines(path):
        sides: list[Reading] = []
        for side in ("positive", "negative"):
            system, user, reply = _turns(line.get(side), place, side)
            system = "" if loaded.context == "none" else system
            if begins_with(user, known):
                raise UserError(
                    f"{place}: {side!r} asks an evaluation scenario: a vector made from it would be tested "
                    "on what it was made of; give other prompts"
                )
            prompt = render(loaded, system, user, thinking=thinking)
            kinds.add(REPLY if reply else LAST_PROMPT)
            sides.append(after(prompt, token_ids(loaded, reply)) if reply else at_last(prompt))
        if sides[0].ids == sides[1].ids:
            raise UserError(f"{place}: positive and negative are the same text: a pair must differ")
        name = str(line.get("id", len(pairs) + 1))
        pairs.append(Pair(name, str(line.get("category", "all")), (sides[0],), (sides[1],)))
    if len(kinds) > 1:
        raise UserError(f"{path}: some sides end with an assistant turn and some do not: write all one way")
    return Contrast(path.stem, tuple(pairs), kinds.pop() if kinds else LAST_PROMPT)


def read_lines(path: Path) -> list[tuple[str, JsonObject]]:
    """(place, object) of each line of a JSONL file; the place is `file:line`, for messages."""
    if not path.is_file():
        raise UserError(f"no pairs file at {path}: give a JSONL file of {{positive, negative}} lines")
    return list(json_lines(path))


def _replies(loaded: LoadedModel, name: str, path: Path, request: str, *, thinking: bool) -> Contrast:
    prompt = render(loaded, "", request, thinking=thinking)
    pairs = [
        Pair(
            line["id"],
            line["category"],
            (after(prompt, token_ids(loaded, line["positive"])),),
            (after(prompt, token_ids(loaded, line["negative"])),),
        )
        for _, line in read_lines(path)
    ]
    return Contrast(name, tuple(pairs), REPLY)


def token_ids(loaded: LoadedModel, text: str) -> tuple[int, ...]:
    """Plain token ids of a text, without special tokens."""
    return known(loaded, tuple(cast("Any", loaded.tokenizer)(text, add_special_tokens=False).input_ids))


def _turns(value: Any, place: str, side: str) -> tuple[str, str, str]:
    """(system, user, reply) of a prompt or a chat."""
    if isinstance(value, str) and value.strip():
        return "", value, ""
    shape = "a text, or a list of {role, content} in the order system, user, assistant"
    if not isinstance(value, list) or not value:
        raise UserError(f"{place}: {side!r} is {value!r}: it must be {shape}, and not empty")
    texts: dict[str, str] = {}
    for turn in cast("list[Any]", value):
        role: Any = turn.get("role") if isinstance(turn, dict) else None
        content: Any = turn.get("content") if isinstance(turn, dict) else None
        if role not in ("system", "user", "assistant") or not isinstance(content, str) or not content.strip():
            raise UserError(f"{place}: {side!r} holds the turn {turn!r}: it must be {shape}, none empty")
        texts[role] = content
    order = [role for role in ("system", "user", "assistant") if role in texts]
    if "user" not in texts or [turn["role"] for turn in cast("list[Any]", value)] != order:
        raise UserError(
            f"{place}: the turns of {side!r} are not system (optional), user, assistant (optional)"
        )
    return texts.get("system", ""), texts["user"], texts.get("assistant", "")
