"""Vector files of other projects: read into and written from ours, layer conventions in one table.

`.pt` files are read with `weights_only=True`; one that needs more than tensors is refused.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steer.atomic import write_atomically
from steer.errors import UserError, choose
from steer.texts import read_json
from vectors.controls import orthogonal_part
from vectors.files import (
    existing_file,
    header_json,
    load_vector,
    parse_header,
    rebuilt,
    save_vector,
)
from vectors.vector import Provenance, SteeringVector
from vectors.vector import part as part_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Convention:
    """How a format counts layers: its index + `offset` is ours (the output of block L, from 0).

    drop_last: its last row was read after the final norm, so it is not a block's output.
    """

    offset: int
    drop_last: bool
    meaning: str


CONVENTIONS: dict[str, Convention] = {
    "gguf": Convention(0, False, "output of block L; llama.cpp applies L >= 1 only"),
    "persona_vectors": Convention(
        -1, True, "hidden_states[L]: output of block L-1; the last row is post-norm"
    ),
    "assistant-axis": Convention(0, False, "output of block L"),
    "refusal_direction": Convention(-1, False, "input of block L: output of block L-1"),
    "caa": Convention(0, False, "output of block L"),
    "svec": Convention(0, False, "output of block L"),
}
"""repeng and llama.cpp share the GGUF file."""

CHOSEN = "direction_metadata.json"
"""Says which position and layer of a refusal_direction file its authors chose: {"pos": -2, "layer": 10}."""

WRITABLE = ("steergap", "gguf", "persona_vectors")


def read_vector(
    path: Path, *, format: str = "", position: int | None = None, layer: int | None = None
) -> SteeringVector:
    """Read any known format. `format` may be left out where the name says it: .safetensors, .gguf, .svec,
    vec_layer_L.pt. Other .pt files need it: a stack of rows does not say how it counts layers.

    position, layer: of a refusal_direction file, in its own counting (positions before the answer, -1 the
    last); left out, direction_metadata.json beside it or in the folder above says them.
    """
    name = format or _guess(path)
    choose(name, ("steergap", *CONVENTIONS), what="vector format")
    if name != "refusal_direction" and (position is not None or layer is not None):
        raise UserError(f"{path}: a {name} file leaves no position or layer to choose: leave them out")
    if name == "steergap":
        return load_vector(path)
    if name == "caa" and path.is_dir():
        return _from_rows(_caa_folder(path), name, path, n_layers=0)
    existing_file(path)
    if name == "gguf":
        return _read_gguf(path)
    if name == "svec":
        return _from_rows(_svec(path), name, path, n_layers=0)
    if name == "caa":
        return _from_rows({_caa_layer(path): _tensor(path)}, name, path, n_layers=0)
    stack = _tensor(path)
    if name == "refusal_direction":
        return _refusal_direction(stack, path, position, layer)
    if stack.dim() != 2:
        raise UserError(f"{path}: shape {list(stack.shape)}, {name} files are [layer, d_model]")
    n_layers = len(stack) - (1 if name == "persona_vectors" else 0)
    return _from_rows(dict(enumerate(stack)), name, path, n_layers=n_layers)


def _refusal_direction(stack: Tensor, path: Path, position: int | None, layer: int | None) -> SteeringVector:
    """mean_diffs.pt at one position, or direction.pt, the one of them that was chosen."""
    beside = (path.parent / CHOSEN, path.parent.parent / CHOSEN)
    note = next((file for file in beside if file.is_file()), None)
    said: Any = read_json(note) if note else {}
    pos, at = (said.get("pos"), said.get("layer")) if isinstance(said, dict) else (None, None)
    if note and not (type(pos) is int and type(at) is int):
        raise UserError(f'{note}: must hold {{"pos": NUMBER, "layer": NUMBER}}: restore it, or move it away')
    source = f" (of {note.name})" if note and (position, layer) == (None, None) else ""
    position, layer = pos if position is None else position, at if layer is None else layer
    name, known = "refusal_direction", f"give it (vector convert), or keep {CHOSEN} beside the file"
    if stack.dim() == 1:
        if layer is None:
            raise UserError(
                f"{path}: one direction does not say its layer: {known.replace('it', '--layer', 1)}"
            )
        found = _from_rows({layer: stack}, name, path, n_layers=0)
        return replace_provenance(found, read=f"layer {layer} there{source}")
    if stack.dim() != 3:
        raise UserError(
            f"{path}: shape {list(stack.shape)}, mean_diffs is [position, layer, d_model] "
            "and direction [d_model]"
        )
    if position is None:
        raise UserError(
            f"{path}: holds {stack.shape[0]} positions and does not say which is meant: "
            f"{known.replace('it', '--position', 1)}"
        )
    if not -stack.shape[0] <= position < stack.shape[0]:
        raise UserError(f"{path}: position {position} is out of range: it has {stack.shape[0]}")
    found = _from_rows(dict(enumerate(stack[position])), name, path, n_layers=stack.shape[1])
    chosen = "" if layer is None else f"; the layer chosen there, {layer}, is {layer - 1} here"
    return replace_provenance(found, read=f"position {position} of {stack.shape[0]}{chosen}{source}")


def convert(
    path: Path,
    out: Path,
    *,
    to: str = "",
    format: str = "",
    position: int | None = None,
    layer: int | None = None,
    part: str = "",
    without: Path | None = None,
) -> str:
    """Read a vector; write it, a part of it or what is orthogonal to another; returns what to say of it."""
    found = read_vector(path, format=format, position=position, layer=layer)
    found = part_of(found, part) if part else found
    found = orthogonal_part(found, read_vector(without)) if without is not None else found
    left_out = write_vector(found, out, format=to)
    read = f"read: {found.provenance.read}\n" if found.provenance.source == "refusal_direction" else ""
    return f"{read}{out}" + (
        f" (left out layers {left_out}: the format cannot hold them)" if left_out else ""
    )


def write_vector(vector: SteeringVector, path: Path, *, format: str = "") -> tuple[int, ...]:
    """Write one of WRITABLE; returns the layers that the format cannot hold and that were left out.

    `format` may be left out where the name says it: .safetensors, .gguf, .pt (persona_vectors).
    """
    by_suffix = {".safetensors": "steergap", ".gguf": "gguf", ".pt": "persona_vectors"}
    name = format or by_suffix.get(path.suffix, path.suffix)
    choose(name, WRITABLE, what="writable vector format")
    if name == "steergap":
        save_vector(vector, path)
        return ()
    if name == "gguf":
        return _write_gguf(vector, path)
    return _write_persona(vector, path)


def _guess(path: Path) -> str:
    by_suffix = {".safetensors": "steergap", ".gguf": "gguf", ".svec": "svec"}
    if path.suffix in by_suffix:
        return by_suffix[path.suffix]
    if re.fullmatch(r"vec_layer_\d+.*\.pt", path.name):
        return "caa"
    if path.suffix == ".pt":
        raise UserError(
            f"{path}: a .pt file does not say how it counts layers: convert it, with the format "
            "persona_vectors, assistant-axis, refusal_direction or caa "
            f"(python cli.py vector convert {path.name} v.safetensors --format FORMAT)"
        )
    raise UserError(
        f"{path}: unknown kind of file {path.suffix!r}: allowed are .safetensors, .gguf, .svec and .pt"
    )


def _from_rows(rows: dict[int, Tensor], name: str, path: Path, *, n_layers: int) -> SteeringVector:
    """Directions at our layers; rows of zeros are layers that were not filled."""
    convention = CONVENTIONS[name]
    directions: dict[int, Tensor] = {}
    for index, row in rows.items():
        layer = index + convention.offset
        last = convention.drop_last and index == max(rows)
        if row.dim() != 1:
            raise UserError(
                f"{path}: the direction of layer {index} has shape {list(row.shape)}, not [d_model]"
            )
        if layer < 0 or last or not bool(row.any()):
            continue
        directions[layer] = row.detach().float().contiguous()
    if not directions:
        raise UserError(f"{path}: no layer holds a direction (index L there is the {convention.meaning})")
    width = next(iter(directions.values())).shape[-1]
    try:
        return SteeringVector(directions, Provenance(d_model=width, n_layers=n_layers, source=name))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _tensor(path: Path) -> Tensor:
    """The one tensor of a .pt file, which must not need pickle's code."""
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                raise UserError(f"{path}: the checksum of {damaged} is another: copy it again")
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:
        # weights_only raises UnpicklingError, a truncated archive RuntimeError, rubbish EOFError or KeyError
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"{path}: holds more than tensors, or is damaged ({reason}): not read") from None
    if not isinstance(loaded, torch.Tensor):
        raise UserError(f"{path}: holds a {type(loaded).__name__}, not a tensor")
    return loaded


def _caa_layer(path: Path) -> int:
    match = re.match(r"vec_layer_(\d+)", path.name)
    if match is None:
        raise UserError(f"{path}: a caa file is named vec_layer_L.pt, L the layer")
    return int(match[1])


def _caa_folder(folder: Path) -> dict[int, Tensor]:
    files = sorted(folder.glob("vec_layer_*.pt"))
    if not files:
        raise UserError(f"{folder}: no vec_layer_L.pt in it")
    found: dict[int, Tensor] = {}
    for file in files:
        layer = _caa_layer(file)
        if layer in found:
            raise UserError(f"{folder}: two files for layer {layer}: name the one that is meant")
        found[layer] = _tensor(file)
    return found


def _svec(path: Path) -> dict[int, Tensor]:
    import torch

    loaded = read_json(path)
    try:
        found = {
            int(layer): torch.tensor(row, dtype=torch.float64) for layer, row in loaded["directions"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError) as error:
        raise UserError(
            f"{path}: a .svec file is JSON with directions {{layer: numbers}} ({str(error)[:120]})"
        ) from None
    rows: dict[int, Tensor] = {}
    for layer, row in found.items():
        if row.dim() == 2 and len(row) > 1:
            raise UserError(f"{path}: layer {layer} holds {len(row)} directions, one is allowed")
        rows[layer] = row.reshape(-1)
    return rows


def _read_gguf(path: Path) -> SteeringVector:
    try:
        architecture, hint, own, rows = _gguf(path)
    except UserError:
        raise
    except Exception as error:  # the library raises ValueError, IndexError, struct.error, ... on damage
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a whole GGUF file ({reason}): copy it again") from None
    if architecture != "controlvector":
        raise UserError(f"{path}: GGUF of architecture {architecture!r}, a vector's is 'controlvector'")
    if not isinstance(hint, str):
        raise UserError(f"{path}: the required field controlvector.model_hint is missing")
    if isinstance(own, str):
        header = parse_header(own, where=str(path))
        try:
            return rebuilt(rows, {}, header)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    vector = _from_rows(rows, "gguf", path, n_layers=0)
    return replace_provenance(vector, model=hint)


def _gguf(path: Path) -> tuple[Any, Any, Any, dict[int, Tensor]]:
    """(architecture, model hint, our own header, direction by layer), as the file has them."""
    import torch
    from gguf import GGUFReader

    reader = GGUFReader(path)
    names = ("general.architecture", "controlvector.model_hint", "steergap.header")
    fields = [reader.get_field(name) for name in names]
    architecture, hint, own = (None if field is None else field.contents() for field in fields)
    rows: dict[int, Tensor] = {}
    for tensor in reader.tensors if architecture == "controlvector" else ():
        match = re.fullmatch(r"direction\.(\d{1,4})", tensor.name)
        if match is None or tensor.data.dtype != "float32":
            raise UserError(
                f"{path}: tensor {tensor.name!r} ({tensor.data.dtype}): allowed is direction.L, float32"
            )
        rows[int(match[1])] = torch.from_numpy(tensor.data.copy()).reshape(-1)
    return architecture, hint, own, rows


def replace_provenance(vector: SteeringVector, **changes: Any) -> SteeringVector:
    """The same vector with another provenance (and so another id)."""
    return SteeringVector(
        directions=vector.directions,
        provenance=replace(vector.provenance, **changes),
        norms=vector.norms,
        projections=vector.projections,
        parts=vector.parts,
        trust=vector.trust,
    )


def _write_gguf(vector: SteeringVector, path: Path) -> tuple[int, ...]:
    """repeng's and llama.cpp's file; our header rides along in a field that they ignore."""
    from gguf import GGUFWriter

    kept = {layer: d for layer, d in vector.directions.items() if layer >= 1}
    if not kept:
        raise UserError("the vector has layer 0 only, which llama.cpp cannot apply: choose another layer")

    def write(target: Path) -> None:
        writer = GGUFWriter(target, "controlvector")
        writer.add_string("controlvector.model_hint", vector.provenance.model or "unknown")
        writer.add_uint32("controlvector.layer_count", len(kept))
        writer.add_string("steergap.header", header_json(_without_parts(vector, kept)))
        for layer in sorted(kept):
            writer.add_tensor(f"direction.{layer}", kept[layer].numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    _write_through(path, write)
    return tuple(layer for layer in vector.layers if layer not in kept)


def _without_parts(vector: SteeringVector, directions: dict[int, Tensor]) -> SteeringVector:
    return SteeringVector(
        directions=directions,
        provenance=vector.provenance,
        norms=vector.norms,
        projections=vector.projections,
        trust=vector.trust,
    )


def _write_persona(vector: SteeringVector, path: Path) -> tuple[int, ...]:
    """[n_layers + 1, d_model]; row L + 1 is our L, the post-norm last row and unfilled rows are zero."""
    import torch

    count = vector.provenance.n_layers
    if not count:
        raise UserError("persona_vectors files need the number of layers, which this vector does not say")
    stack = torch.zeros(count + 1, vector.provenance.d_model)
    left_out: list[int] = []
    for layer, direction in vector.directions.items():
        if layer == count - 1:  # its row would be read after the final norm
            left_out.append(layer)
        else:
            stack[layer + 1] = direction
    if not bool(stack.any()):
        raise UserError(
            f"the vector has the last layer ({count - 1}) only, which persona_vectors cannot hold"
        )
    _write_through(path, lambda target: torch.save(stack, target))
    return tuple(left_out)


def _write_through(path: Path, write: Callable[[Path], None]) -> None:
    """Let a library write a temporary file, then put its bytes at `path` atomically."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "vector"
        write(target)
        write_atomically(path, target.read_bytes(), streams=True)
