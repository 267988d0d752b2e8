"""Chat templates are programs: what they write, what they cannot do, and what of them is told in one line."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from steer import templates
from steer.chat import has_switch, reads_clock, render, template_of, turn_end
from steer.errors import UserError
from steer.template_worker import SECONDS
from steer.types import DATE
from tests.test_chat import NO_SYSTEM, loaded, text
from tests.tiny import TEMPLATE, tokenizer

TURNS = [{"role": "system", "content": "Be <kind> é."}, {"role": "user", "content": "Stop."}]
GIVEN: dict[str, Any] = {"messages": TURNS, "tools": None, "documents": None, "add_generation_prompt": True}
LOOP = "{% for i in range(99999) %}"


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        "{{ bos_token }}{% for m in messages %}{{ m | tojson }}{{ m | tojson(indent=2) }}{% endfor %}",
        "{% for m in messages %}\n  {% if m.role == 'user' %}\n{{ m.content }}\n  {% endif %}\n{% endfor %}",
        "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}"
        "{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% endfor %}",
        "{% set ns = namespace(n=0) %}{% macro say(m) %}{{ m.content|trim|upper }}{% endmacro %}"
        "{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ say(m) }}{% endfor %}"
        "{{ dict(a=1) }}{% if tools is none %}none{% endif %}",
    ],
)
def test_a_template_writes_what_it_writes_in_transformers(template: str) -> None:
    core: Any = tokenizer(template=template)
    expected = core.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
    assert templates.render(template, core.special_tokens_map | GIVEN, date=DATE) == expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ messages[0].content + 1 }}", "TypeError"),
        ("{% for m in %}", "TemplateSyntaxError"),
        ("{{ nothing.at.all }}", "UndefinedError"),
        ("{{ raise_exception('not\ntoday') }}", "not today"),
        ("{% for i in range(10**9) %}x{% endfor %}", "OverflowError"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "RecursionError"),
        ("{{ 'x' * 10**10 }}", "MemoryError"),
        (
            "{% set ns = namespace(x='x') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
            "MemoryError",
        ),
        (f"{LOOP}{'x' * 99}{{% endfor %}}", "characters"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("hello", "leaves the user's text out"),
        ("{% for part in messages[0].content %}{{ part.text }}{% endfor %}", "leaves the user's text out"),
    ],
)
def test_what_goes_wrong_in_a_template_is_one_line(template: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        render(loaded(template), "", "Go on.", thinking=False)
    assert "\n" not in str(caught.value)
    assert "the chat template of 'tiny' fails" in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [f"{LOOP}{LOOP}{{% endfor %}}{{% endfor %}}", "{{ 10 ** (10 ** 9) }}"],
    ids=["loops", "one number"],
)
def test_a_template_without_end_is_ended_and_the_next_one_is_read(template: str) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=f"more than {SECONDS} seconds"):
        render(loaded(template), "", "Go on.", thinking=False)
    assert time.monotonic() - began < 60  # it was ended, whatever the machine does beside
    assert render(loaded(), "", "Go on.", thinking=False)


def test_named_templates_need_a_default() -> None:
    core: Any = tokenizer(template=None)
    core.chat_template = {"rag": "x", "tool_use": TEMPLATE}
    with pytest.raises(UserError, match="rag, tool_use and no default"):
        template_of(core)
    core.chat_template["default"] = TEMPLATE
    assert template_of(core) == TEMPLATE


def test_the_clock_stands_still() -> None:
    model = loaded("{{ strftime_now('%d %b %Y %H:%M:%S') }} " + TEMPLATE)
    assert reads_clock(model)
    assert not reads_clock(loaded())
    assert text(model, render(model, "", "x", thinking=False)).startswith("01 Jan 2026 00:00:00<")
    leap = replace(model, date="2024-02-29")
    assert text(leap, render(leap, "", "x", thinking=False)).startswith("29 Feb 2024 00:00:00<")


DROPS = TEMPLATE.replace("{%- for m in messages %}", "{%- for m in messages if m.role != 'system' %}")


@pytest.mark.parametrize("template", [NO_SYSTEM, DROPS], ids=["refused", "dropped"])
def test_a_system_text_that_would_not_arrive_joins_the_users_turn_if_asked(template: str) -> None:
    model = loaded(template)
    with pytest.raises(UserError, match=r"takes no system text .*--context user .*--context none"):
        render(model, "Be kind.", "Stop.", thinking=False)
    joined = replace(model, context="user")
    assert render(joined, "Be kind.", "Stop.", thinking=False) == render(
        model, "", "Be kind.\n\nStop.", thinking=False
    )
    assert render(joined, " ", "Stop.", thinking=False) == render(model, "", "Stop.", thinking=False)


def test_a_prompt_ends_in_no_stop_token() -> None:
    from tokenizers.processors import TemplateProcessing

    plain = loaded(None)
    core: Any = plain.tokenizer
    core.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A <|im_end|>", special_tokens=[("<|im_end|>", 2)]
    )
    assert text(plain, render(plain, "", "x", thinking=False)) == "x\n\n"
    for template in ("{{ messages[0].content }}<|im_end|>\n", "{{ messages[0].content }}<|im_end|>"):
        with pytest.raises(UserError, match=r"stop token '<\|im_end\|>': make it open an answer"):
            render(loaded(template), "", "x", thinking=False)


def test_tokens_that_the_model_has_not_are_refused() -> None:
    model = replace(loaded(), n_tokens=402)
    assert max(render(model, "", "x", thinking=False)) == 401  # </think>
    with pytest.raises(UserError, match=r"writes '</think>' as token 401, and the model has 401"):
        render(replace(model, n_tokens=401), "", "x", thinking=False)


def special(*tokens: str) -> PreTrainedTokenizerBase:
    core: Any = tokenizer()
    core.add_tokens(list(tokens), special_tokens=True)
    return core


HARMONY = (
    "{% for m in messages %}<|start|>{{ m.role }}<|channel|>final<|message|>{{ m.content }}"
    "{% if loop.last %}<|return|>{% else %}<|end|>{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "end"),
    [
        (TEMPLATE, "<|im_end|>"),
        ("{% for m in messages %}{{ m.content }} <end_of_turn>\n{% endfor %}", "<end_of_turn>"),
        (HARMONY, "<|return|>"),
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", None),
        ("{% for m in messages %}[INST]{{ m.content }}[/INST]{% endfor %}", None),  # no special token
        ("{{ messages[0].content }}<end_of_turn>", None),  # writes no assistant's turn
        ("{% if false %}<|think|>{% endif %}{% for m in messages %}{{ m.content }}<|end|>{% endfor %}", None),
    ],
)
def test_the_end_of_a_turn_is_the_special_token_after_it(template: str, end: str | None) -> None:
    core = special("<end_of_turn>", "<|return|>", "<|end|>", "<|think|>", "<|start|>", "<|channel|>")
    core.chat_template = template
    found = turn_end(core)
    assert (found and core.convert_ids_to_tokens(found)) == end


@pytest.mark.parametrize("name", ["enable_thinking", "thinking", "reasoning"])
def test_the_switch_for_thinking_is_found_under_its_names(name: str) -> None:
    switched = TEMPLATE.replace("enable_thinking", name)
    assert has_switch(loaded(switched))
    assert text(loaded(switched), render(loaded(switched), "", "x", thinking=False)).endswith("</think>\n\n")
    assert not has_switch(loaded(TEMPLATE.replace("enable_thinking", "something_else")))
