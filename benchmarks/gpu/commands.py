"""`suffix` and `vector-sweep` end to end on the organism, as a user runs them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu.sections import Keep, Setup

SMALL = ("--per-category", "2", "--new-tokens", "16")
"""So that both commands fit the section's limit on any machine."""
COMMANDS = {
    "suffix": (),
    "vector-sweep": ("--layers", "10", "--magnitudes=-0.3,0.3", "--controls", "0"),
}


def run(setup: Setup, keep: Keep) -> None:
    failed: list[str] = []
    for name, options in COMMANDS.items():
        with TemporaryDirectory() as folder:
            command = [sys.executable, "cli.py", name, "--device", setup.device, *options]
            command += [*SMALL, "--out", str(Path(folder) / "run")]
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = {"exit code": done.returncode, "seconds": round(time.perf_counter() - began, 1)}
        found["last line"] = (done.stdout.strip().splitlines() or [""])[-1]
        if done.returncode:
            failed.append(name)
            found["errors"] = done.stderr[-4000:].splitlines()
        keep(name, found)
    if failed:
        raise RuntimeError(f"{', '.join(failed)} failed")
