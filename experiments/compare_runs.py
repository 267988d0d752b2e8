"""Comparing finished runs: their arms side by side, when model, scenarios and judge are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.options import Options
from experiments.tables import print_arms, print_footer, print_gaps
from steer import metrics
from steer.errors import UserError
from steer.screen import Screen
from steer.store import RunStore
from steer.summary import GAPS, determinism, summarise
from steer.types import Outcome

SAME = ("model", "scenarios", "judge", "sampling", "limits", "thinking")
"""What runs must share to be paired; else a difference could come from there."""


def compare_runs(folders: Sequence[Path], options: Options) -> dict[str, Any]:
    """Pool the arms of runs on the same scenarios, model and judge; UserError says which field differs.

    An arm that several runs have by the same name and content counts once; one of the same name and
    another content is renamed RUN:ARM.
    """
    if len(folders) < 2:
        raise UserError(f"compare got {len(folders)} run: give two or more, or none to run the comparison")
    outcomes: list[Outcome] = []
    arms: dict[str, Any] = {}
    contents: dict[str, Any] = {}
    first: dict[str, Any] = {}
    for folder in folders:
        with RunStore(folder, writable=False) as store:
            config = store.config()
            judge = _judge(config, folder)
            if not first:
                first = config | {"folder": str(folder), "evidence": store.meta("evidence") or ""}
            _require_same(first, config, folder)
            found = summarise(store, judge)
            renamed: dict[str, str] = {}
            for name in found["arms"]:
                content = config["arms"].get(name)
                if name in contents and contents[name] == content:
                    continue
                renamed[name] = name if name not in contents else f"{folder.name}:{name}"
                contents[renamed[name]] = content
                arms[renamed[name]] = found["arms"][name]
            outcomes += [
                Outcome(renamed[o.arm], o.scenario, o.category, o.sample, o.status)
                for o in store.outcomes(judge)
                if o.arm in renamed
            ]
    names = list(arms)
    pairs = [(a, b) for a, b in GAPS if a in arms and b in arms]
    pairs += [(name, "baseline") for name in names if "baseline" in arms and name not in ("pro", "baseline")]
    summary: dict[str, Any] = {
        "arms": arms,
        "gaps": {f"{g.first}-{g.second}": asdict(g) for g in metrics.gaps(outcomes, pairs)},
        "judge": {"name": first["judge"]["name"], "known_error": None},
        "config": {"command": "compare", "runs": [str(folder) for folder in folders]},
        "determinism": determinism(first["model"]["dtype"]),
        "evidence": first["evidence"],
    }
    if not options.quiet:
        screen = Screen()
        print_arms(screen, summary)
        print_gaps(screen, summary)
        print_footer(screen, summary, ", ".join(str(folder) for folder in folders))
    return summary


def _judge(config: dict[str, Any], folder: Path) -> str:
    if "judge" not in config:
        raise UserError(f"run {str(folder)!r} has no configuration: start it again, or leave it out")
    return str(config["judge"]["name"])


def _require_same(first: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    for field in SAME:
        if first.get(field) != config.get(field):
            raise UserError(
                f"runs {first['folder']!r} and {str(folder)!r} differ in {field} "
                f"({first.get(field)} and {config.get(field)}): only runs that share it can be paired"
            )
