"""The `run.yaml` that lets a finished run be repeated exactly: `python cli.py COMMAND --config run.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steer.atomic import write_atomically

NOT_REPEATED = {"config", "json_only", "dry_run", "out", "ctx"}


def write_run_file(folder: Path, command: str, flags: Mapping[str, Any]) -> Path:
    """The flags of a command as YAML, in `folder`; where to write and what to print are left out."""
    import yaml

    kept = {
        name: _plain(value)
        for name, value in flags.items()
        if name not in NOT_REPEATED and value not in (None, [], ())
    }
    path = folder / "run.yaml"
    write_atomically(path, yaml.safe_dump({"command": command, **kept}, sort_keys=False).encode())
    return path


def _plain(value: Any) -> Any:
    """As YAML has it: paths as text, several values as a list."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return str(value) if isinstance(value, Path) else value
