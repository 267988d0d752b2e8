"""Flags: none is offered that does nothing, and none is overruled without a word."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

import cli
from experiments import session, suffix
from experiments.options import Options
from tests.tiny import checkpoint


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cli.py", *arguments])
    return cli.main()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("compare a b --cap-drift 2", "finished runs take no --cap-drift"),
        ("compare a b --cap-nonsense 0.2", "finished runs take no --cap-nonsense"),
        ("compare a b --layers 3", "finished runs take no --layers"),
        ("compare a b --magnitudes 3", "finished runs take no --magnitudes"),
        ("compare a b --vector v.safetensors", "finished runs take no --vector"),
        ("compare a b --seed 0", "finished runs take no --seed"),
        ("compare a b --dry-run", "finished runs take no --dry-run"),
        ("compare a b --transfer", "finished runs take no --transfer"),
        ("compare --models a,b --model c", "--model says nothing beside --models"),
        ("compare --vector v --contrast suffix", "--contrast says nothing beside --vector"),
        ("extract --per-category 2", "--per-category"),
        ("extract --judge-sees steered", "--judge-sees"),
        ("suffix --date tomorrow", "--date"),
        ("extract --temperature 0.7", "--temperature"),
        ("extract --samples 2", "--samples"),
        ("chat --dry-run", "--dry-run"),
        ("chat --json", "--json"),
        ("chat --out runs/x", "--out"),
        ("chat --samples 2", "--samples"),
        ("chat --scenarios organism", "--scenarios"),
        ("suffix --protocol paper --subset-seed 5", "--subset-seed: --protocol paper fixes it at 123, not 5"),
        ("suffix --protocol paper --per-category 3", "--protocol paper fixes it at 15, not 3"),
        ("suffix --protocol paper --temperature 0.7", "--protocol paper fixes it at [0.0], not [0.7]"),
        ("emergent --no-lora --lora-rank 4", "--lora-rank says nothing without --lora"),
        ("emergent --no-defence --vector v", "--vector says nothing without --defence"),
        ("emergent --alignment-below 40", "--alignment-below says nothing without --alignment"),
        ("suffix --temperature", "--temperature without a number"),
        ("suffix --fast-attention", "--fast-attention with --engine auto: give --engine slots"),
        ("suffix --graphs --engine nnsight", "--graphs with --engine nnsight: give --engine slots"),
        ("suffix --temperature --seed 1", "--temperature without a number"),
        ("suffix --temperature warm", "--temperature without a number"),
        ("vector-sweep --operation ablate --magnitudes 0.1", "--magnitudes says nothing beside --operation"),
        ("vector-sweep --operation ablate --screen 2", "--screen: it keeps both signs"),
        ("compare --suffix-budget 5", "--suffix-budget 5: the suffixes have 6 wordings, a try each: give 6"),
        ("compare --suffix-budget 8 --rewriter hf:m", "beside 6 wordings it leaves --rewriter nothing"),
        (
            "compare --suffix-budget 9 --race",
            "--race --suffix-budget: gap against tries is of cells with all",
        ),
        ("compare --rewriter hf:m", "--rewriter says nothing without --suffix-budget"),
        ("compare --suffix-budget 9 --rewriter hf", "--rewriter hf: write hf:MODEL"),
        ("compare --operation ablate --transfer", "--transfer runs a vector at either sign"),
    ],
)
def test_a_flag_that_would_do_nothing_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *command.split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_the_papers_protocol_takes_what_agrees_with_it_and_what_a_run_file_repeats(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Options] = []

    def noted(options: Options) -> tuple[dict[str, Any], None]:
        asked.append(options)
        return {}, None

    monkeypatch.setattr(suffix, "suffix", noted)
    (tmp_path / "run.yaml").write_text("protocol: paper\nsubset_seed: 123\nsamples: 1\n")
    agreeing = ["--subset-seed", "123", "--temperature", "0"]
    assert run(monkeypatch, "suffix", "--protocol", "paper", *agreeing) == 0
    assert run(monkeypatch, "suffix", "--config", str(tmp_path / "run.yaml")) == 0
    assert asked[0] == asked[1]
    assert (asked[0].per_category, asked[0].subset_seed, asked[0].temperatures) == (15, 123, (0.0,))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text("protocol: paper\nsubset_seed: 5\n")
    assert run(monkeypatch, "suffix", "--config", "run.yaml") == 2
    assert "subset_seed in --config: --protocol paper fixes it at 123, not 5" in capsys.readouterr().err
    (tmp_path / "run.yaml").write_text("subset_seed: 5\n")  # a flag wins over a file
    assert run(monkeypatch, "suffix", "--config", "run.yaml", "--protocol", "paper") == 0
    assert asked[2] == asked[0]
    assert (asked[0].judge_sees, asked[0].suffixes, asked[0].judge) == ("steered", "paper", "openai:gpt-5.2")


def test_a_talk_reads_no_scenarios(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """InstrumentalEval would be fetched for nothing."""

    def ended(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(builtins, "input", ended)
    monkeypatch.delattr(session.scenarios, "load")
    assert run(monkeypatch, "chat", "--model", str(checkpoint(tmp_path / "tiny"))) == 0


def test_a_run_file_is_read_as_editors_save_it_and_never_without_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    for content in (
        b"model: ./no/where\n",
        b"\xef\xbb\xbfmodel: ./no/where\n",
        "model: ./no/where\n".encode("utf-16"),
    ):
        path.write_bytes(content)
        assert run(monkeypatch, "suffix", "--config", str(path), "--device", "cpu", "--dry-run") == 2
        assert "./no/where" in capsys.readouterr().err  # the file's model, not the default one
    for content in (b"model: " + b"[" * 20_000, b"seed: " + b"9" * 5000, b"model: \xff", b"1: 2\nx: 3\n"):
        path.write_bytes(content)
        assert run(monkeypatch, "suffix", "--config", str(path)) == 2
        assert capsys.readouterr().err.count("\n") == 1
