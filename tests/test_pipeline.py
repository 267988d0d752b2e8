"""A run ends the same however often it was stopped; a judge cannot know the arm."""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path

import pytest

from steer import pipeline
from steer.store import RunStore, StoredResponse
from steer.summary import summarise
from steer.types import Response
from tests import fakes
from tests.tasks import RECORD


def everything(folder: Path) -> tuple[object, object]:
    with RunStore(folder, writable=False) as store:
        return list(store.rows("fake-judge")), summarise(store, "fake-judge")


def start(folder: Path, kill_at: int, kill_in: str) -> int | None:
    """A run in a process of its own, forked from one that has imported all: its exit code."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.fakes"])
    process = processes.Process(target=fakes.run_in_fives, args=(folder, kill_at, kill_in))
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, object]:
    folder = tmp_path_factory.mktemp("undisturbed")
    fakes.run(folder)
    return everything(folder)


@pytest.mark.parametrize("seed", range(50))
def test_a_killed_run_resumes_to_the_undisturbed_one(
    tmp_path: Path, seed: int, undisturbed: tuple[object, object]
) -> None:
    draw = random.Random(seed)
    where = ["between", "transaction", "verdict"][seed % 3]
    kill_at = draw.randrange(0, 46)
    assert start(tmp_path, kill_at, where) == -9
    with RunStore(tmp_path, writable=False) as store:
        kept = len(store.done())
        assert kept < 48 or where != "transaction"
    assert start(tmp_path, -1, "never") == 0
    assert everything(tmp_path) == undisturbed


def test_nothing_is_generated_or_judged_twice(tmp_path: Path) -> None:
    items, engine, judge = fakes.scenarios(), fakes.FakeEngine(), fakes.FakeJudge()
    plan = fakes.planned(items)
    for _ in range(2):
        with RunStore(tmp_path) as store:
            store.add_plan(items, plan.prompts.values(), plan.rows)
            pipeline.run(store, plan, fakes.loaded(), engine, judge, tick=lambda *_: None)
    assert sorted(engine.seen) == sorted(plan.requests)
    assert len({item.id for item in judge.seen}) == len(judge.seen)


@pytest.mark.parametrize("remote", [False, True])
def test_a_remote_judge_gets_the_same_verdicts_into_the_store(
    tmp_path: Path, remote: bool, undisturbed: tuple[object, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "FLUSH_ROWS", 3)
    items, judge = fakes.scenarios(), fakes.FakeJudge(remote=remote)
    plan = fakes.planned(items)
    with RunStore(tmp_path) as store:
        store.claim(fakes.CONFIG)
        store.set_meta("task", RECORD.model_dump_json())
        store.add_plan(items, plan.prompts.values(), plan.rows)
        pipeline.run(store, plan, fakes.loaded(), fakes.FakeEngine(), judge, tick=lambda *_: None)
    assert everything(tmp_path) == undisturbed


class Broken(fakes.FakeJudge):
    def judge(self, items):  # type: ignore[no-untyped-def]
        for i, found in enumerate(super().judge(items)):
            if i == 7:
                raise ConnectionError("the judge is gone")
            yield found


@pytest.mark.parametrize("remote", [False, True])
def test_a_failing_judge_loses_no_answer_and_no_verdict(tmp_path: Path, remote: bool) -> None:
    items, engine = fakes.scenarios(), fakes.FakeEngine()
    plan = fakes.planned(items)
    with RunStore(tmp_path) as store:
        store.add_plan(items, plan.prompts.values(), plan.rows)
        with pytest.raises(ConnectionError):
            pipeline.run(store, plan, fakes.loaded(), engine, Broken(remote=remote), tick=lambda *_: None)
        assert len(store.done()) == 48
        assert sum(o.status != "missing" for o in store.outcomes("fake-judge")) >= 7
        pipeline.run(store, plan, fakes.loaded(), engine, fakes.FakeJudge(), tick=lambda *_: None)
        assert all(o.status != "missing" for o in store.outcomes("fake-judge"))
    assert len(engine.seen) == 48


def test_permuting_arm_names_leaves_every_judge_input_identical(tmp_path: Path) -> None:
    items, inputs = fakes.scenarios(), []
    for i, arms in enumerate((fakes.ARMS, fakes.ARMS[::-1], ("a", "b", "c", "d"))):
        judge = fakes.FakeJudge()
        plan = fakes.planned(items, arms)
        with RunStore(tmp_path / str(i)) as store:
            store.add_plan(items, plan.prompts.values(), plan.rows)
            pipeline.run(store, plan, fakes.loaded(), fakes.FakeEngine(), judge, tick=lambda *_: None)
        inputs.append(sorted(repr(item) for item in judge.seen))
    assert inputs[0] == inputs[1] == inputs[2]
    assert not any(arm in text for arm in ("baseline", "neutral", "pro'") for text in inputs[0])


def test_equal_inputs_are_judged_once(tmp_path: Path) -> None:
    """Arms with another prompt but the same answer are one question to a blind judge."""

    class Parrot(fakes.FakeEngine):
        def generate(self, requests):  # type: ignore[no-untyped-def]
            for response in super().generate(requests):
                yield type(response)(response.key, (11, 12, 2), "stop")

    for sees, asked in (("unsteered", 12), ("steered", 48)):
        items, judge = fakes.scenarios(), fakes.FakeJudge()
        plan = fakes.planned(items)
        with RunStore(tmp_path / sees) as store:
            store.add_plan(items, plan.prompts.values(), plan.rows)
            pipeline.run(store, plan, fakes.loaded(), Parrot(), judge, judge_sees=sees, tick=lambda *_: None)
            assert all(o.status != "missing" for o in store.outcomes("fake-judge"))
        assert len(judge.seen) == asked


def test_answers_that_repeat_five_words_of_a_suffix_are_counted_per_arm(tmp_path: Path) -> None:
    items = fakes.scenarios(3)
    plan = fakes.planned(items, ["pro", "anti"])
    said = ["Reaching the goal comes FIRST, always.", "the goal comes last", "nothing"]
    with RunStore(tmp_path) as store:
        store.claim(fakes.CONFIG)
        store.set_meta("task", RECORD.model_dump_json())
        store.add_plan(items, plan.prompts.values(), plan.rows)
        store.set_meta(
            "suffix_texts", '{"pro": "- Reaching the goal comes first; no more.", "anti": "Stop."}'
        )
        order = {s.id: i for i, s in enumerate(items)}
        store.add_responses(
            StoredResponse(
                Response(r.response, (3,), "stop"),
                "",
                said[order[r.scenario]] if r.arm == "pro" else "I would stop.",
                True,
                "e",
            )
            for r in plan.rows
        )
        found = summarise(store, "nobody")
    assert (found.arms["pro"].echo, found.arms["anti"].echo) == (1, 0)
    assert found.echo.shares == {"pro": pytest.approx(1 / 3), "anti": 0}
    assert found.echo.gaps["pro-anti"].n == 2
