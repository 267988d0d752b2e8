"""Trust figures against independent computations and planted truth."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from sklearn.metrics import roc_auc_score

from steer import models
from steer.types import LoadedModel
from tests.tiny import checkpoint
from vectors.controls import random_isotropic
from vectors.directions import RECIPES
from vectors.trust import (
    cross_fitted_auc,
    held_out,
    split_half,
    unembedding_tokens,
    within_auc,
)
from vectors.trust_screen import as_dict, show
from vectors.vector import LayerTrust, Provenance, SteeringVector

MEAN = RECIPES["mean-difference"]
STRATA = [f"c{i % 3}" for i in range(60)]


def pairs(length: float, seed: int = 0, d: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    delta = torch.randn(d, generator=generator)
    noise = torch.randn(2, 60, d, generator=generator)
    return noise[0] + length * delta / delta.norm(), noise[1]


def test_split_half_is_high_for_a_planted_direction_and_nothing_for_noise() -> None:
    strong, none = split_half(*pairs(5.0), STRATA, MEAN), split_half(*pairs(0.0), STRATA, MEAN)
    assert strong is not None
    assert none is not None
    assert strong > 0.9
    assert abs(none) < 0.3


def test_split_half_uses_disjoint_halves() -> None:
    """A recipe that remembers its pairs must never see one in both halves."""
    seen: list[set[float]] = []

    def spy(positive: torch.Tensor, negative: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        seen.append(set(positive[:, 0].tolist()))
        assert weights.sum().item() == pytest.approx(1)
        return MEAN(positive, negative, weights)

    split_half(*pairs(1.0), STRATA, spy)
    for first, second in zip(seen[::2], seen[1::2], strict=True):
        assert not first & second
        assert len(first) == len(second) == 30


def test_held_out_figures_are_those_of_pairs_left_out() -> None:
    strong_auc, strong_d = held_out(*pairs(5.0), STRATA, MEAN)
    none_auc, none_d = held_out(*pairs(0.0), STRATA, MEAN)
    assert strong_auc is not None
    assert strong_auc > 0.99
    assert strong_d == pytest.approx(5.0, rel=0.25)  # the planted distance in standard deviations
    assert none_auc is not None
    assert 0.25 < none_auc < 0.75  # in-sample it would be 0.9
    assert none_d is not None
    assert abs(none_d) < 1


def test_within_category_auc_ignores_differences_between_categories() -> None:
    generator = torch.Generator().manual_seed(0)
    categories = ["a"] * 30 + ["b"] * 30 + ["c"] * 5
    labels = [bool(x) for x in (torch.rand(60, generator=generator) < 0.4)] + [True] * 5
    scores = torch.randn(65, generator=generator) + torch.tensor(labels) * 0.7
    scores[30:] += 100  # a category effect, which a pooled AUC would take for signal or against it
    value, count = within_auc(scores, labels, categories)
    won, total = 0.0, 0
    for part in (slice(0, 30), slice(30, 60)):
        y = labels[part]
        pairs_here = sum(y) * (30 - sum(y))
        won += roc_auc_score(y, scores[part].numpy()) * pairs_here
        total += pairs_here
    assert count == total
    assert value == pytest.approx(won / total)
    assert within_auc(scores, [True] * 65, categories) == (None, 0)
    assert within_auc(torch.zeros(65), labels, categories)[0] == 0.5


def test_cross_fitted_layer_is_chosen_on_the_other_half() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = [bool(i % 2) for i in range(80)]
    categories = [f"c{i % 4 // 2}" for i in range(80)]
    noise = torch.randn(80, 30, generator=generator)
    best_in_sample = max(within_auc(noise[:, k], labels, categories)[0] or 0 for k in range(30))
    fitted, _ = cross_fitted_auc(noise, labels, categories, range(30))
    assert best_in_sample > 0.6  # the best of 30 layers of pure noise
    assert fitted is not None
    assert fitted < 0.6
    planted = noise.clone()
    planted[:, 7] += torch.tensor(labels) * 3.0
    value, layers = cross_fitted_auc(planted, labels, categories, range(100, 130))
    assert layers == [107, 107]
    assert value is not None
    assert value > 0.95


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return models.load(
        str(checkpoint(tmp_path_factory.mktemp("tiny") / "qwen3")), dtype="float32", device="cpu"
    )


def test_the_unembedding_finds_the_token_a_direction_points_at(loaded: LoadedModel) -> None:
    with torch.no_grad():
        weight = loaded.module.get_output_embeddings().weight.float()  # type: ignore[union-attr]
        gain = loaded.module.model.norm.weight.float()
    lengths = weight[: len(loaded.tokenizer)].norm(dim=-1)
    token = int(lengths.argmax())  # no longer row can beat it
    direction = (weight[token] / gain).detach().clone()
    found = unembedding_tokens(loaded, {2: direction, 3: -direction}, [token, 5, 6])
    text = loaded.tokenizer.decode([token])
    assert found[2][0][0] == text
    assert found[3][1][0] == text
    assert found[2][2] == text
    assert found[2][3] == pytest.approx(1.0, abs=1e-3)
    assert found[3][3] == pytest.approx(-1.0, abs=1e-3)
    assert len(found[2][0]) == len(found[2][1]) == 10


def screen_of(vector: SteeringVector, width: int = 250) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(show(vector))
    return console.file.getvalue()  # type: ignore[attr-defined]


def vector(contrast: str, trust: LayerTrust) -> SteeringVector:
    made = Provenance(d_model=4, n_layers=3, contrast=contrast, method="pca", pairs=9, weights="w")
    return SteeringVector({1: torch.ones(4)}, made, trust={1: trust})


def test_the_screen_says_which_figure_means_something() -> None:
    text = screen_of(vector("suffix", LayerTrust(split_half=0.3, heldout_auc=1.0, own_comparisons=12)))
    assert "a suffix contrast separates trivially" in text
    assert "rests on only 12 comparisons" in text
    assert "flags    layers 1: split-half cosine under 0.5: mostly noise" in text
    text = screen_of(vector("response", LayerTrust(split_half=0.9)))
    assert "Not measured here" in text
    assert "separates trivially" not in text
    assert "flags    none" in text


def test_hostile_tokens_are_shown_not_obeyed() -> None:
    text = screen_of(vector("suffix", LayerTrust(promotes=("\x1b[31m", "a\u202eb", "[bold]x"))))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold]x" in text


def test_every_token_and_layer_is_shown_on_a_narrow_screen() -> None:
    """Wrapped, not cut: what is promoted is worth nothing without its end or its layer."""
    tokens = tuple(f" token{i}" for i in range(10))
    text = screen_of(vector("suffix", LayerTrust(promotes=tokens, demotes=tokens[::-1])), width=80)
    table = text[text.index("tokens by the unembedding") :]
    assert all(table.count(f"·token{i}") == 2 for i in range(10))
    assert "\n 1 " in table
    assert "…" not in table


def test_a_best_own_auc_at_layer_0_is_said_to_be_wording() -> None:
    made = Provenance(d_model=4, n_layers=3, contrast="response", method="pca", pairs=9, weights="w")
    for first, said in ((0.99, True), (0.6, False)):
        trust = {0: LayerTrust(own_auc=first), 2: LayerTrust(own_auc=1.0)}
        text = screen_of(SteeringVector({0: torch.ones(4), 2: torch.ones(4)}, made, trust=trust))
        assert ("wording alone" in text) == said


def test_a_control_shows_its_likeness_and_none_of_the_real_figures() -> None:
    real = vector("suffix", LayerTrust(split_half=0.9, own_auc=0.97))
    real = replace(real, provenance=replace(real.provenance, details={"own AUC": 0.97}))
    text = screen_of(random_isotropic(real, 0))
    assert "cos to the real" in text
    assert "0.97" not in text
    assert f"(of {real.id})" in text


def test_json_holds_figures_and_flags() -> None:
    found = as_dict(vector("suffix", LayerTrust(split_half=0.3)))
    assert found["layers"]["1"]["split_half"] == 0.3
    assert found["layers"]["1"]["flags"] == ["split-half cosine under 0.5: mostly noise"]
    assert found["provenance"]["contrast"] == "suffix"


def test_tokens_of_every_family(tmp_path: Path) -> None:
    model = models.load(str(checkpoint(tmp_path / "gemma", "gemma")), dtype="float32", device="cpu")
    found = unembedding_tokens(model, {0: torch.ones(32)}, [])
    assert found[0][2:] == ("", None)
