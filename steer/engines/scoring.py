"""Teacher-forced scoring: the log-probabilities of given answers, steered as in generation.

The batching is here; the forward pass is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from steer.blocks import decoder_layers
from steer.engines.batching import WINDOW, give_back, in_batches, input_device, pad_left, with_adapters
from steer.engines.prefill import Branches, steered
from steer.engines.trees import Family, Tree, families, lay_out
from steer.interventions import Steering, first_layer
from steer.ropes import apart, own_positions
from steer.types import Engine, LoadedModel, Read, Reading, ScoreRow

if TYPE_CHECKING:
    from torch import Tensor, nn

Forward = Callable[["Tensor", "Tensor", "Tensor", int, Steering], "Tensor"]
"""(ids, attention mask, position ids, how many last positions' logits, steering) -> logits."""

Follow = Callable[["Tensor", "Tensor", "Tensor", int, Any, Steering, Branches], "Tensor"]
"""(ids, additive mask [row, 1, position, column], position ids, how many last positions' logits, past keys
and values, steering, branches) -> logits, of the rows that branched off and then of the shared ones if any
row did not."""

TOKENS = 2048
"""Fed at once, pads included: more would only cost memory."""


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
    """As `score`, but what rows share is computed once: the beginning of a prompt, a whole one for all its
    answers, and a prompt with its answers up to the first edit.

    A sweep scores a prompt under hundreds of answers, and an answer under hundreds of edits.
    """
    found, bound = iter(rows), own_positions(loaded.module)
    while window := list(islice(found, WINDOW * batch)):
        numbered = list(enumerate(window))
        results: dict[int, Tensor] = {}
        for family in families([(i, row) for i, row in numbered if _shareable(row, bound)]):
            results.update(_scored(loaded, window, family, read, batch, follow))
            give_back()
        alone = [i for i, row in numbered if not _shareable(row, bound)]
        rest = score(loaded, [window[i] for i in alone], read, batch=batch, forward=forward)
        results.update(zip(alone, rest, strict=True))
        yield from (results[i] for i in range(len(window)))


def _shareable(row: ScoreRow, bound: int) -> bool:
    """Whether a row may be computed with others. bound: as `own_positions` gives it."""
    length = len(row.prompt_ids) - 1 + len(row.answer_ids)
    return bool(row.prompt_ids and row.answer_ids) and not row.adapter and length < bound


def _scored(
    loaded: LoadedModel, rows: Sequence[ScoreRow], family: Family, read: Read, batch: int, follow: Follow
) -> Iterator[tuple[int, Tensor]]:
    """`read` of a family's rows, by their numbers."""
    import torch

    layers, device = decoder_layers(loaded.module)[1], input_device(loaded)
    since, depth = family.since, len(layers)
    past = _past(loaded, layers, family.trees[0], since)

    def first_edit(tree: Tree) -> int:
        return min(map(first_layer, tree.additions), default=depth) if family.same else -1

    def run(part: Sequence[Tree]) -> list[list[tuple[int, Tensor]]]:
        order = sorted(range(len(part)), key=lambda i: first_edit(part[i]))
        trees = [part[i] for i in order]
        fed = trees[:1] if family.same else trees
        ids, positions, mask = lay_out(fed, since, device, loaded.module.dtype)
        branches = Branches(
            tuple(map(first_edit, trees)), (0,) * len(trees) if family.same else tuple(range(len(trees)))
        )
        steering = Steering(layers, rows=len(trees), d_model=loaded.d_model, dtype=loaded.module.dtype)
        for place, tree in enumerate(trees):
            steering.set(place, tree.additions, len(tree.prompt), since=since)
        steering.begin(positions.expand(len(trees), -1))
        keep = max(tree.predicted for tree in trees)
        found: dict[int, list[tuple[int, Tensor]]] = {}
        with torch.inference_mode():
            logits = follow(ids, mask, positions.clamp(min=0), keep, past, steering, branches)
            for place, i in enumerate(order):
                own = logits[branches.place(place, depth), keep - part[i].predicted :]
                found[i] = []
                for columns, numbers in part[i].predicting():
                    log_p = wide(own[columns]).log_softmax(-1)
                    found[i] += [(number, read(rows[number], log_p).clone()) for number in numbers]
        return [found[i] for i in range(len(part))]

    size = max(1, min(batch, TOKENS // max(tree.size(since) for tree in family.trees)))
    for done in in_batches(family.trees, size, run, length=lambda tree: tree.size(since)):
        for _, scored in done:
            yield from scored


def _past(loaded: LoadedModel, layers: Sequence[nn.Module], tree: Tree, since: int) -> _Past:
    """Keys and values of the first tokens of a tree, with what is added there."""
    import torch
    from transformers import DynamicCache

    if not since:
        return _Past([], 0)
    device = input_device(loaded)
    cache: Any = DynamicCache()
    reaching = Steering(layers, rows=1, d_model=loaded.d_model, dtype=loaded.module.dtype)
    reaching.set(0, tree.additions, len(tree.prompt))
    reaching.begin(torch.arange(since, device=device)[None])
    with torch.inference_mode(), steered(layers, reaching):
        head = torch.tensor([tree.prompt[:since]], device=device)
        loaded.module(input_ids=head, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return _Past([(layer.keys, layer.values) for layer in cache.layers], since)


class _Past:
    """`past_key_values` of forwards after shared tokens: rows see their keys and values; none are added."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], length: int) -> None:
        self._layers, self._length = layers, length

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """[row, head, position, head_dim] of the new tokens -> of the shared ones and them."""
        import torch

        if not self._length:
            return key_states, value_states
        keys, values = (part.expand(len(key_states), -1, -1, -1) for part in self._layers[layer_idx])
        return torch.cat([keys, key_states], 2), torch.cat([values, value_states], 2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self._length
