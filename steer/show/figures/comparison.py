"""Effects against what they cost or carry along: frontier, transfer, spill-over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steer.results.comparison import FrontierPoint, Transfer
from steer.results.estimates import Spillover
from steer.show import measured, words
from steer.show.figures import grid
from steer.show.figures.arms import Arm, says
from steer.show.figures.figure import Datum, Drawing, Figure, named, said
from steer.show.figures.look import CONTROL, LOOKS, short
from steer.show.figures.rows import colour, points


def frontier_figures(frontier: Sequence[FrontierPoint], arms: Mapping[str, Arm]) -> dict[str, Figure]:
    """Effect against each side effect: undominated arms strong, suffixes as diamonds."""
    known = [(point, value) for point in frontier if (value := point.value) is not None]
    drawn: dict[str, Figure] = {}
    for effect in dict.fromkeys(point.side_effect for point, _ in known):
        title = measured.shown(effect).title
        what = title.removesuffix(" %")
        own = [(point, value) for point, value in known if point.side_effect == effect]
        drawn[f"frontier-{what}"] = Figure(
            _frontier(own, arms, title),
            300,
            f"Effect against {title}",
            f"Points against baseline, against {what}.",
        )
    return drawn


def _frontier(trades: Sequence[tuple[FrontierPoint, float]], arms: Mapping[str, Arm], title: str) -> Drawing:
    import altair as alt

    scale = 100 if title.endswith("%") else 1
    values: list[Datum] = []

    def size(p: FrontierPoint) -> int:
        return 90 if p.arm in suffixes else 60 if p.undominated else 28

    suffixes = {name for name, arm in arms.items() if arm.kind == "suffix"}
    for p, value in sorted(trades, key=lambda trade: size(trade[0])):  # the strong on top
        suffix, best = p.arm in suffixes, p.undominated
        own = LOOKS["suffix"] if suffix else LOOKS["cell"] if best else CONTROL
        x, y = scale * value, p.effect_points * (-1 if p.direction == "down" else 1)
        cost = f"{title.removesuffix(' %')} {x:.2f}{' %' if scale == 100 else ''}"
        values.append(
            {
                "x": x,
                "y": y,
                "colour": own.colour,
                "shape": own.shape,
                "hollow": suffix and not best,
                "size": size(p),
                "says": f"{says(p.arm, y, None)}\n{cost}",
                "arm": p.arm,
                "name": short(p.arm) if p.arm in ("pro", "anti") else "",
            }
        )
    # from 0 for what counts from 0, and wide enough that a trifle looks like one
    costs = [scale * value for _, value in trades]
    low = min(costs) if title == "fluency" else 0
    high = max(*costs, 10 if scale == 100 else low + 0.1)
    room = 0.05 * (high - low)
    span = alt.Scale(domain=[low - room, high + room], nice=False)
    x = alt.X("x:Q", title=title, scale=span, axis=alt.Axis(tickCount=5))
    base = named("marks").encode(x=x, y=alt.Y("y:Q", title="points against baseline"))
    looks = _looks()
    name = base.transform_filter("datum.name != ''").encode(text=alt.Text("name:N"))
    above: dict[str, Any] = {"dy": alt.ExprRef("datum.y < 0 ? 14 : -14"), "dx": 0, "align": "center"}
    chart = alt.layer(
        named("zero").mark_rule(style="across", aria=False).encode(y=alt.Y("y:Q")),
        *points(base.encode(**looks, size=alt.Size("size:Q", scale=None)), values),
        name.mark_text(style=["note", "halo"], aria=False, **above),
        name.mark_text(style="note", aria=False, **above).encode(color=colour()),
    )
    return Drawing(chart, {"marks": values, "zero": [{"y": 0}]})


def _looks() -> dict[str, Any]:
    """A datum's colour and shape, and what it says."""
    import altair as alt

    return {"color": colour(), "shape": alt.Shape("shape:N", scale=None), **said()}


def transfer_figure(transfer: Transfer) -> Figure:
    """A vector of one behaviour, measured on another."""
    origins, targets = (
        [short(name, 20) for name in names] for names in (transfer.made_of, transfer.measured_on)
    )
    cells = [
        grid.Cell(
            target,
            origin,
            value,
            f"{value:+.0f}".replace("-", "−"),
            says(f"{origin}, measured on {target}", value, ci),
        )
        for origin, values, limits in zip(origins, transfer.points, transfer.ci, strict=True)
        for target, value, ci in zip(targets, values, limits, strict=True)
        if value is not None
    ]
    most = max([1, *(abs(cell.value or 0) for cell in cells)])
    return Figure(
        grid.chart(cells, targets, origins, ("measured on", "vector of"), (-most, 0, most)),
        110 + 38 * len(origins),
        "Transfer between behaviours",
        "Points of plus − minus: vector of (down), measured on (across).",
    )


def spill_figure(broad: str, spillover: Mapping[str, Spillover], arms: Mapping[str, Arm]) -> Figure | None:
    """Broad effect against narrow effect of each arm, with both intervals; the diagonal spills over whole."""
    import altair as alt

    values: list[Datum] = []
    least, most = 0.0, 1.0
    for name, found in spillover.items():
        x, y = found.narrow_points, found.broad_points
        if x is None or y is None or found.narrow_ci is None or found.broad_ci is None:
            continue
        least, most = min(least, x, y), max(most, x, y)
        own = arms[name].look
        (left, right), (low, high) = found.narrow_ci, found.broad_ci
        near = says(name, x, found.narrow_ci, "narrow: ")
        values.append(
            {
                "x": x, "y": y, "left": left, "right": right, "low": low, "high": high,
                "colour": own.colour, "shape": own.shape, "hollow": False, "arm": name,
                "says": f"{near}\nbroad: {words.with_limits(y, found.broad_ci)}",
            }
        )  # fmt: skip
    if not values:
        return None
    x, y = (
        alt.X("x:Q", title="narrow, points", axis=alt.Axis(tickCount=8)),
        alt.Y("y:Q", title="broad, points"),
    )
    base, zero = named("marks").encode(x=x, y=y), named("zero").mark_rule(style="across", aria=False)
    looks = _looks()
    interval = base.mark_rule(aria=False, opacity=0.33).encode(color=colour())
    chart = alt.layer(
        zero.encode(x=x),
        zero.encode(y=y),
        named("whole").mark_line(style="across", strokeDash=[2, 3], aria=False).encode(x=x, y=y),
        interval.encode(x=alt.X("left:Q", title="narrow, points"), x2=alt.X2("right:Q")),
        interval.encode(y=alt.Y("low:Q", title="broad, points"), y2=alt.Y2("high:Q")),
        *points(base.encode(**looks), values),
    )
    data = {
        "marks": values,
        "whole": [{"x": end, "y": end} for end in (least, most)],
        "zero": [{"x": 0, "y": 0}],
    }
    caption = (
        f"Effect on {broad} against effect on the narrow task, points against baseline. On the diagonal it "
        "spills over whole. Circles: vectors; diamonds: suffixes; triangles: adapters; squares: under a "
        "defence."
    )
    return Figure(Drawing(chart, data), 340, "Broad effect against narrow effect", caption)
