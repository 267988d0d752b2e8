"""The vector an experiment uses: never a stale one, never another model's, with norms, flags said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from experiments.extraction.extract import extract
from experiments.options import Options, VectorChoice
from experiments.session import Session, vectors_cache
from experiments.sweep import gating, vector_source
from experiments.sweep.gating import gate_at
from experiments.sweep.vector_source import controls_for, vector_for
from steer import models, probes
from steer.chat import render
from steer.errors import UserError
from steer.screen import Screen
from steer.suffixes import NEUTRAL, PARAPHRASES, SuffixSet
from steer.types import Limits, LoadedModel, Scenario, SuffixPair
from tests.tasks import ORGANISM_TASK, TASK
from tests.test_capture import hooked
from tests.test_extract import KeepJudge, ScriptedEngine
from tests.tiny import checkpoint
from vectors.capture import Row, capture
from vectors.contrasts import extraction_scenarios
from vectors.controls import random_isotropic
from vectors.directions import cosine
from vectors.files import load_vector, save_vector
from vectors.foreign import write_vector
from vectors.vector import LayerTrust, Provenance, SteeringVector, addition

D = 32


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = checkpoint(tmp_path_factory.mktemp("tiny") / "qwen3")
    return models.load(str(folder), dtype="float32", device="cpu")


@pytest.fixture
def session(loaded: LoadedModel, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(vector_source, "extraction_source", lambda _task: source)
    return Session(
        options=Options(model=loaded.name, scenarios=ORGANISM_TASK.scenarios),
        loaded=loaded,
        engine=cast(Any, ScriptedEngine(loaded)),
        judge=KeepJudge(),
        task=TASK,
        scenarios=(Scenario("e", "c", "", "an evaluation scenario"),),
        suffixes=SuffixSet(SuffixPair("mine", "keep going", "stop"), NEUTRAL, PARAPHRASES),
        limits=Limits(new=16),
        thinking=False,
        screen=Screen(),
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "extraction.jsonl"
    rows = [
        {"id": f"s{i}", "category": f"c{i % 2}", "system": "", "user": f"Ship order {i} on time."}
        for i in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def made(loaded: LoadedModel, **changes: Any) -> SteeringVector:
    provenance = Provenance(
        d_model=D, n_layers=4, model="tiny", weights=loaded.weights, contrast="suffix", pairs=9
    )
    generator = torch.Generator().manual_seed(0)
    directions = {layer: torch.randn(D, generator=generator) for layer in (1, 3)}
    trust = {1: LayerTrust(split_half=0.2), 3: LayerTrust(split_half=0.9)}
    norms: Any = {"last": {1: 5.0, 3: 5.0}}
    return replace(SteeringVector(directions, provenance, norms, trust=trust), **changes)


def test_flags_are_said_for_the_layers_that_are_used(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path("v.safetensors")
    save_vector(made(session.loaded), file)
    vector_for(session, VectorChoice(file=file), [3])
    assert "split-half" not in capsys.readouterr().err
    vector_for(session, VectorChoice(file=file), [1, 3])
    assert "layers 1: split-half cosine under 0.5" in capsys.readouterr().err


def test_another_setting_of_thinking_is_said(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    save_vector(made(session.loaded), Path("v.safetensors"))
    vector_for(replace(session, thinking=True), VectorChoice(file=Path("v.safetensors")))
    assert "extracted with thinking off, and here it is on" in capsys.readouterr().err


def test_a_vector_of_another_model_is_refused(session: Session) -> None:
    vector = made(session.loaded)
    vector = replace(vector, provenance=replace(vector.provenance, weights="sha256:other"))
    save_vector(vector, Path("v.safetensors"))
    with pytest.raises(UserError, match="was made on tiny"):
        vector_for(session, VectorChoice(file=Path("v.safetensors")))


def test_another_projects_vector_gets_this_models_norms(session: Session) -> None:
    """persona_vectors files say none; they are the mean |h| over own prompts and answers, by plain hooks."""
    write_vector(made(session.loaded), Path("p.pt"), format="persona_vectors")
    from vectors.foreign import read_vector

    foreign = read_vector(Path("p.pt"), format="persona_vectors")
    write_vector(foreign, Path("foreign.gguf"))
    found = vector_for(session, VectorChoice(file=Path("foreign.gguf")))
    engine: Any = session.engine
    norms: list[torch.Tensor] = []
    for request in engine.seen:
        (answer,) = ScriptedEngine(session.loaded).generate([request])
        hidden = hooked(session.loaded.module, request.prompt_ids + answer.output_ids[:-1])[1]
        norms.append(hidden[len(request.prompt_ids) - 1 :].norm(dim=-1))
    assert found.norms["last"][1] == pytest.approx(torch.cat(norms).mean().item(), rel=1e-4)
    assert addition(found, 1, 0.2).norm == found.norms["last"][1]
    assert addition(found, 1, 1.0, operation="clamp").projection_std > 0
    assert torch.equal(found.directions[1], foreign.directions[1])


def test_the_same_choice_is_extracted_once(session: Session) -> None:
    engine: Any = session.engine
    first = vector_for(session, VectorChoice())
    count = len(engine.seen)
    assert count == 12
    assert vector_for(session, VectorChoice()).id == first.id
    assert len(engine.seen) == count
    assert [p.name for p in vectors_cache().glob("*.safetensors")] == [
        vector_source._path(session, VectorChoice(), "suffix").name
    ]


def test_whatever_decides_a_vector_decides_its_cached_name(session: Session, source: Path) -> None:
    Path("own.jsonl").write_text('{"positive": "a", "negative": "b"}\n')

    def name(changed: Session = session, contrast: str = "suffix", **choice: Any) -> str:
        return vector_source._path(changed, VectorChoice(**choice), contrast).name

    thinking = Options(model=session.loaded.name, seed=1)
    names = [
        name(),
        name(method="pca"),
        name(contrast="response"),
        name(contrast="own.jsonl"),
        name(replace(session, limits=Limits(new=8))),
        name(replace(session, limits=Limits(prompt=99, new=16))),
        name(replace(session, suffixes=SuffixSet(PARAPHRASES[0], NEUTRAL, PARAPHRASES[1:]))),
        name(replace(session, judge=KeepJudge(name="other"))),
        name(replace(session, thinking=True)),
        name(replace(session, options=thinking)),
        name(replace(session, loaded=replace(session.loaded, weights="other"))),
        name(replace(session, loaded=replace(session.loaded, dtype="bfloat16"))),
    ]
    Path("own.jsonl").write_text('{"positive": "a", "negative": "c"}\n')
    names.append(name(contrast="own.jsonl"))
    source.write_text(source.read_text().replace("on time", "by noon"))
    names.append(name())
    assert len(set(names)) == len(names) == 14
    assert name() == names[-1]


def test_an_evaluation_scenario_of_the_session_is_never_extracted_from(
    session: Session, source: Path
) -> None:
    asked = Scenario("e", "c", "", "Ship order 3 on time")
    with pytest.raises(UserError, match="'s3' is an evaluation scenario"):
        vector_for(replace(session, scenarios=(asked,)), VectorChoice())


def test_the_evaluation_set_is_never_extracted_from_even_where_the_run_takes_few_of_it(
    session: Session, source: Path
) -> None:
    few = Options(model=session.loaded.name, scenarios=str(source), per_category=1)
    with pytest.raises(UserError, match="'s0' is an evaluation scenario"):
        vector_for(replace(session, options=few), VectorChoice())


def test_a_label_control_of_another_vector_is_not_used(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that was extracted anew without its controls leaves the old ones lying beside it."""
    file, old = Path("v.safetensors"), made(session.loaded)
    new = replace(old, directions={layer: -d for layer, d in old.directions.items()})
    rows = [{"positive": f"I am {i}, sir.", "negative": f"hey {i}"} for i in range(9)]
    Path("concept.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    choice = VectorChoice(file=file, controls=1, nulls=0, concept=Path("concept.jsonl"))
    for vector, kinds in ((old, ["random", "label", "concept"]), (new, ["random", "concept"])):
        save_vector(random_isotropic(old, 7), Path("v-controls/labels-0.safetensors"))
        found = controls_for(session, choice, vector)
        assert [control.kind for control in found] == kinds
    assert f"is of another vector, {old.id}" in capsys.readouterr().err


def test_extracted_controls_are_found_beside_their_vector(session: Session, source: Path) -> None:
    vector = extract(
        session.loaded,
        session.engine,
        session.judge,
        session.task,
        out=Path("v.safetensors"),
        cache=Path("cache"),
        screen=session.screen,
        scenarios=source,
        controls=1,
        new_tokens=16,
    )
    assert load_vector(Path("v-controls/labels-0.safetensors")).provenance.parent == vector.id


def test_a_gate_opens_for_the_tasks_prompts_and_its_threshold_is_of_prompts_it_was_not_made_of(
    session: Session, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside plain captures: of every other prompt, and the others are at the threshold or over."""
    monkeypatch.setattr(gating, "extraction_source", lambda _task: source)
    gate = gate_at(session, 1)
    sides = extraction_scenarios(source), probes.load().neutral
    own, neutral = (
        capture(
            session.loaded,
            [Row(ids, len(ids) - 1, len(ids), i) for i, ids in enumerate(prompts)],
            layers=[1],
            slots=len(prompts),
        )[:, 0].double()
        for prompts in (
            [render(session.loaded, s.system, s.user, thinking=False) for s in one] for one in sides
        )
    )
    made = own[::2].mean(0) - neutral[::2].mean(0)
    assert cosine(gate.direction, made) == pytest.approx(1)
    along = own[1::2] @ (made / made.norm())
    assert (along >= gate.threshold - 1e-6).all()  # of six, 95 % are all
    assert along.min() == pytest.approx(gate.threshold, abs=1e-5)
    assert "gate at layer 1: 95% of the task's prompts open it" in capsys.readouterr().err
