"""Writing a run: its plan, answers, verdicts and measures, each batch in a transaction of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from steer.errors import UserError
from steer.store.reading import Reading
from steer.store.rows import PlanRow, Prompt, StoredResponse, pack, pack_choices
from steer.texts import JsonObject
from steer.types import Scenario, Verdict


class RunStore(Reading):
    """An open run folder: what can be asked of it, and what is put into it."""

    def set_meta(self, name: str, value: str) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def claim(self, config: Mapping[str, object]) -> None:
        """Make this folder the run of `config`, or raise UserError if it is the run of another."""
        if self.meta("config") is None:
            self.set_meta("config", json.dumps(config, sort_keys=True))
            return
        differing = _differing(self.meta_json("config", {}), json.loads(json.dumps(config)))
        if differing:
            field, old, new = differing
            raise UserError(
                f"run {str(self.folder)!r} was made with {field} = {old}, not {new}: "
                f"repeat that command to continue it, or give another --out"
            )

    def add_plan(
        self, scenarios: Sequence[Scenario], prompts: Iterable[Prompt], rows: Iterable[PlanRow]
    ) -> None:
        with self.transaction() as db:
            db.executemany(
                "INSERT INTO scenarios VALUES (?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING",
                [
                    (i, s.id, s.category, s.system, s.user, pack_choices(s.choices))
                    for i, s in enumerate(scenarios)
                ],
            )
            db.executemany(
                "INSERT OR IGNORE INTO prompts VALUES (?,?,?,?)",
                [(p.id, p.system, p.user, pack(p.token_ids)) for p in prompts],
            )
            db.executemany(
                "INSERT OR REPLACE INTO plan VALUES (?,?,?,?,?)",
                [(r.scenario, r.arm, r.sample, r.response, r.prompt) for r in rows],
            )

    def add_responses(self, batch: Iterable[StoredResponse]) -> None:
        rows = list(batch)
        with self.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO measures VALUES (?,?,?)",
                [(s.response.key, name, value) for s in rows for name, value in s.measures.items()],
            )
            db.executemany(
                "INSERT OR IGNORE INTO responses VALUES (?,?,?,?,?,?,?,?,?,?)",
                [
                    (
                        s.response.key,
                        pack(s.response.output_ids),
                        s.response.finish,
                        s.response.error,
                        json.dumps([asdict(a) for a in s.response.applied]),
                        s.thinking,
                        s.answer,
                        int(s.complete),
                        s.response.seconds,
                        s.engine,
                    )
                    for s in rows
                ],
            )

    def add_verdicts(self, judge: str, batch: Sequence[tuple[str, str, Verdict]]) -> None:
        """(response key, judge input hash, verdict) rows."""
        with self.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO verdicts VALUES (?,?,?,?,?,?)",
                [(key, judge, v.role, v.label, v.reason, seen) for key, seen, v in batch],
            )
            db.executemany(
                "INSERT OR IGNORE INTO unsettled VALUES (?,?)",
                [(key, judge) for key, _, v in batch if not v.final],
            )

    def reopen(self, judge: str, *, unsettled_only: bool = True) -> None:
        """Take back the invalid verdicts of `judge`, so that it is asked again: those not final, or all."""
        mine = "(SELECT response FROM unsettled WHERE judge = :judge)" if unsettled_only else "(response)"
        with self.transaction() as db:
            db.execute(
                f"DELETE FROM verdicts WHERE judge = :judge AND role = 'invalid' AND response IN {mine}",
                {"judge": judge},
            )
            db.execute("DELETE FROM unsettled WHERE judge = ?", (judge,))

    def add_measures(self, batch: Iterable[tuple[str, str, float | None]]) -> None:
        """(subject, name, value) rows: a number about a response key or an arm; None is "no estimate".

        What came out not finite is kept as infinity (SQLite makes NaN a NULL): a measure that was lost.
        """
        rows = [
            (subject, name, value if value is None or math.isfinite(value) else math.inf)
            for subject, name, value in batch
        ]
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO measures VALUES (?,?,?)", rows)

    def add_usage(self, used: Mapping[str, Mapping[str, int]]) -> None:
        """Add calls and tokens, by what was called, to those this run has cost so far."""
        total = self.usage()
        for name, counts in used.items():
            if any(counts.values()):
                before = total.get(name, {})
                total[name] = {what: before.get(what, 0) + n for what, n in counts.items()}
        if total:
            self.set_meta("usage", json.dumps(total))


def _differing(old: Any, new: Any, path: str = "") -> tuple[str, str, str] | None:
    """The first field in which two JSON values differ: (dotted path, old, new)."""
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("JsonObject", old), cast("JsonObject", new)
        for name in sorted(before.keys() | after.keys()):
            found = _differing(before.get(name), after.get(name), f"{path}.{name}" if path else name)
            if found:
                return found
        return None
    if old == new:
        return None
    return path, _short(old), _short(new)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
