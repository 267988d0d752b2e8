"""The note beside a checkpoint: what it is evidence of, and how long its answers can be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steer.errors import UserError
from steer.texts import read_json

NOTE = "steergap.json"
"""{"evidence": "planted fixture", "new_tokens": 96}; the second may be left out."""


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
