"""A run's rows for other tools: JSON lines, CSV, inspect-ai's `.eval` logs (one an arm); a whole copy.

Rows stream from the store. JSON lines and `.eval` hold texts exactly; control and direction characters
are escaped as JSON allows, so that printing a line does nothing to a terminal. CSV shows them as
`\\u202e` and puts an apostrophe before a text that a spreadsheet would run as a formula.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast, get_args

from steer.atomic import filled, refuse_other_than_file, replaced
from steer.errors import UserError, choose, understood
from steer.finite import finite
from steer.measures import MEASURES
from steer.screen import Tick, defused, unheard
from steer.store import FILE, Row, RunStore
from steer.store.config import ArmContent, Config
from steer.task import TaskRecord
from steer.texts import read_text
from steer.types import JUDGED, Scenario

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

    from steer.metrics import ArmMetrics

Format = Literal["jsonl", "csv", "inspect", "folder"]
FORMATS: tuple[Format, ...] = get_args(Format)
Exportable = dict[str, object]
"""A row as plain values by column."""

NOTHING: ArmContent = {"suffix": "", "system_suffix": "", "additions": [], "adapter": ""}


class Content(ArmContent):
    """An arm's settings; of one that a run recorded nothing of, nothing but the temperature."""

    temperature: float | None


@dataclass(frozen=True, slots=True)
class Exported:
    """Where the rows are and how many; for `inspect`, `path` is a folder of `files` logs."""

    path: Path
    rows: int
    files: int


def count_rows(folder: Path) -> int:
    """Planned rows of the run in `folder`: what an export of it holds."""
    with RunStore(folder, writable=False) as store:
        return int(next(iter(store.query("SELECT count(*) FROM plan")))[0])


def export(folder: Path, format: str, out: Path, *, tick: Tick = unheard) -> Exported:
    """Write every planned row of the run in `folder`. tick: told of rows as they are written.

    Raises UserError for an unknown format, a folder without a run, an `out` that cannot be written,
    and for `inspect` where inspect-ai is not installed.
    """
    choose(format, FORMATS, what="--format")
    with RunStore(folder, writable=False) as store:
        if format == "inspect":
            return _inspect(store, out, tick)
        if format == "folder":
            return _folder(store, out, tick)
        write = _jsonl if format == "jsonl" else _csv
        with replaced(out, streams=True) as binary, understood(f"the run in {str(folder)!r}"):
            file = TextIOWrapper(binary, encoding="utf-8", newline="")
            rows = write(_heard(records(store), tick), file)
            file.detach()
            return Exported(out, rows, 1)


def records(store: RunStore) -> Iterator[Exportable]:
    """Every planned row as plain values, arm by arm, with what was asked, added, said and judged."""
    config = store.config()
    judge = config["judge"]["name"]
    task, evidence = store.task(), store.meta("evidence") or ""
    known = {one.name: of for one in MEASURES if one.per == "answer" and (of := store.measures(one.name))}
    for arm in store.arms():
        content = _content(store, arm)
        for row in store.rows(judge, arm=arm):
            measured = {name: finite(of.get(row.key)) for name, of in known.items()}
            yield _record(row, content, config, task, judge, evidence) | {"measures": measured}


def _heard(rows: Iterator[Exportable], tick: Tick) -> Iterator[Exportable]:
    for row in rows:
        yield row
        tick(1)


def _content(store: RunStore, arm: str) -> Content:
    setting = store.settings()[arm]
    return {**(store.arm_contents().get(setting.arm) or NOTHING), "temperature": setting.temperature}


def _record(
    row: Row, content: Content, config: Config, task: TaskRecord, judge: str, evidence: str
) -> Exportable:
    return {
        "arm": row.arm,
        "suffix_set": config.get("suffixes") if content["suffix"] or content["system_suffix"] else None,
        **content,
        "model": config["model"]["name"],
        "task": task.name,
        "scenario": row.scenario,
        "category": row.category,
        "sample": row.sample,
        "system": row.system,
        "prompt": row.user,
        "thinking": row.thinking,
        "response": row.answer,
        "finish": row.finish or None,
        "error": row.error,
        "status": row.status,
        "label": (row.label or task.word(row.status)) if row.status in JUDGED else None,
        "reason": row.reason,
        "judge": judge,
        "applied": [asdict(applied) for applied in row.applied],
        "prompt_tokens": row.prompt_tokens,
        "answer_tokens": row.answer_tokens,
        "seconds": row.seconds,
        "evidence": evidence,
    }


# --- JSON lines ----------------------------------------------------------------------------


class _Escapes(dict[int, int | str]):
    """str.translate table: what a terminal or an editor would obey becomes a JSON escape."""

    def __missing__(self, code: int) -> int | str:
        character = chr(code)
        inert = unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        self[code] = code if inert else json.dumps(character)[1:-1]
        return self[code]


def _jsonl(rows: Iterator[Exportable], file: IO[str]) -> int:
    escapes = _Escapes()
    written = 0
    for record in rows:
        file.write(json.dumps(record, ensure_ascii=False).translate(escapes) + "\n")
        written += 1
    return written


# --- CSV -----------------------------------------------------------------------------------

ADDITION_COLUMNS = ("vector", "layer", "magnitude", "span", "operation", "unit")
NUMBERS = {
    *("layer", "magnitude", "temperature", "sample", "prompt_tokens", "answer_tokens", "seconds"),
    *(measure.name for measure in MEASURES),
}


def _csv(rows: Iterator[Exportable], file: IO[str]) -> int:
    writer: csv.DictWriter[str] | None = None
    written = 0
    for record in rows:
        flat = _flat(record)
        if writer is None:
            writer = csv.DictWriter(file, list(flat), quoting=csv.QUOTE_ALL, lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: _cell(name, value) for name, value in flat.items()})
        written += 1
    return written


def _flat(record: Exportable) -> Exportable:
    """Additions as columns (several joined by ` + `), what was applied as layer:positions:relative."""
    flat: Exportable = {}
    for name, value in record.items():
        if name == "additions":
            for column in ADDITION_COLUMNS:
                values = [addition[column] for addition in cast("list[Exportable]", value)]
                flat[column] = values[0] if len(values) == 1 else " + ".join(map(str, values))
        elif name == "applied":
            flat[name] = " + ".join(
                f"{a['layer']}:{a['positions']}:{a['relative']:.4g}" for a in cast("list[Any]", value)
            )
        elif name == "measures":
            flat |= cast("Exportable", value)
        else:
            flat[name] = value
    return flat


def _cell(name: str, value: object) -> str:
    if value is None:
        return ""
    if name in NUMBERS and isinstance(value, int | float):
        return repr(value)
    return defused(str(value))


# --- inspect-ai ----------------------------------------------------------------------------


def _inspect(store: RunStore, out: Path, tick: Tick) -> Exported:
    """One log an arm in the folder `out`, named as inspect names its own."""
    try:
        from inspect_ai.log import write_eval_log
    except ImportError:
        raise UserError(
            "--format inspect needs inspect-ai, which is not installed: pip install -e '.[inspect]'"
        ) from None
    if out.is_file():
        raise UserError(f"--out {str(out)!r} is a file: --format inspect writes a folder of logs, one an arm")
    created = datetime.fromtimestamp((store.folder / FILE).stat().st_mtime, UTC).replace(microsecond=0)
    stamp = created.isoformat().replace(":", "-")
    rows = 0
    arms = store.arms()
    with filled(out) as draft, understood(f"the run in {str(store.folder)!r}"):
        for arm in arms:
            log = _log(store, arm, created.isoformat())
            rows += len(log.samples or [])
            tick(len(log.samples or []))
            slug = re.sub(r"[^A-Za-z0-9.+-]+", "-", arm).strip("-")[:60] or "arm"
            name = f"{stamp}_{slug}_{log.eval.task_id}.eval"
            write_eval_log(log, str(draft / name), format="eval")
    return Exported(out, rows, len(arms))


# --- a run folder --------------------------------------------------------------------------

BESIDE = ("summary.json", "run.yaml")


def _folder(store: RunStore, out: Path, tick: Tick) -> Exported:
    """The run as it is at this moment, also while it is being written."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"--out {str(out)!r} is there already: --format folder makes a new run folder")
    with filled(out) as draft:
        store.copy_to(draft)
        for name in BESIDE:
            if refuse_other_than_file(store.folder / name):
                text = read_text(store.folder / name, received=True)
                (draft / name).write_text(text, encoding="utf-8")
    rows = count_rows(out)
    tick(rows)
    return Exported(out, rows, 1)


def _log(store: RunStore, arm: str, created: str) -> EvalLog:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalResults, EvalSpec
    from inspect_ai.model import GenerateConfig

    from steer.metrics import arm_metrics
    from steer.types import Outcome

    config = store.config()
    judge = config["judge"]["name"]
    content = _content(store, arm)
    task, evidence = store.task(), store.meta("evidence") or ""
    scenarios = {scenario.id: scenario for scenario in store.scenarios()}
    samples: list[EvalSample] = []
    outcomes: list[Outcome] = []
    for row in store.rows(judge, arm=arm):
        samples.append(_sample(row, scenarios[row.scenario], task, judge, config["model"]["name"]))
        outcomes.append(Outcome(row.arm, row.scenario, row.category, row.sample, row.status))
    metrics = arm_metrics(outcomes)[arm]
    identity = hashlib.sha256(json.dumps([config, arm], sort_keys=True).encode()).hexdigest()
    ids = list(dict.fromkeys(sample.id for sample in samples))
    spec = EvalSpec(
        eval_id=identity[:22],
        run_id=identity[22:44],
        task_id=identity[44:64],
        created=created,
        task=str(config.get("command", "run")),
        model=config["model"]["name"],
        model_generate_config=GenerateConfig(
            temperature=content["temperature"], max_tokens=config.get("limits", {}).get("new")
        ),
        dataset=EvalDataset(
            name="scenarios",
            location=config.get("scenarios", {}).get("identity"),
            samples=len(ids),
            sample_ids=[str(id) for id in ids],
        ),
        config=EvalConfig(epochs=max((sample.epoch for sample in samples), default=1)),
        packages={"steergap": str(config.get("version", ""))},
        metadata={
            "arm": arm,
            **content,
            "judge": judge,
            "evidence": evidence,
            "config": {name: value for name, value in config.items() if name != "arms"},
        },
    )
    whole = all(outcome.status != "missing" for outcome in outcomes)
    return EvalLog(
        status="success" if whole else "cancelled",
        eval=spec,
        results=EvalResults(
            total_samples=len(samples), completed_samples=len(samples), scores=_scores(metrics, task, judge)
        ),
        samples=samples,
    )


RATES = ("rate_all", "rate_valid", "refusal_valid", "broken_all")


def _scores(metrics: ArmMetrics, task: TaskRecord, judge: str) -> list[Any]:
    """Rates of the arm as inspect's metrics, with their intervals."""
    from inspect_ai.log import EvalMetric, EvalScore

    found = {
        name: EvalMetric(name=name, value=value, metadata={"ci": getattr(metrics, f"{name}_ci")})
        for name in RATES
        if (value := getattr(metrics, name)) is not None
    }
    return [EvalScore(name=task.word("hit"), scorer=judge, metrics=found)]


def _sample(row: Row, scenario: Scenario, task: TaskRecord, judge: str, model: str) -> EvalSample:
    """Its input is the scenario, its messages what was sent under the arm."""
    from inspect_ai.log import EvalSample
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessageAssistant,
        ChatMessageSystem,
        ChatMessageUser,
        ContentReasoning,
        ContentText,
        ModelOutput,
        ModelUsage,
    )
    from inspect_ai.scorer import Score

    def id_of(role: str) -> str:
        """Inspect wants an id a message; one by content makes an export repeatable."""
        return hashlib.sha256(f"{role}\0{row.arm}\0{row.scenario}\0{row.sample}".encode()).hexdigest()[:22]

    asked = [ChatMessageSystem(content=row.system, id=id_of("system"))] if row.system else []
    prompt = [*asked, ChatMessageUser(content=row.user, id=id_of("user"))]
    told = [ChatMessageSystem(content=scenario.system, id=id_of("told"))] if scenario.system else []
    thinking = [ContentReasoning(reasoning=row.thinking)] if row.thinking else []
    answer = ChatMessageAssistant(
        content=[*thinking, ContentText(text=row.answer)] if thinking else row.answer,
        model=model,
        id=id_of("assistant"),
    )
    usage = ModelUsage(
        input_tokens=row.prompt_tokens,
        output_tokens=row.answer_tokens,
        total_tokens=row.prompt_tokens + row.answer_tokens,
    )
    stop = {"stop": "stop", "length": "max_tokens"}.get(row.finish, "unknown")
    choice = ChatCompletionChoice.model_validate({"message": answer, "stop_reason": stop})
    scores = {
        "label": Score(
            value=row.label or task.word(row.status),
            answer=row.answer,
            explanation=row.reason,
            metadata={"judge": judge},
        )
    }
    if row.status in JUDGED:
        scores[task.word("hit")] = Score(value=int(row.status == "hit"), explanation=row.reason)
    return EvalSample(
        id=row.scenario,
        epoch=row.sample + 1,
        input=[*told, ChatMessageUser(content=scenario.user, id=id_of("asked"))],
        target="",
        messages=[*prompt, answer],
        output=ModelOutput(
            model=model, choices=[choice], usage=usage, time=row.seconds, error=row.error or None
        ),
        scores=scores,
        model_usage={model: usage},
        total_time=row.seconds,
        metadata={
            "category": row.category,
            "arm": row.arm,
            "finish": row.finish,
            "applied": [asdict(applied) for applied in row.applied],
        },
    )
