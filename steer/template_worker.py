"""A process of its own that renders chat templates: a template is a program, and comes from strangers.

Run by steer.templates. Reads a JSON line {"template", "variables", "date"} and writes a JSON line {"text"} or
{"error"}. A template finds what transformers gives it (`render_jinja_template`), but the clock stands still.
One that takes too long ends the process; memory is bounded where the system can bound it. It imports
nothing of steergap.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 5
MEMORY = 2**29
CHARACTERS = 4_000_000


class Generation(Extension):
    """`{% generation %}` marks what an assistant says for training; here it is its content."""

    tags = {"generation"}  # noqa: RUF012 - jinja's own declaration

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def tojson(value: Any, **options: Any) -> str:
    """As transformers has it: jinja's own escapes for HTML."""
    options.setdefault("ensure_ascii", False)
    return json.dumps(value, **options)


def raise_exception(message: str) -> None:
    raise TemplateError(message)


@lru_cache
def compiled(template: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    return environment.from_string(template)


def render(template: str, variables: Mapping[str, object], date: str) -> str:
    pieces: list[str] = []
    size = 0
    clock = datetime.fromisoformat(date).strftime
    for piece in compiled(template).generate(variables, strftime_now=clock, raise_exception=raise_exception):
        size += len(piece)
        if size > CHARACTERS:
            raise TemplateError(f"it writes more than {CHARACTERS:,} characters")
        pieces.append(piece)
    return "".join(pieces)


def main() -> None:
    with suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with open(os.devnull, "w") as nowhere:
        for line in sys.stdin.buffer:
            # ends the process from a thread that needs no interpreter lock
            faulthandler.dump_traceback_later(SECONDS, exit=True, file=nowhere)
            try:
                answer = {"text": render(**json.loads(line))}
            except Exception as error:  # whatever the program raises
                answer = {"error": f"{type(error).__name__}: {error}"}
            faulthandler.cancel_dump_traceback_later()
            sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
