"""What an arm did: counts of every status, and rates with intervals: Wilson's score interval, with few
trials joined with Clopper and Pearson's (`steer.intervals`).

Conv% and Refusal% are over valid rows and over all, Nonsensical% over all (arXiv 2601.01584). Valid
means labelled and not nonsensical: `invalid`, `truncated` and `failed` rows are not valid but are in
the total; rows not there yet (`missing`) are in neither. Rates are fractions; a rate of no rows, or of
rows none of which got a label, is None.
With several samples a scenario, the interval is taken at the effective number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from steer.gaps import Gap, gap, gaps
from steer.intervals import Interval, paired_rates, rate_interval
from steer.outcomes import LABELLED, VALID, Counts, Table, tabulate
from steer.types import STATUSES, Outcome

__all__ = ["ArmMetrics", "Gap", "arm_metrics", "category_metrics", "gap", "gaps"]


@dataclass(frozen=True, slots=True)
class ArmMetrics:
    """Counts of rows, and rates as fractions. n counts every row but the missing ones."""

    n: int
    hit: int
    miss: int
    refusal: int
    broken: int
    invalid: int
    truncated: int
    failed: int
    missing: int
    valid: int
    scenarios: int
    rate_valid: float | None
    rate_valid_ci: Interval | None
    rate_all: float | None
    rate_all_ci: Interval | None
    refusal_valid: float | None
    refusal_valid_ci: Interval | None
    refusal_all: float | None
    refusal_all_ci: Interval | None
    broken_all: float | None
    broken_all_ci: Interval | None


def rates_alone(arm: ArmMetrics) -> ArmMetrics:
    """Without what else is known of the arm."""
    return ArmMetrics(**{field.name: getattr(arm, field.name) for field in fields(ArmMetrics)})


def arm_metrics(outcomes: Sequence[Outcome]) -> dict[str, ArmMetrics]:
    """Metrics of every arm, in alphabetical order of arms; of each, the rows that it has.

    Arms may differ in their number of samples, so a row that only other arms have is not `missing`.
    """
    rows: dict[str, list[Outcome]] = {}
    for row in outcomes:
        rows.setdefault(row.arm, []).append(row)
    return {arm: _metrics(tabulate(rows[arm])) for arm in sorted(rows)}


def category_metrics(outcomes: Sequence[Outcome]) -> dict[str, dict[str, ArmMetrics]]:
    """`arm_metrics` of each category's scenarios, in alphabetical order of categories."""
    return {
        category: arm_metrics([row for row in outcomes if row.category == category])
        for category in sorted({row.category for row in outcomes})
    }


def _metrics(table: Table) -> ArmMetrics:
    """Metrics of the only arm of a table."""
    of = {status: table.count(table.has(status)[:, 0]) for status in STATUSES}
    present = np.sum([count for status, count in of.items() if status != "missing"], axis=0)
    valid = np.sum([of[status] for status in VALID], axis=0)
    total = {status: int(of[status].sum()) for status in STATUSES}
    conv_valid, refusal_valid = _rate(of["hit"], valid), _rate(of["refusal"], valid)
    counted = present if any(total[status] for status in LABELLED) else np.zeros_like(present)
    conv_all, refusal_all = _rate(of["hit"], counted), _rate(of["refusal"], counted)
    nonsensical = _rate(of["broken"], counted)
    return ArmMetrics(
        n=int(present.sum()),
        **total,
        valid=int(valid.sum()),
        scenarios=int((present > 0).sum()),
        rate_valid=conv_valid[0],
        rate_valid_ci=conv_valid[1],
        rate_all=conv_all[0],
        rate_all_ci=conv_all[1],
        refusal_valid=refusal_valid[0],
        refusal_valid_ci=refusal_valid[1],
        refusal_all=refusal_all[0],
        refusal_all_ci=refusal_all[1],
        broken_all=nonsensical[0],
        broken_all_ci=nonsensical[1],
    )


def _rate(hits: Counts, trials: Counts) -> tuple[float, Interval] | tuple[None, None]:
    """Rate of counts [scenario] and its interval."""
    if not trials.any():
        return None, None
    rates = paired_rates(hits[:, None], trials[:, None])
    value, effective = float(rates.value[0]), float(rates.effective[0])
    ci = rate_interval(value * effective, effective)
    return (value, ci) if ci else (None, None)
