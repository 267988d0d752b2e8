"""Recipes: pure functions of two matrices to one direction, signed positive − negative.

A recipe is `(positive [pair, d_model], negative [pair, d_model], weights [pair]) -> [d_model]`, fp32 in
and out, fp64 inside; `weights` sum to 1. A new recipe is one function, one entry of RECIPES and one test.

The mean difference has a length of its own. The other recipes find an axis only; they are given the
length of the mean difference's projection on that axis, so that a `raw` magnitude means the same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Recipe = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]


def equal_weights(strata: Sequence[str]) -> Tensor:
    """Equal weight a pair within its stratum (category) and equal weight a stratum: `[pair]`, sum 1."""
    import torch

    sizes = {s: strata.count(s) for s in strata}
    return torch.tensor([1 / (sizes[s] * len(sizes)) for s in strata], dtype=torch.float64)


def mean_difference(positive: Tensor, negative: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of positive − negative (difference of means; Marks & Tegmark 2023, arXiv 2310.06824).

    Accumulated in fp64 pair by pair in blocks, so that no fp64 copy of the matrices is made.
    """
    import torch

    total = torch.zeros(positive.shape[1], dtype=torch.float64)
    for start in range(0, len(positive), 256):
        block = slice(start, start + 256)
        total += weights[block].double() @ (positive[block].double() - negative[block].double())
    return total.float()


def pca(positive: Tensor, negative: Tensor, weights: Tensor) -> Tensor:
    """First right singular vector of the pair differences, not centred.

    Centring would remove the mean difference, which is what is sought.
    """
    return _like_mean(
        _first_axis(positive.double() - negative.double(), weights), positive, negative, weights
    )


def lat(positive: Tensor, negative: Tensor, weights: Tensor) -> Tensor:
    """Linear artificial tomography (Zou et al. 2023, arXiv 2310.01405, section 3.1).

    PCA of the differences within pairs in random order, centred; the labels fix the sign only.
    """
    import torch

    signs = torch.ones(len(positive), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    signs[torch.randperm(len(positive), generator=generator)[::2]] = -1.0
    differences = signs[:, None] * (positive.double() - negative.double())
    differences -= weights.double() @ differences
    return _like_mean(_first_axis(differences, weights), positive, negative, weights)


def logistic(positive: Tensor, negative: Tensor, weights: Tensor) -> Tensor:
    """Coefficients of an L2-regularised logistic probe of the two sides (scikit-learn).

    Activations are divided by one number, their overall standard deviation, so that C means the same
    at every layer and model. C = 0.01: with fewer pairs than dimensions the sides are always separable,
    and a weak penalty would fit the few pairs at the border.
    """
    import numpy as np
    import torch
    from sklearn.linear_model import LogisticRegression

    x = torch.cat((positive, negative)).double().numpy()
    y = np.repeat([1, 0], [len(positive), len(negative)])
    x = (x - x.mean(0)) / max(float(x.std()), 1e-300)
    sample_weight = np.tile(weights.double().numpy() * len(positive), 2)
    probe = LogisticRegression(C=0.01, max_iter=2000).fit(x, y, sample_weight=sample_weight)
    return _like_mean(torch.from_numpy(probe.coef_[0]), positive, negative, weights)


def fisher(positive: Tensor, negative: Tensor, weights: Tensor) -> Tensor:
    """Fisher's discriminant Σ⁻¹(μ₊ − μ₋), Σ the within-side covariance shrunk after Ledoit & Wolf (2004).

    Σ = (1 − s) XᵀX / n + s t I with t the mean variance, inverted in the singular basis of X, so that no
    [d_model, d_model] matrix is built.
    """
    import torch
    from sklearn.covariance import ledoit_wolf_shrinkage

    w = weights.double()
    sides = [side.double() - w @ side.double() for side in (positive, negative)]
    x = torch.cat([(w * len(w)).sqrt()[:, None] * side for side in sides])
    s = float(ledoit_wolf_shrinkage(x.numpy(), assume_centered=True))
    floor = s * x.square().sum().item() / x.numel()
    delta = mean_difference(positive, negative, weights).double()
    _, sizes, basis = torch.linalg.svd(x, full_matrices=False)  # basis [component, d_model]
    inside = basis @ delta
    axis = basis.T @ (inside / ((1 - s) * sizes**2 / len(x) + floor))
    if x.shape[0] < x.shape[1]:  # outside the span of the rows Σ is the floor alone
        axis += (delta - basis.T @ inside) / floor
    return _like_mean(axis, positive, negative, weights)


RECIPES: dict[str, Recipe] = {
    "mean-difference": mean_difference,
    "pca": pca,
    "lat": lat,
    "logistic": logistic,
    "fisher": fisher,
}

SIGN_BLIND = ("pca", "lat")
"""Recipes whose axis does not change when pairs are flipped: label controls cannot be made by them."""


def cosine(a: Tensor, b: Tensor) -> float:
    """Cosine of two directions `[d_model]` in fp64; 0 when one is zero."""
    x, y = a.double(), b.double()
    size = (x.norm() * y.norm()).item()
    return (x @ y).item() / size if size > 0 else 0.0


def _first_axis(differences: Tensor, weights: Tensor) -> Tensor:
    """First right singular vector of weighted rows `[pair, d_model]`."""
    import torch

    rows = weights.double().sqrt()[:, None] * differences
    return torch.linalg.svd(rows, full_matrices=False).Vh[0]


def _like_mean(axis: Tensor, positive: Tensor, negative: Tensor, weights: Tensor) -> Tensor:
    """The mean difference's projection on `axis`: its sign, its length."""
    size = axis.norm()
    if not bool(size > 0):
        return axis.float() * 0
    unit = axis / size
    return ((unit @ mean_difference(positive, negative, weights).double()) * unit).float()
