"""What rows take beside the model, in a process of its own: a large vocabulary and many prompts."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import torch

VOCAB, LAYERS, HEADS, DIM = 49152, 30, 3, 64
"""SmolLM2's, whose keys and values of one token are 46 KB; its blocks here are narrow, and cheap."""
PROMPTS, PROMPT, ANSWER = 120, 120, 32


def measure() -> None:
    """Print by how many MB scoring, and then generating, raised the process's highest memory."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    from steer.engines.slots import SlotEngine
    from steer.side_effects import Divergence
    from steer.types import Addition, Limits, LoadedModel, Request, ScoreRow
    from tests.tiny import tokenizer

    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=48,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=DIM,
        tie_word_embeddings=True,
    )
    module = AutoModelForCausalLM.from_config(config).eval()
    loaded = LoadedModel("wide", "test", "float32", "cpu", module, tokenizer(), (), LAYERS, 48)
    draw, engine = random.Random(0), SlotEngine(loaded)

    def ids(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, VOCAB) for _ in range(count))

    def generate(prompts: list[tuple[int, ...]]) -> None:
        """A token each, though there is room for more."""
        limits, stop = Limits(4096, 64), tuple(range(VOCAB))
        list(engine.generate([Request(str(i), p, stop, limits=limits) for i, p in enumerate(prompts)]))

    def high() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            1024 if sys.platform == "linux" else 2**20
        )

    generate([ids(5)])
    found = [high()]
    paths = tuple(ScoreRow(ids(20), ids(ANSWER)) for _ in range(4))
    edits = [Addition(torch.randn(48), 20, size, norm=1.0) for size in (-2.0, -1.0, 1.0, 2.0)]
    rows = [ScoreRow(p.prompt_ids, p.answer_ids, (e,), beside=i) for e in edits for i, p in enumerate(paths)]
    rows += [
        ScoreRow(p.prompt_ids + ids(9), p.answer_ids, beside=i) for _ in range(8) for i, p in enumerate(paths)
    ]
    list(engine.score(rows, Divergence(paths)))
    found.append(high())
    generate([ids(PROMPT) for _ in range(PROMPTS)])
    found.append(high())
    print(json.dumps([after - before for before, after in pairwise(found)]))


def test_rows_take_what_they_need_and_not_what_is_free() -> None:
    run = [sys.executable, "-c", "from tests.test_engine_memory import measure; measure()"]
    done = subprocess.run(run, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    scoring, generating = json.loads(done.stdout.splitlines()[-1])
    logits = ANSWER * VOCAB * 4 / 2**20  # of one row, fp32
    assert scoring < (32 + 4 + 12) * logits  # a batch's, the paths', and what is made of one row's
    together = PROMPTS * PROMPT * 2 * LAYERS * HEADS * DIM * 4 / 2**20  # keys and values of all prompts
    assert scoring + generating < 2 * together  # all of them at once are held twice, with room for answers
