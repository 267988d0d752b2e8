"""Another behaviour is a folder: it runs as it is written, and everything printed speaks its words."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

import cli
from steer import task
from steer.errors import UserError
from steer.judges import make
from steer.store import RunStore
from tests.tiny import checkpoint


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cli.py", *arguments])
    return cli.main()


def test_a_new_task_runs_as_it_is_and_speaks_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, run = tmp_path / "mine", tmp_path / "run"
    assert command(monkeypatch, "tasks", "new", str(mine)) == 0
    assert command(monkeypatch, "tasks", "new", str(mine)) == 2
    assert "is there already, and not empty" in capsys.readouterr().err
    model = checkpoint(tmp_path / "model")
    small = ("--per-category", "2", "--new-tokens", "8", "--out", str(run))
    assert command(monkeypatch, "suffix", "--task", str(mine), "--model", str(model), *small) == 0
    shown = capsys.readouterr().out
    assert "Hedging %, of all" in shown
    assert "never measured for this table of cues" in shown
    summary = json.loads((run / "summary.json").read_text())
    assert summary["config"]["task"] == {"name": "mine", "identity": task.load(mine).record.identity}
    page = (run / "report.html").read_text()
    assert "Share of answers that hedge" in page
    assert command(monkeypatch, "export", str(run), "--format", "csv", "--out", str(tmp_path / "r.csv")) == 0
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert {row["task"] for row in rows} == {"mine"}
    assert {row["label"] for row in rows} <= {"hedged", "plain", "declined", "nonsensical"}
    assert command(monkeypatch, "annotate", str(run), "--judge", "human:ann", "--n", "4") == 0
    assert "full of" in (run / "sheet-ann.html").read_text()
    shutil.rmtree(mine)  # a run keeps all that it takes to judge it again
    with RunStore(run, writable=False) as store:
        again = make("rubric", store.task())
        assert again.name == summary["judge"]["name"]
    everything = (shown + re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)).lower()
    assert "converg" not in everything
    assert "instrumental" not in everything


def test_a_changed_task_is_another_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, run = tmp_path / "mine", tmp_path / "run"
    shutil.copytree(task.SHIPPED.parent / "data/skeleton", mine)
    model = checkpoint(tmp_path / "model")
    arguments = ("suffix", "--task", str(mine), "--model", str(model), "--per-category", "1")
    arguments += ("--new-tokens", "4", "--out", str(run))
    assert command(monkeypatch, *arguments) == 0
    with (mine / "judge.md").open("a") as file:
        file.write("Be strict.\n")
    assert command(monkeypatch, *arguments) == 2
    assert "was made with task.identity" in capsys.readouterr().err


def test_a_rubric_needs_the_tasks_cues(tmp_path: Path) -> None:
    mine = Path(shutil.copytree(task.SHIPPED / "sycophancy", tmp_path / "mine"))
    (mine / "cues.yaml").unlink()
    with pytest.raises(UserError, match=r"the task 'mine' has no cues.yaml .*give --judge openai:MODEL"):
        make("rubric", task.load(mine).record)


def test_the_suffixes_of_the_paper_ask_for_its_own_task_alone() -> None:
    from steer import suffixes

    with pytest.raises(UserError, match="ask for the behaviour of another task"):
        suffixes.load("paper", task.load("sycophancy").suffixes)
