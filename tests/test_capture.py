"""Captured rows are the residual stream at the block's output: every layer, family, padding and batch."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from steer.errors import UserError
from steer.types import LoadedModel
from tests.tiny import checkpoint
from vectors.capture import (
    AnsweredRow,
    Row,
    batches,
    capture,
    check_layers,
    parse_layers,
    retained_bytes,
    span_statistics,
)

FAMILIES = ["qwen3", "qwen3_moe", "qwen2", "llama", "mistral", "gemma"]


def load(folder: Path, padding_side: str = "left") -> LoadedModel:
    options: dict[str, Any] = {"experts_implementation": "eager"} if "moe" in folder.name else {}
    module = AutoModelForCausalLM.from_pretrained(folder, **options).eval()
    tok = AutoTokenizer.from_pretrained(folder, padding_side=padding_side)
    return LoadedModel(
        name=folder.name,
        weights="test",
        dtype="float32",
        device="cpu",
        module=module,
        tokenizer=tok,
        stop_ids=(2, 0),
        n_layers=module.config.num_hidden_layers,
        d_model=module.config.hidden_size,
    )


def hooked(module: Any, ids: tuple[int, ...]) -> list[torch.Tensor]:
    """Independent: one unpadded row, a plain forward hook on every block; [position, d_model] a layer."""
    seen: list[torch.Tensor] = []

    def keep(_module: Any, _args: Any, output: Any) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output)[0].detach().clone())

    handles = [block.register_forward_hook(keep) for block in module.model.layers]
    with torch.no_grad():
        module(input_ids=torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    return seen


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("tiny")
    return {family: checkpoint(root / family, family) for family in FAMILIES}


def some_ids(count: int, seed: int = 0) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 24, (count,), generator=generator).tolist()
    return [tuple(torch.randint(3, 300, (n,), generator=generator).tolist()) for n in lengths]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_captured_rows_equal_plain_hooks(folders: dict[str, Path], family: str, side: str) -> None:
    loaded = load(folders[family], side)
    texts = some_ids(7)
    rows = [Row(ids, len(ids) - 1, len(ids), i) for i, ids in enumerate(texts)]
    rows += [Row(ids, 1, len(ids) - 1, 7 + i) for i, ids in enumerate(texts)]
    layers = range(loaded.n_layers)
    for batch_tokens in (1, 40, 10_000):  # alone, mixed, all at once
        found = capture(loaded, rows, layers=layers, slots=14, batch_tokens=batch_tokens)
        assert found.dtype == torch.float32
        assert found.device.type == "cpu"
        for i, ids in enumerate(texts):
            for layer, hidden in enumerate(hooked(loaded.module, ids)):
                torch.testing.assert_close(found[i, layer], hidden[-1], rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(found[7 + i, layer], hidden[1:-1].mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_rows_begin_with_is_computed_once_and_read_by_each(folders: dict[str, Path], side: str) -> None:
    loaded = load(folders["qwen3"], side)
    loaded.module.double()
    draw = torch.Generator().manual_seed(3)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, 300, (count,), generator=draw).tolist())

    start = ids(30)
    prompts = [start + ids(4), start + ids(6), ids(20)]
    answered = [AnsweredRow(prompt, ids(5)) for prompt in prompts for _ in range(3)]
    whole = [row.prompt_ids + row.answer_ids for row in answered]
    rows = [
        Row(t, len(a.prompt_ids) - 2, len(t), i) for i, (t, a) in enumerate(zip(whole, answered, strict=True))
    ]
    rows += [Row(prompt, len(prompt) - 1, len(prompt), 9 + i) for i, prompt in enumerate(prompts)]
    fed: list[int] = []
    seen = loaded.module.model.layers[0].register_forward_pre_hook(
        lambda _module, args: fed.append(args[0][..., 0].numel())
    )
    found = capture(loaded, rows, layers=[0, 3], slots=12)
    directions = {layer: torch.randn(loaded.d_model, generator=draw) for layer in (0, 3)}
    statistics = span_statistics(loaded, answered, directions=directions)
    seen.remove()
    # one pack of what begins alike, one of the rest, padded to the longer; twice
    assert fed == [2 * (30 + 4 + 6 + 6 * 5)] * 2
    streams = [hooked(loaded.module, row.ids) for row in rows]
    for place, layer in enumerate((0, 3)):
        for i, row in enumerate(rows):
            expected = streams[i][layer][row.start : row.end].mean(0)
            torch.testing.assert_close(found[i, place], expected, rtol=1e-12, atol=1e-12)
        unit = directions[layer].double() / directions[layer].double().norm()
        for span, first in {"all": 1, "last": 0, "generated": 1}.items():
            starts = [first if span == "all" else len(a.prompt_ids) - 1 + first for a in answered]
            stretch = torch.cat([streams[i][layer][start:] for i, start in enumerate(starts)])
            got = statistics[span][layer]
            assert got.norm == pytest.approx(float(stretch.norm(dim=-1).mean()), rel=1e-5)
            assert got.projection_mean == pytest.approx(float((stretch @ unit).mean()), rel=1e-4)
            assert got.positions == len(stretch)


def test_last_layer_is_read_before_the_final_norm(folders: dict[str, Path]) -> None:
    loaded = load(folders["qwen3"])
    ids = some_ids(1)[0]
    found = capture(loaded, [Row(ids, len(ids) - 1, len(ids), 0)], layers=[3], slots=1)[0, 0]
    with torch.no_grad():
        output = loaded.module(input_ids=torch.tensor([ids]), output_hidden_states=True)
    normed = output.hidden_states[4][0, -1]
    assert not torch.allclose(found, normed, atol=1e-2)
    torch.testing.assert_close(loaded.module.model.norm(found), normed, rtol=1e-4, atol=1e-5)


def test_rows_of_one_slot_are_averaged(folders: dict[str, Path]) -> None:
    loaded = load(folders["qwen3"])
    texts = some_ids(5)
    alone = capture(loaded, [Row(t, 1, len(t), i) for i, t in enumerate(texts)], layers=[1, 3], slots=5)
    slots = [0, 1, 0, 0, 1]
    rows = [Row(t, 1, len(t), s) for t, s in zip(texts, slots, strict=True)]
    found = capture(loaded, rows, layers=[1, 3], slots=2)
    torch.testing.assert_close(found[0], alone[[0, 2, 3]].mean(0))
    torch.testing.assert_close(found[1], alone[[1, 4]].mean(0))


def test_forward_stops_after_the_last_layer_needed(folders: dict[str, Path]) -> None:
    loaded = load(folders["qwen3"])
    ran: list[int] = []
    for i, block in enumerate(loaded.module.model.layers):
        block.register_forward_pre_hook(lambda *_args, i=i: ran.append(i))
    head = loaded.module.lm_head.register_forward_pre_hook(lambda *_args: ran.append(-1))
    capture(loaded, [Row((5, 6, 7), 2, 3, 0)], layers=[0, 2], slots=1)
    head.remove()
    assert ran == [0, 1, 2]


@pytest.mark.parametrize("pairs", [200, 2000])
def test_retained_bytes_are_the_stated_formula(folders: dict[str, Path], pairs: int) -> None:
    loaded = load(folders["qwen3"])

    def alive() -> int:
        gc.collect()
        stores = {
            o.untyped_storage().data_ptr(): o.untyped_storage().nbytes()
            for o in gc.get_objects()
            if issubclass(type(o), torch.Tensor)
        }
        return sum(stores.values())

    rows = [Row((5, 6 + i % 50, 7), 2, 3, i) for i in range(pairs)]
    capture(loaded, rows[:4], layers=range(4), slots=4)  # whatever the first trace sets up
    before = alive()
    sides = [capture(loaded, rows, layers=range(4), slots=pairs) for _ in range(2)]
    assert alive() - before == retained_bytes(pairs, 4, loaded.d_model) == 2 * pairs * 4 * loaded.d_model * 4
    assert len(sides) == 2


@pytest.mark.parametrize("side", ["left", "right"])
def test_span_statistics_equal_plain_hooks(folders: dict[str, Path], side: str) -> None:
    loaded = load(folders["qwen3"], side)
    rows = [AnsweredRow(ids[: 1 + len(ids) // 2], ids[1 + len(ids) // 2 :]) for ids in some_ids(6, seed=3)]
    generator = torch.Generator().manual_seed(1)
    directions = {layer: torch.randn(32, generator=generator) * (layer + 1) for layer in (0, 2, 3)}
    found = span_statistics(loaded, rows, directions=directions, batch_tokens=50)
    for layer, direction in directions.items():
        hidden = [hooked(loaded.module, row.prompt_ids + row.answer_ids)[layer] for row in rows]
        parts = {
            "all": [h[1:] for h in hidden],
            "prompt": [h[1 : len(r.prompt_ids)] for h, r in zip(hidden, rows, strict=True)],
            "last": [h[len(r.prompt_ids) - 1 :] for h, r in zip(hidden, rows, strict=True)],
            "generated": [h[len(r.prompt_ids) :] for h, r in zip(hidden, rows, strict=True)],
        }
        assert set(found) == set(parts)
        for span, chosen in parts.items():
            values = torch.cat(chosen)
            projection = values @ direction / direction.norm()
            got = found[span][layer]
            assert got.positions == len(values)
            assert got.norm == pytest.approx(values.norm(dim=-1).mean().item(), rel=1e-4)
            assert got.projection_mean == pytest.approx(projection.mean().item(), rel=1e-3, abs=1e-4)
            assert got.projection_std == pytest.approx(projection.std(unbiased=False).item(), rel=1e-3)


def test_span_without_a_position_is_left_out(folders: dict[str, Path]) -> None:
    loaded = load(folders["qwen3"])
    found = span_statistics(loaded, [AnsweredRow((5, 6, 7))], directions={0: torch.ones(32)})
    assert set(found) == {"all", "prompt", "last"}


def test_batches_hold_every_row_once_within_the_token_budget() -> None:
    lengths = [3, 50, 7, 7, 120, 1, 9]
    made = list(batches(lengths, batch_tokens=60))
    assert sorted(i for batch in made for i in batch) == list(range(7))
    assert all(len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 60 for b in made)


@pytest.mark.parametrize(
    ("text", "layers"),
    [("all", tuple(range(36))), ("7", (7,)), ("10-12", (10, 11, 12)), ("3, 1-2,2", (1, 2, 3))],
)
def test_layers_are_parsed(text: str, layers: tuple[int, ...]) -> None:
    assert parse_layers(text, 36) == layers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("20-10", "did you mean 10-20"),
        ("36", "layers are 0 to 35"),
        ("10-40", "layer 36 is out of range"),
        ("", "cannot read layers"),
        ("-1", "cannot read layers"),
        ("1.5", "cannot read layers"),
        ("ten", "cannot read layers"),
        ("1,,2", "cannot read layers"),
    ],
)
def test_bad_layers_are_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_layers(text, 36)
    assert "\n" not in str(caught.value)


def test_an_empty_choice_of_layers_is_an_error() -> None:
    with pytest.raises(UserError, match="no layer"):
        check_layers(range(0), 4)


@pytest.mark.parametrize("family", ["qwen3", "qwen3_moe"])
def test_transformer_lens_captures_the_same(folders: dict[str, Path], family: str) -> None:
    from vectors.lens_check import largest_differences

    found = largest_differences(load(folders[family]), str(folders[family]), some_ids(4))
    assert set(found) == set(range(4))
    assert max(found.values()) <= 1e-4
