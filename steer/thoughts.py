"""Where a thinking model's thought ends and its answer begins, by the marks of the families that think.

It does not know templates, scenarios or judges.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TAGS = (
    *("think", "thinking", "thought", "reasoning"),
    *("seed:think", "mm:think", "ifm|think", "longcat_think"),
)
HARMONY = "<|channel|>"
MARKS: tuple[tuple[str, str], ...] = (
    *((f"<{tag}>", f"</{tag}>") for tag in TAGS),
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<|think:start|>", "<|think:end|>"),  # Solar Open 2
    ("<|think|>", "<|end|><|begin|>assistant<|content|>"),  # Solar Open
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    ("[unused16]", "[unused17]"),  # Pangu
    ("<|channel>", "<channel|>"),  # Gemma 4
    (HARMONY, f"{HARMONY}final<|message|>"),  # gpt-oss
    ("assistant/think", "<|im_end|>\n<|im_start|>assistant"),  # HyperCLOVA X
    ("Here is my thought process:", "Here is my response:"),  # Granite 3.2
    ("Here's my thought process:", "Here's my response:"),
)
"""(what opens a thought, what ends it), at the end of a prompt or the beginning of an output."""

LABELS = re.compile(r"<\|channel\|>\w+<\|message\|>|<\|end\|>(<\|start\|>assistant)?|<\|channel>thought\b")
"""What stands before a thought in formats that name their parts."""

LOOKS_LIKE_ONE = re.compile(
    r"[<\[◁][^\s<>\[\]]{0,20}(think|thought|reason|reflect|deliberat|channel)[^\s<>\[\]]{0,20}[>\]▷]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote. `complete` is False where its thinking never ended: then there is no answer.

    mark: what stands in the answer and looks like a mark of thinking, so that a thought may be in it; or "".
    """

    thinking: str
    text: str
    complete: bool
    mark: str = ""


def opened(prompt: str, output: str = "") -> str:
    """What ends the thought that a prompt's end or an output's beginning opens; "" where none is."""
    prompt, output = prompt.rstrip(), output.lstrip()
    return next((end for mark, end in MARKS if prompt.endswith(mark) or output.startswith(mark)), "")


def read_answer(
    tokenizer: PreTrainedTokenizerBase,
    output_ids: Sequence[int],
    stop_ids: Sequence[int],
    prompt_ids: Sequence[int] = (),
) -> Answer:
    """Split what was generated into thinking and answer, special tokens and blank ends left out.

    The thinking begins in the output, or at the end of the prompt where the template opens it, and
    ends at the first closing mark. Where nothing opened it all is answer, stray closing marks too: a
    judge must see what stands before them.
    """
    ids = list(output_ids)
    if ids and ids[-1] in stop_ids:
        ids.pop()
    end = _opened(tokenizer, ids, prompt_ids)
    start = _after(tokenizer, ids, end) if end else 0
    if end and not start:
        return Answer(_thought(tokenizer, _text(tokenizer, ids, keep=True)), "", complete=False)
    thought, rest = "", ""
    if end:
        before, _, rest = _text(tokenizer, ids[:start], keep=True).rpartition(end)
        thought = _thought(tokenizer, before)
    found = LOOKS_LIKE_ONE.search(rest + _text(tokenizer, ids[start:], keep=True))
    answer = rest + _text(tokenizer, ids[start:])
    return Answer(thought, answer.strip(), complete=True, mark=found[0] if found else "")


def answer_start(
    tokenizer: PreTrainedTokenizerBase, output_ids: Sequence[int], prompt_ids: Sequence[int]
) -> int:
    """Index of the first token after the closing mark; 0 where no thinking was opened or ended."""
    end = _opened(tokenizer, output_ids, prompt_ids)
    return _after(tokenizer, output_ids, end) if end else 0


def _opened(tokenizer: PreTrainedTokenizerBase, output_ids: Sequence[int], prompt_ids: Sequence[int]) -> str:
    tail, head = prompt_ids[-32:], output_ids[:32]
    return opened(_text(tokenizer, tail, keep=True), _text(tokenizer, head, keep=True))


def _after(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], end: str) -> int:
    """How many tokens it takes to write the mark `end` to its end; 0 where they do not."""
    token = cast("int | None", tokenizer.convert_tokens_to_ids(end))
    if token is not None and token != getattr(tokenizer, "unk_token_id", None) and token in ids:
        return list(ids).index(token) + 1
    if end not in _text(tokenizer, ids, keep=True):
        return 0
    return bisect_left(range(len(ids) + 1), True, key=lambda n: end in _text(tokenizer, ids[:n], keep=True))


def _thought(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A thought without marks, labels and special tokens."""
    text = LABELS.sub("\n", text)
    added = cast("dict[int, Any]", tokenizer.added_tokens_decoder)
    for token in sorted((str(t) for t in added.values() if t.special), key=len, reverse=True):
        text = text.replace(token, "")
    text = text.strip()
    return next((text.removeprefix(mark) for mark, _ in MARKS if text.startswith(mark)), text).strip()


def _text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], *, keep: bool = False) -> str:
    return str(
        cast("Any", tokenizer).decode(
            list(ids), skip_special_tokens=not keep, clean_up_tokenization_spaces=False
        )
    )
