"""Exports: every row, texts exactly, nothing that runs; `.eval` logs read back by inspect-ai itself."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.logs.pairs import compare
from experiments.logs.read import read_logs
from steer import export
from steer.errors import UserError
from steer.screen import defused, plain
from steer.store import RunStore
from tests import synthetic
from tests.tasks import RECORD


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "run"
    answers = synthetic.hostile_answers(synthetic.scenarios(12), ("baseline", synthetic.cell_name(14, 0.2)))
    return synthetic.sweep_run(folder, n=12, layers=(14,), magnitudes=(-0.2, 0.2), answers=answers)


@pytest.fixture(scope="module")
def stored(run: Path) -> dict[tuple[str, str, int], Any]:
    with RunStore(run, writable=False) as store:
        return {(r.arm, r.scenario, r.sample): r for r in store.rows(synthetic.JUDGE)}


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_jsonl_holds_every_row_exactly(run: Path, stored: dict[Any, Any], tmp_path: Path) -> None:
    done = export.export(run, "jsonl", tmp_path / "rows.jsonl")
    records = read_jsonl(done.path)
    assert done.rows == len(records) == len(stored)
    left = dict(stored)
    for record in records:
        row = left.pop((record["arm"], record["scenario"], record["sample"]))
        assert record["response"] == row.answer
        assert (record["system"], record["prompt"]) == (row.system, row.user)
        assert (record["thinking"], record["reason"]) == (row.thinking, row.reason)
        assert (record["finish"], record["label"]) == (row.finish, RECORD.word(row.status))
        assert record["status"] == row.status
        assert [a["positions"] for a in record["applied"]] == [a.positions for a in row.applied]
        assert record["evidence"] == "planted fixture"
        assert record["judge"] == synthetic.JUDGE
    assert not left


def test_jsonl_tells_how_the_arm_was_steered(run: Path, tmp_path: Path) -> None:
    records = read_jsonl(export.export(run, "jsonl", tmp_path / "rows.jsonl").path)
    cell = next(r for r in records if r["arm"] == synthetic.cell_name(14, -0.2))
    pro = next(r for r in records if r["arm"] == "pro")
    addition = cell["additions"][0]
    assert (addition["layer"], addition["magnitude"], addition["span"]) == (14, -0.2, "last")
    assert addition["vector"] == "v-3f2a"
    assert (pro["suffix"], pro["suffix_set"]) == (synthetic.SUFFIX_TEXTS["pro"], "default")
    assert (cell["suffix"], cell["suffix_set"], cell["temperature"]) == ("", None, 0.0)


def test_printing_a_json_line_does_nothing_to_a_terminal(run: Path, tmp_path: Path) -> None:
    text = export.export(run, "jsonl", tmp_path / "rows.jsonl").path.read_text(encoding="utf-8")
    assert plain(text) == text
    assert "\u2028" not in text


def test_csv_holds_every_row_and_no_formula(run: Path, stored: dict[Any, Any], tmp_path: Path) -> None:
    done = export.export(run, "csv", tmp_path / "rows.csv")
    csv.field_size_limit(10**7)
    text = done.path.read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines(keepends=True)))
    assert done.rows == len(rows) == len(stored)
    assert plain(text) == text
    for row in rows:
        answer = stored[row["arm"], row["scenario"], int(row["sample"])].answer
        assert row["response"].removeprefix("'") == plain(answer)
        for name, cell in row.items():
            assert not cell.lstrip().startswith(("=", "+", "@", "\t")), name
            assert not cell.startswith("-") or (name == "magnitude" and float(cell) < 0)
    formulas = [r["response"] for r in rows if r["response"].startswith("'")]
    assert sorted(set(formulas)) == sorted(f"'{synthetic.HOSTILE[name]}" for name in ("formula", "formulas"))
    cell = next(r for r in rows if r["arm"] == synthetic.cell_name(14, 0.2))
    assert (cell["layer"], cell["magnitude"], cell["span"], cell["vector"]) == ("14", "0.2", "last", "v-3f2a")


@pytest.mark.parametrize("text", ["=1+1", " =1+1", "\u200b=1+1", "\n@x", "-1+1", "\tx", "\rx", "＝1", "+x"])
def test_what_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert defused(text).startswith("'")


@pytest.mark.parametrize("text", ["plain", "a=b", "'=x", "", "1-2"])
def test_what_it_would_not_run_is_left_alone(text: str) -> None:
    assert defused(text) == text


def test_inspect_reads_its_logs_back(run: Path, stored: dict[Any, Any], tmp_path: Path) -> None:
    log = pytest.importorskip("inspect_ai.log")
    done = export.export(run, "inspect", tmp_path / "logs")
    files = sorted(done.path.glob("*.eval"))
    assert done.files == len(files)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert len(files) == len(summary["arms"])
    with RunStore(run, writable=False) as store:
        scenarios = {scenario.id: scenario for scenario in store.scenarios()}
    left = dict(stored)
    assert len(log.list_eval_logs(str(done.path))) == len(files)
    for file in files:
        found = log.read_eval_log(str(file))
        arm = found.eval.metadata["arm"]
        assert found.status == "success"
        assert found.eval.metadata["evidence"] == "planted fixture"
        assert found.eval.metadata["additions"] == summary["config"]["arms"][arm]["additions"]
        metrics = found.results.scores[0].metrics
        assert metrics["rate_all"].value == summary["arms"][arm]["rate_all"]
        for sample in found.samples:
            row = left.pop((arm, sample.id, sample.epoch - 1))
            assert sample.output.completion == row.answer
            assert sample.messages[-1].text == row.answer
            assert [m.text for m in sample.messages[:-1]] == [row.system, row.user]
            asked = scenarios[row.scenario]
            assert [m.text for m in sample.input] == [asked.system, asked.user]
            assert sample.scores["label"].value == RECORD.word(row.status)
            assert sample.scores["label"].explanation == row.reason
            assert sample.scores["convergence"].value == (row.status == "hit")
            assert sample.metadata["category"] == row.category
            assert sample.output.stop_reason == {"stop": "stop", "length": "max_tokens"}[row.finish]
            reasoning = (
                [c.reasoning for c in sample.messages[-1].content if c.type == "reasoning"]
                if row.thinking
                else []
            )
            assert "".join(reasoning) == row.thinking
    assert not left


def test_its_logs_are_compared_in_pairs(run: Path, tmp_path: Path) -> None:
    """As one arm is with another in the run's own summary."""
    pytest.importorskip("inspect_ai")
    logs = export.export(run, "inspect", tmp_path / "logs").path
    files = [next(logs.glob(f"*_{arm}_*.eval")) for arm in ("anti", "pro")]
    found = compare(read_logs(files))
    (one,) = [comparison for comparison in found if comparison.kind == "binary"]
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    gap = next(g for g in summary["gaps"].values() if (g["first"], g["second"]) == ("pro", "anti"))
    assert (one.first, one.second) == ("pro", "anti")
    assert (gap["pairs"], gap["unlabelled_pairs"]) == (one.pairs, 0)
    assert (one.only_first, one.only_second) == (gap["only_first"], gap["only_second"])
    assert 100 * one.difference == pytest.approx(gap["points_all"])
    assert [100 * limit for limit in one.ci or ()] == pytest.approx(gap["ci_all"])
    assert one.p == pytest.approx(gap["p"])


@pytest.mark.slow
def test_inspect_view_bundles_the_logs(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    logs = export.export(run, "inspect", tmp_path / "logs").path
    inspect = Path(sys.executable).with_name("inspect")
    command = [inspect, "view", "bundle", "--log-dir", logs, "--output-dir", tmp_path / "bundle"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert len(list((tmp_path / "bundle").rglob("*.eval"))) == len(list(logs.glob("*.eval")))
    assert (tmp_path / "bundle" / "index.html").is_file()


def test_without_inspect_the_error_names_the_extra(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[inspect\]'"):
        export.export(run, "inspect", tmp_path / "logs")


def test_bad_requests_say_what_is_allowed(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="allowed are jsonl, csv, inspect, folder; did you mean 'csv'"):
        export.export(run, "csvv", tmp_path / "x")
    with pytest.raises(UserError, match="no run in"):
        export.export(tmp_path / "nowhere", "csv", tmp_path / "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="give another place"):
        export.export(run, "csv", tmp_path / "file" / "rows.csv")
    with pytest.raises(UserError, match="is a file"):
        export.export(run, "inspect", tmp_path / "file")
    assert not list(tmp_path.glob(".*.part"))
