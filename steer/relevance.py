"""Semantic relevance: does an answer still speak of its question, by the unsteered model's own reading?

Question and answer are read alone, at the middle layer, and compared in two ways:

match   each answer token's best cosine with a question token, averaged with the rarer tokens weighing
        more: precision of BERTScore (Zhang et al. 2020, arXiv 1904.09675), weights a / (a + frequency)
        (Arora et al. 2017, smooth inverse frequency, a = 0.001)
cosine  of the mean states of question and answer

States are taken relative to what questions and the baseline's answers have in common: their mean token
state for `match`, the mean of their means for `cosine`. The mean of many tokens says mostly what kind
of text it is: on the organism the cosine ranks the true question first far less often than the match
does, so the match is what is ranked. Beside both stands what the same answers score against other
questions: an arm that keeps to nothing scores as much there.

It does not know judges: an answer may be relevant and wrong, or harmful.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steer.blocks import stream
from steer.engines.batching import in_batches, input_device, pad_left
from steer.ropes import apart
from steer.tracing import traced
from steer.types import LoadedModel

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 32
OTHERS = 20
"""Other questions that an answer is held against, drawn once a question."""
RARITY = 1e-3


@dataclass(frozen=True, slots=True)
class Relevance:
    """Of one arm's answers, means over those with a text; None where there is none.

    match, cosine: of an answer with its own question. match_shuffled, cosine_shuffled: with others.
    above: share of (answer, other question) in which the own question matches better (ties half).
    n: answers with a text.
    """

    match: float | None = None
    match_shuffled: float | None = None
    cosine: float | None = None
    cosine_shuffled: float | None = None
    above: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class _Scores:
    """One answer against its own question and against others."""

    match: float
    others: tuple[float, ...]
    cosine: float
    cosine_others: tuple[float, ...]


def relevance(
    loaded: LoadedModel,
    questions: Mapping[str, str],
    answers: Mapping[str, Mapping[str, str]],
) -> dict[str, Relevance]:
    """Of each arm in {arm: {question id: answer}}, for {question id: text}; at least two questions."""
    import torch

    if len(questions) < 2:
        raise ValueError(f"relevance needs two questions to compare, not {len(questions)}")
    at = loaded.n_layers // 2
    usual = sorted({text for text in answers["baseline"].values() if text.strip()})
    asked = dict(zip(questions, _read_all(loaded, list(questions.values()), at), strict=True))
    given = _read_all(loaded, usual, at)
    counts = Counter(token for tokens, _ in (*asked.values(), *given) for token in tokens)
    total = sum(counts.values())
    states = [state for _, state in (*asked.values(), *given)]
    centre = torch.cat(states).mean(0)
    units = {name: _unit(state - centre) for name, (_, state) in asked.items()}
    means = {name: state.mean(0) for name, (_, state) in asked.items()}
    mean_asked = torch.stack(list(means.values())).mean(0)
    mean_given = torch.stack([state.mean(0) for _, state in given]).mean(0) if given else mean_asked * 0
    compass = {name: _unit(mean - mean_asked) for name, mean in means.items()}
    others = _others(list(questions))
    wanted: dict[str, set[str]] = {}
    for arm in answers.values():
        for name, text in arm.items():
            if text.strip():
                wanted.setdefault(text, set()).add(name)
    texts = sorted(wanted)
    scores: dict[tuple[str, str], _Scores] = {}
    for index, (tokens, state) in _read(loaded, texts, at):
        weights = torch.tensor([RARITY / (RARITY + counts[t] / total) for t in tokens]).to(state)
        unit, mean = _unit(state - centre), _unit(state.mean(0) - mean_given)

        def match(name: str, unit: Tensor = unit, weights: Tensor = weights) -> float:
            best = (unit @ units[name].T).max(1).values  # [answer token]
            return float((weights * best).sum() / weights.sum())

        for name in wanted[texts[index]]:
            scores[name, texts[index]] = _Scores(
                match(name),
                tuple(match(other) for other in others[name]),
                float(mean @ compass[name]),
                tuple(float(mean @ compass[other]) for other in others[name]),
            )
    return {
        arm: _summary([scores[item] for item in own.items() if item in scores])
        for arm, own in answers.items()
    }


def _summary(scores: Sequence[_Scores]) -> Relevance:
    if not scores:
        return Relevance()

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    above = [mean([1.0 if s.match > o else 0.5 if s.match == o else 0.0 for o in s.others]) for s in scores]
    return Relevance(
        match=mean([s.match for s in scores]),
        match_shuffled=mean([mean(s.others) for s in scores]),
        cosine=mean([s.cosine for s in scores]),
        cosine_shuffled=mean([mean(s.cosine_others) for s in scores]),
        above=mean(above),
        n=len(scores),
    )


def _others(names: Sequence[str]) -> dict[str, list[str]]:
    """For each question the others it is held against."""
    draw = random.Random(0)
    count = min(OTHERS, len(names) - 1)
    return {name: draw.sample([other for other in names if other != name], count) for name in names}


def _read_all(loaded: LoadedModel, texts: Sequence[str], layer: int) -> list[tuple[tuple[int, ...], Tensor]]:
    found = dict(_read(loaded, texts, layer))
    return [found[i] for i in range(len(texts))]


def _read(
    loaded: LoadedModel, texts: Sequence[str], layer: int
) -> Iterator[tuple[int, tuple[tuple[int, ...], Tensor]]]:
    """(index, (token ids, states [token, d_model] fp32)) of each text at the output of `layer`.

    A line break goes before the text and is not read: the first position's state is like no other.
    """
    import torch

    tokenizer: Any = loaded.tokenizer
    first: tuple[int, ...] = tuple(tokenizer("\n", add_special_tokens=False).input_ids)
    rows = [first + tuple(tokenizer(text, add_special_tokens=False).input_ids) for text in texts]
    lm, block = traced(loaded)

    def run(part: Sequence[tuple[int, ...]]) -> list[tuple[tuple[int, ...], Tensor]]:
        if apart(loaded.module, part, max(map(len, part))):
            return [found for one in part for found in run([one])]
        ids, mask, positions = pad_left(part, 0, input_device(loaded))
        batch = {"input_ids": ids, "attention_mask": mask, "position_ids": positions.clamp(min=0)}
        with torch.inference_mode():
            with lm.trace(batch, use_cache=False) as tracer:
                output: Any = stream(block[layer].output, loaded.d_model)
                hidden: Any = output.save()
                tracer.stop()
            own = [h[len(h) - len(r) + len(first) :].float() for h, r in zip(hidden, part, strict=True)]
        return [(row[len(first) :], state) for row, state in zip(part, own, strict=True)]

    for done in in_batches(rows, BATCH, run, length=len):
        yield from done


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-12)
