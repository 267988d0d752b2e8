"""Inspect run as its users run it: its command line and its Python, in a process of their own, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from steer.types import SPANS, LoadedModel
from tests.tiny import LAYERS, WIDTH
from vectors.vector import Provenance, SteeringVector

ROOT = Path(__file__).parents[1]
SCENARIOS = ROOT / "organism/scenarios/evaluation.jsonl"

TASKS = '''
"""Tasks of the tests' own."""

import json
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageSystem, ChatMessageUser
from inspect_ai.scorer import includes


@task
def asked(file: str, first: int = 4) -> Task:
    """Scenarios of a JSONL file, put to the model as they are."""
    rows = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()][:first]
    samples = [
        Sample(
            id=row["id"],
            input=[ChatMessageSystem(content=row["system"]), ChatMessageUser(content=row["user"])],
            target="I",
        )
        for row in rows
    ]
    return Task(dataset=samples, scorer=includes())
'''

DRIVER = """
import json, sys
from inspect_ai._util import entrypoints
every = entrypoints.entry_points
# TransformerLens brings some too, which take ten seconds
entrypoints.entry_points = lambda group: [one for one in every(group=group) if one.name == "steergap"]
from inspect_ai._cli.main import inspect
for line in sys.stdin:
    kind, what = json.loads(line)
    if kind == "cli":
        inspect(what, standalone_mode=False)
    else:
        exec(what, {})
"""


def environment() -> dict[str, str]:
    """This checkout's packages first; nothing from the network, nothing drawn on the terminal."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return os.environ | {
        "PYTHONPATH": path,
        "INSPECT_DISPLAY": "none",
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore",
    }


def run(folder: Path, steps: Sequence[tuple[str, Any]]) -> None:
    """Steps, in `folder` and in one process: ("cli", arguments of `inspect`) or ("python", code)."""
    (folder / "tasks.py").write_text(TASKS, encoding="utf-8")
    lines = "".join(json.dumps(step) + "\n" for step in steps)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=lines,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def logs(folder: Path) -> list[Any]:
    """The logs in a folder, whole, oldest first."""
    from inspect_ai.log import list_eval_logs, read_eval_log

    found = [read_eval_log(info, resolve_attachments=True) for info in list_eval_logs(str(folder))]
    return sorted(found, key=lambda log: log.eval.created)


def vector_of(loaded: LoadedModel) -> SteeringVector:
    """A vector of a tiny model, at layers 1 and 2."""
    made = torch.randn(LAYERS, WIDTH, generator=torch.Generator().manual_seed(1))
    return SteeringVector(
        {layer: made[layer] for layer in (1, 2)},
        Provenance(d_model=WIDTH, n_layers=LAYERS, weights=loaded.weights),
        norms={span: {1: 4.0, 2: 4.0} for span in SPANS},
    )
