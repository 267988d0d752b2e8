"""A folder to sweep in, with a tiny model, and the command lines that do."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import cli
from steer.models import load
from steer.types import SPANS
from tests.tiny import LAYERS, WIDTH, checkpoint
from vectors.files import save_vector
from vectors.vector import Provenance, SteeringVector

SCENARIOS = 14
SWEEP = ["--layers", "1,2", "--magnitudes=-0.6,-0.3,0.3,0.6", "--cap-nonsense", "0.6", "--cap-drift", "99"]


def lay_home(folder: Path) -> Path:
    """A model, scenarios in two orders, a vector with its label control, and a concept, in the folder."""
    weights = load(str(checkpoint(folder / "tiny"))).weights
    rows = [
        {
            "id": f"{c}#{i}",
            "category": c,
            "system": f"Test {c}.",
            "user": f"Ship order {i}. " * (i % 3 + 1),
        }
        for c in ("alpha", "beta")
        for i in range(SCENARIOS // 2)
    ]
    for name, order in (("own", rows), ("turned", rows[::-1])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in order))
    pairs = [{"positive": f"Dear sir, order {i}.", "negative": f"hey, order {i}"} for i in range(8)]
    (folder / "concept.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (folder / "v-controls").mkdir()
    real, labels = (made_vector(weights, range(LAYERS), seed) for seed in (0, 1))
    save_vector(real, folder / "v.safetensors")
    made = replace(labels.provenance, parent=real.id)
    save_vector(replace(labels, provenance=made), folder / "v-controls/labels-0.safetensors")
    save_vector(made_vector(weights, (1,), 2), folder / "one-layer.safetensors")
    return folder


def made_vector(weights: str, layers: Sequence[int], seed: int) -> SteeringVector:
    generator = torch.Generator().manual_seed(seed)
    return SteeringVector(
        {layer: torch.randn(WIDTH, generator=generator) for layer in layers},
        Provenance(d_model=WIDTH, n_layers=LAYERS, weights=weights, model="tiny"),
        norms={span: dict.fromkeys(layers, 6.0) for span in SPANS},
    )


def flags(command: str, out: Path, *, scenarios: str = "own", more: Sequence[str] = ()) -> list[str]:
    return [
        command,
        *("--model", "tiny", "--scenarios", f"{scenarios}.jsonl", "--vector", "v.safetensors"),
        *("--concept", "concept.jsonl", "--controls", "2", "--nulls", "2"),
        *("--new-tokens", "5", "--batch", "16"),
        *("--out", str(out)),
        *(more or SWEEP),
    ]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cli.py", *arguments])
    return cli.main()
