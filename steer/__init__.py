"""Steered generation and measurement: scenarios, arms, models, engines, judges, store, metrics, report.

Knows nothing of where a vector came from (`vectors/`) or which question is asked (`experiments/`).
"""
