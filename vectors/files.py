"""The native vector file: safetensors with a schema version, written atomically, checked field by field.

Tensors: `direction.{L}` and `part.{NAME}.{L}`, fp32 [d_model], L the 0-based decoder block whose output
they belong to. Metadata: `format`, `schema`, `layers` (the convention in words) and `header`, JSON of
provenance, norms, projections and trust. Never pickle. Other projects' formats are in `vectors.foreign`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from steer.atomic import write_atomically
from steer.errors import UserError
from steer.types import Span
from vectors.vector import STRICT, LayerTrust, Provenance, SteeringVector

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "steergap-vector"
SCHEMA = 1
LAYERS = "direction.{L} is added at the output of decoder block L, counted from 0"


@dataclass(frozen=True, slots=True)
class Header:
    """All of a vector but its tensors, as the file's `header` holds it."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: str
    provenance: Provenance
    norms: dict[Span, dict[int, float]]
    projections: dict[Span, dict[int, tuple[float, float]]]
    trust: dict[int, LayerTrust]
    checksum: str = ""


def header_json(vector: SteeringVector) -> str:
    """The vector without its tensors, as JSON."""
    from pydantic import TypeAdapter

    header = Header(vector.id, vector.provenance, vector.norms, vector.projections, vector.trust)
    return TypeAdapter(Header).dump_json(replace(header, checksum=_checksum(header))).decode()


def _checksum(header: Header) -> str:
    """sha256 of all that the header says: the id leaves trust out, which says nothing of what steers."""
    from pydantic import TypeAdapter

    return hashlib.sha256(TypeAdapter(Header).dump_json(replace(header, checksum=""))).hexdigest()


def parse_header(text: str, *, where: str) -> Header:
    """Check every field; `where` names the file in the error."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Header).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "header"
        raise UserError(
            f"{where}: {field}: {first['msg']}; the file was not written by this version"
        ) from None


def rebuilt(
    directions: dict[int, Tensor], parts: dict[str, dict[int, Tensor]], header: Header
) -> SteeringVector:
    """The vector of tensors and header; UserError unless content hash and checksum are those written."""
    vector = SteeringVector(
        directions=directions,
        provenance=header.provenance,
        norms=header.norms,
        projections=header.projections,
        parts=parts,
        trust=header.trust,
    )
    if vector.id != header.id:
        raise UserError(f"its content hash is {vector.id}, not {header.id}: it was changed after writing")
    if header.checksum and header.checksum != _checksum(header):  # earlier files have none
        raise UserError("its trust figures do not give its checksum: they were changed after writing")
    return vector


def save_vector(vector: SteeringVector, path: Path) -> None:
    """Write the native file. It is there whole or not at all."""
    from safetensors.torch import save

    tensors = {f"direction.{layer}": d.contiguous() for layer, d in vector.directions.items()}
    for name, part in vector.parts.items():
        tensors |= {f"part.{name}.{layer}": d.contiguous() for layer, d in part.items()}
    metadata = {"format": FORMAT, "schema": str(SCHEMA), "layers": LAYERS, "header": header_json(vector)}
    write_atomically(path, save(tensors, metadata), streams=True)


def load_vector(path: Path) -> SteeringVector:
    """Read a native file; UserError says which field is wrong."""
    from safetensors import SafetensorError, safe_open

    existing_file(path)
    directions: dict[int, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]
            metadata: dict[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}): copy or extract it again") from None
    if metadata.get("format") != FORMAT:
        found = metadata.get("format")
        raise UserError(f"{path}: format is {found!r}, a steering vector's is {FORMAT!r}: is it a model?")
    schema = metadata.get("schema", "")
    if not re.fullmatch(r"[1-9][0-9]{0,3}", schema):
        raise UserError(f"{path}: schema is {schema!r}, allowed are 1 to {SCHEMA}")
    if int(schema) > SCHEMA:
        raise UserError(
            f"{path}: schema {schema} is newer than this version reads ({SCHEMA}): update steergap"
        )
    if metadata.get("layers") != LAYERS:
        raise UserError(f"{path}: layers is {metadata.get('layers')!r}, in schema {SCHEMA} it is {LAYERS!r}")
    header = parse_header(metadata.get("header", ""), where=str(path))
    for name, tensor in tensors.items():
        match = re.fullmatch(r"(?:direction|part\.(?P<part>[^.]+))\.(?P<layer>\d{1,4})", name)
        if match is None:
            raise UserError(f"{path}: tensor {name!r} is unknown: allowed are direction.L and part.NAME.L")
        home = directions if match["part"] is None else parts.setdefault(match["part"], {})
        home[int(match["layer"])] = tensor
    try:
        return rebuilt(directions, parts, header)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def existing_file(path: Path) -> None:
    """Raise UserError unless `path` is a file that is not empty."""
    if not path.is_file():
        raise UserError(f"no vector file at {path}: check the path, or make one with `python cli.py extract`")
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty: copy or extract it again")
