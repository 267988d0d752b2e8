"""What a sweep says: the choice, its controls, its cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steer.results import Result
from steer.results.estimates import measure_of
from steer.results.sweep import BeyondNulls, CellResult, Choice, ControlResult, Fold, Folded, Sweep
from steer.show import measured, words
from steer.show.arms import baseline_of
from steer.show.table import Section, Table

SHADES = " ░▒▓█"


def choice_section(sweep: Sweep) -> Section:
    """The cross-fitted choice, and the asymmetric pair as a second look."""
    choice = sweep.choice
    if choice.report is None:
        return Section("choice", "The chosen vector", note=words.sentence(choice.none))
    rows = _choice_rows(choice.report, "vector")
    if choice.asymmetric is not None:
        rows += _choice_rows(choice.asymmetric, "best pair of cells (secondary)")[:1]
    columns = ("vector, out of fold", "points, of all", "of valid", "p (Holm, of 3)")
    return Section(
        "choice",
        "The chosen vector, out of fold (report)",
        "Layer and magnitude were chosen on one half of the scenarios and are measured on the other.",
        Table(columns, tuple(rows)),
        "\n".join((_cap(choice), *map(_fold, choice.report.folds))),
    )


def _choice_rows(found: Folded, what: str) -> list[tuple[str, ...]]:
    return [
        (f"{what}: {title}", *words.gap(found.gaps[name]), words.p_value(found.gaps[name].p_holm))
        for name, title in words.GAPS.items()
    ]


def _cap(choice: Choice) -> str:
    cap = choice.cap
    drift = "" if cap.drift is None else f" and drift at most {cap.drift:g} nats a token"
    return (
        f"Cap on a chosen cell: nonsense at most {100 * cap.nonsense:g} %{drift}; ties to the smaller drift."
    )


def _fold(fold: Fold) -> str:
    valid = fold.points_selection_valid
    said = f"{words.points(fold.points_selection)} points there of all"
    said += "" if valid is None else f", {words.points(valid)} of valid"
    if fold.nats_selection is not None:
        said += f", {words.fixed(fold.nats_selection)} nats"
    at = f"{fold.plus} and {fold.minus}"
    if fold.layer is not None and fold.magnitude is not None:
        at = f"layer {fold.layer}, ±{fold.magnitude:g}"
    return f"Chosen on half {fold.choose_on}: {at} ({said}, selection), reported on half {fold.report_on}."


def few_controls(controls: Sequence[ControlResult], few: int | None = None) -> list[ControlResult]:
    """All controls but the nulls past the first `few` of a kind: of unrelated contrasts the strongest."""
    kept: set[str] = set()
    for kind in words.FAMILIES:
        some = [one for one in controls if one.kind == kind]
        some.sort(key=lambda one: -_size(one) if one.kind == "contrast" else 0)
        kept |= {one.control for one in some[:few]}
    return [one for one in controls if one.kind not in words.FAMILIES or one.control in kept]


def _size(one: ControlResult) -> float:
    whole = one.gaps["plus-minus"]
    return 0.0 if whole is None else abs(whole.points)


def control_arms(controls: Sequence[ControlResult], few: int | None = None) -> set[str]:
    """The controls' arms at either sign."""
    return {f"{one.control} {sign}" for one in few_controls(controls, few) for sign in "+-"}


def families(sweep: Sweep) -> list[tuple[words.Family, BeyondNulls]]:
    """The kinds of nulls that a sweep has any of."""
    found = {"random": sweep.beyond_random, "contrast": sweep.beyond_contrasts}
    return [(words.FAMILIES[kind], one) for kind, one in found.items() if one is not None and one.directions]


def control_sections(sweep: Sweep, few: int | None = None) -> Iterator[Section]:
    """What directions that mean nothing, or something else, did in the vector's place."""
    report = sweep.choice.report
    if not sweep.controls or report is None:
        return
    shown = few_controls(sweep.controls, few)
    rows = [("the vector", "", *(words.gap(report.gaps[name])[0] for name in words.GAPS))]
    rows += [
        (one.control, one.kind, *(words.estimate(one.gaps[name]) for name in words.GAPS)) for one in shown
    ]
    for kind, family in words.FAMILIES.items():
        if aside := sum(one.kind == kind for one in sweep.controls) - sum(one.kind == kind for one in shown):
            rows.append((f"{aside} more {family.name}", kind, "", "", ""))
    notes: list[str] = []
    for family, found in families(sweep):
        rows += _null_rows(found, family, "")
        notes.append(f"The vector's interval and the {family.name}: {words.beyond(found, family)}.")
    yield Section(
        "controls",
        "Effect and controls, points of all, out of fold (report)",
        "Directions that mean nothing, or something else, in the vector's place, pushed as hard"
        f"{_but_choosing(sweep)}, with 95 % intervals; of {words.ENOUGH} or more of a kind, 95 % stay within "
        "their 95th percentile. p: which share of them, the vector among them, goes at least as far.",
        Table(("in the vector's place", "kind", *words.GAPS.values()), tuple(rows)),
        "\n".join(notes),
    )
    if report.shifts:
        yield _control_nats(report, shown, families(sweep))


def _but_choosing(sweep: Sweep) -> str:
    """Where the controls were not pushed at the vector's cells."""
    found = sweep.beyond_contrasts
    own = found is not None and found.choosing
    return " (unrelated contrasts chose their own cells, as the vector did)" if own else ""


def _null_rows(
    found: BeyondNulls, family: words.Family, *between: str, in_nats: bool = False
) -> list[tuple[str, ...]]:
    """Where the vector stands among nulls of a kind, and how far those go."""
    title, values = words.null_bounds(found, family, in_nats=in_nats)
    bounds = (title, *between, *(words.fixed(value) if in_nats else _tenths(value) for value in values))
    ranked, texts = words.rank(found, family, in_nats=in_nats)
    return [bounds] if set(texts) == {words.NONE} else [(ranked, *between, *texts), bounds]


def _tenths(value: float | None) -> str:
    return words.NONE if value is None else f"{value:.1f}"


def _control_nats(
    report: Folded, shown: Sequence[ControlResult], nulls: Sequence[tuple[words.Family, BeyondNulls]]
) -> Section:
    rows = [("the vector", *(words.nats(report.shifts[name]) for name in words.GAPS))]
    rows += [
        (one.control, *(words.nats(one.shifts[name]) for name in words.GAPS)) for one in shown if one.shifts
    ]
    notes: list[str] = []
    for family, found in nulls:
        if found.shifts:
            rows += _null_rows(found, family, in_nats=True)
            said = words.beyond(found, family, in_nats=True)
            notes.append(f"In nats, the vector's interval and the {family.name}: {said}.")
    return Section(
        "control-nats",
        "Effect and controls, nats, out of fold (report)",
        "",
        Table(("in the vector's place", *words.GAPS.values()), tuple(rows)),
        "\n".join(notes),
        True,
    )


def cell_section(result: Result, sweep: Sweep) -> Section:
    """Every cell: it was chosen among, so its numbers are selection."""
    cells = sorted(sweep.cells, key=lambda cell: (cell.layer, cell.magnitude))
    rows = tuple(_cell(result, cell) for cell in cells)
    noun = words.capital(result.task.words.noun)
    columns = ("cell", "layer", "magnitude", "span", f"{noun} %, of all", "points, of all", "p (Holm)")
    titles = tuple(measured.shown(name).title for name in ("broken_all", "fluency", "drift"))
    return Section(
        "cells",
        "Layer by magnitude (selection)",
        "Every cell is the vector added at one layer with one magnitude. Outlined: the chosen cells. The "
        "cells' own numbers are selection; only the chosen cells' numbers out of fold are a report."
        + _raced(sweep),
        Table((*columns, *titles, "chosen on"), rows, tuple(cell.arm for cell in cells)),
    )


def _raced(sweep: Sweep) -> str:
    if sweep.race is None:
        return ""
    rows, of = sweep.race.rows, sweep.race.of
    stopped = sum(cell.stopped_after is not None for cell in sweep.cells)
    return (
        f" Raced: {rows:,} of the grid's {of:,} answers were needed ({100 * rows / of:.0f} %); {stopped} of "
        f"{len(sweep.cells)} cells were stopped when no half could choose them any more, and have no rate."
    )


def _cell(result: Result, cell: CellResult) -> tuple[str, ...]:
    arm = result.arms[cell.arm]
    place = (cell.arm, str(cell.layer), words.signed(cell.magnitude), cell.span)
    if cell.gap is None:
        return (*place, words.stopped(cell.stopped_after or 0), *[""] * 6)
    return (
        *place,
        words.rate(arm.rate_all, arm.rate_all_ci),
        words.gap(cell.gap)[0],
        words.p_value(cell.gap.p_holm),
        *(measured.text(name, measure_of(arm, name)) for name in ("broken_all", "fluency", "drift")),
        " ".join(cell.chosen_on),
    )


def heat_section(result: Result, sweep: Sweep) -> Section:
    """For a terminal: the hit rate by layer and magnitude; the chosen cells and nonsense are marked."""
    magnitudes = sorted({cell.magnitude for cell in sweep.cells})
    at = {(cell.layer, cell.magnitude): cell for cell in sweep.cells}
    middle = sum(magnitude < 0 for magnitude in magnitudes)
    name = baseline_of(result)
    rate = None if name is None else result.arms[name].rate_all
    baseline = words.NONE if rate is None else f"{100 * rate:.0f}"
    rows: list[tuple[str, ...]] = []
    for layer in sorted({cell.layer for cell in sweep.cells}):
        row = [_heat(result, at.get((layer, magnitude))) for magnitude in magnitudes]
        rows.append((str(layer), *row[:middle], baseline, *row[middle:]))
    signs = [words.signed(magnitude) for magnitude in magnitudes]
    return Section(
        "heat",
        f"{words.capital(result.task.words.noun)} %, of all, by layer and magnitude (selection)",
        table=Table(("layer", *signs[:middle], "0", *signs[middle:]), tuple(rows)),
        note="A, B by a number: chosen on that half. Shade: nonsense; ░ from 20 %, ▒ 40 %, ▓ 60 %, █ 80 %."
        + ("" if sweep.race is None else " ×n: stopped after n answers." + _raced(sweep)),
    )


def _heat(result: Result, cell: CellResult | None) -> str:
    if cell is None:
        return ""
    if cell.stopped_after is not None:
        return f"×{cell.stopped_after}"
    rate, broken = result.arms[cell.arm].rate_all, result.arms[cell.arm].broken_all
    if rate is None or broken is None:
        return words.NONE
    shade = SHADES[min(int(broken * 5 + 1e-9), 4)]
    return f"{100 * rate:.0f} {''.join(cell.chosen_on)}{shade}".rstrip()


def dose_section(noun: str) -> Section:
    """For a page: the figures of the same cells."""
    return Section(
        "dose",
        "Dose and response",
        f"{words.capital(noun)} against magnitude, one line a layer; the chosen layers are strong, with "
        "their 95 % band. Suffixes and baseline run across as lines. Below: nonsense at the same magnitudes.",
    )
