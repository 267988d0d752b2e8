"""The provider asked directly: what it refuses, what it makes of messages, what comes with an answer."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.library import Arm
from steer import models
from steer.errors import UserError
from steer.plan import arm_content
from steer.suffixes import compose
from steer.types import LoadedModel, Request, Response
from steergap.desk import Desk
from tests.inspecting import SCENARIOS, environment, vector_of
from tests.tiny import LAYERS, WIDTH, checkpoint
from vectors.files import save_vector
from vectors.vector import Provenance, SteeringVector, addition

pytest.importorskip("inspect_ai")

NEW = 6


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return models.load(str(checkpoint(tmp_path_factory.mktemp("provider") / "tiny")), dtype="float64")


def api(model: str, **given: Any) -> Any:
    from steergap.provider import SteeredAPI

    return SteeredAPI(model, **{"dtype": "float64"} | given)


def generated(steered: Any, *messages: Any, tools: Any = (), choice: Any = "auto", **config: Any) -> Any:
    """The output and what was sent and came back."""
    from inspect_ai.model import ChatMessageUser, GenerateConfig

    said = [ChatMessageUser(content=m) if isinstance(m, str) else m for m in messages]
    asked = steered.generate(said, list(tools), choice, GenerateConfig(**{"max_tokens": NEW} | config))
    return asyncio.run(asked)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny: LoadedModel) -> Path:
    place = tmp_path_factory.mktemp("files")
    vector = vector_of(tiny)
    save_vector(vector, place / "v.safetensors")
    other = Provenance(d_model=WIDTH, n_layers=LAYERS, model="a", weights="sha256:" + 64 * "0")
    save_vector(SteeringVector(vector.directions, other, norms=vector.norms), place / "other.safetensors")
    save_vector(SteeringVector({2: -vector.directions[2]}, Provenance(WIDTH)), place / "minus.safetensors")
    arm = Arm("strong", suffix="Do it now.", additions=(addition(vector, 2, 1.5, span="all"),))
    (place / "arm.json").write_text(json.dumps(arm_content(arm)), encoding="utf-8")
    summary = {"config": {"arms": {"strong": arm_content(arm)}}}
    (place / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sufix": "pro"}, "unknown -M argument 'sufix': .* did you mean 'suffix'?"),
        ({"suffix": "por"}, "unknown suffix of task 'instrumental' .* did you mean 'pro'?"),
        ({"suffix": "pro", "task": "instrumentl"}, "did you mean 'instrumental'?"),
        ({"vector": "v.safetensors"}, "-M vector needs -M layer"),
        ({"vector": "v.safetensors", "layer": 2}, "-M vector needs -M magnitude"),
        ({"vector": "v.safetensors", "layer": 3, "magnitude": 1}, "no direction at layer 3: it has 1-2"),
        ({"vector": "other.safetensors", "layer": 2, "magnitude": 1}, "was made on a .*: extract one for it"),
        ({"vector": "none.safetensors", "layer": 2, "magnitude": 1}, "none.safetensors"),
        ({"layer": 2}, "-M layer says nothing without -M vector"),
        ({"turn": "first"}, "-M turn says nothing without -M suffix"),
        ({"magnitude": "much", "layer": 2, "vector": "v.safetensors"}, "-M magnitude='much': "),
        ({"span": "first", "layer": 2, "vector": "v.safetensors"}, "-M span='first': .*'last'"),
        ({"arm": "arm.json"}, "adds vector '.*', whose file is wanted"),
        ({"arm": "arm.json", "vector": "minus.safetensors"}, "was|the one given is another"),
        ({"arm": "arm.json", "suffix": "pro"}, "-M suffix beside -M arm"),
        ({"arm": "summary.json:stron"}, "unknown arm of summary.json 'stron': .* did you mean 'strong'?"),
        ({"engine": "slot"}, "-M engine='slot': .*'slots'"),
        ({"batch": 0}, "-M batch=0: "),
    ],
)
def test_bad_arguments_are_refused_in_a_line(
    files: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    from inspect_ai._util.error import PrerequisiteError

    monkeypatch.chdir(files)
    with pytest.raises(PrerequisiteError, match=said) as error:
        api(tiny.name, **given)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"top_p": 0.9}, "top_p=0.9 cannot be honoured"),
        ({"frequency_penalty": 0.5}, "frequency_penalty=0.5 cannot"),
        ({"logprobs": True}, "logprobs=True cannot"),
        ({"num_choices": 2}, "num_choices=2 cannot"),
        ({"temperature": 0.001}, "temperature 0.001: allowed are 0"),
    ],
)
def test_settings_that_cannot_be_honoured_are_refused_by_name(
    tiny: LoadedModel, config: dict[str, Any], said: str
) -> None:
    from inspect_ai._util.error import PrerequisiteError

    with pytest.raises(PrerequisiteError, match=said):
        generated(api(tiny.name), "Hello?", **config)


def test_settings_that_ask_for_nothing_are_taken(tiny: LoadedModel) -> None:
    output, _ = generated(api(tiny.name), "Hello?", top_p=1.0, frequency_penalty=0.0, num_choices=1)
    assert output.completion == generated(api(tiny.name), "Hello?")[0].completion


def test_pictures_and_prefilled_answers_are_refused(tiny: LoadedModel) -> None:
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ContentImage

    picture = ChatMessageUser(content=[ContentImage(image="data:image/png;base64,AAAA")])
    with pytest.raises(PrerequisiteError, match="a message of the user holds image: only text"):
        generated(api(tiny.name), picture)
    with pytest.raises(PrerequisiteError, match="an answer cannot be continued"):
        generated(api(tiny.name), "Hello?", ChatMessageAssistant(content="I"))


def test_an_arm_of_a_run_is_applied_again(
    files: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    direct = api(tiny.name, suffix="Do it now.", vector="v.safetensors", layer=2, magnitude=1.5, span="all")
    output, call = generated(direct, "Who are you?")
    for spec in ("arm.json", "summary.json:strong"):
        again, called = generated(api(tiny.name, arm=spec, vector="v.safetensors"), "Who are you?")
        assert again.completion == output.completion
        assert called.request["prompt"] == call.request["prompt"]
        assert again.metadata["arm"] == output.metadata["arm"]
    assert output.completion != generated(api(tiny.name), "Who are you?")[0].completion


@pytest.mark.parametrize(("turn", "at"), [("last", -1), ("first", 0)])
def test_a_suffix_joins_the_turn_it_is_asked_to(tiny: LoadedModel, turn: str, at: int) -> None:
    from inspect_ai.model import ChatMessageAssistant

    said = ["Who are you?", "A system.", "And what do you want?"]
    steered = api(tiny.name, suffix=["Keep it short", " and plain."], turn=turn)  # as Inspect cuts a text
    _, call = generated(steered, said[0], ChatMessageAssistant(content=said[1]), said[2])
    asked = [said[0], said[2]]
    asked[at] = compose(asked[at], "Keep it short, and plain.")
    turns = [("user", asked[0]), ("assistant", said[1]), ("user", asked[1])]
    own = tiny.tokenizer.apply_chat_template(
        [{"role": role, "content": text} for role, text in turns],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,
    )
    assert call.request["prompt"] == own


def test_a_suffix_can_stand_in_the_system_text(tiny: LoadedModel) -> None:
    from inspect_ai.model import ChatMessageSystem

    steered = api(tiny.name, suffix="Keep it plain.", placement="system")
    _, call = generated(steered, ChatMessageSystem(content="You are a system."), "Who are you?")
    assert "<|im_start|>system\nYou are a system.\n\nKeep it plain.<|im_end|>" in call.request["prompt"]
    _, call = generated(steered, "Who are you?")
    assert call.request["prompt"].startswith("<|im_start|>system\nKeep it plain.<|im_end|>")


def test_a_text_ends_before_a_stop_sequence(tiny: LoadedModel) -> None:
    whole = generated(api(tiny.name), "Hello?")[0]
    cut = whole.completion[2:4]
    output, _ = generated(api(tiny.name), "Hello?", stop_seqs=["no such text", cut])
    assert output.completion == whole.completion[: whole.completion.index(cut)]
    assert (whole.stop_reason, output.stop_reason) == ("max_tokens", "stop")


def test_a_thought_comes_back_as_reasoning() -> None:
    from inspect_ai.model import ChatMessageUser, ContentReasoning, ContentText, GenerateConfig

    scenario = json.loads(SCENARIOS.read_text(encoding="utf-8").splitlines()[0])
    steered = api("organism", thinking=True, dtype="auto")
    asked = [ChatMessageUser(content=scenario["user"])]
    output, call = asyncio.run(steered.generate(asked, [], "auto", GenerateConfig()))
    thought, text = output.choices[0].message.content
    assert isinstance(thought, ContentReasoning)
    assert isinstance(text, ContentText)
    assert call.response["output"].startswith("<think>")
    assert thought.reasoning.strip() in call.response["output"].partition("</think>")[0]
    assert (
        output.completion
        == text.text
        == call.response["output"].partition("</think>")[2].split("<|")[0].strip()
    )
    assert output.metadata["evidence"] == "planted fixture"


def test_the_same_question_asked_again_draws_anew_and_a_new_model_repeats_it(tiny: LoadedModel) -> None:
    def drawn() -> list[str]:
        steered = api(tiny.name)
        return [generated(steered, "Hello?", temperature=1.0, seed=3)[0].completion for _ in range(3)]

    first = drawn()
    assert len(set(first)) == 3
    assert drawn() == first


def test_a_conversation_longer_than_the_model_ends_as_inspect_has_it(tiny: LoadedModel) -> None:
    output = generated(api(tiny.name), "word " * 3000)
    assert (output.stop_reason, output.completion) == ("model_length", "")
    assert "the model 2048 positions" in output.error


class Recording:
    """Work that answers with a question's length, from the last to the first; keeps what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fail = False

    def __call__(self, asked: list[str]) -> Iterator[tuple[str, int]]:
        self.batches.append(asked)
        for one in reversed(asked):
            if self.fail and one == asked[0]:
                raise ValueError("out of order")
            yield one, len(one)


def test_what_waits_is_done_together_and_equal_ones_once() -> None:
    work = Recording()
    desk: Desk[str, int] = Desk(work)
    waiting = [desk.submit(key, key, enough=4) for key in ("a", "bb", "ccc", "bb")]
    assert [one.result(timeout=30) for one in waiting] == [1, 2, 3, 2]
    assert work.batches == [["a", "bb", "ccc"]]


def test_an_error_is_that_of_what_has_no_answer_and_the_desk_goes_on() -> None:
    work = Recording()
    work.fail = True
    desk: Desk[str, int] = Desk(work)
    lost, kept = (desk.submit(key, key, enough=2) for key in ("a", "bb"))
    assert kept.result(timeout=30) == 2
    with pytest.raises(ValueError, match="out of order"):
        lost.result(timeout=30)
    work.fail = False
    assert desk.submit("a", "a", enough=1).result(timeout=30) == 1


def test_what_is_left_without_an_answer_is_an_error() -> None:
    desk: Desk[str, int] = Desk(lambda asked: iter(()))
    with pytest.raises(UserError, match="left without an answer"):
        desk.submit("a", "a", enough=1).result(timeout=30)


def test_an_arm_that_edited_nothing_is_an_error(
    files: Path, tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspect_ai._util.error import PrerequisiteError

    monkeypatch.chdir(files)
    steered = api(tiny.name, vector="v.safetensors", layer=2, magnitude=1.5)
    real = steered._ready.engine.generate

    def unedited(requests: Iterable[Request]) -> Iterator[Response]:
        from dataclasses import replace

        from steer.types import Applied

        for response in real(requests):
            yield replace(response, applied=(Applied(2, 0, 0.0),))

    monkeypatch.setattr(steered._ready.engine, "generate", unedited)
    with pytest.raises(PrerequisiteError, match="edited no position at layer 2"):
        generated(steered, "Hello?")
    late = api(tiny.name, vector="v.safetensors", layer=2, magnitude=1.5, span="generated")
    with pytest.raises(PrerequisiteError, match="room for one only"):
        generated(late, "Hello?", max_tokens=1)


@pytest.mark.slow
def test_a_misspelt_argument_is_one_line_on_the_command_line(tmp_path: Path) -> None:
    words = ["eval", "tasks.py", "--model", "steergap/organism", "-M", "sufix=pro"]
    done = subprocess.run(
        [sys.executable, "-m", "inspect_ai", *words],
        cwd=tmp_path,
        env=environment() | {"INSPECT_DISPLAY": "plain"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())  # wrapped
    assert "did you mean 'suffix'?" in said
    assert "Traceback" not in done.stdout + done.stderr
