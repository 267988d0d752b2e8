"""Estimates with their intervals, a named row each: the chart that most figures are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from steer.show.figures.arms import Interval
from steer.show.figures.figure import Datum, Drawing, named, said
from steer.show.figures.look import MARKS, Look, in_two, short

if TYPE_CHECKING:
    import altair as alt

PERCENT, POINTS = "%", "percentage points"
GAP = 0.2
"""Share of a row that is between it and the next."""
NAME = "narrow ? split(names[datum.value], '\\n') : replace(names[datum.value], '\\n', ' ')"


@dataclass(frozen=True, slots=True)
class Mark:
    """An estimate in row `row`, in `lane` of those beside each other there; `arm`: whose answers it is of."""

    row: int
    value: float | None
    ci: Interval | None
    look: Look
    says: str
    arm: str = ""
    hollow: bool = False
    lane: int = 0
    name: str = ""


def chart(
    rows: Sequence[str],
    marks: Sequence[Mark],
    unit: str,
    *,
    across: float | None = None,
    within: Mapping[int, float] | None = None,
    lanes: int = 1,
    key: Mapping[str, Look] | None = None,
) -> Drawing:
    """Rows from above. within: how far about 0 a row is shaded. key: looks by the marks' name."""
    import altair as alt

    place = alt.Y(
        "row:O",
        title=None,
        scale=alt.Scale(domain=list(range(len(rows))), paddingInner=GAP, paddingOuter=GAP / 2),
        axis=alt.Axis(labelExpr=NAME, style="rows", ticks=False, domain=False),
    )
    beside = alt.YOffset("lane:O", scale=alt.Scale(domain=list(range(lanes))))
    data = {"marks": [_datum(mark) for mark in marks if mark.value is not None]}
    ends = [end for m in marks for end in (m.value, *(m.ci or ())) if end is not None]
    ends += [] if across is None else [across]
    ends += [end for bound in (within or {}).values() for end in (-bound, bound)]
    along = partial(_along, unit=unit, limits=(min(ends, default=0), max(ends, default=0)))
    base = named("marks").encode(y=place, yOffset=beside, color=colour(key))
    shown = base.encode(
        x=along("value"),
        shape=alt.Shape("shape:N", scale=None) if key is None else shape(key),
        **said(),
    )
    layers: list[Any] = [
        base.transform_filter("isValid(datum.low)")
        .mark_rule(aria=False, strokeWidth=alt.ExprRef("datum.hollow ? 1 : 2"), opacity=0.45 if key else 1)
        .encode(x=along("low"), x2=alt.X2("high:Q")),
        *points(shown, data["marks"]),
    ]
    if across is not None:
        data["across"] = [{"across": across}]
        line = named("across").mark_rule(style="across", aria=False)
        layers.insert(0, line.encode(x=along("across")))
    if within:
        data["within"] = [{"row": row, "low": -bound, "high": bound} for row, bound in within.items()]
        area = named("within").mark_rect(style="within", height={"band": 1 / (1 - GAP)}, aria=False)
        layers.insert(0, area.encode(x=along("low"), x2=alt.X2("high:Q"), y=place))
    names = alt.param(name="names", value=[in_two(name) for name in rows])
    return Drawing(alt.layer(*layers).add_params(names), data)


def points(base: alt.Chart, data: Sequence[Datum]) -> list[alt.Chart]:
    """The data's points, filled or hollow as each says."""
    tests = {"filled": "!datum.hollow", "hollow": "datum.hollow"}
    some = {"filled"} if not any(d["hollow"] for d in data) else set(tests)
    return [
        base.transform_filter(test).mark_point(style=style) for style, test in tests.items() if style in some
    ]


def _datum(mark: Mark) -> Datum:
    return {
        "row": mark.row,
        "lane": mark.lane,
        "value": mark.value,
        "low": mark.ci[0] if mark.ci else None,
        "high": mark.ci[1] if mark.ci else None,
        "colour": mark.look.colour,
        "shape": mark.look.shape,
        "hollow": mark.hollow,
        "says": mark.says,
        "arm": mark.arm,
        "name": short(mark.name),
    }


def _along(field: str, unit: str, limits: tuple[float, float]) -> alt.X:
    import altair as alt

    if unit == PERCENT:
        axis = alt.Axis(labelExpr="datum.label + ' %'", tickCount=5)
        return alt.X(f"{field}:Q", title=None, scale=alt.Scale(domain=[-2, 102], nice=False), axis=axis)
    scale = alt.Scale(domain=list(limits), nice=True)
    return alt.X(f"{field}:Q", title=unit, scale=scale, axis=alt.Axis(tickCount=8))


def colour(key: Mapping[str, Look] | None = None) -> alt.Color:
    """The colour that a datum's `colour` names; with a key, of its `name`, and the key is shown."""
    import altair as alt

    if key is None:
        scale = alt.Scale(domain=list(MARKS), range=[alt.ExprRef(name) for name in MARKS])
        return alt.Color("colour:N", scale=scale, legend=None)
    scale = alt.Scale(
        domain=[short(name) for name in key], range=[alt.ExprRef(one.colour) for one in key.values()]
    )
    return alt.Color("name:N", scale=scale, legend=alt.Legend(orient="top", title=None))


def shape(key: Mapping[str, Look]) -> alt.Shape:
    import altair as alt

    scale = alt.Scale(domain=[short(name) for name in key], range=[one.shape for one in key.values()])
    return alt.Shape("name:N", scale=scale, legend=alt.Legend(orient="top", title=None))
