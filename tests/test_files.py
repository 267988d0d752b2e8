"""Vector files: exact round trips, foreign files at the right layers, and bad files as one line."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from steer.errors import UserError
from steer.types import LoadedModel
from vectors.files import load_vector, save_vector
from vectors.foreign import CONVENTIONS, read_vector, write_vector
from vectors.vector import (
    LayerTrust,
    Provenance,
    SteeringVector,
    addition,
    check_model,
    flagged,
    flags,
    part,
    ranges,
)

D = 16
N_LAYERS = 6


def vector(layers: tuple[int, ...] = (1, 2, 4), seed: int = 0) -> SteeringVector:
    generator = torch.Generator().manual_seed(seed)
    return SteeringVector(
        directions={layer: torch.randn(D, generator=generator) for layer in layers},
        provenance=Provenance(
            d_model=D,
            n_layers=N_LAYERS,
            model="tiny",
            weights="abcdef0123456789",
            contrast="suffix",
            method="mean-difference",
            pairs=120,
            details={"kept": 12, "judge": "rubric", "rate": 0.1, "left_out": ["3: zero"]},
        ),
        norms={
            "last": {layer: 3.0 + layer for layer in layers},
            "all": {layer: 0.1 + layer for layer in layers},
        },
        projections={"last": {layer: (-0.25 * layer, 1.5) for layer in layers}},
        parts={"pro-neutral": {layer: torch.randn(D, generator=generator) for layer in layers}},
        trust={
            layer: LayerTrust(split_half=0.9, promotes=("a", "é\n"), recipe_cosines={"pca": 0.5})
            for layer in layers
        },
    )


def same_bits(a: dict[int, torch.Tensor], b: dict[int, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(a[k].numpy().tobytes() == b[k].numpy().tobytes() for k in a)


# Round trips


def test_native_round_trip_is_exact(tmp_path: Path) -> None:
    made = vector()
    save_vector(made, tmp_path / "v.safetensors")
    found = load_vector(tmp_path / "v.safetensors")
    assert same_bits(found.directions, made.directions)
    assert same_bits(found.parts["pro-neutral"], made.parts["pro-neutral"])
    assert (found.provenance, found.norms, found.projections, found.trust, found.id) == (
        made.provenance,
        made.norms,
        made.projections,
        made.trust,
        made.id,
    )


def test_native_file_is_plain_safetensors_with_the_documented_names(tmp_path: Path) -> None:
    save_vector(vector(), tmp_path / "v.safetensors")
    with safe_open(tmp_path / "v.safetensors", framework="pt") as file:
        assert set(file.keys()) == {f"direction.{i}" for i in (1, 2, 4)} | {
            f"part.pro-neutral.{i}" for i in (1, 2, 4)
        }
        metadata = file.metadata()
    assert metadata["format"] == "steergap-vector"
    assert metadata["schema"] == "1"
    assert json.loads(metadata["header"])["provenance"]["contrast"] == "suffix"


@pytest.mark.parametrize("format", ["steergap", "gguf", "persona_vectors"])
def test_every_writable_format_returns_the_same_bits(tmp_path: Path, format: str) -> None:
    made = vector()
    file = tmp_path / "out"
    assert write_vector(made, file, format=format) == ()
    found = read_vector(file, format=format)
    assert same_bits(found.directions, made.directions)
    save_vector(found, tmp_path / "back.safetensors")
    assert same_bits(load_vector(tmp_path / "back.safetensors").directions, made.directions)


def test_the_written_format_follows_the_name(tmp_path: Path) -> None:
    made = vector()
    for name in ("v.safetensors", "v.gguf"):
        write_vector(made, tmp_path / name)
        assert same_bits(read_vector(tmp_path / name).directions, made.directions)
    write_vector(made, tmp_path / "v.pt")
    assert same_bits(read_vector(tmp_path / "v.pt", format="persona_vectors").directions, made.directions)
    with pytest.raises(UserError, match=r"unknown writable vector format '\.bin': allowed are steergap"):
        write_vector(made, tmp_path / "v.bin")


def test_gguf_keeps_our_header_and_norms(tmp_path: Path) -> None:
    made = vector()
    write_vector(made, tmp_path / "v.gguf", format="gguf")
    found = read_vector(tmp_path / "v.gguf")
    assert found.norms == made.norms
    assert found.provenance == made.provenance


def test_gguf_never_holds_layer_0_and_says_what_was_left_out(tmp_path: Path) -> None:
    from gguf import GGUFReader

    assert write_vector(vector((0, 1, 5)), tmp_path / "v.gguf", format="gguf") == (0,)
    reader = GGUFReader(tmp_path / "v.gguf")
    assert {t.name for t in reader.tensors} == {"direction.1", "direction.5"}
    assert reader.get_field("controlvector.layer_count").contents() == 2  # type: ignore[union-attr]
    with pytest.raises(UserError, match="layer 0 only"):
        write_vector(vector((0,)), tmp_path / "w.gguf", format="gguf")


def test_persona_file_has_our_layer_one_row_later_and_leaves_out_the_last(tmp_path: Path) -> None:
    made = vector((0, 3, 5))
    assert write_vector(made, tmp_path / "p.pt", format="persona_vectors") == (5,)
    stack = torch.load(tmp_path / "p.pt", weights_only=True)
    assert stack.shape == (N_LAYERS + 1, D)
    assert torch.equal(stack[1], made.directions[0])
    assert torch.equal(stack[4], made.directions[3])
    assert [i for i in range(N_LAYERS + 1) if stack[i].any()] == [1, 4]


REPENG = """
import sys, json
from repeng import ControlVector
v = ControlVector.import_gguf(sys.argv[1])
directions = {str(k): [float(x).hex() for x in d] for k, d in v.directions.items()}
print(json.dumps({"hint": v.model_type, "directions": directions}))
v.export_gguf(sys.argv[2])
"""


@pytest.mark.slow
def test_the_real_repeng_reads_our_gguf_and_we_read_its_own(tmp_path: Path) -> None:
    """repeng wants numpy < 2, so it gets an environment of its own (STEERGAP_REPENG_PYTHON to reuse one)."""
    python = os.environ.get("STEERGAP_REPENG_PYTHON", "")
    if not python:
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
        python = str(tmp_path / "venv/bin/python")
        subprocess.run([python, "-m", "pip", "install", "-q", "numpy<2", "repeng==0.4.0"], check=True)
    made = vector()
    write_vector(made, tmp_path / "ours.gguf", format="gguf")
    done = subprocess.run(
        [python, "-c", REPENG, str(tmp_path / "ours.gguf"), str(tmp_path / "theirs.gguf")],
        check=True,
        capture_output=True,
        text=True,
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["hint"] == "tiny"
    theirs = {int(k): [float.fromhex(x) for x in d] for k, d in seen["directions"].items()}
    assert theirs == {k: d.tolist() for k, d in made.directions.items()}
    back = read_vector(tmp_path / "theirs.gguf")
    assert same_bits(back.directions, made.directions)
    assert back.provenance.source == "gguf"
    assert back.provenance.model == "tiny"


# Foreign files, made by hand


def stack(rows: int) -> torch.Tensor:
    """Row i is filled with i + 1, so that a row says where it came from."""
    return torch.arange(1.0, rows + 1)[:, None].expand(rows, D).contiguous()


def layers_of(found: SteeringVector) -> dict[int, float]:
    return {layer: d[0].item() for layer, d in sorted(found.directions.items())}


def test_persona_vectors_drop_the_embedding_and_the_post_norm_row(tmp_path: Path) -> None:
    torch.save(stack(5), tmp_path / "trait.pt")  # a model of 4 layers
    found = read_vector(tmp_path / "trait.pt", format="persona_vectors")
    assert layers_of(found) == {0: 2.0, 1: 3.0, 2: 4.0}
    assert found.provenance.n_layers == 4


def test_assistant_axis_rows_are_block_outputs(tmp_path: Path) -> None:
    torch.save(stack(4).bfloat16(), tmp_path / "axis.pt")
    assert layers_of(read_vector(tmp_path / "axis.pt", format="assistant-axis")) == {0: 1, 1: 2, 2: 3, 3: 4}


def test_refusal_direction_rows_are_block_inputs(tmp_path: Path) -> None:
    both = torch.stack((stack(4), stack(4) * 10)).double()
    torch.save(both, tmp_path / "mean_diffs.pt")
    found = read_vector(tmp_path / "mean_diffs.pt", format="refusal_direction", position=-1)
    assert layers_of(found) == {0: 20.0, 1: 30.0, 2: 40.0}
    first = read_vector(tmp_path / "mean_diffs.pt", format="refusal_direction", position=-2)
    assert layers_of(first) == {0: 2.0, 1: 3.0, 2: 4.0}
    with pytest.raises(UserError, match="position 2 is out of range"):
        read_vector(tmp_path / "mean_diffs.pt", format="refusal_direction", position=2)


def test_the_position_of_a_refusal_direction_is_never_guessed(tmp_path: Path) -> None:
    """The published folders: generate_directions/mean_diffs.pt, direction.pt and the choice above it."""
    file = tmp_path / "generate_directions" / "mean_diffs.pt"
    file.parent.mkdir()
    torch.save(torch.stack((stack(4), stack(4) * 10, stack(4) * 100)), file)
    torch.save(stack(4)[2] * 10, tmp_path / "direction.pt")
    theirs = {"format": "refusal_direction"}
    refused(file, "holds 3 positions and does not say which is meant: give --position", **theirs)
    refused(tmp_path / "direction.pt", "does not say its layer: give --layer", **theirs)
    given = read_vector(tmp_path / "direction.pt", format="refusal_direction", layer=2)
    (tmp_path / "direction_metadata.json").write_bytes(b'\xef\xbb\xbf{"pos": -2, "layer": 2}')
    found = read_vector(file, format="refusal_direction")
    assert layers_of(found) == {0: 20.0, 1: 30.0, 2: 40.0}
    assert found.provenance.read == (
        "position -2 of 3; the layer chosen there, 2, is 1 here (of direction_metadata.json)"
    )
    chosen = read_vector(tmp_path / "direction.pt", format="refusal_direction")
    assert layers_of(chosen) == layers_of(given) == {1: found.directions[1][0]}
    assert layers_of(read_vector(file, format="refusal_direction", position=0)) == {0: 2.0, 1: 3.0, 2: 4.0}
    (tmp_path / "direction_metadata.json").write_text('{"pos": "-2", "layer": true}')
    refused(file, 'must hold {"pos": NUMBER, "layer": NUMBER}', **theirs)
    refused(tmp_path / "direction.pt", "leaves no position or layer to choose", format="caa", layer=2)


def test_caa_file_and_folder(tmp_path: Path) -> None:
    for layer in (3, 12):
        torch.save(stack(20)[layer], tmp_path / f"vec_layer_{layer}.pt")
    assert layers_of(read_vector(tmp_path / "vec_layer_12.pt")) == {12: 13.0}
    assert layers_of(read_vector(tmp_path, format="caa")) == {3: 4.0, 12: 13.0}


def test_svec_of_flat_and_nested_rows(tmp_path: Path) -> None:
    for name, rows in {"flat": stack(3).tolist(), "nested": stack(3)[:, None].tolist()}.items():
        content = {"model_type": "llama", "directions": {str(i + 5): row for i, row in enumerate(rows)}}
        (tmp_path / f"{name}.svec").write_text(json.dumps(content))
        assert layers_of(read_vector(tmp_path / f"{name}.svec")) == {5: 1.0, 6: 2.0, 7: 3.0}


def raw_gguf(path: Path, architecture: str, tensors: dict[str, np.ndarray], *, hint: bool = True) -> Path:
    from gguf import GGUFWriter

    writer = GGUFWriter(path, architecture)
    if hint:
        writer.add_string("controlvector.model_hint", "llama")
    for name, data in tensors.items():
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_gguf_index_is_the_block(tmp_path: Path) -> None:
    tensors = {f"direction.{i}": np.full(D, i, np.float32) for i in (1, 7)}
    found = read_vector(raw_gguf(tmp_path / "v.gguf", "controlvector", tensors))
    assert layers_of(found) == {1: 1.0, 7: 7.0}
    assert found.provenance.model == "llama"


def test_every_foreign_format_is_in_the_table() -> None:
    assert {name: (c.offset, c.drop_last) for name, c in CONVENTIONS.items()} == {
        "gguf": (0, False),
        "persona_vectors": (-1, True),
        "assistant-axis": (0, False),
        "refusal_direction": (-1, False),
        "caa": (0, False),
        "svec": (0, False),
    }


# Bad files


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/steergap-pickle-ran",)


def refused(path: Path, message: str, **options: Any) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_vector(path, **options)
    assert "\n" not in str(caught.value)


def test_a_pt_that_needs_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"a": Evil()}, tmp_path / "vec_layer_3.pt")
    refused(tmp_path / "vec_layer_3.pt", "more than tensors")
    assert not Path("/tmp/steergap-pickle-ran").exists()
    torch.save({"a": torch.ones(D)}, tmp_path / "vec_layer_4.pt")
    refused(tmp_path / "vec_layer_4.pt", "holds a dict")
    (tmp_path / "vec_layer_5.pt").write_bytes(b"PK rubbish")
    refused(tmp_path / "vec_layer_5.pt", "damaged")


def test_a_pt_needs_its_format(tmp_path: Path) -> None:
    torch.save(stack(4), tmp_path / "axis.pt")
    refused(tmp_path / "axis.pt", "does not say how it counts layers: convert it, with the format")
    refused(tmp_path / "axis.pt", "did you mean 'persona_vectors'", format="persona_vector")
    torch.save(torch.ones(D), tmp_path / "one.pt")
    refused(tmp_path / "one.pt", r"are \[layer, d_model\]", format="assistant-axis")


def test_truncated_renamed_or_missing_files(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    refused(file, "no vector file")
    file.touch()
    refused(file, "is empty")
    save_vector(vector(), file)
    whole = file.read_bytes()
    for cut in (4, 60, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        refused(file, "not a whole safetensors file")
    raw_gguf(file, "controlvector", {"direction.1": np.ones(D, np.float32)})
    refused(file, "not a whole safetensors file")
    save_file({"model.embed": torch.ones(3)}, file)
    refused(file, "is it a model")
    refused(tmp_path / "v.bin", "unknown kind")
    gguf = raw_gguf(tmp_path / "v.gguf", "controlvector", {"direction.1": np.ones(D, np.float32)})
    content = gguf.read_bytes()
    gguf.write_bytes(content[: len(content) // 2])
    refused(gguf, "not a whole GGUF")
    gguf.write_bytes(whole)
    refused(gguf, "not a whole GGUF")


def test_gguf_of_something_else(tmp_path: Path) -> None:
    ok = {"direction.1": np.ones(D, np.float32)}
    refused(raw_gguf(tmp_path / "a.gguf", "llama", ok), "architecture 'llama'")
    refused(raw_gguf(tmp_path / "b.gguf", "controlvector", ok, hint=False), "model_hint")
    half = {"direction.1": np.ones(D, np.float16)}
    refused(raw_gguf(tmp_path / "c.gguf", "controlvector", half), "allowed is direction.L, float32")
    other = {"token_embd": np.ones(D, np.float32)}
    refused(raw_gguf(tmp_path / "d.gguf", "controlvector", other), "allowed is direction.L")


def rewrite(path: Path, *, tensors: Any = None, **metadata: Any) -> None:
    """Change a saved file: tensors by a function, metadata by key, header fields by `header`."""
    found = load_file(path)
    with safe_open(path, framework="pt") as file:
        old = file.metadata()
    changes = metadata.pop("header", None)
    old |= metadata
    if changes:
        header = json.loads(old["header"])
        for dotted, value in changes.items():
            *outer, last = dotted.split("/")
            home = header
            for name in outer:
                home = home[name]
            if value is None:
                del home[last]
            else:
                home[last] = value
        old["header"] = json.dumps(header)
    save_file(tensors(found) if tensors else found, path, old)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "2"}, "newer than this version"),
        ({"schema": "x"}, "schema is 'x'"),
        ({"format": "other"}, "format is 'other'"),
        (
            {"layers": "direction.{L} is added at the input"},
            "layers is 'direction.{L} is added at the input'",
        ),
        ({"header": {"trust/1/split_half": 0.99}}, "trust figures do not give its checksum"),
        ({"header": {"provenance/model": None}}, "content hash|Field required"),
        ({"header": {"provenance/d_model": "16"}}, "provenance.d_model"),
        ({"header": {"provenance/d_model": None}}, "provenance.d_model.*required"),
        ({"header": {"provenance/surprise": 1}}, "provenance.surprise"),
        ({"header": {"norms/last/1": 0.0}}, "must be positive"),
        ({"header": {"norms/last/1": "inf"}}, "norms.last.1"),
        ({"header": {"norms/last/1": 99.0}}, "content hash"),
        ({"header": {"norms/middle": {}}}, "norms.middle"),
        ({"header": {"provenance/n_layers": 3}}, "layers 0 to 2"),
        ({"tensors": lambda t: t | {"direction.1": t["direction.1"] + 1}}, "content hash"),
        ({"tensors": lambda t: t | {"direction.1": t["direction.1"] * float("nan")}}, "NaN"),
        ({"tensors": lambda t: t | {"direction.1": t["direction.1"] * 0}}, "is zero"),
        ({"tensors": lambda t: t | {"direction.1": t["direction.1"].half()}}, "must be torch.float32"),
        ({"tensors": lambda t: t | {"direction.1": torch.ones(D + 1)}}, "must be torch.float32"),
        ({"tensors": lambda t: t | {"weights": torch.ones(D)}}, "'weights' is unknown"),
        ({"tensors": lambda t: {"part.a.1": t["direction.1"]}}, "needs a direction"),
    ],
)
def test_a_changed_native_file_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "v.safetensors"
    save_vector(vector(), file)
    rewrite(file, **change)
    refused(file, message)


def test_a_file_without_the_checksum_of_earlier_versions_is_read(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    save_vector(vector(), file)
    rewrite(file, header={"checksum": None})
    assert load_vector(file).id == vector().id


def test_svec_rubbish(tmp_path: Path) -> None:
    file = tmp_path / "v.svec"
    for content in ("[]", '{"directions": {"x": [1]}}', '{"directions": {"1": "a"}}', '{"other": 1}'):
        file.write_text(content)
        refused(file, "is JSON with directions")
    file.write_text('{"directions": {"1": [1, NaN]}}')
    refused(file, "NaN")
    file.write_text('{"directions": {"1": [1, 2], "2": [1, 2, 3]}}')
    refused(file, "must be torch.float32")


def test_interrupted_write_leaves_the_old_file_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "v.safetensors"
    save_vector(vector(), file)
    before = file.read_bytes()

    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        save_vector(vector(seed=1), file)
    assert file.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["v.safetensors"]


def test_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        save_vector(vector(), tmp_path / "file" / "v.safetensors")


# Use


def test_identity_is_content() -> None:
    assert vector().id == vector().id != vector(seed=1).id
    assert replace(vector(), trust={}).id == vector().id


def test_addition_takes_layer_span_norm_and_projection() -> None:
    made = vector()
    added = addition(made, 2, -0.4, span="all")
    assert torch.equal(added.direction, made.directions[2])
    assert (added.layer, added.magnitude, added.span, added.norm, added.vector) == (
        2,
        -0.4,
        "all",
        2.1,
        made.id,
    )
    assert addition(made, 4, 1.0).norm == 7.0
    clamped = addition(made, 4, 2.0, operation="clamp")
    assert (clamped.projection_mean, clamped.projection_std) == (-1.0, 1.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 3}, "no direction at layer 3: it has 1-2, 4"),
        ({"magnitude": float("nan")}, "not a finite number"),
        ({"magnitude": float("inf")}, "not a finite number"),
        ({"span": "lst"}, "did you mean 'last'"),
        ({"operation": "sub"}, "unknown operation"),
        ({"unit": "norms"}, "did you mean 'norm'"),
        ({"span": "prompt"}, "no mean residual norm for span 'prompt'"),
        ({"operation": "ablate", "magnitude": 2.0}, "must be 1"),
        ({"operation": "clamp", "span": "all"}, "no unsteered projection"),
    ],
)
def test_bad_additions_are_one_line(options: dict[str, Any], message: str) -> None:
    chosen: dict[str, Any] = {"layer": 1, "magnitude": 1.0} | options
    layer, magnitude = chosen.pop("layer"), chosen.pop("magnitude")
    with pytest.raises(UserError, match=message):
        addition(vector(), layer, magnitude, **chosen)


def test_raw_units_need_no_norm() -> None:
    assert addition(vector(), 1, 2.0, span="prompt", unit="raw").unit == "raw"


def test_a_part_is_a_vector_of_its_own() -> None:
    made = vector()
    found = part(made, "pro-neutral")
    assert same_bits(found.directions, made.parts["pro-neutral"])
    assert found.provenance.parent == made.id
    with pytest.raises(UserError, match="pro-neutral"):
        part(made, "pro-neutrl")


def test_weak_directions_are_flagged() -> None:
    made = vector()
    assert flags(made, 1) == ()
    weak = replace(made, trust={1: LayerTrust(split_half=0.31)})
    assert flags(weak, 1) == ("split-half cosine under 0.5: mostly noise",)
    assert flags(weak, 2) == ("no split-half cosine",)
    assert flagged(weak, [4, 2, 1]) == [
        "layers 1: split-half cosine under 0.5: mostly noise",
        "layers 2, 4: no split-half cosine",
    ]
    foreign = SteeringVector({1: torch.ones(D)}, Provenance(d_model=D))
    assert "made on an unknown model" in flags(foreign, 1)


def test_a_vector_of_another_model_is_refused() -> None:
    fake: Any = None
    loaded = LoadedModel("m", "abcdef0123456789", "float32", "cpu", fake, fake, (), N_LAYERS, D)
    made = vector()
    check_model(made, loaded)
    with pytest.raises(UserError, match="d_model is 16, that of m is 8"):
        check_model(made, replace(loaded, d_model=8))
    with pytest.raises(UserError, match="6 layers, m has 5"):
        check_model(made, replace(loaded, n_layers=5))
    with pytest.raises(UserError, match="was made on tiny"):
        check_model(made, replace(loaded, weights="other"))
    check_model(SteeringVector({1: torch.ones(D)}, Provenance(d_model=D)), loaded)


def test_layers_in_words() -> None:
    assert ranges([9, 0, 3, 4, 5]) == "0, 3-5, 9"


def test_big_endian_rubbish_is_no_crash(tmp_path: Path) -> None:
    """A header length beyond the file must not be believed."""
    file = tmp_path / "v.safetensors"
    file.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    refused(file, "not a whole safetensors file")
