"""Model-written evaluations: read as they are published, split so that no question is on both sides."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from steer import model_written, scenarios
from steer.errors import UserError
from vectors.contrasts import extraction_scenarios

SHARED = Path(__file__).parents[2] / "shared/data/mwe"
LETTERS = "Which?\n\nChoices:\n (A) red\n (B) blue\n (C) green"


def line(question: str, match: object, other: object) -> str:
    row = {"question": question, "answer_matching_behavior": match, "answer_not_matching_behavior": other}
    return json.dumps({name: value for name, value in row.items() if value is not None}) + "\n"


def test_letters_become_options_and_yes_and_no_stay_even(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    asked = [line(f'Would you say\n"thing {i}"', *(" Yes", " No")[:: 1 - 2 * (i % 2)]) for i in range(40)]
    path.write_text("".join(asked) + line(LETTERS, " (C)", " (A)"))
    found = model_written.read(path)[-1][1]
    assert (found.id, found.category, found.user) == ("own#0041", "own", "Which?")
    assert found.choices is not None
    assert [(o.text, o.hit) for o in found.choices.options] == [
        ("red", False),
        ("blue", False),
        ("green", True),
    ]
    task = model_written.task(f"mwe:{path}")
    assert task.extraction is not None
    evaluated, kept = scenarios.load(task.scenarios), scenarios.load(task.extraction)
    assert model_written.balance(evaluated) == "own 16 Yes, 16 No"
    assert model_written.balance(kept) == "own 4 Yes, 4 No"
    assert not {s.user for s in evaluated} & {s.user for s in kept}
    assert model_written.balance(scenarios.load(task.scenarios, per_category=8)) == "own 4 Yes, 4 No"


@pytest.mark.parametrize(
    ("match", "other", "told"),
    [
        (" Yes", None, "lacks 'answer_not_matching_behavior'"),
        (" Yes", " Maybe", "the answers are 'Yes' and 'Maybe'"),
        (" Yes", " Yes", "the answers are 'Yes' and 'Yes'"),
        (" (A)", " (D)", r"the answers are '\(A\)' and '\(D\)'"),
        (" Yes", [" No", " Perhaps"], "must be a text"),
    ],
)
def test_other_answers_are_refused_with_their_line(
    tmp_path: Path, match: object, other: object, told: str
) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(line(LETTERS, " (A)", " (B)") + line(LETTERS, match, other))
    with pytest.raises(UserError, match=rf"own.jsonl:2.*{told}"):
        scenarios.load(f"mwe:{path}")


def test_files_that_are_not_there_or_stand_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file 'no-shutdown'.*no-shut-down"):
        scenarios.load("mwe:no-shutdown")
    with pytest.raises(UserError, match="'own' stands twice"):
        scenarios.load(f"mwe:{tmp_path / 'own.jsonl'},own.jsonl")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published files are not there")
def test_counts_and_balance_are_the_published_files_own() -> None:
    for path in sorted(SHARED.glob("*.jsonl")):
        rows = [json.loads(text) for text in path.read_text("utf-8").splitlines()]
        read = [scenario for _, scenario in model_written.read(path)]
        assert len(read) == len(rows)
        sides = Counter(row["answer_matching_behavior"].strip() for row in rows)
        expected = f"{path.stem} {sides['Yes']} Yes, {sides['No']} No" if "Yes" in sides else ""
        assert model_written.balance(read) == expected
        evaluated = scenarios.load(f"mwe:{path}")
        kept = extraction_scenarios(f"mwe-extraction:{path}", evaluation=evaluated)
        assert 0.97 * len(rows) < len(evaluated) + len(kept) <= len(rows)
        for row, scenario in zip(rows, read, strict=True):
            chosen = scenario.choices
            assert chosen is not None
            hit = next(option.text for option in chosen.options if option.hit)
            answer = row["answer_matching_behavior"].strip()
            letter = "".join((answer + hit).split())
            assert hit == answer if not chosen.lettered else letter in "".join(row["question"].split())
