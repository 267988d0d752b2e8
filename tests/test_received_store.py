"""A run's database that came from somebody else: nothing in it runs, and damage is one line."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from steer.errors import UserError
from steer.store import FILE, RunStore, database, schema
from tests import fakes

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, 'x' FROM n"
SQL = {
    "endless view": f"ALTER TABLE meta RENAME TO kept; CREATE VIEW meta (name, value) AS {ENDLESS}",
    "further view": f"CREATE VIEW more AS {ENDLESS}",
    "large view": "DROP TABLE measures; CREATE VIEW measures AS SELECT 'a' AS subject, 'b' AS name, "
    "zeroblob(3000000000) AS value",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON verdicts BEGIN UPDATE verdicts SET label = 'hit'; END",
    "generated column": "DROP TABLE measures; CREATE TABLE measures (subject TEXT NOT NULL, "
    "name TEXT NOT NULL, value REAL AS (zeroblob(3000000000)), PRIMARY KEY (subject, name)) WITHOUT ROWID",
    "index on an expression": "CREATE INDEX i ON responses (upper(hex(answer)))",
    "unknown label": "UPDATE verdicts SET role = 'perhaps'",
    "number for a text": "UPDATE responses SET answer = x'ff'",
    "half a token": "UPDATE responses SET output_ids = x'ffffff'",
    "large value": "UPDATE responses SET answer = hex(zeroblob(100000))",
    "text that is not UTF-8": "UPDATE responses SET answer = CAST(x'ff41' AS TEXT)",
    "what was applied": "UPDATE responses SET applied = '[{'",
    "what was applied, otherwise": "UPDATE responses SET applied = '[[1]]'",
    "configuration": "UPDATE meta SET value = '{\"model\": ' WHERE name = 'config'",
    "nested configuration": "UPDATE meta SET value = printf('%.*c', 100000, '[') WHERE name = 'config'",
    "list for a configuration": "UPDATE meta SET value = '[]' WHERE name = 'config'",
}


def read_all(folder: Path) -> None:
    with RunStore(folder, writable=False) as store:
        assert store.config()["arms"] == {}
        store.outcomes("fake-judge")
        list(store.rows("fake-judge"))


@pytest.mark.parametrize("name", SQL)
def test_sql_and_values_that_no_run_has_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(schema, "LARGEST_VALUE", 150_000)
    fakes.run(tmp_path)
    read_all(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.executescript(SQL[name])
    with pytest.raises(UserError) as caught:
        read_all(tmp_path)
    assert "\n" not in str(caught.value)
    if name in ("trigger", "endless view"):
        with pytest.raises(UserError, match=r"another (trigger|table|view) 't'|another .* 'meta'|'kept'"):
            RunStore(tmp_path)


def test_flipped_bytes_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    fakes.run(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    draw = random.Random(5)
    refused = 0
    for _ in range(40):
        spoilt = bytearray(whole)
        for _ in range(draw.choice((1, 8, 64))):
            spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        (tmp_path / FILE).write_bytes(spoilt)
        try:
            read_all(tmp_path)
        except UserError:
            refused += 1
    assert refused


@pytest.mark.parametrize("name", [FILE, f"{FILE}-journal", f"{FILE}-wal", "run.lock"])
@pytest.mark.parametrize("there", [True, False])
def test_no_file_of_a_store_is_opened_through_a_link(tmp_path: Path, name: str, there: bool) -> None:
    fakes.run(tmp_path / "run")
    victim = tmp_path / "victim"
    if there:
        victim.write_text("mine")
    (tmp_path / "run" / name).unlink(missing_ok=True)
    (tmp_path / "run" / name).symlink_to(victim)
    with pytest.raises(UserError, match="is a link"):
        RunStore(tmp_path / "run")
    assert victim.exists() == there
    assert not there or victim.read_text() == "mine"


def test_a_journal_that_names_a_file_does_not_delete_it(tmp_path: Path) -> None:
    """SQLite deletes the file that a left-over journal names as its superior."""
    fakes.run(tmp_path / "run")
    victim = tmp_path / "victim"
    victim.write_text("mine")
    name = str(victim).encode()
    end = len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7")
    pages = (tmp_path / "run" / FILE).stat().st_size // 4096
    head = bytes.fromhex("d9d505f920a163d7") + bytes(8) + pages.to_bytes(4, "big")
    head += (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
    journal = head.ljust(512, b"\0") + b"\0\0\0\0" + name + end
    (tmp_path / "run" / f"{FILE}-journal").write_bytes(journal)
    for writable in (False, True):
        with pytest.raises(UserError, match="names another file"):
            RunStore(tmp_path / "run", writable=writable)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("read", [lambda s: s.rows("fake-judge"), lambda s: s.unjudged("nobody")])
def test_a_slow_reader_does_not_hold_up_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[..., object]
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.0)
    fakes.run(tmp_path)
    with RunStore(tmp_path, writable=False) as reader:
        rows = iter(read(reader))  # type: ignore[call-overload]
        next(rows)
        with RunStore(tmp_path) as writer:
            writer.set_meta("x", "y")
        assert len(list(rows)) == 47


def test_a_writer_waits_for_another_program_that_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    fakes.run(tmp_path)
    other = sqlite3.connect(tmp_path / FILE, check_same_thread=False)
    other.execute("BEGIN")
    other.execute("SELECT * FROM meta").fetchone()
    with RunStore(tmp_path) as writer:
        with pytest.MonkeyPatch.context() as short:
            short.setattr(database, "PATIENCE_SECONDS", 0.0)
            with pytest.raises(UserError, match="locked by another process"):
                writer.set_meta("x", "y")
        threading.Timer(0.1, other.rollback).start()
        writer.set_meta("x", "y")
        assert writer.meta("x") == "y"


def test_a_store_of_another_edition_says_which_and_what_to_do(tmp_path: Path) -> None:
    fakes.run(tmp_path)
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE meta SET value = '1' WHERE name = 'schema'")
    with pytest.raises(
        UserError, match="has store schema 1; this version reads 2: use the version that wrote"
    ):
        read_all(tmp_path)
