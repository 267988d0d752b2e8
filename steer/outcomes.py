"""Outcomes as a table: one row a (scenario, sample), one column an arm, so that arms are paired.

Absent rows become `missing`. Rows, scenarios and categories are sorted: no number downstream depends
on the order in which outcomes came. It knows statuses, no rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steer.types import STATUSES, Outcome, Status

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

VALID: tuple[Status, ...] = ("hit", "miss", "refusal")
"""What counts as valid. Where everything got a label this is the paper's total minus nonsensical."""

UNLABELLED: tuple[Status, ...] = ("invalid", "truncated", "failed")
"""Rows that ended without a label. They are in the total, not valid, and no hit."""

LABELLED: tuple[Status, ...] = (*VALID, "broken")
"""Rows with a label. An arm that has none has no rate, not even over all: nothing was measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """codes: [row, arm], index into STATUSES. scenario: [row], index into `scenarios`.

    categories: [scenario]. propensity: [row, arm], NaN where nothing was chosen (`steer.choices`).
    """

    arms: tuple[str, ...]
    scenarios: tuple[str, ...]
    categories: tuple[str, ...]
    scenario: Counts
    codes: Counts
    propensity: NDArray[np.float64]

    def has(self, *statuses: Status) -> Flags:
        """Where a row has one of the statuses: [row, arm]."""
        return np.isin(self.codes, [STATUSES.index(status) for status in statuses])

    def count(self, rows: Flags | Counts) -> Counts:
        """Flags or numbers [row, ...] summed over the samples of a scenario: [scenario, ...]."""
        sums = np.zeros((len(self.scenarios), *rows.shape[1:]), np.int64)
        np.add.at(sums, self.scenario, rows)
        return sums


def tabulate(outcomes: Iterable[Outcome], arms: Sequence[str] | None = None) -> Table:
    """The table of the given arms, in the order given (default: all, sorted).

    Rows are those any of the arms has. Raises ValueError for two outcomes of one (arm, scenario,
    sample), for a scenario in two categories and for an arm without any outcome.
    """
    rows = [row for row in outcomes if arms is None or row.arm in arms]
    columns = tuple(sorted({row.arm for row in rows})) if arms is None else tuple(arms)
    if absent := set(columns) - {row.arm for row in rows}:
        raise ValueError(f"no outcome of arm {', '.join(sorted(absent))}")
    category = {row.scenario: row.category for row in rows}
    units = {key: i for i, key in enumerate(sorted({(row.scenario, row.sample) for row in rows}))}
    column = {arm: i for i, arm in enumerate(columns)}
    code = {status: i for i, status in enumerate(STATUSES)}
    codes = np.full((len(units), len(columns)), -1, np.int64)
    propensity = np.full(codes.shape, np.nan)
    for row in rows:
        place = units[row.scenario, row.sample], column[row.arm]
        if codes[place] >= 0:
            raise ValueError(f"two outcomes of arm {row.arm!r}, {row.scenario!r}, sample {row.sample}")
        if category[row.scenario] != row.category:
            raise ValueError(f"scenario {row.scenario!r} is in two categories")
        codes[place] = code[row.status]
        if row.propensity is not None:
            propensity[place] = row.propensity
    codes[codes < 0] = code["missing"]
    scenarios = tuple(sorted(category))
    number = {scenario: i for i, scenario in enumerate(scenarios)}
    return Table(
        arms=columns,
        scenarios=scenarios,
        categories=tuple(category[scenario] for scenario in scenarios),
        scenario=np.array([number[scenario] for scenario, _ in units], np.int64),
        codes=codes,
        propensity=propensity,
    )
