"""Which answers a page carries, and how: gzip in base64, one piece an arm, unpacked on a click.

All of the arms that matter are whole; the rest carry the same seeded sample of scenarios, as many as
fit. Rows are read from the store arm by arm.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from steer.screen import Tick, unheard
from steer.store import RunStore
from steer.store.reading import parse_applied

BUDGET = 8_500_000
"""Base64 characters of answers in a page. With the scripts and the figures: under 11 MB."""

SEED = 0
PROBE = 2
"""Scenarios from which the size of one is first estimated."""

TRIES = 5
"""How often the number of scenarios is corrected to what fits."""

PASSES = 2
"""How often most arms are packed: to estimate their size, and to carry them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One arm's answers: base64 of gzipped JSON rows
    [scenario, sample, answer, thinking, reason, finish, error, applied, label]."""

    arm: str
    rows: int
    data: str


@dataclass(frozen=True, slots=True)
class Answers:
    """`sampled`: scenarios carried of the arms that are not whole; equals `scenarios` when all are."""

    pieces: tuple[Piece, ...]
    scenarios: int
    whole: tuple[str, ...]
    sampled: int

    @property
    def note(self) -> str:
        carried = {piece.arm for piece in self.pieces}
        if self.sampled == self.scenarios:
            return "Every answer of the run is in this file."
        some = (
            f"a sample of {self.sampled} of {self.scenarios} scenarios (seed {SEED}, the same for every arm)"
        )
        if not self.whole:
            return f"This file carries the answers to {some}; the run folder holds all."
        others = len(carried) - len(self.whole)
        return (
            f"This file carries every answer of {len(self.whole)} arms (baseline, suffixes and the chosen "
            f"cells) and, of the other {others}, {some}; the run folder holds all."
        )


def collect(
    store: RunStore,
    judge: str,
    arms: Sequence[str],
    matter: Sequence[str],
    *,
    budget: int = BUDGET,
    tick: Tick = unheard,
) -> Answers:
    """The answers of `arms`: those that `matter` first and whole, unless even they are over the budget.

    tick: told of every arm that was packed, of each about PASSES times.
    """
    order = [s.id for s in store.scenarios()]
    place = {id: i for i, id in enumerate(order)}
    drawn = sorted(order, key=lambda id: hashlib.sha256(f"{SEED}:{id}".encode()).digest())
    pack = partial(_pieces, store, judge, place=place, tick=tick)
    whole = _fit(pack, matter, drawn, budget)
    used = sum(len(piece.data) for piece in whole[0])
    if whole[1] < len(order):
        rest = [name for name in arms if name not in set(matter)]
        everything = _fit(pack, [*matter, *rest], drawn, budget)
        return Answers(tuple(everything[0]), len(order), (), everything[1])
    rest = [name for name in arms if name not in set(matter)]
    sample = _fit(pack, rest, drawn, budget - used)
    return Answers((*whole[0], *sample[0]), len(order), tuple(matter), sample[1] if rest else len(order))


def _fit(
    pack: Callable[..., list[Piece]], arms: Sequence[str], drawn: Sequence[str], budget: int
) -> tuple[list[Piece], int]:
    """Pieces of `arms` over the first n of `drawn`, with n about as large as the budget allows."""
    best: tuple[list[Piece], int] = ([], 0)
    n = min(PROBE, len(drawn))
    for _ in range(TRIES):
        pieces = pack(arms, drawn[:n], budget=budget)
        size = sum(len(piece.data) for piece in pieces)
        fits = size <= budget
        if fits:
            best = pieces, n
        elif n == 1:
            break
        guess = int(n * 0.97 * budget * len(pieces) / max(size * len(arms), 1)) if pieces else n
        n = max(1, min(len(drawn), guess if fits else min(guess, n - 1)))
        if n <= best[1]:
            break
    return best


def _pieces(
    store: RunStore,
    judge: str,
    arms: Sequence[str],
    drawn: Sequence[str],
    *,
    place: Mapping[str, int],
    budget: int,
    tick: Tick,
) -> list[Piece]:
    """One piece an arm; it stops early once they are over the budget."""
    pieces: list[Piece] = []
    size = 0
    for arm in arms:
        pieces.append(_piece(store, judge, arm, drawn, place))
        size += len(pieces[-1].data)
        tick(1)
        if size > budget:
            break
    return pieces


def _piece(
    store: RunStore, judge: str, arm: str, scenarios: Sequence[str], place: Mapping[str, int]
) -> Piece:
    rows: list[list[Any]] = []
    for id in sorted(scenarios, key=lambda id: place[id]):
        sql = """
            SELECT p.sample, r.answer, r.thinking, v.reason, r.finish, r.error, r.applied,
                   v.label
            FROM plan p JOIN responses r ON r.key = p.response
            LEFT JOIN verdicts v ON v.response = p.response AND v.judge = ?
            WHERE p.scenario = ? AND p.arm = ? ORDER BY p.sample"""
        for sample, answer, thinking, reason, finish, error, applied, label in store.query(
            sql, (judge, id, arm)
        ):
            steered = [[a.layer, a.positions, round(a.relative, 4)] for a in parse_applied(applied)]
            rows.append(
                [place[id], sample, answer, thinking, reason or "", finish, error, steered, label or ""]
            )
    raw = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return Piece(arm, len(rows), base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode("ascii"))
