"""The tasks there are, and a new one to begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

from experiments.session import ORGANISM
from steer.errors import UserError
from steer.screen import Screen
from steer.task import Task, load, names

SKELETON = Path(__file__).parents[1] / "steer/data/skeleton"


def tasks() -> list[Task]:
    """The shipped tasks, the organism's last."""
    return [*(load(name) for name in names()), load(ORGANISM)]


def print_tasks(screen: Screen) -> None:
    rows = [
        [
            task.name,
            task.record.title,
            task.record.word("hit"),
            task.record.judge,
        ]
        for task in tasks()
    ]
    screen.table(
        "Tasks (or a folder; `tasks new FOLDER` writes one)", ["task", "", "a hit is", "judge"], rows
    )


def new_task(folder: Path) -> Path:
    """Write a commented task that runs as it is. Raises UserError for a folder that holds anything."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{str(folder)!r} is there already, and not empty: name a new folder")
    shutil.copytree(SKELETON, folder, dirs_exist_ok=True)
    load(folder)
    return folder
