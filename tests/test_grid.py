"""Magnitudes are read exactly, and a cell's arm is where and how much its name says."""

from __future__ import annotations

import pytest

from experiments.sweep.grid import DEFAULT_MAGNITUDES, cell_name, parse_magnitudes
from steer.errors import UserError


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.1", (0.1,)),
        ("0.3,-0.1, 0.1", (-0.1, 0.1, 0.3)),
        ("-0.6:0.6:0.2", (-0.6, -0.4, -0.2, 0.2, 0.4, 0.6)),
        ("0.1:0.3:0.1", (0.1, 0.2, 0.3)),
        ("0,0.5,0.50", (0.5,)),
    ],
)
def test_magnitudes_are_exact(text: str, values: tuple[float, ...]) -> None:
    assert parse_magnitudes(text) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names none but 0"),
        ("0", "names none but 0"),
        ("a", "'a' is not a number"),
        ("nan", "not a finite number"),
        ("0.1:inf:1", "not a finite number"),
        ("1:2", "START:STOP:STEP"),
        ("1:0:0.1", "START <= STOP"),
        ("0:1:0", "STEP > 0"),
        ("0:1:0.001", "at most 200"),
    ],
)
def test_bad_magnitudes_are_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_magnitudes(text)
    assert "\n" not in str(caught.value)


def test_the_default_has_both_signs_of_every_magnitude() -> None:
    values = parse_magnitudes(DEFAULT_MAGNITUDES)
    assert len(values) == 12
    assert values == tuple(-v for v in reversed(values))


def test_names() -> None:
    assert cell_name(10, 0.1) == "L10+0.1"
    assert cell_name(3, -0.45, "random1 ") == "random1 L3-0.45"
