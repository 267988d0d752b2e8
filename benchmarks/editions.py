"""Two editions' summaries, number by number: `python -m benchmarks.editions OLD NEW`.

OLD and NEW are folders that hold runs of the same names (suffix, sweep, ...), made by the same commands with
the same seeds. What was renamed is mapped; what a run holds only since, or only before, is listed; every
other difference is one.
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
        before = renamed(json.loads(file.read_text("utf-8")))
        since = json.loads((new / file.parent.name / file.name).read_text("utf-8"))
        found = sorted(differences(before, since))
        wrong += sum(kind == "another value" for kind, _ in found)
        equal = numbers(before) - sum(kind in ("another value", "only before") for kind, _ in found)
        print(f"{file.parent.name}: {equal:,} of {numbers(before):,} numbers equal")
        for kind, what in found:
            print(f"  {kind}: {what}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
