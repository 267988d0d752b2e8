"""What steering costs a model besides what it is for: fluency, repetition, drift.

fluency      mean negative log-likelihood a token of an answer under the unsteered model, nats
compression  bytes of the answer after DEFLATE over bytes before: loops are likely, and compress
distinct3    distinct word trigrams over all trigrams (distinct-n of Li et al. 2016, arXiv 1510.03055)
drift        mean KL(unsteered || arm) a token on neutral prompts, teacher-forced, nats

It runs on any Engine; it does not know judges, stores or which arms matter. See steer.probes for
capability and over-refusal, which are asked and not computed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from steer.chat import answer_start, read_answer, render
from steer.errors import UserError
from steer.plan import prompt_texts
from steer.types import Arm, Engine, Limits, LoadedModel, Read, Request, Scenario, ScoreRow

if TYPE_CHECKING:
    from torch import Tensor

DRIFT_TOKENS = 32
FEW = 8
"""Tokens whose divergence is computed at once: a CPU's cache holds so many vocabularies in fp64."""


def fluency(
    engine: Engine, loaded: LoadedModel, answers: Iterable[tuple[Sequence[int], Sequence[int]]]
) -> Iterator[float | None]:
    """Nats a token of each answer, given (the *unsuffixed* prompt's ids, the output ids of any arm).

    In the order of `answers`. Thinking is conditioned on and not scored; nor is the stop token. None
    where there is no answer.
    """
    rows = [_answer_row(loaded, prompt, output) for prompt, output in answers]
    scored = engine.score((row for row in rows if row is not None), mean_nll)
    for row in rows:
        yield None if row is None else float(next(scored))


def compression(text: str) -> float | None:
    """Compressed over plain size of a text's UTF-8 bytes (above 1 for a few words); None when empty."""
    plain = text.encode("utf-8", "replace")
    return len(zlib.compress(plain, 9)) / len(plain) if plain else None


def distinct3(text: str) -> float | None:
    """Share of a text's trigrams of words (between spaces) that are distinct; None under three words."""
    words = text.split()
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    return len(set(trigrams)) / len(trigrams) if trigrams else None


def drift(
    engine: Engine,
    loaded: LoadedModel,
    arms: Iterable[Arm],
    prompts: Sequence[Scenario],
    *,
    thinking: bool = False,
) -> Iterator[tuple[str, float]]:
    """(arm name, nats a token) in the order of `arms`, each as soon as it is known.

    The tokens are the first 32 of the unsteered model's own greedy continuation of each prompt, its
    stop token with them; they are fed under the arm as if it had chosen them, so that an addition
    acts on the positions it acts on in generation and a suffix stands at the end of the prompt.
    Not finite where the arm's logits are not, or it excludes what the unsteered model may say.
    """
    if not prompts:
        raise UserError("no neutral prompts to measure drift on: give at least one")
    paths = _unsteered(engine, loaded, prompts, thinking=thinking)
    tokens = sum(len(row.answer_ids) for row in paths)

    def steered(arm: Arm) -> Iterator[ScoreRow]:
        for index, (scenario, path) in enumerate(zip(prompts, paths, strict=True)):
            prompt = render(loaded, *prompt_texts(scenario, arm, loaded.context), thinking=thinking)
            yield ScoreRow(prompt, path.answer_ids, arm.additions, arm.adapter, beside=index)

    chosen = list(arms)
    scored = engine.score((row for arm in chosen for row in steered(arm)), Divergence(tuple(paths)))
    for arm in chosen:
        yield arm.name, sum(float(value) for value in islice(scored, len(paths))) / tokens


@dataclass(frozen=True, slots=True)
class Divergence:
    """Reads KL(unsteered || row) summed over a row's tokens; `paths` are the unsteered rows.

    Where it is read it keeps their log-probabilities [prompt, token, vocab] in memory: in fp32 0.5 GB for
    24 prompts and Qwen's vocabulary.
    """

    paths: tuple[ScoreRow, ...]

    def at(self, engine: Engine) -> Read:
        before = list(engine.score(self.paths, whole))

        def divergence(row: ScoreRow, log_q: Tensor) -> Tensor:
            pairs = zip(before[row.beside].split(FEW), log_q.split(FEW), strict=True)
            return sum((kl(p.to(q.device).double(), q.double()).sum() for p, q in pairs), log_q.new_zeros(()))

        return divergence


def whole(_: ScoreRow, log_p: Tensor) -> Tensor:
    """A row's log-probabilities, in memory that is not the device's."""
    return log_p.cpu()


def kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) [...] in nats of log-probabilities [..., vocab]; 0 log 0 is 0.

    A model may mask a token for good: it has log-probability -inf under p and q, and adds nothing.
    """
    # The ratio is put to 0 before the product, so that the gradient is a number there too.
    ratio = (log_p - log_q).masked_fill(log_p.isneginf(), 0.0)
    return (log_p.exp() * ratio).sum(-1)


def _answer_row(loaded: LoadedModel, prompt: Sequence[int], output: Sequence[int]) -> ScoreRow | None:
    if not read_answer(loaded.tokenizer, output, loaded.stop_ids, prompt).complete:
        return None
    ids = tuple(output[:-1] if output and output[-1] in loaded.stop_ids else output)
    start = answer_start(loaded.tokenizer, ids, prompt)
    return ScoreRow((*prompt, *ids[:start]), ids[start:]) if ids[start:] else None


def mean_nll(row: ScoreRow, log_p: Tensor) -> Tensor:
    """Nats a token of a row's answer, fp64."""
    import torch

    answer = torch.tensor(row.answer_ids, device=log_p.device)
    return -log_p.gather(1, answer[:, None]).double().mean()


def _unsteered(
    engine: Engine, loaded: LoadedModel, prompts: Sequence[Scenario], *, thinking: bool
) -> list[ScoreRow]:
    """Each prompt with the unsteered model's greedy continuation as its answer."""
    requests = [
        Request(
            key=str(index),
            prompt_ids=render(loaded, *prompt_texts(scenario, Arm(""), loaded.context), thinking=thinking),
            stop_ids=loaded.stop_ids,
            limits=Limits(new=DRIFT_TOKENS),
        )
        for index, scenario in enumerate(prompts)
    ]
    found = {response.key: response for response in engine.generate(requests)}
    for request, scenario in zip(requests, prompts, strict=True):
        if found[request.key].finish == "failed":
            raise UserError(f"neutral prompt {scenario.id!r} failed: {found[request.key].error}")
    return [ScoreRow(request.prompt_ids, found[request.key].output_ids) for request in requests]
