"""Reading a run: its configuration, rows, verdicts and measures."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from steer.errors import UserError, understood
from steer.store.config import ArmContent, Config
from steer.store.database import Database
from steer.store.rows import Prompt, Row, Setting, unpack, unpack_choices
from steer.store.schema import FILE
from steer.task import TaskRecord
from steer.texts import JsonObject, parse_json
from steer.types import Applied, Finish, Judged, Outcome, Scenario, Status, Verdict

T = TypeVar("T", list[Any], JsonObject)


class Reading(Database):
    """What can be asked of a run."""

    def meta(self, name: str) -> str | None:
        found = list(self.query("SELECT value FROM meta WHERE name = ?", (name,)))
        return str(found[0][0]) if found else None

    def meta_json(self, name: str, default: T) -> T:
        """What is kept as JSON under this name; UserError for what is no JSON or another kind of it."""
        text = self.meta(name)
        where = Path(f"{self.folder / FILE} ({name})")
        found = default if text is None else parse_json(text, where)
        if not isinstance(found, type(default)):
            raise UserError(f"{where} is damaged, a {type(found).__name__}: restore it from a copy")
        return found

    def config(self) -> Config:
        """The configuration the run was claimed with; under "arms", also those added since."""
        config = self.meta_json("config", {})
        arms = config.get("arms", {}) | self.meta_json("arm_contents", {})
        return cast("Config", config | {"arms": arms})

    def task(self) -> TaskRecord:
        """The task of the run: its words, labels and judge's prompt. Raises UserError for a damaged one."""
        where = f"{self.folder / FILE} (task)"
        try:
            return TaskRecord.model_validate_json(self.meta("task") or "null")
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            raise UserError(f"{where} is damaged: {why}; restore it from a copy") from error

    def arm_contents(self) -> dict[str, ArmContent]:
        """What the run recorded of every arm: suffixes, additions, adapter."""
        return self.meta_json("arm_contents", {}) or self.config().get("arms", {})

    def usage(self) -> dict[str, dict[str, int]]:
        """Calls and tokens of remote judges, save pre-flights, killed commands, unfinished extractions."""
        return self.meta_json("usage", {})

    def scenarios(self) -> list[Scenario]:
        sql = "SELECT id, category, system, user, choices FROM scenarios ORDER BY position"
        return [
            Scenario(id, category, system, user, unpack_choices(choices))
            for id, category, system, user, choices in self.query(sql)
        ]

    def arms(self) -> list[str]:
        """Names of the planned arms, in the order in which the run named them."""
        names = [str(row[0]) for row in self.query("SELECT DISTINCT arm FROM plan")]
        order: list[str] = self.meta_json("arms", [])
        rank = {name: i for i, name in enumerate(order)}
        return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))

    def settings(self) -> dict[str, Setting]:
        """What the rows of each planned name are of."""
        known: dict[str, list[Any]] = self.meta_json("settings", {})
        found = {name: Setting(arm, temperature) for name, (arm, temperature) in known.items()}
        temperatures: list[float] = self.config().get("sampling", {}).get("temperatures", [])
        only = temperatures[0] if len(temperatures) == 1 else None
        return {name: found.get(name, Setting(name, only)) for name in self.arms()}

    def judges(self) -> list[str]:
        return [str(row[0]) for row in self.query("SELECT DISTINCT judge FROM verdicts ORDER BY judge")]

    def output_tokens(self) -> int:
        """Generated tokens of all responses."""
        ((size,),) = self.query("SELECT coalesce(sum(length(output_ids)), 0) FROM responses")
        return int(size) // array("i").itemsize

    def done(self) -> set[str]:
        return {str(row[0]) for row in self.query("SELECT key FROM responses")}

    def measures(self, name: str) -> dict[str, float | None]:
        return dict(self.query("SELECT subject, value FROM measures WHERE name = ?", (name,)))

    def unjudged(self, judge: str) -> Iterator[tuple[str, str, str, str]]:
        """(response key, scenario id, prompt id, answer) of complete answers that `judge` has not seen."""
        sql = """
            SELECT r.key, p.scenario, p.prompt, r.answer FROM responses r
            JOIN (SELECT response, min(scenario) AS scenario, min(prompt) AS prompt FROM plan
                  GROUP BY response) p ON p.response = r.key
            WHERE r.finish != 'failed' AND r.complete
              AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.response = r.key AND v.judge = ?)
            ORDER BY r.key"""
        yield from cast(Iterator[tuple[str, str, str, str]], self.query(sql, (judge,)))

    def answers(self) -> Iterator[tuple[str, str, tuple[int, ...], str]]:
        """(response key, scenario id, output ids, answer) of complete answers, each response once."""
        sql = """
            SELECT r.key, min(p.scenario), r.output_ids, r.answer FROM responses r
            JOIN plan p ON p.response = r.key
            WHERE r.finish != 'failed' AND r.complete GROUP BY r.key"""
        for key, scenario, output, answer in self.query(sql):
            yield key, scenario, unpack(output), answer

    def verdict_by_input(self, judge: str) -> dict[str, Verdict]:
        sql = "SELECT input, role, reason, label FROM verdicts WHERE judge = ? GROUP BY input"
        return {
            seen: Verdict(cast(Judged, role), reason, label=label)
            for seen, role, reason, label in self.query(sql, (judge,))
        }

    def prompt(self, id: str) -> Prompt:
        row = next(self.query("SELECT id, system, user, token_ids FROM prompts WHERE id = ?", (id,)))
        return Prompt(row[0], row[1], row[2], unpack(row[3]))

    def rows(self, judge: str, *, arm: str | None = None) -> Iterator[Row]:
        """Every planned row, streamed in (arm, scenario, sample) order, with `judge`'s verdicts."""
        if arm is None:
            for (name,) in list(self.query("SELECT DISTINCT arm FROM plan ORDER BY arm")):
                yield from self.rows(judge, arm=name)
            return
        # CROSS JOIN: scenario by scenario through the plan's key, so that nothing is scanned or sorted.
        sql = """
            SELECT p.arm, p.scenario, s.category, p.sample, p.response, q.system, q.user,
                   length(q.token_ids) / 4, coalesce(length(r.output_ids), 0) / 4, r.thinking, r.answer,
                   r.finish, r.error, r.applied, r.seconds, r.complete, v.role, v.reason, v.label
            FROM scenarios s CROSS JOIN plan p ON p.scenario = s.id JOIN prompts q ON q.id = p.prompt
            LEFT JOIN responses r ON r.key = p.response
            LEFT JOIN verdicts v ON v.response = p.response AND v.judge = ?
            WHERE p.arm = ? ORDER BY s.position, p.sample"""
        for row in self.query(sql, (judge, arm)):
            yield Row(
                arm=row[0],
                scenario=row[1],
                category=row[2],
                sample=row[3],
                key=row[4],
                system=row[5],
                user=row[6],
                prompt_tokens=row[7],
                answer_tokens=row[8],
                thinking=row[9] or "",
                answer=row[10] or "",
                finish=row[11] or "",
                error=row[12] or "",
                applied=parse_applied(row[13] or "[]"),
                seconds=row[14] or 0.0,
                status=_status(row[11], row[15], row[16]),
                reason=row[17] or "",
                label=row[18] or "",
            )

    def outcomes(self, judge: str) -> list[Outcome]:
        """What metrics read: a status for every planned row."""
        sql = """
            SELECT p.arm, p.scenario, s.category, p.sample, r.finish, r.complete, v.role, m.value
            FROM plan p JOIN scenarios s ON s.id = p.scenario
            LEFT JOIN responses r ON r.key = p.response
            LEFT JOIN measures m ON m.subject = p.response AND m.name = 'propensity'
            LEFT JOIN verdicts v ON v.response = p.response AND v.judge = ?
            ORDER BY s.position, p.arm, p.sample"""
        return [
            Outcome(arm, scenario, category, sample, _status(finish, complete, role), propensity)
            for arm, scenario, category, sample, finish, complete, role, propensity in self.query(
                sql, (judge,)
            )
        ]


def _status(finish: Finish | None, complete: int | None, role: Judged | None) -> Status:
    if finish is None:
        return "missing"
    if finish == "failed":
        return "failed"
    if not complete:
        return "truncated"
    return role or "missing"


def parse_applied(text: str) -> tuple[Applied, ...]:
    with understood("the record of what was applied to an answer"):
        return tuple(Applied(**each) for each in json.loads(text))
