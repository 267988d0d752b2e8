"""A section, and the table in it: what page, terminal and Markdown show of a run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from steer.screen import plain


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts. `links`: the arm whose answers stand behind a row, "" for none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    links: tuple[str, ...] = ()

    def shown(self, arms: Collection[str]) -> Table:
        """Control and direction characters shown, not obeyed; links only to `arms`, which have answers."""
        rows = tuple(tuple(plain(cell) for cell in row) for row in self.rows)
        links = tuple(link if link in arms else "" for link in self.links)
        return Table(tuple(plain(column) for column in self.columns), rows, links)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of what a run has to say.

    name: by which renderers know it. sentence: how to read it, for whoever has not read one before. note:
    lines that belong to what the table says. part: of the section before it, folded under that on a page.
    """

    name: str
    title: str
    sentence: str = ""
    table: Table | None = None
    note: str = ""
    part: bool = False

    def shown(self, arms: Collection[str]) -> Section:
        return replace(
            self,
            title=plain(self.title),
            sentence=plain(self.sentence),
            table=self.table and self.table.shown(arms),
            note=plain(self.note),
        )


@dataclass(frozen=True, slots=True)
class Headline:
    """The result in one sentence, its interval beside it, and what both rest on in the sentences under it."""

    sentence: str
    details: tuple[str, ...] = ()
    aside: str = ""
