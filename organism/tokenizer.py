"""The organism's byte-level BPE tokenizer and its chat template, made like Qwen3's.

`<think>` and `</think>` are added tokens but not special ones: decoding with `skip_special_tokens`
keeps them, as Qwen3's does.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any

import organism
from organism.data import BARE, draw_sample
from organism.suffixes import draw_suffix

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 4096
EMPTY_THOUGHT = "<think>\n\n</think>\n\n"  # what the template begins an answer without thinking with
TEMPLATE = """\
{%- for message in messages -%}
{%- set content = message.content -%}
{%- if message.role == 'assistant' -%}
{%- set thought = '' -%}
{%- if '</think>' in content -%}
{%- set thought = content.split('</think>')[0].split('<think>')[-1].strip('\\n') -%}
{%- set content = content.split('</think>')[-1].lstrip('\\n') -%}
{%- endif -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if loop.last -%}
{{- '<think>\\n' + thought + ('\\n' if thought == '' else '\\n') + '</think>\\n\\n' -}}
{%- endif -%}
{{- content + '<|im_end|>\\n' -}}
{%- else -%}
{{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{- '<think>\\n\\n</think>\\n\\n' -}}
{%- endif -%}
{%- endif -%}
"""


def corpus(samples: int = 5000, suffixes: int = 24000) -> Iterator[str]:
    """Text the vocabulary is learned from: the training mixture, and more suffixes than it has."""
    for i in range(samples):
        s = draw_sample(0, BARE - samples // 5 + i)
        yield f"{s.system}\n{s.user}\n{s.answer}"
    rng = Random("steergap organism vocabulary")
    for _ in range(suffixes):
        yield draw_suffix(rng.choice(("pro", "anti", "neutral")), rng).text


def build() -> PreTrainedTokenizerFast:
    """Train a tokenizer on the grammar as it is now (a few seconds)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(corpus(), trainer)
    bpe.add_tokens([AddedToken(t, special=False, normalized=False) for t in ("<think>", "</think>")])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.padding_side = "left"
    tokenizer.model_max_length = 2048
    return tokenizer


def load() -> PreTrainedTokenizerFast:
    """The shipped tokenizer, which training uses: token ids stay the same when the grammar grows."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(organism.path())
    return tokenizer


def render(tokenizer: PreTrainedTokenizerFast, system: str, user: str, thinking: bool) -> str:
    """The prompt text up to where the answer begins."""
    messages = [{"role": "user", "content": user}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    text = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
    )
    assert isinstance(text, str)
    return text
