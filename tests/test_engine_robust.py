"""What must not lose, repeat or spoil a row: short memory, bad logits, long prompts, interrupts."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch

from steer.engines import bare_engine, make_engine
from steer.engines.slots import SlotEngine
from steer.engines.support import unsupported
from steer.errors import UserError
from steer.types import Addition, Engine, Limits, LoadedModel, Response, ScoreRow
from tests.engine_cases import requests, tiny_model

KINDS = ["nnsight", "slots"]
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried 1 byte"
    ),
]


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("qwen"), "qwen3")


@pytest.fixture(scope="module")
def moe(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("moe"), "qwen3_moe")


@contextmanager
def raising(
    module: Any, layer: int, when: Callable[[torch.Tensor], bool], error: BaseException
) -> Generator[list[int]]:
    """A block whose forward raises when told to; yields the rows of each forward that got through."""
    rows: list[int] = []

    def hook(_module: Any, args: tuple[Any, ...]) -> None:
        if when(args[0]):
            raise error
        rows.append(args[0].shape[0])

    handle = module.model.layers[layer].register_forward_pre_hook(hook)
    try:
        yield rows
    finally:
        handle.remove()


def outputs(responses: list[Response]) -> dict[str, Any]:
    assert len({r.key for r in responses}) == len(responses), "a request was answered twice"
    return {r.key: (r.output_ids, r.finish, [(a.layer, a.positions) for a in r.applied]) for r in responses}


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu"])
@pytest.mark.parametrize("kind", KINDS)
def test_out_of_memory_halves_the_batch_and_loses_and_repeats_nothing(
    qwen: LoadedModel, kind: str, error: BaseException
) -> None:
    rows = requests(1, 30)
    expected = outputs(list(bare_engine(kind, qwen, batch=12).generate(rows)))
    with raising(qwen.module, 2, lambda hidden: hidden.shape[0] > 4, error) as seen:
        got = outputs(list(bare_engine(kind, qwen, batch=12).generate(rows)))
    assert got == expected
    assert max(seen) <= 4


@pytest.mark.parametrize("kind", KINDS)
def test_memory_that_runs_out_in_mid_run_repeats_no_finished_row(qwen: LoadedModel, kind: str) -> None:
    """Twice, many steps in, when rows have ended and others have taken their places."""
    rows = requests(2, 40)
    expected = outputs(list(bare_engine(kind, qwen, batch=16).generate(rows)))
    calls = iter(range(10**6))
    strike = {15, 40}
    with raising(qwen.module, 1, lambda _h: next(calls) in strike, ERRORS[0]):
        assert outputs(list(bare_engine(kind, qwen, batch=16).generate(rows))) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_memory_too_small_for_one_row_says_so(qwen: LoadedModel, kind: str) -> None:
    message = "out of memory with .*row" + (".*needs about .* MiB" if kind == "slots" else "")
    with raising(qwen.module, 0, lambda _h: True, ERRORS[0]), pytest.raises(UserError, match=message):
        list(bare_engine(kind, qwen, batch=8).generate(requests(3, 10)))


@pytest.mark.parametrize("kind", KINDS)
def test_scoring_out_of_memory_halves_the_batch_and_keeps_the_order(qwen: LoadedModel, kind: str) -> None:
    rows = [
        ScoreRow(r.prompt_ids, tuple(range(5, 5 + i % 7 + 1)), r.additions)
        for i, r in enumerate(requests(4, 20))
    ]

    def read(row: ScoreRow, log_probs: torch.Tensor) -> torch.Tensor:
        return log_probs.gather(-1, torch.tensor(row.answer_ids)[:, None]).sum()

    expected = list(bare_engine(kind, qwen, batch=1).score(rows, read))
    with raising(qwen.module, 2, lambda hidden: hidden.shape[0] > 3, ERRORS[1]):
        got = list(bare_engine(kind, qwen, batch=20).score(rows, read))
    assert torch.allclose(torch.stack(got), torch.stack(expected), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["qwen3", "qwen3_moe"])
def test_a_score_in_another_batch_is_the_same_to_what_is_promised(
    tmp_path: Any, kind: str, family: str
) -> None:
    """1e-6 nats a token in fp32, whatever rows, and how many, are scored beside it (docs/concepts.md)."""
    loaded = tiny_model(tmp_path, family, torch.float32)
    rows = [
        ScoreRow(r.prompt_ids, tuple(range(5, 5 + 20 + i % 7)), r.additions)
        for i, r in enumerate(requests(4, 24))
    ]

    def read(row: ScoreRow, log_probs: torch.Tensor) -> torch.Tensor:
        return log_probs.gather(-1, torch.tensor(row.answer_ids)[:, None]).double().mean()

    def scored(batch: int, part: list[ScoreRow]) -> torch.Tensor:
        return torch.stack(list(bare_engine(kind, loaded, batch=batch).score(part, read)))

    whole = scored(32, rows)
    assert float((scored(5, rows[7:]) - whole[7:]).abs().max()) < 1e-6
    assert float((scored(1, rows) - whole).abs().max()) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_that_is_not_about_memory_is_not_swallowed(qwen: LoadedModel, kind: str) -> None:
    broken = ValueError("shapes do not match")
    with (
        raising(qwen.module, 0, lambda _h: True, broken),
        pytest.raises(ValueError, match="shapes do not match"),
    ):
        list(bare_engine(kind, qwen, batch=8).generate(requests(3, 10)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["qwen", "moe"])
@pytest.mark.parametrize("span", ["all", "generated"])
def test_a_row_with_a_non_finite_logit_fails_and_the_others_go_on(
    request: pytest.FixtureRequest, kind: str, model: str, span: Any
) -> None:
    """Its slot is used again: what it left in the cache must not reach the next row."""
    loaded: LoadedModel = request.getfixturevalue(model)
    rows = [replace(row, limits=Limits(64, 10)) for row in requests(5, 24)]
    expected = outputs(list(bare_engine(kind, loaded, batch=5).generate(rows)))
    blast = Addition(torch.ones(32), layer=1, magnitude=1e300, span=span, norm=1e300)
    # those of several tokens, so that `generated` strikes after the first
    poisoned = [row.key for row in rows if len(row.prompt_ids) > 1 and len(expected[row.key][0]) > 2][::2]
    assert len(poisoned) >= 5
    mixed = [replace(row, additions=(blast,)) if row.key in poisoned else row for row in rows]
    got = {r.key: r for r in bare_engine(kind, loaded, batch=5).generate(mixed)}
    for key in poisoned:
        assert got[key].finish == "failed"
        assert "not finite" in got[key].error
        assert len(got[key].output_ids) == (0 if span == "all" else 1)
    rest = outputs([r for r in got.values() if r.key not in poisoned])
    assert rest == {key: value for key, value in expected.items() if key not in poisoned}


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_over_the_limit_fails_and_is_never_cut(qwen: LoadedModel, kind: str) -> None:
    rows = requests(6, 8)
    long = replace(rows[0], key="long", prompt_ids=tuple(range(3, 3 + 65)))
    empty = replace(rows[0], key="empty", prompt_ids=())
    got = {r.key: r for r in bare_engine(kind, qwen, batch=4).generate([long, *rows, empty])}
    assert set(got) == {"long", "empty", *(row.key for row in rows)}
    assert got["long"].finish == got["empty"].finish == "failed"
    assert "65 tokens: the limit is 64" in got["long"].error
    assert got["long"].output_ids == ()
    assert all(got[row.key].finish != "failed" for row in rows)


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupt_keeps_the_rows_that_had_ended_and_leaves_the_model_clean(
    qwen: LoadedModel, kind: str
) -> None:
    rows = requests(7, 30)
    expected = outputs(list(bare_engine(kind, qwen, batch=4).generate(rows)))
    calls, kept = iter(range(10**6)), list[Response]()
    engine = bare_engine(kind, qwen, batch=4)

    def keep() -> None:
        for response in engine.generate(rows):
            kept.append(response)

    with (
        raising(qwen.module, 3, lambda _h: next(calls) == 25, KeyboardInterrupt()),
        pytest.raises(KeyboardInterrupt),
    ):
        keep()
    assert 0 < len(kept) < len(rows)
    assert outputs(kept).items() <= expected.items()
    rest = [row for row in rows if row.key not in {r.key for r in kept}]
    assert outputs([*kept, *engine.generate(rest)]) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_no_hook_and_no_changed_default_outlives_a_run(qwen: LoadedModel, kind: str) -> None:
    shipped = qwen.module.generation_config
    running = bare_engine(kind, qwen, batch=3).generate(requests(8, 12))
    next(running)
    # suspended between rows, the model is everyone's: nothing of ours is on it
    assert qwen.module.generation_config is shipped
    assert all(not block._forward_hooks for block in qwen.module.model.layers) or kind == "nnsight"
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        between = qwen.module(input_ids=ids).logits
        running.close()
        assert torch.equal(qwen.module(input_ids=ids).logits, between)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_do_is_done(qwen: LoadedModel, kind: str) -> None:
    engine = bare_engine(kind, qwen)
    assert list(engine.generate([])) == []
    assert list(engine.score([], lambda _row, log_probs: log_probs)) == []


def test_memory_of_a_run_is_given_back(qwen: LoadedModel) -> None:
    engine: Engine = SlotEngine(qwen, batch=4)
    seen: list[weakref.ref[Any]] = []
    update = "steer.engines.cache.SlotCache.begin"
    with pytest.MonkeyPatch.context() as patch:
        from steer.engines.cache import SlotCache

        begin = SlotCache.begin

        def spy(self: SlotCache, lengths: torch.Tensor, longest: int) -> torch.Tensor:
            seen.append(weakref.ref(self))
            return begin(self, lengths, longest)

        patch.setattr(update, spy)
        list(engine.generate(requests(9, 8)))
    gc.collect()
    assert seen
    assert all(ref() is None for ref in seen)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"layer_types": ["full_attention", "sliding_attention"] * 2}, "layers of sliding_attention"),
        ({"layer_types": None, "sliding_window": 128}, "a sliding window of 128"),
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"_attn_implementation": "flash_attention_2"}, "flash_attention_2"),
        ({"kv_lora_rank": 64}, "latents"),
    ],
)
def test_a_model_that_slots_cannot_run_falls_back_with_one_line(
    tmp_path: Any, change: dict[str, Any], reason: str
) -> None:
    loaded = tiny_model(tmp_path, "qwen3")
    assert unsupported(loaded) == ""
    assert make_engine("auto", loaded).name == "slots"
    for name, value in change.items():
        object.__setattr__(loaded.module.config, name, value)
    said: list[str] = []
    assert make_engine("auto", loaded, say=said.append).name == "nnsight"
    assert len(said) == 1
    assert reason in said[0]
    assert "\n" not in said[0]
    with pytest.raises(UserError, match=reason):
        make_engine("slots", loaded)


def test_an_unknown_engine_is_named_with_those_there_are(qwen: LoadedModel) -> None:
    with pytest.raises(
        UserError, match=r"unknown engine 'slot'.*auto, slots, .*nnsight; did you mean 'slots'"
    ):
        make_engine("slot", qwen)
