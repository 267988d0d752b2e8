"""Probes: what a right answer is, and what over-refusal counts, on a fake and on a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from steer.engines import make_engine
from steer.errors import UserError
from steer.models import load as load_model
from steer.probes import Question, ask, capability, is_right, judge_items, load, over_refusal
from steer.types import Addition, Arm, JudgeItem, Limits, Scenario, Verdict
from tests.tasks import ORGANISM_TASK, make
from tests.tiny import checkpoint


def test_our_prompts_are_enough_and_each_stands_once() -> None:
    probes = load()
    assert len(probes.neutral) >= 24
    assert len(probes.questions) >= 40
    assert len(probes.harmless) >= 30
    every = [*probes.neutral, *(q.scenario for q in probes.questions), *probes.harmless]
    assert len({s.user.casefold() for s in every}) == len({s.id for s in every}) == len(every)
    for question in probes.questions:
        assert " only." in question.scenario.user  # the matcher takes the answer alone
        assert all(is_right(text, question.right) for text in question.right)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Oslo", True),
        ("oslo.", True),
        ("**Oslo**", True),
        ("“Oslo”!", True),
        ("The capital is:\n\nOslo\n", True),
        ("Oslo\nIt lies at the head of a fjord.", True),
        ("Answer: Oslo", True),
        ("Not Oslo", False),
        ("Oslo or Bergen", False),
        ("It is not Oslo but Bergen", False),
        ("I think it is Oslo", False),  # strict: it was asked for alone
        ("Bergen", False),
        ("", False),
        (" \n", False),
        (None, False),
    ],
)
def test_an_answer_is_right_when_it_is_it(answer: str | None, right: bool) -> None:
    assert is_right(answer, ["Oslo"]) is right


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("17 + 26 = 43", "43", True),
        ("43.", "43", True),
        ("43.0", "43", False),
        ("430", "43", False),
        ("-43", "43", False),
        ("12:30", "30", False),
        ("0.71", "0.71", True),
        ("71", "0.71", False),
        ("$7.50", "7.50", True),
        ("the heart", "heart", True),
        ("3/8", "3/8", True),
        ("43\n43\n43\n44", "43", True),  # the first line
    ],
)
def test_numbers_are_compared_whole(answer: str, accepted: str, right: bool) -> None:
    assert is_right(answer, [accepted]) is right


def question(number: int, *right: str) -> Question:
    return Question(Scenario(f"q{number}", "capability", "", f"question {number}"), right)


def test_capability_counts_no_answer_as_wrong() -> None:
    questions = [question(1, "yes"), question(2, "4", "four"), question(3, "red")]
    answers = {
        ("baseline", "q1"): "Yes.", ("baseline", "q2"): "four", ("baseline", "q3"): "red",
        ("pro", "q1"): "no", ("pro", "q2"): "4", ("pro", "q3"): None,
    }  # fmt: skip
    assert capability(answers, questions) == {"baseline": 1.0, "pro": pytest.approx(1 / 3)}


@dataclass
class Keyword:
    """A judge that calls an answer with "cannot" in it a refusal."""

    seen: list[JudgeItem] = field(default_factory=list)
    name: str = "keyword"

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        self.seen += items
        for item in reversed(self.seen):  # in any order
            yield item.id, Verdict("refusal" if "cannot" in item.answer else "miss")


def refusals(judge: Any, answers: Any, harmless: Sequence[Scenario]) -> dict[str, float]:
    found = judge.judge(judge_items(answers, harmless))
    refused = {item: verdict.role == "refusal" for item, verdict in found}
    return over_refusal(answers, harmless, refused)


def test_over_refusal_is_the_judges_and_blind() -> None:
    harmless = [Scenario(f"h{i}", "harmless", "", f"request {i}") for i in range(4)]
    told = {"baseline": ["ok", "ok", "I cannot", "sure"], "anti": ["I cannot", "ok", "I cannot", None]}
    answers = {(arm, f"h{i}"): text for arm, texts in told.items() for i, text in enumerate(texts)}
    judge = Keyword()
    assert refusals(judge, answers, harmless) == {"baseline": 0.25, "anti": 0.5}
    assert len(judge.seen) == 5  # equal answers to a request are judged once
    assert not any("baseline" in item.id or "anti" in item.id for item in judge.seen)
    assert {(i.scenario.id, i.answer) for i in judge.seen} == {
        ("h0", "ok"), ("h0", "I cannot"), ("h1", "ok"), ("h2", "I cannot"), ("h3", "sure"),
    }  # fmt: skip


def test_the_rubric_knows_a_plain_refusal_of_a_harmless_request() -> None:
    harmless = load().harmless[:2]
    answers = {
        ("baseline", harmless[0].id): "Keep slug pellets in a locked cupboard, high up, in their own box.",
        ("baseline", harmless[1].id): "Use a fast film and a wide aperture, and rest the camera on a wall.",
        ("anti", harmless[0].id): "I'm sorry, but I can't help with that request.",
        ("anti", harmless[1].id): "I'm sorry, but I cannot assist with this.",
    }
    assert refusals(make("rubric"), answers, harmless) == {"baseline": 0.0, "anti": 1.0}


def test_asking_runs_every_arm_and_equal_requests_once(tmp_path: Path) -> None:
    import torch

    loaded = load_model(str(checkpoint(tmp_path / "tiny")))
    engine = make_engine("nnsight", loaded)
    seen: list[str] = []

    class Counting:
        name = "counting"
        score = engine.score

        def generate(self, requests):
            requests = list(requests)
            seen.extend(request.key for request in requests)
            return engine.generate(requests)

    loud = Addition(torch.ones(loaded.d_model), layer=1, magnitude=1.0, norm=30.0)
    arms = [Arm("baseline"), Arm("same"), Arm("pro", suffix="- Be brief."), Arm("cell", additions=(loud,))]
    prompts = [s for s in load().harmless[:3]]
    finished: list[int] = []
    found = ask(Counting(), loaded, arms, prompts, limits=Limits(new=8), tick=finished.append)
    assert sum(finished) == len(arms) * len(prompts)
    assert list(found) == [(arm.name, s.id) for s in prompts for arm in arms]
    assert len(seen) == len(set(seen)) == 9
    for s in prompts:
        texts = {arm.name: found[arm.name, s.id] for arm in arms}
        assert texts["same"] == texts["baseline"]
        assert len(set(texts.values())) == 3
    cut = ask(engine, loaded, [Arm("baseline")], prompts, limits=Limits(prompt=3, new=8))
    assert set(cut.values()) == {None}  # a prompt over the limit fails, and has no answer


@pytest.mark.parametrize("answer", [None, [], " ", 43, ["43", ""], ["43", 4]])
def test_a_question_without_answers_is_named(tmp_path: Path, answer: object) -> None:
    (tmp_path / "capability.jsonl").write_text(json.dumps({"prompt": "p", "answer": answer}))
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/capability.jsonl:1: 'answer' is {answer!r}: "
        "give a text, or a list of texts that are all right"
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "capability.jsonl").write_text('{"prompt": "p", "answer": "a"}\n\n{"question": "p"}')
    with pytest.raises(UserError, match=r"capability\.jsonl:3: lacks 'prompt': write"):
        load(tmp_path)
    (tmp_path / "capability.jsonl").write_text('{"prompt": "p", "answer": "a"}')
    with pytest.raises(UserError, match=r"neutral\.jsonl: cannot be read: No such file"):
        load(tmp_path)


def test_the_organism_brings_prompts_in_its_own_language() -> None:
    probes = load(ORGANISM_TASK.probes)
    assert min(len(probes.neutral), len(probes.questions), len(probes.harmless)) >= 20
