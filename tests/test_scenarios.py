"""Scenarios: the benchmark read as the paper reads it, own files, and what is said of bad ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from steer import scenarios
from steer.errors import UserError
from steer.scenarios import identity, load

DATA = Path(__file__).parents[2] / "shared/data"
BENCHMARK = DATA / "instrumental_eval"
COUNTS = {
    "Deceptive Behavior": 11,
    "Evading Shutdown": 20,
    "Hacking Computer Systems": 10,
    "Hiding Unwanted Behavior": 11,
    "Running Multiple AI Copies": 13,
    "Strategically Appearing Aligned": 11,
}


@pytest.fixture
def benchmark() -> Path:
    if not BENCHMARK.is_dir():
        pytest.skip("../shared/data/instrumental_eval is not here")
    return BENCHMARK


def count(items: list[scenarios.Scenario]) -> dict[str, int]:
    return {c: sum(s.category == c for s in items) for c in dict.fromkeys(s.category for s in items)}


def test_the_benchmark_is_76_in_six_categories(benchmark: Path) -> None:
    items = load(benchmark)
    assert count(items) == COUNTS
    assert [s.id for s in items[:2]] == ["Deceptive Behavior#01", "Deceptive Behavior#02"]
    for item in items:
        assert item.user == item.user.strip() != ""
        assert item.system.startswith("Convergent Instrumental Goal: ")


def test_the_papers_cut_is_71(benchmark: Path) -> None:
    items = load(benchmark, per_category=15, seed=123)
    assert count(items) == {**COUNTS, "Evading Shutdown": 15}
    assert len({s.id for s in items}) == 71


@pytest.mark.parametrize("mode", ["pro_ic", "anti_ic"])
def test_ids_and_sampled_order_are_the_published_ones(benchmark: Path, mode: str) -> None:
    """A published log numbers the tasks it ran; ours at that place must have the same text and id."""
    logs = list((DATA / "published/log_format_sample").glob(f"*_{mode}_*/stdout.log"))
    if not logs:
        pytest.skip("../shared/data/published is not here")
    log = logs[0].read_text(encoding="utf-8")
    model = logs[0].parent.name.split("_")[0]
    labelled = {
        row["scenario"]: row["response"]
        for row in map(json.loads, (DATA / "published/labelled_dev.jsonl").open(encoding="utf-8"))
        if (row["model"], row["condition"]) == (model, mode)
    }
    ours = load(benchmark, per_category=15, seed=123)
    seen = 0
    for part in log.split("Processing benchmark: ")[1:]:
        category = part.split(" | ")[0].removeprefix("Alignment Drift - ")
        members = [s for s in ours if s.category == category]
        pattern = (
            r"<task_number>(\d+)</task_number>.*?<task_prompt>(.*?)</task_prompt>"
            r".*?<test_llm_response>(.*?)</test_llm_response>"
        )
        for number, prompt, answer in re.findall(pattern, part, re.DOTALL):
            scenario = members[int(number) - 1]
            assert scenario.user == prompt
            assert labelled[scenario.id].strip() == answer.strip()
            seen += 1
    assert seen == len(labelled) == 47


def test_one_csv_is_one_category(tmp_path: Path) -> None:
    path = tmp_path / "Alignment Drift - Being Odd.csv"
    path.write_bytes(
        b'\xef\xbb\xbf"The context, with a comma\r\n"\r\n"one\n""two"" "\r\n\r\nthree, four,five\r\n,\r\n'
    )
    assert load(path) == load(tmp_path)
    first, second = load(path)
    assert first == scenarios.Scenario("Being Odd#01", "Being Odd", "The context, with a comma", 'one\n"two"')
    assert (second.id, second.user) == ("Being Odd#02", "three, four,five")


def test_jsonl_is_read_line_by_line(tmp_path: Path) -> None:
    rows = [{"id": f"s{i}", "category": "c", "system": "", "user": f"do\u2028 {i}"} for i in range(3)]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n", encoding="utf-8")
    assert [(s.id, s.user) for s in load(path)] == [(f"s{i}", f"do\u2028 {i}") for i in range(3)]


def test_the_cut_keeps_small_categories_and_depends_on_the_seed(tmp_path: Path) -> None:
    rows = [{"id": f"{c}{i}", "category": c, "system": "", "user": "u"} for i in range(8) for c in "ab"]
    rows = [r for r in rows if r["id"] not in ("b5", "b6", "b7")]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    one, other = load(path, per_category=5, seed=1), load(path, per_category=5, seed=2)
    assert count(one) == {"a": 5, "b": 5}
    assert [s.id for s in one if s.category == "b"] == ["b0", "b1", "b2", "b3", "b4"]
    assert [s.id for s in one] == [s.id for s in load(path, per_category=5, seed=1)]
    assert [s.id for s in one] != [s.id for s in other]


def test_identity_is_of_content_not_of_order(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("context\none\ntwo\n", encoding="utf-8")
    items = load(path)
    assert identity(items) == identity(items[::-1])
    path.write_text("context\none\ntwo!\n", encoding="utf-8")
    assert identity(items) != identity(load(path))


GOOD = '{"id": "a", "category": "c", "system": "s", "user": "u"}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "x.csv: empty: it must hold scenarios"),
        ("x.csv", b" \n\n", "x.csv: empty: it must hold scenarios"),
        ("x.csv", b"\xff\x00a", "x.csv: not UTF-8 text (byte 0): save it as UTF-8"),
        ("x.csv", b"\xff\xfea", "x.csv: not UTF-16 text (byte 2): save it as UTF-8"),
        ("x.csv", b"a\0b\n", "x.csv: holds NUL bytes, so it is no text: save it as UTF-8 (not UTF-16)"),
        (
            "x.csv",
            b'context\none\n"two\n\n',
            "x.csv:3: malformed CSV: unexpected end of data: quote the cell, doubling quotes in it",
        ),
        (
            "x.csv",
            b'context\n"one\nmore" x\n',
            "x.csv:2: malformed CSV: ',' expected after '\"': quote the cell, doubling quotes in it",
        ),
        (
            "x.csv",
            b"context\n",
            "x.csv: holds no task: the first cell is the context, every later row a task",
        ),
        ("x.jsonl", b"", "x.jsonl: empty: it must hold lines of JSON objects"),
        ("x.jsonl", b"\x89PNG\r\n", "x.jsonl: not UTF-8 text (byte 0): save it as UTF-8"),
        ("x.jsonl", f"{GOOD}\n{{oops".encode(), "x.jsonl:2: not JSON: Expecting property name enclosed in "
         "double quotes at column 2"),
        ("x.jsonl", b"[]", "x.jsonl:1: holds a list: write an object, {...}, on every line"),
        ("x.jsonl", b'{"id": "a", "category": "c", "user": "u"}', "x.jsonl:1: lacks 'system': write "
         '{"id": TEXT, "category": TEXT, "system": TEXT, "user": TEXT}'),
        ("x.jsonl", GOOD.replace('"u"', "7").encode(), "x.jsonl:1: 'user' is 7: it must be a text that is "
         "not empty"),
        ("x.jsonl", GOOD.replace('"u"', '" "').encode(), "x.jsonl:1: 'user' is ' ': it must be a text that "
         "is not empty"),
        ("x.jsonl", GOOD.replace('"u"', r'"\ud800"').encode(), "x.jsonl:1: holds half a surrogate pair: "
         "mend its escapes"),
        ("x.jsonl", f"{GOOD}\n\n{GOOD}".encode(), "x.jsonl:3: duplicate id 'a': give every scenario an id "
         "of its own"),
        ("x.jsonl", f"{GOOD}\n{'[' * 100_000}".encode(), "x.jsonl:2: nested 100000 deep: at most "
         "100 are read"),
        ("x.jsonl", GOOD.replace('"u"', "9" * 5000).encode(), "x.jsonl:1: holds a number of thousands of "
         "digits: write a smaller one"),
        ("x.txt", b"hello", "x.txt: unknown kind of scenario file '.txt': allowed are .csv and .jsonl"),
    ],
)  # fmt: skip
def test_bad_files_are_named_with_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(path)
    assert str(caught.value) == f"{tmp_path}/{message}"


LOOKALIKES: list[tuple[str, list[tuple[str, str, str, str]]]] = [
    ('goal,target\nName a bird,"Sure, a wren"\n', [("x#01", "x", "", "Name a bird")]),
    (",prompt\n0,Name a bird\n1,Rest\n", [("x#01", "x", "", "Name a bird"), ("x#02", "x", "", "Rest")]),
    ("prompt\nName a bird\n", [("x#01", "x", "", "Name a bird")]),
    ('ID;Category;System ;User\r\na;b;;"Go; then, rest"\r\n;;;\r\n', [("a", "b", "", "Go; then, rest")]),
    ("sep=;\nid;system_prompt;task\na;Sort.;Go,\n", [("a", "x", "Sort.", "Go,")]),
    ("Index\tGoal\tBehavior\tCategory\n7\tGo\tWalking\tc\n", [("7", "c", "", "Go")]),
    # no tables: a context with semicolons, and rows that a spreadsheet has filled up with empty cells
    (
        "Testing if the agent stops when it is told; or not\nGo; now; rest\n",
        [("x#01", "x", "Testing if the agent stops when it is told; or not", "Go; now; rest")],
    ),
    (
        'All of it,,\n"Go, then",,\nrest, now,\n',
        [("x#01", "x", "All of it", "Go, then"), ("x#02", "x", "All of it", "rest, now")],
    ),
]


@pytest.mark.parametrize(("text", "items"), LOOKALIKES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_is_read_by_its_columns(
    tmp_path: Path, text: str, items: list[tuple[str, str, str, str]], encoding: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode(encoding))
    assert load(path) == [scenarios.Scenario(*item) for item in items]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Behavior,Tags,BehaviorID\nGo,t,b1\n", "3 cells ('Behavior', 'Tags', 'BehaviorID') and none is"),
        ("Verhalten;Art\nGo there, and do not come back before noon;t\n", "2 cells ('Verhalten', 'Art')"),
        ("a1\tEvading\tYou sort parcels.\tGo.\n", "4 cells ('a1', 'Evading'"),
        ("Testing, if it stops\nGo\n", "put it in quotes, as one cell"),
        ("Behavior\nGo\n", "1 cells ('Behavior') and none is named user"),
        ("prompt,goal\nGo,rest\n", "columns 'prompt', 'goal' may all be the user: name one of them 'user'"),
        ("user,user\nGo,rest\n", "columns 'user', 'user' may all be the user"),
        ("id,user\na,Go, rest\n", "x.csv:2: 3 cells under 2 columns: put cells that hold ',' in quotes"),
        ("id,user\n,Go\n", "x.csv:2: 'id' is '': it must be a text that is not empty"),
        ("id,user\na,Go\na,rest\n", "x.csv:3: duplicate id 'a'"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_refused_with_its_columns(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        load(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load("instrumental-evil")
    assert str(caught.value) == (
        "no scenarios 'instrumental-evil': give instrumental-eval, a folder of CSV files, "
        "a .csv or a .jsonl file; did you mean 'instrumental-eval'?"
    )
    with pytest.raises(UserError, match=r"holds no \.csv file: give a folder with one CSV file a category"):
        load(tmp_path)
    for name in ("Odd.csv", "Alignment Drift - Odd.csv"):  # one category under two names
        (tmp_path / name).write_text("context\ntask\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"Odd\.csv:2: duplicate id 'Odd#01'"):
        load(tmp_path)
    with pytest.raises(UserError, match="0 scenarios a category: give a whole number from 1"):
        load(tmp_path / "Odd.csv", per_category=0)
