"""Guards of what disks, downloads and strangers do to files: one line, the right content, or none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from steer import adapters
from steer.errors import UserError
from tests.engine_cases import tiny_model
from tests.test_files import refused, same_bits, stack, vector
from tests.test_training import fingerprint
from tests.tiny import checkpoint
from vectors.activations import cached_capture
from vectors.capture import Row
from vectors.foreign import read_vector, write_vector

peft: Any = pytest.importorskip("peft")


def mutations(data: bytes, count: int) -> Iterator[bytes]:
    """Cut short, bits flipped, bytes overwritten, bytes put in: what disks, downloads and strangers do."""
    draw = random.Random(0)
    for _ in range(count):
        changed = bytearray(data)
        place, kind = draw.randrange(len(data)), draw.randrange(4)
        if kind == 0:
            del changed[place:]
        elif kind == 1:
            changed[place] ^= 1 << draw.randrange(8)
        elif kind == 2:
            changed[place] = draw.choice(b'\x00\x7f\xff"[9')
        else:
            changed[place:place] = bytes(draw.choices(b"\x00\x01\xff[9", k=draw.choice((1, 8, 200))))
        if changed != data:
            yield bytes(changed)


@pytest.mark.parametrize("name", ["v.safetensors", "v.gguf", "persona.pt", "v.svec", "mean_diffs.pt"])
def test_a_damaged_file_is_one_line_and_never_another_vector(tmp_path: Path, name: str) -> None:
    """Only .svec is text without a checksum: there, a digit may be another one."""
    file, options = tmp_path / name, dict[str, Any]()
    if name == "mean_diffs.pt":
        torch.save(torch.stack((stack(4), stack(4) * 10)), file)
        options = {"format": "refusal_direction", "position": 0}
    elif name == "v.svec":
        file.write_text(json.dumps({"directions": {"1": [0.5, 1, 2], "2": [[3, 4, 5]]}}))
    else:
        write_vector(vector(), file)
        options = {"format": "persona_vectors"} if name == "persona.pt" else {}
    whole = read_vector(file, **options)
    lines: list[str] = []
    for changed in mutations(file.read_bytes(), 100):
        file.write_bytes(changed)
        try:
            found = read_vector(file, **options)
        except UserError as error:
            lines.append(str(error))
        else:
            assert name == "v.svec" or same_bits(found.directions, whole.directions)
    assert len(lines) > 60
    assert not [line for line in lines if "\n" in line or not line.startswith(str(file))]


def test_numbers_and_nesting_without_bound(tmp_path: Path) -> None:
    file = tmp_path / "v.svec"
    for content, message in (
        ('{"directions": {"1": [1, ' + "9" * 400 + "]}}", "is JSON with directions"),
        ('{"directions": {"1": [1, ' + "9" * 5000 + "]}}", "a number of thousands of digits"),
        ('{"directions": {"' + "9" * 5000 + '": [1]}}', "is JSON with directions"),
        ('{"directions": ' + "[" * 100_000, "nested 100001 deep"),
    ):
        file.write_text(content)
        refused(file, message)


def test_a_damaged_cache_is_refused_and_one_without_a_checksum_made_again(tmp_path: Path) -> None:
    loaded = tiny_model(tmp_path / "tiny", "qwen3")
    rows = [Row((5, 9, 33 + i), 2, 3, i) for i in range(3)]

    def captured() -> torch.Tensor:
        return cached_capture(loaded, rows, (1, 2), 3, cache=tmp_path, tick=lambda done: None)

    whole = captured()
    (file,) = tmp_path.glob("capture-*.safetensors")
    content = file.read_bytes()
    said: list[str] = []
    for changed in mutations(content, 100):
        file.write_bytes(changed)
        try:
            assert torch.equal(captured(), whole)
        except UserError as error:
            said.append(str(error))
    assert len(said) > 80
    assert not [line for line in said if "\n" in line or not line.startswith(f"{file} is damaged (")]
    save_file({"activations": whole + 1}, file)  # as an earlier version wrote it
    assert torch.equal(captured(), whole)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Adapters as peft saves them, for the tiny Qwen3; every number of theirs is random."""
    base = checkpoint(tmp_path_factory.mktemp("base") / "qwen3")

    def save(folder: Path, kind: str = "LoraConfig", **settings: Any) -> Path:
        model = AutoModelForCausalLM.from_pretrained(base)
        given = {"target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"} | settings
        made = peft.get_peft_model(model, getattr(peft, kind)(**given))
        torch.manual_seed(1)
        for weight in made.parameters():
            if weight.requires_grad:
                weight.data += torch.randn_like(weight) * 0.1
        made.save_pretrained(str(folder), save_embedding_layers=False)
        return folder

    return save


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"modules_to_save": ["lm_head"]}, "has modules_to_save = ['lm_head'], more than low-rank updates"),
        ({"trainable_token_indices": [5, 6]}, "has trainable_token_indices = [5, 6]"),
        ({"bias": "all"}, "has bias = all"),
        ({"init_lora_weights": "pissa"}, "has init_lora_weights = pissa"),
        ({"layer_replication": [(0, 4), (2, 4)]}, "has layer_replication = "),
        ({"kind": "LoHaConfig"}, "is of type 'LOHA', and LORA is read"),
    ],
)
def test_an_adapter_that_is_more_than_low_rank_is_refused_by_name(
    saved: Callable[..., Path], tmp_path: Path, settings: dict[str, Any], reason: str
) -> None:
    loaded = tiny_model(tmp_path / "tiny", "qwen3")
    before, folder = fingerprint(loaded.module), saved(tmp_path / "adapter", **settings)
    with pytest.raises(UserError, match="merge it into its model") as caught:
        adapters.check(str(folder), loaded)
    assert reason in str(caught.value)
    assert fingerprint(loaded.module) == before


def test_weights_of_whole_modules_are_refused_though_the_configuration_names_none(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    """What peft writes beside a grown vocabulary; reading it would overwrite the model's own embedding."""
    loaded, folder = tiny_model(tmp_path / "tiny", "qwen3"), saved(tmp_path / "adapter")
    before, whole = fingerprint(loaded.module), load_file(folder / adapters.WEIGHTS)
    embedding = loaded.module.get_input_embeddings().weight + 1
    name = "base_model.model.model.embed_tokens.weight"
    save_file(whole | {name: embedding.contiguous()}, folder / adapters.WEIGHTS)
    with pytest.raises(UserError, match=r"embed_tokens\.weight', which is no low-rank update"):
        adapters.check(str(folder), loaded)
    assert fingerprint(loaded.module) == before


def test_a_plain_adapter_is_put_on_whole_whatever_pattern_its_configuration_holds(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    """A regex that would never end is not run; DoRA and rank-stabilised updates act as in peft."""
    loaded = tiny_model(tmp_path / "tiny", "qwen3")
    folder = saved(
        tmp_path / "adapter", use_dora=True, use_rslora=True, rank_pattern={"layers.1.self_attn.q_proj": 2}
    )
    ids = torch.tensor([[5, 9, 33]])
    base: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    theirs = peft.PeftModel.from_pretrained(base, str(folder)).eval()(input_ids=ids).logits
    config = json.loads((folder / adapters.CONFIG).read_text())
    hostile = config | {"target_modules": "(.*.*)*(a+)+$", "exclude_modules": "((.+)+)+x"}
    (folder / adapters.CONFIG).write_text(json.dumps(hostile))
    with adapters.active(loaded.module, str(folder)):
        assert torch.allclose(loaded.module(input_ids=ids).logits.float(), theirs, atol=1e-4)
    (folder / adapters.CONFIG).write_text(json.dumps(config | {"alpha_pattern": {"(a+)+": 1}}))
    with pytest.raises(UserError, match="which is no plain name"):
        adapters.check(str(folder), loaded)


def test_a_damaged_adapter_folder_is_one_line_and_leaves_the_model(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    loaded, folder = tiny_model(tmp_path / "tiny", "qwen3"), saved(tmp_path / "adapter")
    before = fingerprint(loaded.module)
    (folder / adapters.NOTE).write_text('{"weights": ""}')
    said: list[str] = []
    for name in (adapters.CONFIG, adapters.WEIGHTS, adapters.NOTE):
        content = (folder / name).read_bytes()
        hostile = [b"[]", b"null", b'{"peft_type": "LORA"}', b'{"peft_type": "LORA", "r": 1000000000}']
        for changed in (*mutations(content, 40), *hostile, b"[" * 100_000):
            (folder / name).write_bytes(changed)
            try:
                adapters.check(str(folder), loaded)
            except UserError as error:
                said.append(str(error))
        (folder / name).write_bytes(content)
    assert len(said) > 60
    assert not [line for line in said if "\n" in line]
    assert fingerprint(loaded.module) == before
