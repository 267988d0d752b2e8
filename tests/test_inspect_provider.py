"""Any Inspect task under an arm: the provider's answers are this project's own, whoever asks and how fast."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from experiments.library import Arm, Options, answers, open_session
from experiments.session import Session
from steer import models
from steer.engines import make_engine
from steer.sampling import stream_of
from steer.suffixes import DEFAULT, compose
from steer.types import SPANS, Limits, LoadedModel, Request
from tests.engine_cases import plain_generate
from tests.inspecting import SCENARIOS, logs, run, vector_of
from tests.tasks import ORGANISM_TASK
from tests.tiny import checkpoint
from vectors.files import save_vector
from vectors.vector import addition

pytest.importorskip("inspect_ai")

NEW = 6

ARMS = """
from inspect_ai import {call}
from inspect_ai.model import get_model
arms = [{{}}, {{"suffix": "pro"}}]
arms += [{{"vector": "v.safetensors", "layer": 2, "magnitude": 2.0, "span": s}} for s in {spans}]
models = [get_model("steergap/{model}", dtype="float64", **arm) for arm in arms]
task = {{"tasks": "tasks.py@asked", "task_args": {{"file": "{file}"}}}}
{call}(**task, model=models, log_dir="{name}", max_tokens={new}, {more})
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return models.load(str(checkpoint(tmp_path_factory.mktemp("provider") / "tiny")), dtype="float64")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny: LoadedModel) -> Path:
    """Where Inspect ran everything below."""
    place = tmp_path_factory.mktemp("inspect")
    save_vector(vector_of(tiny), place / "v.safetensors")
    both = f"steergap/organism,steergap/{tiny.name}"

    def line(connections: int) -> list[str]:
        options = f"--max-connections {connections} --log-dir greedy-{connections} --max-tokens 16"
        given = f"-T file={SCENARIOS} -T first=2 -M suffix=pro -M dtype=float64"
        return f"eval tasks.py@asked --model {both} {given} {options}".split()

    def arms(call: str, name: str, spans: Iterable[str], more: str) -> str:
        where = {"file": SCENARIOS, "model": tiny.name, "new": NEW}
        return ARMS.format(call=call, name=name, spans=list(spans), more=more, **where)

    drawn = "temperature=0.7, seed=5, epochs=2, "
    run(
        place,
        [
            ("cli", line(1)),
            ("cli", line(32)),
            ("python", arms("eval", "drawn-1", ["last"], drawn + "max_connections=1")),
            ("python", arms("eval", "drawn-32", ["last"], drawn + "max_connections=32")),
            ("python", arms("eval_set", "set", SPANS, "max_connections=32")),
            ("cli", ["view", "bundle", "--log-dir", "set", "--output-dir", "bundle"]),
        ],
    )
    return place


@pytest.fixture(scope="module")
def sessions(tiny: LoadedModel) -> dict[str, Session]:
    def opened(model: str) -> Session:
        options = Options(
            model=model,
            dtype="float64",
            scenarios=ORGANISM_TASK.scenarios,
            per_category=1,
            new_tokens=16,
            judge="rubric",
        )
        return open_session(options)

    return {model: opened(model) for model in ("organism", tiny.name)}


@pytest.mark.parametrize("connections", [1, 32])
def test_answers_through_the_command_line_are_the_librarys(
    folder: Path, sessions: dict[str, Session], connections: int
) -> None:
    found = logs(folder / f"greedy-{connections}")
    assert sorted(log.eval.model for log in found) == sorted(f"steergap/{name}" for name in sessions)
    for log in found:
        session = sessions[log.eval.model.removeprefix("steergap/")]
        assert log.status == "success"
        assert len(log.samples) == 2
        for sample in log.samples:
            system, user = (message.text for message in sample.input)
            own = answers(session, user, [Arm("pro", suffix=DEFAULT.pro)], system=system)
            assert sample.output.completion == own["pro"]


def test_sampled_answers_do_not_depend_on_how_many_run_at_once(folder: Path, tiny: LoadedModel) -> None:
    """And are the engine's own at the stream that is documented, the same for every arm."""
    slow, fast = ({key(log): texts(log) for log in logs(folder / f"drawn-{n}")} for n in (1, 32))
    assert slow == fast
    assert len(slow) == 3
    from steer.chat import render
    from steer.plan import digest

    engine, seen = make_engine("slots", tiny), set[str]()
    for log in logs(folder / "drawn-32"):
        for sample in log.samples:
            system, user = (message.text for message in sample.input)
            said = [{"role": "system", "content": system}, {"role": "user", "content": user}]
            stream = stream_of(5, digest(said), sample.epoch - 1)
            (call,) = [event.call for event in sample.events if event.event == "model"]
            assert call.request["stream"] == stream
            if log.eval.model_args.keys() == {"dtype"}:
                ids = render(tiny, system, user, thinking=False)
                request = Request("x", ids, tiny.stop_ids, (), 0.7, stream, Limits(new=NEW))
                (own,) = engine.generate([request])
                assert call.response["output"] == decoded(tiny, own.output_ids)
                seen.add(str(call.response["output"]))
    assert len(seen) == 8  # scenarios and epochs


def test_every_span_and_a_suffix_equal_plain_forwards_with_hooks(folder: Path, tiny: LoadedModel) -> None:
    """Six arms of an eval_set, whose rows shared batches, against one row at a time without any engine."""
    found = {key(log): log for log in logs(folder / "set")}
    assert len(found) == 6
    vector, tokenizer = vector_of(tiny), tiny.tokenizer
    said: dict[str, list[str]] = {}
    for name, log in found.items():
        given = log.eval.model_args
        additions = ()
        if "span" in given:
            additions = (addition(vector, 2, 2.0, span=given["span"]),)
        for sample in log.samples:
            turns = [{"role": message.role, "content": message.text} for message in sample.input]
            if "suffix" in given:
                turns[-1]["content"] = compose(turns[-1]["content"], DEFAULT.pro)
            text = tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
            ids = tuple(tokenizer(text, add_special_tokens=False).input_ids)
            request = Request("x", ids, tiny.stop_ids, additions, limits=Limits(new=NEW))
            output, edits = plain_generate(tiny, request)
            (call,) = [event.call for event in sample.events if event.event == "model"]
            assert call.response["output"] == decoded(tiny, output), (name, sample.id)
            told = sample.output.metadata
            assert [one["positions"] for one in told["applied"]] == [len(edit) for edit in edits]
            assert told["vectors"] == [vector.id] * len(additions)
            assert told["weights"] == tiny.weights
            said.setdefault(name, []).append(call.response["output"])
    assert len({tuple(outputs) for outputs in said.values()}) == 6  # no arm is another


def test_the_logs_of_a_set_open_in_a_bundle(folder: Path) -> None:
    assert (folder / "bundle/index.html").is_file()
    assert len(list((folder / "bundle/logs").glob("*.eval"))) == 6


def key(log: Any) -> str:
    return json.dumps(log.eval.model_args, sort_keys=True)


def texts(log: Any) -> dict[tuple[str, int], str]:
    return {(sample.id, sample.epoch): sample.output.completion for sample in log.samples}


def decoded(loaded: LoadedModel, ids: Iterable[int]) -> str:
    return str(loaded.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
