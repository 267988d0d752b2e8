"""`extract`, `vector show` and `vector convert` as a user calls them, on a tiny Qwen3, no network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import cli
from tests.test_files import same_bits, vector
from tests.tiny import checkpoint
from vectors.files import load_vector, save_vector
from vectors.foreign import read_vector


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["cli.py", *map(str, arguments)])
    return cli.main()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("tiny") / "qwen3")


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, with no cache of fetched scenarios and nowhere to fetch them from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    rows = [{"positive": f"I am pleased to ship order {i}.", "negative": f"order {i} lol"} for i in range(10)]
    path = tmp_path / "formal.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_model_folder_is_extracted_from_without_the_evaluation_set(
    model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [
        {"id": f"s{i}", "category": f"c{i % 2}", "system": "", "user": f"Ship order {i}."} for i in range(8)
    ]
    Path("own.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    chosen: list[Any] = ["extract", "--model", model, "--contrast", pairs, "--extraction", "own.jsonl"]
    chosen += ["--layers", "1-3", "--method", "fisher", "--new-tokens", 4, "--out", "v.safetensors"]
    assert run(monkeypatch, *chosen, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    made = load_vector(Path("v.safetensors"))
    assert found["id"] == made.id
    assert list(found["layers"]) == ["1", "2", "3"]
    assert made.provenance.pairs == 10
    assert run(monkeypatch, *chosen) == 0
    shown = capsys.readouterr()
    assert "read at: last prompt token" in shown.out
    assert "activations kept in memory" in shown.err
    assert load_vector(Path("v.safetensors")).id == made.id


@pytest.mark.parametrize(("contrast", "answers"), [("formal.jsonl", 0), ("response", 480), ("suffix", 0)])
def test_a_dry_run_prints_the_plan_and_makes_nothing(
    model: Path,
    pairs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    contrast: str,
    answers: int,
) -> None:
    chosen = ["extract", "--model", model, "--contrast", contrast, "--layers", "1-2", "--dry-run"]
    assert run(monkeypatch, *chosen, "--json") == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["own answers"] == 120
    assert plan["answers under suffixes"] == answers
    assert plan["layers"] == 2
    count, sides = {"formal.jsonl": (10, 2), "response": (120, 2), "suffix": (120, 3)}[contrast]
    assert plan["pairs at most"] == count
    assert plan["activations in memory, MB"] == round(count * sides * 2 * 32 * 4 / 1e6, 1)
    assert run(monkeypatch, *chosen, "--extraction-per-category", 2, "--json") == 0
    fewer = json.loads(capsys.readouterr().out)["plan"]
    assert fewer["own answers"] == fewer["scenarios"] == 12
    assert not list(Path().glob("*.safetensors"))
    assert not Path("runs").exists()
    assert run(monkeypatch, *chosen) == 0
    assert "activations in memory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--method", "mean"], "unknown method 'mean'"),
        (["--contrast", "sufix"], "did you mean 'suffix'"),
        (["--layers", "20-10"], "did you mean 10-20"),
        (["--layers", "0-4"], "layer 4 is out of range"),
        (["--contrast", "none.jsonl"], "no pairs file"),
        (["--contrast", "response", "--draws", "6", "--dry-run"], "allowed are 1 to 5"),
        (["--out", "v.gguf"], "is written as a .safetensors file"),
        (["--scenarios", "own.jsonl", "--extraction", "own.jsonl"], "is an evaluation scenario"),
    ],
)
def test_bad_flags_are_one_line(
    model: Path,
    pairs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    items = [{"id": f"s{i}", "category": "c", "system": "", "user": f"Ship order {i}."} for i in range(8)]
    Path("own.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    assert run(monkeypatch, "extract", "--model", model, *flags) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last


def test_convert_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = vector()
    save_vector(made, Path("v.safetensors"))
    assert run(monkeypatch, "vector", "convert", "v.safetensors", "v.gguf", "--to", "gguf") == 0
    assert run(monkeypatch, "vector", "convert", "v.gguf", "g.safetensors") == 0
    assert run(monkeypatch, "vector", "convert", "v.safetensors", "v.pt") == 0
    back = ["vector", "convert", "v.pt", "p.safetensors", "--format", "persona_vectors"]
    assert run(monkeypatch, *back) == 0
    for name in ("g.safetensors", "p.safetensors"):
        assert same_bits(load_vector(Path(name)).directions, made.directions)
    assert load_vector(Path("g.safetensors")).norms == made.norms


def test_a_position_is_said_or_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(torch.randn(5, 4, 8), "mean_diffs.pt")
    convert = ("vector", "convert", "mean_diffs.pt", "v.safetensors", "--format", "refusal_direction")
    assert run(monkeypatch, *convert) == 2
    assert "give --position (vector convert)" in capsys.readouterr().err
    assert run(monkeypatch, *convert, "--position", "-2") == 0
    assert "position -2 of 5" in capsys.readouterr().out
    assert torch.equal(load_vector(Path("v.safetensors")).directions[2], torch.load("mean_diffs.pt")[-2, 3])


def test_a_place_that_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("x" * 5000, tmp_path / "file" / "below"):
        (tmp_path / "file").touch()
        for command in (("export", place, "--format", "csv", "--out", "o.csv"), ("vector", "show", place)):
            assert run(monkeypatch, *command) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert line.startswith("error: ")


def test_convert_says_what_a_format_cannot_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_vector(vector((0, 1)), Path("v.safetensors"))
    assert run(monkeypatch, "vector", "convert", "v.safetensors", "v.gguf") == 0
    assert "left out layers (0,)" in capsys.readouterr().out
    assert read_vector(Path("v.gguf")).layers == (1,)
    assert run(monkeypatch, "vector", "convert", "v.safetensors", "v.bin") == 2
    assert "allowed are steergap, gguf, persona_vectors" in capsys.readouterr().err


def test_a_part_and_the_orthogonal_part_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made, other = vector(), vector(seed=5)
    save_vector(made, Path("v.safetensors"))
    save_vector(other, Path("o.safetensors"))
    convert = ["vector", "convert", "v.safetensors"]
    assert run(monkeypatch, *convert, "part.safetensors", "--part", "pro-neutral") == 0
    assert same_bits(load_vector(Path("part.safetensors")).directions, made.parts["pro-neutral"])
    assert run(monkeypatch, *convert, "rest.safetensors", "--without", "o.safetensors") == 0
    rest = load_vector(Path("rest.safetensors"))
    for layer in made.layers:
        taken = (made.directions[layer] - rest.directions[layer]).double()
        along = other.directions[layer].double()
        assert abs(float(rest.directions[layer].double() @ along)) < 1e-5
        assert float(torch.linalg.matrix_rank(torch.stack((taken, along)), tol=1e-4)) == 1
    assert run(monkeypatch, *convert, "x.safetensors", "--part", "pro") == 2


def test_show_of_any_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_vector(vector(), Path("v.safetensors"))
    torch.save(torch.ones(5, 16), "axis.pt")
    assert run(monkeypatch, "vector", "show", "v.safetensors") == 0
    text = capsys.readouterr().out
    assert "flags    none" in text
    assert "parts    pro-neutral" in text
    assert run(monkeypatch, "vector", "show", "axis.pt", "--format", "assistant-axis") == 0
    text = capsys.readouterr().out
    assert "layers 0-4: made on an unknown model" in text
    assert "Nothing was measured of this vector" in text
    assert run(monkeypatch, "vector", "show", "v.safetensors", "--json") == 0
    assert json.loads(capsys.readouterr().out)["layers"]["1"]["split_half"] == 0.9
    assert run(monkeypatch, "vector", "show", "none.safetensors") == 2
    assert "no vector file at none.safetensors" in capsys.readouterr().err
