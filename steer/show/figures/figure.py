"""A figure: one Vega-Lite specification, for the page and for files of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steer.texts import JsonObject

if TYPE_CHECKING:
    import altair as alt

WIDTH = 640
"""Pixels of a figure in a file."""


Datum = Mapping[str, object]
"""What a mark is drawn from: values by field."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart, and the data that its layers name."""

    chart: alt.LayerChart | alt.FacetChart
    data: Mapping[str, Sequence[Datum]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing `height` pixels high; what it shows, for those who do not see it; and the line under it."""

    drawing: Drawing
    height: int
    label: str
    caption: str

    @property
    def told(self) -> str:
        """The label on a page."""
        return f"{self.label}; the table below holds the same numbers"

    def embedded(self) -> JsonObject:
        """The specification for the page: as wide as its place. A test holds it to the schema."""
        return self._specification() | {"width": "container", "description": self.told}

    def alone(self, evidence: str) -> JsonObject:
        """The specification for a file, with `evidence` in a corner."""
        title = {"text": evidence, "orient": "bottom", "anchor": "end"}
        return self._specification() | {"width": WIDTH} | ({"title": title} if evidence else {})

    def _specification(self) -> JsonObject:
        size = {"height": self.height, "autosize": {"type": "fit", "contains": "padding"}}
        made = self.drawing.chart.to_dict(validate=False) | size
        made |= {"description": self.label, "datasets": self.drawing.data}
        return {key: value for key, value in made.items() if key != "config"}


def named(data: str) -> alt.Chart:
    """A layer of a drawing's data."""
    import altair as alt

    return alt.Chart(alt.NamedData(name=data))


def said() -> dict[str, Any]:
    """What a mark says of itself, to those who point at it and to those who hear it."""
    import altair as alt

    return {"tooltip": alt.Tooltip("says:N"), "description": alt.Description("says:N")}
