"""Shifts, cosines and shares of variance, against plain hooks and fp64 by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from steer.shifts import random_band, shifted
from steer.types import Addition
from tests.engine_cases import tiny_model, touched
from vectors.capture import Row, capture


def test_steered_states_are_those_of_plain_hooks_padded_and_in_batches(tmp_path: Path) -> None:
    """Each row alone by a hook of this test, position by position; ours all together."""
    loaded = tiny_model(tmp_path, "qwen3")
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(3, 32, generator=generator)
    add = Addition(directions[0], 1, 0.8, span="last", norm=5.0)
    take = [
        Addition(directions[k], layer, 1.0, span="all", operation="ablate") for k, layer in ((1, 1), (2, 2))
    ]
    cases: list[tuple[Addition, ...]] = [(), (add,), (add, *take), (*take,)]
    rows: list[Row] = []
    for i in range(12):
        length, prompt = 7 + 3 * (i % 4), 4 + i % 3
        ids = tuple(torch.randint(3, 300, (length,), generator=generator).tolist())
        rows.append(
            Row(ids, prompt - 1 if i % 2 else prompt, prompt if i % 2 else length, i, cases[i % 4], prompt)
        )

    def alone(row: Row) -> list[torch.Tensor]:
        seen: list[torch.Tensor] = []

        def hook(layer: int) -> Any:
            def run(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
                output = output.clone()
                for a in row.additions:
                    unit = a.direction.double() / a.direction.double().norm()
                    for p in touched(a.span, row.prompt, len(row.ids)) if a.layer == layer else ():
                        h = output[0, p].clone()
                        output[0, p] = h + (4.0 * unit if a.operation == "add" else -(h @ unit) * unit)
                seen.append(output[0, row.start : row.end].mean(0))
                return output

            return run

        handles = [b.register_forward_hook(hook(i)) for i, b in enumerate(loaded.module.model.layers)]
        with torch.inference_mode():
            loaded.module(torch.tensor([row.ids]))
        for handle in handles:
            handle.remove()
        return seen

    got = capture(loaded, rows, layers=range(4), slots=12, batch_tokens=40)
    assert got.dtype == torch.float64
    for i, row in enumerate(rows):
        for layer, expected in enumerate(alone(row)):
            assert torch.allclose(got[i, layer], expected, rtol=0, atol=1e-9)


def test_size_cosine_and_share_are_counted_by_hand() -> None:
    random = np.random.default_rng(0)
    moved = random.standard_normal((9, 5)) + np.eye(5)[0]
    axes = random.standard_normal((3, 5))
    weights = np.array([[2.0, 0, 1, 1, 1, 1, 1, 1, 1], [0, 3, 1, 1, 1, 0, 1, 1, 1]])
    found = shifted(moved, axes, 2.0, weights)
    mean = moved.mean(0)
    assert found.size == pytest.approx(np.linalg.norm(mean) / 2)
    drawn = [moved[[0, 0, 2, 3, 4, 5, 6, 7, 8]], moved[[1, 1, 1, 2, 3, 4, 6, 7, 8]]]
    sizes = [np.linalg.norm(rows.mean(0)) / 2 for rows in drawn]
    assert found.size_ci == pytest.approx(np.quantile(sizes, [0.025, 0.975]))
    for axis, got in zip(axes, found.axes, strict=True):
        unit = axis / np.linalg.norm(axis)
        assert got.cosine == pytest.approx(mean @ unit / np.linalg.norm(mean))
        cosines = [rows.mean(0) @ unit / np.linalg.norm(rows.mean(0)) for rows in drawn]
        assert got.cosine_ci == pytest.approx(np.quantile(cosines, [0.025, 0.975]))
        assert got.share == pytest.approx(np.var(moved @ unit) / np.var(moved, axis=0).sum())
        shares = [np.var(rows @ unit) / np.var(rows, axis=0).sum() for rows in drawn]
        assert got.share_ci == pytest.approx(np.quantile(shares, [0.025, 0.975]))


def test_a_shift_that_is_the_same_everywhere_has_no_share_and_none_at_all_no_direction() -> None:
    moved = np.tile([3.0, 4.0], (6, 1))
    found = shifted(moved, np.array([[1.0, 0.0]]), 1.0, np.ones((4, 6))).axes[0]
    assert found.cosine == pytest.approx(0.6)
    assert (found.share, found.share_ci) == (None, None)
    with pytest.raises(ValueError, match="no direction"):
        shifted(moved * 0, np.array([[1.0, 0.0]]), 1.0, np.ones((4, 6)))


def test_random_directions_stay_near_nothing_and_a_shift_along_one_axis_is_outside() -> None:
    random = np.random.default_rng(1)
    moved = random.standard_normal((40, 64)) * 0.1
    moved[:, 3] += 2 + random.standard_normal(40)
    (low, high), (_, most) = random_band(moved)
    assert -0.35 < low < -0.15  # a cosine's deviation is 1 / 8
    assert 0.15 < high < 0.35
    axis = shifted(moved, np.eye(64)[[3]], 1.0, np.zeros((0, 40))).axes[0]
    assert axis.cosine > 0.9
    assert (axis.share or 0) > 0.5 > most
