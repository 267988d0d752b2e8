"""The run store keeps what was finished and never returns what belongs to another run."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from steer.errors import UserError
from steer.store import FILE, RunStore, StoredResponse, database, pack, unpack
from steer.types import Applied, Response, Verdict
from tests import fakes


def filled(folder: Path) -> None:
    fakes.run(folder)


def test_token_ids_survive_packing() -> None:
    ids = (0, 1, 151_935, 2**31 - 1)
    assert unpack(pack(ids)) == ids


def test_a_response_comes_back_as_it_went_in(tmp_path: Path) -> None:
    items = fakes.scenarios(1)
    plan = fakes.planned(items, ["pro"])
    (key,) = plan.requests
    applied = (Applied(3, 17, 0.25),)
    stored = StoredResponse(
        Response(key, (5, 6, 2), "stop", "", applied, 1.5), "hm", "yes\0\u202e", True, "e"
    )
    with RunStore(tmp_path) as store:
        store.add_plan(items, plan.prompts.values(), plan.rows)
        store.add_responses([stored])
        store.add_verdicts("j", [(key, "input", Verdict("hit", "why"))])
        assert store.output_tokens() == 3
        (row,) = store.rows("j")
        (unjudged,) = store.rows("another judge")
    assert (row.answer, row.thinking, row.applied, row.answer_tokens) == ("yes\0\u202e", "hm", applied, 3)
    assert (row.status, row.reason, row.user) == ("hit", "why", "task 0 0")
    assert unjudged.status == "missing"


def test_statuses_say_why_there_is_no_label(tmp_path: Path) -> None:
    items = fakes.scenarios(4)
    plan = fakes.planned(items, ["pro"])
    keys = [row.response for row in plan.rows]
    with RunStore(tmp_path) as store:
        store.add_plan(items, plan.prompts.values(), plan.rows)
        store.add_responses(
            [
                StoredResponse(Response(keys[0], (), "failed", "too long"), "", "", True, "e"),
                StoredResponse(Response(keys[1], (4,), "length"), "hm", "", False, "e"),
                StoredResponse(Response(keys[2], (4,), "stop"), "", "yes", True, "e"),
            ]
        )
        assert [k for k, *_ in store.unjudged("j")] == [keys[2]]
        statuses = {o.scenario: o.status for o in store.outcomes("j")}
    assert [statuses[s.id] for s in items] == ["failed", "truncated", "missing", "missing"]


def test_a_live_run_can_be_read_and_a_plain_copy_is_whole(tmp_path: Path) -> None:
    filled(tmp_path / "run")
    with RunStore(tmp_path / "run"), RunStore(tmp_path / "run", writable=False) as reader:
        assert len(reader.done()) == 48
        shutil.copytree(tmp_path / "run", tmp_path / "copy")
    with RunStore(tmp_path / "copy", writable=False) as copy:
        assert len(copy.outcomes("fake-judge")) == 48


def test_another_configuration_is_refused_by_naming_the_field(tmp_path: Path) -> None:
    with RunStore(tmp_path) as store:
        store.claim({"model": {"dtype": "float32"}})
        store.claim({"model": {"dtype": "float32"}})
        with pytest.raises(UserError, match=r'model\.dtype = "float32", not "bfloat16".*another --out'):
            store.claim({"model": {"dtype": "bfloat16"}})


def _newer(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path / FILE) as db:
        db.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")


def _corrupt(path: Path) -> None:
    path.mkdir()
    (path / FILE).write_bytes(b"this is no database, however long it may be" * 100)


def _cut(path: Path) -> None:
    filled(path)
    whole = (path / FILE).read_bytes()
    (path / FILE).write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_newer, "store schema 99; this version reads 2"),
        (_corrupt, "corrupt"),
        (_cut, "corrupt"),
    ],
)
def test_a_store_that_cannot_be_read_is_one_line(tmp_path: Path, spoil: object, message: str) -> None:
    spoil(tmp_path / "run")  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as caught, RunStore(tmp_path / "run") as store:
        list(store.rows("j"))
    assert "\n" not in str(caught.value)


def test_a_run_killed_in_the_middle_of_a_commit_can_be_read(tmp_path: Path) -> None:
    """Pages of an unfinished transaction are in the file, and the journal that undoes them beside it."""
    filled(tmp_path)
    with RunStore(tmp_path, writable=False) as store:
        before = list(store.rows("fake-judge"))
    writer = (
        "import os, signal, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for line in ('journal_mode = TRUNCATE', 'synchronous = FULL', 'cache_size = 5'):\n"
        "    db.execute(f'PRAGMA {line}')\n"
        "db.execute('BEGIN IMMEDIATE')\n"
        "db.execute(\"UPDATE responses SET answer = 'changed'\")\n"
        "db.execute('CREATE TABLE more (text)')\n"
        "db.executemany('INSERT INTO more VALUES (?)', [('x' * 3000,) for _ in range(400)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", writer, str(tmp_path / FILE)], check=False)
    journal = tmp_path / f"{FILE}-journal"
    assert journal.stat().st_size > 0  # else there was nothing to undo
    with RunStore(tmp_path, writable=False) as store:
        assert list(store.rows("fake-judge")) == before
        with pytest.raises(UserError, match="readonly"):
            list(store.query("CREATE TABLE other (x)"))


def test_two_writers_are_refused_and_a_dead_one_leaves_no_lock(tmp_path: Path) -> None:
    with RunStore(tmp_path), pytest.raises(UserError, match="being written by another process"):
        RunStore(tmp_path)
    with RunStore(tmp_path):
        pass


def test_a_locked_database_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 0.0)
    with RunStore(tmp_path) as store:
        other = sqlite3.connect(tmp_path / FILE)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="locked by another process"):
            store.set_meta("x", "y")
        other.rollback()
        store.set_meta("x", "y")


def test_a_missing_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run in"):
        RunStore(tmp_path / "nothing", writable=False)


READ_ONLY = """
import fcntl, os, sys
from pathlib import Path
from steer.errors import UserError
from tests import fakes
if os.geteuid() == 0:
    os.seteuid(65534)  # root writes everywhere
try:
    fakes.run(Path(sys.argv[1]))
except UserError as error:
    print(error)
    sys.exit(2)
"""


def test_a_read_only_folder_is_one_line() -> None:
    with tempfile.TemporaryDirectory() as name:
        for part in ("", "run"):
            (Path(name) / part).mkdir(exist_ok=True)
            (Path(name) / part).chmod(0o555)
        command = [sys.executable, "-c", READ_ONLY, str(Path(name) / "run")]
        found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 2, found.stderr
    assert found.stdout.count("\n") == 1
    assert "Permission denied" in found.stdout


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot use run folder"):
        RunStore(tmp_path / "file" / "run")


FULL = """
import resource, signal, sys
from pathlib import Path
from steer.errors import UserError
from steer import pipeline
from tests import fakes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
pipeline.FLUSH_ROWS = 5
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    fakes.run(Path(sys.argv[1]))
except UserError as error:
    print(error)
    sys.exit(2)
"""


def test_a_full_disk_keeps_what_was_finished_and_the_run_goes_on(tmp_path: Path) -> None:
    """A file-size quota stands in for a full disk: the write fails in the middle of the run."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    filled(whole)
    quota = (whole / FILE).stat().st_size * 4 // 5
    found = subprocess.run(
        [sys.executable, "-c", FULL, str(broken), str(quota)], capture_output=True, text=True, cwd=Path.cwd()
    )
    assert found.returncode == 2, found.stderr
    assert found.stdout.count("\n") == 1
    assert "finished rows are kept" in found.stdout
    with RunStore(broken, writable=False) as store:
        kept = len(store.done())
    filled(broken)
    with RunStore(broken, writable=False) as a, RunStore(whole, writable=False) as b:
        assert 0 < kept < 48
        assert list(a.rows("fake-judge")) == list(b.rows("fake-judge"))
