"""Steered generation and measurement: scenarios, suffixes, arms, models, engines, judges, store, metrics, report.

Knows nothing of where a vector came from (`vectors/`) or which question is asked (`experiments/`).
"""
