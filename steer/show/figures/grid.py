"""Heat maps: a coloured cell a value, its number in it where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steer.show.figures.figure import Drawing, named, said

if TYPE_CHECKING:
    import altair as alt

FIT, FIT_PHONE = 14, 6
"""Columns with room for numbers, on a screen and on a phone."""

SLANTED = 6
"""Characters of a column's name that a phone shows level at most."""

INK = "luminance(scale('color', datum.value)) > 0.179 ? '#000000' : '#ffffff'"
"""A number in a cell is black or white, whichever has more contrast: 4.5 at least."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`group`: of several grids in one chart, which it belongs to. value: None has no colour."""

    column: str
    row: str
    value: float | None
    text: str
    says: str
    arm: str = ""
    chosen: bool = False
    group: str = ""


def chart(
    cells: Sequence[Cell],
    columns: Sequence[str],
    rows: Sequence[str],
    titles: tuple[str, str],
    limits: tuple[float, ...],
) -> Drawing:
    """Rows from above, chosen cells outlined. limits: the least and the greatest value, or for effects the
    least, none and the greatest. Of several groups one is shown, and a list under the chart chooses."""
    import altair as alt

    groups = list(dict.fromkeys(cell.group for cell in cells))
    values = [
        {
            "column": cell.column,
            "row": cell.row,
            "value": cell.value,
            "text": cell.text,
            "says": cell.says,
            "arm": cell.arm,
            "chosen": cell.chosen,
            "group": cell.group,
        }
        for cell in cells
    ]
    bare = alt.Axis(style="bare")
    long = max(map(len, columns)) > SLANTED
    slanted = alt.Axis(
        style="bare",
        labelAngle=alt.ExprRef("narrow ? -45 : 0"),
        labelAlign=alt.ExprRef("narrow ? 'right' : 'center'"),
    )
    base = named("cells").encode(
        x=alt.X(
            "column:N",
            sort=list(columns),
            title=titles[0],
            axis=slanted if long else bare,
        ),
        y=alt.Y("row:N", sort=list(rows), title=titles[1], axis=bare),
    )
    scale = alt.Scale(
        domain=list(limits), range="diverging" if len(limits) == 3 else "ramp", interpolate="rgb", clamp=True
    )
    fill = alt.Color("value:Q", scale=scale, legend=alt.Legend(title=None, tickCount=5))
    layers: list[Any] = [base.mark_rect(style="cell").encode(color=fill, **said())]
    ink = INK
    if any(cell.value is None for cell in cells):
        bare_cells = base.transform_filter("datum.value === null").mark_rect(
            style="cell", color="transparent"
        )
        layers = [bare_cells.encode(**said()), layers[0].transform_filter("datum.value !== null")]
        ink = f"datum.value === null ? base : {INK}"
    if len(columns) <= FIT:
        fits = "true" if len(columns) <= FIT_PHONE else "!narrow"
        number = base.mark_text(
            style="number", fill=alt.ExprRef(ink), opacity=alt.ExprRef(f"{fits} ? 1 : 0"), aria=False
        )
        layers.append(number.encode(text=alt.Text("text:N"), tooltip=alt.Tooltip("says:N")))
    layers.append(base.transform_filter("datum.chosen").mark_rect(style="chosen", aria=False))
    drawn = alt.layer(*layers)
    if len(groups) > 1:
        drawn = drawn.add_params(group_param(groups)).transform_filter("datum.group == group")
    return Drawing(drawn, {"cells": values})


def group_param(groups: Sequence[str]) -> alt.Parameter:
    """Which group is shown, chosen from a list."""
    import altair as alt

    choice = alt.binding_select(options=list(groups), name="vector, span and operation: ")
    return alt.param(name="group", value=groups[0], bind=choice)
