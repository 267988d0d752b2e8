"""The packages that a machine with PyTorch, transformers and the scientific ones lacks, as wheels."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

MISSING = (
    *("nnsight", "greenlet", "pydantic", "pydantic-core", "annotated-types", "typing-inspection"),
    *("httpx2", "httpcore2", "truststore", "websocket-client", "zstandard", "openai", "jiter", "sniffio"),
    *("gguf", "krippendorff", "pooch", "platformdirs", "altair", "vl-convert-python", "narwhals"),
    *("jsonschema", "jsonschema-specifications", "referencing", "rpds-py", "attrs"),
)
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
