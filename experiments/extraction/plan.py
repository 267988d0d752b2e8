"""What an extraction will take, before anything is generated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.extraction.extract import SHORT_ANSWER, check_contrast, extraction_source, plain_contrast
from steer.suffixes import SuffixSet
from steer.task import Task
from steer.types import LoadedModel, Scenario
from vectors.capture import parse_layers, retained_bytes
from vectors.contrasts import extraction_scenarios
from vectors.responses import check_draws


def answer_tokens(contrast: str, *, asked: int | None, limit: int, thinking: bool) -> int:
    """New tokens of the model's own answers: `asked`, else at most 256 where an answer cut there serves.

    A response contrast takes whole answers, and a thinking model answers after its thought: both need
    the model's own limit.
    """
    return limit if asked is not None or thinking or contrast == "response" else min(limit, SHORT_ANSWER)


def suffixed_answers(draws: int) -> int:
    """Answers under suffixes that a response contrast takes of each scenario."""
    return 2 * draws


def planned_work(
    loaded: LoadedModel,
    task: Task,
    *,
    contrast: str,
    layers: str,
    scenarios: Path | None,
    per_category: int | None,
    evaluation: Sequence[Scenario],
    suffixes: SuffixSet,
    thinking: bool,
    new_tokens: int,
    draws: int,
) -> dict[str, int | float]:
    """What an extraction will take, in numbers, with all its inputs checked; nothing is generated."""
    check_contrast(task, contrast)
    chosen = parse_layers(layers, loaded.n_layers)
    items = extraction_scenarios(
        scenarios or extraction_source(task), per_category=per_category, evaluation=evaluation
    )
    if contrast == "response":
        check_draws(suffixes, draws)
        answers, pairs, rows, sides = suffixed_answers(draws) * len(items), len(items), 2 * len(items), 2
    else:
        made = plain_contrast(
            loaded, task, items, contrast, evaluation=evaluation, suffixes=suffixes, thinking=thinking
        )
        answers, pairs, sides = 0, len(made.pairs), len(made.sides)
        rows = sum(len(made.rows(side)) for side in made.sides)
    return {
        "scenarios": len(items),
        "own answers": len(items),
        "answers under suffixes": answers,
        "new tokens at most": (len(items) + answers) * new_tokens,
        "judge calls at most": len(items) + answers,
        "pairs at most": pairs,
        "rows to capture at most": rows,
        "layers": len(chosen),
        "activations in memory, MB": round(
            retained_bytes(pairs, len(chosen), loaded.d_model) * sides / 2 / 1e6, 1
        ),
    }
