"""The shape of the project: imports point one way, heavy ones wait, and its names are its own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("steer", "vectors", "experiments", "organism", "steergap")
MAY_IMPORT = {
    "steer": set[str](),
    "organism": {"steer"},
    "vectors": {"steer"},
    "experiments": {"steer", "vectors", "organism"},
    "steergap": {"steer", "vectors", "experiments", "organism"},
}
HEAVY = ("torch", "transformers", "nnsight", "scipy", "openai", "statsmodels", "sklearn", "altair", "peft")


def imported(path: Path) -> set[str]:
    """Top names of everything a file imports, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    ours = {*PACKAGES, "cli", "tests", "benchmarks"}
    for path in files:
        forbidden = imported(path) & ours - {package} - MAY_IMPORT[package]
        assert not forbidden, f"{path.relative_to(ROOT)} imports {forbidden}"


def test_no_module_imports_one_that_imports_it() -> None:
    """Imports for types and those inside functions count too: they are dependencies all the same."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    names = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        wanted: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                wanted |= {part if part in names else str(node.module) for part in parts}
        graph[name] = (wanted & names.keys()) - {name}
    assert "steer.judges.apis" in graph["steer.judges.endpoint"]
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
    folders: dict[str, set[str]] = {}
    for name, wanted in graph.items():
        folders.setdefault(folder_of(name), set()).update({folder_of(one) for one in wanted})
    assert "experiments.sweep" in folders["experiments.compare"]
    TopologicalSorter({name: wanted - {name} for name, wanted in folders.items()}).prepare()


def folder_of(module: str) -> str:
    """The folder of a module of the experiments; one that lies in none, and any other, stands for itself."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "experiments" else module


def test_no_dependency_owns_our_names() -> None:
    owners = packages_distributions()
    for name in (*PACKAGES, "cli"):
        assert set(owners.get(name, [])) <= {"steergap"}, owners[name]
    assert any(True for _ in distributions())


def loaded_after(*arguments: str) -> set[str]:
    code = (
        "import sys, cli\n"
        f"sys.argv = ['cli.py', *{list(arguments)!r}]\n"
        "cli.main()\n"
        "print('MODULES', *sorted({m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(out.stdout.rsplit("MODULES", 1)[1].split())


def commands() -> list[list[str]]:
    """Every command as typed: ["suffix"], ["vector", "show"], ..."""
    tree = ast.parse((ROOT / "cli.py").read_text(encoding="utf-8"))
    found: list[list[str]] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for decorator in map(ast.unparse, node.decorator_list):
                group, _, rest = decorator.partition(".command(")
                if rest:
                    name = node.name.replace("_", "-")
                    found.append([name] if group == "app" else [group, name])
    assert ["suffix"] in found
    assert ["vector", "show"] in found
    return found


def test_help_loads_nothing_heavy() -> None:
    assert not loaded_after("--help") & set(HEAVY)
    assert not loaded_after("suffix", "-h") & set(HEAVY)


def test_nothing_unpickles_and_nothing_trusts_remote_code() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            names = imported(path)
            assert not names & {"pickle", "dill", "cloudpickle", "joblib"}, path
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                    assert ast.unparse(node.value) == "False", f"{path} trusts remote code"
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                    safe = [k for k in node.keywords if k.arg == "weights_only"]
                    assert safe, path
                    assert ast.unparse(safe[0].value) == "True", path


def test_every_command_answers_to_h_with_an_example() -> None:
    for command in commands():
        out = subprocess.run(
            [sys.executable, "cli.py", *command, "-h"], capture_output=True, text=True, cwd=ROOT, check=True
        )
        assert "Example" in out.stdout, command


BENCHMARK = re.compile(r"converg|instrumental|safety_refusal", re.IGNORECASE)


def test_one_benchmarks_words_stand_in_its_task_alone() -> None:
    """Outside the tasks' folders and what reads the paper's own files nothing speaks of one behaviour."""
    found: list[str] = []
    for path in [
        ROOT / "cli.py",
        *(p for name in ("steer", "vectors", "experiments") for p in (ROOT / name).rglob("*")),
    ]:
        inside = path.relative_to(ROOT).parts
        if not path.is_file() or "__pycache__" in inside or path.suffix in (".jsonl", ".pyc"):
            continue
        if inside[:2] in (("steer", "tasks"), ("steer", "paper")) or inside == (
            "experiments",
            "paper_runs.py",
        ):
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [
            f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(lines, 1) if BENCHMARK.search(line)
        ]
    assert found == []
