"""Rates and gaps of arms: each arm, each gap, the sides of a comparison, controls, categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steer.gaps import Gap
from steer.metrics import ArmMetrics
from steer.propensity import Nats
from steer.results.comparison import Sides
from steer.results.estimates import Spillover
from steer.results.sweep import Folded, Sweep
from steer.show import comparison, words
from steer.show.figures.arms import Arm, Interval, of_all, says
from steer.show.figures.figure import Figure
from steer.show.figures.look import CONTROL, LOOKS, Look, short
from steer.show.figures.rows import PERCENT, POINTS, Mark, chart

BOTH = "Filled: of all answers; hollow: of valid answers."
ARMS, TOGETHER, COMPARED = 60, 40, 8
"""Rows of arms at most, rows of suffix and vector together, and arms within a category."""

FEW = 16
"""Arms of suffix and vector together that are all shown: of more, the doses are in the curves."""

LANES = 5
"""Controls of a kind that stand beside each other before they share a line."""

VECTOR = LOOKS["cell"]
KINDS = {"label": "shuffled labels", "concept": "another concept"} | {
    kind: family.name for kind, family in words.FAMILIES.items()
}


def arms_figure(arms: Sequence[Arm], noun: str) -> Figure:
    """Rates of `arms` on both denominators; `noun`: what they count."""
    shown = arms[:ARMS]
    marks = [
        Mark(row, found.value, found.ci, arm.look, found.says(arm.name, over), arm.name, lane == 1, lane)
        for row, arm in enumerate(shown)
        for lane, (over, found) in enumerate((("all", arm.of_all), ("valid", arm.of_valid)))
    ]
    baseline = next((arm.of_all.value for arm in shown if arm.kind == "baseline"), None)
    drawn = chart([arm.name for arm in shown], marks, PERCENT, across=baseline, lanes=2)
    return Figure(
        drawn,
        34 + 34 * len(shown),
        f"{words.capital(noun)} of each arm on both denominators",
        f"{words.capital(noun)}, %. {BOTH}",
    )


def propensity_figure(found: Mapping[str, Nats], arms: Sequence[Arm]) -> Figure:
    """Mean propensity of `arms`; found: by arm."""
    shown = arms[:ARMS]
    marks = [
        Mark(row, one.nats, one.ci, arm.look, f"{short(arm.name)}\n{words.nats(one)} nats", arm.name)
        for row, arm in enumerate(shown)
        for one in [found[arm.name]]
    ]
    baseline = next((found[arm.name].nats for arm in shown if arm.kind == "baseline"), None)
    return Figure(
        chart([arm.name for arm in shown], marks, "nats", across=baseline),
        52 + 34 * len(shown),
        "Propensity of each arm",
        "Log-probability of the likeliest hit less that of the likeliest other option, in nats.",
    )


def gaps_figure(gaps: Mapping[str, Gap], arms: Mapping[str, Arm], noun: str) -> Figure | None:
    """Every gap on both denominators, in the look of the arm that is steered."""
    if not gaps:
        return None
    marks: list[Mark] = []
    for row, (name, gap) in enumerate(gaps.items()):
        first, second = (arms.get(side) for side in (gap.first, gap.second))
        steered = second if first is not None and first.kind == "baseline" else first
        look = VECTOR if steered is None else steered.look
        both = (("all", gap.points_all, gap.ci_all), ("valid", gap.points_valid, gap.ci_valid))
        for lane, (over, value, ci) in enumerate(both):
            said = says(name, value, ci, f"of {over}: ")
            marks.append(Mark(row, value, ci, look, said, gap.first, lane == 1, lane))
    drawn = chart(list(gaps), marks, POINTS, across=0, lanes=2)
    caption = f"Gap in {noun}, percentage points. {BOTH}"
    return Figure(drawn, 52 + 34 * len(gaps), "Gaps on both denominators", caption)


def sides_figure(sides: Sides, noun: str) -> Figure:
    """Suffix gap, vector gap and their difference."""
    names: list[str] = []
    marks: list[Mark] = []

    def add(title: str, value: float | None, ci: Interval | None, look: Look) -> None:
        marks.append(Mark(len(names), value, ci, look, says(title, value, ci)))
        names.append(title)

    for name, title in comparison.SIDE_NAMES.items():
        if (gap := sides.gaps.get(name)) is not None:
            look = VECTOR if name.startswith("vector") else LOOKS["suffix"]
            add(title, gap.points_all, gap.ci_all, look)
    if (mean := sides.wordings_all) is not None:
        add(comparison.WORDINGS, mean.points, mean.ci, LOOKS["suffix"])
    for name, title in comparison.DIFFERENCE_NAMES.items():
        if (one := sides.differences.get(name)) is not None and one.over_all is not None:
            add(title, one.over_all.points, one.over_all.ci, Look("ink", "square"))
    return Figure(
        chart(names, marks, POINTS, across=0),
        52 + 34 * len(names),
        "Suffix gap, vector gap and their difference",
        f"Gap in {noun}, percentage points of all answers.",
    )


def controls_figure(report: Folded, sweep: Sweep) -> Figure:
    """The three gaps of the vector and of each control in its place; the random directions' 95th percentile
    is shaded, and on their own line the unrelated contrasts', where they are enough to have one."""
    controls, bounds, own = sweep.controls, sweep.beyond_random, sweep.beyond_contrasts
    kinds: list[str] = list(dict.fromkeys(one.kind for one in controls))
    names: list[str] = []
    marks: list[Mark] = []
    within: dict[int, float] = {}
    for gap, title in words.GAPS.items():
        first = len(names)
        value, ci = report.gaps[gap].points_all, report.gaps[gap].ci_all
        names += [f"vector, {title}", *(KINDS.get(kind, kind) for kind in kinds)]
        marks.append(Mark(first, value, ci, VECTOR, says(f"the vector, {title}", value, ci), lane=LANES // 2))
        for i, one in enumerate(controls):
            if (found := one.gaps[gap]) is None:
                continue
            said = says(f"{one.control}, {title}", found.points, found.ci)
            row = first + 1 + kinds.index(one.kind)
            look = Look("base", CONTROL.shape)
            marks.append(Mark(row, found.points, None, look, said, hollow=True, lane=i % LANES))
        if bounds is not None and (bound := bounds.gaps[gap].percentile_95) is not None:
            within |= {row: bound for row in range(first, len(names))}
        if own is not None and "contrast" in kinds:
            row = first + 1 + kinds.index("contrast")
            within.pop(row, None)
            if (bound := own.gaps[gap].percentile_95) is not None:
                within[row] = bound
    return Figure(
        chart(names, marks, "points", across=0, within=within, lanes=LANES),
        52 + 34 * len(names),
        "Effect of control directions in the vector's place",
        "The three gaps of the vector and of each control, points of all answers.",
    )


def together_figure(names: Sequence[str], arms: Mapping[str, Arm], noun: str) -> Figure | None:
    """Rates of arms with suffix and vector at once, below those of baseline and suffixes alone."""
    some = [n for n in names if len(names) <= FEW or " by " in n or "neutral" in n or "random" in n]
    if not some:
        return None
    alone = [name for name in ("baseline", "pro", "anti") if name in arms]
    rows = [arms[name] for name in (*alone, *some[:TOGETHER])]
    marks = [
        Mark(row, arm.of_all.value, arm.of_all.ci, arm.look, arm.of_all.says(arm.name, "all"), arm.name)
        for row, arm in enumerate(rows)
    ]
    return Figure(
        chart([arm.name for arm in rows], marks, PERCENT),
        34 + 28 * len(rows),
        f"{words.capital(noun)} of arms with suffix and vector together",
        f"{words.capital(noun)}, % of all answers, with both at once.",
    )


def categories_figure(
    categories: Mapping[str, Mapping[str, ArmMetrics]], arms: Sequence[Arm], noun: str
) -> Figure | None:
    """Rates of `arms` in each category: upward arms point right, downward ones left."""
    shown = [arm for arm in arms if any(arm.name in found for found in categories.values())][:COMPARED]
    if not shown:
        return None
    key = {arm.name: Look(arm.look.colour, _pointing(arm)) for arm in shown}
    marks: list[Mark] = []
    for row, (category, found) in enumerate(categories.items()):
        for lane, arm in enumerate(shown):
            if arm.name in found:
                numbers = of_all(found[arm.name])
                said = f"{short(category)}\n{numbers.says(arm.name, str(found[arm.name].n))}"
                look = key[arm.name]
                marks.append(
                    Mark(row, numbers.value, numbers.ci, look, said, arm.name, lane=lane, name=arm.name)
                )
    return Figure(
        chart(list(categories), marks, PERCENT, lanes=len(shown), key=key),
        34 + 24 * (1 + len(shown) // 4) + max(40, 15 * len(shown)) * len(categories),
        f"{words.capital(noun)} by category and arm",
        f"{words.capital(noun)}, % of all answers, by category.",
    )


def _pointing(arm: Arm) -> str:
    if arm.kind == "baseline":
        return "circle"
    if "neutral" in arm.name:
        return "diamond"
    down = arm.name.startswith("anti") if arm.kind == "suffix" else arm.magnitude < 0
    return "triangle-left" if down else "triangle-right"


def models_figure(
    runs: Sequence[tuple[str, Mapping[str, Mapping[str, Spillover]]]], shown: Sequence[str]
) -> Figure:
    """The same arms on each model: (model, its spill-over by broad set). Filled: narrow; hollow: broad."""
    names: list[str] = []
    marks: list[Mark] = []
    for model, spillover in runs:
        sets = list(spillover.items())
        for arm in (name for name in shown if name in sets[0][1]):
            look = LOOKS["adapter"] if arm == "lora" else VECTOR
            row = len(names)
            names.append(f"{model} · {arm}")
            near = sets[0][1][arm]
            parts = [("narrow", near.narrow_points, near.narrow_ci)]
            parts += [(name, a[arm].broad_points, a[arm].broad_ci) for name, a in sets]
            for lane, (what, value, ci) in enumerate(parts):
                said = says(names[-1], value, ci, f"{short(what)}: ")
                marks.append(Mark(row, value, ci, look, said, hollow=lane > 0, lane=lane))
    lanes = 1 + max(len(spillover) for _, spillover in runs)
    return Figure(
        chart(names, marks, "points against baseline", across=0, lanes=lanes),
        52 + 14 * max(2, lanes) * len(names),
        "Narrow and broad effect by model",
        "Points against baseline, by model and way of steering.",
    )
