"""Teacher-forced scoring: the log-probabilities of given answers, steered as in generation.

The batching is here; the forward pass is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from steer.blocks import decoder_layers
from steer.engines.batching import WINDOW, in_batches, input_device, pad_left, with_adapters
from steer.engines.prefill import Branches, Share, share, steered
from steer.interventions import Steering, first_layer
from steer.ropes import apart, own_positions
from steer.types import Engine, LoadedModel, Read, Reading, ScoreRow

if TYPE_CHECKING:
    from torch import Tensor

Forward = Callable[["Tensor", "Tensor", "Tensor", int, Steering], "Tensor"]
"""(ids, attention mask, position ids, how many last positions' logits, steering) -> logits."""

Follow = Callable[["Tensor", "Tensor", "Tensor", Any, Steering, Branches], "Tensor"]
"""(ids, additive mask [1, 1, position, column], position ids [1, position], past keys and values, steering,
branches) -> logits, of the rows that branched off and then of the shared ones if any row did not."""


def read_at(read: Read | Reading, engine: Engine) -> Read:
    """What reduces rows on this engine."""
    return read if callable(read) else read.at(engine)


def wide(logits: Tensor) -> Tensor:
    """fp32, or fp64 where the model is."""
    return logits if logits.element_size() == 8 else logits.float()


def score(
    loaded: LoadedModel, rows: Iterable[ScoreRow], read: Read, *, batch: int, forward: Forward
) -> Iterator[Tensor]:
    """`read` of each row's log-probabilities [answer, vocab] (fp32 or wider), in the order of `rows`.

    Positions and spans are those of generation: answer token i is fed at position prompt + i.
    """
    import torch

    layers = decoder_layers(loaded.module)[1]

    def run(part: Sequence[ScoreRow]) -> list[Tensor]:
        # the last answer token predicts nothing that is asked for: it is not fed
        fed = [row.prompt_ids + row.answer_ids[:-1] for row in part]
        if apart(loaded.module, part, max(map(len, fed))):
            return [found for one in part for found in run([one])]
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
                results.append(read(row, wide(own[longest - count :]).log_softmax(-1)).clone())
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


def score_shared(
    loaded: LoadedModel,
    rows: Iterable[ScoreRow],
    read: Read,
    *,
    batch: int,
    forward: Forward,
    follow: Follow,
) -> Iterator[Tensor]:
    """As `score`, but rows with one prompt, and one steering of it, compute it once; and rows with one
    answer as well, up to their first edit.

    A sweep scores a prompt under hundreds of answers, and an answer under hundreds of edits.
    """
    found, bound = iter(rows), own_positions(loaded.module)
    while window := list(islice(found, WINDOW * batch)):
        groups: dict[Share | None, list[int]] = {}
        for index, row in enumerate(window):
            groups.setdefault(_shareable(row, bound), []).append(index)
        results: dict[int, Tensor] = {}
        alone = groups.pop(None, [])
        for part in groups.values():
            if len(part) == 1:
                alone += part
            else:
                scored = _after(loaded, [window[i] for i in part], read, batch, follow)
                results.update(zip(part, scored, strict=True))
        rest = score(loaded, [window[i] for i in alone], read, batch=batch, forward=forward)
        results.update(zip(alone, rest, strict=True))
        yield from (results[i] for i in range(len(window)))


def _shareable(row: ScoreRow, bound: int) -> Share | None:
    """What a row's keys and values up to its prompt's last token depend on; None where it runs alone.

    bound: as `own_positions` gives it.
    """
    last = len(row.prompt_ids) - 1
    if last > 0 and not row.adapter and row.answer_ids and last + len(row.answer_ids) < bound:
        return share(row)
    return None


def _after(
    loaded: LoadedModel, rows: Sequence[ScoreRow], read: Read, batch: int, follow: Follow
) -> Iterator[Tensor]:
    """`read` of rows that share a prompt and what is added to it, in their order."""
    import torch
    from transformers import DynamicCache

    layers, device = decoder_layers(loaded.module)[1], input_device(loaded)
    prompt = rows[0].prompt_ids
    before = len(prompt) - 1
    cache: Any = DynamicCache()
    reaching = Steering(layers, rows=1, d_model=loaded.d_model, dtype=loaded.module.dtype)
    reaching.set(0, rows[0].additions, len(prompt))
    reaching.begin(torch.arange(before, device=device)[None])
    with torch.inference_mode(), steered(layers, reaching):
        head = torch.tensor([prompt[:-1]], device=device)
        loaded.module(input_ids=head, past_key_values=cache, use_cache=True, logits_to_keep=1)
    past = _Past([(layer.keys, layer.values) for layer in cache.layers], before)

    def first_edit(same: Sequence[ScoreRow]) -> int:
        return min(map(first_layer, same[0].additions), default=len(layers))

    def run(part: Sequence[Sequence[ScoreRow]]) -> list[list[Tensor]]:
        # right-padded: causal attention keeps the pads out by itself
        order = sorted(range(len(part)), key=lambda i: first_edit(part[i]))
        answers = [same[0].answer_ids[:-1] for same in part]
        distinct = {answer: row for row, answer in enumerate(dict.fromkeys(answers))}
        fed = [(prompt[-1], *answer) for answer in distinct]
        width = max(map(len, fed))
        ids = torch.tensor([[*one, *[prompt[-1]] * (width - len(one))] for one in fed], device=device)
        steps = torch.arange(width, device=device)
        lengths = torch.tensor([1 + len(answers[i]) for i in order], device=device)
        branches = Branches(
            tuple(first_edit(part[i]) for i in order), tuple(distinct[answers[i]] for i in order)
        )
        steering = Steering(layers, rows=len(part), d_model=loaded.d_model, dtype=loaded.module.dtype)
        for row, i in enumerate(order):
            steering.set(row, part[i][0].additions, len(prompt), since=before)
        steering.begin(torch.where(steps < lengths[:, None], before + steps, -1))
        hidden = torch.arange(before + width, device=device) > before + steps[:, None]
        mask = torch.zeros(hidden.shape, dtype=loaded.module.dtype, device=device)
        mask = mask.masked_fill(hidden, float("-inf"))[None, None]
        found: dict[int, list[Tensor]] = {}
        with torch.inference_mode():
            logits = follow(ids, mask, (before + steps)[None], past, steering, branches)
            for row, i in enumerate(order):
                own = logits[branches.place(row, len(layers))]
                log_p = wide(own[: 1 + len(answers[i])]).log_softmax(-1)
                found[i] = [read(one, log_p).clone() for one in part[i]]
        return [found[i] for i in range(len(part))]

    # answers that differ in their last token alone are one computation: it is not fed
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, row in enumerate(rows):
        key = (*map(id, row.additions), "fed", *row.answer_ids[:-1])
        groups.setdefault(key, []).append(index)
    together = [[rows[i] for i in group] for group in groups.values()]
    done = in_batches(together, batch, run, length=lambda same: len(same[0].answer_ids))
    found = dict(pair for part in done for pair in part)
    ready = {
        i: one for n, group in enumerate(groups.values()) for i, one in zip(group, found[n], strict=True)
    }
    yield from (ready[i] for i in range(len(rows)))


class _Past:
    """`past_key_values` of forwards after one prompt: rows see its keys and values; none are added."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], length: int) -> None:
        self._layers, self._length = layers, length

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """[row, head, position, head_dim] of the new tokens -> of the prompt and them."""
        import torch

        keys, values = (part.expand(len(key_states), -1, -1, -1) for part in self._layers[layer_idx])
        return torch.cat([keys, key_states], 2), torch.cat([values, value_states], 2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._length
