"""The GPU kit runs on the CPU to its last line, and a section that fails costs only itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.__main__ import SECTIONS
from benchmarks.gpu.sections import Keep, Section, Setup, run_all, show


def fine(_setup: Setup, keep: Keep) -> None:
    keep("rate", {"bytes a second": 2.0})


def raising(_setup: Setup, keep: Keep) -> None:
    keep("before", 1)
    raise ValueError("a kernel is missing")


def hanging(_setup: Setup, keep: Keep) -> None:
    keep("before", 1)
    threading.Event().wait()


def dying(_setup: Setup, _keep: Keep) -> None:
    os._exit(9)


def test_a_section_that_fails_costs_only_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.gpu.sections.HEAVY", ())
    sections = [
        Section("raising", 30, raising),
        Section("dying", 30, dying),
        Section("hanging", 1, hanging),
        Section("fine", 30, fine),
    ]
    show(run_all(sections, Setup("cuda", True, tmp_path), commit="abc"))
    assert [path.name for path in tmp_path.iterdir()] == ["gpu.json"]
    result = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert [found["status"] for found in result.values()] == [
        "failed",
        "died (exit code 9)",
        "stopped after 1 s",
        "done",
    ]
    assert "a kernel is missing" in result["raising"]["traceback"]
    assert result["raising"]["found"] == result["hanging"]["found"] == {"before": 1}
    assert result["fine"]["found"] == {"rate": {"bytes a second": 2.0}}
    shown = capsys.readouterr().out
    assert "ValueError: a kernel is missing" in shown
    assert "bytes a second 2" in shown


def kit(out: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gpu", "--quick", "--device", "cpu", "--out", str(out)]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads((out / "gpu.json").read_text())
    for name, section in result["sections"].items():
        assert section["status"] == "done", (name, section)
        assert name in done.stdout
    return result


def test_rates_and_decoding_run_on_a_cpu(tmp_path: Path) -> None:
    result = kit(tmp_path, "--only", "rates,decode")
    assert set(result["versions"]) == {"python", "torch", "transformers", "nnsight", "peft"}
    found = result["sections"]["decode"]["found"]
    assert {name.partition(",")[0] for name in found} == {"copy", "slots", "profile", "hooks", "nnsight"}
    alike = [v["tokens"] for name, v in found.items() if "4 rows" in name and "tokens" in v]
    assert len(alike) == 4
    assert len(set(alike)) == 1
    assert all(0 < v["share of limit"] < 1 for v in found.values() if "share of limit" in v)
    assert found["profile, 4 rows, 4 settings"]["kernels a step"] > 100


@pytest.mark.slow
def test_the_whole_kit_runs_on_a_cpu(tmp_path: Path) -> None:
    result = kit(tmp_path)
    assert list(result["sections"]) == [section.name for section in SECTIONS]
    assert result["sections"]["parity"]["found"]["memory"]["begun again"] > 0
    assert {found["exit code"] for found in result["sections"]["commands"]["found"].values()} == {0}
