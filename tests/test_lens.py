"""The lens against TransformerLens's own head, attribution against the stream, and the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import cli
from steer.errors import UserError
from tests.engine_cases import tiny_model
from vectors import lens
from vectors.capture import Row, capture


def test_lens_and_attribution_are_transformer_lens_s_and_the_parts_add_up(tmp_path: Path) -> None:
    loaded = tiny_model(tmp_path, "qwen3")
    generator = torch.Generator().manual_seed(0)
    directions = {layer: torch.randn(32, generator=generator) for layer in (1, 3)}
    ours = lens.lens(loaded, directions)
    pairs = [(tuple(range(3 + i, 12 + i)), tuple(range(40 + 2 * i, 47 + 2 * i))) for i in range(5)]
    rows = [ids for pair in pairs for ids in pair]
    slots = [Row(ids, len(ids) - 1, len(ids), i) for i, ids in enumerate(rows)]
    stream = capture(loaded, slots, layers=[2], slots=len(rows))[:, 0]
    axis = directions[1]
    projected = stream @ (axis.double() / axis.double().norm())
    bridge = lens.bridged(loaded)
    for i, ids in enumerate(rows):
        parts = lens._parts(bridge, ids, axis, 2)
        assert len(parts) == 1 + 3 * (4 + 2)  # the embedding; heads, bias and MLP of three blocks
        assert sum(parts.values()) == pytest.approx(float(projected[i]), rel=1e-6, abs=1e-6)
    with torch.inference_mode():
        for one in ours:
            unit = directions[one.layer].double() / directions[one.layer].double().norm()
            logits = bridge.unembed(bridge.ln_final(unit[None, None]))[0, 0]
            order = logits[: len(loaded.tokenizer)].argsort(descending=True)  # type: ignore[arg-type]
            theirs: Any = [loaded.tokenizer.decode([i]) for i in order[:10].tolist()]
            assert list(one.raises) == theirs
            assert one.strongest > one.random * 0.5


def test_the_parts_that_differ_are_the_first_with_intervals(tmp_path: Path) -> None:
    loaded = tiny_model(tmp_path, "qwen3")
    axis = torch.randn(32, generator=torch.Generator().manual_seed(1))
    pairs = [(tuple(range(3 + i, 12 + i)), tuple(range(40 + i, 47 + i))) for i in range(6)]
    found, count = lens.attributed(loaded, pairs, ["a"] * 3 + ["b"] * 3, axis, 1)
    assert count == 1 + 2 * (4 + 2)
    assert [abs(one.mean) for one in found] == sorted((abs(one.mean) for one in found), reverse=True)
    assert len(found) == lens.TOP
    assert all(one.ci[0] <= one.mean <= one.ci[1] for one in found)


def test_a_family_that_is_not_known_has_no_attribution_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformer_lens.model_bridge import TransformerBridge

    def unknown(*_: object, **__: object) -> None:
        raise ValueError("Unsupported architecture: TinyForCausalLM")

    monkeypatch.setattr(TransformerBridge, "boot_transformers", unknown)
    with pytest.raises(UserError, match=r"attribution is missing: transformer-lens does not know 'qwen3'"):
        lens.bridged(tiny_model(tmp_path, "qwen3"))


@pytest.mark.slow
def test_the_command_shows_tokens_and_who_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    extract = ["extract", "--layers", "10,14", "--extraction-per-category", "2", "--out", "v.safetensors"]
    for command in (extract, ["vector", "show", "v.safetensors", "--lens"]):
        monkeypatch.setattr(sys, "argv", ["cli.py", *command])
        assert cli.main() == 0
    said = capsys.readouterr().out
    assert "who writes along it at layer 1" in said
    monkeypatch.setattr(sys, "argv", ["cli.py", "vector", "show", "v.safetensors", "--lens", "--json"])
    assert cli.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["layer"] for one in found["lens"]] == [10, 14]
    assert len(found["attribution"]["parts"]) == 10
