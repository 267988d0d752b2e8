"""From a model's name to a model ready to run: its dtype, its device, its stop ids.

Safetensors only (of a GGUF file, those made of it), no code from a checkpoint, and nothing of its
generation config but the stop ids. It does not know prompts or engines. What can be known without loading
is in steer.checkpoints, whose names that callers need are also here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from steer import window
from steer.chat import turn_end
from steer.checkpoints import ALIASES, PACKAGED, ResolvedModel, download, resolve
from steer.errors import UserError, choose, first_line
from steer.identity import files_id, weights_id
from steer.note import read_note
from steer.types import LoadedModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from steer.elsewhere import Workers

__all__ = ["ALIASES", "load", "resolve"]

DTYPES = ("float32", "bfloat16", "float16", "float64")
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")


def load(
    spec: str,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    device_map: str | None = None,
) -> LoadedModel:
    """Load a model in eval mode, downloading it where it is missing.

    dtype: one of DTYPES; "auto" is float32 on a CPU and bfloat16 on a GPU that has it, "fast" bfloat16 on a
    CPU that multiplies in it too.
    device: "cpu", "cuda", "cuda:N" or "mps"; "auto" is the GPU where there is one.
    device_map: one of DEVICE_MAPS, to spread a model over several GPUs; None keeps it on one.
    Raises UserError.
    """
    choose(dtype, ("auto", "fast", *DTYPES), what="dtype")
    if device_map is not None:
        choose(device_map, DEVICE_MAPS, what="device map")
    resolved = resolve(spec, revision=revision)
    device, why_device = _device(device)
    dtype, why_dtype = _dtype(dtype, device)
    folder = resolved.folder or download(resolved)
    tokenizer = _tokenizer(folder)
    module, eager = _module(folder, dtype, device, device_map)
    n_tokens = int(cast("Any", module.get_input_embeddings()).weight.shape[0])
    stop_ids, beyond = _stop_ids(module, tokenizer, n_tokens)
    _drop_generation_defaults(module, tokenizer, stop_ids)
    config: Any = module.config.get_text_config()
    if not (hasattr(config, "num_hidden_layers") and hasattr(config, "hidden_size")):
        raise UserError(f"{spec}: {config.model_type} has no one stack of decoder blocks: use another model")
    evidence, new_tokens = read_note(folder)
    source = resolved.package
    if resolved.hub:
        source = f"{resolved.hub}@{folder.name}"  # a snapshot is named by its commit
    reasons = [why_device, why_dtype]
    if device_map is not None:
        reasons[0] = f"device map {device_map}: the layers are spread over the GPUs"
    if eager:
        reasons.append("experts computed one by one: their fused form is not exact")
    if beyond:
        reasons.append(f"stop tokens {beyond} left out: the model has {n_tokens} tokens")
    if resolved.file is not None or spec in PACKAGED:
        reasons.append(_which(resolved, source, evidence))
    if not stop_ids:
        reasons.append("no stop token is known: every answer runs to its limit")
    return LoadedModel(
        name=spec,
        weights=weights_id(folder),
        dtype=dtype,
        device=str(module.device),
        module=module,
        tokenizer=tokenizer,
        stop_ids=stop_ids,
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        files=files_id(folder),
        source=source,
        evidence=evidence,
        new_tokens=new_tokens,
        n_tokens=n_tokens,
        window=window.bound(module),
        reasons=tuple(reasons),
    )


def outline(spec: str, like: LoadedModel, workers: Workers, *, revision: str | None = None) -> LoadedModel:
    """A model that workers hold, without its weights: its tokenizer, and a module on `meta`.

    like: what a worker loaded. Raises UserError where its configuration, tokenizer or template are others.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    resolved = resolve(spec, revision=revision)
    folder = resolved.folder or download(resolved)
    if files_id(folder) != like.files:
        raise UserError(
            f"{folder}: its configuration, tokenizer or template are not those the workers have: copy the "
            "same model to every node, or put it on a file system that all share"
        )
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        module: Any = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, like.dtype))
    tokenizer = _tokenizer(folder)
    return replace(like, name=spec, module=module.eval(), tokenizer=tokenizer, workers=workers)


def _which(resolved: ResolvedModel, source: str, evidence: str) -> str:
    """A line on the weights, where a name does not say which they are or of what kind."""
    if resolved.file is None:
        return f"weights: {source}"
    whence = f" of {source}, since the hub's are not to be had" if source else ""
    return f"weights: {resolved.file.name}{whence}{f' ({evidence})' if evidence else ''}"


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
    if dtype not in ("auto", "fast"):
        return dtype, f"dtype {dtype}: as asked"
    if dtype == "fast" and device == "cpu":
        able = torch.cpu.get_capabilities()
        if able.get("avx512_bf16") or able.get("amx_bf16"):
            return "bfloat16", "dtype bfloat16: the CPU multiplies in it; texts are other than float32's"
        return "float32", "dtype float32: the CPU does not multiply in bfloat16, so that nothing is faster"
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
        raise UserError(
            f"{folder}: the tokenizer cannot be read ({first_line(error)}): save it again"
        ) from error
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
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # what it warns of (missing weights) is an error below
    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        eager = bool(getattr(config, "num_experts", 0)) and dtype in ("float32", "float64")
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            device_map=device_map,
            output_loading_info=True,
            local_files_only=True,
            trust_remote_code=False,
            **({"experts_implementation": "eager"} if eager else {}),
        )
        module, info = loaded
        if device_map is None:
            module = module.to(device)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{folder} in {dtype} does not fit on {device}: use bfloat16, a smaller model, or a device map"
        ) from error
    except Exception as error:  # a foreign architecture, a damaged file: many kinds, one remedy
        hint = (
            "it needs code of its own, which is never run"
            if "remote_code" in str(error)
            else first_line(error)
        )
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


def _stop_ids(
    module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, n_tokens: int
) -> tuple[tuple[int, ...], list[int]]:
    """What ends a row: the generation config's end-of-text ids, the tokenizer's, and the end of a turn.

    Fine-tuning often changes one and forgets the others. Also those that the model has no row for.
    """
    held: Any = getattr(module.generation_config, "eos_token_id", None)
    ids: list[int | None] = [*(cast("list[int]", held) if isinstance(held, list) else [held])]
    ids += [cast("int | None", tokenizer.eos_token_id), turn_end(tokenizer)]
    found = dict.fromkeys(i for i in ids if i is not None)
    return tuple(i for i in found if i < n_tokens), [i for i in found if i >= n_tokens]


def _drop_generation_defaults(
    module: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, stop_ids: tuple[int, ...]
) -> None:
    """Forget the sampling settings a checkpoint ships: all of ours are explicit."""
    from transformers import GenerationConfig

    module.generation_config = GenerationConfig(
        eos_token_id=list(stop_ids) or None, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
