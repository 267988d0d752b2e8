"""Teacher-forced scoring: the log-probabilities of given answers, steered as in generation.

The batching is here; the forward pass is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from steer.engines.batching import in_batches, input_device, pad_left, with_adapters
from steer.interventions import Steering, decoder_layers
from steer.types import LoadedModel, Read, ScoreRow

if TYPE_CHECKING:
    from torch import Tensor

Forward = Callable[["Tensor", "Tensor", "Tensor", int, Steering], "Tensor"]
"""(ids, attention mask, position ids, how many last positions' logits, steering) -> logits."""


def score(
    loaded: LoadedModel, rows: Iterable[ScoreRow], read: Read, *, batch: int, forward: Forward
) -> Iterator[Tensor]:
    """`read` of each row's log-probabilities [answer, vocab] fp32, in the order of `rows`.

    Positions and spans are those of generation: answer token i is fed at position prompt + i.
    """
    import torch

    layers = decoder_layers(loaded.module)[1]

    def run(part: Sequence[ScoreRow]) -> list[Tensor]:
        # the last answer token predicts nothing that is asked for: it is not fed
        fed = [row.prompt_ids + row.answer_ids[:-1] for row in part]
        ids, mask, positions = pad_left(
            fed, loaded.stop_ids[0] if loaded.stop_ids else 0, input_device(loaded)
        )
        steering = Steering(layers, rows=len(part), d_model=loaded.d_model, dtype=loaded.module.dtype)
        for index, row in enumerate(part):
            steering.set(index, row.additions, len(row.prompt_ids))
        steering.begin(positions)
        longest = max(1, *(len(row.answer_ids) for row in part))
        with torch.inference_mode():
            logits = forward(ids, mask, positions.clamp(min=0), longest, steering)
            results: list[Tensor] = []
            for row, own in zip(part, logits, strict=True):
                count = len(row.answer_ids)
                results.append(read(row, own[longest - count :].float().log_softmax(-1)).clone())
            return results

    ready: dict[int, Tensor] = {}
    due = 0
    for done in in_batches(
        rows,
        batch,
        lambda part: with_adapters(loaded.module, part, run),
        length=lambda row: len(row.prompt_ids) + len(row.answer_ids),
    ):
        ready.update(done)
        while due in ready:
            yield ready.pop(due)
            due += 1
