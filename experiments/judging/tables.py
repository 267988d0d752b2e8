"""The tables of `agreement RUN`, from its figures."""

from __future__ import annotations

from steer.intervals import Interval
from steer.judges import agreement as stats
from steer.results.agreement import Agreement, JudgeAgreement, Scores
from steer.screen import Screen
from steer.show import words

FIGURES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "kappa": "κ, four labels",
    "kappa_hit": "κ, {noun} or not",
    "sensitivity": "found: sensitivity for {noun}",
    "specificity": "spared: specificity for {noun}",
    "rate_error_points": "error of the {noun} rate, points",
}


PARTS = ("accuracy", "kappa_hit", "sensitivity", "specificity")
"""What is told of a part of the answers."""


def print_agreement(found: Agreement, screen: Screen) -> None:
    reference, noun = found.reference, found.task.words.noun
    compared = {name: one.scores for name, one in found.judges.items() if one}
    unusable = {name: one.unusable for name, one in found.judges.items() if one}
    compared |= {f"{name} (retest)": one for name, one in found.retest.items() if one.n}
    if compared:
        screen.table(
            f"Agreement with {reference}; 95 % intervals, the scenario as the unit",
            ["", *compared],
            [
                ["answers both labelled", *(str(one.n) for one in compared.values())],
                *(
                    [title.format(noun=noun), *(_figure(one, name) for one in compared.values())]
                    for name, title in FIGURES.items()
                ),
                ["no usable label", *(str(unusable.get(name, 0)) for name in compared)],
            ],
        )
    for name, one in found.judges.items():
        if one is None:
            screen.note(f"{name} and {reference} labelled no answer in common")
            continue
        _print_judge(screen, name, one, found)
        if known := found.known_errors.get(name):
            screen.line(f"{name}: {known}")
    _print_echo(screen, found)
    if found.alpha is not None:
        screen.line(f"Krippendorff's α of {1 + len(found.judges)} judges: {found.alpha:.2f}")
    if known := found.known_errors.get(reference):
        screen.line(f"{reference}, the reference: {known}")
    screen.line("rates and gaps here are over the answers that both judges labelled; raw and corrected gaps")
    screen.line("over all that the judge labelled. Corrected: labels of the reference must be a random part.")


def _print_judge(screen: Screen, name: str, one: JudgeAgreement, found: Agreement) -> None:
    reference, noun, kinds = found.reference, found.task.words.noun, list(stats.KINDS)
    said: dict[str, str] = {label.role: label.name for label in reversed(found.task.labels)}
    screen.table(
        f"{name}: its labels (columns) for each label of {reference}",
        ["", *(said.get(kind, kind) for kind in kinds)],
        [[said.get(a, a), *(str(one.confusion[a][b]) for b in kinds)] for a in kinds],
    )
    screen.table(
        f"{name}: by arm",
        ["arm", "n", "accuracy", f"κ {noun}", "found", "spared", "rate error, points"],
        [
            [arm, str(part.n), *(_figure(part, figure) for figure in (*PARTS, "rate_error_points"))]
            for arm, part in one.arms.items()
        ],
    )
    named = [gap for gap, part in one.gaps.items() if part.error is not None][:3]
    screen.table(
        f"{name}: by category, errors in points",
        ["category", "n", "accuracy", "rate", *named],
        [
            [
                category,
                str(part.n),
                *(_figure(part, figure) for figure in ("accuracy", "rate_error_points")),
                *(_signed(one.gaps[gap].categories.get(category)) for gap in named),
            ]
            for category, part in one.categories.items()
        ],
    )
    if one.gaps:
        screen.table(
            f"{name}: gaps in points",
            ["gap", "n", "judge", "reference", "error"],
            [
                [
                    gap,
                    str(part.n),
                    _signed(part.judge),
                    _signed(part.reference),
                    _signed(part.error, part.error_ci),
                ]
                for gap, part in one.gaps.items()
            ],
        )
    partly = {gap: part.corrected for gap, part in one.gaps.items() if part.corrected}
    if partly:
        screen.table(
            f"{name}: gaps in points, raw and corrected by the labels of {reference}",
            ["gap", "raw", "corrected", "labels an arm", "of these otherwise"],
            [
                [
                    gap,
                    _signed(part.raw, part.raw_ci),
                    part.reason or _signed(part.points, part.ci),
                    " + ".join(map(str, part.labelled)),
                    " + ".join(map(str, part.disagreements)),
                ]
                for gap, part in partly.items()
            ],
        )


def _print_echo(screen: Screen, found: Agreement) -> None:
    if not any(found.echo.values()):
        return
    shares = ", ".join(f"{arm} {words.percent(share)} %" for arm, share in found.echo.items())
    screen.line(f"answers that repeat five words in a row of a suffix: {shares}")
    rows = [
        [
            name,
            gap,
            _signed(part.points_all_with_echo),
            _signed(part.points_all, part.ci_all),
            str(part.n),
        ]
        for name, gaps in found.gaps_without_echo.items()
        for gap, part in gaps.items()
    ]
    if rows:
        columns = ["judge", "gap", "all items", "without echo", "items"]
        screen.table("Gaps in points, over all items and where neither answer echoes a suffix", columns, rows)


def _figure(one: Scores, name: str) -> str:
    value, ci = one.figures[name], one.ci.get(name)
    if name == "rate_error_points":
        return _signed(value, ci)
    if value is None or ci is None:
        return words.NONE if value is None else f"{value:.2f}"
    return f"{value:.2f} [{ci[0]:.2f}, {ci[1]:.2f}]"


def _signed(value: float | None, ci: Interval | None = None) -> str:
    """Points, with their interval where there is one."""
    if value is None:
        return words.NONE
    return words.points(value) if ci is None else words.with_limits(value, ci)
