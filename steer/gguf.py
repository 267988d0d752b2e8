"""A GGUF file as a checkpoint folder: read by transformers, dequantised, written to the user's cache once.

So whatever reads a checkpoint reads a GGUF file, and its slow reader runs once a file. The file's hash stands
beside the tensors made of it: it, not they, is the model's identity. It does not know how a model is run.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import tempfile
from collections import Counter
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from steer.atomic import filled
from steer.errors import UserError, first_line
from steer.identity import MADE_FROM
from steer.note import NOTE
from steer.paper.fetch import user_cache
from steer.versions import made_by

MAGIC = b"GGUF"
PLAIN = ("F32", "F16", "BF16", "F64")
"""Types of ggml that are not quantised."""


def is_gguf(path: Path) -> bool:
    return path.suffix.lower() == ".gguf" and path.is_file()


def converted(file: Path) -> Path | None:
    """The checkpoint folder of a GGUF file if it was made before. UserError if it is no such file."""
    folder = _place(file)[0]
    return folder if (folder / MADE_FROM).is_file() else None


def folder_of(file: Path) -> Path:
    """The checkpoint folder of a GGUF file, made where the cache lacks it: float32, 4 bytes a parameter.

    Raises UserError for a file that is damaged, or of which transformers would leave something out.
    """
    folder, digest = _place(file)
    if not (folder / MADE_FROM).is_file():
        with filled(folder) as draft:
            _convert(file, draft)
            (draft / MADE_FROM).write_text(f"sha256:{digest}")
    return folder


def _place(file: Path) -> tuple[Path, str]:
    """The folder for a file's conversion by these versions, and the file's sha256."""
    with file.open("rb") as handle:
        if handle.read(len(MAGIC)) != MAGIC:
            raise UserError(f"{file}: not a GGUF file (it does not begin with {MAGIC!r}): copy it again")
        handle.seek(0)
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    versions = hashlib.sha256(json.dumps(made_by()).encode()).hexdigest()
    return user_cache() / "gguf" / f"{digest}-{versions[:8]}", digest


def _convert(file: Path, draft: Path) -> None:
    """Raises UserError."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    held, n_parameters, rope = _checked(file)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        # alone: nothing that lies beside the file is read; the reader's bar cannot be switched off
        with tempfile.TemporaryDirectory() as alone, redirect_stderr(io.StringIO()):
            (Path(alone) / file.name).symlink_to(file.resolve())
            tokenizer: Any = AutoTokenizer.from_pretrained(alone, gguf_file=file.name, local_files_only=True)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                alone,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
                gguf_file=file.name,
                local_files_only=True,
            )
    except Exception as error:  # an unknown architecture, a damaged field: many kinds, one remedy
        said = first_line(error)
        raise UserError(f"{file}: cannot be read ({said}): give the model's safetensors") from error
    finally:
        logging.set_verbosity(verbosity)
    module, info = loaded
    missing = sorted(info["missing_keys"])
    if missing:
        raise UserError(f"{file}: {len(missing)} weights are missing (first: {missing[0]}): copy it again")
    n_read = sum(parameter.numel() for parameter in module.parameters())
    scaling: Any = getattr(module.config, "rope_parameters", None) or {}
    left_out = f"{n_parameters - n_read:,} of its numbers" if n_read != n_parameters else ""
    if rope not in ("none", scaling.get("rope_type")):
        left_out = f"its rope scaling ({rope})"
    if left_out:
        raise UserError(f"{file}: transformers leaves out {left_out}: give the model's safetensors")
    module.hf_quantizer = None  # it is dense now, and may be saved
    module.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    (draft / NOTE).write_text(json.dumps({"evidence": _evidence(held, n_parameters)}))


def _checked(file: Path) -> tuple[Counter[str], int, str]:
    """Parameters by type of ggml, of matrices only; parameters of all; the kind of rope scaling."""
    from gguf import GGUFReader

    try:
        reader: Any = GGUFReader(file)
        sizes = [(t.tensor_type.name, len(t.shape), math.prod(map(int, t.shape))) for t in reader.tensors]
        fields = {key: field.contents() for key, field in reader.fields.items() if "tokenizer" not in key}
    except Exception as error:  # a truncated file ends inside whatever is being read
        raise UserError(f"{file}: not a whole GGUF file ({first_line(error)}): copy it again") from error
    if fields.get("split.count", 1) > 1:
        raise UserError(f"{file}: one of several parts: merge them (llama-gguf-split --merge)")
    held: Counter[str] = Counter()
    for kind, rank, size in sizes:
        held[kind] += size * (rank > 1)
    rope = [str(value) for key, value in fields.items() if key.endswith(".rope.scaling.type")]
    return held, sum(size for _, _, size in sizes), (rope or ["none"])[0]


def _evidence(held: Counter[str], n_parameters: int) -> str:
    """What a quantised model's results carry; "" for one that is not. Bits are those of most matrices."""
    kind = held.most_common(1)[0][0] if held else PLAIN[0]
    if kind in PLAIN:
        return ""
    bits = re.findall(r"\d+", kind)[0]  # Q4_1, IQ3_S, MXFP4
    digits = 0 if n_parameters >= 1e6 else 3
    return f"real model, {n_parameters / 1e6:,.{digits}f} M parameters, quantised to {bits} bits"
