"""`panel:A,B,C`: several judges, the majority's label, every member's verdict kept in the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from steer.errors import UserError
from steer.judges.apis import Usage
from steer.types import Judge, Judged, JudgeItem, Verdict

CHUNK = 64  # items held while every member judges them


def members(spec: str) -> list[str]:
    """The specs in `panel:A,B,C`; UserError unless there are two different ones at least."""
    names = [name.strip() for name in spec.partition(":")[2].split(",")]
    if len(names) < 2 or not all(names):
        raise UserError(f"judge {spec!r}: a panel has two or more members: panel:A,B,C")
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise UserError(f"judge {spec!r}: {twice[0]!r} sits twice on the panel: name each member once")
    if any(name.startswith("panel") for name in names):
        raise UserError(f"judge {spec!r}: a panel cannot sit on a panel")
    return names


def panel_name(names: Iterable[str]) -> str:
    return "panel:" + ",".join(sorted(names))


def majority(verdicts: Mapping[str, Verdict]) -> Verdict:
    """The label more than half of the judges gave; `invalid` if there is none."""
    votes: Counter[Judged] = Counter(v.role for v in verdicts.values())
    label, n = votes.most_common(1)[0]
    said = " | ".join(f"{name}: {v.role} ({v.reason})" for name, v in sorted(verdicts.items()))
    if 2 * n > len(verdicts):
        return Verdict(label, f"{n} of {len(verdicts)}: {said}")
    return Verdict("invalid", f"no majority: {said}", all(v.final for v in verdicts.values()))


class Panel:
    """Every member judges every item; a member that gave no verdict leaves the item without one."""

    def __init__(self, judges: Sequence[Judge]) -> None:
        self.judges = tuple(judges)

    @property
    def name(self) -> str:
        return panel_name(judge.name for judge in self.judges)

    @property
    def remote(self) -> bool:
        return all(judge.remote for judge in self.judges)

    @property
    def notes(self) -> list[str]:
        return [note for judge in self.judges for note in getattr(judge, "notes", ())]

    @property
    def usage(self) -> dict[str, Usage]:
        return {name: used for judge in self.judges for name, used in getattr(judge, "usage", {}).items()}

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        source = iter(items)
        while chunk := list(islice(source, CHUNK)):
            found = {judge.name: dict(judge.judge(chunk)) for judge in self.judges}
            for item in chunk:
                verdicts = {name: given[item.id] for name, given in found.items() if item.id in given}
                if len(verdicts) == len(self.judges):
                    yield item.id, majority(verdicts)
