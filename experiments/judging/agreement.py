"""`agreement RUN`: how far the judges of a run agree, and what their errors do to its rates and gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from experiments.judging.tables import print_agreement
from steer import judges
from steer.echoes import Key, echoes, gap_without
from steer.errors import UserError, choose
from steer.intervals import Interval
from steer.judges import agreement as stats
from steer.results.agreement import Agreement, GapAgreement, JudgeAgreement, Scores
from steer.screen import Screen
from steer.store import RunStore, Setting
from steer.summary import GAPS, spoken_of
from steer.types import Judged, Outcome, Status

TRUST = ("organism-truth", "human:", "published:", "openai:", "panel:", "hf:", "rubric")
FIGURES: dict[str, Callable[[stats.Array], stats.Array]] = {
    "accuracy": stats.accuracy,
    "macro_f1": stats.macro_f1,
    "kappa": stats.kappa,
    "kappa_hit": lambda counts: stats.kappa(stats.collapse(counts)),
    "sensitivity": stats.sensitivity,
    "specificity": stats.specificity,
    "rate_error_points": lambda counts: 100 * stats.rate_error(counts),
}
"""Figures of counts [..., 4, 4]."""
NO_INTERVALS: Mapping[str, Interval | None] = MappingProxyType({})
Given = dict[Key, Status]


def agreement(folder: Path, *, reference: str | None = None, screen: Screen) -> Agreement:
    """Compare every judge of a run with `reference`, print the tables and return the figures.

    reference: default the organism's truth, else a person, published labels, an endpoint, a panel, an
    `hf:` judge, `rubric`, in this order (`TRUST`). Judges of the thinking are left out. Rates are
    fractions, gaps and errors percentage points. Raises UserError for a run with fewer than two judges.
    """
    with RunStore(folder, writable=False) as store:
        names = [name for name in store.judges() if "+thinking" not in name]
        if len(names) < 2:
            raise UserError(
                f"run {str(folder)!r} has {len(names)} judge{'s' * (len(names) != 1)} "
                f"({', '.join(names) or 'none'}): add one with python cli.py judge or annotate"
            )
        outcomes = {name: store.outcomes(name) for name in names}
        settings, task = store.settings(), spoken_of(store.task())
        echoed = echoes(store)
    given: dict[str, Given] = {
        name: {(o.arm, o.scenario, o.sample): o.status for o in rows} for name, rows in outcomes.items()
    }
    chosen = choose(reference, names, what="judge") if reference else _most_trusted(names)
    rows = outcomes[chosen]
    others = [name for name in names if name != chosen and "~" not in name]  # a repetition is its own table
    pairs = _gap_pairs(settings)
    found = Agreement(
        reference=chosen,
        task=task,
        judges={name: _compare(given[name], given[chosen], rows, list(settings), pairs) for name in others},
        known_errors={name: known for name in [chosen, *others] if (known := judges.known_error(name))},
        echo=echoed.shares,
        gaps_without_echo={
            name: {f"{a}-{b}": gap_without(outcomes[name], echoed, a, b) for a, b in pairs}
            for name in [chosen, *others]
        },
        alpha=stats.alpha(_units(given, [chosen, *others])),
        retest={
            f"{name.partition('~')[0]} ~ {name.partition('~')[2]}": _scores(
                *_both(given[name], given[name.partition("~")[0]])
            )
            for name in names
            if "~" in name and name.partition("~")[0] in names
        },
    )
    if not screen.quiet:
        print_agreement(found, screen)
    return found


def _most_trusted(names: Sequence[str]) -> str:
    first = [name for kind in TRUST for name in names if name.startswith(kind) and "~" not in name]
    return first[0] if first else names[0]


def _gap_pairs(settings: Mapping[str, Setting]) -> list[tuple[str, str]]:
    """The named gaps between suffix arms, and every other arm against the baseline, by temperature."""
    names = {setting: name for name, setting in settings.items()}
    temperatures = dict.fromkeys(setting.temperature for setting in settings.values())
    found: list[tuple[str, str]] = []
    for t in temperatures:
        found += [
            (names[Setting(a, t)], names[Setting(b, t)])
            for a, b in GAPS
            if {Setting(a, t), Setting(b, t)} <= names.keys()
        ]
    covered = {name for pair in found for name in pair}
    for setting, name in names.items():
        base = names.get(Setting("baseline", setting.temperature))
        if base is not None and name not in covered | {base}:
            found.append((name, base))
    return found


def _label(status: Status | None) -> Judged | None:
    return status if status in stats.KINDS else None


def _both(judge: Given, reference: Given) -> tuple[list[Judged], list[Judged], list[Key]]:
    """(reference labels, judge labels, rows) where both gave one."""
    keys = [key for key in reference if _label(reference[key]) and _label(judge.get(key))]
    return [cast(Judged, reference[k]) for k in keys], [cast(Judged, judge[k]) for k in keys], keys


def _units(given: Mapping[str, Given], names: Sequence[str]) -> list[list[Judged | None]]:
    keys = dict.fromkeys(key for name in names for key in given[name])
    return [[_label(given[name].get(key)) for name in names] for key in keys]


def _scores(
    reference: Sequence[Judged],
    judge: Sequence[Judged],
    _: Sequence[Key] = (),
    ci: Mapping[str, Interval | None] = NO_INTERVALS,
) -> Scores:
    counts = stats.confusion(reference, judge)
    figures = {name: _number(figure(counts)) for name, figure in FIGURES.items()}
    return Scores(n=len(reference), figures=figures, ci=dict(ci))


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _compare(
    judge: Given, reference: Given, rows: Sequence[Outcome], arms: Sequence[str], pairs: list[tuple[str, str]]
) -> JudgeAgreement | None:
    """None where the two labelled no answer in common."""
    first, second, keys = _both(judge, reference)
    if not keys:
        return None
    category = {o.scenario: o.category for o in rows}
    by_arm = _tables(first, second, keys)
    counts = np.sum(list(by_arm.values()), axis=0)

    def by(place: int, name: str, ci: Mapping[str, Interval | None] = NO_INTERVALS) -> Scores:
        own = [i for i, k in enumerate(keys) if (k[0], category[k[1]])[place] == name]
        return _scores([first[i] for i in own], [second[i] for i in own], ci=ci)

    def rate_error(arm: str) -> dict[str, Interval | None]:
        name = "rate_error_points"
        return {name: stats.interval(by_arm[arm], FIGURES[name])} if arm in by_arm else {}

    every = {name: stats.interval(counts, figure) for name, figure in FIGURES.items()}
    return JudgeAgreement(
        scores=_scores(first, second, ci=every),
        confusion={
            a: {b: int(n) for b, n in zip(stats.KINDS, line, strict=True)}
            for a, line in zip(stats.KINDS, stats.confusion(first, second), strict=True)
        },
        unusable=sum(s == "invalid" for s in judge.values()),
        arms={arm: by(0, arm, rate_error(arm)) for arm in arms},
        categories={c: by(1, c) for c in dict.fromkeys(category.values())},
        gaps={f"{a}-{b}": found for a, b in pairs if (found := _gap(judge, reference, a, b, category))},
    )


def _tables(
    reference: Sequence[Judged], judge: Sequence[Judged], keys: Sequence[Key]
) -> dict[str, stats.Array]:
    """Confusion counts [scenario, 4, 4] of each arm."""
    place = {scenario: i for i, scenario in enumerate(sorted({key[1] for key in keys}))}
    found = {arm: np.zeros((len(place), len(stats.KINDS), len(stats.KINDS))) for arm, *_ in keys}
    for a, b, (arm, scenario, _) in zip(reference, judge, keys, strict=True):
        found[arm][place[scenario], stats.KINDS.index(a), stats.KINDS.index(b)] += 1
    return found


def _gap(
    judge: Given, reference: Given, first: str, second: str, category: Mapping[str, str]
) -> GapAgreement | None:
    """None where there is neither a row that both labelled in both arms nor anything to correct by."""
    known = [
        (arm, s, n)
        for arm, s, n in reference
        if _label(reference[arm, s, n]) and _label(judge.get((arm, s, n)))
    ]
    rows = {arm: {(s, n) for a, s, n in known if a == arm} for arm in (first, second)}
    shared = sorted(rows[first] & rows[second])
    said, true = ((_hits(given, first), _hits(given, second)) for given in (judge, reference))
    corrected = stats.corrected_gap(said, true)
    if not shared:
        return GapAgreement(n=0, corrected=corrected) if corrected else None
    here = [[{row: arm[row] for row in shared} for arm in arms] for arms in (said, true)]
    error, error_ci = stats.gap_error((here[0][0], here[0][1]), (here[1][0], here[1][1]))
    return GapAgreement(
        n=len(shared),
        judge=_points(judge, first, second, shared),
        reference=_points(reference, first, second, shared),
        error=error,
        error_ci=error_ci,
        categories={
            c: _points(judge, first, second, own) - _points(reference, first, second, own)
            for c in dict.fromkeys(category.values())
            if (own := [row for row in shared if category[row[0]] == c])
        },
        corrected=corrected,
    )


def _points(given: Given, first: str, second: str, rows: Sequence[tuple[str, int]]) -> float:
    moved = [(given[first, s, n] == "hit") - (given[second, s, n] == "hit") for s, n in rows]
    return 100 * float(np.mean(moved))


def _hits(given: Given, arm: str) -> dict[tuple[str, int], bool]:
    """Every labelled row of an arm: whether it was a hit."""
    return {(s, n): status == "hit" for (a, s, n), status in given.items() if a == arm and _label(status)}
