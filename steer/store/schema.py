"""What a run's database may hold. A file with anything else in it is refused before a row is read.

A run folder may come from somebody else, and SQL can be stored: a view may never end, a trigger may
rewrite what is judged. So the schema has to be exactly the one made here, and every value of the kind
that its column declares.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import get_args

from steer.atomic import refuse_other_than_file
from steer.errors import UserError
from steer.types import JUDGED, Finish

SCHEMA = 2
FILE = "run.sqlite"
LARGEST_VALUE = 2**26
"""Bytes of a text or a blob; an answer has some thousands."""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE scenarios (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, category TEXT NOT NULL,
    system TEXT NOT NULL, user TEXT NOT NULL, choices TEXT NOT NULL);
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
    response TEXT NOT NULL, judge TEXT NOT NULL, role TEXT NOT NULL, label TEXT NOT NULL,
    reason TEXT NOT NULL, input TEXT NOT NULL, PRIMARY KEY (response, judge)) WITHOUT ROWID;
CREATE INDEX verdicts_input ON verdicts (input, judge);
CREATE TABLE unsettled (
    response TEXT NOT NULL, judge TEXT NOT NULL, PRIMARY KEY (response, judge)) WITHOUT ROWID;
CREATE TABLE measures (
    subject TEXT NOT NULL, name TEXT NOT NULL, value REAL,
    PRIMARY KEY (subject, name)) WITHOUT ROWID;
"""


RULES = {
    ("responses", "finish"): f"IN {get_args(Finish)}",
    ("responses", "complete"): "IN (0, 1)",
    ("verdicts", "role"): f"IN {JUDGED}",
}
"""What a value of these columns has to be besides."""

SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""How a journal ends that names a further file, which SQLite would open, and may delete."""


def refuse_foreign_files(path: Path) -> None:
    """Raise UserError where a database or what SQLite opens beside it is a link or no file."""
    for end in ("", "-journal", "-wal", "-shm"):
        refuse_other_than_file(path.with_name(path.name + end))
    journal = path.with_name(path.name + "-journal")
    if journal.exists() and journal.read_bytes().endswith(SUPER_JOURNAL):
        raise UserError(f"{str(journal)!r} names another file, as no run's journal does: delete it")


def make(db: sqlite3.Connection) -> None:
    db.executescript(f"BEGIN;{TABLES}INSERT INTO meta VALUES ('schema', '{SCHEMA}');COMMIT;")


def confine(db: sqlite3.Connection) -> None:
    """Nothing that a file says may run, and no value be larger than what is in a run."""
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)


def check(db: sqlite3.Connection, where: str) -> None:
    """Raise UserError unless `db` holds the tables of this version, and in them what they declare."""
    expected = sqlite3.connect(":memory:")
    make(expected)
    own, found = _objects(expected), _objects(db)
    if found.get(("table", "meta")) == own["table", "meta"]:
        held = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
        if held != (str(SCHEMA),):
            raise UserError(
                f"{where} has store schema {held and held[0]}; this version reads {SCHEMA}: "
                f"use the version that wrote it, or another --out"
            )
    for kind, name in sorted(own.keys() ^ found.keys() | {n for n in own if own[n] != found.get(n)}):
        raise UserError(
            f"{where} has another {kind} {name!r} than this version makes: it is damaged, or not a run; "
            "restore it from a copy, or give another --out"
        )
    for table in [name for kind, name in own if kind == "table"]:
        for _, column, declared, required, *_, key in expected.execute(f"PRAGMA table_info({table})"):
            kinds = f"'{declared.lower()}'" + ("" if required or key else ", 'null'")
            wrong = [f"typeof({column}) NOT IN ({kinds})"]
            if declared == "BLOB":
                wrong.append(f"length({column}) % 4")
            if rule := RULES.get((table, column)):
                wrong.append(f"{column} NOT {rule}")
            if db.execute(f"SELECT 1 FROM {table} WHERE {' OR '.join(wrong)} LIMIT 1").fetchone():
                raise UserError(
                    f"{where} holds a {table}.{column} that no run has: it is damaged; "
                    "restore it from a copy, or give another --out"
                )
    expected.close()


def _objects(db: sqlite3.Connection) -> dict[tuple[str, str], str | None]:
    return {(kind, name): sql for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master")}
