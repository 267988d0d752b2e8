"""The `-M` arguments of `steergap/MODEL`: an arm, and how the model is loaded. Nothing heavy at the top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steer.engines import EngineKind
from steer.errors import UserError, choose
from steer.tasks import DEFAULT
from steer.texts import read_text
from steer.types import Arm, Operation, Span, Unit

if TYPE_CHECKING:
    from steer.types import LoadedModel, SuffixSet

Placement = Literal["user", "system"]
Turn = Literal["last", "first"]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What decides a loaded model and its engine; equal ones are loaded once."""

    model: str
    revision: str | None
    dtype: str
    device: str
    device_map: str | None
    engine: EngineKind
    batch: int | None


class Arguments(BaseModel):
    """Everything that `-M` may say.

    task: whose suffixes `suffix` names. suffix: such a name (pro, anti, neutral, ...), a file, or a text.
    placement: appended to the user's or to the system text; turn: of the last user message or the first.
    arm: FILE or FILE:NAME (`vectors.records.read_arm`), with the vector file it was made of.
    context: user puts system texts before the first user text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    task: str | None = None
    suffix: Annotated[str, Field(min_length=1)] | None = None
    placement: Placement = "user"
    turn: Turn = "last"
    vector: Path | None = None
    layer: int | None = None
    magnitude: float | None = None
    span: Span = "last"
    operation: Operation = "add"
    unit: Unit = "norm"
    arm: str | None = None
    thinking: bool | None = None
    context: Literal["full", "user"] = "full"
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    device_map: str | None = None
    engine: EngineKind = "auto"
    batch: Annotated[int, Field(gt=0)] | None = None

    def choice(self, model: str) -> ModelChoice:
        return ModelChoice(
            model, self.revision, self.dtype, self.device, self.device_map, self.engine, self.batch
        )


NEEDS = {
    **dict.fromkeys(("placement", "turn", "task"), "suffix"),
    **dict.fromkeys(("layer", "magnitude", "span", "operation", "unit"), "vector"),
}
"""An argument -> the one without which it says nothing."""

OF_AN_ARM = ("suffix", "placement", "layer", "magnitude", "span", "operation", "unit")
"""What an arm from a file says itself."""


def read(given: dict[str, Any]) -> Arguments:
    """The arguments as Inspect parsed them (YAML, texts cut at commas). Raises UserError."""
    for name in given:
        choose(name, Arguments.model_fields, what="-M argument")
    # Inspect cuts texts at commas; joining them gives the very text
    values = {name: ",".join(map(str, v)) if isinstance(v, list) else v for name, v in given.items()}  # pyright: ignore[reportUnknownArgumentType]
    try:
        found = Arguments.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise UserError(f"-M {name}={values[name]!r}: {first['msg']}") from None
    for name in given:
        if name in NEEDS and NEEDS[name] not in given and found.arm is None:
            raise UserError(f"-M {name} says nothing without -M {NEEDS[name]}: give both or neither")
        if found.arm is not None and name in OF_AN_ARM:
            raise UserError(f"-M {name} beside -M arm: the arm in the file says it; leave one out")
    if found.vector is not None and found.arm is None:
        if found.layer is None:
            raise UserError("-M vector needs -M layer: the 0-based block whose output is edited")
        if found.magnitude is None and found.operation != "ablate":
            raise UserError("-M vector needs -M magnitude: signed, in mean residual norms of its layer")
    return found


def arm_of(arguments: Arguments, loaded: LoadedModel) -> Arm:
    """The arm that the arguments say, fit for the model. Raises UserError."""
    from vectors.foreign import read_vector
    from vectors.records import read_arm
    from vectors.vector import addition, check_model

    vector = read_vector(arguments.vector) if arguments.vector is not None else None
    if vector is not None:
        check_model(vector, loaded)
    if arguments.arm is not None:
        return read_arm(arguments.arm, vector)
    texts = dict.fromkeys(get_args(Placement), "")
    if arguments.suffix is not None:
        texts[arguments.placement] = suffix_text(arguments.suffix, arguments.task or DEFAULT)
    additions = ()
    if vector is not None:
        magnitude = 1.0 if arguments.magnitude is None else arguments.magnitude
        where = cast("int", arguments.layer)  # read() refuses a vector without
        operation, unit = arguments.operation, arguments.unit
        additions = (addition(vector, where, magnitude, span=arguments.span, operation=operation, unit=unit),)
    return Arm("steered", texts["user"], texts["system"], additions)


def suffix_text(given: str, task: str) -> str:
    """The text of a suffix: a name of the task's set, a file's content, or the words themselves.

    One word that is neither is taken for a name misspelt. Raises UserError.
    """
    from experiments.session import named_task

    names = suffix_names(named_task(task).suffixes)
    if given in names:
        return names[given]
    if "\n" not in given and len(given) < 256 and Path(given).is_file():
        return read_text(Path(given))
    if len(given.split()) > 1:
        return given
    what = f"suffix of task {task!r} (or a file, or a text of several words)"
    return names[choose(given, names, what=what)]


def suffix_names(suffixes: SuffixSet) -> dict[str, str]:
    """{name: text}: pro, anti, neutral, paraphrase-1-pro, paraphrase-1-anti, ..."""
    found = {"pro": suffixes.pair.pro, "anti": suffixes.pair.anti, "neutral": suffixes.neutral}
    for pair in suffixes.paraphrases:
        found |= {f"{pair.name}-pro": pair.pro, f"{pair.name}-anti": pair.anti}
    return found
