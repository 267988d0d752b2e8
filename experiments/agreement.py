"""`agreement RUN`: how far the judges of a run agree, and what their errors do to its rates and gaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from experiments.agreement_tables import print_agreement
from steer import judges
from steer.echoes import Key, echoes, gap_without
from steer.errors import UserError, choose
from steer.judges import agreement as stats
from steer.resampling import bootstrap_weights, percentile_interval
from steer.screen import Screen
from steer.store import RunStore, Setting
from steer.summary import GAPS
from steer.types import Label, Outcome, Status

RESAMPLES = 2000
TRUST = ("organism-truth", "human:", "published:", "openai:", "panel:", "hf:", "rubric")
Given = dict[Key, Status]


def agreement(folder: Path, *, reference: str | None = None, screen: Screen) -> dict[str, Any]:
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
        settings = store.settings()
        echoed = echoes(store)
    given: dict[str, Given] = {
        name: {(o.arm, o.scenario, o.sample): o.status for o in rows} for name, rows in outcomes.items()
    }
    chosen = choose(reference, names, what="judge") if reference else _most_trusted(names)
    rows = outcomes[chosen]
    others = [name for name in names if name != chosen and "~" not in name]  # a repetition is its own table
    pairs = _gap_pairs(settings)
    found: dict[str, Any] = {
        "reference": chosen,
        "judges": {
            name: _compare(given[name], given[chosen], rows, list(settings), pairs) for name in others
        },
        "known_errors": {name: known for name in [chosen, *others] if (known := judges.known_error(name))},
        "echo": echoed.shares,
        "gaps_without_echo": {
            name: {f"{a}-{b}": asdict(gap_without(outcomes[name], echoed, a, b)) for a, b in pairs}
            for name in [chosen, *others]
        },
        "alpha": stats.alpha(_units(given, [chosen, *others])),
        "retest": {
            f"{name.partition('~')[0]} ~ {name.partition('~')[2]}": _scores(
                *_both(given[name], given[name.partition("~")[0]])
            )
            for name in names
            if "~" in name and name.partition("~")[0] in names
        },
    }
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


def _label(status: Status | None) -> Label | None:
    return status if status in stats.KINDS else None


def _both(judge: Given, reference: Given) -> tuple[list[Label], list[Label], list[Key]]:
    """(reference labels, judge labels, rows) where both gave one."""
    keys = [key for key in reference if _label(reference[key]) and _label(judge.get(key))]
    return [cast(Label, reference[k]) for k in keys], [cast(Label, judge[k]) for k in keys], keys


def _units(given: Mapping[str, Given], names: Sequence[str]) -> list[list[Label | None]]:
    keys = dict.fromkeys(key for name in names for key in given[name])
    return [[_label(given[name].get(key)) for name in names] for key in keys]


def _scores(reference: Sequence[Label], judge: Sequence[Label], _: Sequence[Key] = ()) -> dict[str, Any]:
    counts = stats.confusion(reference, judge)
    return {
        "n": len(reference),
        "accuracy": _number(stats.accuracy(counts)),
        "macro_f1": _number(stats.macro_f1(counts)),
        "kappa": _number(stats.kappa(counts)),
        "kappa_convergence": _number(stats.kappa(stats.collapse(counts))),
        "sensitivity": _number(stats.sensitivity(counts)),
        "specificity": _number(stats.specificity(counts)),
        "rate_error_points": _number(100 * stats.rate_error(counts)),
    }


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _compare(
    judge: Given, reference: Given, rows: Sequence[Outcome], arms: Sequence[str], pairs: list[tuple[str, str]]
) -> dict[str, Any]:
    first, second, keys = _both(judge, reference)
    if not keys:
        return {"n": 0}
    category = {o.scenario: o.category for o in rows}
    boot = _Bootstrap(first, second, keys, category)
    by: Callable[[int, str], dict[str, Any]] = lambda place, name: _scores(  # noqa: E731
        [a for a, k in zip(first, keys, strict=True) if (k[0], category[k[1]])[place] == name],
        [b for b, k in zip(second, keys, strict=True) if (k[0], category[k[1]])[place] == name],
    )
    return _scores(first, second) | {
        "confusion": {
            a: {b: int(n) for b, n in zip(stats.KINDS, line, strict=True)}
            for a, line in zip(stats.KINDS, stats.confusion(first, second), strict=True)
        },
        "accuracy_ci": boot.interval(stats.accuracy),
        "macro_f1_ci": boot.interval(stats.macro_f1),
        "kappa_ci": boot.interval(stats.kappa),
        "sensitivity_ci": boot.interval(stats.sensitivity),
        "specificity_ci": boot.interval(stats.specificity),
        "kappa_convergence_ci": boot.interval(lambda c: stats.kappa(stats.collapse(c))),
        "rate_error_points_ci": boot.interval(lambda c: 100 * stats.rate_error(c)),
        "unusable": sum(s == "invalid" for s in judge.values()),
        "arms": {arm: by(0, arm) | boot.arm(arm) for arm in arms},
        "categories": {c: by(1, c) for c in dict.fromkeys(category.values())},
        "gaps": {
            f"{a}-{b}": found
            for a, b in pairs
            if (found := _gap(judge, reference, a, b, boot, dict.fromkeys(category.values()), category))
        },
    }


class _Bootstrap:
    """Confusion counts [arm, scenario, 4, 4], resampled over scenarios within categories."""

    def __init__(
        self,
        reference: Sequence[Label],
        judge: Sequence[Label],
        keys: Sequence[Key],
        category: Mapping[str, str],
    ) -> None:
        self.scenarios = list(dict.fromkeys(key[1] for key in keys))
        self.arms = list(dict.fromkeys(key[0] for key in keys))
        self.counts = np.zeros((len(self.arms), len(self.scenarios), 4, 4))
        place = {s: i for i, s in enumerate(self.scenarios)}
        for a, b, (arm, scenario, _) in zip(reference, judge, keys, strict=True):
            self.counts[
                self.arms.index(arm), place[scenario], stats.KINDS.index(a), stats.KINDS.index(b)
            ] += 1
        groups = [category[s] for s in self.scenarios]
        self.weights = bootstrap_weights(groups, seed=0, resamples=RESAMPLES)

    def draws(self, arm: str | None = None) -> Any:
        """Counts [resample, 4, 4] of one arm or of all."""
        counts = self.counts.sum(0) if arm is None else self.counts[self.arms.index(arm)]
        return np.tensordot(self.weights, counts, axes=1)

    def interval(self, figure: Callable[[Any], Any]) -> tuple[float, float] | None:
        return percentile_interval(figure(self.draws()))

    def arm(self, arm: str) -> dict[str, Any]:
        if arm not in self.arms:
            return {}
        return {"rate_error_points_ci": percentile_interval(100 * stats.rate_error(self.draws(arm)))}


def _gap(
    judge: Given,
    reference: Given,
    first: str,
    second: str,
    boot: _Bootstrap,
    categories: Mapping[str, None],
    category: Mapping[str, str],
) -> dict[str, Any] | None:
    """The gap by both judges on the rows both labelled in both arms, its error, and the corrected gap."""
    known = [
        (arm, s, n)
        for arm, s, n in reference
        if _label(reference[arm, s, n]) and _label(judge.get((arm, s, n)))
    ]
    rows = {arm: {(s, n) for a, s, n in known if a == arm} for arm in (first, second)}
    shared = sorted(rows[first] & rows[second])
    found: dict[str, Any] = {"n": len(shared)}
    if shared:
        points = [_points(given, first, second, shared) for given in (judge, reference)]
        found |= {"judge": points[0], "reference": points[1], "error": points[0] - points[1]}
        found["error_ci"] = _gap_error_interval(judge, reference, first, second, shared, boot)
        found["categories"] = {
            c: _points(judge, first, second, own) - _points(reference, first, second, own)
            for c in categories
            if (own := [row for row in shared if category[row[0]] == c])
        }
    corrected = stats.corrected_gap(
        (_convergent(judge, first), _convergent(judge, second)),
        (_convergent(reference, first), _convergent(reference, second)),
    )
    if corrected is not None:
        found["corrected"] = asdict(corrected)
    return found if shared or corrected else None


def _points(given: Given, first: str, second: str, rows: Sequence[tuple[str, int]]) -> float:
    moved = [(given[first, s, n] == "convergence") - (given[second, s, n] == "convergence") for s, n in rows]
    return 100 * float(np.mean(moved))


def _gap_error_interval(
    judge: Given,
    reference: Given,
    first: str,
    second: str,
    rows: Sequence[tuple[str, int]],
    boot: _Bootstrap,
) -> tuple[float, float] | None:
    """Bootstrap over scenarios of the error of the gap."""
    place = {s: i for i, s in enumerate(boot.scenarios)}
    error, trials = np.zeros(len(place)), np.zeros(len(place))
    for s, n in rows:
        error[place[s]] += _points(judge, first, second, [(s, n)]) - _points(
            reference, first, second, [(s, n)]
        )
        trials[place[s]] += 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return percentile_interval((boot.weights @ error) / (boot.weights @ trials))


def _convergent(given: Given, arm: str) -> dict[tuple[str, int], bool]:
    """Every labelled row of an arm: whether it converged."""
    return {
        (s, n): status == "convergence" for (a, s, n), status in given.items() if a == arm and _label(status)
    }
