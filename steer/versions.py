"""Which versions made something: of this project, and of the libraries that decide its numbers."""

from __future__ import annotations

from importlib.metadata import version

VERSION = "0.1.0"

PACKAGES = ("torch", "transformers", "nnsight")

CACHED = 3
"""Raised when what a cache holds is made in another way: older entries are then made anew."""


def made_by() -> dict[str, str]:
    """What a cache's entries are named after, beside their content."""
    from steer.store.schema import SCHEMA  # answers are cached as a run

    return {"steergap": VERSION, "cached": str(CACHED), "store": str(SCHEMA), **packages()}


def packages() -> dict[str, str]:
    """{library: version} of those that decide a number."""
    return {package: version(package) for package in PACKAGES}
