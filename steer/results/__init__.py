"""What a run found, typed and versioned: `estimates` are what statistics find, `result` puts them together.

It computes nothing and knows no store, no model and no words.
"""

from steer.results.estimates import Estimate, GapDifference
from steer.results.record import SCHEMA_VERSION
from steer.results.result import Result, read, write

__all__ = ["SCHEMA_VERSION", "Estimate", "GapDifference", "Result", "read", "write"]
