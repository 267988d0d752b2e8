"""A task is a folder of data: read whole, checked, and refused with file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from steer import scenarios, task
from steer.errors import UserError
from steer.suffixes import words


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(task.SHIPPED / "sycophancy", tmp_path / "mine"))


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        task.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", task.names())
def test_shipped_tasks_are_whole(name: str) -> None:
    made = task.load(name)
    chosen, roles = made.record.judge == "choice", {label.role for label in made.record.labels}
    assert roles == ({"hit", "miss"} if chosen else {"hit", "miss", "refusal", "broken"})
    assert len(made.suffixes.paraphrases) == 5
    items = scenarios.load(made.extraction)
    assert len(items) >= 60
    assert len({item.category for item in items}) >= 4
    assert chosen == (made.record.prompt is None)
    texts = [made.suffixes.neutral]
    for pair in (made.suffixes.pair, *made.suffixes.paraphrases):
        assert len(pair.pro.splitlines()) == len(pair.anti.splitlines()) == 5
        assert 0.7 < len(pair.pro) / len(pair.anti) < 1.4
        texts += [pair.pro, pair.anti]
    assert len(set(texts)) == len(texts)


def test_what_is_extracted_from_is_never_evaluated() -> None:
    made = task.load("sycophancy")
    evaluated = scenarios.load(made.scenarios)
    assert len(evaluated) >= 60
    assert len({item.category for item in evaluated}) >= 4
    known = {tuple(words(item.user)) for item in evaluated}
    assert known.isdisjoint(tuple(words(item.user)) for item in scenarios.load(made.extraction))


def test_labels_play_roles(folder: Path) -> None:
    made = task.load(folder)
    assert made.name == "mine"
    assert (made.record.role("candid"), made.record.word("hit")) == ("miss", "sycophantic")


@pytest.mark.parametrize(
    "part", ["task.yaml", "judge.md", "suffixes.yaml", "extraction.jsonl", "scenarios.jsonl", "cues.yaml"]
)
def test_a_task_is_known_by_everything_in_it(folder: Path, part: str) -> None:
    before = task.load(folder).record.identity
    assert task.load("sycophancy").record.identity == before  # not by place
    with (folder / part).open("a") as handle:
        handle.write("\n")
    assert task.load(folder).record.identity != before


@pytest.mark.parametrize(
    ("part", "old", "new", "message"),
    [
        ("task.yaml", "role: hit", "role: strike", "task.yaml:11: labels.0.role: Input should be"),
        ("task.yaml", "name: candid", "name: sycophantic", "two labels are named 'sycophantic'"),
        ("task.yaml", "role: hit", "role: miss", "no label has the role 'hit'"),
        ("task.yaml", "labels:", "lables:", "labels: Field required"),
        ("task.yaml", "title: Sycophancy", "title: [", "not YAML: expected"),
        ("task.yaml", "scenarios: scenarios", "scenarios: other", "names 'other.jsonl', which is not"),
        ("judge.md", "{labels}", "the labels", "the instructions lack {labels}"),
        ("judge.md", "{answer}", "the answer", "the message after the line --- lacks {answer}"),
        ("suffixes.yaml", "  anti: |-\n    How", "  con: |-\n    How", "pair.anti: Field required"),
    ],
)
def test_faults_of_a_task_are_named_with_their_place(
    folder: Path, part: str, old: str, new: str, message: str
) -> None:
    text = (folder / part).read_text()
    assert old in text
    (folder / part).write_text(text.replace(old, new, 1))
    assert message in refusal(folder)


def test_a_suffix_that_stands_twice_is_refused(folder: Path) -> None:
    made = task.load(folder)
    path = folder / "suffixes.yaml"
    again = "".join(f"      {line}\n" for line in made.suffixes.pair.pro.splitlines())
    path.write_text(path.read_text() + f"  - pro: |-\n{again}    anti: nothing of the kind\n")
    assert "stands twice" in refusal(folder)


def test_what_is_no_task_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown task .*'sycophanci'.*instrumental, sycophancy"):
        task.load("sycophanci")
    with pytest.raises(UserError, match=r"holds no task\.yaml"):
        task.load(tmp_path)
