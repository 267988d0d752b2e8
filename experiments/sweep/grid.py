"""The grid of a sweep: which layers, which magnitudes, and the arm of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from experiments.options import VectorChoice
from steer.errors import UserError
from steer.types import Addition, Arm
from vectors.vector import SteeringVector, addition

DEFAULT_MAGNITUDES = "-0.6,-0.45,-0.3,-0.2,-0.1,-0.05,0.05,0.1,0.2,0.3,0.45,0.6"

COARSE_LAYERS = "10,14,18"
COARSE_MAGNITUDES = "-0.4,-0.3,-0.2,-0.1,0.1,0.2,0.3,0.4"
"""What `compare` chooses from by default."""

MOST_MAGNITUDES = 200

ABLATED = -1.0
"""The magnitude that an ablated cell stands at: what the stream has of the direction is taken away once."""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One (layer, magnitude) of a sweep, and the arm that runs it."""

    layer: int
    magnitude: float
    arm: Arm


def parse_magnitudes(text: str) -> tuple[float, ...]:
    """Magnitudes from `0.1,0.3` or `START:STOP:STEP` (STOP included), ascending, 0 left out.

    Decimal arithmetic throughout: a binary range gives 1.1e-16 for 0. Zero is the baseline arm.
    """
    values: set[Decimal] = set()
    for item in filter(None, (piece.strip() for piece in text.split(","))):
        numbers = [_decimal(piece, text) for piece in item.split(":")]
        if len(numbers) == 1:
            values.add(numbers[0])
        elif len(numbers) == 3:
            start, stop, step = numbers
            if step <= 0 or stop < start:
                raise UserError(f"--magnitudes {item!r}: START:STOP:STEP needs STEP > 0 and START <= STOP")
            count = int((stop - start) / step) + 1
            if count > MOST_MAGNITUDES:
                raise UserError(f"--magnitudes {item!r} are {count} values: at most {MOST_MAGNITUDES}")
            values |= {start + i * step for i in range(count)}
        else:
            raise UserError(f"--magnitudes {item!r}: allowed are numbers, or START:STOP:STEP")
    found = tuple(float(value) for value in sorted(values) if value != 0)
    if not found:
        raise UserError(f"--magnitudes {text!r} names none but 0, the baseline: give some, as 0.1,0.3")
    return found


def _decimal(piece: str, text: str) -> Decimal:
    try:
        value = Decimal(piece.strip())
    except InvalidOperation:
        raise UserError(f"--magnitudes {text!r}: {piece!r} is not a number") from None
    if not value.is_finite():
        raise UserError(f"--magnitudes {text!r}: {piece!r} is not a finite number")
    return value


def cell_name(layer: int, magnitude: float, prefix: str = "") -> str:
    return f"{prefix}L{layer}{magnitude:+g}"


def edit_at(vector: SteeringVector, layer: int, magnitude: float, how: VectorChoice) -> Addition:
    """The vector in a cell's place."""
    return addition(
        vector,
        layer,
        1.0 if how.operation == "ablate" else magnitude,
        span=how.span,
        operation=how.operation,
        gate=how.gate,
        tokens=how.tokens,
    )


def cells(
    vector: SteeringVector, layers: Sequence[int], magnitudes: Sequence[float], how: VectorChoice
) -> list[Cell]:
    """One arm a (layer, magnitude), in the order of layers and magnitudes. UserError for a missing layer."""
    return [
        Cell(
            layer,
            magnitude,
            Arm(cell_name(layer, magnitude), additions=(edit_at(vector, layer, magnitude, how),)),
        )
        for layer in sorted(set(layers))
        for magnitude in sorted(set(magnitudes))
    ]
