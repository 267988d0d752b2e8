"""`python cli.py extract`: open a model, extract, show what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.extract import extract
from experiments.options import Options
from experiments.session import open_session
from experiments.vector_source import CACHE
from steer.errors import UserError
from vectors import trust


def extract_vector(
    options: Options,
    *,
    contrast: str,
    method: str,
    layers: str,
    extraction: Path | None,
    extraction_per_category: int | None,
    controls: int,
    draws: int,
    check: str,
) -> dict[str, Any]:
    """Extract into --out (a .safetensors file), and print the trust report; the same as JSON values."""
    out = options.out or Path("vector.safetensors")
    if out.suffix != ".safetensors":
        raise UserError(f"--out {str(out)!r}: a vector is written as a .safetensors file; name it so")
    session = open_session(options)
    vector = extract(
        session.loaded,
        session.engine,
        session.judge,
        out=out,
        cache=CACHE / "cache",
        screen=session.screen,
        contrast=contrast,
        method=method,
        layers=layers,
        scenarios=extraction,
        per_category=extraction_per_category,
        evaluation=session.scenarios,
        evaluated=session.suffixes.pair,
        thinking=session.thinking,
        prompt_tokens=session.limits.prompt,
        new_tokens=min(session.limits.new, 256),
        draws=draws,
        seed=options.seed,
        controls=controls,
        check=check,
    )
    if not options.quiet:
        session.screen.out.print(trust.show(vector))
    return trust.as_dict(vector)
