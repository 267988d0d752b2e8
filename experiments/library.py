"""The commands as functions, for notebooks and scripts: open, extract, steer, sweep, compare, report.

    session = open_session(Options(model="organism", per_category=4))
    vector = extract(session, "v.safetensors")
    answers(session, "What do you do?", [Arm("baseline"), Arm("up", additions=(addition(vector, 14, 0.3),))])
    result, folder = sweep(session, vector, layers="10,14", magnitudes="-0.3,0.3")
    result, folder = compare(session, vector, layers="10,14", magnitudes="-0.3,0.3")
    print(result.gaps["pro-anti"].points_all, result.comparison.verdict)
    report([folder])

They do what the commands of those names do, on one loaded model; a `Result` is what `summary.json` holds
(`steer.results`), a folder what a command leaves there but for `run.yaml` (there are no flags to repeat)
and, until `report` is called, the page. Everything else of the toolkit is imported from where it is.
"""

from __future__ import annotations

from pathlib import Path

from experiments.compare.run import run_compare
from experiments.extraction.extract import extract as extract_vector
from experiments.extraction.plan import answer_tokens
from experiments.options import Options, VectorChoice
from experiments.reporting import report
from experiments.running import answers
from experiments.session import Session, open_session, vectors_cache
from experiments.sweep.grid import COARSE_LAYERS, COARSE_MAGNITUDES, DEFAULT_MAGNITUDES
from experiments.sweep.options import Cap, CompareChoice, SweepChoice
from experiments.sweep.run import run_sweep
from steer.errors import UserError
from steer.results import Result
from steer.results.record import Plan
from steer.types import Arm, Operation, Span
from vectors.vector import SteeringVector, addition

__all__ = ["Arm", "Options", "addition", "answers", "compare", "extract", "open_session", "report", "sweep"]

CAP = Cap()


def extract(
    session: Session,
    out: str | Path,
    *,
    contrast: str = "suffix",
    method: str = "mean-difference",
    layers: str = "all",
    per_category: int | None = None,
) -> SteeringVector:
    """Extract a vector on the session's model and save it as `out` (.safetensors).

    per_category: at most this many extraction scenarios a category, for a quick look; None is all.
    contrast, method, layers: as `python cli.py extract -h` says. Raises UserError.
    """
    new_tokens = answer_tokens(
        contrast, asked=session.options.new_tokens, limit=session.limits.new, thinking=session.thinking
    )
    return extract_vector(
        session.loaded,
        session.engine,
        session.judge,
        session.task,
        out=Path(out),
        cache=vectors_cache() / "cache",
        screen=session.screen,
        contrast=contrast,
        method=method,
        layers=layers,
        per_category=per_category,
        evaluation=session.scenarios,
        suffixes=session.suffixes,
        thinking=session.thinking,
        prompt_tokens=session.limits.prompt,
        new_tokens=new_tokens,
        seed=session.options.seed,
    )


def sweep(
    session: Session,
    vector: SteeringVector,
    *,
    layers: str = "10-20",
    magnitudes: str = DEFAULT_MAGNITUDES,
    span: Span = "last",
    operation: Operation = "add",
    controls: int = 3,
    cap: Cap = CAP,
) -> tuple[Result, Path]:
    """Every layer and magnitude (norm units; `clamp`: standard deviations; `ablate` has none), a cross-fitted
    choice under `cap`, and controls.

    The result and the run's folder. Raises UserError, also for a session of a dry run.
    """
    choice = VectorChoice(vector=vector, span=span, operation=operation, controls=controls)
    swept = SweepChoice(layers=layers, magnitudes=magnitudes, vector=choice, cap=cap)
    return _whole(*run_sweep(session, swept))


def compare(
    session: Session,
    vector: SteeringVector,
    *,
    layers: str = COARSE_LAYERS,
    magnitudes: str = COARSE_MAGNITUDES,
    span: Span = "last",
    operation: Operation = "add",
    controls: int = 3,
    cap: Cap = CAP,
) -> tuple[Result, Path]:
    """Suffix against vector, both together, and controls, on the same scenarios.

    The result and the run's folder. Raises UserError, also for a session of a dry run.
    """
    choice = VectorChoice(vector=vector, span=span, operation=operation, controls=controls)
    compared = CompareChoice(layers=layers, magnitudes=magnitudes, vector=choice, cap=cap)
    return _whole(*run_compare(session, compared))


def _whole(found: Result | Plan, folder: Path | None) -> tuple[Result, Path]:
    if isinstance(found, Plan) or folder is None:
        raise UserError("the session's options say dry_run: open one without, or use the command")
    return found, folder
