"""The fast path computes what the present one does: on a CPU, with a stand-in for the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from steer.engines import make_engine
from steer.engines.attention import shared_prompts
from steer.engines.cache import SlotCache, prefix_of
from steer.engines.slots import SlotEngine
from steer.engines.varlen import varlen_prompts
from steer.errors import UserError
from tests.engine_cases import requests, tiny_model
from tests.recorded import capture
from tests.test_engine_parity import by_key


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_varlen_attention_is_the_present_attention(dtype: torch.dtype) -> None:
    """Over steps in which slots and prompts grow, rows leave and move; a prompt may have no column."""
    draw, (groups, group, dim) = torch.Generator().manual_seed(0), (2, 3, 8)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)

    layers = [(random(3, groups, 70, dim), random(3, groups, 70, dim)) for _ in range(2)]
    parts = {
        key: prefix_of(layers, [row, row], length)
        for row, (key, length) in enumerate({"a": 5, "b": 0, "c": 70}.items())
    }
    caches = [SlotCache([torch.device("cpu")] * 2, slots=6, group=of) for of in (0, group)]
    most = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    compared = 0

    def step(lengths: list[int]) -> None:
        nonlocal compared
        for layer in range(2):
            query = 3 * random(len(lengths), groups * group, 1, dim)
            new = random(2, len(lengths), groups, 1, dim)
            found: list[torch.Tensor] = []
            for cache, attention in zip(caches, (shared_prompts, varlen_prompts), strict=True):
                mask = cache.begin(torch.tensor(lengths), max(lengths))
                module: Any = SimpleNamespace(layer_idx=layer)
                key, value = cache.update(new[0], new[1], layer)
                found.append(attention(module, query, key, value, mask, scaling=0.3, prompts=cache)[0])
            torch.testing.assert_close(found[1], found[0], rtol=most, atol=most)
            compared += 1

    for slot, key in enumerate("aba"):
        for cache in caches:
            cache.enter(slot, key, parts[key])
    step([0, 0, 0])
    for slot, key in enumerate("cac", start=3):
        for cache in caches:
            cache.enter(slot, key, parts[key])
    for own in range(1, 80, 13):
        step([own, own, own, own - 1, 0, own // 2])
    for cache in caches:
        cache.leave(1)  # "b" is gone
        cache.move(5, 1, 39)
    step([79, 40, 79, 78, 1])
    assert compared == 18


@pytest.mark.parametrize("family", ["qwen3", "gemma"])
def test_replayed_steps_are_the_present_ones(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One captured step serves rows that come and go, with their own additions, spans, lengths and ends, and
    is captured again where it would read memory that was left."""
    loaded, rows = tiny_model(tmp_path, family), requests(0, 40, new=24)
    replayed: list[int] = []

    def counted(work: Callable[[], None], pool: object) -> Callable[[], None]:
        replay = capture(work, pool)
        return lambda: (replayed.append(id(work)), replay())[1]

    monkeypatch.setattr("steer.engines.graphs.capture", counted)
    monkeypatch.setattr("steer.engines.cache.BUCKET", 16)  # slots and prompts grow on the way
    engine = SlotEngine(loaded, batch=5, fast="graphs")
    present = by_key(SlotEngine(loaded, batch=5).generate(rows))
    for key, response in by_key(engine.generate(rows)).items():
        assert response.output_ids == present[key].output_ids
        assert response.finish == present[key].finish
        for left, right in zip(response.applied, present[key].applied, strict=True):
            assert (left.layer, left.positions) == (right.layer, right.positions)
            assert left.relative == pytest.approx(right.relative, rel=1e-4, abs=1e-7)
    assert len(replayed) > engine.work.row_steps / 5 / 2
    assert len(set(replayed)) < len(rows) / 5


@pytest.mark.parametrize("kind", ["slots+attention", "slots+graphs"])
def test_without_a_device_for_it_the_fast_path_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"qwen3: it wants a CUDA device and 16 bit.*not float64 on cpu"):
        make_engine(kind, tiny_model(tmp_path, "qwen3"))
