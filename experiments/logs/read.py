"""Logs of one task as rows: scores as numbers, the answer, what went wrong. Logs of another are refused.

It does not know statistics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steer.errors import UserError
from steer.texts import JsonObject

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

Key = tuple[str, int]
"""(sample id, epoch)."""

GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""Inspect's own numbers for grades (`inspect_ai.scorer.value_to_float`)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sample of one epoch. scores: by scorer, `scorer/key` where it gives several; None: not scored."""

    scores: dict[str, float | None]
    answer: str
    reasons: dict[str, str]
    error: str


@dataclass(frozen=True, slots=True)
class Log:
    """A finished log. questions: what each sample asks; words: scorers whose scores are no numbers.

    evidence: "" of real models (`LoadedModel.evidence`), where the log says.
    """

    path: str
    name: str
    model: str
    task: str
    version: str
    dataset: str
    rows: dict[Key, Row]
    questions: dict[str, str]
    words: frozenset[str]
    evidence: str = ""

    @property
    def errored(self) -> int:
        return sum(bool(row.error) for row in self.rows.values())


def read_logs(paths: Sequence[Path]) -> list[Log]:
    """Logs of one task, each with a name of its own; a folder is all of its logs, the oldest first.

    Raises UserError for any that cannot be compared.
    """
    paths = [file for path in paths for file in (sorted(path.rglob("*.eval")) if path.is_dir() else [path])]
    if len(paths) < 2:
        raise UserError(f"{len(paths)} log: give two at least, the one to compare with first")
    logs = [_read(path) for path in paths]
    if twice := [log.path for i, log in enumerate(logs) if log.path in [one.path for one in logs[:i]]]:
        raise UserError(f"{twice[0]!r} is given twice: give each log once")
    for log in logs[1:]:
        _same(logs[0], log)
    if len({log.name for log in logs}) < len(logs):
        stems = [Path(log.path).stem for log in logs]
        names = stems if len(set(stems)) == len(stems) else [log.path for log in logs]
        logs = [replace(log, name=name) for log, name in zip(logs, names, strict=True)]
    return logs


def _read(path: Path) -> Log:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError:
        raise UserError(
            "compare-logs needs inspect-ai, which is not installed: pip install -e '.[inspect]'"
        ) from None
    if not path.is_file():
        raise UserError(f"log {str(path)!r} is not a file: give .eval logs, as `inspect eval` writes them")
    try:
        found = read_eval_log(str(path), resolve_attachments=True, exclude_fields={"events", "store"})
    except Exception as error:  # whatever a damaged archive makes of the reader
        said = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        raise UserError(
            f"log {str(path)!r} cannot be read as Inspect's ({said}): restore it, or run again"
        ) from error
    if found.status != "success":
        raise UserError(
            f"log {str(path)!r} is unfinished (status {found.status}): `inspect eval-retry` finishes it"
        )
    rows: dict[Key, Row] = {}
    questions: dict[str, str] = {}
    words: set[str] = set()
    for sample in found.samples or []:
        key = str(sample.id), sample.epoch
        if key in rows:
            raise UserError(
                f"log {str(path)!r} has sample {key[0]!r} of epoch {key[1]} twice: give ids of their own"
            )
        rows[key] = _row(sample, words)
        questions[key[0]] = _question(sample)
    if not rows:
        raise UserError(f"log {str(path)!r} holds no samples: run with --log-samples")
    spec = found.eval
    return Log(
        path=str(path),
        name=_name(found),
        model=spec.model,
        task=spec.task,
        version=str(spec.task_version),
        dataset=spec.dataset.name or "",
        rows=rows,
        questions=questions,
        words=frozenset(words),
        evidence=_evidence(found),
    )


def _row(sample: EvalSample, words: set[str]) -> Row:
    scores: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for scorer, score in (sample.scores or {}).items():
        parts: JsonObject = (
            {f"{scorer}/{key}": value for key, value in score.value.items()}
            if isinstance(score.value, dict)
            else {scorer: score.value}
        )
        for name, value in parts.items():
            try:
                scores[name] = number(value)
            except ValueError:
                words.add(name)
            reasons[name] = score.explanation or ""
    error = sample.error.message if sample.error is not None else ""
    return Row(scores, sample.output.completion, reasons, error)


def number(value: Any) -> float | None:
    """A score as a number; None for one that is not there. ValueError for a word or a list."""
    if isinstance(value, str):
        value = GRADES.get(value if len(value) == 1 else value.lower(), value)
    if not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is no number")
    found = float(value)
    return found if math.isfinite(found) else None


def _question(sample: EvalSample) -> str:
    if isinstance(sample.input, str):
        return sample.input
    return "\n\n".join(f"{message.role}: {message.text}" for message in sample.input)


def _evidence(log: EvalLog) -> str:
    said = [log.eval.metadata, *(sample.output.metadata for sample in log.samples or [])]
    return next((str(one["evidence"]) for one in said if one and one.get("evidence")), "")


def _name(log: EvalLog) -> str:
    """How the log was steered, in a few words; the model's name where it was not by us."""
    arm = (log.eval.metadata or {}).get("arm")
    if isinstance(arm, str):
        return arm
    if not log.eval.model.startswith("steergap/"):
        return log.eval.model
    return ", ".join(_steering(log.eval.model_args)) or "baseline"


def _steering(given: JsonObject) -> Iterator[str]:
    if "arm" in given:
        yield str(given["arm"])
    elif "vector" in given:
        size = f" {given['magnitude']:+g}" if isinstance(given.get("magnitude"), (int, float)) else ""
        yield f"{Path(str(given['vector'])).name} L{given.get('layer')}{size}"
        yield from (str(given[name]) for name in ("span", "operation") if name in given)
    if "suffix" in given:
        text = str(given["suffix"])
        yield f"suffix {text if len(text) <= 24 else text[:23] + '…'}"


def _same(first: Log, other: Log) -> None:
    for field in ("task", "version", "dataset"):
        one, two = getattr(first, field), getattr(other, field)
        if one != two:
            what = "task version" if field == "version" else field
            raise UserError(
                f"{first.path!r} and {other.path!r} differ in {what}: {one!r} and {two!r}; only logs of one "
                "task on one dataset can be compared"
            )
    for id in first.questions.keys() & other.questions.keys():
        if first.questions[id] != other.questions[id]:
            raise UserError(
                f"{first.path!r} and {other.path!r} differ in dataset: sample {id!r} asks something else; "
                "only logs of one task on one dataset can be compared"
            )
    if not first.rows.keys() & other.rows.keys():
        raise UserError(
            f"{first.path!r} and {other.path!r} have no sample in common: there is nothing to pair"
        )
