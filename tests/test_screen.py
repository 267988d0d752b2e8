"""The terminal: what a model or a stranger's file says is shown and never obeyed, and nothing is cut."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from steer.screen import Screen, plain
from tests.synthetic import HOSTILE

ROOT = Path(__file__).parents[1]
MARKUP = "[bold]x[/] [/] [link=http://example.invalid]y[/link] \\[z]"
TEXTS = {**HOSTILE, "markup": MARKUP}


@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_is_shown_by_every_kind_of_output(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = TEXTS[name]
    screen = Screen()
    screen.note(text)
    assert plain(text) in capsys.readouterr().err
    screen.line(text)
    assert plain(text) in capsys.readouterr().out
    screen.side_by_side({"baseline": text, f"steered {name}": "short"})
    assert squeezed(plain(text)) in squeezed(capsys.readouterr().out.replace("short", ""))
    screen.table(text[:90], [text[:90], "n"], [[text[:90], "1"]])
    out = capsys.readouterr().out
    assert plain(out) == out
    assert squeezed(plain(text[:90])) in squeezed(out)


def squeezed(text: str) -> str:
    """Without blanks and line ends: a column wraps where it must."""
    return "".join(text.split())


SCRIPT = """
from steer.screen import Screen
from tests.synthetic import HOSTILE
screen = Screen()
for text in HOSTILE.values():
    screen.note(text[:200])
    screen.line(text[:200])
    screen.side_by_side({text[:40]: text[:200], "b": text[:40]})
    screen.table(text[:40], [text[:40]], [[text[:60]]])
print("END")
"""


def at_a_terminal(script: str) -> bytes:
    """What a script writes to a real terminal, up to its END."""
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=slave,
        stderr=slave,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "90"},
    )
    os.close(slave)
    got = b""
    while b"END" not in got:
        try:
            got += os.read(master, 65536)
        except OSError:
            break
    child.wait(60)
    os.close(master)
    assert b"END" in got
    return got


def test_a_real_terminal_gets_no_escape_of_a_models_making() -> None:
    got = at_a_terminal(SCRIPT)
    assert b"\\u001b[31mred" in got  # shown
    for obeyed in (b"\x1b[31m", b"\x1b]0;title", b"\x07", b"\x00", "\u202e".encode()):
        assert obeyed not in got


def test_a_narrow_terminal_shows_texts_one_below_the_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen()
    screen.out.width = 40
    screen.side_by_side({"baseline": "word " * 20, "steered": "other " * 20})
    out = capsys.readouterr().out
    assert out.index("word") < out.index("steered") < out.index("other")
    assert out.count("word") == out.count("other") == 20


def test_a_line_comes_while_the_first_row_still_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("steer.screen.PLAIN_LINE_SECONDS", 0.01)
    asked = threading.Event()

    def standing() -> str:
        asked.set()
        return "812 tokens/s"

    with Screen().progress(standing, generate=3, judge=3) as tick:
        assert asked.wait(60)
        tick("generate", 1)
    told = capsys.readouterr().err
    assert told.startswith("generate: 0/3 rows, 812 tokens/s\n"), told
    assert "generated 1 rows" in told


TERMINAL = """
import threading
from steer.screen import Screen
times = iter(range(10**9))
drawn = threading.Event()
def standing():
    if next(times) > 3:
        drawn.set()
    return "812 tokens/s"
with Screen().progress(standing, generate=3) as tick:
    assert drawn.wait(60)
    tick("generate", 2)
print("END")
"""


def test_a_terminals_bar_is_drawn_anew_while_a_row_runs_and_says_what_is_left() -> None:
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\s+", " ", at_a_terminal(TERMINAL).decode())
    shown = " ".join(shown.split())
    assert re.search(r"0/3 812 tokens/s", shown), shown
    assert re.search(r"2/3 [\d.]+ rows/s, 0 s left, 812 tokens/s", shown), shown


def test_a_long_text_wraps_and_the_numbers_beside_it_stay(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(f"token{i}" for i in range(60))
    screen = Screen()
    screen.table("lens", ["layer", "raises", "lowers", "strongest"], [["14", text, text, "5.25"]])
    said = capsys.readouterr().out
    assert "layer" in said
    assert "14" in said
    assert "5.25" in said
    assert said.split().count("token59") == 2
    columns = [f"a column with a long name, {i}" for i in range(20)]
    screen.table("wide", columns, [["1"] * 20])
    said = capsys.readouterr().out
    assert all(column in said for column in columns), "a pipe has no edge"
