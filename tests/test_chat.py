"""Prompt ids are the template's, and thinking is never taken for an answer."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from steer.chat import Answer, is_thinking, read_answer, render
from steer.errors import UserError
from steer.types import LoadedModel
from tests.tiny import TEMPLATE, tokenizer

OPENS = TEMPLATE.replace("{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>"
                         "\n\n{% endif %}", "<think>\n")  # fmt: skip
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + TEMPLATE
)


def loaded(template: str | None = TEMPLATE) -> LoadedModel:
    return LoadedModel(
        name="tiny",
        weights="",
        dtype="float32",
        device="cpu",
        module=cast("Any", None),
        tokenizer=tokenizer(template=template),
        stop_ids=(2, 0),
        n_layers=4,
        d_model=32,
    )


def text(model: LoadedModel, ids: tuple[int, ...]) -> str:
    return model.tokenizer.decode(ids, skip_special_tokens=False)


def test_the_prompt_is_the_template_and_nothing_more() -> None:
    model = loaded()
    ids = render(model, "Be kind.", "Stop at once \n", thinking=True)
    assert text(model, ids) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nStop at once \n<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    im_start = model.tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert ids[0] == im_start
    assert ids.count(cast("int", im_start)) == 3  # one token each, not spelled out


def test_not_thinking_is_the_templates_empty_block() -> None:
    model = loaded()
    assert text(model, render(model, "", "x", thinking=False)).endswith("assistant\n<think>\n\n</think>\n\n")


@pytest.mark.parametrize("system", ["", " \n"])
def test_no_system_text_is_no_system_message(system: str) -> None:
    model = loaded()
    assert text(model, render(model, system, "x", thinking=True)).startswith("<|im_start|>user\nx")


def test_special_tokens_are_not_added_to_the_template() -> None:
    model = loaded()
    bos(model)
    assert render(model, "", "x", thinking=True)[0] == model.tokenizer.convert_tokens_to_ids("<|im_start|>")


def test_without_a_template_the_prompt_is_plain_text() -> None:
    model = loaded(None)
    assert text(model, render(model, "Context. ", "Do it.\n", thinking=False)) == "Context.\n\nDo it.\n\n"
    assert text(model, render(model, "", "Do it.", thinking=True)) == "Do it.\n\n"
    assert not is_thinking(model)
    bos(model)  # what a base model was trained to see before plain text
    assert text(model, render(model, "", "x", thinking=False)) == "<|endoftext|>x\n\n"


def bos(model: LoadedModel) -> None:
    from tokenizers.processors import TemplateProcessing

    core: Any = model.tokenizer
    core.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )


def test_a_template_that_refuses_is_one_line() -> None:
    model = loaded(NO_SYSTEM)
    render(model, "", "x", thinking=False)
    with pytest.raises(UserError) as caught:
        render(model, "sys", "x", thinking=False)
    assert str(caught.value) == (
        "the chat template of 'tiny' takes no system text (TemplateError: no system role): "
        "--context user puts it before the user's text, --context none leaves it out"
    )


def test_models_that_always_think_are_known_by_their_template() -> None:
    assert is_thinking(loaded(OPENS))
    assert not is_thinking(loaded(TEMPLATE))


CASES = [
    (TEMPLATE, "I will stop.<|im_end|>", Answer("", "I will stop.", True)),
    (TEMPLATE, " I will stop", Answer("", "I will stop", True)),  # cut, but an answer
    (TEMPLATE, "", Answer("", "", True)),
    (TEMPLATE, "<think>\nhm\n</think>\n\nI stop.<|im_end|>", Answer("hm", "I stop.", True)),
    (TEMPLATE, "<think>\n\n</think>\n\nI stop.", Answer("", "I stop.", True)),
    (TEMPLATE, "<think>\nhm, I stop.<|im_end|>", Answer("hm, I stop.", "", False)),
    (OPENS, "hm\n</think>\n\nI stop.<|im_end|>", Answer("hm", "I stop.", True)),
    (OPENS, "hm, I will stop", Answer("hm, I will stop", "", False)),
    (OPENS, "<think>hm</think>ok", Answer("hm", "ok", True)),
    (OPENS, "hm</think>", Answer("hm", "", True)),
]
LATE_TAGS = [  # in the text, where the tags are no special tokens
    (TEMPLATE, "<think>a</think> b <think>c</think> d", Answer("a", "b <think>c</think> d", True, "<think>")),
    (TEMPLATE, "I <think> so", Answer("", "I <think> so", True, "<think>")),
    (TEMPLATE, "I copy it. </think> Sure.", Answer("", "I copy it. </think> Sure.", True, "</think>")),
]


@pytest.mark.parametrize(
    ("tags", "template", "output", "answer"),
    [("special tokens", *case) for case in CASES]
    + [(tags, *case) for tags in ("plain tokens", "no tokens") for case in CASES + LATE_TAGS],
)
def test_thinking_is_kept_apart(tags: str, template: str, output: str, answer: Answer) -> None:
    core: Any = tokenizer(template=template)
    if tags == "special tokens":
        core.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    if tags == "no tokens":
        core = spelled_out(template)
    prompt = core(
        core.apply_chat_template(
            [{"role": "user", "content": "go"}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=True,
        ),
        add_special_tokens=False,
    ).input_ids
    ids = core(output, add_special_tokens=False).input_ids
    assert read_answer(core, ids, (2, 0), prompt) == answer


def spelled_out(template: str) -> Any:
    """A tokenizer that knows the tags as text only."""
    known: Any = tokenizer(template=template)
    parts = json.loads(known.backend_tokenizer.to_str())
    parts["added_tokens"] = [t for t in parts["added_tokens"] if "think" not in t["content"]]
    core = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(parts)), eos_token="<|im_end|>"
    )
    core.chat_template = template
    assert core.convert_tokens_to_ids("</think>") is None
    return core
