"""Runs sections apart from each other, keeps what each found, and shows it."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

PACKAGES = ("torch", "transformers", "nnsight", "peft")
HEAVY = ("torch", "transformers")
"""Imported once, before the processes part; the GPU is not touched there, which a fork would not survive."""

OFF_GPU = 4
"""Times a section's limit, elsewhere: processes take as long to begin, on fewer cores."""

Keep = Callable[[str, object], None]
"""Keeps a finding under a name, at once: what comes after may fail."""


@dataclass(frozen=True, slots=True)
class Setup:
    device: str
    quick: bool
    out: Path


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    limit: float
    """Seconds."""
    run: Callable[[Setup, Keep], None]


def run_all(sections: Sequence[Section], setup: Setup, *, commit: str) -> dict[str, Any]:
    """All sections' findings; OUT/gpu.json holds them after each."""
    for package in HEAVY:
        importlib.import_module(package)
    setup.out.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"commit": commit, "quick": setup.quick, **machine(setup.device), "sections": {}}
    for section in sections:
        result["sections"][section.name] = found = run_one(section, setup)
        print(f"{section.name}: {found['status']}, {found['seconds']} s", flush=True)
        (setup.out / "gpu.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def run_one(section: Section, setup: Setup) -> dict[str, Any]:
    """{status, seconds, found} of a section; status is `done`, or what went wrong."""
    part = setup.out / f"{section.name}.part.json"
    part.unlink(missing_ok=True)
    process = multiprocessing.get_context("fork").Process(target=_child, args=(section, setup, part))
    began = time.perf_counter()
    process.start()
    limit = section.limit * (1 if setup.device.startswith("cuda") else OFF_GPU)
    process.join(limit)
    late = process.is_alive()
    if late:
        os.killpg(process.pid or 0, signal.SIGKILL)  # with what it started
        process.join()
    held: dict[str, Any] = json.loads(part.read_text(encoding="utf-8")) if part.exists() else {}
    part.unlink(missing_ok=True)
    status = "failed" if "traceback" in held else "done"
    if late:
        status = f"stopped after {limit:g} s"
    elif process.exitcode:
        status = f"died (exit code {process.exitcode})"
    return {"status": status, "seconds": round(time.perf_counter() - began, 1), **held}


def _child(section: Section, setup: Setup, part: Path) -> None:
    os.setsid()
    held: dict[str, Any] = {"found": {}}

    def save() -> None:
        fresh = part.with_suffix(".new")
        fresh.write_text(json.dumps(held, default=str), encoding="utf-8")
        fresh.replace(part)  # a kill while writing must not cost what was kept before

    def keep(name: str, value: object) -> None:
        held["found"][name] = value
        save()

    try:
        section.run(setup, keep)
    except BaseException:
        held["traceback"] = traceback.format_exc()
    save()


def machine(device: str) -> dict[str, Any]:
    """The device, its driver, and the versions; asked of no library that would touch the GPU."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    gpu = ""
    if device.startswith("cuda"):
        try:
            gpu = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
        except OSError as error:
            gpu = str(error)
    return {
        "device": device,
        "gpu": gpu,
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return "missing"


def show(result: dict[str, Any]) -> None:
    table = Table(title=f"{result['gpu'] or result['device']}, commit {result['commit'][:12]}")
    for column in ("section", "what", "found"):
        table.add_column(column)
    for name, section in result["sections"].items():
        table.add_row(name, section["status"], f"{section['seconds']} s", style="bold")
        for what, found in section.get("found", {}).items():
            table.add_row("", what, _line(found))
        if "traceback" in section:
            table.add_row("", "error", section["traceback"].strip().splitlines()[-1])
    Console(width=150, highlight=False, markup=False).print(table)


def _line(found: Any) -> str:
    if not isinstance(found, dict):
        return str(found)
    return ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in found.items()
        if not isinstance(value, dict | list)
    )
