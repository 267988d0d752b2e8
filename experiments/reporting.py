"""What `report` and `export` do: pages, static figures and tables, and rows for other tools."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from steer.atomic import is_stream
from steer.results import read
from steer.screen import Screen


def report(
    runs: Sequence[Path],
    *,
    out: Path | None = None,
    figures: Path | None = None,
    screen: Screen | None = None,
) -> Path:
    """Write one page about the runs (default: `report.html` in the first run's folder); its path.

    figures: folder for SVG, PNG, PDF and `tables.md`; with several runs, a folder a run inside it.
    """
    from steer.show.answers import PASSES
    from steer.show.page import write

    screen = screen or Screen()
    arms = sum(len(read(folder).arms) for folder in runs)
    with screen.progress(report=PASSES * arms) as tick:
        made = write(runs, out, tick=partial(tick, "report"))
    if not screen.quiet:
        _say(screen, made.path, f"report: {made.path} ({made.size / 1e6:.1f} MB)")
    for note in dict.fromkeys(made.notes):
        screen.note(note)
    if figures is not None:
        from steer.show.files import write_figures

        for folder in runs:
            into = figures if len(runs) == 1 else figures / folder.resolve().name
            screen.line(f"figures: {len(write_figures(folder, into))} files in {into}")
    return made.path


def export(run: Path, *, format: str, out: Path) -> Path:
    """Write every row of a run as `jsonl` or `csv`, or a folder: `inspect` logs, or a copy of the run."""
    from steer.export import count_rows
    from steer.export import export as write

    screen = Screen()
    with screen.progress(export=count_rows(run)) as tick:
        made = write(run, format, out, tick=partial(tick, "export"))
    files = f", {made.files} logs" if format == "inspect" else ""
    _say(screen, made.path, f"{made.rows} rows{files}: {made.path}")
    return made.path


def _say(screen: Screen, path: Path, text: str) -> None:
    """Where the result is; beside it, if that is stdout."""
    (screen.note if is_stream(path) else screen.line)(text)
