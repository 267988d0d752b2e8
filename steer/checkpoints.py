"""Finding a checkpoint: alias, hub id or folder; what it lacks, what it is, where it lies.

Nothing here imports torch or transformers, so that a typing mistake is answered at once. It does not
know how a model is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from steer.errors import UserError
from steer.texts import read_json

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

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
DOWNLOADED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]


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


def read_note(folder: Path) -> tuple[str, int]:
    """(evidence, new_tokens) of the note beside a checkpoint; "" and 0 without one."""
    note = folder / NOTE
    if not note.is_file():
        return "", 0
    try:
        held: Any = read_json(note)
        return str(held["evidence"]), int(held.get("new_tokens", 0))
    except (UserError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{note}: must hold {{"evidence": TEXT}}: write it so, or remove it') from error


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
        read_json(folder / "config.json")
    except UserError:
        return "config.json is not JSON: copy or download the model again"
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            shards = sorted(set(cast("dict[str, str]", read_json(index)["weight_map"]).values()))
        except (UserError, KeyError, TypeError, AttributeError):
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


def download(resolved: ResolvedModel) -> Path:
    """Bring a hub model into the hub's cache, going on where an earlier try stopped; its folder."""
    try:
        folder = _snapshot(resolved.hub, resolved.revision, local=False)
    except Exception as error:  # network, disk: the client has no common base for them
        raise UserError(
            f"downloading {resolved.hub} stopped ({type(error).__name__}: {first_line(error)}): "
            "run the command again, it continues where it stopped"
        ) from error
    fault = _fault(folder)
    if fault:
        raise UserError(f"{resolved.hub}: {fault}")
    return folder


def first_line(error: BaseException) -> str:
    """The first line of a library's message, not too long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
