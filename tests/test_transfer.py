"""Transfer: a category's vector is made and applied as the whole one is, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from experiments.compare import transfer
from experiments.compare.transfer import recipe
from experiments.options import VectorChoice
from steer.errors import UserError
from steer.types import Arm
from tests.fakes import HashJudge
from tests.tasks import TASK
from tests.tiny import WIDTH
from vectors.files import save_vector
from vectors.vector import Provenance, SteeringVector

MADE = SteeringVector(
    {1: torch.ones(WIDTH)},
    Provenance(d_model=WIDTH, contrast="response", method="pca"),
    norms={"last": {1: 6.0}},
    projections={"last": {1: (0.5, 2.0)}},
)


def test_a_files_own_contrast_and_method_are_repeated_not_the_flags(tmp_path: Path) -> None:
    save_vector(MADE, tmp_path / "v.safetensors")
    found = recipe(VectorChoice(file=tmp_path / "v.safetensors", contrast="suffix", span="all"))
    assert found == VectorChoice(contrast="response", method="pca", span="all")
    assert recipe(VectorChoice(method="lat")) == VectorChoice(method="lat")


@pytest.mark.parametrize("contrast", ["statement", "formality", "pairs.jsonl"])
def test_a_contrast_that_reads_no_extraction_scenario_is_refused(contrast: str, tmp_path: Path) -> None:
    """Six equal directions would stand in the matrix as six."""
    with pytest.raises(UserError, match=f"--transfer with --contrast {contrast}"):
        recipe(VectorChoice(contrast=contrast))
    save_vector(
        replace(MADE, provenance=replace(MADE.provenance, contrast=contrast)), tmp_path / "v.safetensors"
    )
    with pytest.raises(UserError, match=f"contrast '{contrast}'"):
        recipe(VectorChoice(file=tmp_path / "v.safetensors"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control": "random isotropic, seed 1", "parent": "x"}, "random isotropic, seed 1"),
        ({"parent": "x"}, "a part of a vector"),
        ({"method": ""}, "of no known recipe"),
    ],
)
def test_a_file_that_cannot_be_made_again_is_refused(
    change: dict[str, str], message: str, tmp_path: Path
) -> None:
    save_vector(replace(MADE, provenance=replace(MADE.provenance, **change)), tmp_path / "v.safetensors")
    with pytest.raises(UserError, match=message):
        recipe(VectorChoice(file=tmp_path / "v.safetensors"))


def test_the_operation_is_the_one_that_was_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[Arm] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(transfer, "extracted_from", lambda *_: MADE)
    monkeypatch.setattr(transfer, "add_arms", lambda _session, _store, arms: ran.extend(arms))
    one = SimpleNamespace(candidate=SimpleNamespace(layer=1, magnitude=2.0))
    session = SimpleNamespace(loaded=SimpleNamespace(evidence=""), task=TASK, judge=HashJudge())
    store = SimpleNamespace(add_usage=lambda _used: None)
    fit = SimpleNamespace(chosen=[one, one])
    named, _ = transfer.transfer(
        cast(Any, session), cast(Any, store), VectorChoice(operation="clamp"), cast(Any, fit), {}
    )
    assert len(ran) == 12
    assert named == [arm.name for arm in ran], "the result tells them from suffixes by name"
    for arm in ran:
        (edit,) = arm.additions
        assert (edit.operation, abs(edit.magnitude), edit.projection_mean) == ("clamp", 2.0, 0.5)
