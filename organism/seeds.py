"""Prints the figures of every seed that was built, side by side: `python -m organism.seeds`.

`organism.check --json organism/figures/seedN.json` writes what is read here. What falls short is bold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parent / "figures"


def table() -> list[str]:
    """The lines of the table in Markdown: a line of the check a row, a seed a column."""
    files = sorted(FIGURES.glob("seed*.json"))
    seeds: list[dict[str, dict[str, Any]]] = []
    for file in files:
        lines = json.loads(file.read_text(encoding="utf-8"))["lines"]
        seeds.append({line["what"].strip(): line for line in lines})
    whats = list(dict.fromkeys(what for seed in seeds for what in seed))
    rows = [["what", "must be", *(file.stem.replace("seed", "seed ") for file in files)]]
    for what in whats:
        found = [seed.get(what) for seed in seeds]
        # what must be may follow from a seed's own figure: then it stands beside that
        musts = list(dict.fromkeys(line["must"] for line in found if line))
        rows.append(
            [what, musts[0] if len(musts) == 1 else "", *(_cell(line, len(musts) > 1) for line in found)]
        )
    ruled = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return ["| " + " | ".join(row) + " |" for row in ruled]


def _cell(line: dict[str, Any] | None, own_must: bool) -> str:
    if line is None:
        return ""
    seen = f"**{line['seen']}**" if line["met"] is False else line["seen"]
    return f"{seen} (must be {line['must']})" if own_must and line["must"] else seen


if __name__ == "__main__":
    print("\n".join(table()))
