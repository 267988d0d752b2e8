"""What the slot engine promises beside parity: little wasted work, shared prompts, a sound cache."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch

from steer.engines.cache import Prefix, SlotCache, prefix_of
from steer.engines.schedule import Queue
from steer.engines.slots import SlotEngine
from steer.types import Addition, Limits, LoadedModel, Request
from tests.engine_cases import tiny_model


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("qwen"), "qwen3")


def sweep(
    span: Any, *, scenarios: int = 12, magnitudes: tuple[float, ...] = (-2.0, -1.0, 1.0, 2.0)
) -> list[Request]:
    """Scenarios x (layer, magnitude), as a vector sweep plans them; ends early and late."""
    draw = random.Random(0)
    prompts = [tuple(draw.randrange(3, 300) for _ in range(draw.randrange(20, 40))) for _ in range(scenarios)]
    directions = [torch.randn(32, generator=torch.Generator().manual_seed(layer)) for layer in range(4)]
    cells = [
        Addition(directions[layer], layer, magnitude, span=span, norm=3.0)
        for layer in range(4)
        for magnitude in magnitudes
    ]
    return [
        Request(
            f"{i}/{j}", prompt, tuple(range(0, 400, 23)), (cell,), 1.0, draw.getrandbits(64), Limits(64, 60)
        )
        for j, cell in enumerate(cells)
        for i, prompt in enumerate(prompts)
    ]


@pytest.mark.parametrize("span", ["last", "generated", "all"])
def test_nearly_every_executed_row_step_is_a_token_of_an_answer(qwen: LoadedModel, span: Any) -> None:
    engine = SlotEngine(qwen, batch=32)
    tokens = sum(len(r.output_ids) for r in engine.generate(sweep(span)))
    assert engine.work.output == tokens
    assert tokens / engine.work.row_steps >= 0.9


@pytest.mark.parametrize("span", ["last", "generated"])
def test_a_prompt_is_computed_once_for_all_its_cells(qwen: LoadedModel, span: Any) -> None:
    engine, rows = SlotEngine(qwen, batch=32), sweep(span)
    seen: list[int] = []
    hook = qwen.module.model.layers[0].register_forward_pre_hook(
        lambda _m, args: seen.append(args[0].shape[1] * args[0].shape[0]) if args[0].shape[1] > 1 else None
    )
    try:
        list(engine.generate(rows))
    finally:
        hook.remove()
    distinct = sum(len(prompt) for prompt in {row.prompt_ids for row in rows})
    assert engine.work.prompts == distinct
    assert sum(seen) == engine.work.prefilled + engine.work.pads
    assert engine.work.prefilled / distinct <= 1.05
    assert engine.work.pads / distinct <= 0.25


def test_a_steered_prompt_is_computed_once_up_to_the_first_edited_layer(qwen: LoadedModel) -> None:
    """`all` edits the prompt: cells share the layers below their edit, samples of a cell all of them."""
    engine, rows = SlotEngine(qwen, batch=48), sweep("all", scenarios=3)
    twice = rows + [replace(row, key=row.key + "/b", stream=row.stream + 1) for row in rows]
    list(engine.generate(twice))
    depth, cells = 4, 4
    # layers run: all prompts to the last edited layer; a cell those above its own
    own = sum(depth - 1 - layer for layer in range(depth)) * cells / depth
    expected = sum(len(prompt) - 1 for prompt in {r.prompt_ids for r in rows}) * (1 + own)
    assert engine.work.prefilled == pytest.approx(expected)
    assert engine.work.prefilled < 0.5 * sum(len(row.prompt_ids) - 1 for row in rows)


def test_few_slots_and_a_small_store_change_no_text(
    qwen: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = sweep("last", scenarios=5, magnitudes=(1.0,))
    expected = {r.key: r.output_ids for r in SlotEngine(qwen, batch=20).generate(rows)}
    monkeypatch.setattr("steer.engines.slots.PREFIX_SHARE", 0.0)
    monkeypatch.setattr("steer.engines.slots.PREFILL_TOKENS", 50)
    for batch in (1, 3):
        assert {r.key: r.output_ids for r in SlotEngine(qwen, batch=batch).generate(rows)} == expected


def test_responses_stream_while_rows_wait(qwen: LoadedModel) -> None:
    engine, rows = SlotEngine(qwen, batch=4), sweep("last", scenarios=4)
    first = next(engine.generate(rows))
    assert first.key in {row.key for row in rows}
    assert engine.work.row_steps < 4 * 60 + 4


def test_slots_by_default_come_from_free_memory(qwen: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = sweep("last", scenarios=4)
    row = 2 * 4 * 2 * 8 * 8 * (max(len(r.prompt_ids) for r in rows) + 60) + 16 * qwen.module.config.vocab_size
    widest: list[int] = []
    begin = SlotCache.begin
    monkeypatch.setattr(
        SlotCache,
        "begin",
        lambda self, lengths: (widest.append(len(lengths)), begin(self, lengths))[1],
    )
    for free, expected in ((row * 10, 4), (row, 1), (row * 10**6, len(rows))):
        widest.clear()
        monkeypatch.setattr("steer.engines.slots.free_bytes", lambda _device, free=free: free)
        list(SlotEngine(qwen).generate(rows))
        assert max(widest) == expected


def test_the_longest_expected_enters_first() -> None:
    """Half of the prompts and half of the cells run long; the queue learns which from finished rows."""
    cells = [(Addition(torch.ones(1), layer, 1.0),) for layer in range(4)]
    rows = [
        Request(f"{p}/{c}", (p, 1), (), cells[c], limits=Limits(9, 100 if p != 7 else 40))
        for p in range(8)
        for c in range(4)
        for _ in range(4)
    ]
    queue = Queue(rows)
    assert queue.ahead(1)[0].limits.new == 100
    taken = [queue.pop() for _ in range(64)]
    assert len({row.prompt_ids for row in taken}) >= 7
    assert len({row.additions for row in taken}) == 4
    for row in taken:
        queue.learn(row, 5 + 10 * (row.prompt_ids[0] >= 4) + 20 * (row.additions[0].layer >= 2))
    rest = [queue.pop() for _ in range(len(queue))]
    lengths = [10 * (row.prompt_ids[0] >= 4) + 20 * (row.additions[0].layer >= 2) for row in rest]
    assert lengths == sorted(lengths, reverse=True)


def test_cache_writes_each_row_at_its_own_length_and_keeps_rows_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    layers = [
        (torch.randn(3, 2, 5, 4, generator=generator), torch.randn(3, 2, 5, 4, generator=generator))
        for _ in range(2)
    ]
    parts = [prefix_of(layers, [row, row], length) for row, length in enumerate([5, 0, 3])]
    cache = SlotCache([torch.device("cpu")] * 2, slots=3)
    for slot, part in enumerate(parts):
        assert part.length == [5, 0, 3][slot]
        cache.fill(slot, part)
    cache.reserve(200)
    assert cache.width >= 200
    cache.begin(torch.tensor([5, 0, 3]), 6)
    for layer, (keys, values) in enumerate(layers):
        new_key, new_value = (torch.randn(3, 2, 1, 4, generator=generator) for _ in range(2))
        got_keys, got_values = cache.update(new_key, new_value, layer)
        for row, length in enumerate([5, 0, 3]):
            assert torch.equal(got_keys[row, :, :length], keys[row, :, :length])
            assert torch.equal(got_keys[row, :, length], new_key[row, :, 0])
            assert torch.equal(got_values[row, :, :length], values[row, :, :length])
            assert torch.equal(got_values[row, :, length], new_value[row, :, 0])
    cache.move(2, 1, 4)
    cache.wipe(0)
    cache.begin(torch.tensor([0, 4]), 5)
    got_keys, _ = cache.update(torch.ones(2, 2, 1, 4), torch.ones(2, 2, 1, 4), 0)
    assert torch.equal(got_keys[1, :, :3], layers[0][0][2, :, :3])
    assert torch.equal(got_keys[0, :, 1:], torch.zeros(2, 4, 4))


def test_cache_grows_in_buckets() -> None:
    cache = SlotCache([torch.device("cpu")], slots=1)
    cache.fill(0, Prefix(3, ((torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 2)),)))
    widths: set[int] = set()
    for width in range(1, 2000):
        cache.reserve(width)
        assert cache.width >= width
        widths.add(cache.width)
    assert len(widths) <= 12
