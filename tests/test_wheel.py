"""Guards of what is installed: a wheel holds the data that commands read, and runs from any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("steer", "vectors", "experiments", "organism", "steergap")
NOT_READ = {".gitignore", "README.md"}
BUILT = """
import json, os
from hatchling.builders.wheel import WheelBuilder
print(json.dumps([file.relative_path for file in WheelBuilder(os.getcwd()).recurse_included_files()]))
"""


def tracked() -> list[str]:
    """The repository's files in its packages."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository")
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_file_of_the_packages_is_built_into_the_wheel() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BUILT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    built = {(ROOT / name).resolve() for name in json.loads(done.stdout.splitlines()[-1])}
    wanted = [name for name in tracked() if Path(name).name not in NOT_READ]
    assert len(wanted) > 100
    assert [name for name in wanted if (ROOT / name).resolve() not in built] == []


@pytest.mark.slow
def test_an_installed_wheel_runs_from_any_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in [*tracked(), "cli.py", "pyproject.toml", "README.md"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", tmp_path, source], check=True
    )
    (wheel,) = tmp_path.glob("steergap-*.whl")
    assert not any("benchmarks" in name or "tests" in name for name in zipfile.ZipFile(wheel).namelist())

    # an environment of its own, which finds the dependencies here but not this checkout
    home, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    (own,) = home.glob("lib/python*/site-packages")
    (own / "shared.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    subprocess.run(
        [*pip[:3], "--python", str(home / "bin/python"), *pip[3:], "install", *offline, wheel], check=True
    )

    def run(*arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [home / "bin/steergap", *arguments],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import steer, sys; print(steer.__file__)"
    found = subprocess.run(
        [home / "bin/python", "-c", where], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith(str(own))
    assert "runs/suffix-organism" in run("suffix", "--per-category", "1", "--dry-run")
    summary = json.loads(
        run(
            "suffix",
            "--per-category",
            "1",
            "--new-tokens",
            "8",
            "--out",
            "run",
            "--judge",
            "rubric",
            "--json",
        )
    )
    assert "accuracy" in json.dumps(summary["judge"])
    assert (elsewhere / "run/report.html").is_file()
    assert (elsewhere / "run/report.html").stat().st_size > 100_000
