"""Where results are written: whole or not at all, never through a link, into pipes as they are."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from steer import export
from steer.atomic import filled, replaced, write_atomically
from steer.errors import UserError
from steer.show import page as report
from steer.show.files import write_figures
from steer.store import FILE, RunStore, database
from tests import synthetic


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.sweep_run(
        tmp_path_factory.mktemp("places") / "run", n=12, layers=(14,), magnitudes=(-0.2, 0.2)
    )


def test_a_link_is_refused_and_what_it_names_untouched(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for target in (victim, tmp_path / "nothing"):
        link = tmp_path / f"to-{target.name}"
        link.symlink_to(target)
        for streams in (False, True):
            with pytest.raises(UserError, match="is a link"):
                write_atomically(link, b"x", streams=streams)
        assert link.is_symlink()
    assert victim.read_text() == "mine"
    assert not (tmp_path / "nothing").exists()


def test_the_mode_of_what_is_replaced_stays(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch()
    secret.chmod(0o600)
    write_atomically(secret, b"x")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    write_atomically(tmp_path / "new", b"x")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~mask


def test_a_named_pipe_and_a_device_get_the_content_and_stay_what_they_are(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"rows", streams=True)
    reader.join()
    assert got == [b"rows"]
    with pytest.raises(UserError, match="a pipe or a device"):
        write_atomically(pipe, b"x")  # in a run folder nobody meant one
    (tmp_path / "null").symlink_to("/dev/null")
    write_atomically(tmp_path / "null", b"x", streams=True)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("into", ["a pipe", "a file"])
def test_rows_go_to_stdout_alone(run: Path, tmp_path: Path, into: str) -> None:
    command = [sys.executable, "cli.py", "export", str(run), "--format", "csv", "--out", "/dev/stdout"]
    export.export(run, "csv", tmp_path / "rows.csv")
    if into == "a pipe":
        found = subprocess.run(command, capture_output=True, check=True).stdout
    else:
        with (tmp_path / "out").open("wb") as file:
            subprocess.run(command, stdout=file, stderr=subprocess.PIPE, check=True)
        found = (tmp_path / "out").read_bytes()
    assert found == (tmp_path / "rows.csv").read_bytes()
    assert Path("/dev/stdout").is_symlink()


KILLED = """
import os, signal, sys
from pathlib import Path
from steer import atomic
with getattr(atomic, sys.argv[1])(Path(sys.argv[2])) as draft:
    if sys.argv[1] == "replaced":
        draft.write(b"half")
    else:
        (draft / "one").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["replaced", "filled"])
def test_what_a_killed_writer_left_is_cleared_and_a_live_one_is_not(tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    home = tmp_path if how == "replaced" else out
    subprocess.run([sys.executable, "-c", KILLED, how, str(out)], check=False)
    assert len(list(home.glob(".*.part"))) == 1
    if how == "replaced":
        with replaced(out) as live:
            live.write(b"slow")
            write_atomically(out, b"quick")
            assert len(list(home.glob(".*.part"))) == 1
        assert out.read_bytes() == b"slow"
    else:
        with filled(out) as live:
            with filled(out) as other:
                (other / "one").write_text("quick")
            (live / "two").write_text("slow")
        assert {path.name for path in out.iterdir()} == {"one", "two"}
    assert not list(home.glob(".*.part"))


FULL = """
import resource, sys
from pathlib import Path
from steer import export
from steer.errors import UserError
from steer.show.files import write_figures
run, out, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
if how == "inspect":
    import inspect_ai.log
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
try:
    write_figures(run, out) if how == "figures" else export.export(run, how, out)
except UserError as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.parametrize(
    ("how", "quota"),
    [("csv", 5000), ("jsonl", 5000), ("figures", 16000), ("inspect", 2000), ("folder", 9000)],
)
def test_on_a_full_disk_there_is_nothing_rather_than_a_half(
    run: Path, tmp_path: Path, how: str, quota: int
) -> None:
    if how == "inspect":
        pytest.importorskip("inspect_ai")
    command = [sys.executable, "-c", FULL, str(run), str(tmp_path / "out"), how, str(quota)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 2, found.stderr
    assert found.stdout.count("\n") == 1
    if how != "inspect":  # whose own temporary file is over the quota too, and its zip says so
        assert not found.stderr
    assert not list(tmp_path.iterdir())


def test_a_copy_taken_while_a_run_is_written_is_whole(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", "import sys, time\nfrom pathlib import Path\nfrom tests import fakes\n"
         "from steer.store import RunStore\nfakes.run(Path(sys.argv[1]))\n"
         "with RunStore(Path(sys.argv[1])) as store:\n"
         "    for i in range(10**6):\n"
         "        store.add_measures([(f'{k}', 'x' * 3000, i) for k in range(100)])\n"
         "        print(flush=True)\n"
         "        time.sleep(0.01)\n",
         str(tmp_path / "run")],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        seen: list[float] = []
        for i in range(12):
            copy = export.export(tmp_path / "run", "folder", tmp_path / f"copy{i}").path
            with sqlite3.connect(copy / FILE) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                ((kinds, i),) = db.execute("SELECT count(DISTINCT value), max(value) FROM measures")
            assert kinds == 1  # no half of a transaction
            seen.append(i)
            with RunStore(copy, writable=False) as store:
                assert len(store.outcomes("fake-judge")) == 48
        assert seen[-1] > seen[0]  # else nothing was written meanwhile
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()


def test_a_copy_of_a_run_makes_the_same_page_and_is_never_put_over_something(
    run: Path, tmp_path: Path
) -> None:
    copy = export.export(run, "folder", tmp_path / "copy").path
    assert {p.name for p in copy.iterdir()} <= {FILE, "summary.json", "run.yaml"}
    export.export(run, "jsonl", tmp_path / "a")
    export.export(copy, "jsonl", tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert report.write([copy]).size > 0
    with pytest.raises(UserError, match="there already"):
        export.export(run, "folder", copy)


@pytest.mark.parametrize("name", ["arms.svg", "tables.md"])
def test_figures_are_not_written_through_a_link(run: Path, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).symlink_to(victim)
    with pytest.raises(UserError, match="is a link"):
        write_figures(run, tmp_path / "out")
    assert victim.read_text() == "mine"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


WITHOUT_LOCKS = """
import sys
sys.modules['fcntl'] = None
from pathlib import Path
from steer.errors import UserError
from steer.store import RunStore, database
from tests import fakes
place = Path(sys.argv[1])
database.check_place(place)
fakes.run(place)
with RunStore(place):
    try:
        RunStore(place)
    except UserError as error:
        assert "another process" in str(error)
    else:
        sys.exit(1)
"""


def test_a_run_needs_no_fcntl(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_LOCKS, str(tmp_path / "run")], check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("name", ["x" * 5000, "file/run"])
def test_a_place_that_cannot_be_is_said_before_a_model_is_loaded(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError):
        RunStore(tmp_path / name)
    with suppress(UserError):
        database.check_place(tmp_path / name)
    arguments = [sys.executable, "cli.py", "suffix", "--out", str(tmp_path / ("y" * 3000))]
    found = subprocess.run(arguments, capture_output=True, text=True)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1), found.stderr


def test_who_shares_a_cache_waits_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    holder = database.exclusive(tmp_path)

    def say(line: str) -> None:
        said.append(line)
        holder.close()

    with RunStore(tmp_path, wait=say):
        assert len(said) == 1
        assert "waiting" in said[0]


def test_who_waits_for_one_that_stands_still_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "STILL_SECONDS", 0.0)
    with database.exclusive(tmp_path) as _, pytest.raises(UserError, match="wait for it"):
        database.exclusive(tmp_path, print)
