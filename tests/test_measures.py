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
"""
COMMAND = """
import cli
raise SystemExit(cli.main())
"""
HELD_AGAINST = """
from experiments.compare.analyse import frontier
from steer.show.figures.arms import arms_of as drawn
from steer.show.figures.comparison import frontier_figures
from tests.outcome_tables import arms_of, result_of, table

rows = table({"baseline": "NNNN", "pro": "CCCN", "L1+0.3": "CCNN", "L2+0.3": "CNNN"})
counted = {"baseline": {"letters": 5.0}, "pro": {"letters": 9.0}, "L1+0.3": {"letters": 6.0}}
counted["L2+0.3"] = {"letters": 7.0}
found = [
    point
    for point in frontier(rows, arms_of(rows, counted), ["pro", "L1+0.3", "L2+0.3"])
    if point.side_effect == "letters"
]
print([(point.arm, point.effect_points, point.value, point.undominated) for point in found])
(figure,) = frontier_figures(found, drawn(result_of(rows, counted))).values()
print({mark["arm"]: mark["x"] for mark in figure.drawing.data["marks"]}, figure.label)
"""


def python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ONE_MORE + code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_entry_is_in_store_table_page_and_export(tmp_path: Path) -> None:
    model, run = checkpoint(tmp_path / "model"), tmp_path / "run"
    arguments = ("compare", "--model", str(model), "--task", "sycophancy", "--contrast", "formality")
    arguments += ("--layers", "1", "--magnitudes=-0.3,0.3", "--controls", "0")
    arguments += ("--per-category", "4", "--new-tokens", "8", "--out", str(run))
    printed = python(COMMAND, *arguments, "--cap-nonsense", "1", "--cap-drift", "1000")
    assert "letters: of the answer" in printed
    result = json.loads((run / "summary.json").read_text())
    export = tmp_path / "rows.jsonl"
    python(COMMAND, "export", str(run), "--format", "jsonl", "--out", str(export))
    counts: dict[str, list[float]] = {}
    for line in export.read_text("utf-8").splitlines():
        row = json.loads(line)
        count = float(sum(c.isalpha() for c in row["response"])) if row["response"] else None
        assert row["measures"]["letters"] == count
        if count is not None:
            counts.setdefault(row["arm"], []).append(count)
    for name, arm in result["arms"].items():
        assert arm["measures"]["letters"] == sum(counts[name]) / len(counts[name])
    page = (run / "report.html").read_text()
    assert "letters: of the answer" in page.lower()


def test_one_entry_has_its_frontier_and_a_figure_of_it() -> None:
    """The arm of the least effect and not the fewest letters is dominated."""
    points, figure = python(HELD_AGAINST).splitlines()
    assert points == str(
        [("pro", 75.0, 9.0, True), ("L1+0.3", 50.0, 6.0, True), ("L2+0.3", 25.0, 7.0, False)]
    )
    assert figure == str({"L2+0.3": 7.0, "L1+0.3": 6.0, "pro": 9.0}) + " Effect against letters"
