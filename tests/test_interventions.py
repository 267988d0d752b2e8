"""Algebra on hidden states: the layer moves by exactly delta, where asked and nowhere else.

States are read by hooks of this file, one block later, on tiny Qwen3 models; expected values are
computed here from the definitions, never by `steer.interventions`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from steer import canary
from steer.blocks import decoder_layers
from steer.chat import render
from steer.engines import bare_engine
from steer.engines.prefill import steered
from steer.errors import UserError
from steer.interventions import Slab, Steering, edit, span_range, validate
from steer.types import SPANS, Addition, Limits, LoadedModel, Request
from tests.engine_cases import addition, tiny_model, touched

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=["fp32", "fp64"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("model"), "qwen3", request.param)


def residuals(loaded: LoadedModel, ids: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    """The stream after each block, as its reader gets it: the next block, or the final norm."""
    seen: list[torch.Tensor] = []
    readers = [*list(loaded.module.model.layers)[1:], loaded.module.model.norm]
    handles = [r.register_forward_pre_hook(lambda _m, args: seen.append(args[0].clone())) for r in readers]
    try:
        with torch.inference_mode():
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            loaded.module(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def run(
    loaded: LoadedModel, rows: Sequence[Sequence[Addition]], *, prompts: Sequence[int], total: int = 9
) -> tuple[list[torch.Tensor], list[torch.Tensor], Steering, torch.Tensor]:
    """(plain states, steered states, the steering, positions [row, column]) of left-padded rows."""
    generator = torch.Generator().manual_seed(len(rows))
    width = total + 2 * (len(rows) - 1)
    ids = torch.randint(3, 300, (len(rows), width), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(len(rows)):
        mask[row, : 2 * row] = 0  # each row padded more than the one before
    positions = torch.where(mask > 0, mask.cumsum(-1) - 1, -1)
    steering = Steering(
        decoder_layers(loaded.module)[1], rows=len(rows), d_model=loaded.d_model, dtype=loaded.module.dtype
    )
    for row, additions in enumerate(rows):
        steering.set(row, additions, prompts[row])
    plain = residuals(loaded, ids, mask)
    steering.begin(positions)
    with steered(decoder_layers(loaded.module)[1], steering):
        after = residuals(loaded, ids, mask)
    return plain, after, steering, positions


def close(loaded: LoadedModel, left: torch.Tensor, right: torch.Tensor) -> bool:
    bound = TOLERANCE[loaded.module.dtype] * max(1.0, float(right.norm(dim=-1).max()))
    return float((left - right).norm(dim=-1).max()) <= bound


def unit(a: Addition, like: torch.Tensor) -> torch.Tensor:
    return (a.direction.double() / a.direction.double().norm()).to(like)


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("units", ["norm", "raw"])
@pytest.mark.parametrize("layer", range(4))
def test_add_moves_the_layer_by_delta_and_earlier_ones_not_at_all(
    loaded: LoadedModel, layer: int, span: Any, units: Any
) -> None:
    a = addition(random.Random(layer), operation="add", magnitude=-1.7, layer=layer, span=span, unit=units)
    plain, after, steering, _ = run(loaded, [[a], []], prompts=[5, 5])
    for earlier in range(layer):
        assert torch.equal(after[earlier], plain[earlier])
    delta = -1.7 * (a.direction.double() if units == "raw" else 6.0 * unit(a, a.direction.double()))
    expected = plain[layer].clone()
    where = touched(span, 5, 11)
    for position in where:
        expected[0, position] += delta.to(expected)
    assert close(loaded, after[layer], expected)
    # untouched positions and the row without additions: bit for bit
    assert torch.equal(after[layer][1], plain[layer][1])
    for position in set(range(11)) - set(where):
        assert torch.equal(after[layer][0, position], plain[layer][0, position])
    assert steering.applied(0)[0].positions == len(where)
    relative = [float(delta.norm() / plain[layer][0, p].double().norm()) for p in where]
    assert steering.applied(0)[0].relative == pytest.approx(sum(relative) / len(relative), rel=1e-5)
    if layer < 3:
        assert not torch.equal(after[layer + 1][0], plain[layer + 1][0])


def test_every_row_of_a_padded_batch_gets_its_own_edit(loaded: LoadedModel) -> None:
    draw = random.Random(5)
    rows = [[addition(draw, layer=2, magnitude=1.3, norm=4.0)] for _ in range(12)]
    plain, after, steering, positions = run(loaded, rows, prompts=[3 + row % 4 for row in range(12)])
    width = plain[2].shape[1]
    for row, (a,) in enumerate(rows):
        u, count = unit(a, plain[2]), 0
        for column in range(width):
            h, position = plain[2][row, column], int(positions[row, column])
            expected = h
            if position in touched(a.span, 3 + row % 4, width):
                count += 1
                if a.operation == "ablate":
                    expected = h - (h @ u) * u
                elif a.operation == "clamp":
                    expected = h + (0.3 + 1.3 * 2.0 - h @ u) * u
                else:
                    expected = h + (1.3 * a.direction.to(h) if a.unit == "raw" else 1.3 * 4.0 * u)
            assert close(loaded, after[2][row, column], expected)
            if position < 1:  # pads and the first token
                assert torch.equal(after[2][row, column], h)
        assert steering.applied(row)[0].positions == count


def test_adding_a_then_b_is_adding_their_sum(loaded: LoadedModel) -> None:
    draw = random.Random(1)
    a, b = (addition(draw, operation="add", unit="raw", magnitude=1.0, layer=1, span="all") for _ in range(2))
    both = replace(a, direction=a.direction.double() + b.direction.double())
    _, one, _, _ = run(loaded, [[a, b]], prompts=[4])
    _, other, _, _ = run(loaded, [[both]], prompts=[4])
    assert close(loaded, one[1], other[1])


def test_opposite_additions_cancel(loaded: LoadedModel) -> None:
    a = addition(random.Random(2), operation="add", magnitude=0.8, layer=1, span="last")
    plain, after, _, _ = run(loaded, [[a, replace(a, magnitude=-0.8)]], prompts=[4])
    for before, now in zip(plain, after, strict=True):
        assert close(loaded, now, before)


def test_ablating_twice_is_ablating_once_and_leaves_no_projection(loaded: LoadedModel) -> None:
    a = addition(random.Random(3), operation="ablate", layer=2, span="all")
    _, once, _, _ = run(loaded, [[a]], prompts=[4])
    _, twice, _, _ = run(loaded, [[a, a]], prompts=[4])
    assert close(loaded, twice[2], once[2])
    u = unit(a, once[2])
    assert float((once[2][0, 1:] @ u).abs().max()) <= TOLERANCE[loaded.module.dtype] * float(
        once[2].norm(dim=-1).max()
    )


def test_clamp_sets_the_projection_and_nothing_across_it(loaded: LoadedModel) -> None:
    a = addition(
        random.Random(4),
        operation="clamp",
        layer=1,
        span="prompt",
        magnitude=-2.0,
        projection_mean=1.5,
        projection_std=0.5,
    )
    plain, after, _, _ = run(loaded, [[a]], prompts=[6])
    u = unit(a, plain[1])
    for position in range(1, 6):
        now, before = after[1][0, position], plain[1][0, position]
        assert float(now @ u) == pytest.approx(1.5 - 2.0 * 0.5, abs=1e-5)
        assert close(loaded, now - (now @ u) * u, before - (before @ u) * u)
    assert torch.equal(after[1][0, 6:], plain[1][0, 6:])


@pytest.mark.parametrize("span", SPANS)
def test_a_non_zero_path_at_magnitude_zero_is_the_baseline(loaded: LoadedModel, span: Any) -> None:
    a = addition(random.Random(6), operation="add", magnitude=0.0, span=span, layer=0)
    plain, after, steering, _ = run(loaded, [[a]], prompts=[4])
    for before, now in zip(plain, after, strict=True):
        assert torch.equal(now, before)
    assert steering.applied(0)[0].relative == 0.0
    assert steering.applied(0)[0].positions == len(touched(span, 4, 9))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("affine", [False, True])
def test_unmasked_positions_come_back_bit_for_bit(dtype: torch.dtype, affine: bool) -> None:
    hidden = torch.tensor([[[-0.0, float("nan"), 65504.0], [1.0, -0.0, float("inf")]]], dtype=dtype)
    zeros = torch.zeros(1, dtype=torch.int64)
    slab = Slab(torch.full((1, 3), 7.0, dtype=dtype), zeros, zeros, zeros, zeros.float())
    if affine:
        slab.unit, slab.gain = torch.ones(1, 3), -torch.ones(1)
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    out = edit(hidden, slab, torch.tensor([[False, True]]))
    assert torch.equal(out[0, 0].view(bits), hidden[0, 0].view(bits))
    assert not torch.equal(out[0, 1].view(bits), hidden[0, 1].view(bits))


def test_the_cast_to_bfloat16_is_done_once() -> None:
    """delta = bf16(fp64 value): casting the direction first would round twice."""
    from torch import nn

    direction = torch.randn(64, generator=torch.Generator().manual_seed(0))
    a = Addition(direction=direction, layer=0, magnitude=0.37, norm=11.3, span="all")
    steering = Steering([nn.Linear(1, 1)], rows=1, d_model=64, dtype=torch.bfloat16)
    steering.set(0, [a], 2)
    steering.begin(torch.tensor([[1]]))
    out = steering.edit(0, torch.zeros(1, 1, 64, dtype=torch.bfloat16))
    exact = 0.37 * 11.3 * direction.double() / direction.double().norm()
    assert torch.equal(out[0, 0], exact.to(torch.bfloat16))


def test_moving_and_clearing_rows_keeps_each_rows_edits_and_record() -> None:
    from torch import nn

    draw = random.Random(8)
    wanted = {
        row: [addition(draw, layer=draw.randrange(2), span="all", magnitude=0.7) for _ in range(2)]
        for row in range(4)
    }
    hidden = torch.randn(4, 1, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def fresh(rows: dict[int, list[Addition]]) -> Steering:
        steering = Steering([nn.Linear(1, 1)] * 2, rows=4, d_model=32, dtype=torch.float64)
        for row, additions in rows.items():
            steering.set(row, additions, 2)
        return steering

    def out(steering: Steering, states: torch.Tensor) -> list[torch.Tensor]:
        steering.begin(torch.full((len(states), 1), 5))
        return [steering.edit(layer, states) for layer in range(2)]

    moved = fresh(wanted)
    out(moved, hidden)
    moved.clear(1)
    moved.move(3, 1)
    alone = fresh({0: wanted[0], 1: wanted[3], 2: wanted[2]})
    states = hidden[[0, 3, 2]]
    out(alone, states)
    for left, right in zip(out(moved, states), out(alone, states), strict=True):
        assert torch.equal(left, right)
    assert [moved.applied(row) for row in range(3)] == [alone.applied(row) for row in range(3)]
    assert moved.applied(1)[0].positions == 2
    moved.clear(0), moved.clear(1), moved.clear(2)
    assert moved.layers == []


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("kind", ["slots", "nnsight"])
@pytest.mark.parametrize("span", SPANS)
def test_the_same_positions_are_steered_with_the_cache_on_and_off(
    loaded: LoadedModel, span: Any, kind: str, thinking: bool
) -> None:
    """Cached generation of an engine against one uncached forward: thinking tokens are generated ones."""
    prompt = render(loaded, "", "Ship every order.", thinking=thinking)
    a = addition(random.Random(9), operation="add", unit="norm", magnitude=1.0, layer=1, span=span)
    request = Request("row", prompt, (), additions=(a,), limits=Limits(64, 6))
    with canary._watch(loaded.module) as seen:
        (response,) = bare_engine(kind, loaded).generate([request])
    cached = canary._joined(seen[1])
    fed = torch.tensor([prompt + response.output_ids[:-1]])
    plain = residuals(loaded, fed, torch.ones_like(fed))[1][0].double()
    steering = Steering(
        decoder_layers(loaded.module)[1], rows=1, d_model=loaded.d_model, dtype=loaded.module.dtype
    )
    steering.set(0, [a], len(prompt))
    steering.begin(torch.arange(fed.shape[1])[None])
    with steered(decoder_layers(loaded.module)[1], steering):
        uncached = residuals(loaded, fed, torch.ones_like(fed))[1][0].double()
    expected = touched(span, len(prompt), fed.shape[1])
    for states in (cached, uncached):
        moved = (states - plain).norm(dim=-1) > 1e-3
        assert moved.nonzero().flatten().tolist() == expected
    assert float((cached - uncached).norm(dim=-1).max()) < 1e-3
    assert response.applied[0].positions == steering.applied(0)[0].positions == len(expected)


@pytest.mark.parametrize(
    ("span", "prompt", "expected"),
    [
        ("all", 4, [1, 2, 3, 4, 5, 6]),
        ("prompt", 4, [1, 2, 3]),
        ("last", 4, [3, 4, 5, 6]),
        ("generated", 4, [4, 5, 6]),
        ("all", 1, [1, 2, 3, 4, 5, 6]),
        ("prompt", 1, []),
        ("last", 1, [1, 2, 3, 4, 5, 6]),
        ("generated", 1, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_positions_of_each_span(span: Any, prompt: int, expected: list[int]) -> None:
    start, stop = span_range(span, prompt)
    assert [p for p in range(7) if start <= p < stop] == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": 4}, "layer 4 is not in the model: allowed are 0 to 3"),
        ({"layer": -1}, "layer -1"),
        ({"direction": torch.ones(31)}, "needs \\(32,\\)"),
        ({"direction": torch.full((32,), float("nan"))}, "NaN"),
        ({"direction": torch.zeros(32)}, "zero"),
        ({"magnitude": float("inf")}, "not a finite number"),
        ({"span": "answer"}, "unknown span 'answer'"),
        ({"operation": "multiply"}, "unknown operation 'multiply'"),
        ({"operation": "ablate", "magnitude": 0.5}, "must be 1"),
    ],
)
def test_a_bad_addition_is_refused_with_the_value_and_what_is_allowed(change: Any, message: str) -> None:
    good = addition(random.Random(0), operation="add", magnitude=0.7)
    validate(good, n_layers=4, d_model=32)
    with pytest.raises(UserError, match=message):
        validate(replace(good, **change), n_layers=4, d_model=32)


def test_a_model_without_layers_is_told_which_attributes_were_looked_for() -> None:
    with pytest.raises(UserError, match=r"model\.layers.*transformer\.h"):
        decoder_layers(torch.nn.Linear(2, 2))
