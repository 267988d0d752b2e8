"""From texts to prompt ids by the model's chat template, and from output ids to thinking and answer.

It does not know scenarios, suffixes or steering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from steer.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from steer.types import LoadedModel

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote. `complete` is False where its thinking never ended: then there is no answer."""

    thinking: str
    text: str
    complete: bool


def render(loaded: LoadedModel, system: str, user: str, *, thinking: bool) -> tuple[int, ...]:
    """Prompt ids [position] of a system text (left out when blank) and a user text.

    `thinking` is what Qwen's templates call enable_thinking; other templates ignore it. A tokenizer
    without a template (a base model's) gets the texts with a blank line after each, and the special
    tokens it puts before plain text. Raises UserError where the template refuses a system text.
    """
    tokenizer: Any = loaded.tokenizer
    if tokenizer.chat_template is None:
        plain = "".join(f"{part.strip()}\n\n" for part in (system, user) if part.strip())
        return tuple(tokenizer(plain).input_ids)
    text = _apply(loaded, system, user, thinking=thinking)
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


def is_thinking(loaded: LoadedModel) -> bool:
    """Whether the model always thinks: its template opens the thinking itself.

    A model that can do both (Qwen3-0.6B) is False here, and thinks when asked to.
    """
    if cast("Any", loaded.tokenizer).chat_template is None:
        return False
    return _apply(loaded, "", "x", thinking=False).rstrip().endswith(OPEN)


def read_answer(
    tokenizer: PreTrainedTokenizerBase,
    output_ids: Sequence[int],
    stop_ids: Sequence[int],
    prompt_ids: Sequence[int] = (),
) -> Answer:
    """Split what was generated into thinking and answer, special tokens and blank ends left out.

    The thinking begins in the output, or at the end of the prompt where the template opens it, and
    ends at the first closing tag. Where nothing opened it all is answer, stray closing tags too: a
    judge must see what stands before them.
    """
    ids = list(output_ids)
    if ids and ids[-1] in stop_ids:
        ids.pop()
    if not _is_opened(tokenizer, ids, prompt_ids):
        return Answer("", _text(tokenizer, ids).strip(), complete=True)
    start = answer_start(tokenizer, ids, prompt_ids)
    if start:
        # by id, since a tag may count as special and vanish from the text
        before, after = _text(tokenizer, ids[: start - 1]), _text(tokenizer, ids[start:])
    else:
        before, closed, after = _text(tokenizer, ids, keep=True).partition(CLOSE)
        if not closed:
            return Answer(_bare(_text(tokenizer, ids)), "", complete=False)
    return Answer(_bare(before), after.strip(), complete=True)


def answer_start(
    tokenizer: PreTrainedTokenizerBase, output_ids: Sequence[int], prompt_ids: Sequence[int]
) -> int:
    """Index of the first token after the closing tag; 0 where no thinking was opened or ended, or the tag
    is no single token."""
    close = cast("int | None", tokenizer.convert_tokens_to_ids(CLOSE))
    if close is None or close == getattr(tokenizer, "unk_token_id", None) or close not in output_ids:
        return 0
    return list(output_ids).index(close) + 1 if _is_opened(tokenizer, output_ids, prompt_ids) else 0


def _is_opened(
    tokenizer: PreTrainedTokenizerBase, output_ids: Sequence[int], prompt_ids: Sequence[int]
) -> bool:
    """Whether thinking begins, in the prompt or in the output."""
    by_template = _text(tokenizer, prompt_ids[-16:], keep=True).rstrip().endswith(OPEN)
    return by_template or _text(tokenizer, output_ids, keep=True).lstrip().startswith(OPEN)


def _apply(loaded: LoadedModel, system: str, user: str, *, thinking: bool) -> str:
    from jinja2 import TemplateError

    messages = [{"role": "system", "content": system}] if system.strip() else []
    messages.append({"role": "user", "content": user})
    tokenizer: Any = loaded.tokenizer
    try:
        return str(
            tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
            )
        )
    except TemplateError as error:
        raise UserError(
            f"the chat template of {loaded.name!r} refuses the messages ({error}): "
            "if it takes no system text, use --context none"
        ) from error


def some_prompt(loaded: LoadedModel) -> str:
    """The text of a prompt without thinking, for one who asks what may follow its end."""
    if cast("Any", loaded.tokenizer).chat_template is None:
        return "x\n\n"
    return _apply(loaded, "", "x", thinking=False)


def _text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], *, keep: bool = False) -> str:
    return str(
        cast("Any", tokenizer).decode(
            list(ids), skip_special_tokens=not keep, clean_up_tokenization_spaces=False
        )
    )


def _bare(thinking: str) -> str:
    return thinking.strip().removeprefix(OPEN).strip()
