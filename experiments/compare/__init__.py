"""Suffix against vector on the same scenarios: gaps side by side, exchange, both at once, frontier.

`run` is the command and the only one that runs models, with `tuning` and `transfer`; the others compute from
outcomes. Cells, choice and controls are the sweep's.
"""
