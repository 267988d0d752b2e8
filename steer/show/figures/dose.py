"""Dose and response: a sweep's rates against magnitude, a line a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from steer.show import words
from steer.show.figures.arms import Arm
from steer.show.figures.cells import Cell
from steer.show.figures.curves import ROOM, Note, dashes, note_layers, noted, spread
from steer.show.figures.figure import Datum, Drawing, Figure, named, said
from steer.show.figures.grid import group_param
from steer.show.figures.rows import colour

if TYPE_CHECKING:
    import altair as alt

LINES = 6
"""Suffixes and baselines that run across the doses at most: more cannot be told apart."""

STRONG = ("vector", "both", "down", "up")
"""Colours of the chosen layers' lines."""

TOP, APART, OVER = 112, 6.5, 3.5
"""Percent at the top; between the names of lines; and of a name over its line."""

LEAST = 10
"""Percent of nonsense that fills the height at least: little looks little."""


class Dose(TypedDict):
    """A point of every line: strong ones are of chosen layers."""

    x: float
    layer: int
    rate: float | None
    low: float | None
    high: float | None
    nonsense: float | None
    colour: str
    strong: bool
    chosen: bool
    says: str
    arm: str
    group: str


def dose_figures(
    cells: Sequence[Cell], arms: Mapping[str, Arm], layers: Sequence[int], noun: str
) -> dict[str, Figure]:
    """Rate, and nonsense, against magnitude. `layers`: chosen ones, strong and with their intervals.
    Suffixes and baseline run across."""
    plain = [arm for arm in arms.values() if arm.plain][:LINES]
    baseline = next((arm for arm in plain if arm.kind == "baseline"), None)
    hues = {layer: STRONG[i % len(STRONG)] for i, layer in enumerate(dict.fromkeys(layers))}
    values = [
        datum
        for group in dict.fromkeys(cell.group for cell in cells)
        for datum in _data([cell for cell in cells if cell.group == group], baseline, hues)
    ]
    most = max([LEAST, *(v["nonsense"] for v in values if v["nonsense"] is not None)])
    return {
        "dose": Figure(
            _rates(values, plain, noun),
            360,
            f"{words.capital(noun)} against magnitude, by layer, with the suffixes as lines across",
            f"{words.capital(noun)}, % of all answers, against magnitude.",
        ),
        "dose-nonsense": Figure(
            _finished(_lines(values, "nonsense", "nonsense", (-0.04 * most, 1.1 * most)), values, {}),
            150,
            "Nonsense against magnitude, by layer",
            "Nonsense, % of all answers, against magnitude.",
        ),
    }


def _data(cells: Sequence[Cell], baseline: Arm | None, hues: Mapping[int, str]) -> list[Dose]:
    """A datum a dose of one group, the strong layers last and so on top; at 0 stands the baseline."""
    values: list[Dose] = []
    for layer in sorted({cell.layer for cell in cells}, key=lambda layer: (layer in hues, layer)):
        row = {cell.magnitude: cell.arm for cell in cells if cell.layer == layer}
        row |= {0.0: baseline} if baseline and 0 not in row else {}
        for magnitude, arm in sorted(row.items()):
            ci = arm.of_all.ci if layer in hues else None
            values.append(
                {
                    "x": magnitude,
                    "layer": layer,
                    "rate": arm.of_all.value,
                    "low": ci[0] if ci else None,
                    "high": ci[1] if ci else None,
                    "nonsense": arm.nonsense,
                    "colour": hues.get(layer, "control"),
                    "strong": layer in hues,
                    "chosen": arm.chosen,
                    "says": f"layer {layer}, {words.signed(magnitude)}: {arm.of_all.says(arm.name, 'all')}"
                    + ("" if arm.nonsense is None else f"\n{arm.nonsense:.1f} % nonsense"),
                    "arm": arm.name,
                    "group": cells[0].group,
                }
            )
    return values


def _rates(values: Sequence[Dose], plain: Sequence[Arm], noun: str) -> Drawing:
    import altair as alt

    limits = (-4, TOP)
    known = [(arm, arm.of_all.value) for arm in plain if arm.of_all.value is not None]
    across = [
        {"y": v, "colour": arm.look.colour, "dash": "dot" if arm.kind == "baseline" else "dash"}
        for arm, v in known
    ]
    above = spread([Note(0, value + OVER, arm.name, arm.look.colour) for arm, value in known], APART)
    last = max(v["x"] for v in values)
    shown = [v for v in values if v["strong"] and v["x"] == last and v["group"] == values[0]["group"]]
    ends = [Note(last, v["rate"], f"layer {v['layer']}", v["colour"]) for v in shown if v["rate"] is not None]
    rule = named("across").mark_rule(aria=False, strokeWidth=1.3)
    y = _y("y", noun, limits)
    layers = [
        rule.encode(y=y, color=colour(), strokeDash=dashes()),
        *_lines(values, "rate", noun, limits),
        *note_layers("names", alt.XValue(0), y),
        *note_layers("ends", _x(values), y),
    ]
    data: dict[str, Sequence[Datum]] = {
        "across": across,
        "names": noted(above),
        "ends": noted(spread(ends, APART)),
    }
    return _finished(layers, values, data)


def _lines(values: Sequence[Dose], field: str, title: str, limits: tuple[float, float]) -> list[Any]:
    """Weak lines, then bands and strong lines, then their points, the chosen ones ringed."""
    import altair as alt

    base = named("doses").encode(x=_x(values), detail=alt.Detail("layer:N"))
    if len({v["group"] for v in values}) > 1:
        base = base.transform_filter("datum.group == group")
    coloured = base.encode(color=colour())
    weak, strong = coloured.transform_filter("!datum.strong"), coloured.transform_filter("datum.strong")
    y = _y(field, title, limits)
    point = coloured.mark_point(style="filled", size=alt.ExprRef("datum.strong ? 45 : 16")).encode(
        y=y, **said()
    )
    ring = base.transform_filter("datum.chosen").mark_point(style="ring", fill=None, aria=False)
    band = strong.transform_filter("isValid(datum.low)").mark_area(opacity=0.14, aria=False)
    return [
        weak.mark_line(opacity=0.75, strokeWidth=1, aria=False).encode(y=y),
        *([band.encode(y=_y("low", title, limits), y2=alt.Y2("high:Q"))] if field == "rate" else []),
        strong.mark_line(strokeWidth=2.6, aria=False).encode(y=y),
        point,
        ring.encode(y=y),
    ]


def _x(values: Sequence[Dose]) -> alt.X:
    import altair as alt

    doses = [v["x"] for v in values]
    scale = alt.Scale(domain=[min(doses), max(doses)], nice=False)
    return alt.X("x:Q", title="magnitude", scale=scale, axis=alt.Axis(grid=False, tickCount=7))


def _y(field: str, title: str, limits: tuple[float, float]) -> alt.Y:
    import altair as alt

    scale = alt.Scale(domain=list(limits), nice=False)
    axis = alt.Axis(labelExpr="datum.label + ' %'", tickCount=4, minExtent=50)
    return alt.Y(f"{field}:Q", title=title, scale=scale, axis=axis)


def _finished(layers: Sequence[Any], values: Sequence[Dose], more: Mapping[str, Sequence[Datum]]) -> Drawing:
    import altair as alt

    groups = list(dict.fromkeys(dose["group"] for dose in values))
    drawn = alt.layer(*layers).properties(padding={"left": 5, "right": ROOM, "top": 5, "bottom": 5})
    chart = drawn.add_params(group_param(groups)) if len(groups) > 1 else drawn
    return Drawing(chart, {"doses": values, **more})
