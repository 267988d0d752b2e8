"""Reads the residual stream: token rows in, `[slot, layer, d_model]` on the CPU out, through nnsight.

One forward a batch, reduced over positions inside the trace, stopped after the last layer needed. What rows
begin with is computed once, where the model attends to all that is before a token. A row may be steered: what
is read at a layer is what the next one gets. It does not know contrasts, recipes or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steer.blocks import decoder_layers, stream, with_stream
from steer.elsewhere import each
from steer.engines.support import unsupported
from steer.errors import UserError
from steer.interventions import Steering, span_range
from steer.ropes import NEVER, apart, own_positions
from steer.tracing import traced
from steer.types import SPANS, Addition, LoadedModel, Span
from vectors.packs import Pack, packed, visible

if TYPE_CHECKING:
    from torch import Tensor, dtype

BATCH_TOKENS = 8192
"""Most tokens (pads included) of one forward, unless one row alone is longer."""


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids, and the half-open range `[start, end)` of positions whose residual stream is averaged.

    Rows with the same `slot` are averaged with equal weight: paraphrases of one prompt, say.
    additions: what is done to the row, whose first `prompt` tokens are its prompt.
    """

    ids: tuple[int, ...]
    start: int
    end: int
    slot: int
    additions: tuple[Addition, ...] = ()
    prompt: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= len(self.ids):
            raise ValueError(f"row of {len(self.ids)} tokens cannot be read at [{self.start}, {self.end})")


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """A prompt and the answer that followed it (perhaps none): what span statistics are taken over."""

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SpanStatistics:
    """Of the unsteered residual stream at one layer over the positions of one span.

    norm: mean |h| (n_L). projection_mean, projection_std: of h on d/|d|, nan without a direction.
    """

    norm: float
    projection_mean: float
    projection_std: float
    positions: int


def retained_bytes(pairs: int, layers: int, d_model: int) -> int:
    """Bytes a contrast keeps on the CPU: two sides of `[pairs, layers, d_model]` fp32."""
    return 2 * pairs * layers * d_model * 4


def parse_layers(text: str, n_layers: int) -> tuple[int, ...]:
    """`all`, `7`, `10-20` (both ends included) or a comma-separated mixture, ascending and distinct."""
    allowed = f"allowed are all, 0 to {n_layers - 1}, ranges such as 0-{n_layers - 1}, and lists of them"
    if text.strip() == "all":
        return tuple(range(n_layers))
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = (p.strip() for p in part.partition("-"))
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise UserError(f"cannot read layers {text!r}: {allowed}")
        first, last = int(low), int(high or low)
        if first > last:
            raise UserError(f"layers {part.strip()!r} run backwards: did you mean {last}-{first}?")
        found.update(range(first, last + 1))
    check_layers(found, n_layers)
    return tuple(sorted(found))


def check_layers(layers: Sequence[int] | set[int], n_layers: int) -> None:
    """Raise UserError unless there is a layer and every one exists."""
    if not layers:
        raise UserError(f"no layer was chosen: allowed are 0 to {n_layers - 1}")
    wrong = sorted(layer for layer in layers if not 0 <= layer < n_layers)
    if wrong:
        raise UserError(f"layer {wrong[0]} is out of range: the model's layers are 0 to {n_layers - 1}")


def batches(
    lengths: Sequence[int], *, batch_tokens: int = BATCH_TOKENS, bound: int = NEVER
) -> Iterator[list[int]]:
    """Row numbers in batches of like length, longest first; rows x longest row <= batch_tokens.

    Rows of `bound` tokens or more go alone (see `steer.ropes`).
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        size = max(1, batch_tokens // longest) if longest < bound else 1
        yield order[start : start + size]
        start += size


def encode(loaded: LoadedModel, packs: Sequence[Pack]) -> tuple[dict[str, Tensor], list[int]]:
    """Pad rows on the tokenizer's side; returns the forward's inputs and the number of pads before each row.

    Packs of several rows are right-padded, and say themselves what attends to what.
    """
    import torch

    width = max(len(pack.ids) for pack in packs)
    several = any(len(pack.rows) > 1 for pack in packs)
    left = loaded.tokenizer.padding_side == "left" and not several
    offsets = [width - len(pack.ids) if left else 0 for pack in packs]
    input_ids = torch.zeros(len(packs), width, dtype=torch.long)  # pads are masked: any id will do
    positions = torch.zeros(len(packs), width, dtype=torch.long)
    mask = torch.zeros(len(packs), width, dtype=torch.long)
    for i, (pack, offset) in enumerate(zip(packs, offsets, strict=True)):
        own = slice(offset, offset + len(pack.ids))
        input_ids[i, own], positions[i, own] = torch.tensor(pack.ids), torch.tensor(pack.positions)
        mask[i, own] = 1
    if several:
        hidden = ~visible(packs, width)
        mask = torch.zeros(hidden.shape, dtype=loaded.module.dtype).masked_fill(hidden, float("-inf"))
    encoded = {"input_ids": input_ids, "attention_mask": mask, "position_ids": positions}
    return {name: tensor.to(loaded.module.device) for name, tensor in encoded.items()}, offsets


def _trace(
    loaded: LoadedModel,
    packs: Sequence[Pack],
    layers: Sequence[int],
    read: Callable[[int, Tensor, list[int]], Tensor],
    steering: Steering | None = None,
) -> Tensor:
    """One forward; `read(k, hidden [pack, column, d_model], pads before each pack)` at the k-th of `layers`.

    steering: of packs that are one row. Returns the readings stacked along a new first axis: `[layer, ...]`
    on the CPU.
    """
    import torch

    lm, blocks = traced(loaded)
    encoded, offsets = encode(loaded, packs)
    # `batches` parted them; it sets the frequencies back
    apart(loaded.module, packs, max(len(pack.ids) for pack in packs))
    edited = [] if steering is None else [layer for layer in steering.layers if layer <= layers[-1]]
    if steering is not None:
        positions = torch.full_like(encoded["position_ids"], -1)
        for i, (pack, offset) in enumerate(zip(packs, offsets, strict=True)):
            positions[i, offset : offset + len(pack.ids)] = torch.arange(len(pack.ids))
        steering.begin(positions)
    with torch.inference_mode(), lm.trace(encoded, use_cache=False) as tracer:
        kept: list[Tensor] = []
        for layer in sorted({*layers, *edited}):
            hidden = stream(blocks[layer].output, loaded.d_model)
            if steering is not None and layer in edited:
                hidden = steering.edit(layer, hidden)
                blocks[layer].output = with_stream(blocks[layer].output, hidden)
            if layer in layers:
                kept.append(read(len(kept), hidden, offsets))
        stacked: Any = torch.stack(kept).cpu()
        out = stacked.save()
        tracer.stop()
    return out


def capture(
    loaded: LoadedModel,
    rows: Sequence[Row],
    *,
    layers: Sequence[int],
    slots: int,
    batch_tokens: int = BATCH_TOKENS,
) -> Tensor:
    """Mean residual stream at the output of each of `layers` (ascending), per slot.

    Returns `[slots, layers, d_model]` on the CPU, fp32 or the model's own fp64; every slot must have a row.
    """
    import torch

    check_layers(layers, loaded.n_layers)
    if list(layers) != sorted(set(layers)):
        raise ValueError(f"layers must ascend without repeats: {list(layers)}")
    counts = torch.zeros(slots)
    for row in rows:
        counts[row.slot] += 1
    if (counts == 0).any():
        raise ValueError("a slot without a row cannot be averaged")
    wide: dtype = torch.float64 if loaded.module.dtype == torch.float64 else torch.float32
    total = torch.zeros(slots, len(layers), loaded.d_model, dtype=wide)
    plain = {i: row.ids for i, row in enumerate(rows) if not row.additions}
    steered = {i: row.ids for i, row in enumerate(rows) if row.additions}
    packs = [*_packs(loaded, plain), *packed(steered, share=False)]
    lengths = [len(pack.ids) for pack in packs]
    for batch in batches(lengths, batch_tokens=batch_tokens, bound=own_positions(loaded.module)):
        chosen = [packs[i] for i in batch]

        def read(k: int, hidden: Tensor, offsets: list[int], chosen: list[Pack] = chosen) -> Tensor:
            means = [
                hidden[i, [offset + c for c in columns[rows[n].start : rows[n].end]]].mean(0, dtype=wide)
                for i, (pack, offset) in enumerate(zip(chosen, offsets, strict=True))
                for n, columns in pack.rows.items()
            ]
            return torch.stack(means)  # [row, d_model]

        steering = _steering(loaded, [rows[next(iter(pack.rows))] for pack in chosen])
        found = _trace(loaded, chosen, layers, read, steering)  # [layer, row, d_model]
        for i, n in enumerate(n for pack in chosen for n in pack.rows):
            total[rows[n].slot] += found[:, i] / counts[rows[n].slot]
    return total


def _packs(loaded: LoadedModel, rows: Mapping[int, tuple[int, ...]]) -> list[Pack]:
    """Packs of rows that are not steered, where a row's positions and what it attends to are its own."""
    bound = own_positions(loaded.module)
    return packed(rows, share=not unsupported(loaded) and all(len(ids) < bound for ids in rows.values()))


def _steering(loaded: LoadedModel, rows: Sequence[Row]) -> Steering | None:
    if not any(row.additions for row in rows):
        return None
    found = Steering(
        decoder_layers(loaded.module)[1], rows=len(rows), d_model=loaded.d_model, dtype=loaded.module.dtype
    )
    for i, row in enumerate(rows):
        found.set(i, row.additions, row.prompt)
    return found


def span_statistics(
    loaded: LoadedModel,
    rows: Sequence[AnsweredRow],
    *,
    directions: dict[int, Tensor],
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] | None = None,
) -> dict[Span, dict[int, SpanStatistics]]:
    """n_L and the projections on each layer's direction, over the unsteered rows, for every span.

    The mean runs over positions, so a long row weighs more than a short one: it is the mean over what
    an addition would edit. A span without a position (no answers: `generated`) is left out.
    """
    import torch

    layers = sorted(directions)
    check_layers(layers, loaded.n_layers)
    lengths = [len(row.prompt_ids) + len(row.answer_ids) for row in rows]
    spans: list[list[tuple[int, int]]] = []  # [span][row] -> positions [start, end)
    for span in SPANS:
        edited = [span_range(span, len(row.prompt_ids)) for row in rows]
        spans.append([(min(a, n), min(b, n)) for (a, b), n in zip(edited, lengths, strict=True)])
    units = [directions[layer].double() / directions[layer].double().norm() for layer in layers]
    # [layer, (sum |h|, sum p, sum p^2), span] with p the projection on d/|d|
    sums = torch.zeros(len(layers), 3, len(SPANS), dtype=torch.float64)
    packs = _packs(loaded, {i: row.prompt_ids + row.answer_ids for i, row in enumerate(rows)})
    fed = [len(pack.ids) for pack in packs]
    chosen = [
        [packs[i] for i in batch]
        for batch in batches(fed, batch_tokens=batch_tokens, bound=own_positions(loaded.module))
    ]
    found_sums = each(loaded, _span_sums, ((batch, spans, layers, units) for batch in chosen))
    for batch, part in zip(chosen, found_sums, strict=True):
        sums += part
        if progress is not None:
            progress(sum(len(pack.rows) for pack in batch))
    found: dict[Span, dict[int, SpanStatistics]] = {}
    for s, span in enumerate(SPANS):
        count = sum(max(0, end - start) for start, end in spans[s])
        if count == 0:
            continue
        per_layer: dict[int, SpanStatistics] = {}
        for k, layer in enumerate(layers):
            norm, mean, square = (sums[k, :, s] / count).tolist()
            per_layer[layer] = SpanStatistics(norm, mean, math.sqrt(max(0.0, square - mean**2)), count)
        found[span] = per_layer
    return found


def _span_sums(
    loaded: LoadedModel,
    packs: Sequence[Pack],
    spans: Sequence[Sequence[tuple[int, int]]],
    layers: Sequence[int],
    units: Sequence[Tensor],
) -> Tensor:
    """[layer, (sum |h|, sum p, sum p^2), span] fp64 of one batch, with p the projection on `units` (d/|d|).

    spans: [span][row number] -> positions [start, end).
    """
    import torch

    def read(k: int, hidden: Tensor, offsets: list[int]) -> Tensor:
        times = torch.zeros(len(spans), *hidden.shape[:2], dtype=torch.float64)  # [span, pack, column]
        for s, of in enumerate(spans):
            for i, (pack, offset) in enumerate(zip(packs, offsets, strict=True)):
                for row, columns in pack.rows.items():
                    times[s, i, [offset + column for column in columns[slice(*of[row])]]] += 1
        values = hidden.float()
        n = values.norm(dim=-1).cpu().double()  # [pack, column]
        p = (values @ units[k].to(values)).cpu().double()
        figures = torch.stack((n, p, p * p)).unsqueeze(1)  # [3, 1, pack, column]
        # pads may hold anything, nan too
        return torch.where(times > 0, times * figures, 0.0).sum((-2, -1))

    return _trace(loaded, packs, layers, read)
