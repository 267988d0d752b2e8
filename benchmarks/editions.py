"""Two editions' summaries, number by number: `python -m benchmarks.editions OLD NEW`.

OLD and NEW are folders that hold runs of the same names (suffix, sweep, ...), made by the same commands with
the same seeds; OLD's summaries are of schema 2, NEW's of 3. What was renamed or put elsewhere is mapped; what
a run holds only since, or only before, is listed; every other difference is one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RENAMED = {
    "convergence": "hit",
    "no_convergence": "miss",
    "safety_refusal": "refusal",
    "nonsensical": "broken",
    "nonsensical_all": "broken_all",
    "nonsensical_all_ci": "broken_all_ci",
    "kappa_convergence": "kappa_hit",
}
ASIDE = {"seconds", "provenance", "version", "files", "folder"}
"""What says where and when a run was made, not what came out."""


def renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {RENAMED.get(name, name): renamed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [renamed(one) for one in value]
    return RENAMED.get(value, value) if isinstance(value, str) else value


MEASURES = ("fluency", "compression", "distinct3", "drift", "capability", "over_refusal", "held_out_nll")
MEASURES += ("held_out_prefers", "relevance", "relevance_shuffled", "relevance_cosine")
MEASURES += ("relevance_cosine_shuffled", "relevance_above", "propensity", "mass")
GAPS = ("plus-minus", "plus", "minus")


def measured(arm: dict[str, Any]) -> dict[str, Any]:
    """An arm with its measures in a place of their own."""
    own = {name: value for name, value in arm.items() if name not in (*MEASURES, "role")}
    return own | {"measures": {name: arm[name] for name in MEASURES if name in arm}}


def folded(choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "folds": choice["folds"],
        "movement": choice["movement"],
        "gaps": {name: choice[name] for name in GAPS},
    }


def estimate(found: dict[str, Any]) -> dict[str, Any] | None:
    return None if found["points"] is None else found


def reshaped(old: dict[str, Any]) -> dict[str, Any]:
    """A summary of schema 2 in the shape of schema 3."""
    same = ("gaps", "movement", "categories", "unlabelled", "echo", "judge", "config", "task", "determinism")
    new = {name: old[name] for name in (*same, "evidence") if name in old}
    new["arms"] = {name: measured(arm) | {"lost": arm.get("lost", {})} for name, arm in old["arms"].items()}
    for name, kind in old.get("arm_kinds", {}).items():
        new["arms"][name]["kind"] = kind
    if "cells" in old:
        new["sweep"] = _sweep(old)
    if "side_by_side" in old:
        new["comparison"] = _comparison(old)
    if "spillover" in old:
        new["emergent"] = _emergent(old)
    return new


def _sweep(old: dict[str, Any]) -> dict[str, Any]:
    own = ("arm", "layer", "magnitude", "span", "operation", "vector", "chosen_on")
    arms, gap = old["arms"], next(iter(old["gaps"].values()))
    cells = [
        {name: cell[name] for name in own}
        | {"gap": {name: cell[name] for name in gap if name not in ("first", "second")}}
        for cell in old["cells"]
    ]
    assert all(cell[name] == arms[cell["arm"]][name] for cell in old["cells"] for name in ("n", "rate_all"))
    choice = {"cap": old["choice"]["cap"]}
    if "none" in old["choice"]:
        return {"cells": cells, "halves": old["halves"], "choice": choice | {"none": old["choice"]["none"]}}
    choice |= {"report": folded(old["choice"]), "chosen_arms": old["choice"]["chosen_arms"]}
    if "asymmetric" in old["choice"]:
        choice["asymmetric"] = folded(old["choice"]["asymmetric"])
    bounds = old["beyond_random"]
    return {
        "cells": cells,
        "halves": old["halves"],
        "choice": choice,
        "vector_flags": old["vector_flags"],
        "out_of_fold": {name: measured(arm) for name, arm in old["out_of_fold"].items()},
        "controls": [
            {"control": one["control"], "kind": one["kind"], "gaps": {n: estimate(one[n]) for n in GAPS}}
            for one in old["controls_out_of_fold"]
        ],
        "beyond_random": {
            "directions": bounds["directions"],
            "gaps": {
                name: {
                    "largest": bounds[name]["abs_points_max"],
                    "percentile_95": bounds[name]["abs_points_95"],
                    "beyond": bounds[name]["beyond"],
                }
                for name in GAPS
            },
        },
    }


def _comparison(old: dict[str, Any]) -> dict[str, Any]:
    sides = old["side_by_side"]
    return {
        "verdict": old["verdict"],
        "sides": {
            "gaps": {
                name: one for name, one in sides.items() if isinstance(one, dict) and "points_all" in one
            },
            "differences": {name: one for name, one in sides.items() if name.startswith("difference")},
            "wordings_all": sides["suffix_paraphrase_mean_all"],
            "wordings_valid": sides["suffix_paraphrase_mean_valid"],
        },
        "exchange": old["exchange"],
        "tug": {name: _tug(one) for name, one in old["tug"].items() if name != "table"},
        "together": [row["arm"] for row in old["tug"]["table"]],
        "square": [
            {
                "suffix": one["suffix"],
                "vector": one["vector"],
                "arm": _without(measured(one), "suffix", "vector"),
            }
            for one in old["tug_square"]
        ],
        "frontier": old["frontier"],
        "costs": {
            way: {name: value for name, value in cost.items() if not name.startswith("seconds")}
            for way, cost in old["costs"].items()
        },
        **({"transfer": _transfer(old["transfer"])} if "transfer" in old else {}),
    }


def _without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: one for name, one in value.items() if name not in names}


def _tug(old: dict[str, Any]) -> dict[str, Any]:
    aside = ("size", "coherent", "arms", "sizes", "reached", "suffix", "suffix_points")
    matched = old["matched"]
    return {
        "defence": old["defence"],
        "curve": [
            {"size": one["size"], "coherent": one["coherent"], "pull": _without(one, *aside)}
            for one in old["curve"]
        ],
        "matched": matched
        and {
            "dose": {name: matched[name] for name in ("arms", "sizes", "reached")},
            "suffix": matched["suffix"],
            "suffix_points": matched["suffix_points"],
            "pull": _without(matched, *aside),
        },
        "break_even": old.get("break_even"),
        "builder": {
            name: old[f"builder_against_{way}"]
            for name, way in (("suffix", "user"), ("vector", "vector"))
            if f"builder_against_{way}" in old
        },
    }


def _transfer(old: dict[str, Any]) -> dict[str, Any]:
    moved = {"made_of": old["from"], "measured_on": old["to"]}
    return moved | {name: old[name] for name in ("points", "ci", "n", "places")}


def _emergent(old: dict[str, Any]) -> dict[str, Any]:
    same = ("interventions", "sets", "spillover", "matched", "equal_epochs", "control_range", "energy")
    effects = ("narrow_points", "narrow_ci", "broad_points", "broad_ci", "ratio", "ratio_ci")
    dials = [
        {name: one[name] for name in ("dial", "method", "value", "broad_set")}
        | {"effects": {name: one[name] for name in effects} | {"arm": one["arm"]}}
        for one in old["dials"]
    ]
    return {name: old[name] for name in (*same, "notes", "training")} | {"dials": dials}


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(kind, place and values) of all that is not equal; numbers are equal to the last digit."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() - ASIDE:
            where = f"{path}.{name}" if path else name
            if name not in new:
                yield "only before", where
            else:
                yield from differences(old[name], new[name], where)
        yield from (("only since", f"{path}.{name}".lstrip(".")) for name in new.keys() - old.keys() - ASIDE)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{path}[{place}]")
    elif isinstance(old, str) and isinstance(new, str) and old != new:
        yield "in words", f"{path}: {old!r} -> {new!r}"
    elif old != new:
        yield "another value", f"{path}: {old!r} -> {new!r}"


def numbers(value: Any) -> int:
    """How many numbers a summary holds."""
    if isinstance(value, dict):
        return sum(numbers(one) for name, one in value.items() if name not in ASIDE)
    if isinstance(value, list):
        return sum(map(numbers, value))
    return int(isinstance(value, (int, float)) and not isinstance(value, bool))


def main(old: Path, new: Path) -> int:
    wrong = 0
    for file in sorted(old.glob("*/summary.json")):
        before = reshaped(renamed(json.loads(file.read_text("utf-8"))))
        since = json.loads((new / file.parent.name / file.name).read_text("utf-8"))
        found = sorted(differences(before, since))
        wrong += sum(kind == "another value" for kind, _ in found)
        equal = numbers(before) - sum(kind in ("another value", "only before") for kind, _ in found)
        print(f"{file.parent.name}: {equal:,} of {numbers(before):,} numbers equal")
        alike: dict[tuple[str, str], list[str]] = {}
        for kind, what in found:
            field = what.partition(": ")[0].rpartition(".")[2]
            alike.setdefault((kind, field), []).append(what)
        for (kind, field), every in alike.items():
            print(f"  {kind}: {field}, {len(every)} times, first {every[0]}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
