"""The vector an experiment uses, and its controls: from a file, or extracted and cached by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.extraction.extract import DRAWS, extract, extraction_source, own_answers
from experiments.extraction.plan import answer_tokens, suffixed_answers
from experiments.options import VectorChoice
from experiments.session import Session, evaluation, vectors_cache
from experiments.sweep.grid import Cell, cell_name, edit_at
from steer import scenarios as scenario_files
from steer.blocks import check_stream
from steer.errors import UserError
from steer.plan import digest
from steer.task import Task
from steer.texts import read_text
from steer.types import Arm, Limits
from steer.versions import made_by
from vectors.build import with_norms
from vectors.contrasts import FORMALITY, extraction_scenarios, read_lines
from vectors.controls import other_concept, random_isotropic
from vectors.files import load_vector
from vectors.foreign import read_vector
from vectors.nulls import NULLS, null_files, null_vector
from vectors.vector import SteeringVector, check_model, flagged

CONTROL_KINDS = 2
"""Beside random directions and unrelated contrasts: shuffled labels and another concept."""

ControlKind = Literal["random", "label", "concept", "contrast"]


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """A direction that should do nothing in particular, at the layers of the vector."""

    name: str
    kind: ControlKind
    vector: SteeringVector


def vector_for(session: Session, choice: VectorChoice, layers: Sequence[int] = ()) -> SteeringVector:
    """Load the file, or extract; the same choice on the same model is extracted once.

    layers: those that will be steered at, whose flags are said; all of the vector's if left out.
    """
    check_stream(session.loaded)
    if choice.vector is not None or choice.file is not None:
        vector = choice.vector or read_vector(choice.file or Path())
        check_model(vector, session.loaded)
        if choice.span not in vector.norms:
            vector = _with_norms(session, vector)
    else:
        vector = _extracted(session, choice, choice.contrast)
    made = vector.provenance
    if made.pairs and made.thinking != session.thinking:
        was, now = ("on" if thinking else "off" for thinking in (made.thinking, session.thinking))
        session.screen.note(f"vector {vector.id} was extracted with thinking {was}, and here it is {now}")
    was, now = made.details.get("context", "full"), session.loaded.context
    if made.pairs and was != now:
        session.screen.note(f"vector {vector.id} was extracted with --context {was}, and here it is {now}")
    for line in flagged(vector, layers or vector.layers):
        session.screen.note(f"vector {vector.id}, {line}")
    return vector


def controls_for(session: Session, choice: VectorChoice, vector: SteeringVector) -> list[Control]:
    """Random directions, a label control, the other concept and unrelated contrasts, all as long as the
    vector.

    Label controls need the activations that the vector was made of, so a vector from a file has
    those beside it (FILE-controls, as `extract --controls` writes them) or none.
    """
    found = [
        Control(f"random{seed}", "random", random_isotropic(vector, seed)) for seed in range(choice.controls)
    ]
    if not choice.controls:
        return []
    if choice.operation == "clamp":
        session.screen.note("no controls: a clamp needs projections, and control directions have none")
        return []
    path = choice.file or _path(session, choice, choice.contrast)
    labels = path.with_name(f"{path.stem}-controls") / "labels-0.safetensors"
    label = load_vector(labels) if choice.vector is None and labels.is_file() else None
    if label is None:
        where = "a vector in memory has none beside it" if choice.vector else f"{labels} is not there"
        session.screen.note(f"no label control: {where} (extract --controls writes it)")
    elif label.provenance.parent != vector.id:
        session.screen.note(f"no label control: {labels} is of another vector, {label.provenance.parent}")
    else:
        found.append(Control("labels", "label", label))
    other = _extracted(session, choice, _concept(session, choice), controls=0)
    found.append(Control("concept", "concept", other_concept(vector, other)))
    return [*found, *_nulls(session, choice, vector)]


def count_controls(session: Session, choice: VectorChoice) -> int:
    """Control vectors at most. UserError where there are fewer unrelated contrasts than asked for."""
    if not choice.controls or choice.operation == "clamp":
        return 0
    return choice.controls + CONTROL_KINDS + len(null_contrasts(session.task, choice))


def null_contrasts(task: Task, choice: VectorChoice) -> list[Path]:
    """Their files; none where the task has a language of its own, and no contrasts in it."""
    if task.own_language and task.nulls is None:
        return []
    return null_files(task.nulls or NULLS, choice.nulls)


def _nulls(session: Session, choice: VectorChoice, vector: SteeringVector) -> list[Control]:
    """The task's unrelated contrasts, or ours, as vectors."""
    files = null_contrasts(session.task, choice)
    if choice.nulls and not files:
        session.screen.note(
            f"no unrelated contrasts: the task {session.task.name!r} has none in its language"
        )
    known = [*session.scenarios, *evaluation(session.options)]
    return [
        Control(
            f"null {file.stem}",
            "contrast",
            null_vector(
                session.loaded,
                vector,
                file,
                method=choice.method,
                contrast=Path(choice.contrast) if choice.contrast.endswith(".jsonl") else None,
                evaluation=known,
                thinking=session.thinking,
                cache=vectors_cache() / "cache",
            ),
        )
        for file in files
    ]


def control_ids(controls: Sequence[Control]) -> dict[str, str]:
    """What of the controls decides a run: its measures are kept by arm name, so a name must mean one."""
    return {control.name: control.vector.id for control in controls}


def extraction_answers(session: Session, choice: VectorChoice) -> int:
    """Answers that extracting the vector and the other concept takes at most; 0 for what is there."""
    contrasts: list[str] = []
    if choice.vector is None and choice.file is None:
        contrasts.append(choice.contrast)
    if choice.controls and choice.operation != "clamp":
        contrasts.append(_concept(session, choice))
    missing = [one for one in contrasts if not _path(session, choice, one).is_file()]
    lengths = {_new_tokens(session, one) for one in missing}  # own answers of one length are given once
    if choice.file is not None and choice.span not in read_vector(choice.file).norms:
        lengths.add(_new_tokens(session, ""))
    each = len(lengths) + (suffixed_answers(DRAWS) if "response" in missing else 0)
    return each * len(scenario_files.load(extraction_source(session.task)))


def control_arms(
    controls: Sequence[Control], places: Sequence[tuple[int, float]], choice: VectorChoice
) -> dict[str, tuple[Control, Cell]]:
    """Every control at every (layer, magnitude), by the name of its arm."""
    found: dict[str, tuple[Control, Cell]] = {}
    for control in controls:
        for layer, magnitude in places:
            name = cell_name(layer, magnitude, f"{control.name} ")
            edit = edit_at(control.vector, layer, magnitude, choice)
            found[name] = (control, Cell(layer, magnitude, Arm(name, additions=(edit,))))
    return found


def extracted_from(session: Session, choice: VectorChoice, scenarios: Path) -> SteeringVector:
    """The vector of the chosen contrast from other extraction scenarios (one category's, say)."""
    return _extracted(session, choice, choice.contrast, controls=0, scenarios=scenarios)


def _extracted(
    session: Session,
    choice: VectorChoice,
    contrast: str,
    *,
    controls: int = 1,
    scenarios: Path | None = None,
) -> SteeringVector:
    path = _path(session, choice, contrast, scenarios)
    if path.is_file():
        return load_vector(path)
    if session.options.dry_run:
        raise UserError(f"no vector at {path} yet: leave --dry-run out once, or give --vector FILE")
    session.screen.note(f"extracting the {contrast} vector (cached in {path})")
    return extract(
        session.loaded,
        session.engine,
        session.judge,
        session.task,
        out=path,
        cache=vectors_cache() / "cache",
        screen=session.screen,
        contrast=contrast,
        method=choice.method,
        scenarios=scenarios or extraction_source(session.task),
        evaluation=[*session.scenarios, *evaluation(session.options)],
        suffixes=session.suffixes,
        thinking=session.thinking,
        prompt_tokens=session.limits.prompt,
        new_tokens=_new_tokens(session, contrast),
        seed=session.options.seed,
        controls=controls,
    )


def _with_norms(session: Session, vector: SteeringVector) -> SteeringVector:
    """A vector of a file without norms (another project's), with this model's."""
    session.screen.note(f"vector {vector.id} says no norms n_L: they are taken from own answers")
    own = own_answers(
        session.loaded,
        session.engine,
        session.judge,
        extraction_scenarios(
            extraction_source(session.task), evaluation=[*session.scenarios, *evaluation(session.options)]
        ),
        limits=Limits(session.limits.prompt, _new_tokens(session, "")),
        thinking=session.thinking,
        cache=vectors_cache() / "cache",
        screen=session.screen,
    )
    with session.screen.progress(norms=len(own)) as tick:
        return with_norms(session.loaded, vector, own, tick=lambda rows: tick("norms", rows))


def _new_tokens(session: Session, contrast: str) -> int:
    return answer_tokens(
        contrast, asked=session.options.new_tokens, limit=session.limits.new, thinking=session.thinking
    )


def _path(session: Session, choice: VectorChoice, contrast: str, scenarios: Path | None = None) -> Path:
    """Named by all that decides the vector."""
    texts: list[str | Path] = [scenarios or extraction_source(session.task)]
    texts += [session.task.statements] if contrast == "statement" and session.task.statements else []
    texts += [FORMALITY] if contrast == "formality" else []
    if contrast.endswith(".jsonl"):
        read_lines(Path(contrast))  # says what is wrong with it
        texts.append(Path(contrast))
    identity = digest(
        [
            made_by(),
            session.loaded.weights,
            session.loaded.files,
            session.loaded.dtype,
            contrast,
            choice.method,
            [[pair.pro, pair.anti] for pair in (session.suffixes.pair, *session.suffixes.paraphrases)],
            session.suffixes.neutral,
            session.thinking,
            [session.loaded.context, session.loaded.date],
            session.options.seed,
            session.judge.name,
            [session.limits.prompt, _new_tokens(session, contrast)],
            [_content(text) for text in texts],
        ]
    )
    kind = Path(contrast).stem
    return vectors_cache() / f"{kind}-{choice.method}-{identity[:12]}.safetensors"


def _content(source: str | Path) -> str:
    if isinstance(source, Path):
        return read_text(source)
    return scenario_files.identity(scenario_files.load(source))


def _concept(session: Session, choice: VectorChoice) -> str:
    """The unrelated concept's contrast: --concept, the task's, or formality."""
    return str(choice.concept or session.task.concept or "formality")
