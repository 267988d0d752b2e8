"""What a person at a terminal sees: notes, progress with rate and time left, tables.

Text that a model wrote passes through `plain` before it is printed anywhere.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

PLAIN_LINE_SECONDS = 10.0
PIPE_WIDTH = 120
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What spreadsheets take for a formula's first character (OWASP, CSV injection)."""
NARROW = 36
"""Columns of a terminal that a text needs to stand beside another."""


def plain(text: str) -> str:
    """Hostile text made harmless for a terminal: control and direction characters shown, not obeyed."""
    if all(line.isprintable() for line in text.split("\n")):  # most texts, and much faster
        return text
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else f"\\u{ord(c):04x}"
        for c in text
    )


def defused(text: str) -> str:
    """A text that a spreadsheet shows and does not run."""
    shown = plain(text.replace("\r\n", "\n"))
    return f"'{shown}" if text.lstrip(" \n\ufeff\u200b").startswith(FORMULA_STARTS) else shown


class Screen:
    """stderr for notes and progress, stdout for results; `quiet` (with --json) drops the former."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.console import Console

        self.quiet = quiet
        self.err = Console(stderr=True, highlight=False, soft_wrap=True)
        self.out = Console(highlight=False)
        if not self.out.is_terminal:
            self.out.width = PIPE_WIDTH

    def note(self, text: str) -> None:
        if not self.quiet:
            self.err.print(plain(text), markup=False, style="dim")

    def line(self, text: str) -> None:
        self.out.print(plain(text), markup=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """First column left, numbers right; never wider than the terminal asks."""
        self.out.print(make_table(title, columns, rows))

    def side_by_side(self, texts: Mapping[str, str]) -> None:
        """Long texts, each whole under its title: columns that wrap, or one below another if narrow."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        shown = {plain(title): Text(plain(text)) for title, text in texts.items()}
        if self.out.width < NARROW * len(texts):
            for title, text in shown.items():
                self.out.print(Text(title, style="bold"), text, "", sep="\n", soft_wrap=False)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
        for title in shown:
            table.add_column(Text(title), ratio=1, overflow="fold")
        table.add_row(*shown.values())
        self.out.print(table)

    @contextmanager
    def progress(self, standing: Callable[[], str] | None = None, **rows: int) -> Generator[_Ticker]:
        """A bar for each kind of work (`generate`, `judge`, ...); plain lines where there is no terminal.

        standing: says how the first kind goes besides, beside its rate.
        """
        ticker = _Ticker(self, rows, standing)
        try:
            with ticker.live():
                yield ticker
        finally:
            ticker.close()


class _Ticker:
    def __init__(self, screen: Screen, totals: dict[str, int], standing: Callable[[], str] | None) -> None:
        self.screen, self.totals, self.standing = screen, totals, standing
        self.done = dict.fromkeys(totals, 0)
        self.start = self.last = self.ticked = time.monotonic()
        self.begun: dict[str, float] = {}  # a kind begins where the work before its first tick ended
        self.bars: dict[str, object] = {}
        self.rich: object | None = None

    @contextmanager
    def live(self) -> Generator[None]:
        if self.screen.quiet or not self.screen.err.is_terminal:
            yield
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self.screen.err,
        )
        with bars:
            for name, total in self.totals.items():
                if total:
                    self.bars[name] = bars.add_task(name, total=total, rate="")
            self.rich = bars
            yield

    def __call__(self, what: str, rows: int) -> None:
        self.done[what] += rows
        now = time.monotonic()
        begun = self.begun.setdefault(what, self.ticked)
        self.ticked = now
        rate = self.done[what] / max(now - begun, 1e-9)
        shown = f"{rate:.1f} rows/s" if rate >= 1 else f"{60 * rate:.1f} rows/min"
        if self.standing is not None and what == next(iter(self.totals)):
            shown += f", {self.standing()}"
        if self.rich is not None:
            if what in self.bars:
                self.rich.update(self.bars[what], advance=rows, rate=shown)  # type: ignore[attr-defined]
        elif now - self.last >= PLAIN_LINE_SECONDS:
            self.last = now
            left = (self.totals[what] - self.done[what]) / max(rate, 1e-9)
            self.screen.note(
                f"{what}: {self.done[what]}/{self.totals[what]} rows, {shown}, {left:.0f} s left"
            )

    def close(self) -> None:
        took = time.monotonic() - self.start
        if self.done.get("generate"):
            rate = self.done["generate"] / max(took, 1e-9)
            self.screen.note(f"generated {self.done['generate']} rows in {took:.1f} s, {rate:.1f} rows/s")


def make_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(plain(title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(Text(plain(column)), justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table
