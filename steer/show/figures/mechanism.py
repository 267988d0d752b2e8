"""What is left of the suffix's gap by layer, and the cosine of shifts with the vector by layer."""

from __future__ import annotations

from collections.abc import Sequence

from steer.results.mechanism import Mediation, StreamShift
from steer.show import words
from steer.show.figures.arms import Interval
from steer.show.figures.curves import Curve, curve_figure
from steer.show.figures.figure import Figure
from steer.show.figures.look import short

WAYS = (("on", "from it on", "vector", "solid"), ("alone", "at it alone", "both", "dash"))
HUES = ("up", "down", "vector")


def left_figure(found: Mediation) -> Figure | None:
    """None where no layer has an estimate."""
    curves = [
        Curve(
            name,
            hue,
            dash,
            [
                (one.layers[0], None if one.share is None else 100 * one.share, _percent(one.share_ci), "")
                for one in found.by_layer
                if one.where == where
            ],
        )
        for where, name, hue, dash in WAYS
        if found.by_layer
    ]
    return curve_figure(
        curves,
        ("layer", "left of the gap, %"),
        "What is left of the suffix's gap while the vector's direction is taken out, by layer",
        "Share of the suffix's gap that is left while the vector's direction is ablated, with 95 % bands.",
        say=lambda name, value, ci: _says(name, value, ci, 0, " %"),
    )


def stream_figures(shifts: Sequence[StreamShift]) -> dict[str, Figure]:
    """A figure a place of reading."""
    found: dict[str, Figure] = {}
    for i, read in enumerate(dict.fromkeys(one.read for one in shifts), start=1):
        own = [one for one in shifts if one.read == read and one.layers]
        curves = [
            Curve(
                one.arm,
                hue,
                "solid",
                [(at.layer, at.vector.cosine, at.vector.cosine_ci, "") for at in one.layers],
            )
            for one, hue in zip(own, HUES, strict=False)
        ]
        first = own[0].layers if own else ()
        band = [(at.layer, sum(at.random_cosine) / 2, at.random_cosine, "") for at in first]
        made = curve_figure(
            [Curve("random", "control", "dot", band), *curves],
            ("layer", "cosine with the vector"),
            f"Cosine of each arm's mean shift with the vector, by layer, read at the {read}",
            f"Cosine with the vector, read at the {read}. Grey: where 95 % of random directions are.",
            say=lambda name, value, ci: _says(name, value, ci, 2, ""),
        )
        found |= {} if made is None else {f"stream-{i}": made}
    return found


def _percent(ci: Sequence[float | None] | None) -> Interval | None:
    """None where an end lies too far off."""
    if ci is None:
        return None
    ends = [100 * end for end in ci if end is not None]
    return ends if len(ends) == len(ci) else None


def _says(name: str, value: float | None, ci: Interval | None, digits: int, unit: str) -> str:
    return f"{short(name)}\n{words.between(value, ci, digits)}{unit}"
