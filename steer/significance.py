"""Exact tests, and Holm's correction for several of them.

It knows numbers, no arms and no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from steer.intervals import Array


def sign_flip_p(differences: ArrayLike) -> float:
    """Two-sided exact p of "the differences are as likely to have the other sign", by enumeration.

    differences: [scenario] integers. The distribution of their sum under independent sign flips is
    built by convolution. With differences of -1, 0 and 1 this is McNemar's exact test
    (McNemar 1947); scenarios that differ by 0 carry no information in either.
    """
    sizes = np.abs(np.asarray(differences, np.int64))
    total = int(np.sum(np.asarray(differences, np.int64)))
    reach = int(sizes.sum())
    # probability[k]: the sum is k - reach. Each scenario moves it by +size or -size.
    probability: Array = np.ones(1)
    for size in sizes[sizes > 0]:
        wider = np.zeros(probability.size + 2 * int(size))
        wider[: probability.size] += probability / 2
        wider[2 * int(size) :] += probability / 2
        probability = wider
    sums = np.abs(np.arange(-reach, reach + 1))
    return min(1.0, float(probability[sums >= abs(total)].sum()))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) step-down adjusted p-values, in the order given; None (no test) stays None."""
    tested = [p for p in p_values if p is not None]
    if len(tested) < 2:  # nothing to correct, and multipletests collects garbage on every call
        return list(p_values)
    from statsmodels.stats.multitest import multipletests

    adjusted = iter(cast("Array", multipletests(tested, method="holm")[1]))
    return [None if p is None else float(next(adjusted)) for p in p_values]
