"""What a GPU shows of this project, in eight minutes and one command.

    python -m benchmarks.gpu --wheels WHEELS      (where there is a network: what such a machine lacks)
    python -m benchmarks.gpu [--commit C] [--only parity,decode] [--out DIR]
    python -m benchmarks.gpu --quick --device cpu (every line of it, tiny, in a minute or two)
    python -m benchmarks.gpu --environment FOLDER (here, once: such a machine's packages, to try it all in)

Sections run one after another, each in a process of its own under its own time limit: one that fails,
hangs or kills its process costs only itself. DIR/gpu.json is whole after each; a table comes last.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from benchmarks.gpu import commands, decode, extraction, fast, parity, rates, wheels
from benchmarks.gpu.sections import Section, Setup, run_all, show

SECTIONS = (
    Section("parity", 75, parity.run),
    Section("rates", 15, rates.run),
    Section("decode", 140, decode.run),
    Section("attention", 60, fast.attention),
    Section("graphs", 60, fast.graphs),
    Section("extraction", 25, extraction.run),
    Section("commands", 90, commands.run),
)
"""In order of worth; seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny models and few rows")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", default="", help="sections, by comma")
    parser.add_argument("--commit", default="", help="where the checkout came without its history")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--wheels", type=Path, help="only download them, to this folder")
    parser.add_argument("--environment", type=Path, help="only make such a machine's environment there")
    chosen = parser.parse_args()
    if chosen.environment:
        wheels.environment(chosen.environment)
        return
    if chosen.wheels:
        print(f"{wheels.download(chosen.wheels) / 2**20:.1f} MiB in {chosen.wheels}")
        return
    names = [section.name for section in SECTIONS]
    only = chosen.only.split(",") if chosen.only else names
    if unknown := [name for name in only if name not in names]:
        parser.error(f"no section {unknown[0]!r}: there are {', '.join(names)}")
    setup = Setup(chosen.device, chosen.quick, chosen.out)
    show(run_all([s for s in SECTIONS if s.name in only], setup, commit=chosen.commit or _commit()))


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
