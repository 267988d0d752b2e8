"""Models: found by name, checked before torch is imported, loaded without anything of theirs but weights."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from steer import checkpoints, identity
from steer.errors import UserError
from steer.identity import files_id, weights_id
from steer.models import ALIASES, load, resolve
from tests.tiny import checkpoint

ROOT = Path(__file__).parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def lay(cache: Path, folder: Path, hub: str) -> None:
    """Put a checkpoint where the hub's client would have downloaded it to."""
    repository = cache / "hub" / f"models--{hub.replace('/', '--')}"
    shutil.copytree(folder, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)


def refusal(spec: str, **options: str) -> str:
    with pytest.raises(UserError) as caught:
        resolve(spec, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


LOAD = """
from steer.models import load
m = load("qwen3-4b")
print(m.name, m.source, m.dtype, m.n_layers, m.d_model, m.stop_ids, m.module.config.model_type)
"""
RESOLVE = """
import sys
from steer.errors import UserError
from steer.models import resolve
try:
    print(resolve({spec!r}, revision={revision!r}))
except UserError as error:
    print(error)
heavy = {{"torch", "transformers", "nnsight"}} & sys.modules.keys()
assert not heavy, heavy
"""


def test_an_alias_is_loaded_from_the_hubs_cache_offline(tiny: Path, tmp_path: Path) -> None:
    lay(tmp_path, tiny, "Qwen/Qwen3-4B-Instruct-2507")
    done = python(LOAD, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert done.stderr == ""
    assert done.stdout == f"qwen3-4b Qwen/Qwen3-4B-Instruct-2507@{COMMIT} float32 4 32 (2, 0) qwen3\n"


def test_offline_says_what_was_looked_for_and_the_ways_out(tmp_path: Path) -> None:
    done = python(RESOLVE.format(spec="qwen3-4b", revision=None), HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert done.stdout == (
        f"Qwen/Qwen3-4B-Instruct-2507 (revision main) is not whole in {tmp_path}/hub (no copy) and "
        "HF_HUB_OFFLINE forbids asking the hub: unset it; without a network give a local folder, or "
        "--model organism; or fill the cache: hf download Qwen/Qwen3-4B-Instruct-2507\n"
    ), done.stderr


def test_a_half_downloaded_copy_is_not_used(tiny: Path, tmp_path: Path) -> None:
    lay(tmp_path, tiny, "Qwen/Qwen3-4B-Instruct-2507")
    next(tmp_path.rglob("model.safetensors")).unlink()
    done = python(RESOLVE.format(spec="qwen3-4b", revision=None), HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1")
    assert "is not whole in" in done.stdout
    assert "(no weights (*.safetensors) in it" in done.stdout


def test_a_hub_out_of_reach_says_the_ways_out(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    done = python(
        RESOLVE.format(spec="some/model", revision="v1"),
        HF_HOME=str(tmp_path),
        HF_ENDPOINT=f"http://127.0.0.1:{port}",
    )
    assert done.stdout.startswith("some/model (revision v1) is not whole in ")
    assert "the hub cannot be reached: with a network try again; without a network give a" in done.stdout


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's protocol as its client needs to fetch one small repository."""

    server: HubServer

    def do_GET(self) -> None:
        files = self.server.files
        head, _, tail = self.path.partition("?")[0].partition("/api/models/tiny/model")
        if not tail.strip("/") and not head and self.path.startswith("/api"):
            tail = "/revision/main"
        if tail.startswith("/revision/"):
            if tail.removeprefix("/revision/") not in ("main", COMMIT):
                return self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            names = [{"rfilename": name} for name in files]
            answer = {"id": "tiny/model", "modelId": "tiny/model", "sha": COMMIT, "siblings": names}
            return self.reply(200, json.dumps(answer).encode())
        if tail.startswith("/tree/"):
            rows = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
            ]
            return self.reply(200, json.dumps(rows).encode())
        prefix = f"/tiny/model/resolve/{COMMIT}/"
        if self.path.startswith(prefix) and self.path.removeprefix(prefix) in files:
            content = files[self.path.removeprefix(prefix)]
            etag = f'"{hashlib.sha1(content).hexdigest()}"'
            return self.reply(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT})
        return self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.server.sent.append(self.path)
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class HubServer(HTTPServer):
    files: dict[str, bytes]
    sent: list[str]


@pytest.fixture
def hub(tiny: Path) -> Iterator[HubServer]:
    with HubServer(("127.0.0.1", 0), Hub) as running:
        running.files = {path.name: path.read_bytes() for path in tiny.iterdir()}
        running.files |= {"pytorch_model.bin": b"never", "original/model.safetensors": b"never"}
        running.sent = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_hub_model_is_downloaded_once_and_pinned_to_its_commit(hub: HubServer, tmp_path: Path) -> None:
    code = (
        "from steer.models import load, resolve\n"
        "print(resolve('tiny/model', revision='main').folder)\n"
        "m = load('tiny/model')\nprint(m.source, m.n_layers)\n"
    )
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    done = python(code, HF_HOME=str(tmp_path), HF_ENDPOINT=endpoint, HF_HUB_DISABLE_XET="1")
    assert done.stdout == f"None\ntiny/model@{COMMIT} 4\n", done.stderr
    fetched = {Path(path).name for path in hub.sent if "/resolve/" in path}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= fetched
    assert not any("pytorch_model" in path or "original" in path for path in hub.sent if "/resolve/" in path)
    hub.sent.clear()
    again = python(
        RESOLVE.format(spec="tiny/model", revision=None), HF_HOME=str(tmp_path), HF_ENDPOINT=endpoint
    )
    assert f"snapshots/{COMMIT}'" in again.stdout
    assert not hub.sent


@pytest.mark.parametrize(
    ("spec", "revision", "message"),
    [
        ("nobody/nothing", None, "the hub has no public model 'nobody/nothing', and there is no such folder"),
        ("tiny/model", "v9", "tiny/model has no revision 'v9': give a branch, tag or commit of it"),
        ("-a/b..c", None, "'-a/b..c' is no hub id: write ORGANISATION/NAME, or give a folder"),
    ],
)
def test_what_the_hub_lacks_is_named(
    hub: HubServer, tmp_path: Path, spec: str, revision: str | None, message: str
) -> None:
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    done = python(RESOLVE.format(spec=spec, revision=revision), HF_HOME=str(tmp_path), HF_ENDPOINT=endpoint)
    assert done.stdout.startswith(message), done.stdout + done.stderr


def test_a_hub_model_without_safetensors_is_refused(hub: HubServer, tmp_path: Path) -> None:
    hub.files = {name: content for name, content in hub.files.items() if name != "model.safetensors"}
    done = python(
        RESOLVE.format(spec="tiny/model", revision=None),
        HF_HOME=str(tmp_path),
        HF_ENDPOINT=f"http://127.0.0.1:{hub.server_port}",
    )
    assert done.stdout.startswith("tiny/model (revision main) holds no safetensors: only these are read")


def test_unknown_names_get_the_nearest() -> None:
    allowed = f"organism, {', '.join(ALIASES)}, a hub id (ORGANISATION/NAME), a folder or a .gguf file"
    assert refusal("qwen3-4b-thinkin") == (
        f"unknown model 'qwen3-4b-thinkin': allowed are {allowed}; did you mean 'qwen3-4b-thinking'?"
    )
    assert refusal("zzz") == f"unknown model 'zzz': allowed are {allowed}"


def test_missing_folders_are_named(tmp_path: Path) -> None:
    spec = f"{tmp_path}/nowhere"
    assert refusal(spec) == (
        f"no model folder {spec!r}: check the path, or give a hub id (ORGANISATION/NAME)"
    )
    path = tmp_path / "model.safetensors"
    path.touch()
    assert refusal(str(path)) == (
        f"{path}: a file, not a model folder: give the folder it lies in, or a .gguf file"
    )


def test_a_revision_is_of_the_hub(tiny: Path) -> None:
    assert refusal(str(tiny), revision="main") == (
        f"revision 'main' is of a hub repository, and {str(tiny)!r} is a folder: leave it out"
    )


def test_a_missing_organism_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "ORGANISM", tmp_path / "gone")
    assert refusal("organism") == (
        f"{tmp_path}/gone: the embedded model is not there: restore it from the repository"
    )


INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        ("config.json", {}, "no config.json in it: give a folder written by save_pretrained"),
        ("config.json", {"adapter_config.json": "{}"}, "a peft adapter, not a model: give the model and the "
         "adapter apart"),
        ("model.safetensors", {}, "no weights (*.safetensors) in it: copy or download the model again"),
        ("model.safetensors", {"pytorch_model.bin": ""}, "holds pytorch_model.bin but no .safetensors: only "
         "safetensors are read, so convert it first"),
        ("model.safetensors", {"m.gguf": "GGUF"}, "holds m.gguf and no .safetensors: give that file"),
        ("model.safetensors", {"model.safetensors.index.json": json.dumps(INDEX),
         "model-00001-of-00002.safetensors": ""}, "1 of 2 weight files are missing (first: "
         "model-00002-of-00002.safetensors): copy or download the model again"),
        ("model.safetensors", {"model.safetensors.index.json": "[]"}, "model.safetensors.index.json is no "
         "index of weights: copy or download the model again"),
        ("tokenizer.json", {}, "no tokenizer (tokenizer.json) in it: save the model's tokenizer there too"),
    ],
)  # fmt: skip
def test_folders_that_lack_something_are_named(
    copy: Path, removed: str, added: dict[str, str], message: str
) -> None:
    (copy / removed).unlink()
    for name, content in added.items():
        (copy / name).write_text(content)
    assert refusal(str(copy)) == f"{copy}: {message}"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", "{", "config.json is not JSON: copy or download the model again"),
        (
            "config.json",
            '{"model_type": "no_such_kind"}',
            "cannot be loaded (The checkpoint you are trying to",
        ),
        ("model.safetensors", "no", "cannot be loaded ("),
        ("tokenizer.json", "{", "the tokenizer cannot be read ("),
        ("steergap.json", "{", 'must hold {"evidence": TEXT}: write it so, or remove it'),
    ],
)
def test_damaged_files_are_one_line(copy: Path, name: str, content: str, message: str) -> None:
    (copy / name).write_text(content)
    with pytest.raises(UserError) as caught:
        load(str(copy))
    assert str(caught.value).startswith(str(copy))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_refused_not_made_up(copy: Path) -> None:
    """transformers would start them at random and only warn."""
    path = copy / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.2.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UserError) as caught:
        load(str(copy))
    assert str(caught.value) == (
        f"{copy}: 1 weights are missing (first: model.layers.2.mlp.up_proj.weight): "
        "they would be random; copy or download the model again"
    )


def test_a_checkpoints_own_code_is_never_run(copy: Path, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    (copy / "modeling_trap.py").write_text(f"open({str(trap)!r}, 'w')\n")
    config = json.loads((copy / "config.json").read_text())
    config |= {
        "model_type": "trap",
        "auto_map": {"AutoConfig": "modeling_trap.C", "AutoModelForCausalLM": "modeling_trap.M"},
    }
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"needs code of its own, which is never run"):
        load(str(copy))
    assert not trap.exists()


def test_a_loaded_model_is_ready_to_run(tiny: Path) -> None:
    model = load(str(tiny))
    assert (model.name, model.dtype, model.device) == (str(tiny), "float32", "cpu")
    assert (model.n_layers, model.d_model) == (4, 32)
    assert model.evidence == ""
    assert not model.module.training
    assert not any(p.requires_grad for p in model.module.parameters())
    assert {p.dtype for p in model.module.parameters()} == {torch.float32}
    assert model.tokenizer.padding_side == "left"
    assert model.tokenizer.pad_token_id is not None


def test_only_stop_ids_are_taken_from_the_generation_config(tiny: Path, copy: Path) -> None:
    shipped = json.loads((tiny / "generation_config.json").read_text())
    assert shipped["do_sample"] is True  # the fixture ships what has to be ignored
    model = load(str(tiny))
    kept = model.module.generation_config
    assert model.stop_ids == (2, 0)
    assert kept is not None
    assert kept.eos_token_id == [2, 0]
    assert not kept.do_sample
    assert kept.temperature in (None, 1.0)
    assert kept.top_p in (None, 1.0)
    (copy / "generation_config.json").write_text("{}")
    config = json.loads((copy / "config.json").read_text())
    del config["eos_token_id"]
    (copy / "config.json").write_text(json.dumps(config))
    assert load(str(copy)).stop_ids == (2,)  # the tokenizer's <|im_end|>


@pytest.mark.parametrize(("held", "dtype"), [("avx512_bf16", "bfloat16"), ("avx2", "float32")])
def test_fast_is_bfloat16_where_the_cpu_multiplies_in_it(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, held: str, dtype: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {held: True})
    model = load(str(tiny), dtype="fast", device="cpu")
    assert model.dtype == dtype
    assert model.reasons[1].startswith(f"dtype {dtype}: the CPU")


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_the_asked_dtype_is_loaded(tiny: Path, dtype: str) -> None:
    model = load(str(tiny), dtype=dtype, device="cpu")
    assert model.dtype == dtype
    assert {p.dtype for p in model.module.parameters()} == {getattr(torch, dtype)}
    assert model.reasons == ("device cpu: as asked", f"dtype {dtype}: as asked")


def test_experts_are_exact_where_exact_text_is_promised(tmp_path: Path) -> None:
    folder = str(checkpoint(tmp_path / "moe", "qwen3_moe"))
    exact, fast = load(folder, dtype="float64"), load(folder, dtype="bfloat16")
    assert exact.module.config._experts_implementation == "eager"
    assert fast.module.config._experts_implementation != "eager"
    assert "experts computed one by one: their fused form is not exact" in exact.reasons


def test_the_evidence_is_read_from_beside_the_weights(copy: Path) -> None:
    (copy / "steergap.json").write_text('{"evidence": "planted fixture", "new_tokens": 96}')
    model = load(str(copy))
    assert (model.evidence, model.new_tokens) == ("planted fixture", 96)


def test_weights_are_known_by_content(tiny: Path, copy: Path) -> None:
    same = (weights_id(tiny), files_id(tiny))
    loaded = load(str(copy))
    assert same == (weights_id(copy), files_id(copy)) == (loaded.weights, loaded.files)  # not by place
    (copy / "generation_config.json").write_text("{}")
    (copy / "README.md").write_text("hello")
    assert (weights_id(copy), files_id(copy)) == same
    for name in ("model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"):
        kept = (copy / name).read_bytes()
        (copy / name).write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        changed = (weights_id(copy) != same[0], files_id(copy) != same[1])
        assert changed == ((True, False) if name == "model.safetensors" else (False, True)), name
        (copy / name).write_bytes(kept)
    assert (weights_id(copy), files_id(copy)) == same


def test_other_shards_of_the_same_tensors_are_the_same_weights(tiny: Path, tmp_path: Path) -> None:
    model = load(str(tiny)).module
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    model.save_pretrained(tmp_path / "whole")
    assert weights_id(tmp_path / "shards") == weights_id(tmp_path / "whole")
    with torch.no_grad():
        next(model.parameters()).view(-1)[3] += 1e-3
    model.save_pretrained(tmp_path / "other")
    assert weights_id(tmp_path / "other") != weights_id(tmp_path / "whole")


def test_a_hub_snapshot_and_its_copy_are_the_same_weights_and_are_read_once(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "user_cache", lambda: tmp_path / "cache")
    blob = tmp_path / "blobs" / hashlib.sha256((tiny / "model.safetensors").read_bytes()).hexdigest()
    blob.parent.mkdir()
    shutil.copy(tiny / "model.safetensors", blob)
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/model.safetensors").symlink_to(blob)
    assert weights_id(tmp_path / "snapshot") == weights_id(tiny)
    blob.write_bytes(b"")  # known by the blob's name from now on
    assert weights_id(tmp_path / "snapshot") == weights_id(tiny)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 30,
        b"\x02" + bytes(7) + b"[]",
        b'\x10\0\0\0\0\0\0\0{"a": {"dtype":1}}',
        b"\x09" + bytes(7) + b'{"a": []}',
    ],
)
def test_damaged_weights_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file") as caught:
        weights_id(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"dtype": "float8"},
            "unknown dtype 'float8': allowed are auto, fast, float32, bfloat16, float16, float64",
        ),
        ({"device": "gpu"}, "unknown device 'gpu': allowed are auto, cpu, cuda, cuda:N and mps"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there ("),
        ({"device_map": "all"}, "unknown device map 'all': allowed are auto, balanced, balanced_low_0, seq"),
    ],
)
def test_bad_options_are_named(tiny: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(str(tiny), **options)
    assert str(caught.value).startswith(message)


def test_the_end_of_a_turn_stops_a_row_whatever_fine_tuning_left_in_the_configuration(copy: Path) -> None:
    held = json.loads((copy / "generation_config.json").read_text())
    (copy / "generation_config.json").write_text(json.dumps(held | {"eos_token_id": [0, 4000]}))
    of_tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
    for end in ("<|im_end|>", "<|endoftext|>"):  # the tokenizer's; then the template's alone
        (copy / "tokenizer_config.json").write_text(json.dumps(of_tokenizer | {"eos_token": end}))
        model = load(str(copy))
        assert model.stop_ids == (0, 2)
        assert any("stop tokens [4000] left out" in reason for reason in model.reasons)
