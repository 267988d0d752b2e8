"""What every run says: rates of its arms, their side effects, gaps, propensity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from steer.metrics import ArmMetrics
from steer.results import Result
from steer.results.estimates import ArmResult, FoldedArm
from steer.results.result import Propensity
from steer.show import measured, words
from steer.show.sweep import control_arms
from steer.show.table import Section, Table

NAMED = 4
"""Arms of a warning that are named; the others are counted."""


def arm_sections(
    result: Result, names: Sequence[str], every: Sequence[str], *, few: int | None = None
) -> Iterator[Section]:
    """Rates and side effects of `names` and of what is put together out of fold; then of all arms.

    few: how many nulls of a kind are shown, None for all.
    """
    noun, folded = words.capital(result.task.words.noun), out_of_fold(result, few)
    arms = {name: result.arms[name] for name in names}
    yield Section(
        "arms",
        f"{noun} of each arm",
        f"Share of answers that {result.task.words.verb}, with 95 % intervals: of all answers, and of the "
        "valid ones, without nonsense and answers that got no label.",
        rate_table({**arms, **folded}, noun),
    )
    if len(names) < len(every):
        table = rate_table({name: result.arms[name] for name in every}, noun)
        yield Section("all-arms", f"All {len(every)} arms", table=table, part=True)
    found = measured.known(arms.values())
    if found and result.emergent is None:
        yield Section(
            "effects",
            "Side effects of each arm",
            table=effect_table({**arms, **folded}, found),
            note=f"{measured.notes(found)}\nCut: answers that the limit ended.".strip(),
            part=True,
        )


def out_of_fold(result: Result, few: int | None) -> dict[str, FoldedArm]:
    """Arms put together of what either half chose, those of controls last."""
    if result.sweep is None:
        return {}
    found = result.sweep.out_of_fold
    controls = control_arms(result.sweep.controls)
    shown = control_arms(result.sweep.controls, few)
    kept = {name: arm for name, arm in found.items() if name in shown or name not in controls}
    return dict(sorted(kept.items(), key=lambda item: item[0] in controls))


def rate_table(arms: Mapping[str, ArmMetrics], noun: str) -> Table:
    rows = tuple(
        (name, str(arm.n), words.stopped(arm.n), *[""] * 4)
        if isinstance(arm, ArmResult) and arm.kind == "stopped"
        else (
            name,
            str(arm.n),
            words.rate(arm.rate_all, arm.rate_all_ci),
            words.rate(arm.rate_valid, arm.rate_valid_ci),
            words.percent(arm.refusal_valid),
            words.percent(arm.broken_all),
            str(arm.invalid + arm.truncated + arm.failed + arm.missing),
        )
        for name, arm in arms.items()
    )
    columns = ("arm", "n", f"{noun} %, of all", "of valid", "refused %", "nonsense %", "no label")
    return Table(columns, rows, tuple(arms))


def effect_table(arms: Mapping[str, ArmResult | FoldedArm], names: Sequence[str]) -> Table:
    rows = tuple(
        (name, *(measured.text(one, arm.measures.get(one)) for one in names), str(arm.cut))
        for name, arm in arms.items()
    )
    return Table(("arm", *(measured.shown(one).title for one in names), "cut"), rows, tuple(arms))


def gap_section(result: Result) -> Section:
    rows = tuple(
        (
            name,
            *words.gap(gap),
            f"{gap.only_first}/{gap.only_second}",
            words.p_value(gap.p),
            words.p_value(gap.p_holm),
            str(gap.wrong_way),
            str(gap.cannot_move),
        )
        for name, gap in result.gaps.items()
    )
    columns = (
        "gap",
        "points, of all",
        "of valid",
        "only 1st/2nd",
        "p",
        "p (Holm)",
        "wrong way",
        "cannot move",
    )
    return Section(
        "gaps",
        "Gaps, paired",
        "Differences between two arms on the same scenarios, in percentage points, with 95 % intervals. "
        "Where the two denominators disagree, answers without a valid label decide the gap.",
        Table(columns, rows, tuple(gap.first for gap in result.gaps.values())),
    )


def propensity_sections(result: Result, names: Sequence[str]) -> Iterator[Section]:
    """Of choices, in nats: arms, paired differences, slopes; nothing where answers were judged."""
    found = result.propensity
    if found is None:
        return
    rows = tuple(
        (
            name,
            words.nats(found.arms[name]),
            words.number(result.arms[name].measures.get("mass")) + (" !" if name in found.mass_lost else ""),
        )
        for name in names
        if name in found.arms
    )
    yield Section(
        "propensity",
        "Propensity, nats",
        "How far the hit option is above the best other one, in log-probability; mass is what all options "
        "together hold of it.",
        Table(("arm", "mean", "mass"), rows, tuple(row[0] for row in rows)),
        "\n".join(_slopes(found)),
    )
    report = None if result.sweep is None else result.sweep.choice.report
    shifts = dict(found.gaps)
    if report is not None:
        shifts |= {f"vector {words.GAPS[name]}, out of fold": one for name, one in report.shifts.items()}
    rows = tuple(
        (name, words.nats(one), words.p_value(one.p), words.percent(one.wrong_way))
        for name, one in shifts.items()
    )
    if rows:
        table = Table(("gap", "nats", "p (signs)", "wrong way %"), rows)
        yield Section("propensity-gaps", "Propensity, paired", table=table, part=True)


def _slopes(found: Propensity) -> Iterator[str]:
    for name, one in found.steerability.items():
        if one is not None:
            yield (
                f"Steerability of the {name}: {words.nats(one)} nats a unit of magnitude, "
                f"{words.percent(one.wrong_way)} % of {one.n} scenarios the wrong way."
            )
    if lost := found.mass_lost:
        more = f" and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        yield (
            "! Options hold less than half of the mass that they hold at baseline: "
            f"{', '.join(lost[:NAMED])}{more}."
        )
