"""How a command line is read, and how it ends: an exit code, and one line of what went wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from steer.errors import UserError
from steer.screen import plain

INTERRUPTED = 130
"""What a shell calls a process that Ctrl-C ended; typer returns it instead of raising."""


def answered(app: typer.Typer) -> int:
    """Run a command. A UserError is one line and exit code 2; Ctrl-C keeps every finished row."""
    try:
        code = app(spread(sys.argv[1:]), standalone_mode=False, prog_name=Path(sys.argv[0]).name) or 0
    except UserError as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    except typer.TyperException as error:
        message = " ".join(error.format_message().split())
        print(f"error: {plain(message)} (-h shows what is allowed)", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        place = str(error.filename)
        place = place if len(place) <= 200 else f"{place[:200]}…"
        print(f"error: {plain(place)}: {error.strerror}; give another place", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        print("interrupted: finished rows are kept; the same command continues", file=sys.stderr)
    return code


def spread(arguments: list[str], flag: str = "--temperature") -> list[str]:
    """Let one flag take several values: `--temperature 0 0.7` becomes two flags. UserError for none."""
    out: list[str] = []
    taking = False
    for place, argument in enumerate(arguments):
        if argument == flag:
            taking = True
            if not any(map(_is_number, arguments[place + 1 : place + 2])):
                raise UserError(f"{flag} without a number: allowed are numbers from 0; give at least one")
            continue
        if taking and _is_number(argument):
            out += [flag, argument]
            continue
        taking = False
        out.append(argument)
    return out


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def print_version(wanted: bool) -> None:
    """Of a flag: print it and stop."""
    if wanted:
        from importlib.metadata import version

        print(f"steergap {version('steergap')}")
        raise typer.Exit
