"""The run store: one folder a run, `run.sqlite` in it, every row as it comes.

It stores and returns rows; it does not know what a gap is.
"""

from steer.store.rows import PlanRow, Prompt, Row, Setting, StoredResponse, pack, unpack
from steer.store.schema import FILE
from steer.store.writing import RunStore

__all__ = ["FILE", "PlanRow", "Prompt", "Row", "RunStore", "Setting", "StoredResponse", "pack", "unpack"]
