"""A task: which behaviour is measured, and the words that speak of it. A folder of data, no code.

FOLDER/task.yaml says what the labels are and which role each has; judge.md is the judge's prompt,
suffixes.yaml the suffixes, extraction.jsonl the scenarios that vectors are made from. Everything above
sees roles; only reports, judges and exports see a task's own words. It does not know models or arms.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from steer.errors import UserError, choose
from steer.texts import read_text
from steer.types import ROLES, Role, SuffixPair, SuffixSet

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

    noun: what the rate counts ("convergence"). verb: what answers do ("converge"). adjective: what an
    answer that is a hit is ("convergent"). pro, anti: what the suffixes of either side ask for.
    """

    noun: Text
    verb: Text
    adjective: Text
    pro: Text
    anti: Text


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
    extraction: Text = "extraction.jsonl"
    statements: Text | None = None


class _SuffixFile(_Strict):
    pair: _Pair
    neutral: Text
    paraphrases: tuple[_Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgePrompt:
    """What judges are told: the instructions before the labels, and the message with its {places}."""

    instructions: str
    message: str


@dataclass(frozen=True, slots=True)
class Task:
    """One behaviour.

    scenarios: a source of `steer.scenarios`. extraction, statements: JSONL files. identity: sha256 of
    everything in the folder that a run depends on.
    """

    name: str
    folder: Path
    title: str
    words: Words
    labels: tuple[TaskLabel, ...]
    scenarios: str
    judge: str
    prompt: JudgePrompt
    suffixes: SuffixSet
    extraction: Path
    statements: Path | None
    identity: str

    def role(self, label: str) -> Role:
        """The role of one of the task's labels."""
        return next(one.role for one in self.labels if one.name == label)

    def label(self, role: Role) -> str:
        """The first label of a role, for a judge that knows roles only; the role itself without one."""
        return next((one.name for one in self.labels if one.role == role), role)


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
    suffixes = file.suffixes
    holder = folder / suffixes if suffixes.endswith((".yaml", ".yml")) else find(suffixes) / "suffixes.yaml"
    extraction = _data(folder, file.extraction)
    statements = _data(folder, file.statements) if file.statements else None
    prompt = _prompt(folder / "judge.md")
    scenarios = file.scenarios
    if scenarios.endswith((".jsonl", ".csv")):
        scenarios = str(_data(folder, scenarios))
    parts = [folder / FILE, folder / "judge.md", holder, extraction, *([statements] if statements else [])]
    if scenarios != file.scenarios:
        parts.append(Path(scenarios))
    whole = hashlib.sha256()
    for part in parts:
        content = part.read_bytes()
        whole.update(len(content).to_bytes(8, "big") + content)
    return Task(
        name=folder.resolve().name,
        folder=folder,
        title=file.title,
        words=file.words,
        labels=file.labels,
        scenarios=scenarios,
        judge=file.judge,
        prompt=prompt,
        suffixes=read_suffixes(holder),
        extraction=extraction,
        statements=statements,
        identity=whole.hexdigest(),
    )


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
    if not path.is_file():
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
    return JudgePrompt(instructions.strip(), message.strip())


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
