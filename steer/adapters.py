"""LoRA adapters (peft) put on a model's own modules and taken off again.

An adapter is a folder as peft writes it: adapter_config.json and adapter_model.safetensors. Taken off,
the model has the modules it had before, so that its baseline is exact. Engines run rows of one adapter
at a time. It does not know how adapters are trained.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from steer.errors import UserError
from steer.types import LoadedModel

if TYPE_CHECKING:
    from torch import nn

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NOTE = "steergap.json"
"""Beside an adapter made here: {"weights": the model's, "identity": of the training}."""

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
    note = folder / NOTE
    made_on = json.loads(note.read_text(encoding="utf-8")).get("weights") if note.is_file() else None
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
    asked = {name: p.requires_grad for name, p in module.named_parameters()}
    try:
        _put_on(module, folder)
        yield
    finally:
        take_off(module)
        for name, p in module.named_parameters():
            p.requires_grad_(asked[name])


def _put_on(module: nn.Module, folder: Path) -> None:
    from peft import PeftModel
    from safetensors import safe_open

    misfit = f"adapter {str(folder)!r} does not fit {type(module).__name__}"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)  # peft asks by an old name
            warnings.filterwarnings("ignore", module="peft")
            adapted: Any = PeftModel.from_pretrained(module, str(folder), autocast_adapter_dtype=False)
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"{misfit} ({reason[:120]}): was it made for another model?") from error
    adapted.eval()
    # every tensor of the file must have found a place: peft passes over those that have none
    with safe_open(folder / WEIGHTS, "pt") as file:
        held = len(list(file.keys()))
    placed = sum(".lora_" in name for name, _ in module.named_parameters())
    if held != placed:
        raise UserError(
            f"{misfit}: it holds {held} tensors, {placed} have a place; was it made for another model?"
        )


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
