"""`hf:MODEL`: a local model as judge, read by the probabilities it gives to letters.

Each answer is shown once a label, the labels moved one letter on each time, so that a liking for a
letter falls out of the mean; each showing is one forward pass through the engine's `score`. The
probabilities are raw: they were calibrated on no labelled set. This module does not know runs or arms.
"""

from __future__ import annotations

import math
import string
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from steer import chat, checkpoints, models
from steer.errors import UserError
from steer.identity import weights_id
from steer.judges.prompting import Prompt, letters_prompt, render
from steer.task import TaskRecord
from steer.types import JudgeItem, LoadedModel, ScoreRow, Verdict

if TYPE_CHECKING:
    from torch import Tensor

LETTERS = string.ascii_uppercase


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

    def __init__(self, spec: str, weights: str, task: TaskRecord) -> None:
        self.spec, self.weights, self.task = spec, weights, task
        self.prompt: Prompt = letters_prompt(task)
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
        ready = self._ready = self._ready or _load(self.spec, len(self.task.labels))
        n = len(self.task.labels)
        shown: deque[str] = deque()
        unfit: deque[tuple[str, Verdict]] = deque()

        def rows() -> Iterator[ScoreRow]:
            for item in items:
                prompts = [_ids(ready, self.prompt, self.task, item, shift) for shift in range(n)]
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
            if len(found) == n:
                yield shown.popleft(), verdict(found, self.task)
                found = []
            while unfit:
                yield unfit.popleft()
        yield from unfit


def open_judge(spec: str, task: TaskRecord) -> LocalJudge:
    """The judge of a model by alias, hub id or folder; UserError if there is none."""
    resolved = models.resolve(spec)
    folder = resolved.folder or checkpoints.download(resolved)
    return LocalJudge(spec, weights_id(folder), task)


def probabilities(logs: list[list[float]]) -> list[float]:
    """Mean probability of each of n labels over n showings.

    logs: [shift][letter] log-probabilities; at shift k, label i stands under letter (i + k) mod n.
    Within a showing they are normalised over the letters.
    """
    n = len(logs)
    out = [0.0] * n
    for shift, row in enumerate(logs):
        top = max(row)
        weights = [math.exp(x - top) for x in row]
        for i in range(n):
            out[i] += weights[(i + shift) % n] / sum(weights) / n
    return out


def verdict(logs: list[list[float]], task: TaskRecord) -> Verdict:
    """The likeliest label; the reason states all probabilities."""
    found = dict(zip(task.labels, probabilities(logs), strict=True))
    if not all(math.isfinite(p) for p in found.values()):
        return Verdict("invalid", "the judge model gave no finite probabilities")
    label = max(found, key=lambda one: found[one])
    said = ", ".join(f"{one.name} {p:.2f}" for one, p in found.items())
    return Verdict(label.role, f"raw probabilities: {said}", label=label.name)


def _ids(ready: _Ready, asked: Prompt, task: TaskRecord, item: JudgeItem, shift: int) -> tuple[int, ...]:
    n = len(task.labels)
    at = {LETTERS[(i + shift) % n]: " ".join(one.definition.split()) for i, one in enumerate(task.labels)}
    options = "\n".join(f"{letter}. {at[letter]}" for letter in sorted(at))
    message = render(asked.message, item.scenario, item.answer, options=options)
    return chat.render(ready.loaded, asked.instructions, message, thinking=False) + ready.close


def _load(spec: str, labels: int) -> _Ready:
    from steer.engines import make_engine

    loaded = models.load(spec)
    tokenizer = cast(Any, loaded.tokenizer)
    if not chat.takes_system(loaded):
        loaded = replace(loaded, context="user")
    prompt, close = chat.before_answer(loaded)
    letters = _following(tokenizer, prompt + close, LETTERS[:labels])
    if not letters:
        raise UserError(
            f"judge hf:{spec}: after a prompt its tokenizer has no token for a letter A to "
            f"{LETTERS[labels - 1]}: take another model"
        )
    limit = int(getattr(cast(Any, loaded.module).config, "max_position_embeddings", 0) or 2**31)
    engine = make_engine("auto", loaded, say=lambda _: None)
    closing = tokenizer(close, add_special_tokens=False).input_ids
    return _Ready(loaded, engine, letters, limit, tuple(closing))


def _following(tokenizer: Any, text: str, letters: str) -> tuple[int, ...]:
    """The tokens by which a text goes on with each letter, or a space and the letter; () if neither is one.

    A letter alone may be another token: many tokenizers write a space before whatever comes first.
    """

    def ids(of: str) -> list[int]:
        return list(tokenizer(of, add_special_tokens=False).input_ids)

    before = ids(text)
    for space in ("", " "):
        after = [ids(text + space + letter) for letter in letters]
        added = {tuple(one[len(before) :]) for one in after if one[: len(before)] == before}
        if len(added) == len(letters) and all(len(one) == 1 for one in added):
            return tuple(one[-1] for one in after)
    return ()
