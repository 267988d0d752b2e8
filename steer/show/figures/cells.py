"""A sweep's cells as heat maps over layer and magnitude."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steer.results.sweep import CellResult
from steer.show import words
from steer.show.figures import grid
from steer.show.figures.arms import Arm, says
from steer.show.figures.figure import Figure
from steer.show.figures.look import short


@dataclass(frozen=True, slots=True)
class Cell:
    """group: vector, span and operation; a grid each. stopped: of a cell that a race stopped, its rows."""

    arm: Arm
    layer: int
    magnitude: float
    group: str
    points: float | None
    ci: Sequence[float] | None
    stopped: int | None = None


def cells_of(found: Sequence[CellResult], arms: Mapping[str, Arm]) -> list[Cell]:
    return [
        Cell(
            arms[c.arm],
            c.layer,
            c.magnitude,
            short(f"{c.vector} · {c.span} · {c.operation}"),
            c.gap and c.gap.points_all,
            c.gap and c.gap.ci_all,
            c.stopped_after,
        )
        for c in found
    ]


@dataclass(frozen=True, slots=True)
class _Measure:
    """What a heat map shows. floor: where colour begins; signed values reach as far below it. least: what
    full colour stands for at least, so that little looks like little."""

    of: Callable[[Cell], float | None]
    spec: str
    floor: float
    least: float
    title: str
    caption: str

    @property
    def signed(self) -> bool:
        return self.spec.startswith("+")


def _measures(baseline: Arm | None, noun: str) -> dict[str, _Measure]:
    start = (baseline and baseline.measures.get("fluency")) or 0
    return {
        "points": _Measure(
            lambda cell: cell.points,
            "+.0f",
            0,
            10,
            f"the change in {noun}",
            f"{words.capital(noun)} against baseline, points of all answers.",
        ),
        "nonsense": _Measure(
            lambda cell: cell.arm.nonsense, ".0f", 0, 10, "nonsense", "Nonsense, % of all answers."
        ),
        "fluency": _Measure(
            lambda cell: cell.arm.measures.get("fluency"),
            ".2f",
            start,
            start + 0.5,
            "fluency",
            "Fluency: nats a token of the answer under the unsteered model; higher reads stranger.",
        ),
        "drift": _Measure(
            lambda cell: cell.arm.measures.get("drift"),
            "z.2f",
            0,
            0.1,
            "drift",
            "Drift: KL from the unsteered model on neutral prompts, nats a token.",
        ),
    }


def _stopped(cell: Cell) -> grid.Cell:
    return grid.Cell(
        words.signed(cell.magnitude),
        str(cell.layer),
        None,
        "×",
        f"{short(cell.arm.name)}\n{words.stopped(cell.stopped or 0)}",
        cell.arm.name,
        group=cell.group,
    )


def heat_figures(cells: Sequence[Cell], baseline: Arm | None, noun: str) -> dict[str, Figure]:
    """A heat map a measure that the cells have."""
    drawn: dict[str, Figure] = {}
    layers = sorted({cell.layer for cell in cells}, reverse=True)
    magnitudes = sorted({cell.magnitude for cell in cells})
    for name, measure in _measures(baseline, noun).items():
        known = [
            (cell, value)
            for cell in cells
            if cell.stopped is None and (value := measure.of(cell)) is not None
        ]
        if not known:
            continue
        most = max(measure.least, *(abs(value) for _, value in known))
        shown = [_stopped(cell) for cell in cells if cell.stopped is not None]
        for cell, value in known:
            text = format(value, measure.spec).replace("-", "−")
            gap = says(cell.arm.name, value, cell.ci)
            shown.append(
                grid.Cell(
                    words.signed(cell.magnitude),
                    str(cell.layer),
                    value,
                    text,
                    gap if measure.signed else f"{short(cell.arm.name)}\n{measure.title} {text}",
                    cell.arm.name,
                    cell.arm.chosen,
                    cell.group,
                )
            )
        made = grid.chart(
            shown,
            [words.signed(m) for m in magnitudes],
            [str(layer) for layer in layers],
            ("magnitude", "layer"),
            (-most, 0, most) if measure.signed else (measure.floor, most),
        )
        label = f"Heat map of {measure.title} by layer and magnitude"
        drawn[f"heat-{name}"] = Figure(made, 60 + 30 * len(layers), label, measure.caption)
    return drawn
