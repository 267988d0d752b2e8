"""The packages that a machine with PyTorch, transformers and the scientific ones lacks, as wheels; and such a
machine's environment with them in it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

MISSING = (
    *("nnsight", "greenlet", "pydantic", "pydantic-core", "annotated-types", "typing-inspection"),
    *("httpx2", "httpcore2", "truststore", "websocket-client", "zstandard", "openai", "jiter", "sniffio"),
    *("gguf", "krippendorff", "pooch", "platformdirs", "altair", "vl-convert-python", "narwhals"),
    *("jsonschema", "jsonschema-specifications", "referencing", "rpds-py", "attrs"),
)
THERE = (
    *("torch==2.11.0", "transformers==5.17.0", "accelerate", "einops", "hypothesis", "jinja2", "pandas"),
    *("peft", "psutil", "pytest", "pyyaml", "requests", "rich", "scikit-learn", "statsmodels", "typer"),
)
"""What such a machine has of what we import; the versions of the first two are that machine's."""
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
MOST_BYTES = 60 * 2**20


def download(folder: Path) -> int:
    """Download them for Python 3.12 on x86-64, in the versions installed here; bytes in all.

    Install with `pip install --no-index --no-deps --target SITE FOLDER/*.whl`, SITE on PYTHONPATH.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", "3.12", "--implementation", "cp", "--dest", str(folder)]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_x86_64"]
    subprocess.run([*command, *(f"{name}=={version(name)}" for name in MISSING)], check=True)
    size = sum(wheel.stat().st_size for wheel in folder.glob("*.whl"))
    if size > MOST_BYTES:
        raise SystemExit(
            f"{size / 2**20:.0f} MiB of wheels in {folder}: {MOST_BYTES // 2**20} travel at most"
        )
    return size


def environment(folder: Path) -> None:
    """Make a virtual environment as such a machine has it, the wheels in it, to run tests and the kit in.

    Needs Python 3.12 as `python3.12`, and 6 GB: PyTorch comes with its CUDA, and runs on a CPU all the same.
    """
    subprocess.run(["python3.12", "-m", "venv", str(folder)], check=True)
    install = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *THERE], check=True)
    with TemporaryDirectory() as wheels:
        download(Path(wheels))
        found = [str(wheel) for wheel in Path(wheels).glob("*.whl")]
        subprocess.run([*install, "--no-index", "--no-deps", *found], check=True)
