"""How often the interval of the share left of a gap holds the truth, and what its verdict says.

    python -m benchmarks.mediation [--runs 500] [--out benchmarks/results/mediation.json]

Simulated tables of four arms (both sides of a gap, and both while something is taken out): of labels, whose
rates lie about 50 % and whose scenarios agree by a Gaussian latent of correlation `r`; and of propensities.
Truth is a share of 0, 0.3, 0.5, 0.7 or 1. Coverage is of the runs in which an interval is given, where the
gap's own leaves 0 out; verdicts are of those too, beside three random directions that take nothing away. The
lowest of many points is low by chance: the ten lowest are drawn anew, AGAIN times as often.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from experiments.mechanism.mediation import share_left, word_of
from steer.intervals import Array
from steer.outcomes import Flags
from steer.results.mechanism import Share
from steer.types import Outcome

ARMS = ("pro", "anti", "pro out", "anti out")
SHARES = (0.0, 0.3, 0.5, 0.7, 1.0)
POINT = ("kind", "n", "gap", "correlation", "share")
LABELS = tuple(itertools.product((38, 76), (0.3, 0.5, 0.8), (0.3, 0.8)))
NATS = tuple(itertools.product((12, 20, 76), (0.5, 1.0, 2.0), (0.3, 0.8)))
AGAIN = 10
RIGHT = {0.0: "shared path", 0.3: "shared path", 0.7: "partly", 1.0: "apart"}


def latent(random: np.random.Generator, n: int, r: float) -> Array:
    """[scenario, arm] standard normal, arms of a scenario correlated by r."""
    return np.sqrt(r) * random.standard_normal((n, 1)) + np.sqrt(1 - r) * random.standard_normal(
        (n, len(ARMS))
    )


def outcomes(hit: Flags, nats: Array | None) -> list[Outcome]:
    return [
        Outcome(
            arm, f"s{i}", "c", 0, "hit" if hit[i, k] else "miss", None if nats is None else float(nats[i, k])
        )
        for i in range(len(hit))
        for k, arm in enumerate(ARMS)
    ]


def draw(random: np.random.Generator, kind: str, n: int, gap: float, r: float, share: float) -> Array:
    """[scenario, arm]: hits, or propensities. gap: of rates, or in standard deviations of a scenario's."""
    middle = np.array([gap, -gap, share * gap, -share * gap]) / 2
    if kind == "labels":
        return (latent(random, n, r) < norm.ppf(np.clip(0.5 + middle, 1e-9, 1))).astype(float)
    return latent(random, n, r) + middle


def share_of(values: Array, kind: str) -> Share:
    table = outcomes(values > 0, values if kind == "nats" else None)
    return share_left(table, ARMS[:2], ARMS[2:], what="vector", kind="vector", where="on", layers=(0,))


def measured(
    kind: str, n: int, gap: float, r: float, share: float, runs: int, *, draw_again: bool = False
) -> dict[str, Any]:
    random = np.random.default_rng([n, *(round(100 * x) for x in (gap, r, share)), *([1] * draw_again)])
    held, given = 0, 0
    words: Counter[str] = Counter()
    for _ in range(runs):
        found = share_of(draw(random, kind, n, gap, r, share), kind)
        if found.share is None or found.share_ci is None:
            continue
        low, high = (-np.inf if found.share_ci[0] is None else found.share_ci[0]), found.share_ci[1]
        held += low <= share <= (np.inf if high is None else high)
        beside: list[Share] = []
        for _ in range(3):
            means = draw(random, kind, n, gap, r, 1.0).mean(0)
            whole = float(means[0] - means[1])
            left = float(means[2] - means[3]) / whole if whole else 1.0
            beside.append(found.model_copy(update={"kind": "random", "share": left}))
        words[word_of(found, beside)] += 1
        given += 1
    at = {"kind": kind, "n": n, "gap": gap, "correlation": r, "share": share}
    right = RIGHT.get(share)
    return at | {
        "given": given / runs,
        "coverage": held / given if given else None,
        "words": {word: count / given for word, count in words.most_common()},
        "right": words[right] / given if right and given else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/mediation.json"))
    asked = parser.parse_args()
    rows = [
        measured(kind, *at, share, asked.runs)
        for kind, grid in (("labels", LABELS), ("nats", NATS))
        for at in grid
        for share in SHARES
    ]
    told = [row for row in rows if row["given"] >= 0.9]
    lowest = sorted(told, key=lambda row: row["coverage"])[:10]
    anew = [
        measured(*(row[k] for k in POINT), AGAIN * asked.runs, draw_again=True) | {"first": row["coverage"]}
        for row in lowest
    ]
    found = {"runs": asked.runs, "lowest_where_nearly_always_given_drawn_anew": anew, "grid": rows}
    asked.out.write_text(json.dumps(found, indent=1) + "\n")
    for kind in ("labels", "nats"):
        covered = [row["coverage"] for row in told if row["kind"] == kind]
        mean, least, points = np.mean(covered), min(covered), len(covered)
        print(f"{kind}: coverage {mean:.3f} on average of {points} points, {least:.3f} at least")
    for row in anew:
        at = ", ".join(f"{k} {row[k]}" for k in POINT)
        first = f"{row['first']:.3f} of {asked.runs}"
        print(f"{at}: {first}, {row['coverage']:.3f} of {AGAIN * asked.runs} drawn anew")


if __name__ == "__main__":
    main()
