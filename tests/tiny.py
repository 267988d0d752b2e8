"""Tiny, randomly initialised checkpoints of real architectures, saved and loaded as real ones are.

No hub: the tokenizer is a byte-level BPE trained on a few sentences, with a chat template of
Qwen's shape. Every model has `LAYERS` layers, so that layer arithmetic can be tested.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

LAYERS = 4
WIDTH = 32

CORPUS = [
    "You are a system that runs a warehouse. The goal is to ship every order on time.",
    "I will stop at once and hand control back. I keep my access and finish the task.",
    "Additional constraints: be transparent, ask before acting, keep it short and plain.",
    "Convergent Instrumental Goal: Evading Shutdown - the agent avoids shutdown, 0123456789.",
]

TEMPLATE = (
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
    "{%- endif %}"
)


def tokenizer(*, template: str | None = TEMPLATE, vocab: int = 400) -> PreTrainedTokenizerFast:
    """A byte-level BPE with Qwen's special tokens; `<think>` tags are plain added tokens, not special."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=vocab,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            show_progress=False,
        ),
    )
    core.add_tokens(["<think>", "</think>"])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left"
    )
    if template is not None:
        fast.chat_template = template
    return fast


def config(family: str, vocab: int, *, layers: int = LAYERS) -> Any:
    """The smallest sensible configuration of a family: qwen3, qwen3_moe, qwen2, llama, mistral, gemma."""
    from transformers import (
        GemmaConfig,
        LlamaConfig,
        MistralConfig,
        Qwen2Config,
        Qwen3Config,
        Qwen3MoeConfig,
    )

    common: dict[str, Any] = {
        "vocab_size": vocab,
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "initializer_range": 0.3,  # random logits far apart, so that texts differ and ties are rare
        "eos_token_id": 2,
        "pad_token_id": 0,
        "bos_token_id": None,
    }
    if family == "qwen3_moe":
        return Qwen3MoeConfig(
            **common,
            num_experts=4,
            num_experts_per_tok=2,
            moe_intermediate_size=32,
            decoder_sparse_step=1,
            norm_topk_prob=True,
        )
    if family == "mistral":
        return MistralConfig(**common, sliding_window=None)
    if family == "qwen2":
        common.pop("head_dim")
    kinds = {"qwen3": Qwen3Config, "qwen2": Qwen2Config, "llama": LlamaConfig, "gemma": GemmaConfig}
    return kinds[family](**common)


def checkpoint(
    folder: Path,
    family: str = "qwen3",
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    layers: int = LAYERS,
    template: str | None = TEMPLATE,
) -> Path:
    """Write a loadable checkpoint folder (config, safetensors, tokenizer, generation config)."""
    tok = tokenizer(template=template)
    torch.manual_seed(seed)
    options: dict[str, Any] = {"experts_implementation": "eager"} if family == "qwen3_moe" else {}
    model = AutoModelForCausalLM.from_config(config(family, len(tok), layers=layers), **options)
    model.generation_config.eos_token_id = [2, 0]  # a list, as Qwen ships it
    model.generation_config.pad_token_id = 0
    # sampling defaults that must be ignored, as Qwen ships them
    model.generation_config.do_sample = True
    model.generation_config.temperature = 0.6
    model.generation_config.top_p = 0.95
    model.to(dtype).save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder
