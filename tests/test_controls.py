"""Controls have the real length, are drawn from what they say, and label controls lose the common mean."""

from __future__ import annotations

import pytest
import torch

from steer.errors import UserError
from vectors.controls import (
    MOST_LIKE_REAL,
    half_flips,
    label_control,
    orthogonal_part,
    other_concept,
    random_isotropic,
    random_residual,
)
from vectors.directions import RECIPES, cosine, equal_weights, mean_difference
from vectors.vector import Provenance, SteeringVector, addition

D = 64
LAYERS = (1, 3)


def planted(
    n: int = 1280, seed: int = 0, scales: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """positive, negative [n, 2, D] with a common difference, and six strata of unequal (odd) sizes."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, n, len(LAYERS), D, generator=generator)
    if scales is not None:
        noise = noise * scales
    delta = torch.randn(len(LAYERS), D, generator=generator)
    strata = [f"c{i % 5}" if i % 7 else "odd" for i in range(n)]
    return noise[0] + 4 * delta / delta.norm(dim=-1, keepdim=True), noise[1], strata


def vector_of(positive: torch.Tensor, negative: torch.Tensor, strata: list[str]) -> SteeringVector:
    weights = equal_weights(strata)
    directions = {
        layer: mean_difference(positive[:, k], negative[:, k], weights) for k, layer in enumerate(LAYERS)
    }
    norms = {"last": dict.fromkeys(LAYERS, 7.0)}
    projections = {"last": dict.fromkeys(LAYERS, (0.0, 1.0))}
    return SteeringVector(directions, Provenance(d_model=D, n_layers=4), norms, projections)  # type: ignore[arg-type]


def same_lengths(a: SteeringVector, b: SteeringVector) -> bool:
    return all(
        abs(a.directions[x].norm() - b.directions[x].norm()) <= 1e-5 * b.directions[x].norm()
        for x in a.layers
    )


def test_random_directions_have_the_real_length_and_another_id() -> None:
    positive, negative, strata = planted()
    real = vector_of(positive, negative, strata)
    made = [
        random_isotropic(real, 0),
        random_isotropic(real, 1),
        random_residual(real, positive, negative, 0),
    ]
    assert len({real.id, *(v.id for v in made)}) == 4
    for control in made:
        assert same_lengths(control, real)
        assert control.provenance.parent == real.id
        assert control.provenance.control
        assert control.norms == real.norms
        with pytest.raises(UserError, match="clamp"):
            addition(control, 1, 1.0, operation="clamp")
    assert random_isotropic(real, 0).id == made[0].id


def test_residual_random_directions_follow_the_covariance() -> None:
    """Dimensions with ten times the spread get a hundred times the mean square."""
    scales = torch.cat((torch.full((D // 2,), 10.0), torch.ones(D // 2)))
    positive, negative, strata = planted(400, scales=scales)
    real = vector_of(positive, negative, strata)
    drawn = torch.stack([random_residual(real, positive, negative, s).directions[1] for s in range(60)])
    ratio = drawn[:, : D // 2].square().mean() / drawn[:, D // 2 :].square().mean()
    assert 70 < ratio < 140
    flat = torch.stack([random_isotropic(real, s).directions[1] for s in range(60)])
    assert 0.8 < flat[:, : D // 2].square().mean() / flat[:, D // 2 :].square().mean() < 1.25


def test_exactly_half_of_every_stratum_is_flipped_and_the_common_mean_cancels() -> None:
    _, _, strata = planted(101)
    signs, weights = half_flips(strata, torch.Generator().manual_seed(0))
    for name in set(strata):
        members = torch.tensor([s == name for s in strata])
        used = members & (weights > 0)
        assert int((signs[used] < 0).sum()) * 2 == int(used.sum()) >= int(members.sum()) - 1
    assert weights.sum().item() == pytest.approx(1)
    assert (weights * signs).sum().item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["mean-difference", "logistic", "fisher"])
def test_label_controls_do_not_find_the_planted_direction(name: str) -> None:
    positive, negative, strata = planted()
    real = vector_of(positive, negative, strata)
    control = label_control(real, positive, negative, strata, RECIPES[name], seed=0)
    assert same_lengths(control, real)
    for layer in LAYERS:
        found = cosine(control.directions[layer], real.directions[layer])
        assert abs(found) <= 0.2
        assert control.trust[layer].control_cosine == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("name", ["pca", "lat"])
def test_label_controls_by_a_sign_blind_recipe_are_refused(name: str) -> None:
    """Flipping pairs does not change the axis of their differences: it is the real vector again."""
    positive, negative, strata = planted(60)
    real = vector_of(positive, negative, strata)
    with pytest.raises(UserError, match="over 0"):
        label_control(real, positive, negative, strata, RECIPES[name], seed=0)


def test_random_signs_would_have_given_the_real_vector_back() -> None:
    """Why exactly half: an unbalanced flip, rescaled, is the real direction."""
    positive, negative, strata = planted(200)
    real = vector_of(positive, negative, strata)
    signs = torch.ones(200)
    signs[:90] = -1  # 110 against 90: an ordinary coin
    differences = signs[:, None] * (positive[:, 0] - negative[:, 0])
    assert abs(cosine(differences.mean(0), real.directions[1])) > MOST_LIKE_REAL


def test_orthogonal_part_is_orthogonal_and_adds_up() -> None:
    positive, negative, strata = planted()
    real = vector_of(positive, negative, strata)
    other = random_isotropic(real, 5)
    rest = orthogonal_part(real, other)
    for layer in LAYERS:
        assert abs(cosine(rest.directions[layer], other.directions[layer])) < 1e-6
        removed = (real.directions[layer] - rest.directions[layer]).double()
        assert abs(cosine(removed, other.directions[layer])) == pytest.approx(1, abs=1e-5)
    with pytest.raises(UserError, match="parallel"):
        orthogonal_part(real, real)


def test_other_concept_keeps_its_direction_and_takes_the_length() -> None:
    positive, negative, strata = planted()
    real = vector_of(positive, negative, strata)
    other = SteeringVector({1: torch.ones(D)}, Provenance(d_model=D, contrast="formality"))
    control = other_concept(real, other)
    assert control.layers == (1,)
    assert cosine(control.directions[1], torch.ones(D)) == pytest.approx(1)
    assert control.directions[1].norm() == pytest.approx(real.directions[1].norm().item())
    assert "formality" in control.provenance.control
