"""`compare-logs`: read, compare, print, write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.logs import pairs, show
from experiments.logs.read import read_logs
from steer.atomic import write_atomically
from steer.screen import Screen


def compare_logs(
    paths: Sequence[Path], *, page: Path | None, markdown: Path | None, screen: Screen
) -> dict[str, object]:
    """Every later log against every earlier one; what `--json` prints. Raises UserError."""
    logs = read_logs(paths)
    found = pairs.compare(logs)
    if not screen.quiet:
        show.show(screen, logs, found)
    for path, text in ((page, show.page), (markdown, show.markdown)):
        if path is not None:
            write_atomically(path, text(logs, found).encode(), streams=True)
            screen.note(f"written: {path}")
    return show.as_dict(logs, found)
