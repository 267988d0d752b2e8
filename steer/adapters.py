"""LoRA adapters (peft) put on a model's own modules and taken off again.

An adapter is a folder as peft writes it: adapter_config.json and adapter_model.safetensors. Taken off,
the model has the modules it had before, so that its baseline is exact. Engines run rows of one adapter
at a time. It does not know how adapters are trained.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from steer.errors import UserError
from steer.texts import JsonObject, read_json
from steer.types import LoadedModel

if TYPE_CHECKING:
    from torch import nn

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NOTE = "steergap.json"
"""Beside an adapter made here: {"weights": the model's, "identity": of the training}."""

STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
TAKEN = frozenset(
    (
        *("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora", "lora_bias", "bias"),
        *("target_modules", "target_parameters", "exclude_modules", "layers_pattern", "layers_to_transform"),
        *("fan_in_fan_out", "init_lora_weights", "eva_config", "lora_dropout", "ensure_weight_tying"),
        *("auto_mapping", "base_model_name_or_path", "inference_mode", "peft_type", "peft_version"),
        *("revision", "task_type", "megatron_core", "qalora_group_size"),
    )
)
"""Fields of adapter_config.json that change nothing but how low-rank updates are added."""
TENSOR = re.compile(
    r"base_model\.model\.(.+)\.lora_(?:embedding_)?(?:A|B|magnitude_vector)(?:\.weight|\.bias)?"
)

Row = TypeVar("Row")


def require_peft() -> None:
    """Raise UserError unless peft is installed."""
    if find_spec("peft") is None:
        raise UserError("adapters need the package peft: install it with pip install 'steergap[lora]'")


def identity(adapter: str) -> str:
    """sha256 of the adapter's content, "" for none: what decides a row's text is not where it lies."""
    if not adapter:
        return ""
    whole = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        path = _folder(adapter) / name
        whole.update(len(name).to_bytes(8, "big") + name.encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def check(adapter: str, loaded: LoadedModel) -> None:
    """Raise UserError unless the adapter can be put on the model, and was made on it where it says."""
    require_peft()
    folder = _folder(adapter)
    note: Any = read_json(folder / NOTE) if (folder / NOTE).is_file() else {}
    made_on = str(note.get("weights", "")) if isinstance(note, dict) else ""
    if made_on and made_on != loaded.weights:
        raise UserError(
            f"adapter {adapter!r} was made on weights {made_on[7:19]}, this is {loaded.name} "
            f"({loaded.weights[7:19]}): train one for this model"
        )
    with active(loaded.module, adapter):
        pass


@contextmanager
def active(module: nn.Module, adapter: str) -> Generator[None]:
    """The model with an adapter on, or as it is for "". Afterwards it has the very modules it had."""
    if not adapter:
        yield
        return
    require_peft()
    folder = _folder(adapter)
    asked = [(p, p.requires_grad) for p in module.parameters()]
    try:
        _put_on(module, folder)
        yield
    finally:
        take_off(module)
        for p, trained in asked:
            p.requires_grad_(trained)


def _put_on(module: nn.Module, folder: Path) -> None:
    from peft import PeftConfig, PeftModel

    misfit = f"adapter {str(folder)!r} does not fit {type(module).__name__}"
    targets, held = _read(folder)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)  # peft asks by an old name
            warnings.filterwarnings("ignore", module="peft")
            config: Any = PeftConfig.from_pretrained(str(folder))
            whole = {name.rpartition(".")[0] for name in config.target_parameters or ()}
            # by the tensors' names, not by the file's patterns: one may be a regex that never ends
            config.target_modules = [t for t in targets if not any(f".{t}".endswith(f".{w}") for w in whole)]
            config.exclude_modules = config.layers_to_transform = config.layers_pattern = None
            adapted: Any = PeftModel.from_pretrained(
                module, str(folder), config=config, autocast_adapter_dtype=False
            )
    except Exception as error:  # a damaged file raises whatever peft stumbles over
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"{misfit} ({reason[:120]}): was it made for another model?") from error
    adapted.eval()
    # every tensor of the file must have found a place: peft passes over those that have none
    placed = sum(".lora_" in name for name, _ in module.named_parameters())
    if held != placed:
        raise UserError(
            f"{misfit}: it holds {held} tensors, {placed} have a place; was it made for another model?"
        )


def _read(folder: Path) -> tuple[list[str], int]:
    """(modules that the tensors belong to, number of tensors) of an adapter that is low-rank updates alone.

    Whatever else peft can save (whole modules, token rows, biases, other methods) would stay on the
    model or be left out: UserError names it, before anything is put on.
    """
    import torch
    from safetensors.torch import load_file

    def refuse(reason: str, fix: str = "") -> UserError:
        remedy = fix or "merge it into its model (merge_and_unload) and give that model"
        return UserError(f"adapter {str(folder)!r} {reason}: {remedy}")

    again = "copy it again"
    config: Any = read_json(folder / CONFIG)
    if not isinstance(config, dict):
        raise refuse(f"has a {type(config).__name__} for a configuration", again)
    held = cast("JsonObject", config)
    if held.get("peft_type") != "LORA":
        raise refuse(f"is of type {held.get('peft_type')!r}, and LORA is read")
    odd = [name for name, value in held.items() if value and name not in TAKEN]
    if held.get("bias", "none") != "none":
        odd.append("bias")
    if held.get("init_lora_weights", True) not in STARTS:  # others rewrite the model's own weights
        odd.append("init_lora_weights")
    if odd:
        raise refuse(f"has {odd[0]} = {str(held[odd[0]])[:40]}, more than low-rank updates")
    for name in ("rank_pattern", "alpha_pattern"):
        for pattern in held.get(name) or ():
            if not re.fullmatch(r"(?:[\w.^$|]|\\[.d]|(?<=\\d)\+)*", str(pattern)):
                raise refuse(f"has a {name} for {str(pattern)[:40]!r}, which is no plain name")
    try:
        tensors = load_file(folder / WEIGHTS)
    except Exception as error:
        raise refuse(f"has weights that cannot be read ({str(error)[:120]})", again) from error
    for name, tensor in tensors.items():
        if TENSOR.fullmatch(name) is None:
            raise refuse(f"holds {name[:120]!r}, which is no low-rank update")
        if not bool(torch.isfinite(tensor).all()):
            raise refuse(f"holds {name!r}, which is not finite", again)
    ranks = [int(t.shape[0]) for name, t in tensors.items() if t.dim() and "lora_A" in name]
    said = [held.get("r", 8), *cast("JsonObject", held.get("rank_pattern") or {}).values()]
    if any(not isinstance(r, int) or r > max([*ranks, 8]) for r in said):  # peft allocates by it first
        raise refuse(f"has ranks {str(said)[:40]}, and its tensors {max(ranks, default=0)} at most", again)
    modules = {re.sub(r"(\.base_layer)+$", "", m[1]) for m in map(TENSOR.fullmatch, tensors) if m}
    return sorted(modules), len(tensors)


def take_off(module: nn.Module) -> None:
    """Put every wrapped module's own layer back, also after a loading that failed half-way."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    wrapped = {name: m for name, m in module.named_modules() if isinstance(m, BaseTunerLayer)}
    for name, layer in wrapped.items():
        parent, _, last = name.rpartition(".")
        if not any(parent == outer or parent.startswith(f"{outer}.") for outer in wrapped):
            setattr(module.get_submodule(parent), last, cast("Any", layer).get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config


def grouped(rows: Iterable[Row], adapter: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows by adapter, those without one first; otherwise in the order given."""
    groups: dict[str, list[Row]] = {"": []}
    for row in rows:
        groups.setdefault(adapter(row), []).append(row)
    return {name: group for name, group in groups.items() if group}


def _folder(adapter: str) -> Path:
    folder = Path(adapter)
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"adapter {adapter!r} lacks {' and '.join(missing)}: give a folder that peft has saved "
            "(safetensors only)"
        )
    return folder
