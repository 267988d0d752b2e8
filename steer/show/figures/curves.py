"""Curves with their bands against a dial: the attack alone and under a defence, narrow and broad effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steer.results.comparison import Tries, Tug
from steer.results.emergent import DialPoint
from steer.show.figures.arms import Interval, says
from steer.show.figures.figure import Datum, Drawing, Figure, named, said
from steer.show.figures.look import short
from steer.show.figures.rows import colour

if TYPE_CHECKING:
    import altair as alt

DASHES = {"solid": [1, 0], "dash": [7, 5], "dot": [2, 4]}
DOUBLING = ("k", "epochs")
"""Dials set to 0, 1, 2, 4, ...: their axis is logarithmic but at 0."""

HUES = ("vector", "suffix", "both", "down", "up", "base")
"""Colours of methods, in this order."""

ROOM, APART = 92, 0.07
"""Pixels right of curves for their names; how far apart names stand, of the height."""


Say = Callable[[str, float | None, Interval | None], str]


@dataclass(frozen=True, slots=True)
class Curve:
    """points: (x, value, interval, arm). named: at its right end; banded: with its intervals."""

    name: str
    colour: str
    dash: str
    points: Sequence[tuple[float, float | None, Interval | None, str]]
    named: bool = True
    banded: bool = True


@dataclass(frozen=True, slots=True)
class Note:
    """A text beside a place of a chart, in a mark's colour."""

    x: float
    y: float
    text: str
    colour: str


def spread(notes: Sequence[Note], least: float) -> list[Note]:
    """The notes from below, each at least `least` above the last: lines may end close together."""
    placed: list[Note] = []
    for note in sorted(notes, key=lambda note: note.y):
        y = max(note.y, placed[-1].y + least) if placed else note.y
        placed.append(Note(note.x, y, note.text, note.colour))
    return placed


def noted(notes: Sequence[Note]) -> list[Datum]:
    return [{"x": n.x, "y": n.y, "text": short(n.text, 18), "colour": n.colour} for n in notes]


def note_layers(data: str, x: Any, y: Any) -> list[alt.Chart]:
    """Notes in their colours, on a halo that no line strikes through."""
    import altair as alt

    base = named(data).encode(x=x, y=y, text=alt.Text("text:N"))
    halo = base.mark_text(style=["note", "halo"], aria=False)
    return [halo, base.mark_text(style="note", aria=False).encode(color=colour())]


def dashes() -> alt.StrokeDash:
    """How a datum's `dash` is drawn."""
    import altair as alt

    return alt.StrokeDash(
        "dash:N", scale=alt.Scale(domain=list(DASHES), range=list(DASHES.values())), legend=None
    )


def chart(curves: Sequence[Curve], xtitle: str, ytitle: str, *, doubling: bool, say: Say = says) -> Drawing:
    """Curves over a line at 0, their names at their right ends. say: what a mark says of itself."""
    import altair as alt

    values: list[Datum] = [
        {
            "curve": i,
            "x": x,
            "y": y,
            "low": ci[0] if ci and curve.banded else None,
            "high": ci[1] if ci and curve.banded else None,
            "colour": curve.colour,
            "dash": curve.dash,
            "says": say(f"{curve.name}, at {x:g}", y, ci),
            "arm": arm,
        }
        for i, curve in enumerate(curves)
        for x, y, ci, arm in curve.points
        if y is not None
    ]
    marks = [
        (x, y, *(ci if ci and curve.banded else ()))
        for curve in curves
        for x, y, ci, _ in curve.points
        if y is not None
    ]
    ticks = sorted({x for x, *_ in marks})
    scale = alt.Scale(type="symlog" if doubling else "linear", domain=[ticks[0], ticks[-1]], nice=False)
    x = alt.X("x:Q", title=xtitle, scale=scale, axis=alt.Axis(values=ticks, grid=False))
    every = [0, *(height for _, *heights in marks for height in heights)]
    height = alt.Scale(domain=[min(every), max(every)], nice=True)
    y, low = (alt.Y(f"{field}:Q", title=ytitle, scale=height) for field in ("y", "low"))
    base = named("marks").encode(x=x, y=y, color=colour(), detail=alt.Detail("curve:N"))
    band = base.transform_filter("isValid(datum.low)").mark_area(opacity=0.13, aria=False)
    ends = [
        Note(x, y, curve.name, curve.colour)
        for curve in curves
        if curve.named
        for x, y, *_ in [point for point in curve.points if point[1] is not None][-1:]
        if y is not None
    ]
    drawn = alt.layer(
        named("zero").mark_rule(style="across", aria=False).encode(y=y),
        band.encode(y=low, y2=alt.Y2("high:Q")),
        base.mark_line(strokeWidth=2.2, aria=False).encode(strokeDash=dashes()),
        base.mark_point(style="filled", size=45).encode(**said()),
        *note_layers("ends", x, y),
    ).properties(padding={"left": 5, "right": ROOM, "top": 8, "bottom": 5})
    named_ends = noted(spread(ends, APART * (max(every) - min(every))))
    return Drawing(drawn, {"marks": values, "zero": [{"y": 0}], "ends": named_ends})


def tug_figure(name: str, tug: Tug) -> Figure | None:
    """The attack's effect alone and under the defence, against its magnitude."""
    pulls = [(point.size, point.pull) for point in tug.curve]
    alone = [(size, one.points, one.ci, "") for size, pull in pulls if (one := pull.alone)]
    under = [(size, one.points, one.ci, "") for size, pull in pulls if (one := pull.under_defence)]
    curves = [
        Curve("alone", "vector", "solid", alone),
        Curve(f"under {tug.defence}", "both", "dash", under),
    ]
    return curve_figure(
        curves,
        ("|magnitude|", "effect, points"),
        "Effect of the attack alone and under the defence, by magnitude",
        f"{name}: effect of the vector in points, alone and with the suffix against it.",
    )


def tries_figure(tries: Tries) -> Figure | None:
    """The expected gap of the best of so many tries, suffix and vector on one axis."""
    curves = [
        Curve(
            name,
            name,
            "solid",
            [(point.tries, point.gap.points, point.gap.ci, "") for point in points if point.gap is not None],
        )
        for name, points in tries.curves.items()
    ]
    return curve_figure(
        curves,
        ("tries", "gap, points"),
        "Expected gap of the best of so many tries, suffix and vector",
        "Expected gap of the best of so many tries drawn at random, out of fold, with 95 % intervals.",
        doubling=True,
    )


def dial_figure(dial: str, rows: Sequence[DialPoint]) -> Figure | None:
    """Narrow and broad effects of each method against a dial's values."""
    curves: list[Curve] = []
    for i, method in enumerate(dict.fromkeys(row.method for row in rows)):
        hue = HUES[i % len(HUES)]
        own = sorted((row for row in rows if row.method == method), key=lambda row: row.value)
        sets = [[row for row in own if row.broad_set == broad] for broad in {r.broad_set: 0 for r in own}]
        curves.append(Curve(method, hue, "solid", _narrow(sets[0]), banded=False))
        for k, some in enumerate(sets):
            name, dash = f"{method}, {some[0].broad_set}", "dot" if k else "dash"
            curves.append(Curve(name, hue, dash, _broad(some), named=False, banded=False))
    return curve_figure(
        curves,
        (dial, "points against baseline"),
        f"Narrow and broad effect by {dial}",
        f"Points against baseline by {dial}. Solid: narrow; dashed: broad. Point at a mark for its interval.",
        doubling=dial in DOUBLING,
    )


def _narrow(rows: Sequence[DialPoint]) -> list[tuple[float, float | None, Interval | None, str]]:
    return [(row.value, (one := row.effects).narrow_points, one.narrow_ci, one.arm) for row in rows]


def _broad(rows: Sequence[DialPoint]) -> list[tuple[float, float | None, Interval | None, str]]:
    return [(row.value, (one := row.effects).broad_points, one.broad_ci, one.arm) for row in rows]


def curve_figure(
    curves: Sequence[Curve],
    titles: tuple[str, str],
    label: str,
    caption: str,
    *,
    doubling: bool = False,
    say: Say = says,
) -> Figure | None:
    """None where no curve has a point."""
    if all(y is None for curve in curves for _, y, *_ in curve.points):
        return None
    return Figure(chart(curves, *titles, doubling=doubling, say=say), 300, label, caption)
