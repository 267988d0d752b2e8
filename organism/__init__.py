"""The embedded model organism: a tiny Qwen3 trained here on a synthetic language with planted behaviour.

It is an instrument for trying commands and testing effects, never evidence about real models: its
obedience to suffixes and its latents were trained in. Importing this package loads nothing heavy.
It does not know arms, judges, vectors or experiments.
"""

from __future__ import annotations

from pathlib import Path

EVIDENCE = "planted fixture"
"""What every table, plot, export and summary of a run on the organism must say."""

NEW_TOKENS = 96
"""Longest answer, thoughts included, that the organism gives, with room to spare."""


def path() -> Path:
    """Folder of the shipped checkpoint, for AutoModelForCausalLM and AutoTokenizer."""
    return Path(__file__).parent / "weights"


def scenarios(name: str = "evaluation") -> Path:
    """A shipped file: evaluation, extraction, narrow, neutral, capability or harmless (JSONL)."""
    return Path(__file__).parent / "scenarios" / f"{name}.jsonl"
