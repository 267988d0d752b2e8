"""One self-contained HTML page of one or several runs: headline, figures, tables, the answers behind them.

It reads a run's `summary.json` and store and writes a file; it computes no rate and no interval.
"""

from steer.report.page import Report, write

__all__ = ["Report", "write"]
