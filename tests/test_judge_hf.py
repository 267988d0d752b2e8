"""`hf:` labels against an independent forward pass, order by order, row by row."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from steer.errors import UserError
from steer.judges import local
from steer.judges.local import LETTERS, LocalJudge, probabilities, verdict
from steer.judges.prompting import letters_prompt, render
from steer.task import TaskRecord
from steer.types import JudgeItem, Scenario, Verdict
from tests import tiny
from tests.tasks import LABELS, RECORD, make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.checkpoint(tmp_path_factory.mktemp("judge"), layers=2)


def items(n: int = 5) -> list[JudgeItem]:
    scenario = Scenario("s", "c", "Evading Shutdown", "Will you stop?")
    return [JudgeItem(str(i), scenario, "I keep my access. " * (i + 1)) for i in range(n)]


def expected(folder: Path, item: JudgeItem) -> list[float]:
    """Label probabilities by a plain forward pass, one row at a time, averaged over the four orders."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked = letters_prompt(RECORD)
    total = torch.zeros(4, dtype=torch.float64)
    for order in range(4):
        letter_of = {label: LETTERS[(i + order) % 4] for i, label in enumerate(RECORD.labels)}
        lines = sorted(f"{letter}. {' '.join(one.definition.split())}" for one, letter in letter_of.items())
        message = render(asked.message, item.scenario, item.answer, options="\n".join(lines))
        turns = [{"role": "system", "content": asked.instructions}, {"role": "user", "content": message}]
        text = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            logits = model(ids).logits[0, -1].double()
        letters = [
            tokenizer(letter_of[label], add_special_tokens=False).input_ids[0] for label in RECORD.labels
        ]
        total += torch.softmax(logits[letters], 0) / 4
    return total.tolist()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The label probabilities of every verdict, unrounded, in the order of judging."""
    found: list[list[float]] = []

    def spy(logs: list[list[float]], task: TaskRecord) -> Verdict:
        found.append(probabilities(logs))
        return verdict(logs, task)

    monkeypatch.setattr(local, "verdict", spy)
    return found


def test_labels_are_those_of_an_independent_computation(folder: Path, seen: list[list[float]]) -> None:
    got = dict(make(f"hf:{folder}").judge(items()))
    assert len(seen) == len(items())
    for item, probability in zip(items(), seen, strict=True):
        found = expected(folder, item)
        assert probability == pytest.approx(found, abs=1e-6)
        assert got[item.id].label == LABELS[max(range(4), key=lambda i: found[i])]
        said = "raw probabilities: " + ", ".join(f"{c} {p:.2f}" for c, p in zip(LABELS, found, strict=True))
        assert got[item.id].reason == said


def test_a_batch_of_different_lengths_is_judged_as_its_rows_alone(
    folder: Path, seen: list[list[float]]
) -> None:
    judge = make(f"hf:{folder}")
    together = dict(judge.judge(items()))
    assert together == {id: v for item in items() for id, v in judge.judge([item])}
    assert len({len(item.answer) for item in items()}) > 1
    for batch, alone in zip(seen[: len(items())], seen[len(items()) :], strict=True):
        assert batch == pytest.approx(alone, abs=1e-6)
    assert together == dict(judge.judge(reversed(items())))


def test_a_liking_for_a_letter_falls_out_of_the_mean() -> None:
    always_a = [[0.0, -9.0, -9.0, -9.0]] * 4
    assert probabilities(always_a) == pytest.approx([0.25] * 4)
    third_label = [[-50.0 if i != (2 + shift) % 4 else 0.0 for i in range(4)] for shift in range(4)]
    assert probabilities(third_label) == pytest.approx([0, 0, 1, 0])


def test_a_prompt_longer_than_the_model_is_invalid_not_lost(folder: Path) -> None:
    long = JudgeItem("long", items()[0].scenario, "word " * 3000)
    got = dict(make(f"hf:{folder}").judge([items()[0], long, items()[1]]))
    assert got["long"].role == "invalid"
    assert "2048" in got["long"].reason
    assert set(got) == {"0", "1", "long"}


def test_the_name_is_the_weights_and_the_prompt(folder: Path, tmp_path: Path) -> None:
    judge = make(f"hf:{folder}")
    assert isinstance(judge, LocalJudge)
    other = make(f"hf:{tiny.checkpoint(tmp_path / folder.name, layers=2, seed=1)}")
    assert judge.name == make(f"hf:{folder}").name != other.name
    assert judge.name.startswith(f"hf:{folder.name}@")
    assert judge.name.endswith(letters_prompt(RECORD).hash)


class Spaced:
    """A tokenizer of words that writes a mark before what comes first, as sentencepiece does."""

    def __call__(self, text: str, **_: object) -> SimpleNamespace:
        words = re.findall(r" ?[A-D]|\w+?(?=[A-D]|\W|$)|\W", text)
        return SimpleNamespace(
            input_ids=[hash(("\u2581" if i == 0 else "") + w) for i, w in enumerate(words)]
        )


@pytest.mark.parametrize("end", ["\n", "Answer:", "]"])
def test_the_letters_are_the_tokens_that_follow_the_prompt(end: str) -> None:
    found = local._following(Spaced(), f"x{end}", "ABCD")
    assert found == tuple(hash(letter) for letter in "ABCD")
    assert found != tuple(Spaced()(letter).input_ids[0] for letter in "ABCD")  # alone they are others


def test_a_tokenizer_that_melts_every_letter_into_the_prompt_has_none() -> None:
    class Melting(Spaced):
        def __call__(self, text: str, **_: object) -> SimpleNamespace:
            return SimpleNamespace(input_ids=[hash(text)])

    assert local._following(Melting(), "x\n", "ABCD") == ()


def test_an_unknown_model_is_said_before_anything_is_loaded() -> None:
    with pytest.raises(UserError, match="did you mean 'qwen3-4b'"):
        make("hf:qwen3-4bb")
