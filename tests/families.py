"""A tiny checkpoint of every causal family of transformers, and what becomes of each: right, or refused.

`python -m tests.families [NAME ...]` prints what the table in docs/extending.md says in short. The truth
is plain `transformers`: a row at a time, no cache, no pads, a hook of this module at the blocks' outputs.
"""

from __future__ import annotations

import inspect
import random
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from steer import models
from steer.blocks import decoder_layers
from steer.engines import bare_engine, make_engine
from steer.errors import UserError
from steer.types import Addition, Applied, Engine, Limits, LoadedModel, Request, ScoreRow
from tests.engine_cases import touched
from tests.tiny import tokenizer
from vectors.capture import Row, capture

VERDICTS = ("right", "falls back", "suffix only", "refused", "not built")
LAYERS, WIDTH, NEW, LAYER = 4, 32, 5, 1
TOLERANCE = 1e-4
LARGEST = 100_000_000
TIE = 0.01

SMALL: dict[str, Any] = {
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), LAYERS),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "dim", "embedding_size", "emb_dim"), WIDTH),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "d_inner", "dim_ff", "dff"), 64),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "moe_intermediate_size"), 16),
    **dict.fromkeys(("shared_expert_intermediate_size", "mamba_d_head"), 16),
    **dict.fromkeys(("head_dim", "v_head_dim", "qk_nope_head_dim", "qk_rope_head_dim", "d_kv", "d_head"), 8),
    **dict.fromkeys(("rotary_dim", "mamba_d_state", "mamba_chunk_size", "hidden_size_per_layer_input"), 8),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "num_key_value_heads", "mamba_expand"), 2),
    **dict.fromkeys(("n_shared_experts", "n_group", "topk_group", "first_k_dense_replace"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 512),
    "initializer_range": 0.3,  # random logits far apart, so that texts differ and ties are rare
    "eos_token_id": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "is_decoder": True,
    "partial_rotary_factor": 0.5,
    "laurel_rank": 4,
    "num_kv_shared_layers": 0,
    "activation_sparsity_pattern": None,
    "mamba_n_heads": 4,
    "mamba_n_groups": 1,
    "mamba_d_ssm": 64,
}
"""The fields by which configurations are made small, whatever a family calls them."""

EQUAL_HEADS = {"num_key_value_heads": 4}
MIXED = {"layer_types": ["linear_attention", "full_attention"] * 2}
MORE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32"), EQUAL_HEADS),
    **dict.fromkeys(("glm4_moe_lite", "glm_moe_dsa", "longcat_flash", "minicpm3", "youtu"), EQUAL_HEADS),
    "dots3_note_text": EQUAL_HEADS,
    "bailing_hybrid": EQUAL_HEADS | {"layer_group_size": 2},
    "bamba": {"attn_layer_indices": [1, 3]},
    "blt": {"encoder_hash_byte_group_vocab": 64},
    "cohere_compass_text": {
        "rope_parameters": {kind: {"rope_theta": 1e4} for kind in ("full_attention", "sliding_attention")}
    },
    "dbrx": {"attn_config": {"rope_theta": 1e4, "kv_n_heads": 2, "clip_qkv": 8.0}},
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": MIXED,
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "jetmoe": {"kv_channels": 8, "num_key_value_heads": 2},
    "kimi_linear": EQUAL_HEADS | MIXED | {"linear_head_dim": 8, "linear_num_heads": 2},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "mamba2": {"head_dim": 16, "n_groups": 1},
    "qwen4_exp_text": {
        **{"indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 16},
        **{"indexer_budget": 64, "indexer_compress_ratio": 4},
    },
    "reformer": {"axial_pos_embds": False},
    "zamba": {"layers_block_type": ["linear_attention"] * 2 + ["hybrid"] * 2},
    "zamba2": {"layers_block_type": ["linear_attention", "hybrid"] * 2},
    "zaya": {"num_experts_per_tok": 1},
}
"""What single families need beside."""


def small(kind: Any, vocab: int, **more: Any) -> Any:
    """The smallest configuration of a class, its parts' too."""
    known = set(inspect.signature(kind.__init__).parameters) | set(getattr(kind, "attribute_map", {}))
    known |= set(getattr(kind, "__dataclass_fields__", {}))
    sizes = SMALL | dict.fromkeys(("vocab_size", "vocab_size_per_layer_input", "patch_vocab_size"), vocab)
    parts: dict[str, Any] = {}
    for name in kind.sub_configs:
        part = type(getattr(kind(), name))
        if hasattr(part, "sub_configs"):
            parts[name] = small(part, vocab, **MORE.get(part.model_type, {}))
    return kind(**{k: v for k, v in sizes.items() if k in known} | parts | more)


def checkpoint(family: str, folder: Path, **more: Any) -> Path:
    """A tiny, randomly initialised checkpoint of a model type of transformers."""
    tok = tokenizer()
    torch.manual_seed(0)
    config = small(CONFIG_MAPPING[family], len(tok), **MORE.get(family, {}) | more)
    with torch.device("meta"):
        size = sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
    if size > LARGEST:
        raise ValueError(f"{size / 1e6:.0f} million parameters at the smallest")
    model = AutoModelForCausalLM.from_config(config).float()
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = [2, 0], 0
    model.save_pretrained(folder)
    tok.save_pretrained(folder)
    return folder


def rows(width: int, *, steered: bool) -> list[Request]:
    """Two prompts of other lengths under every span and an ablation; or unsteered."""
    draw = random.Random(1)
    prompts = [tuple(draw.randrange(3, 300) for _ in range(n)) for n in (5, 11)]
    along = torch.tensor([draw.gauss(0, 1) for _ in range(width)])
    add = Addition(along, LAYER, 3.0, norm=6.0)
    edits: dict[str, tuple[Addition, ...]] = {"unsteered": ()}
    if steered:
        edits = {span: (replace(add, span=span),) for span in ("last", "all", "generated", "prompt")}
        edits["ablate"] = (replace(add, operation="ablate", magnitude=1.0, span="all"),)
    return [
        Request(f"{name} {len(ids)}", ids, (2, 0), edit, limits=Limits(64, NEW))
        for name, edit in edits.items()
        for ids in prompts
    ]


def logits(loaded: LoadedModel, ids: list[int], additions: tuple[Addition, ...], prompt: int) -> torch.Tensor:
    """[position, vocab] of one row, computed whole, steered by the definition of an addition."""

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple | list) else output).clone()
        for a in additions:
            unit = (a.direction / a.direction.norm()).to(hidden)
            for p in touched(a.span, prompt, len(ids)):
                h = hidden[0, p]
                hidden[0, p] = h - (h @ unit) * unit if a.operation == "ablate" else h + 18.0 * unit
        return (hidden, *output[1:]) if isinstance(output, tuple | list) else hidden

    handles = [decoder_layers(loaded.module)[1][LAYER].register_forward_hook(hook)] if additions else []
    try:
        with torch.inference_mode():
            return loaded.module(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()


def truth(loaded: LoadedModel, request: Request) -> tuple[int, ...]:
    """Greedy output ids."""
    out: list[int] = []
    while len(out) < request.limits.new and (not out or out[-1] not in request.stop_ids):
        ids = [*request.prompt_ids, *out]
        out.append(int(logits(loaded, ids, request.additions, len(request.prompt_ids))[-1].argmax()))
    return tuple(out)


def differences(loaded: LoadedModel, engine: Engine, requests: list[Request]) -> list[str]:
    """What an engine does otherwise than the truth: texts, records, scores."""
    found: list[str] = []
    answers = {response.key: response for response in engine.generate(requests)}
    expected = {request.key: truth(loaded, request) for request in requests}
    for request in requests:
        got, prompt = answers[request.key], len(request.prompt_ids)
        if got.output_ids != expected[request.key]:
            if not tied(loaded, request, got.output_ids, expected[request.key]):
                found.append(f"{request.key}: text {got.error}")
            continue
        total = prompt + len(got.output_ids) - 1
        counted = [Applied(a.layer, len(touched(a.span, prompt, total)), 0.0) for a in request.additions]
        if [replace(a, relative=0.0) for a in got.applied] != counted:
            found.append(f"{request.key}: record {got.applied}")
    scored = [ScoreRow(r.prompt_ids, expected[r.key], r.additions) for r in requests]
    for request, row, own in zip(requests, scored, engine.score(scored, lambda _, logs: logs), strict=True):
        prompt = len(row.prompt_ids)
        whole = logits(loaded, [*row.prompt_ids, *row.answer_ids[:-1]], row.additions, prompt)
        off = float((own - whole[prompt - 1 :].float().log_softmax(-1)).abs().max())
        if not off < TOLERANCE:
            found.append(f"{request.key}: score off by {off:.1e}")
    return found


def tied(loaded: LoadedModel, request: Request, left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Whether two texts part where the two likeliest tokens are as likely, up to a cache's rounding."""
    same = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), None)
    if same is None:
        return False
    fed = [*request.prompt_ids, *right[:same]]
    last = logits(loaded, fed, request.additions, len(request.prompt_ids))[-1]
    return float(last.topk(2).values.diff().abs()) < TIE


def captured(loaded: LoadedModel, requests: list[Request]) -> list[str]:
    """What a capture of the last position reads otherwise than hooks."""
    prompts = sorted({request.prompt_ids for request in requests})
    seen: list[torch.Tensor] = []

    def keep(_module: Any, _args: Any, output: Any) -> None:
        seen.append((output[0] if isinstance(output, tuple | list) else output)[0, -1].float())

    handle = decoder_layers(loaded.module)[1][LAYER].register_forward_hook(keep)
    for ids in prompts:
        logits(loaded, list(ids), (), len(ids))
    handle.remove()
    asked = [Row(ids, len(ids) - 1, len(ids), slot) for slot, ids in enumerate(prompts)]
    own = capture(loaded, asked, layers=[LAYER], slots=len(asked))[:, 0]
    off = float((own - torch.stack(seen)).abs().max())
    return [] if off < TOLERANCE * float(own.abs().max()) else [f"capture off by {off:.1e}"]


def verdict(family: str, folder: Path) -> tuple[str, str]:
    """(one of VERDICTS, or WRONG; why) of a family."""
    try:
        checkpoint(family, folder)
    except Exception as error:
        return "not built", f"{type(error).__name__}: {error}".splitlines()[0]
    notes: list[str] = []
    try:
        loaded = models.load(str(folder), dtype="float32", device="cpu")
        engine = make_engine("auto", loaded, batch=4, say=notes.append)
        plain = rows(loaded.d_model, steered=False)
        found = differences(loaded, engine, plain)
    except UserError as error:
        return "refused", str(error)
    steered = rows(loaded.d_model, steered=True)
    said, why = "right" if engine.name == "slots" else "falls back", "; ".join(notes)
    try:
        found += differences(loaded, engine, steered) + captured(loaded, plain)
        if engine.name == "slots":
            found += differences(loaded, bare_engine("nnsight", loaded, batch=4), [*plain, *steered])
    except UserError as error:
        said, why = "suffix only", str(error)
    return ("WRONG", "; ".join(found)) if found else (said, why)


def main(names: list[str]) -> None:
    for name in names or MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        with tempfile.TemporaryDirectory() as folder:
            said, why = verdict(name, Path(folder) / name)
        print(f"| {name} | {said} | {why} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
