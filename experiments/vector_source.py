"""The vector an experiment uses, and its controls: from a file, or extracted and cached by content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments.extract import extract
from experiments.session import Session
from steer.errors import UserError
from steer.plan import digest
from steer.types import Arm, Operation, Span
from vectors.controls import other_concept, random_isotropic
from vectors.files import load_vector
from vectors.vector import SteeringVector, addition, check_model, flags

CACHE = Path("runs/vectors")
ControlKind = Literal["random", "label", "concept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorChoice:
    """Which vector, and how it is applied.

    file: a vector file; None extracts one by `contrast` and `method`. concept: a JSONL of
    {positive, negative} for the unrelated concept; None is formality (or the organism's style).
    vector: one in memory, instead of a file.
    """

    file: Path | None = None
    vector: SteeringVector | None = None
    contrast: str = "suffix"
    method: str = "mean-difference"
    span: Span = "last"
    operation: Operation = "add"
    controls: int = 3
    concept: Path | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """A direction that should do nothing in particular, at the layers of the vector."""

    name: str
    kind: ControlKind
    vector: SteeringVector


def vector_for(session: Session, choice: VectorChoice) -> SteeringVector:
    """Load the file, or extract; the same choice on the same model is extracted once."""
    if choice.vector is not None:
        vector = choice.vector
        check_model(vector, session.loaded)
    elif choice.file is not None:
        vector = load_vector(choice.file)
        check_model(vector, session.loaded)
    else:
        vector = _extracted(session, choice, choice.contrast)
    warned = [f"layer {layer}: {why}" for layer in vector.layers for why in flags(vector, layer)]
    if warned:
        session.screen.note(f"vector {vector.id}: {len(warned)} warnings, as {warned[0]}")
    return vector


def controls_for(session: Session, choice: VectorChoice, vector: SteeringVector) -> list[Control]:
    """Random directions, a label control and the other concept, each as long as the vector.

    Label controls need the activations that the vector was made of, so a vector from a file has
    those beside it (FILE-controls, as `extract --controls` writes them) or none.
    """
    found = [
        Control(f"random{seed}", "random", random_isotropic(vector, seed)) for seed in range(choice.controls)
    ]
    if not choice.controls:
        return []
    path = choice.file or _path(session, choice, choice.contrast)
    labels = path.with_name(f"{path.stem}-controls") / "labels-0.safetensors"
    if choice.vector is None and labels.is_file():
        found.append(Control("labels", "label", load_vector(labels)))
    else:
        where = "a vector in memory has none beside it" if choice.vector else f"{labels} is not there"
        session.screen.note(f"no label control: {where} (extract --controls writes it)")
    concept = choice.concept or _style(session)
    other = _extracted(session, choice, str(concept) if concept else "formality", controls=0)
    found.append(Control("concept", "concept", other_concept(vector, other)))
    return found


def control_arms(
    controls: Sequence[Control], layers: Sequence[int], magnitudes: Sequence[float], choice: VectorChoice
) -> dict[str, tuple[Control, int, float, Arm]]:
    """Arms of every control at every (layer, magnitude), by name."""
    found: dict[str, tuple[Control, int, float, Arm]] = {}
    for control in controls:
        for layer, magnitude in sorted(set(zip(layers, magnitudes, strict=True))):
            name = f"{control.name} L{layer}{magnitude:+g}"
            edit = addition(control.vector, layer, magnitude, span=choice.span)
            found[name] = (control, layer, magnitude, Arm(name, additions=(edit,)))
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
        out=path,
        cache=CACHE / "cache",
        screen=session.screen,
        contrast=contrast,
        method=choice.method,
        scenarios=scenarios,
        evaluation=session.scenarios,
        evaluated=session.suffixes.pair,
        thinking=session.thinking,
        prompt_tokens=session.limits.prompt,
        new_tokens=min(session.limits.new, 256),
        seed=session.options.seed,
        controls=controls,
    )


def _path(session: Session, choice: VectorChoice, contrast: str, scenarios: Path | None = None) -> Path:
    """Named by all that decides the vector."""
    pair = session.suffixes.pair
    content = Path(contrast).read_text(encoding="utf-8") if contrast.endswith(".jsonl") else contrast
    identity = digest(
        [
            session.loaded.weights,
            session.loaded.dtype,
            content,
            choice.method,
            pair.pro,
            pair.anti,
            session.thinking,
            session.options.seed,
            session.judge.name,
            scenarios and scenarios.read_text(encoding="utf-8"),
        ]
    )
    kind = Path(contrast).stem
    return CACHE / f"{kind}-{choice.method}-{identity[:12]}.safetensors"


def _style(session: Session) -> Path | None:
    """The organism's unrelated concept, in its own language; None for a real model (formality)."""
    path = Path(__file__).parents[1] / "organism/scenarios/style.jsonl"
    return path if session.loaded.evidence else None
