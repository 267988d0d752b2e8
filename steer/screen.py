"""What a person at a terminal sees: notes, progress with rate and time left, tables.

Text that a model wrote passes through `plain` before it is printed anywhere.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, Task, TaskID
    from rich.table import Table

Tick = Callable[[int], None]
"""Told how many more are done."""

PLAIN_LINE_SECONDS = 10.0
PIPE_WIDTH = 120
ANY_WIDTH = 1000
"""Of a table where no screen ends: nothing in it is cut."""
TEXT = 60
"""Characters from which on a cell is a text and not a name or a number; it wraps there."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What spreadsheets take for a formula's first character (OWASP, CSV injection)."""
NARROW = 36
"""Columns of a terminal that a text needs to stand beside another."""


def unheard(n: int) -> None:
    """A tick that nobody waits for."""


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
            self.out.width = ANY_WIDTH

    def note(self, text: str) -> None:
        if not self.quiet:
            self.err.print(plain(text), markup=False, style="dim")

    def line(self, text: str) -> None:
        self.out.print(plain(text), markup=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """First column left, numbers right; never wider than the terminal asks."""
        self.out.print(make_table(title, columns, rows))

    def plan(self, numbers: Mapping[str, int | float | str], title: str = "Plan") -> None:
        """What a dry run says; nothing where it is quiet."""
        if not self.quiet:
            rows = [[name, n if isinstance(n, str) else f"{n:,}"] for name, n in numbers.items()]
            self.table(title, ["", ""], rows)

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
        self.out.print(table, width=self.out.width if self.out.is_terminal else PIPE_WIDTH)

    @contextmanager
    def progress(self, standing: Callable[[], str] | None = None, **rows: int) -> Generator[_Ticker]:
        """A bar for each kind of work (`generate`, `judge`, ...); plain lines where there is no terminal.

        standing: says how the first kind goes besides, also before its first row has ended.
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
        self.start = self.ticked = time.monotonic()
        self.begun: dict[str, float] = {}  # a kind begins where the work before its first tick ended
        self.latest: dict[str, float] = {}
        self.bars: dict[str, TaskID] = {}
        self.rich: Progress | None = None

    @contextmanager
    def live(self) -> Generator[None]:
        if self.screen.quiet:
            yield
        elif self.screen.err.is_terminal:
            with self._bars() as self.rich:
                for name, total in self.totals.items():
                    if total:
                        self.bars[name] = self.rich.add_task(name, total=total)
                yield
        else:
            over = threading.Event()
            speaker = threading.Thread(target=self._speak, args=(over,), daemon=True)
            speaker.start()
            try:
                yield
            finally:
                over.set()
                speaker.join()

    def _bars(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
        from rich.text import Text

        ticker = self

        class Going(ProgressColumn):
            """Drawn anew several times a second, whether a row has ended or not."""

            def render(self, task: Task) -> Text:
                return Text(ticker.going(task.description))

        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Going(),
            console=self.screen.err,
        )

    def _speak(self, over: threading.Event) -> None:
        """A line every so often for what has begun and not ended, however long a row takes."""
        while not over.wait(PLAIN_LINE_SECONDS):
            open_kinds = [name for name, total in self.totals.items() if self.done[name] < total]
            for name in [name for name in open_kinds if self.done[name]] or open_kinds[:1]:
                going = ", ".join(
                    filter(None, [f"{self.done[name]}/{self.totals[name]} rows", self.going(name)])
                )
                self.screen.note(f"{name}: {going}")

    def going(self, what: str) -> str:
        """Rate and time left as far as rows have ended, and how the first kind goes besides."""
        parts: list[str] = []
        if self.done[what]:
            rate = self.done[what] / max(self.latest[what] - self.begun[what], 1e-9)
            parts.append(f"{rate:.1f} rows/s" if rate >= 1 else f"{60 * rate:.1f} rows/min")
            left = (self.totals[what] - self.done[what]) / rate - (time.monotonic() - self.latest[what])
            parts.append(f"{max(left, 0):.0f} s left")
        if self.standing is not None and what == next(iter(self.totals)):
            parts.append(self.standing())
        return ", ".join(part for part in parts if part)

    def __call__(self, what: str, rows: int) -> None:
        self.begun.setdefault(what, self.ticked)
        self.ticked = self.latest[what] = time.monotonic()
        self.done[what] += rows
        if self.rich is not None and what in self.bars:
            self.rich.update(self.bars[what], advance=rows)

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
        # a narrow screen takes from long texts, which wrap, and not from the numbers beside them
        text = max((len(row[i]) for row in rows), default=0) > TEXT
        side = "left" if i == 0 or text else "right"
        width = TEXT if text else None
        table.add_column(Text(plain(column)), justify=side, no_wrap=not text, max_width=width)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table
