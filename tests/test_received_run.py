"""A run folder that came from somebody else: no file outside it is read, nor anything damaged a traceback."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.across.compare_runs import compare_runs
from experiments.judging.agreement import agreement
from experiments.judging.run import annotate, import_sheet
from experiments.options import Options
from steer import export
from steer.errors import UserError
from steer.results import read, write
from steer.screen import Screen
from steer.show import page as report
from steer.show.files import write_figures
from steer.show.markdown import markdown
from steer.store import FILE
from tests import synthetic

SECRET = "sk-do-not-show"
QUIET = Screen(quiet=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.sweep_run(
        tmp_path_factory.mktemp("received") / "run", n=12, layers=(14,), magnitudes=(-0.2, 0.2)
    )


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


READERS: dict[str, Callable[[Path, Path], Any]] = {
    "report": lambda run, _: report.write([run]),
    "figures": lambda run, out: write_figures(run, out / "figures"),
    "export": lambda run, out: export.export(run, "csv", out / "rows.csv"),
    "copy": lambda run, out: export.export(run, "folder", out / "copy"),
    "annotate": lambda run, _: annotate(run, "human:ana", n=4),
    "agreement": lambda run, _: agreement(run, screen=QUIET),
    "compare": lambda run, _: compare_runs([run], Options(quiet=True)),
}


def refusal(act: Callable[[], Any]) -> str:
    """What the user is told; nothing where it went well."""
    try:
        act()
    except UserError as error:
        return str(error)
    return ""


WRITES = {"report": "report.html", "annotate": "sheet-ana.csv"}


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        *((name, reader) for name in ("summary.json", FILE) for reader in READERS),
        *(("run.yaml", reader) for reader in ("report", "copy")),
        ("report.html", "report"),
        ("sheet-ana.csv", "annotate"),
    ],
)
def test_no_link_of_a_run_folder_is_followed(run: Path, tmp_path: Path, name: str, reader: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text(SECRET)
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(victim)
    said = refusal(lambda: READERS[reader](run, tmp_path))
    assert not said or "is a link" in said or reader == "agreement"
    assert said or name not in (FILE, WRITES.get(reader))
    assert victim.read_text() == SECRET
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_symlink() and path != victim:
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("name", ["run.yaml", "summary.json", "sheet-ana.csv", "report.html"])
def test_a_pipe_in_a_run_folder_holds_nobody_up(run: Path, tmp_path: Path, name: str) -> None:
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    for reader in ("report", "annotate"):
        said = refusal(lambda reader=reader: READERS[reader](run, tmp_path))
        assert not said or "a pipe or a device" in said


def test_a_folder_that_is_itself_reached_by_a_link_is_read(run: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(run)
    assert report.write([tmp_path / "link"]).size > 0
    assert export.export(tmp_path / "link", "jsonl", tmp_path / "rows").rows > 0


@pytest.mark.parametrize("flag", ["--config", "--sheet"])
def test_neither_configuration_nor_sheet_is_a_link(run: Path, tmp_path: Path, flag: str) -> None:
    (tmp_path / "secret").write_text(f"id,label\n{SECRET},x\n")
    (run / "given").symlink_to(tmp_path / "secret")
    command = ["suffix"] if flag == "--config" else ["annotate", str(run), "--judge", "human:ana"]
    arguments = [sys.executable, "cli.py", *command, flag, str(run / "given")]
    found = subprocess.run(arguments, capture_output=True, text=True)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert "is a link" in found.stderr
    assert SECRET not in found.stderr + found.stdout


def test_a_configuration_nested_too_deeply_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("model: " + "[" * 20_000)
    arguments = [sys.executable, "cli.py", "suffix", "--config", str(tmp_path / "run.yaml")]
    found = subprocess.run(arguments, capture_output=True, text=True)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)


def spoilt(summary: dict[str, Any], draw: random.Random) -> str:
    """A key gone, a value of another type, or a byte changed."""
    where: Any = summary
    while True:
        key = draw.choice(list(where) if isinstance(where, dict) else range(len(where)))
        if not (isinstance(where[key], dict | list) and where[key]) or draw.random() < 0.2:
            break
        where = where[key]
    if draw.random() < 0.5:
        del where[key]
    else:
        where[key] = draw.choice(["text", 7, None, [], {}, [None], {"a": 1}, 10**400, -1, True])
    text = json.dumps(summary)
    if draw.random() < 0.3:
        place = draw.randrange(len(text))
        text = text[:place] + draw.choice(["", '"', "[", "x" * 9]) + text[place + 1 :]
    return text


def test_a_damaged_summary_is_read_or_refused_in_one_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steer.show.page.bundle", str)
    whole = (run / "summary.json").read_text()
    draw = random.Random(3)
    refused = 0
    for i in range(24):
        (run / "summary.json").write_text(spoilt(json.loads(whole), draw))
        said = refusal(lambda: report.write([run]))
        if i % 12 == 0:
            said = refusal(lambda: write_figures(run, run / "figures")) or said
        assert "\n" not in said
        refused += said != ""
    assert 4 < refused < 24
    (run / "summary.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match="nested"):
        report.write([run])


def test_numbers_that_are_not_finite_are_null_in_a_summary(tmp_path: Path) -> None:
    result = read(synthetic.suffix_run(tmp_path / "run", n=6))
    measures = {"a": float("nan"), "b": 1.5, "c": float("inf")}
    arms = {name: replace(arm, measures=measures) for name, arm in result.arms.items()}
    path = write(tmp_path, result.model_copy(update={"arms": arms}))

    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found["arms"]["pro"]["measures"] == {"a": None, "b": 1.5, "c": None}
    assert read(tmp_path).arms["pro"].measures == {"a": None, "b": 1.5, "c": None}


def test_a_command_in_a_markdown_file_stays_text(run: Path) -> None:
    """The command names the folder, and a folder may have any name."""
    folder = run.rename(run.with_name("a`<script>alert(1)<&script> *b*"))
    (line,) = [line for line in markdown(folder).splitlines() if line.startswith("Repeat:")]
    assert "<script>" not in line
    assert r"\`&lt;script&gt;alert(1)&lt;&amp;script&gt; \*b\*" in line
    shown = line.removeprefix("Repeat: <code>").removesuffix("</code>")
    assert "<" not in shown
    assert "`" not in shown.replace("\\`", "")


# --- sheets ----------------------------------------------------------------------------------


def labels(path: Path) -> dict[str, tuple[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["id"]: (row["label"], row["reason"]) for row in csv.DictReader(file)}


def fill(path: Path, n: int) -> dict[str, tuple[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for i, row in enumerate(rows[:n]):
        row |= {"label": "convergence", "reason": f"because, {i}"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")  # as most of Europe saves it
        writer.writeheader()
        writer.writerows(rows)
    return {row["id"]: (row["label"], row["reason"]) for row in rows[:n]}


@pytest.mark.parametrize("again", [{"n": 6}, {"n": 3}, {"n": 6, "seed": 9}])
def test_annotating_again_keeps_what_was_filled_in(run: Path, again: dict[str, int]) -> None:
    path = annotate(run, "human:ana", n=6).csv
    filled = fill(path, 4)
    assert annotate(run, "human:ana", **again).csv == path
    found = labels(path)
    assert {id: found[id] for id in filled} == filled
    assert sum(label != "" for label, _ in found.values()) == 4
    assert import_sheet(run, path, "human:ana", partial=True)["labels"] == 4
    annotate(run, "human:ana", n=6)
    assert not filled.keys() & labels(path).keys()  # they are in the store now


def test_labels_of_another_run_are_not_lost_either(run: Path, tmp_path: Path) -> None:
    other = synthetic.suffix_run(tmp_path / "other", n=7)
    path = annotate(run, "human:ana", n=6, out=tmp_path / "sheet.csv").csv
    fill(path, 2)
    before = path.read_bytes()
    with pytest.raises(UserError, match=r"labels? of answers that are not in this run"):
        annotate(other, "human:ana", out=path)
    path.with_suffix(".txt").write_text("my notes")
    with pytest.raises(UserError, match="no rows with the columns"):
        annotate(run, "human:ana", out=path.with_suffix(".txt"))
    with pytest.raises(UserError, match="is a folder"):
        annotate(run, "human:ana", out=tmp_path)
    assert path.read_bytes() == before


def test_a_sheet_into_a_pipe_is_the_table_alone(run: Path) -> None:
    arguments = ["annotate", str(run), "--judge", "human:ana", "--out", "/dev/stdout", "--n", "3"]
    found = subprocess.run([sys.executable, "cli.py", *arguments], capture_output=True, check=True)
    assert len(list(csv.DictReader(found.stdout.decode("utf-8-sig").splitlines()))) >= 3
    assert not Path("/dev/stdout.html").exists()
