"""`python cli.py extract`: open a model, extract, show what came out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.extract import extraction_source, plain_contrast
from experiments.options import Options
from experiments.session import Session, open_session
from experiments.vector_source import extract_in
from steer.errors import UserError
from steer.types import Scenario
from vectors import contrasts, trust


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
    if options.dry_run:
        items = contrasts.extraction_scenarios(
            extraction or extraction_source(session.loaded),
            per_category=extraction_per_category,
            evaluation=session.scenarios,
        )
        return {"plan": extraction_plan(session, items, out, contrast=contrast, draws=draws)}
    vector = extract_in(
        session,
        out,
        contrast=contrast,
        method=method,
        layers=layers,
        scenarios=extraction,
        per_category=extraction_per_category,
        draws=draws,
        controls=controls,
        check=check,
    )
    if not options.quiet:
        session.screen.out.print(trust.show(vector))
    return trust.as_dict(vector)


def extraction_plan(
    session: Session, items: Sequence[Scenario], out: Path, *, contrast: str, draws: int
) -> dict[str, Any]:
    """What an extraction would generate and capture, printed; nothing is run or written.

    How many pairs a response contrast keeps is known only when its answers are judged.
    """
    numbers: dict[str, Any] = {"extraction_scenarios": len(items), "own_answers": len(items)}
    if contrast == "response":
        numbers["answers_under_suffixes"] = 2 * draws * len(items)
    else:
        made = plain_contrast(
            session.loaded, items, contrast, evaluated=session.suffixes.pair, thinking=session.thinking
        )
        numbers["pairs"] = len(made.pairs)
        numbers["rows_to_capture"] = sum(len(made.rows(side)) for side in made.sides)
    numbers["file"] = str(out)
    if not session.options.quiet:
        session.screen.table("Plan", ["", ""], [[k.replace("_", " "), str(v)] for k, v in numbers.items()])
    return numbers
