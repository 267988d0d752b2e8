"""The tasks that tests judge by, and a judge of the default one's answers."""

from __future__ import annotations

from typing import Any

from experiments.session import ORGANISM
from steer import judges
from steer.judges.prompting import VerdictReply, verdict_reply
from steer.task import Cues, load
from steer.tasks import DEFAULT
from steer.types import Judge

TASK = load(DEFAULT)
RECORD = TASK.record
ORGANISM_TASK = load(ORGANISM)
LABELS = tuple(label.name for label in RECORD.labels)
REPLY: type[VerdictReply] = verdict_reply(RECORD)


def cues() -> Cues:
    assert RECORD.cues is not None
    return RECORD.cues


def make(spec: str, **access: Any) -> Judge:
    """The judge that a spec names, of the default task's answers."""
    return judges.make(spec, RECORD, **access)
