"""The run store: one folder a run, `run.sqlite` in it, every row as it comes.

Rollback journal (TRUNCATE) and full sync: safe on a cluster's file system, and a plain copy of the
folder is whole. It stores and returns rows; it does not know what a gap is.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from steer.errors import UserError
from steer.types import Applied, Finish, Label, Outcome, Response, Scenario, Status, Verdict

SCHEMA = 1
FILE = "run.sqlite"
BUSY_SECONDS = 5.0

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE scenarios (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, category TEXT NOT NULL,
    system TEXT NOT NULL, user TEXT NOT NULL);
CREATE TABLE prompts (
    id TEXT PRIMARY KEY, system TEXT NOT NULL, user TEXT NOT NULL, token_ids BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE plan (
    scenario TEXT NOT NULL, arm TEXT NOT NULL, sample INTEGER NOT NULL,
    response TEXT NOT NULL, prompt TEXT NOT NULL,
    PRIMARY KEY (scenario, arm, sample)) WITHOUT ROWID;
CREATE INDEX plan_response ON plan (response);
CREATE TABLE responses (
    key TEXT PRIMARY KEY, output_ids BLOB NOT NULL, finish TEXT NOT NULL, error TEXT NOT NULL,
    applied TEXT NOT NULL, thinking TEXT NOT NULL, answer TEXT NOT NULL, complete INTEGER NOT NULL,
    seconds REAL NOT NULL, engine TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE verdicts (
    response TEXT NOT NULL, judge TEXT NOT NULL, label TEXT NOT NULL, reason TEXT NOT NULL,
    input TEXT NOT NULL, PRIMARY KEY (response, judge)) WITHOUT ROWID;
CREATE INDEX verdicts_input ON verdicts (input, judge);
CREATE TABLE measures (
    subject TEXT NOT NULL, name TEXT NOT NULL, value REAL,
    PRIMARY KEY (subject, name)) WITHOUT ROWID;
"""

UNSETTLED = """
CREATE TABLE IF NOT EXISTS unsettled (
    response TEXT NOT NULL, judge TEXT NOT NULL, PRIMARY KEY (response, judge)) WITHOUT ROWID;"""
"""Verdicts that are not final; stores of before have no such table."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    """Who asked for a response: a scenario under an arm. Equal arms share a response key."""

    scenario: str
    arm: str
    sample: int
    response: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What the rows under one name are of: an arm, at a temperature (None where the run has no record)."""

    arm: str
    temperature: float | None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as sent: its texts after steering by suffix, and its token ids."""

    id: str
    system: str
    user: str
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response with its decoded text: thinking apart from the answer, `complete` if it closed."""

    response: Response
    thinking: str
    answer: str
    complete: bool
    engine: str


@dataclass(frozen=True, slots=True)
class Row:
    """One planned row with all that is known of it, as reports and exports read it."""

    arm: str
    scenario: str
    category: str
    sample: int
    key: str
    system: str
    user: str
    prompt_tokens: int
    answer_tokens: int
    thinking: str
    answer: str
    finish: str
    error: str
    applied: tuple[Applied, ...]
    seconds: float
    status: Status
    reason: str


def pack(ids: Sequence[int]) -> bytes:
    """Token ids as little-endian int32."""
    return array("i", ids).tobytes()


def unpack(blob: bytes) -> tuple[int, ...]:
    out = array("i")
    out.frombytes(blob)
    return tuple(out)


class RunStore:
    """An open run folder. Use as a context manager; `writable=False` reads a live run."""

    def __init__(self, folder: Path, *, writable: bool = True) -> None:
        self.folder = folder
        self._lock: Any = None
        path = folder / FILE
        if not writable and not path.is_file():
            raise UserError(f"no run in {str(folder)!r}: expected {FILE} there; give a run folder")
        with self._faults():
            if writable:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = _exclusive(folder)
            # A reader too may have to roll back what a killed writer left: SQLite opens a file that
            # cannot be written for reading alone by itself.
            mode = "rwc" if writable else "rw"
            uri = f"{path.resolve().as_uri()}?mode={mode}"
            self._db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            try:
                self._prepare(writable)
            except BaseException:
                self.close()
                raise

    def _prepare(self, writable: bool) -> None:
        known = self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]
        if writable:
            self._db.execute("PRAGMA journal_mode = TRUNCATE")
            self._db.execute("PRAGMA synchronous = FULL")
            if not known:
                self._db.executescript(
                    f"BEGIN;{TABLES}INSERT INTO meta VALUES ('schema', '{SCHEMA}');COMMIT;"
                )
        else:
            self._db.execute("PRAGMA query_only = ON")
        if not writable and not known:
            raise UserError(f"the run in {str(self.folder)!r} has no rows yet: start it again, or delete it")
        schema = int(self.meta("schema") or 0)
        if schema != SCHEMA:
            raise UserError(
                f"run {str(self.folder)!r} has store schema {schema}; this version reads {SCHEMA}: "
                f"use the version that wrote it, or another --out"
            )
        if writable:
            self._db.execute(UNSETTLED)

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @contextmanager
    def _faults(self) -> Generator[None]:
        """Turn what sqlite and the file system say into one line; committed rows stay."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise UserError(_explain(self.folder, str(error))) from error
        except OSError as error:
            raise UserError(
                f"cannot use run folder {str(self.folder)!r}: {error.strerror or error}"
            ) from error

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        with self._faults():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # --- what the run is -------------------------------------------------------------------

    def meta(self, name: str) -> str | None:
        with self._faults():
            found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, name: str, value: str) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def config(self) -> dict[str, Any]:
        """The configuration the run was claimed with; under "arms", also those added since."""
        config: dict[str, Any] = json.loads(self.meta("config") or "{}")
        added: dict[str, Any] = json.loads(self.meta("arm_contents") or "{}")
        return config | {"arms": config.get("arms", {}) | added}

    def claim(self, config: dict[str, Any]) -> None:
        """Make this folder the run of `config`, or raise UserError if it is the run of another."""
        stored = self.meta("config")
        if stored is None:
            self.set_meta("config", json.dumps(config, sort_keys=True))
            return
        differing = _differing(json.loads(stored), json.loads(json.dumps(config)))
        if differing:
            field, old, new = differing
            raise UserError(
                f"run {str(self.folder)!r} was made with {field} = {old}, not {new}: "
                f"repeat that command to continue it, or give another --out"
            )

    # --- writing ---------------------------------------------------------------------------

    def add_plan(
        self, scenarios: Sequence[Scenario], prompts: Iterable[Prompt], rows: Iterable[PlanRow]
    ) -> None:
        with self.transaction() as db:
            db.executemany(
                "INSERT INTO scenarios (position, id, category, system, user) VALUES (?,?,?,?,?)"
                " ON CONFLICT (id) DO NOTHING",
                [(i, s.id, s.category, s.system, s.user) for i, s in enumerate(scenarios)],
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
        with self.transaction() as db:
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
                    for s in batch
                ],
            )

    def add_verdicts(self, judge: str, batch: Sequence[tuple[str, str, Verdict]]) -> None:
        """(response key, judge input hash, verdict) rows."""
        with self.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO verdicts VALUES (?,?,?,?,?)",
                [(key, judge, v.label, v.reason, seen) for key, seen, v in batch],
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
                f"DELETE FROM verdicts WHERE judge = :judge AND label = 'invalid' AND response IN {mine}",
                {"judge": judge},
            )
            db.execute("DELETE FROM unsettled WHERE judge = ?", (judge,))

    def add_measures(self, batch: Iterable[tuple[str, str, float | None]]) -> None:
        """(subject, name, value) rows: a number about a response key or an arm; None is "no estimate"."""
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO measures VALUES (?,?,?)", list(batch))

    def add_usage(self, used: Mapping[str, Mapping[str, int]]) -> None:
        """Add calls and tokens, by what was called, to those this run has cost so far."""
        total = self.usage()
        for name, counts in used.items():
            if any(counts.values()):
                before = total.get(name, {})
                total[name] = {what: before.get(what, 0) + n for what, n in counts.items()}
        if total:
            self.set_meta("usage", json.dumps(total))

    # --- reading ---------------------------------------------------------------------------

    def usage(self) -> dict[str, dict[str, int]]:
        """Calls and tokens of remote judges, save pre-flights, killed commands, unfinished extractions."""
        return json.loads(self.meta("usage") or "{}")

    def query(self, sql: str, arguments: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        with self._faults():
            yield from self._db.execute(sql, arguments)

    def scenarios(self) -> list[Scenario]:
        sql = "SELECT id, category, system, user FROM scenarios ORDER BY position"
        return [Scenario(*row) for row in self.query(sql)]

    def arms(self) -> list[str]:
        """Names of the planned arms, in the order in which the run named them."""
        names = [str(row[0]) for row in self.query("SELECT DISTINCT arm FROM plan")]
        order: list[str] = json.loads(self.meta("arms") or "[]")
        rank = {name: i for i, name in enumerate(order)}
        return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))

    def settings(self) -> dict[str, Setting]:
        """What the rows of each planned name are of."""
        known: dict[str, list[Any]] = json.loads(self.meta("settings") or "{}")
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
        sql = "SELECT input, label, reason FROM verdicts WHERE judge = ? GROUP BY input"
        return {
            seen: Verdict(cast(Label, label), reason) for seen, label, reason in self.query(sql, (judge,))
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
                   r.finish, r.error, r.applied, r.seconds, r.complete, v.label, v.reason
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
                applied=tuple(Applied(**a) for a in json.loads(row[13] or "[]")),
                seconds=row[14] or 0.0,
                status=_status(row[11], row[15], row[16]),
                reason=row[17] or "",
            )

    def outcomes(self, judge: str) -> list[Outcome]:
        """What metrics read: a status for every planned row."""
        sql = """
            SELECT p.arm, p.scenario, s.category, p.sample, r.finish, r.complete, v.label
            FROM plan p JOIN scenarios s ON s.id = p.scenario
            LEFT JOIN responses r ON r.key = p.response
            LEFT JOIN verdicts v ON v.response = p.response AND v.judge = ?
            ORDER BY s.position, p.arm, p.sample"""
        return [
            Outcome(arm, scenario, category, sample, _status(finish, complete, label))
            for arm, scenario, category, sample, finish, complete, label in self.query(sql, (judge,))
        ]


def _status(finish: Finish | None, complete: int | None, label: Label | None) -> Status:
    if finish is None:
        return "missing"
    if finish == "failed":
        return "failed"
    if not complete:
        return "truncated"
    return label or "missing"


def _exclusive(folder: Path) -> Any:
    """Hold the folder for one writer; the lock goes with the process, however it ends."""
    import fcntl

    handle = (folder / "run.lock").open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise UserError(
            f"run {str(folder)!r} is being written by another process: wait for it, or give another --out"
        ) from None
    return handle


def _explain(folder: Path, message: str) -> str:
    name = repr(str(folder / FILE))
    if "full" in message:
        return f"no space left for {name}: free some and repeat the command; finished rows are kept"
    if "locked" in message:
        return f"{name} is locked by another process: wait for it and repeat the command"
    if "readonly" in message or "unable to open" in message:
        return f"cannot write {name} ({message}): give a writable --out"
    if "not a database" in message or "malformed" in message:
        return f"{name} is corrupt ({message}): restore it from a copy, or give another --out"
    return f"{name}: {message}; finished rows are kept, repeat the command to continue"


def _differing(old: Any, new: Any, path: str = "") -> tuple[str, str, str] | None:
    """The first field in which two JSON values differ: (dotted path, old, new)."""
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast(dict[str, Any], old), cast(dict[str, Any], new)
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
