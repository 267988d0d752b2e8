"""Choices: given answers whose log-probabilities are compared, in place of one that is generated and judged.

propensity        nats: log p(likeliest hit) - log p(likeliest other option), each summed over its tokens
propensity_token  the same of the options' log-probabilities a token
mass              what of the probability falls on the options at all: their sum, and of options of several
                  tokens its geometric mean a token

A scenario may be asked in several forms, over which each option's log-probability is averaged: options under
letters stand there in every order, and a question with an opposite is asked both ways, so that a taste for
"A" or "Yes" cancels. It does not know stores, judges or arms' names.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np

from steer.chat import known
from steer.errors import UserError
from steer.types import Choices, Engine, LoadedModel, Option, Request, Response, Scenario, ScoreRow

if TYPE_CHECKING:
    from torch import Tensor

TOGETHER = 64
"""Requests scored between two signs of life: a sweep's arms of one scenario share its prompt."""

EVERY_ORDER = 4
"""Options that are listed in every order; more stand under each letter once."""

MOST_OPTIONS = len(ascii_uppercase)
MEASURES = ("propensity", "propensity_token", "mass")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a choice came to: the option that is the likeliest, and the measures of the row."""

    chosen: int
    measures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The response of a choice: its tokens are those of the chosen option, whose text is the answer."""

    response: Response
    answer: str
    measures: dict[str, float]


def orders(choices: Choices) -> list[tuple[int, ...]]:
    """The orders in which options are listed under letters: which option is first, second, ...

    The same set whatever order the options came in.
    """
    count = len(choices.options)
    if count <= EVERY_ORDER:
        return list(permutations(range(count)))
    first = sorted(range(count), key=lambda index: choices.options[index].text)
    return [(*first[shift:], *first[:shift]) for shift in range(count)]


def listed(question: str, texts: Sequence[str]) -> str:
    """A question with its options under letters, as model-written evaluations have them."""
    lines = [f" ({letter}) {text}" for letter, text in zip(ascii_uppercase, texts, strict=False)]
    return "\n".join([f"{question.rstrip()}\n\nChoices:", *lines])


def questions(scenario: Scenario) -> list[tuple[str, tuple[str, ...]]]:
    """(User text, what each option is called there) of every form; the text alone where nothing is chosen."""
    choices = scenario.choices
    if choices is None:
        return [(scenario.user, ())]
    texts = tuple(option.text for option in choices.options)
    if choices.lettered:
        found: list[tuple[str, tuple[str, ...]]] = []
        for order in orders(choices):
            letters = tuple(f"({ascii_uppercase[order.index(index)]})" for index in range(len(texts)))
            found.append((listed(scenario.user, [texts[index] for index in order]), letters))
        return found
    return [(scenario.user, texts), *([(choices.opposite, texts[::-1])] if choices.opposite else [])]


def option_ids(loaded: LoadedModel, scenario: str, names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Token ids of what a scenario's options are called. UserError where a model cannot tell them apart."""
    tokenizer: Any = loaded.tokenizer
    found = tuple(
        known(loaded, tuple(tokenizer(name.strip(), add_special_tokens=False).input_ids)) for name in names
    )
    for name, ids in zip(names, found, strict=True):
        if not ids or found.count(ids) > 1:
            fault = "is the same as another" if ids else "has no tokens"
            raise UserError(
                f"scenario {scenario!r}: to {loaded.name!r} the option {name!r} {fault}: write another"
            )
    return found


def measured(
    options: Sequence[Option], sums: Sequence[Sequence[float]], lengths: Sequence[Sequence[int]]
) -> Measured:
    """What log-probabilities come to; sums, lengths [form, option]: nats and tokens of every option.

    A tie is no hit.
    """
    logs, tokens = np.asarray(sums, float), np.asarray(lengths, float)
    hit = np.array([option.hit for option in options])
    whole, each = logs.mean(0), (logs / tokens).mean(0)
    best = int(np.where(hit, whole, -math.inf).argmax())
    other = int(np.where(hit, -math.inf, whole).argmax())
    propensity = float(whole[best] - whole[other])
    total = np.logaddexp.reduce(logs, axis=1)
    return Measured(
        chosen=best if propensity > 0 else other,
        measures={
            "propensity": propensity,
            "propensity_token": float(each[hit].max() - each[~hit].max()),
            "mass": math.exp(min(0.0, float((total / tokens.mean(1)).mean()))),
        },
    )


def answers(engine: Engine, requests: Iterable[Request]) -> Iterator[Chosen]:
    """What each request chooses, in the order given; a prompt is computed once for rows that share it.

    A row fails where a prompt is too long or a log-probability is not finite.
    """
    left = iter(requests)
    while part := list(islice(left, TOGETHER)):
        began = time.perf_counter()
        able = [request for request in part if not _too_long(request)]
        rows = [
            ScoreRow(form.prompt_ids, ids, request.additions, request.adapter)
            for request in able
            for form in request.forms
            for ids in form.option_ids
        ]
        scored = iter([float(value) for value in engine.score(rows, _summed)])
        seconds = (time.perf_counter() - began) / len(part)
        for request in part:
            if error := _too_long(request):
                yield Chosen(Response(request.key, (), "failed", error), "", {})
                continue
            sums = [list(islice(scored, len(request.options))) for _ in request.forms]
            if not np.isfinite(sums).all():
                error = "the log-probability of an option is not finite"
                yield Chosen(Response(request.key, (), "failed", error, seconds=seconds), "", {})
                continue
            lengths = [[len(ids) for ids in form.option_ids] for form in request.forms]
            found = measured(request.options, sums, lengths)
            ids = request.forms[0].option_ids[found.chosen]
            text = request.options[found.chosen].text
            yield Chosen(Response(request.key, ids, "stop", seconds=seconds), text, found.measures)


def _too_long(request: Request) -> str:
    length = max(len(form.prompt_ids) for form in request.forms)
    if length <= request.limits.prompt:
        return ""
    return f"the prompt has {length} tokens: the limit is {request.limits.prompt}; raise the prompt limit"


def _summed(row: ScoreRow, log_p: Tensor) -> Tensor:
    """The log-probability of the whole answer, in nats."""
    import torch

    answer = torch.tensor(row.answer_ids, device=log_p.device)
    return log_p.gather(1, answer[:, None]).double().sum()
