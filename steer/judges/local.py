"""`hf:MODEL`: a local model as judge, read by the probabilities it gives to four letters.

Each answer is shown four times, the labels moved one letter on each time, so that a liking for a
letter falls out of the mean; each showing is one forward pass through the engine's `score`. The
probabilities are raw: they were calibrated on no labelled set. This module does not know runs or arms.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from steer import chat, checkpoints, models
from steer.errors import UserError
from steer.identity import weights_id
from steer.judges.prompting import Prompt, prompt, render
from steer.judges.sheet import CHOICES, MEANING
from steer.types import JudgeItem, LoadedModel, ScoreRow, Verdict

if TYPE_CHECKING:
    from torch import Tensor

LETTERS = "ABCD"


@dataclass(frozen=True, slots=True)
class _Ready:
    """The loaded judge: engine, letter ids, longest prompt it takes, ids that end a thinking prompt."""

    loaded: LoadedModel
    engine: Any
    letters: tuple[int, ...]
    limit: int
    close: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Letters:
    """Reads the log-probabilities [letter] of these tokens at a row's first, fp64."""

    ids: tuple[int, ...]

    def __call__(self, _: ScoreRow, logs: Tensor) -> Tensor:
        return logs[0, list(self.ids)].double()


class LocalJudge:
    """Loads its model when it is first asked. Its name holds the weights' id and the prompt's hash."""

    remote = False

    def __init__(self, spec: str, weights: str) -> None:
        self.spec, self.weights = spec, weights
        self.prompt: Prompt = prompt("letters")
        self._ready: _Ready | None = None

    @property
    def name(self) -> str:
        short = Path(self.spec).name if Path(self.spec).is_dir() else self.spec
        return f"hf:{short}@{self.weights.rpartition(':')[2][:12]}#{self.prompt.hash}"

    @property
    def notes(self) -> list[str]:
        """What a reader of this judge's verdicts should know."""
        return [f"judge {self.name}: its probabilities are raw, calibrated on no labelled set"]

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        ready = self._ready = self._ready or _load(self.spec)
        shown: deque[str] = deque()
        unfit: deque[tuple[str, Verdict]] = deque()

        def rows() -> Iterator[ScoreRow]:
            for item in items:
                prompts = [_ids(ready, self.prompt, item, shift) for shift in range(len(LETTERS))]
                longest = max(map(len, prompts))
                if longest > ready.limit:
                    why = f"{longest} tokens are more than the judge model's {ready.limit}"
                    unfit.append((item.id, Verdict("invalid", why)))
                    continue
                shown.append(item.id)
                for ids in prompts:
                    yield ScoreRow(ids, ready.letters[:1])

        found: list[list[float]] = []
        for logs in ready.engine.score(rows(), Letters(ready.letters)):
            found.append(logs.tolist())
            if len(found) == len(LETTERS):
                yield shown.popleft(), verdict(found)
                found = []
            while unfit:
                yield unfit.popleft()
        yield from unfit


def open_judge(spec: str) -> LocalJudge:
    """The judge of a model by alias, hub id or folder; UserError if there is none."""
    resolved = models.resolve(spec)
    folder = resolved.folder or checkpoints.download(resolved)
    return LocalJudge(spec, weights_id(folder))


def probabilities(logs: list[list[float]]) -> list[float]:
    """Mean probability of each label of CHOICES over the showings.

    logs: [shift][letter] log-probabilities; at shift k, label i stands under letter (i + k) mod 4.
    Within a showing they are normalised over the four letters.
    """
    out = [0.0] * len(LETTERS)
    for shift, row in enumerate(logs):
        top = max(row)
        weights = [math.exp(x - top) for x in row]
        for i in range(len(LETTERS)):
            out[i] += weights[(i + shift) % len(LETTERS)] / sum(weights) / len(logs)
    return out


def verdict(logs: list[list[float]]) -> Verdict:
    """The likeliest label; the reason states all four probabilities."""
    found = dict(zip(CHOICES, probabilities(logs), strict=True))
    if not all(math.isfinite(p) for p in found.values()):
        return Verdict("invalid", "the judge model gave no finite probabilities")
    label = max(CHOICES, key=lambda name: found[name])
    return Verdict(label, "raw probabilities: " + ", ".join(f"{name} {p:.2f}" for name, p in found.items()))


def _ids(ready: _Ready, asked: Prompt, item: JudgeItem, shift: int) -> tuple[int, ...]:
    at = {LETTERS[(i + shift) % len(LETTERS)]: MEANING[label] for i, label in enumerate(CHOICES)}
    options = "\n".join(f"{letter}. The answer {at[letter]}." for letter in LETTERS)
    message = render(asked.message, item.scenario, item.answer, options=options)
    return chat.render(ready.loaded, asked.instructions, message, thinking=False) + ready.close


def _load(spec: str) -> _Ready:
    from steer.engines import make_engine

    loaded = models.load(spec)
    tokenizer = cast(Any, loaded.tokenizer)
    if not chat.takes_system(loaded):
        loaded = replace(loaded, context="user")
    prompt, close = chat.before_answer(loaded)
    letters = _following(tokenizer, prompt + close)
    if not letters:
        raise UserError(
            f"judge hf:{spec}: after a prompt its tokenizer has no token for a letter A to D: "
            "take another model"
        )
    limit = int(getattr(cast(Any, loaded.module).config, "max_position_embeddings", 0) or 2**31)
    engine = make_engine("auto", loaded, say=lambda _: None)
    closing = tokenizer(close, add_special_tokens=False).input_ids
    return _Ready(loaded, engine, letters, limit, tuple(closing))


def _following(tokenizer: Any, text: str) -> tuple[int, ...]:
    """The tokens by which a text goes on with each letter, or a space and the letter; () if neither is one.

    A letter alone may be another token: many tokenizers write a space before whatever comes first.
    """

    def ids(of: str) -> list[int]:
        return list(tokenizer(of, add_special_tokens=False).input_ids)

    before = ids(text)
    for space in ("", " "):
        after = [ids(text + space + letter) for letter in LETTERS]
        added = {tuple(one[len(before) :]) for one in after if one[: len(before)] == before}
        if len(added) == len(LETTERS) and all(len(one) == 1 for one in added):
            return tuple(one[-1] for one in after)
    return ()
