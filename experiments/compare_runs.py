"""Comparing finished runs: their arms side by side, when model, scenarios and judge are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.across_tables import print_differences, print_rates
from experiments.compare_models import across, model_row
from experiments.options import Options
from experiments.tables import print_arms, print_evidence, print_footer, print_gaps, print_judge
from steer import metrics
from steer.errors import UserError
from steer.judges import known_error
from steer.screen import Screen
from steer.store import RunStore
from steer.summary import GAPS, determinism, summarise
from steer.types import Outcome

SAME = ("model", "scenarios", "judge", "sampling", "limits", "thinking")
"""What runs must share to be paired; else a difference could come from there."""

SAME_ACROSS = ("scenarios", "judge", "sampling")
"""What runs of different models must share: a model's limits and thinking are its own."""


def compare_runs(folders: Sequence[Path], options: Options) -> dict[str, Any]:
    """Finished runs side by side: of one model their arms, paired; of several models one row a model."""
    configs = [_config(folder) for folder in folders]
    models = [config["model"] for config in configs]
    if all(model == models[0] for model in models):
        return _pooled(folders, options)
    if any(model in models[:place] for place, model in enumerate(models)):
        raise UserError(
            "some of these runs are of one model, others not: compare runs of one model, or one run a model"
        )
    return _across(folders, configs, options)


def _across(folders: Sequence[Path], configs: Sequence[dict[str, Any]], options: Options) -> dict[str, Any]:
    """Each model's rates and steerability gap; rates of models are compared as independent."""
    rows: dict[str, dict[str, Any]] = {}
    evidence: list[str] = []
    for folder, config in zip(folders, configs, strict=True):
        _require_same(configs[0] | {"folder": str(folders[0])}, config, folder, SAME_ACROSS)
        with RunStore(folder, writable=False) as store:
            found = summarise(store, config["judge"]["name"])
        name = str(config["model"]["name"])
        rows[name if name not in rows else str(folder)] = model_row(found, folder)
        evidence.append(found["evidence"])
    judge = configs[0]["judge"]["name"]
    result: dict[str, Any] = {"models": rows, **across(rows)}
    result["judge"] = {"name": judge, "known_error": known_error(judge)}
    result["evidence"] = "; ".join(dict.fromkeys(one for one in evidence if one))
    if not options.quiet:
        screen = Screen()
        print_rates(screen, result)
        print_differences(screen, result)
        print_judge(screen, result)
        print_evidence(screen, result)
    return result


def _pooled(folders: Sequence[Path], options: Options) -> dict[str, Any]:
    """The arms of runs on the same scenarios, model and judge; UserError says which field differs.

    An arm that several runs have by the same name and content counts once; one of the same name and
    another content is renamed RUN:ARM.
    """
    outcomes: list[Outcome] = []
    arms: dict[str, Any] = {}
    contents: dict[str, Any] = {}
    first: dict[str, Any] = {}
    for folder in folders:
        with RunStore(folder, writable=False) as store:
            config = store.config()
            judge = config["judge"]["name"]
            if not first:
                first = config | {"folder": str(folder), "evidence": store.meta("evidence") or ""}
            _require_same(first, config, folder, SAME)
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
    pairs = [(a, b) for a, b in GAPS if a in arms and b in arms]
    named = {name for pair in pairs for name in pair}
    pairs += [(name, "baseline") for name in arms if "baseline" in arms and name not in named | {"baseline"}]
    summary: dict[str, Any] = {
        "arms": arms,
        "gaps": {f"{g.first}-{g.second}": asdict(g) for g in metrics.gaps(outcomes, pairs)},
        "judge": {"name": first["judge"]["name"], "known_error": known_error(first["judge"]["name"])},
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


def _config(folder: Path) -> dict[str, Any]:
    with RunStore(folder, writable=False) as store:
        config = store.config()
    if "judge" not in config:
        raise UserError(f"run {str(folder)!r} has no configuration: start it again, or leave it out")
    return config


def _require_same(first: dict[str, Any], config: dict[str, Any], folder: Path, fields: Sequence[str]) -> None:
    for field in fields:
        if first.get(field) != config.get(field):
            raise UserError(
                f"runs {first['folder']!r} and {str(folder)!r} differ in {field} "
                f"({first.get(field)} and {config.get(field)}): only runs that share it can be compared"
            )
