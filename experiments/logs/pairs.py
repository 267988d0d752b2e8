"""Paired differences between logs, for every scorer that gives numbers, with Holm's correction over all.

Binary scores have the intervals of `steer.gaps`: Tango's paired score interval, and with several epochs a
sample MOVER on exact limits. Other numbers have the percentile bootstrap over samples, each drawn with all
its epochs. It does not know logs' formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from experiments.logs.read import Key, Log
from steer.errors import UserError
from steer.intervals import Array, Interval, contrast_interval, paired_interval, paired_rates
from steer.resampling import bootstrap_weights, percentile_interval
from steer.significance import holm, sign_flip_p

SEED = 0
FLIPS = 9999
"""Random sign flips where the differences are no whole or half numbers."""


@dataclass(frozen=True, slots=True)
class Discordant:
    """A pair whose scores differ."""

    id: str
    epoch: int
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """First minus second log by one scorer, over the samples and epochs that both have scored.

    samples: distinct ids among the pairs. unpaired: rows that only one of the two has scored. difference,
    ci: in the scorer's own unit; ci is None for numbers of a single sample. only_first, only_second: pairs
    that the one scores higher. p: exact sign-flip test of the samples, which is McNemar's exact test for
    binary scores of one epoch; by random flips for other numbers. p_holm: over all that are printed.
    """

    scorer: str
    first: str
    second: str
    kind: Literal["binary", "number"]
    pairs: int
    samples: int
    unpaired: int
    first_mean: float
    second_mean: float
    difference: float
    ci: Interval | None
    only_first: int
    only_second: int
    p: float
    p_holm: float | None
    discordant: tuple[Discordant, ...]


def compare(logs: Sequence[Log]) -> list[Comparison]:
    """Every later log against every earlier one. UserError where no scorer gives numbers in two logs."""
    words = frozenset[str]().union(*(log.words for log in logs))
    found = [
        comparison
        for scorer in scorers(logs)
        for second, first in combinations(logs, 2)
        if (comparison := _compare(scorer, first, second)) is not None
    ]
    if not found:
        raise UserError(
            "no scorer gives numbers or grades in two of the logs"
            + (f" (words: {', '.join(sorted(words))})" if words else ": score them with `inspect score`")
        )
    corrected = holm([one.p for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]


def scorers(logs: Sequence[Log]) -> list[str]:
    """Those that give numbers wherever they score, in the logs' order."""
    words = frozenset[str]().union(*(log.words for log in logs))
    names = [name for log in logs for row in log.rows.values() for name in row.scores]
    return [name for name in dict.fromkeys(names) if name not in words]


def scored(log: Log, scorer: str) -> dict[Key, float]:
    """The log's scores by one scorer."""
    every = {key: row.scores.get(scorer) for key, row in log.rows.items()}
    return {key: score for key, score in every.items() if score is not None}


def _compare(scorer: str, first: Log, second: Log) -> Comparison | None:
    one, two = scored(first, scorer), scored(second, scorer)
    keys = sorted(one.keys() & two.keys())
    if not keys:
        return None
    sums, counts = _by_sample(one, keys), _by_sample(dict.fromkeys(keys, 1.0), keys)
    values = np.stack([sums, _by_sample(two, keys)], 1)
    binary = {*one.values(), *two.values()} <= {0.0, 1.0}
    difference = float((values[:, 0] - values[:, 1]).sum() / counts.sum())
    discordant = tuple(Discordant(*key, one[key], two[key]) for key in keys if one[key] != two[key])
    higher = sum(pair.first > pair.second for pair in discordant)
    return Comparison(
        scorer=scorer,
        first=first.name,
        second=second.name,
        kind="binary" if binary else "number",
        pairs=len(keys),
        samples=len(counts),
        unpaired=len(one.keys() ^ two.keys()),
        first_mean=float(values[:, 0].sum() / counts.sum()),
        second_mean=float(values[:, 1].sum() / counts.sum()),
        difference=difference,
        ci=_binary_interval(values, counts) if binary else _bootstrap(values[:, 0] - values[:, 1], counts),
        only_first=higher,
        only_second=len(discordant) - higher,
        p=_p(values[:, 0] - values[:, 1]),
        p_holm=None,
        discordant=discordant,
    )


def _by_sample(scores: Mapping[Key, float], keys: Sequence[Key]) -> Array:
    """Sums over a sample's epochs, [sample], samples in the keys' order."""
    found: dict[str, float] = {}
    for id, epoch in keys:
        found[id] = found.get(id, 0.0) + scores[id, epoch]
    return np.array(list(found.values()))


def _binary_interval(hits: Array, counts: Array) -> Interval | None:
    """hits: [sample, 2]; counts: [sample], of pairs."""
    if counts.max() == 1:
        change = hits[:, 0] - hits[:, 1]
        return paired_interval(int((change > 0).sum()), int((change < 0).sum()), len(counts))
    found = contrast_interval(paired_rates(hits, np.stack([counts, counts], 1)), (1, -1))
    return found and found[1]


def _bootstrap(differences: Array, counts: Array) -> Interval | None:
    if len(counts) < 2:
        return None
    weights = bootstrap_weights([""] * len(counts), seed=SEED)
    return percentile_interval((weights @ differences) / (weights @ counts))


def _p(differences: Array) -> float:
    """Two-sided p of "the samples' differences are as likely to have the other sign"."""
    doubled = 2 * differences
    if (doubled == doubled.round()).all() and np.abs(doubled).sum() < 1e5:
        return sign_flip_p(doubled.round().astype(np.int64))
    random = np.random.default_rng(SEED)
    drawn = (random.integers(0, 2, (FLIPS, len(differences))) * 2 - 1) @ differences
    # the smallest p that random flips can show is 1 in as many and one (Phipson and Smyth 2010)
    extreme = np.abs(drawn) >= abs(differences.sum()) * (1 - 1e-12)
    return float((1 + extreme.sum()) / (1 + FLIPS))
