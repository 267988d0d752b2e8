"""A measure is one entry in one list: it is computed, kept, shown, held against effects, and exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.tiny import checkpoint

ONE_MORE = """
import steer.measures as measures

def letters(text):
    return float(sum(c.isalpha() for c in text)) if text else None

note = "letters: of the answer"
entry = measures.Measure("letters", "letters", "answer", 1, note, frontier=True, of=letters)
measures.MEASURES += (entry,)
import cli
raise SystemExit(cli.main())
"""


def test_one_entry_is_in_store_table_page_frontier_figure_and_export(tmp_path: Path) -> None:
    model, run = checkpoint(tmp_path / "model"), tmp_path / "run"

    def command(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", ONE_MORE, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    arguments = ("compare", "--model", str(model), "--task", "sycophancy", "--contrast", "formality")
    arguments += ("--layers", "1", "--magnitudes=-0.3,0.3", "--controls", "0")
    arguments += ("--per-category", "4", "--new-tokens", "8", "--out", str(run))
    printed = command(*arguments, "--cap-nonsense", "1", "--cap-drift", "1000")
    assert "letters: of the answer" in printed
    result = json.loads((run / "summary.json").read_text())
    export = tmp_path / "rows.jsonl"
    command("export", str(run), "--format", "jsonl", "--out", str(export))
    counts: dict[str, list[float]] = {}
    for line in export.read_text("utf-8").splitlines():
        row = json.loads(line)
        count = float(sum(c.isalpha() for c in row["response"])) if row["response"] else None
        assert row["measures"]["letters"] == count
        if count is not None:
            counts.setdefault(row["arm"], []).append(count)
    for name, arm in result["arms"].items():
        assert arm["measures"]["letters"] == sum(counts[name]) / len(counts[name])
    traded = [p for p in result["comparison"]["frontier"] if p["side_effect"] == "letters"]
    assert {p["value"] for p in traded} <= {arm["measures"]["letters"] for arm in result["arms"].values()}
    page = (run / "report.html").read_text()
    assert "letters" in page
    assert not traded or "frontier-letters" in page
