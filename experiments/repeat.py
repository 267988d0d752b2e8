"""What every finished run leaves: a `run.yaml` that repeats it (`--config run.yaml`), and its report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from experiments.flags import said
from experiments.options import Options
from steer.atomic import write_atomically

if TYPE_CHECKING:
    from steer.results.record import Record

NOT_REPEATED = {"config", "json_only", "dry_run", "out", "ctx"}


def conclude(
    ctx: typer.Context, options: Options, found: Record, made: Path | dict[str, Path] | None
) -> None:
    """Beside the results: run.yaml, to repeat the run, and its report. JSON alone if asked.

    made: the run's folder, or one a model; None where nothing was run.
    """
    folders = {"": made} if isinstance(made, Path) else made or {}
    if folders:
        from experiments.reporting import report as write_report
        from steer.screen import Screen

        for model, folder in folders.items():
            alone = {"model": model, "models": None} if model else {}
            write_run_file(folder, ctx.command.name or "", said(ctx) | alone)
        write_report(list(folders.values()), screen=Screen(quiet=options.quiet))
    if options.quiet:
        print(json.dumps(found.json_values(), indent=1, allow_nan=False))


def write_run_file(folder: Path, command: str, flags: Mapping[str, object]) -> Path:
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
