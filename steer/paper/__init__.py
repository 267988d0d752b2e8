"""arXiv 2601.01584: its published scenarios, suffixes and runs, as they were published."""

SCENARIOS = "instrumental-eval"
"""The name under which its scenarios are asked for."""
