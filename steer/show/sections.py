"""A run as sections, in reading order: what page, terminal and Markdown render, and all they know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from steer.results import Result
from steer.show import comparison, emergent, items, mechanism, sweep, tables, turns
from steer.show.table import Section, Table
from steer.types import Outcome

__all__ = ["Section", "Table", "sections"]

NO_JUDGES: items.Judges = MappingProxyType(dict[str, Mapping[tuple[str, str], int]]())


def sections(
    result: Result,
    arms: Sequence[str],
    *,
    every: Sequence[str] = (),
    outcomes: Sequence[Outcome] = (),
    judges: items.Judges = NO_JUDGES,
    few: int | None = None,
) -> list[Section]:
    """What the run found first, then what that rests on.

    arms: those that tables of arms show. every: all that have answers, of which there is a table too.
    outcomes: where single scenarios are to be named. judges: where answers have other judges' labels.
    few: how many nulls of a kind are shown, None for all.
    """
    found = _sections(result, arms, every or arms, outcomes, judges, few)
    return [section.shown(every or arms) for section in found]


def _sections(
    result: Result,
    arms: Sequence[str],
    every: Sequence[str],
    outcomes: Sequence[Outcome],
    judges: items.Judges,
    few: int | None,
) -> Iterator[Section]:
    swept, compared = result.sweep, result.comparison
    if result.emergent is not None:
        yield from emergent.emergent_sections(result, result.emergent)
    if result.turns is not None:
        yield from turns.turn_sections(result, result.turns)
    if compared is not None:
        yield comparison.side_section(compared.sides)
    if result.mechanism is not None:
        yield from mechanism.mechanism_sections(result.mechanism)
    if swept is not None:
        yield sweep.choice_section(swept)
        yield from sweep.control_sections(swept, few)
    yield from tables.arm_sections(result, arms, every, few=few)
    if result.gaps:
        yield tables.gap_section(result)
    yield from items.item_sections(result, outcomes)
    yield from tables.propensity_sections(result, arms)
    if compared is not None:
        yield from comparison.comparison_sections(result, compared)
    if swept is not None and swept.cells:
        yield sweep.heat_section(result, swept)
        yield sweep.cell_section(result, swept)
        yield sweep.dose_section(result.task.words.noun)
    if compared is not None and compared.costs:
        yield comparison.cost_section(compared.costs)
    if compared is not None and compared.transfer is not None:
        yield comparison.transfer_section(compared.transfer)
    if result.categories:
        yield items.category_section(result, arms)
    if (agreed := items.agreement_section(judges)) is not None:
        yield agreed
    yield items.config_section(result)
