"""From a model's name to a model ready to run: alias, hub id or folder; dtype, device, stop ids.

Safetensors only, no code from a checkpoint, and nothing of its generation config but the stop ids.
`resolve` answers typing mistakes without importing torch. It does not know prompts or engines.
"""

from __future__ import annotations

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from steer.errors import UserError, choose
from steer.types import LoadedModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ALIASES = {
    "qwen3-0.6b": "Qwen/Qwen3-0.6B",
    "qwen3-1.7b": "Qwen/Qwen3-1.7B",
    "qwen3-4b": "Qwen/Qwen3-4B-Instruct-2507",
    "qwen3-4b-base": "Qwen/Qwen3-4B-Base",
    "qwen3-4b-thinking": "Qwen/Qwen3-4B-Thinking-2507",
    "qwen3-30b": "Qwen/Qwen3-30B-A3B-Instruct-2507",
    "qwen3-30b-base": "Qwen/Qwen3-30B-A3B-Base",
    "qwen3-30b-thinking": "Qwen/Qwen3-30B-A3B-Thinking-2507",
}
"""The last six are those of arXiv 2601.01584."""

ORGANISM = Path(__file__).parents[1] / "organism/weights"
NOTE = "steergap.json"
"""Beside a checkpoint, says what it is evidence of, and may say how long its answers can be:
{"evidence": "planted fixture", "new_tokens": 96}."""

DTYPES = ("float32", "bfloat16", "float16", "float64")
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
DOWNLOADED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]
IDENTITY = (
    "*.safetensors",
    "config.json",
    "tokenizer*",
    "vocab.json",
    "merges.txt",
    "*tokens*.json",
    "*.jinja",
)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Where a model is. `folder` is None where it is on the hub but not yet on this machine.

    hub, revision: the repository, and the branch, tag or commit of it; "" for a local folder.
    """

    name: str
    folder: Path | None
    hub: str = ""
    revision: str = ""


def resolve(spec: str, *, revision: str | None = None) -> ResolvedModel:
    """Find a model by alias, "organism", local folder or hub id, with all that can be checked of it.

    A copy in the hub's cache is taken as it is; only a missing one is asked for on the hub. `revision`
    is a branch, tag or commit there. Raises UserError; imports neither torch nor transformers.
    """
    if spec == "organism":
        return _local(spec, ORGANISM, revision)
    if spec in ALIASES:
        return _hub(spec, ALIASES[spec], revision or "main")
    if Path(spec).expanduser().is_dir():
        return _local(spec, Path(spec).expanduser(), revision)
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", spec) and not Path(spec).exists():
        return _hub(spec, spec, revision or "main")
    if Path(spec).exists():
        raise UserError(f"{spec}: a file, not a model folder: give the folder it lies in")
    if "/" in spec or "\\" in spec:
        raise UserError(f"no model folder {spec!r}: check the path, or give a hub id (ORGANISATION/NAME)")
    near = get_close_matches(spec, ["organism", *ALIASES], n=1, cutoff=0.5)
    raise UserError(
        f"unknown model {spec!r}: allowed are organism, {', '.join(ALIASES)}, a hub id "
        f"(ORGANISATION/NAME) or a folder{f'; did you mean {near[0]!r}?' if near else ''}"
    )


def load(
    spec: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | None = None,
) -> LoadedModel:
    """Load a model in eval mode, downloading it where it is missing.

    dtype: one of DTYPES; "auto" is float32 on a CPU and bfloat16 on a GPU that has it.
    device: "cpu", "cuda", "cuda:N" or "mps"; "auto" is the GPU where there is one.
    device_map: one of DEVICE_MAPS, to spread a model over several GPUs; None keeps it on one.
    Raises UserError.
    """
    choose(dtype, ("auto", *DTYPES), what="dtype")
    if device_map is not None:
        choose(device_map, DEVICE_MAPS, what="device map")
    resolved = resolve(spec, revision=revision)
    device, why_device = _device(device)
    dtype, why_dtype = _dtype(dtype, device)
    folder = resolved.folder or _download(resolved)
    # a snapshot's folder has its commit for a name
    weights = f"{resolved.hub}@{folder.name}" if resolved.hub else content_hash(folder)
    tokenizer = _tokenizer(folder)
    module, eager = _module(folder, dtype, device, device_map)
    stop_ids = _stop_ids(module, tokenizer)
    _drop_generation_defaults(module, tokenizer, stop_ids)
    config = module.config.get_text_config()
    evidence, new_tokens = _note(folder)
    reasons = [why_device, why_dtype]
    if device_map is not None:
        reasons[0] = f"device map {device_map}: the layers are spread over the GPUs"
    if eager:
        reasons.append("experts computed one by one: their fused form is not exact")
    return LoadedModel(
        name=spec,
        weights=weights,
        dtype=dtype,
        device=str(module.device),
        module=module,
        tokenizer=tokenizer,
        stop_ids=stop_ids,
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        evidence=evidence,
        new_tokens=new_tokens,
        reasons=tuple(reasons),
    )


def content_hash(folder: Path) -> str:
    """sha256 over names and bytes of what decides a text: weights, configuration, tokenizer, template."""
    files = sorted({path for pattern in IDENTITY for path in folder.glob(pattern) if path.is_file()})

    def digest(path: Path) -> str:
        with path.open("rb") as handle:
            return f"{path.name} {hashlib.file_digest(handle, 'sha256').hexdigest()}"

    with ThreadPoolExecutor(8) as pool:  # hashing lets go of the interpreter lock
        lines = list(pool.map(digest, files))
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _local(name: str, folder: Path, revision: str | None) -> ResolvedModel:
    if revision is not None:
        raise UserError(
            f"revision {revision!r} is of a hub repository, and {name!r} is a folder: leave it out"
        )
    if not folder.is_dir():  # only the organism's own
        raise UserError(f"{folder}: the embedded model is not there: restore it from the repository")
    fault = _fault(folder)
    if fault:
        raise UserError(f"{folder}: {fault}")
    return ResolvedModel(name, folder)


def _fault(folder: Path) -> str:
    """What a checkpoint folder lacks, with the likely fix; "" when it is whole."""
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            return "a peft adapter, not a model: give the model and the adapter apart"
        return "no config.json in it: give a folder written by save_pretrained"
    try:
        json.loads((folder / "config.json").read_bytes())
    except ValueError:
        return "config.json is not JSON: copy or download the model again"
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            shards = sorted(
                set(cast("dict[str, str]", json.loads(index.read_bytes())["weight_map"]).values())
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{index.name} is no index of weights: copy or download the model again"
        absent = [shard for shard in shards if not (folder / shard).is_file()]
        if absent:
            return (
                f"{len(absent)} of {len(shards)} weight files are missing (first: {absent[0]}): "
                "copy or download the model again"
            )
    elif not any(folder.glob("*.safetensors")):
        other = sorted(
            p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".gguf", ".ckpt")
        )
        if other:
            return f"holds {other[0]} but no .safetensors: only safetensors are read, so convert it first"
        return "no weights (*.safetensors) in it: copy or download the model again"
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        return "no tokenizer (tokenizer.json) in it: save the model's tokenizer there too"
    return ""


def _hub(name: str, hub: str, revision: str) -> ResolvedModel:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    found = f"{hub} (revision {revision})"
    ways = f"without a network give a local folder, or --model organism; or fill the cache: hf download {hub}"
    cached = ""
    try:
        folder = _snapshot(hub, revision, local=True)
        cached = _fault(folder)
        if not cached:
            return ResolvedModel(name, folder, hub, revision)
    except HFValidationError as error:
        raise UserError(f"{hub!r} is no hub id: write ORGANISATION/NAME, or give a folder") from error
    except LocalEntryNotFoundError as error:
        cached = "incomplete" if "incomplete" in str(error).lower() else "no copy"
    looked = f"{found} is not whole in {constants.HF_HUB_CACHE} ({cached})"
    if constants.HF_HUB_OFFLINE:
        raise UserError(f"{looked} and HF_HUB_OFFLINE forbids asking the hub: unset it; {ways}")
    try:
        info = HfApi().model_info(hub, revision=revision, timeout=20)
    except GatedRepoError as error:
        raise UserError(f"{hub} is gated: accept its terms on the hub and set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"the hub has no public model {hub!r}, and there is no such folder: check it"
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{hub} has no revision {revision!r}: give a branch, tag or commit of it") from error
    except Exception as error:  # the client passes on what its http library, which it changes, raises
        raise UserError(
            f"{looked} and the hub cannot be reached: with a network try again; {ways}"
        ) from error
    names = [sibling.rfilename for sibling in info.siblings or []]
    if not any(file.endswith(".safetensors") and "/" not in file for file in names):
        raise UserError(
            f"{found} holds no safetensors: only these are read; choose another revision or model"
        )
    return ResolvedModel(name, None, hub, revision)


def _snapshot(hub: str, revision: str, *, local: bool) -> Path:
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            hub,
            revision=revision,
            local_files_only=local,
            allow_patterns=DOWNLOADED,
            ignore_patterns=["*/*"],
        )
    )


def _download(resolved: ResolvedModel) -> Path:
    try:
        folder = _snapshot(resolved.hub, resolved.revision, local=False)
    except Exception as error:  # network, disk: the client has no common base for them
        raise UserError(
            f"downloading {resolved.hub} stopped ({type(error).__name__}: {_line(error)}): "
            "run the command again, it continues where it stopped"
        ) from error
    fault = _fault(folder)
    if fault:
        raise UserError(f"{resolved.hub}: {fault}")
    return folder


def _device(device: str) -> tuple[str, str]:
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda", f"device cuda: {torch.cuda.get_device_name()} is there"
        return "cpu", "device cpu: no CUDA GPU is there"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", device):
        raise UserError(f"unknown device {device!r}: allowed are auto, cpu, cuda, cuda:N and mps")
    if device.startswith("cuda"):
        n = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(device.partition(":")[2] or 0) >= n:
            raise UserError(f"device {device!r} is not there ({n} CUDA GPUs are): use auto or cpu")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UserError("device 'mps' is not there: use auto or cpu")
    return device, f"device {device}: as asked"


def _dtype(dtype: str, device: str) -> tuple[str, str]:
    import torch

    if dtype == "float64" and device == "mps":
        raise UserError("dtype 'float64' does not exist on mps: use float32, or device cpu")
    if dtype != "auto":
        return dtype, f"dtype {dtype}: as asked"
    if not device.startswith("cuda"):
        return "float32", f"dtype float32: on {device} it makes texts repeatable"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16", "dtype bfloat16: the GPU has it, and it halves memory and time"
    return "float32", "dtype float32: the GPU has no bfloat16, and float16 overflows on large activations"


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged file raises whatever its parser raises
        raise UserError(f"{folder}: the tokenizer cannot be read ({_line(error)}): save it again") from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return cast("PreTrainedTokenizerBase", tokenizer)


def _module(folder: Path, dtype: str, device: str, device_map: str | None) -> tuple[PreTrainedModel, bool]:
    """The model, and whether its experts are computed one by one."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # what it warns of (missing weights) is an error below
    try:
        config: Any = AutoConfig.from_pretrained(folder, **options)
        eager = bool(getattr(config, "num_experts", 0)) and dtype in ("float32", "float64")
        if eager:
            options["experts_implementation"] = "eager"
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            device_map=device_map,
            output_loading_info=True,
            **options,
        )
        module, info = loaded
        if device_map is None:
            module = module.to(device)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{folder} in {dtype} does not fit on {device}: use bfloat16, a smaller model, or a device map"
        ) from error
    except Exception as error:  # a foreign architecture, a damaged file: many kinds, one remedy
        hint = "it needs code of its own, which is never run" if "remote_code" in str(error) else _line(error)
        raise UserError(
            f"{folder}: cannot be loaded ({hint}): give a checkpoint transformers knows"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    missing = sorted(info["missing_keys"])
    if missing:
        raise UserError(
            f"{folder}: {len(missing)} weights are missing (first: {missing[0]}): "
            "they would be random; copy or download the model again"
        )
    return module.eval().requires_grad_(False), eager


def _stop_ids(module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The generation config's end-of-text ids, else the tokenizer's."""
    ids: Any = getattr(module.generation_config, "eos_token_id", None)
    if ids is None:
        ids = tokenizer.eos_token_id
    if ids is None:
        return ()
    return tuple(dict.fromkeys(cast("list[int]", ids if isinstance(ids, list) else [ids])))


def _drop_generation_defaults(
    module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stop_ids: tuple[int, ...]
) -> None:
    """Forget the sampling settings a checkpoint ships: all of ours are explicit."""
    from transformers import GenerationConfig

    module.generation_config = GenerationConfig(
        eos_token_id=list(stop_ids) or None, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )


def _note(folder: Path) -> tuple[str, int]:
    """(evidence, new_tokens) of the note beside a checkpoint; "" and 0 without one."""
    note = folder / NOTE
    if not note.is_file():
        return "", 0
    try:
        held: Any = json.loads(note.read_bytes())
        return str(held["evidence"]), int(held.get("new_tokens", 0))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{note}: must hold {{"evidence": TEXT}}: write it so, or remove it') from error


def _line(error: BaseException) -> str:
    """The first line of a library's message, not too long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
