"""`python cli.py extract`: open a model, extract, show what came out."""

from __future__ import annotations

from pathlib import Path

from experiments.extraction.extract import check_choices, extract
from experiments.extraction.plan import answer_tokens, planned_work
from experiments.options import ExtractChoice, Options
from experiments.session import evaluation, open_session, vectors_cache
from steer.errors import UserError
from vectors import trust_screen


def extract_vector(options: Options, choice: ExtractChoice) -> dict[str, object]:
    """Extract into --out (a .safetensors file), and print the trust report; the same as JSON values."""
    out = options.out or Path("vector.safetensors")
    if out.suffix != ".safetensors":
        raise UserError(f"--out {str(out)!r}: a vector is written as a .safetensors file; name it so")
    check_choices(
        contrast=choice.contrast, method=choice.method, controls=choice.controls, check=choice.check
    )
    with open_session(options, items=evaluation(options)) as session:
        new_tokens = answer_tokens(
            choice.contrast, asked=options.new_tokens, limit=session.limits.new, thinking=session.thinking
        )
        if options.dry_run:
            numbers = planned_work(
                session.loaded,
                session.task,
                contrast=choice.contrast,
                layers=choice.layers,
                scenarios=choice.extraction,
                per_category=choice.extraction_per_category,
                evaluation=session.scenarios,
                suffixes=session.suffixes,
                thinking=session.thinking,
                new_tokens=new_tokens,
                draws=choice.draws,
            )
            session.screen.plan(numbers, "Plan of the extraction")
            return {"plan": numbers}
        vector = extract(
            session.loaded,
            session.engine,
            session.judge,
            session.task,
            out=out,
            cache=vectors_cache() / "cache",
            screen=session.screen,
            contrast=choice.contrast,
            method=choice.method,
            layers=choice.layers,
            scenarios=choice.extraction,
            per_category=choice.extraction_per_category,
            evaluation=session.scenarios,
            suffixes=session.suffixes,
            thinking=session.thinking,
            prompt_tokens=session.limits.prompt,
            new_tokens=new_tokens,
            draws=choice.draws,
            seed=options.seed,
            controls=choice.controls,
            check=choice.check,
        )
        if not options.quiet:
            session.screen.out.print(trust_screen.show(vector))
        return trust_screen.as_dict(vector)
