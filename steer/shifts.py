"""Where an intervention moves the residual stream: its mean shift over scenarios at a layer, and what of it
lies along other directions. It knows matrices, no models, arms or files.

Of shifts D [scenario, d_model] and an axis u: cosine = mean(D) · u / |mean(D)|, and the share of the variance
across scenarios that lies along u, var(D u) / Σ var(D). Intervals are the bootstrap's over scenarios.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from steer.intervals import Array, Interval
from steer.resampling import percentile_interval

if TYPE_CHECKING:
    from torch import Tensor

RANDOM_AXES = 200


@dataclass(frozen=True, slots=True)
class Along:
    """Of a mean shift and an axis. share: None where the shift is the same in every scenario."""

    cosine: float
    cosine_ci: Interval
    share: float | None
    share_ci: Interval | None


@dataclass(frozen=True, slots=True)
class Shifted:
    """size: |mean shift| in mean residual norms. axes: in the order given."""

    size: float
    size_ci: Interval
    axes: tuple[Along, ...]


def shifted(moved: Array, axes: Array, norm: float, weights: Array) -> Shifted:
    """Size, cosines and shares of shifts [scenario, d_model] along axes [axis, d_model] of any length.

    norm: n_L. weights: how often each scenario is drawn, [resample, scenario]. By inner products alone: no
    resampled mean is made. Raises ValueError for a shift that is zero.
    """
    count = len(moved)
    drawn = np.concatenate([np.ones((1, count)), weights]) / count  # first what was found
    inner = moved @ moved.T
    along = moved @ (axes / np.linalg.norm(axes, axis=1, keepdims=True)).T  # [scenario, axis]
    square = np.einsum("rs,rs->r", drawn @ inner, drawn)
    if not square[0] > 0:
        raise ValueError("no mean shift has no direction")
    mean = drawn @ along  # [resample, axis]
    spread = drawn @ np.diag(inner) - square
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = mean / np.sqrt(square)[:, None]
        some = (spread > 1e-12 * square)[:, None]
        share = np.where(some, (drawn @ along**2 - mean**2) / spread[:, None], np.nan)
    size = np.sqrt(np.maximum(square, 0)) / norm
    return Shifted(
        float(size[0]),
        _limits(size[1:]),
        tuple(
            Along(
                float(cosine[0, k]),
                _limits(cosine[1:, k]),
                None if np.isnan(share[0, k]) else float(share[0, k]),
                percentile_interval(share[1:, k]),
            )
            for k in range(len(axes))
        ),
    )


def random_band(moved: Array) -> tuple[Interval, Interval]:
    """Where 95 % of RANDOM_AXES isotropic directions have their cosine, and their share of the variance."""
    axes = np.random.default_rng(0).standard_normal((RANDOM_AXES, moved.shape[1]))
    found = shifted(moved, axes, 1.0, np.zeros((0, len(moved)))).axes
    cosines = percentile_interval([axis.cosine for axis in found])
    shares = percentile_interval([axis.share or 0.0 for axis in found])
    assert cosines is not None
    assert shares is not None
    return cosines, shares


def _limits(draws: Array) -> Interval:
    return percentile_interval(draws) or (float("nan"), float("nan"))


def as_array(tensor: Tensor) -> Array:
    """fp64 on the CPU."""
    found: Array = tensor.detach().cpu().double().numpy()
    return found
