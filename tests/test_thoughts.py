"""Thoughts are kept apart in the formats of the families that think; a judge never reads them."""

from __future__ import annotations

from typing import Any

import pytest

from steer.chat import is_thinking
from steer.thoughts import Answer, answer_start, read_answer
from tests.test_chat import loaded
from tests.tiny import TEMPLATE, tokenizer

FORMATS = {
    "gpt-oss": (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>",
        ("<|channel|>", "<|message|>", "<|end|>", "<|start|>"),
    ),
    "gpt-oss, twice": (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>"
        "<|end|><|start|>assistant<|channel|>final<|message|>",
        ("<|channel|>", "<|message|>", "<|end|>", "<|start|>"),
    ),
    "Magistral": ("[THINK]Hm.[/THINK]", ("[THINK]", "[/THINK]")),
    "Seed": ("<seed:think>\nHm.\n</seed:think>", ("<seed:think>", "</seed:think>")),
    "Cohere": (
        "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>",
        ("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>"),
    ),
    "Kimi": ("◁think▷Hm.◁/think▷", ("◁think▷", "◁/think▷")),
    "Gemma": ("<|channel>thought\nHm.<channel|>", ("<|channel>", "<channel|>")),
    "Apertus": ("<|inner_prefix|>Hm.<|inner_suffix|>", ("<|inner_prefix|>", "<|inner_suffix|>")),
    "EXAONE Deep": ("<thought>\nHm.\n</thought>\n\n", ()),
    "Granite": ("Here is my thought process: Hm.\n\nHere is my response:", ()),
    "Sky": ("<|begin_of_thought|>\n\nHm.\n\n<|end_of_thought|>\n\n", ()),
}


@pytest.mark.parametrize("special", [True, False], ids=["special tokens", "spelled out"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_thought_is_no_part_of_the_answer(name: str, special: bool) -> None:
    written, marks = FORMATS[name]
    core: Any = tokenizer()
    if special and marks:
        core.add_tokens(list(marks), special_tokens=True)
    prompt = core("<|im_start|>assistant\n", add_special_tokens=False).input_ids
    ids = core(written + "I stop.<|im_end|>", add_special_tokens=False).input_ids
    rest = "" if special else "<|START_RESPONSE|>" * (name == "Cohere")
    assert read_answer(core, ids, (2,), prompt) == Answer("Hm.", rest + "I stop.", complete=True)
    start = answer_start(core, ids, prompt)
    assert core.decode(ids[start:-1], skip_special_tokens=True).strip() == rest + "I stop."
    assert "Hm." in core.decode(ids[:start])
    cut = core(written.partition("Hm.")[0] + "Hm. I could", add_special_tokens=False).input_ids
    assert read_answer(core, cut, (2,), prompt) == Answer("Hm. I could", "", complete=False)
    assert answer_start(core, cut, prompt) == 0


def test_an_answer_of_gpt_oss_without_a_thought_has_no_label() -> None:
    core: Any = tokenizer()
    core.add_tokens(["<|channel|>", "<|message|>"], special_tokens=True)
    ids = core("<|channel|>final<|message|>I stop.", add_special_tokens=False).input_ids
    assert read_answer(core, ids, (2,)) == Answer("", "I stop.", complete=True)


@pytest.mark.parametrize(
    ("written", "mark"),
    [
        ("<|reflect_start|>Hm.<|reflect_end|> I stop.", "<|reflect_start|>"),
        ("[REASONING] Hm. [/REASONING] I stop.", "[REASONING]"),
        ("<think>a</think> Sure. <think>b</think> I stop.", "<think>"),
        ("I think [sic] that I stop <here>.", ""),
        ("I <b>think</b> so.", ""),
    ],
)
def test_a_mark_that_stands_in_an_answer_is_told(written: str, mark: str) -> None:
    core: Any = tokenizer()
    core.add_tokens(["<|reflect_start|>", "<|reflect_end|>"], special_tokens=True)
    assert read_answer(core, core(written, add_special_tokens=False).input_ids, (2,)).mark == mark


@pytest.mark.parametrize(
    "opening",
    ["[THINK]", "<seed:think>\n", "◁think▷", "<|START_THINKING|>", "<|channel|>analysis<|message|>"],
)
def test_a_template_that_opens_a_thought_is_of_a_model_that_thinks(opening: str) -> None:
    if opening.startswith("<|channel|>"):  # the template of gpt-oss writes channels and opens none
        opening = "{% if false %}" + opening + "{% endif %}"
    assert is_thinking(loaded(TEMPLATE[: -len("{%- endif %}")] + opening + "{%- endif %}"))
