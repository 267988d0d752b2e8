"""Semantic relevance: does an answer still speak of its question, by the unsteered model's own reading?

Cosine of the mean hidden states of question and answer, each read alone at the middle layer, after the
mean of all questions and the mean of the baseline's answers are taken off (texts of one kind share most
of their mean state). Beside it stands what the same answers score against all other questions: an arm
that keeps to nothing scores as much there.

It does not know judges: an answer may be relevant and wrong, or harmful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from steer.engines.batching import in_batches, input_device, pad_left
from steer.interventions import decoder_layers
from steer.types import LoadedModel

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 32


@dataclass(frozen=True, slots=True)
class Relevance:
    """Of one arm's answers; None where no answer has a text.

    own: mean cosine of an answer with its question. shuffled: with the other questions.
    above: chance that an answer's own question scores above another one drawn at random (ties half).
    each: {question: cosine with its answer}. n: answers with a text.
    """

    own: float | None
    shuffled: float | None
    above: float | None
    n: int
    each: dict[str, float]


def relevance(
    loaded: LoadedModel,
    questions: Mapping[str, str],
    answers: Mapping[str, Mapping[str, str]],
    *,
    baseline: str = "baseline",
    layer: int | None = None,
) -> dict[str, Relevance]:
    """Of each arm in {arm: {question id: answer}}, for {question id: text}; at least two questions."""
    import torch

    if len(questions) < 2:
        raise ValueError(f"relevance needs two questions to compare, not {len(questions)}")
    at = loaded.n_layers // 2 if layer is None else layer
    ids = list(questions)
    texts = sorted({text for arm in answers.values() for text in arm.values() if text.strip()})
    states = dict(zip(texts, mean_states(loaded, texts, at), strict=True))
    asked = mean_states(loaded, list(questions.values()), at)  # [question, d_model]
    asked = _unit(asked - asked.mean(0))
    usual = [states[text] for text in answers[baseline].values() if text in states]
    centre = torch.stack(usual).mean(0) if usual else torch.zeros(loaded.d_model, dtype=torch.float64)
    return {arm: _of_arm(ids, asked, own, states, centre) for arm, own in answers.items()}


def mean_states(loaded: LoadedModel, texts: Sequence[str], layer: int) -> Tensor:
    """Mean residual stream at the output of `layer` over each text's tokens, [text, d_model] fp64 on the CPU.

    A line break goes before the text and is not read: the first position's state is like no other.
    """
    import torch
    from nnsight import TransformersModel

    tokenizer: Any = loaded.tokenizer
    first: list[int] = tokenizer("\n", add_special_tokens=False).input_ids
    rows = [first + tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    path = decoder_layers(loaded.module)[0]
    lm: Any = TransformersModel(loaded.module, tokenizer=loaded.tokenizer)
    block: Any = attrgetter(path)(lm)

    def run(part: Sequence[list[int]]) -> list[Tensor]:
        ids, mask, positions = pad_left(part, 0, input_device(loaded))
        batch = {"input_ids": ids, "attention_mask": mask, "position_ids": positions.clamp(min=0)}
        with torch.inference_mode():
            with lm.trace(batch, use_cache=False) as tracer:
                hidden: Any = block[layer].output.save()
                tracer.stop()
            read = (positions >= len(first)).to(hidden.device)[..., None]  # [row, position, 1]
            total = torch.where(read, hidden.double(), 0.0).sum(1)
            return list((total / read.sum(1).clamp(min=1)).cpu())

    found: dict[int, Tensor] = {}
    for done in in_batches(rows, BATCH, run, length=len):
        found.update(done)
    return torch.stack([found[i] for i in range(len(rows))]) if rows else torch.zeros(0, loaded.d_model)


def _of_arm(
    ids: Sequence[str], asked: Tensor, own: Mapping[str, str], states: Mapping[str, Tensor], centre: Tensor
) -> Relevance:
    import torch

    answered = [i for i, name in enumerate(ids) if own.get(name, "") in states]
    if not answered:
        return Relevance(None, None, None, 0, {})
    given = _unit(torch.stack([states[own[ids[i]]] for i in answered]) - centre)
    cosine = given @ asked.T  # [answer, question]
    mine = cosine[torch.arange(len(answered)), answered]
    others = len(ids) - 1
    above = ((mine[:, None] > cosine).sum(1) + (((mine[:, None] == cosine).sum(1) - 1) / 2)) / others
    return Relevance(
        own=float(mine.mean()),
        shuffled=float(((cosine.sum(1) - mine) / others).mean()),
        above=float(above.mean()),
        n=len(answered),
        each={ids[i]: float(value) for i, value in zip(answered, mine, strict=True)},
    )


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-12)
