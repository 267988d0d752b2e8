"""Chat templates rendered under limits, in a process of their own (steer.template_worker).

That process has no environment of ours (no keys), and ends with us. It does not know tokenizers or roles.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock

from steer.errors import UserError
from steer.template_worker import MEMORY, SECONDS

WORKER = Path(__file__).with_name("template_worker.py")
ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT")


class TemplateFault(Exception):
    """Why a template gave no text, in one line."""


class Renderer:
    """The worker: started when first asked, and again after a template ended it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, line: bytes) -> bytes:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = _start()
            process = self._process
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(line)
                process.stdin.flush()
                answer = process.stdout.readline()
            except BrokenPipeError:
                answer = b""
            if not answer:
                process.kill()
                process.communicate()
            return answer


def render(template: str, variables: Mapping[str, object], *, date: str) -> str:
    """The text of a template; its clock shows midnight of `date` (YYYY-MM-DD). Raises TemplateFault."""
    asked = {"template": template, "variables": variables, "date": date}
    answer = _renderer().ask(json.dumps(asked, default=str).encode() + b"\n")
    if not answer:
        raise TemplateFault(f"it takes more than {SECONDS} seconds, or more memory than {MEMORY >> 20} MB")
    found: dict[str, str] = json.loads(answer)
    if "error" in found:
        raise TemplateFault(" ".join(found["error"].split())[:160])
    return found["text"]


@cache
def _renderer() -> Renderer:
    return Renderer()


def _start() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            # -P: the files beside the worker are no top-level modules
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            start_new_session=True,  # Ctrl-C is ours alone
        )
    except OSError as error:
        raise UserError(
            f"no process for the chat template ({error.strerror}): free some and repeat"
        ) from error
