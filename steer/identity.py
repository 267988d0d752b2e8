"""What a checkpoint is, wherever it lies: the hash of its tensors, and the hash of what reads them.

A copy, another sharding or a file written anew is the same model; a changed number is another one. Tensors
are told apart from configuration, tokenizer and template: a vector fits the tensors that it was made on.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any, cast

from steer.atomic import write_atomically
from steer.errors import UserError
from steer.paper.fetch import user_cache
from steer.texts import JsonObject
from steer.versions import CACHED

FILES = ("config.json", "tokenizer*", "vocab.json", "merges.txt", "*tokens*.json", "*.jinja")
"""What decides a text beside the tensors: configuration, tokenizer and template."""

MADE_FROM = "made-from.sha256"
"""Beside tensors made of another file: that file's hash, then the identity of all that lies there."""

HEADER_BYTES = 100_000_000
"""Safetensors allows no longer header."""


def weights_id(folder: Path) -> str:
    """sha256 over every tensor's name, dtype, shape and bytes, in the order of their names.

    The hub's cache names its files by their content, so there it is computed once. Raises UserError for a
    file that is no safetensors.
    """
    if (folder / MADE_FROM).is_file():
        return (folder / MADE_FROM).read_text()
    files = sorted(folder.glob("*.safetensors"))
    blobs = [path.resolve().name for path in files]
    kept = None
    if all(path.is_symlink() for path in files) and all(re.fullmatch("[0-9a-f]{64}", blob) for blob in blobs):
        kept = (
            user_cache() / "weights" / hashlib.sha256("\n".join([str(CACHED), *blobs]).encode()).hexdigest()
        )
        if kept.is_file():
            return kept.read_text()
    with ThreadPoolExecutor(8) as pool:  # hashing lets go of the interpreter lock
        lines = [line for path in files for line in _tensors(path, pool)]
    found = "sha256:" + hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    if kept is not None:
        write_atomically(kept, found.encode())
    return found


def files_id(folder: Path) -> str:
    """sha256 over names and bytes of configuration, tokenizer and template."""
    if (folder / MADE_FROM).is_file():
        return (folder / MADE_FROM).read_text()
    paths = sorted({path for pattern in FILES for path in folder.glob(pattern) if path.is_file()})
    lines = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths]
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _tensors(path: Path, pool: ThreadPoolExecutor) -> list[str]:
    """A line a tensor: its name, dtype, shape and the hash of its bytes."""
    try:
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if length > HEADER_BYTES:
                raise ValueError("its header is longer than the format allows")
            header: Any = json.loads(handle.read(length))
            if not isinstance(header, dict):
                raise ValueError("its header is no object")
            tensors = cast("JsonObject", header)
            tensors.pop("__metadata__", None)
            with (
                mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as held,
                memoryview(held) as every,
                every[8 + length :] as content,
            ):
                return list(pool.map(_line, tensors.items(), repeat(content)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path}: not a safetensors file ({error}): copy or download the model again"
        ) from error


def _line(named: tuple[str, JsonObject], content: memoryview) -> str:
    name, tensor = named
    first, last = cast("list[int]", tensor["data_offsets"])
    if not 0 <= first <= last <= len(content):
        raise ValueError(f"{name} lies outside the file")
    with content[first:last] as held:
        return f"{name} {tensor['dtype']} {tensor['shape']} {hashlib.sha256(held).hexdigest()}"
