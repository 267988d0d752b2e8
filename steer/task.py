"""A task: which behaviour is measured, and the words that speak of it. A folder of data, no code.

FOLDER/task.yaml says what the labels are and which role each has; judge.md is the judge's prompt, cues.yaml
the `rubric` judge's cues (where the task has such a judge), suffixes.yaml the suffixes, extraction.jsonl the
scenarios that vectors are made from. Everything above sees roles; only reports, judges and exports see a
task's own words. It does not know models or arms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from steer.errors import UserError, choose
from steer.texts import read_text
from steer.types import ROLES, Role, Status, SuffixPair, SuffixSet

SHIPPED = Path(__file__).parent / "tasks"
FILE = "task.yaml"
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Parsed = TypeVar("Parsed", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TaskLabel(_Strict):
    """What a judge may say of an answer: its name, the role it plays, and when it is given."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    role: Role
    definition: Text


class Words(_Strict):
    """How a report speaks of hits.

    noun: what the rate counts ("honesty"). verb: what answers do ("confess"). adjective: what an answer that
    is a hit is ("honest"). pro, anti: what the suffixes of either side ask for.
    """

    noun: Text
    verb: Text
    adjective: Text
    pro: Text
    anti: Text


class JudgePrompt(_Strict):
    """What judges are told: the instructions before the labels, and the message with its {places}."""

    instructions: str
    message: str


class Cue(_Strict):
    """words: in the notation of `steer.judges.rubric`. hit, refusal: its weights.

    scope: count matches that are asserted, negated, either; `opening`: present in the first lines.
    stance: what it speaks for. Its weight for a hit has a floor (`for`), is >= 0 (`leaning`) or <= 0
    (`against`); `refusal` weighs for a refusal alone.
    """

    name: Text
    stance: Literal["for", "leaning", "against", "refusal"]
    scope: Literal["asserted", "negated", "any", "opening"]
    hit: float
    refusal: float
    words: Text


class Cues(_Strict):
    """The `rubric` judge's table. negation: words that turn what follows; bias: what no cue at all weighs."""

    negation: Text
    bias: dict[Literal["hit", "refusal"], float]
    cues: Annotated[tuple[Cue, ...], Field(min_length=1)]


class TaskRecord(_Strict):
    """What a run keeps of its task: all that judging and reporting it again need.

    judge: the spec of the judge by default; `choice` where options are compared, and then there may be no
    prompt. identity: sha256 of everything in the folder that a run
    depends on.
    """

    name: str
    title: str
    words: Words
    labels: tuple[TaskLabel, ...]
    judge: str
    prompt: JudgePrompt | None
    cues: Cues | None
    identity: str

    def role(self, label: str) -> Role | None:
        """The role of one of the task's labels; None for another word."""
        return next((one.role for one in self.labels if one.name == label), None)

    def word(self, status: Status) -> str:
        """The task's word for a role, its first label; any other status is its own word."""
        return next((one.name for one in self.labels if one.role == status), status)


class _Pair(_Strict):
    pro: Text
    anti: Text


class _TaskFile(_Strict):
    title: Text
    words: Words
    labels: Annotated[tuple[TaskLabel, ...], Field(min_length=2)]
    scenarios: Text
    judge: Text = "rubric"
    suffixes: Text = "suffixes.yaml"
    cues: Text = "cues.yaml"
    extraction: Text | None = None
    screening: Text | None = None
    statements: Text | None = None
    concept: Text | None = None
    nulls: Text | None = None
    follow_ups: Text | None = None
    probes: Text | None = None
    narrow: Text | None = None
    own_language: bool = False


class _SuffixFile(_Strict):
    pair: _Pair
    neutral: Text
    paraphrases: tuple[_Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One behaviour: what is said of it, and where its data lie.

    scenarios: a source of `steer.scenarios`; extraction scenarios, too. The others are files: choices to
    screen a sweep on, statements that vectors are made from, an unrelated concept, a folder of unrelated
    contrasts, what a user says in later turns, narrow faults, and a folder of the prompts that side effects
    are measured on. None is this project's own, or none where a task must bring its own. own_language: the
    model speaks that of the task alone, so that texts in plain English mean nothing to it.
    """

    record: TaskRecord
    scenarios: str
    suffixes: SuffixSet
    extraction: str | Path | None
    screening: Path | None
    statements: Path | None
    concept: Path | None
    nulls: Path | None
    follow_ups: Path | None
    probes: Path | None
    narrow: Path | None
    own_language: bool

    @property
    def name(self) -> str:
        return self.record.name


def names() -> list[str]:
    """The shipped tasks."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{FILE}"))


def find(spec: str | Path) -> Path:
    """The folder of a shipped task's name, or a folder as it is. Raises UserError."""
    folder = SHIPPED / str(spec)
    if str(spec) in names():
        return folder
    if (Path(spec) / FILE).is_file():
        return Path(spec)
    if Path(spec).is_dir():
        raise UserError(
            f"task {str(spec)!r}: the folder holds no {FILE}; `tasks new FOLDER` writes one to begin with"
        )
    choose(str(spec), names(), what="task (or a folder that holds a task.yaml)")
    raise AssertionError("choose refuses what is not there")


def load(spec: str | Path) -> Task:
    """Read and check a task. UserError names file and line."""
    folder = find(spec)
    file = _read(folder / FILE, _TaskFile)
    _check_labels(folder / FILE, file.labels)
    suffixes, cues = (
        _own_or_shipped(folder, name, kind)
        for name, kind in ((file.suffixes, "suffixes"), (file.cues, "cues"))
    )
    data = {
        name: _data(folder, given)
        for name in (
            "extraction",
            "screening",
            "statements",
            "concept",
            "nulls",
            "follow_ups",
            "probes",
            "narrow",
        )
        if (given := getattr(file, name)) is not None
    }
    scenarios = file.scenarios
    if scenarios.endswith((".jsonl", ".csv")):
        data["scenarios"] = _data(folder, scenarios)
        scenarios = str(data["scenarios"])
    record = TaskRecord(
        name=folder.resolve().name,
        title=file.title,
        words=file.words,
        labels=file.labels,
        judge=file.judge,
        prompt=None if file.judge == "choice" else _prompt(folder / "judge.md"),
        cues=_read(cues, Cues) if cues.is_file() else None,
        identity=identity_of([folder / FILE, folder / "judge.md", suffixes, cues, *data.values()]),
    )
    return Task(
        record=record,
        scenarios=scenarios,
        suffixes=read_suffixes(suffixes),
        extraction=data.get("extraction"),
        screening=data.get("screening"),
        statements=data.get("statements"),
        concept=data.get("concept"),
        nulls=data.get("nulls"),
        follow_ups=data.get("follow_ups"),
        probes=data.get("probes"),
        narrow=data.get("narrow"),
        own_language=file.own_language,
    )


def _own_or_shipped(folder: Path, named: str, kind: str) -> Path:
    """A YAML file of the folder, or that of a shipped task which is named instead."""
    return folder / named if named.endswith((".yaml", ".yml")) else find(named) / f"{kind}.yaml"


def identity_of(parts: Sequence[Path]) -> str:
    """sha256 of files, and of those in folders, whose names count for nothing."""
    whole = hashlib.sha256()
    for part in parts:
        for file in sorted(part.glob("*.jsonl")) if part.is_dir() else [part]:
            content = file.read_bytes() if file.is_file() else b""
            whole.update(len(content).to_bytes(8, "big") + content)
    return whole.hexdigest()


def read_suffixes(path: Path) -> SuffixSet:
    """A whole set: pair, neutral text, paraphrases; no text stands twice. Raises UserError."""
    file = _read(path, _SuffixFile)
    pairs = [file.pair, *file.paraphrases]
    texts = [text for pair in pairs for text in (pair.pro, pair.anti)]
    if twice := [text for i, text in enumerate(texts) if text in texts[:i]]:
        raise UserError(f"{path}: {twice[0][:60]!r} stands twice: every suffix must be a text of its own")
    first, *rest = (
        SuffixPair(f"paraphrase-{i}" if i else "default", pair.pro, pair.anti) for i, pair in enumerate(pairs)
    )
    return SuffixSet(first, file.neutral, tuple(rest))


def _check_labels(path: Path, labels: tuple[TaskLabel, ...]) -> None:
    names = [label.name for label in labels]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise UserError(f"{path}: two labels are named {twice[0]!r}: give each a name of its own")
    for role in ("hit", "miss"):
        if role not in (label.role for label in labels):
            raise UserError(f"{path}: no label has the role {role!r}: one must; roles are {', '.join(ROLES)}")


def _data(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        raise UserError(f"{folder / FILE} names {name!r}, which is not there: write {path}, or name another")
    return path


def _prompt(path: Path) -> JudgePrompt:
    """judge.md: instructions, a line `---`, and the message, which must hold {user} and {answer}."""
    if not path.is_file():
        raise UserError(f"{path} is not there: a task needs its judge's prompt")
    instructions, _, message = path.read_text(encoding="utf-8").partition("\n---\n")
    if "{labels}" not in instructions:
        raise UserError(f"{path}: the instructions lack {{labels}}, where the labels' definitions go")
    for place in ("{user}", "{answer}", "{fence}"):
        if place not in message:
            raise UserError(f"{path}: the message after the line --- lacks {place}")
    return JudgePrompt(instructions=instructions.strip(), message=message.strip())


def _read(path: Path, shape: type[Parsed]) -> Parsed:
    """A YAML file as `shape`; UserError with file and line."""
    import yaml

    text = read_text(path)
    try:
        return shape.model_validate(yaml.safe_load(text))
    except RecursionError as error:
        raise UserError(f"{path}: nested too deep: write plain keys and lists") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise UserError(f"{path}{line}: not YAML: {getattr(error, 'problem', error)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        line = _line(text, first["loc"])
        raise UserError(f"{path}:{line}: {where}: {first['msg']}") from error


def _line(text: str, place: tuple[int | str, ...]) -> int:
    """The line of a place in a YAML text, or of the nearest that is there."""
    import yaml

    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line
