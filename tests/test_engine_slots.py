"""What the slot engine promises beside parity: little wasted work, shared prompts, a sound cache."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import sweep as benchmark
from steer import models
from steer.engines.attention import Part, attend, tiles_of
from steer.engines.cache import Prefix, SlotCache, prefix_of
from steer.engines.reference import ReferenceEngine
from steer.engines.schedule import Queue
from steer.engines.slots import SlotEngine
from steer.types import Addition, Limits, LoadedModel, Request, ScoreRow
from tests.engine_cases import tiny_model


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("qwen"), "qwen3")


@pytest.fixture(scope="module")
def organism() -> LoadedModel:
    return models.load("organism", dtype="float32")


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
    monkeypatch.setattr("steer.engines.slots.PREFILL_TOKENS", {"cpu": 50})
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
        lambda self, lengths, longest: (widest.append(len(lengths)), begin(self, lengths, longest))[1],
    )
    for free, expected in ((row * 10, 4), (row, 1), (row * 10**6, len(rows))):
        widest.clear()
        monkeypatch.setattr("steer.engines.slots.free_bytes", lambda _device, free=free: free)
        list(SlotEngine(qwen).generate(rows))
        assert max(widest) == expected
    monkeypatch.setattr("steer.engines.slots.FEW_ROWS", 3)
    for enough, expected in ((row * 5, 5), (row, 3)):
        widest.clear()
        monkeypatch.setattr("steer.engines.slots.ENOUGH", enough)
        list(SlotEngine(qwen).generate(rows[:6]))
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


def random_layers(rows: int, columns: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(key, value) of two layers, [row, head 2, column, head_dim 4]."""
    generator = torch.Generator().manual_seed(0)

    def draw() -> torch.Tensor:
        return torch.randn(rows, 2, columns, 4, generator=generator, dtype=torch.float64)

    return [(draw(), draw()) for _ in range(2)]


def test_cache_keeps_a_prompt_once_and_rows_apart() -> None:
    """Rows enter, write, move and leave; every prompt and every own column is where it was put."""
    layers = random_layers(3, 70)
    lengths = {"a": 70, "b": 0, "c": 3}
    parts = {key: prefix_of(layers, [row, row], lengths[key]) for row, key in enumerate("abc")}
    cache = SlotCache([torch.device("cpu")] * 2, slots=4)
    for slot, key in enumerate("abca"):
        cache.enter(slot, key, parts[key])
    assert cache.prompts == 3
    held = dict(enumerate("abca"))
    written: dict[tuple[int, int, int], tuple[torch.Tensor, torch.Tensor]] = {}

    def step(own: list[int]) -> None:
        mask = cache.begin(torch.tensor(own), max(own))
        assert torch.equal(mask[:, 0, 0] == 0, torch.arange(mask.shape[-1]) <= torch.tensor(own)[:, None])
        for layer in range(2):
            new = torch.randn(2, len(own), 2, 1, 4, dtype=torch.float64)
            keys, values = cache.update(new[0], new[1], layer)
            for row, length in enumerate(own):
                written[layer, row, length] = new[0, row, :, 0], new[1, row, :, 0]
                for column in range(length + 1):
                    key, value = written[layer, row, column]
                    assert torch.equal(keys[row, :, column], key)
                    assert torch.equal(values[row, :, column], value)
            prompts = cache.prompt(layer)
            of = prompts[3].rows  # tile row -> row
            for row in range(len(own)):
                tile = int(prompts[3].at[row]) // prompts[3].size
                assert of[prompts[3].at[row]] == row
                place = tile if prompts[3].prompts is None else int(prompts[3].prompts[tile])
                length = lengths[held[row]]
                assert int((prompts[2][place] == 0).sum()) == length
                source = "abc".index(held[row])
                assert torch.equal(prompts[0][place, :, :length], layers[layer][0][source, :, :length])
                assert torch.equal(prompts[1][place, :, :length], layers[layer][1][source, :, :length])

    for column in range(90):  # past a bucket: slots grow
        step([column] * 4)
    cache.leave(0)
    cache.move(3, 0, 90)  # "a" stays: another row has it
    assert cache.prompts == 3
    held = dict(enumerate("abc"))
    written |= {(layer, 0, c): written[layer, 3, c] for layer in range(2) for c in range(90)}
    step([90, 90, 90])
    cache.leave(1)
    assert cache.prompts == 2  # "b" is gone, and "c" took its place
    cache.move(2, 1, 91)
    held = dict(enumerate("ac"))
    written |= {(layer, 1, c): written[layer, 2, c] for layer in range(2) for c in range(91)}
    step([91, 91])


def test_a_place_or_slot_that_held_nan_spoils_no_later_row() -> None:
    layers = random_layers(2, 9)
    bad = [(torch.full_like(k, torch.nan), torch.full_like(v, torch.nan)) for k, v in layers]
    cache = SlotCache([torch.device("cpu")] * 2, slots=1)
    cache.enter(0, "bad", prefix_of(bad, [0, 0], 9))
    cache.begin(torch.tensor([0]), 0)
    cache.update(*(torch.full((1, 2, 1, 4), torch.nan, dtype=torch.float64) for _ in range(2)), 0)
    cache.leave(0)
    cache.wipe(0)
    cache.enter(0, "good", prefix_of(layers, [1, 1], 3))
    cache.begin(torch.tensor([0]), 0)
    one = torch.ones(1, 2, 1, 4, dtype=torch.float64)
    for tensor in (*cache.update(one, one, 0), *cache.prompt(0)[:2]):
        assert tensor.isfinite().all()


def test_cache_grows_in_buckets() -> None:
    cache = SlotCache([torch.device("cpu")], slots=1)
    cache.enter(0, "a", Prefix(3, ((torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 2)),)))
    widths: set[int] = set()
    for length in range(2000):
        cache.begin(torch.tensor([length]), length)
        assert cache.width > length
        widths.add(cache.width)
    assert len(widths) <= 12


@pytest.mark.parametrize(
    ("prompt_of", "count", "size", "in_order"),
    [
        ([0, 1, 2], 3, 1, True),
        ([0, 0, 1, 1, 0, 1], 2, 3, True),
        ([2, 0, 1, 0], 3, 2, True),
        (
            [0, *[1] * 9, 2, 3, 4],
            7,
            3,
            False,
        ),  # five tiles of nine would lie mostly bare
    ],
)
def test_rows_are_laid_out_by_prompt(prompt_of: list[int], count: int, size: int, in_order: bool) -> None:
    tiles = tiles_of(prompt_of, max(prompt_of) + 1)
    assert (tiles.count, tiles.size, tiles.prompts is None) == (count, size, in_order)
    assert len(set(tiles.at.tolist())) == len(prompt_of)
    of = list(range(count)) if tiles.prompts is None else tiles.prompts.tolist()
    assert [of[at // size] for at in tiles.at.tolist()] == prompt_of
    assert tiles.rows[tiles.at].tolist() == list(range(len(prompt_of)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("prompt_of", [[0, 1, 0, 2, 0, 1], [0, 0, 0, 0, 0, 1, 2, 3], [3, 2, 1, 0]])
def test_attention_over_shared_prompts_is_attention(prompt_of: list[int], dtype: torch.dtype) -> None:
    """Row by row against softmax over the row's own list of columns; a prompt may have none."""
    draw = torch.Generator().manual_seed(1)
    rows, heads, group, dim = len(prompt_of), 2, 3, 8
    lengths, own = [5, 9, 0, 12], [1 + i % 4 for i in range(rows)]

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)

    def hidden(columns: int, counts: list[int]) -> torch.Tensor:
        bare = torch.arange(columns) >= torch.tensor(counts)[:, None]
        return torch.zeros(bare.shape, dtype=dtype).masked_fill(bare, torch.finfo(dtype).min)[:, None]

    query = 7 * random(rows, heads, group, dim)
    mine, theirs = random(2, rows, heads, 4, dim), random(2, 4, heads, 12, dim)
    tiles = tiles_of(prompt_of, 4)
    of = range(4) if tiles.prompts is None else tiles.prompts.tolist()
    prompts = theirs[:, list(of)]
    prompt_mask = hidden(12, [lengths[p] for p in of])
    got = attend(
        query,
        Part(mine[0].flatten(0, 1), mine[1].flatten(0, 1), hidden(4, own).repeat_interleave(heads, 0)),
        Part(prompts[0].flatten(0, 1), prompts[1].flatten(0, 1), prompt_mask.repeat_interleave(heads, 0)),
        tiles,
        scaling=0.3,
    )
    for row, p in enumerate(prompt_of):
        keys, values = (
            torch.cat([theirs[kind, p, :, : lengths[p]], mine[kind, row, :, : own[row]]], 1).double()
            for kind in (0, 1)
        )
        expected = (0.3 * query[row].double() @ keys.mT).softmax(-1) @ values
        tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
        torch.testing.assert_close(got[row].double(), expected, rtol=tolerance, atol=tolerance)


def test_the_organisms_sweep_wastes_little(organism: LoadedModel) -> None:
    """The sweep of `benchmarks.sweep`, cut to an eighth: work is counted in tokens, not in seconds."""
    source = Path(__file__).parents[1] / "organism/scenarios/evaluation.jsonl"
    cells = benchmark.sweep(organism, source, count=8, cells=8, span="last", new=96)
    engine = SlotEngine(organism, batch=32)
    tokens = sum(len(r.output_ids) for r in engine.generate([row for cell in cells for row in cell]))
    assert tokens / engine.work.row_steps >= 0.9
    assert engine.work.prefilled / engine.work.prompts <= 1.05


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_prompt_is_scored_once_for_all_its_answers(qwen: LoadedModel, attention: str) -> None:
    """Answers to one prompt, unsteered or steered after it, cost it once, with the plain numbers."""
    draw = random.Random(5)
    prompts = [tuple(draw.randrange(3, 300) for _ in range(40)) for _ in range(3)]
    cells = [(), (Addition(torch.randn(32), 1, 1.0, span="last", norm=3.0),)]
    cells += [(Addition(torch.randn(32), 2, 1.0, span="generated", norm=3.0),)]
    rows = [
        ScoreRow(prompt, tuple(draw.randrange(3, 300) for _ in range(draw.randrange(1, 9))), cell)
        for _ in range(7)
        for prompt in prompts
        for cell in cells
    ]
    qwen.module.set_attn_implementation(attention)
    fed: list[int] = []
    hook = qwen.module.model.layers[0].register_forward_pre_hook(
        lambda _m, args: fed.append(args[0].shape[1] * args[0].shape[0])
    )
    try:
        shared = list(SlotEngine(qwen, batch=8).score(rows, lambda _row, own: own))
    finally:
        hook.remove()
        qwen.module.set_attn_implementation("sdpa")
    plain = list(ReferenceEngine(qwen, batch=8).score(rows, lambda _row, own: own))
    answers = sum(len(row.answer_ids) - 1 for row in rows)  # a last token is not fed
    ends = 3 * 3  # a prompt's last token, once for each of its cells
    assert answers + ends + 3 * 39 <= sum(fed) <= 1.5 * (answers + ends) + 3 * 39
    for left, right in zip(shared, plain, strict=True):
        assert torch.allclose(left, right, atol=1e-5)


@pytest.mark.parametrize("span", ["last", "all"])
def test_what_prompts_begin_with_is_scored_once_and_no_logits_are_made_in_vain(
    qwen: LoadedModel, span: Any
) -> None:
    draw = random.Random(6)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, 300) for _ in range(count))

    start, cell = ids(40), Addition(torch.randn(32), 1, 1.0, span=span, norm=3.0)
    prompts = [start + ids(count) for count in (2, 9, 10, 11, 12)]
    rows = [ScoreRow(prompt, ids(count)) for prompt in prompts for count in (3, 5)]
    rows += [ScoreRow(prompts[0], ids(4), (cell,)), ScoreRow(ids(20), ids(4))]
    fed: list[int] = []
    made: list[int] = []
    hooks = [
        qwen.module.model.layers[0].register_forward_pre_hook(
            lambda _m, args: fed.append(args[0][..., 0].numel())
        ),
        qwen.module.lm_head.register_forward_pre_hook(lambda _m, args: made.append(args[0][..., 0].numel())),
    ]
    try:
        shared = list(SlotEngine(qwen, batch=8).score(rows, lambda _row, own: own))
    finally:
        for hook in hooks:
            hook.remove()
    for got, plain in zip(shared, ReferenceEngine(qwen).score(rows, lambda _row, own: own), strict=True):
        torch.testing.assert_close(got, plain, rtol=0, atol=1e-9)
    steered = 3 + (2 if span == "last" else 42)  # it shares the beginning unless that is edited
    needed = 40 + (2 + 9 + 10 + 11 + 12 + 5 * (2 + 4)) + steered + 20 + 3
    assert needed <= sum(fed) <= 1.4 * needed  # pads
    assert sum(made) <= 1 + 5 * (1 + 2 + 4) + 2 * 4 + 5 * 4  # of prompts that share a forward, the most
