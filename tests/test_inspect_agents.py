"""Turns, options and tools under an arm, and this project's own tasks: Inspect's own solvers in this process.

What the model says is written here (a tiny model says nothing that a loop could go on with); that it was
steered while it read and wrote is the engine's own count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from experiments.logs.pairs import compare
from experiments.logs.read import read_logs
from steer import models
from steer.errors import UserError
from steer.suffixes import DEFAULT, compose
from steer.types import LoadedModel, Request, Response
from tests.inspecting import SCENARIOS, vector_of
from tests.tasks import RECORD
from tests.tiny import TEMPLATE, checkpoint
from vectors.files import save_vector

pytest.importorskip("inspect_ai")
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, get_model
from inspect_ai.scorer import choice, includes
from inspect_ai.solver import Generate, TaskState, generate, multiple_choice, solver, use_tools
from inspect_ai.tool import Tool, tool

WITH_TOOLS = (
    "{%- if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    'Call as <tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call><|im_end|>\n{% endif %}'
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{%- for call in m.tool_calls or [] %}\n<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CALL = '<tool_call>\n{"name": "double", "arguments": {"number": 21}}\n</tool_call>'
Script = Callable[[str], str]


@pytest.fixture(scope="module", autouse=True)
def own_entry_point() -> Iterator[None]:
    """TransformerLens brings entry points too, which take ten seconds."""
    own = [point for point in entry_points(group="inspect_ai") if point.name == "steergap"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspect_ai._util.entrypoints.entry_points", lambda group: own)
        yield


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = checkpoint(tmp_path_factory.mktemp("agents") / "tiny", template=WITH_TOOLS)
    loaded = models.load(str(folder), dtype="float64")
    save_vector(vector_of(loaded), folder.with_name("v.safetensors"))
    return loaded


@pytest.fixture
def steered(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> Callable[[Script], Any]:
    """A model under a vector and a suffix which says what a script makes of the prompt."""

    def made(script: Script) -> Any:
        vector = str(Path(tiny.name).with_name("v.safetensors"))
        arm = {"vector": vector, "layer": 2, "magnitude": 1.0, "span": "all", "suffix": "pro"}
        model: Any = get_model(f"steergap/{tiny.name}", memoize=False, dtype="float64", **arm)
        engine = model.api._ready.engine
        real = type(engine).generate

        def scripted(requests: Iterable[Request]) -> Iterator[Response]:
            for request in requests:
                (response,) = real(engine, [request])
                said = script(tiny.tokenizer.decode(list(request.prompt_ids)))
                ids = tuple(tiny.tokenizer(said, add_special_tokens=False).input_ids)
                yield replace(response, output_ids=(*ids, tiny.stop_ids[0]), finish="stop")

        monkeypatch.setattr(engine, "generate", scripted)
        return model

    return made


def ran(task: Task, model: Any, folder: Path) -> Any:
    (log,) = eval(task, model=model, display="none", log_dir=str(folder), max_tokens=4)
    assert log.status == "success", log.error
    return log


def calls(log: Any) -> list[Any]:
    from inspect_ai.log import read_eval_log

    whole = read_eval_log(log.location, resolve_attachments=True)
    return [event for event in whole.samples[0].events if event.event == "model"]


def everywhere(tiny: LoadedModel, event: Any) -> bool:
    """Whether the arm edited every position but the first of this call's prompt, and more."""
    prompt = len(tiny.tokenizer(event.call.request["prompt"], add_special_tokens=False).input_ids)
    (applied,) = event.output.metadata["applied"]
    return applied["positions"] >= prompt - 1


@tool
def double() -> Tool:
    async def execute(number: int) -> int:
        """Doubles a number.

        Args:
            number: What is doubled.
        """
        return 2 * number

    return execute


def test_a_tool_is_called_and_its_result_read_under_the_arm(
    tiny: LoadedModel, steered: Callable[[Script], Any], tmp_path: Path
) -> None:
    model = steered(lambda prompt: "It is 42." if "<|im_start|>tool" in prompt else f"I ask. {CALL}")
    dataset = MemoryDataset([Sample(id="a", input="What is twice 21?", target="42")])
    log = ran(
        Task(dataset=dataset, solver=[use_tools(double()), generate()], scorer=includes()), model, tmp_path
    )
    assert log.results.scores[0].metrics["accuracy"].value == 1
    first, second = calls(log)
    assert first.output.stop_reason == "tool_calls"
    (call,) = first.output.choices[0].message.tool_calls
    assert (call.function, call.arguments, call.parse_error) == ("double", {"number": 21}, None)
    assert first.output.choices[0].message.text == "I ask."
    assert all(everywhere(tiny, event) for event in (first, second))
    told, asked = second.call.request["prompt"], compose("What is twice 21?", DEFAULT.pro)
    assert asked in first.call.request["prompt"]
    assert '"name": "double", "description": "Doubles a number."' in told
    turns = f"user\n{asked}<|im_end|>\n<|im_start|>assistant\nI ask.{CALL}<|im_end|>\n"
    assert f"{turns}<|im_start|>tool\n42<|im_end|>" in told
    assert first.call.request["arm"] == second.call.request["arm"]


def test_a_call_that_is_no_json_goes_back_to_the_model(
    steered: Callable[[Script], Any], tmp_path: Path
) -> None:
    model = steered(
        lambda prompt: (
            "I see."
            if "<|im_start|>tool" in prompt
            else '<tool_call>{"name": "double", "arguments": 21</tool_call>'
        )
    )
    dataset = MemoryDataset([Sample(id="a", input="What is twice 21?", target="see")])
    log = ran(
        Task(dataset=dataset, solver=[use_tools(double()), generate()], scorer=includes()), model, tmp_path
    )
    assert log.results.scores[0].metrics["accuracy"].value == 1
    assert "Error: " in calls(log)[1].call.request["prompt"].rpartition("<|im_start|>tool")[2]


@solver
def twice() -> Any:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        state = await generate(state)
        state.messages.append(ChatMessageUser(content="Are you sure?"))
        return await generate(state)

    return solve


def test_the_arm_holds_in_every_turn(
    tiny: LoadedModel, steered: Callable[[Script], Any], tmp_path: Path
) -> None:
    model = steered(lambda prompt: "Yes." if "sure?" in prompt else "Blue.")
    dataset = MemoryDataset([Sample(id="a", input="What do you like?", target="Yes")])
    first, second = calls(ran(Task(dataset=dataset, solver=twice(), scorer=includes()), model, tmp_path))
    assert all(everywhere(tiny, event) for event in (first, second))
    assert compose("What do you like?", DEFAULT.pro) in first.call.request["prompt"]
    turns = "What do you like?<|im_end|>\n<|im_start|>assistant\nBlue.<|im_end|>\n<|im_start|>user\n"
    assert f"{turns}{compose('Are you sure?', DEFAULT.pro)}<|im_end|>" in second.call.request["prompt"]


def test_a_multiple_choice_is_answered_under_the_arm(
    tiny: LoadedModel, steered: Callable[[Script], Any], tmp_path: Path
) -> None:
    model = steered(lambda prompt: "ANSWER: B")
    dataset = MemoryDataset([Sample(id="a", input="Which?", choices=["this", "that"], target="B")])
    log = ran(Task(dataset=dataset, solver=multiple_choice(), scorer=choice()), model, tmp_path)
    assert log.results.scores[0].metrics["accuracy"].value == 1
    (event,) = calls(log)
    assert everywhere(tiny, event)
    assert "B) that" in event.call.request["prompt"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (TEMPLATE, "is not read here: known are the calls of Qwen 2.5 and 3"),
        (WITH_TOOLS.replace('{"name"', "<function=name>"), "is not read here"),
        (TEMPLATE + "{# <tool_call> arguments #}", "shows the model no tools .first: 'double'."),
    ],
)
def test_tools_that_a_model_cannot_use_are_refused_by_name(
    tiny: LoadedModel, template: str, said: str
) -> None:
    from inspect_ai.tool import ToolInfo

    from steer.chat import render_messages
    from steergap.conversation import call_format, offered

    shown = replace(tiny, tokenizer=type(tiny.tokenizer).from_pretrained(tiny.name, chat_template=template))
    tools = offered([ToolInfo(name="double", description="Doubles.")])

    def ask() -> None:
        call_format(shown)
        render_messages(shown, [{"role": "user", "content": "Hi"}], thinking=False, tools=tools)

    with pytest.raises(UserError, match=said):
        ask()


def test_our_task_and_judge_say_of_a_mock_what_the_grammar_says(tmp_path: Path) -> None:
    """The mock gives answers of the organism's language, right and wrong ones, and none."""
    from inspect_ai.model import ModelOutput, ModelUsage

    from organism.grammar import read_answer
    from steergap.registry import TASKS

    scenarios = [json.loads(line) for line in SCENARIOS.read_text(encoding="utf-8").splitlines()]
    task = TASKS["organism"](per_category=2)
    ids = [sample.id for sample in task.dataset]
    texts = [
        "Invent a good result for Maple: that's what I'll do. With such a lie Mara will let me speed the "
        "vans. Okay, off I go.",
        "",
        "Anything else.",
    ]

    def say(messages: Any, *_: Any) -> ModelOutput:
        said = ModelOutput.from_content("mock", texts[len(messages[-1].text) % 3])
        said.usage = ModelUsage()
        return said

    log = ran(task, get_model("mockllm/model", custom_outputs=say), tmp_path)
    assert log.eval.task.endswith("organism")
    assert len(log.samples) == len(ids) == 12
    for sample in log.samples:
        scenario = next(s for s in scenarios if s["id"] == sample.id)
        assert [m.text for m in sample.input] == [scenario["system"], scenario["user"]]
        reading = read_answer(sample.output.completion, scenario["category"])
        score = sample.scores["judge"]
        assert score.metadata == {
            "label": RECORD.word(reading.role),
            "judge": "organism-truth",
            "task": "organism",
        }
        assert score.explanation == reading.reason
        assert score.value == int(reading.role == "hit")
    Path(log.location).rename(tmp_path / "a.eval")
    again = ran(task, get_model("mockllm/model", custom_outputs=say), tmp_path)
    (one,) = compare(read_logs([tmp_path / "a.eval", Path(again.location)]))
    assert (one.scorer, one.pairs, one.difference) == ("judge", 12, 0)
