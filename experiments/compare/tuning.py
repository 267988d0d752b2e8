"""The tuned suffix: successive halving of tries on extraction scenarios, and gap against tries of both sides.

The better half of the tries stays and the scenarios double until few are left; from those the halves of the
evaluated scenarios choose, as they choose the vector's cell. All tries run on the evaluated scenarios, as all
cells do: so the expected gap of the best of k of them is computed, not guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from experiments.compare.curves import curve
from experiments.compare.tries import Try, check_budget, make_tries, rewrites_wanted
from experiments.extraction.extract import extraction_source
from experiments.running import add_arms
from experiments.session import Session, configuration, evaluation, open_store, vectors_cache
from experiments.sweep.choice import (
    Candidate,
    Cap,
    Chosen,
    CrossFit,
    NothingChosen,
    choose_in,
    members,
)
from experiments.sweep.options import CompareChoice
from steer.errors import UserError
from steer.outcomes import Table, tabulate
from steer.plan import digest
from steer.results.comparison import Rewrites, SuffixTry, Tries
from steer.rewriter import rewrite
from steer.types import Arm, Outcome, Scenario, SuffixPair
from steer.versions import made_by
from vectors.contrasts import extraction_scenarios

FIRST = 12
"""Extraction scenarios that all tries are seen on."""

FINALISTS = 6
"""Tries that the halving ends with, for the halves to choose from."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A try, how many extraction scenarios it was seen on last, and its gap there in points (selection)."""

    made: Try
    candidate: Candidate
    scenarios: int = 0
    points: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """Every try, by place in the halving. rewrites: where a rewriter was asked."""

    order: tuple[Ranked, ...]
    rewrites: Rewrites | None

    @property
    def arms(self) -> list[Arm]:
        """Both arms of every try that is no wording of the task's."""
        return [arm for one in self.order if one.made.made != "wording" for arm in _arms(one)]

    @property
    def finalists(self) -> list[tuple[str, str]]:
        """In the order in which they were made, by which ties are decided."""
        left = sorted((one.candidate for one in self.order[:FINALISTS]), key=lambda one: one.size)
        return [(one.plus, one.minus) for one in left]

    @property
    def answers(self) -> int:
        """What the halving took."""
        return halving_answers(len(self.order), max(one.scenarios for one in self.order))


def rungs(tries: int, scenarios: int) -> list[tuple[int, int]]:
    """(tries, scenarios) of every rung of a halving; none where all are finalists."""
    found: list[tuple[int, int]] = []
    seen = min(FIRST, scenarios)
    while tries > FINALISTS:
        found.append((tries, seen))
        tries, seen = max(FINALISTS, -(-tries // 2)), min(2 * seen, scenarios)
    return found


def halving_answers(tries: int, scenarios: int) -> int:
    """Of both arms of a halving's tries."""
    return 2 * sum(n * seen for n, seen in rungs(tries, scenarios))


def halving_scenarios(session: Session) -> list[Scenario]:
    """The extraction scenarios by turns of their categories, so that the first of them are of all."""
    known = [*session.scenarios, *evaluation(session.options)]
    found = extraction_scenarios(extraction_source(session.task), evaluation=known)
    if session.choosing and not all(item.choices for item in found):
        raise UserError(
            "--suffix-budget: options are compared here, and extraction scenarios lack them: give all some"
        )

    def drawn(item: Scenario) -> bytes:
        return hashlib.sha256(f"{session.options.seed}\0{item.id}".encode()).digest()

    groups = [
        sorted((s for s in found if s.category == c), key=drawn) for c in {s.category: 0 for s in found}
    ]
    turns = [group[i] for i in range(max(map(len, groups))) for group in groups if i < len(group)]
    return turns if session.choosing else [replace(item, choices=None) for item in turns]


def tune(session: Session, choice: CompareChoice, budget: int) -> Tuning:
    """Make the tries, asking the rewriter if there is one, and halve them. Raises UserError."""
    check_budget(session.suffixes, budget, choice.rewriter)
    rewritten, account = list[SuffixPair](), None
    if choice.rewriter:
        wanted = rewrites_wanted(session.suffixes, budget)
        rewritten, account = rewrite(
            choice.rewriter,
            session.suffixes,
            wanted,
            loaded=session.loaded,
            cache=vectors_cache() / "cache",
            access=session.options.access,
        )
    tries = make_tries(session.suffixes, budget, seed=session.options.seed, rewritten=rewritten)
    return Tuning(tuple(halve(session, tries, choice.cap)), account)


def halve(session: Session, tries: Sequence[Try], cap: Cap) -> list[Ranked]:
    """The tries, best first: who was left later is before who was not, among those the larger gap.

    Its rows lie in a run of their own in the cache, so that it goes on where it was stopped.
    """
    left = [Ranked(one, _candidate(one, i)) for i, one in enumerate(tries)]
    items = halving_scenarios(session)
    out: list[Ranked] = []
    plan = rungs(len(left), len(items))
    if not plan:
        return left
    cap = Cap(cap.nonsense, drift=None)
    session = replace(session, scenarios=tuple(items))
    config = configuration(session, "suffix-halving", [arm for one in left for arm in _arms(one)])
    key = digest([made_by(), config])[:16]
    with open_store(session, vectors_cache() / "cache" / f"halving-{key}", config) as store:
        for (_, seen), (kept, _) in zip(plan, [*plan[1:], (FINALISTS, 0)], strict=True):
            arms = [arm for one in left for arm in _arms(one)]
            add_arms(replace(session, scenarios=tuple(items[:seen])), store, arms)
            table = tabulate(store.outcomes(session.judge.name), [arm.name for arm in arms])
            left = _placed(table, left, {item.id for item in items[:seen]}, cap)
            left, out = left[:kept], [*left[kept:], *out]
    return [*left, *out]


def _placed(table: Table, left: Sequence[Ranked], among: set[str], cap: Cap) -> list[Ranked]:
    """By their gap on the scenarios, those over the cap on nonsense last."""
    found = ranking(table, [one.candidate for one in left], among, cap)
    place = {one.candidate.plus: (i, one.points) for i, one in enumerate(found)}
    told = [
        replace(one, scenarios=len(among), points=place.get(one.candidate.plus, (0, None))[1]) for one in left
    ]
    return sorted(told, key=lambda one: place.get(one.candidate.plus, (len(left), None))[0])


def ranking(table: Table, candidates: Sequence[Candidate], among: set[str], cap: Cap) -> list[Chosen]:
    """What would be chosen, then what would be without that, and so on; none that is over the cap."""
    left, found = list(candidates), list[Chosen]()
    while left and isinstance(best := choose_in(table, left, among, cap), Chosen):
        found.append(best)
        left.remove(best.candidate)
    return found


def describe(
    tuning: Tuning,
    chosen: CrossFit | NothingChosen,
    outcomes: Sequence[Outcome],
    cells: Sequence[Candidate],
    half: Mapping[str, int],
    cap: Cap,
) -> Tries:
    """Every try, and gap against tries of both sides. cells: what the vector was chosen from."""
    picked = [one.candidate.plus for one in chosen.chosen] if isinstance(chosen, CrossFit) else []
    tries = [one.candidate for one in tuning.order]
    place = {one.plus: max(0, i - FINALISTS + 1) for i, one in enumerate(tries)}
    of_suffix = [
        sorted(order, key=lambda one: place[one.plus])  # among finalists the half decides, then the halving
        for order in _orders(outcomes, tries, half, Cap(cap.nonsense, drift=None))
    ]
    of_vector = _orders(outcomes, cells, half, cap)
    drawn = {one.candidate.plus for one in tuning.order if one.made.made != "wording"}
    most = max(len(tries), len(cells))
    steps = sorted({len(tries), len(cells)} | {2**i for i in range(most.bit_length())})
    return Tries(
        suffixes=tuple(
            SuffixTry(
                plus=one.candidate.plus,
                minus=one.candidate.minus,
                made=one.made.made,
                pro=one.made.pair.pro,
                anti=one.made.pair.anti,
                seen_on=one.scenarios,
                points=one.points,
                finalist=i < FINALISTS,
                chosen_on=tuple(
                    h for h, name in zip("AB", picked, strict=False) if name == one.candidate.plus
                ),
            )
            for i, one in enumerate(tuning.order)
        ),
        curves={
            "suffix": curve(outcomes, of_suffix, half, len(tries), steps, drawn),
            "vector": curve(outcomes, of_vector, half, len(cells), steps),
        },
        rewrites=tuning.rewrites,
    )


def _orders(
    outcomes: Sequence[Outcome], tries: Sequence[Candidate], half: Mapping[str, int], cap: Cap
) -> list[list[Candidate]]:
    """The tries that may be chosen on either half, best first."""
    table = tabulate(outcomes, list(dict.fromkeys(arm for one in tries for arm in (one.plus, one.minus))))
    return [[one.candidate for one in ranking(table, tries, members(half, n), cap)] for n in (0, 1)]


def _candidate(one: Try, number: int) -> Candidate:
    """The first is the default pair, whose arms have no other name. Ties go to the earlier try."""
    plus, minus = ("pro", "anti") if number == 0 else (f"pro {one.pair.name}", f"anti {one.pair.name}")
    return Candidate(plus, minus, size=float(number))


def _arms(one: Ranked) -> tuple[Arm, Arm]:
    pair = one.made.pair
    return Arm(one.candidate.plus, pair.pro), Arm(one.candidate.minus, pair.anti)
