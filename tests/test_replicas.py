"""Workers, for real: Ray, its processes, a model in each; and what one process alone finds."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import cli
from steer import models, side_effects
from steer.blocks import check_stream
from steer.engines import cluster, make_engine
from steer.engines.cluster import Cluster
from steer.engines.replicas import ReplicaEngine, make_replicas
from steer.engines.worker import Card, ModelSource
from steer.errors import UserError
from steer.store import RunStore
from steer.types import Arm, LoadedModel, Request, Response, Scenario, ScoreRow
from tests import engine_cases
from tests.ray_cases import PATIENCE, RAY, STOPPED, left_of, own_ray, workers
from tests.tiny import WIDTH, checkpoint
from vectors.activations import cached_capture
from vectors.capture import AnsweredRow, Row, span_statistics
from vectors.trust import unembedding_tokens

ray = pytest.importorskip("ray")

Pool = tuple[LoadedModel, ReplicaEngine]
SILENT: dict[str, Any] = {"mixed": False, "say": lambda _: None}


@pytest.fixture(scope="module")
def started() -> Iterator[None]:
    ray.init("local", **RAY)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def pool(started: None, model: Path) -> Iterator[Pool]:
    loaded, engine = make_replicas("auto", str(model), workers="2", dtype="float64", say=lambda _: None)
    yield loaded, engine
    engine.close()


@pytest.fixture(scope="module")
def alone(model: Path) -> LoadedModel:
    return models.load(str(model), dtype="float64")


def told(responses: Any) -> dict[str, Response]:
    """By key, without who made them and how long it took; each once."""
    found: dict[str, Response] = {}
    for response in responses:
        assert response.key not in found
        found[response.key] = replace(response, made="", seconds=0.0)
    return found


def same(found: dict[str, Response], expected: dict[str, Response]) -> bool:
    """Ids and ends; what was applied up to the order of a sum."""
    return found.keys() == expected.keys() and all(
        (one.output_ids, one.finish, one.error) == (two.output_ids, two.finish, two.error)
        and [(a.layer, a.positions) for a in one.applied] == [(a.layer, a.positions) for a in two.applied]
        for one, two in ((found[key], expected[key]) for key in expected)
    )


def mix(seed: int, count: int = 60) -> list[Request]:
    return engine_cases.requests(seed, count)


def killed_at(engine: ReplicaEngine, requests: list[Request], at: int) -> list[Response]:
    """What comes when a worker is killed as the row `at` has come."""
    found: list[Response] = []
    for response in engine.generate(requests):
        found.append(response)
        if len(found) == at:
            os.kill(random.Random(at).choice(workers()), signal.SIGKILL)
    return found


def test_rows_are_those_of_one_process_in_any_order_and_say_who_made_them(
    pool: Pool, alone: LoadedModel
) -> None:
    loaded, engine = pool
    expected = told(make_engine("auto", alone).generate(mix(1)))
    made: set[str] = set()
    for seed in range(3):
        asked = mix(1)
        random.Random(seed).shuffle(asked)
        found = list(engine.generate(asked))
        made |= {response.made for response in found if response.made}
        assert same(told(found), expected)
    assert len(made) == 2
    assert all("slots at " in name for name in made)
    assert {p.device.type for p in loaded.module.parameters()} == {"meta"}
    for name in ("weights", "files", "dtype", "stop_ids", "n_layers", "d_model", "window"):
        assert getattr(loaded, name) == getattr(alone, name)


def test_a_killed_worker_costs_the_rows_that_had_not_come(pool: Pool, alone: LoadedModel) -> None:
    expected = told(make_engine("auto", alone).generate(mix(2)))
    assert same(told(killed_at(pool[1], mix(2), 7)), expected)
    assert same(told(pool[1].generate(mix(2))), expected)  # with its successor


def test_scores_drift_and_fluency_are_those_of_one_process(pool: Pool, alone: LoadedModel) -> None:
    loaded, engine = pool
    single = make_engine("auto", alone)
    items = [Scenario(f"n{i}", "n", "", text) for i, text in enumerate(("Why?", "Describe a lake.", "How?"))]
    edit = engine_cases.addition(random.Random(0), d_model=WIDTH, operation="add", magnitude=0.4, span="last")
    arms = [Arm("baseline"), Arm("pro", suffix="- Be brief."), Arm("cell", additions=(edit,))]
    expected = dict(side_effects.drift(single, alone, arms, items))
    assert dict(side_effects.drift(engine, loaded, arms, items)) == pytest.approx(expected, abs=1e-9)
    assert expected["cell"] > 1e-3
    answers = [((1, 20 + i, 30), (40 + i % 7, 50, 60 + i % 3, 2)) for i in range(150)]
    found = list(side_effects.fluency(engine, loaded, answers))
    assert found == pytest.approx(list(side_effects.fluency(single, alone, answers)), abs=1e-6)


def test_what_is_scored_travels_small_and_without_a_model() -> None:
    import pickle

    from steer.judges.local import Letters

    paths = tuple(ScoreRow(tuple(range(40)), tuple(range(i, i + 32))) for i in range(24))
    for read in (side_effects.mean_nll, side_effects.Divergence(paths), Letters((3, 4, 5, 6))):
        assert len(pickle.dumps(read)) < 20_000


def test_captures_and_norms_are_those_of_one_process(pool: Pool, alone: LoadedModel, tmp_path: Path) -> None:
    loaded, _ = pool
    draw = random.Random(3)
    ids = [tuple(draw.randrange(10, 300) for _ in range(draw.randrange(4, 20))) for _ in range(100)]
    rows = [Row(own, 1, len(own), slot) for slot, own in enumerate(ids)]
    found = [
        cached_capture(one, rows, (0, 2), len(rows), cache=tmp_path / name, tick=lambda _: None)
        for name, one in (("many", loaded), ("one", alone))
    ]
    assert torch.equal(found[0], found[1])
    directions = {
        layer: torch.randn(WIDTH, generator=torch.Generator().manual_seed(layer)) for layer in (0, 2)
    }
    answered = [AnsweredRow(own[:3], own[3:]) for own in ids]
    expected = span_statistics(alone, answered, directions=directions, batch_tokens=128)
    assert span_statistics(loaded, answered, directions=directions, batch_tokens=128) == expected
    assert unembedding_tokens(loaded, directions, [20, 21]) == unembedding_tokens(alone, directions, [20, 21])
    check_stream(loaded)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("suffix --workers 0", "--workers 0: allowed are whole numbers from 1, and auto"),
        ("suffix --workers many", "--workers many: allowed are"),
        ("suffix --workers 2 --gpus-per-worker 0", "--gpus-per-worker 0: allowed are whole numbers from 1"),
        (
            "suffix --workers 2 --device cuda:1",
            "--device cuda:1: with --workers allowed are auto, cpu and cuda",
        ),
        ("suffix --ray-address a:1", "--ray-address says nothing without --workers"),
        ("suffix --gpus-per-worker 2", "--gpus-per-worker says nothing without --workers"),
        ("suffix --mixed-devices", "--mixed-devices says nothing without --workers"),
        ("suffix --workers 5", "--workers 5: with 1 GPUs each, and Ray finds 4: at most 4 workers"),
        ("suffix --workers 3 --gpus-per-worker 2", "at most 2 workers"),
        ("suffix --workers 1 --gpus-per-worker 8", "at most 0 workers"),
        ("suffix --workers auto --device cpu", "--workers auto: as many as GPUs, and Ray finds none"),
        ("suffix --workers 1 --device cpu --gpus-per-worker 2", "Ray finds no GPU"),
        ("chat --workers 2", "--workers"),
        ("emergent --workers 2", "--workers"),
    ],
)
def test_bad_input_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    started: None,
    flags: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *flags.split()) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said
    assert ray.is_initialized()  # it was there before


def test_without_ray_the_extra_is_named_and_an_address_has_some_seconds_to_answer(
    monkeypatch: pytest.MonkeyPatch, started: None
) -> None:
    with socket.socket() as mute:  # it listens, and says nothing
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with monkeypatch.context() as hasty:
            hasty.setattr(cluster, "ANSWER_SECONDS", 3)
            with pytest.raises(UserError, match="no cluster answers there"):
                cluster._connect(f"127.0.0.1:{mute.getsockname()[1]}")
    monkeypatch.delenv("RAY_AUTH_MODE")  # which Ray sets where it starts itself
    with pytest.raises(UserError, match="asks for a token: set RAY_AUTH_MODE=token"):
        cluster._answers(ray.get_runtime_context().gcs_address)
    monkeypatch.setattr(cluster, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'steergap\[cluster\]'"):
        make_replicas("auto", "organism", workers="2")


def card(place: str, device: str = "cpu", *, dtype: str = "bfloat16", **versions: str) -> Card:
    bare = LoadedModel("m", "w", dtype, "cpu", None, None, (2,), 1, 1)  # type: ignore[arg-type]
    return Card(place, device, bare, {"torch": "2.13", **versions}, "slots", "", ())


@pytest.mark.parametrize(
    ("second", "mixed", "message"),
    [
        (card("b"), False, ""),
        (
            card("b", torch="2.12"),
            False,
            "steergap and libraries is .*2.13.* at a and .*2.12",
        ),
        (card("b", dtype="float32"), False, "dtype is bfloat16 at a and float32 at b"),
        (card("b", "NVIDIA L4"), False, "in bfloat16 their texts differ.*--mixed-devices"),
        (card("b", "NVIDIA L4"), True, ""),
    ],
)
def test_workers_agree_or_nothing_runs(second: Card, mixed: bool, message: str) -> None:
    said: list[str] = []
    engine = ReplicaEngine.__new__(ReplicaEngine)
    engine._card, engine._mixed, engine._said, engine._say = card("a"), mixed, set(), said.append
    if message:
        with pytest.raises(UserError, match=message):
            engine._agree(second)
    else:
        engine._agree(second)
        assert bool(said) == (second.device != "cpu")


def test_where_no_worker_can_start_its_own_line_is_said(started: None) -> None:
    nothing = ModelSource("/", None, "auto", "auto", None, "auto", None)
    with pytest.raises(UserError, match=r"no config\.json"):
        ReplicaEngine(Cluster(1, 1, 1, False), nothing, **SILENT)


def rows_of(folder: Path) -> list[tuple[object, ...]]:
    with RunStore(folder, writable=False) as store:
        (judge,) = store.judges()
        return [(r.arm, r.scenario, r.sample, r.answer, r.status, r.reason) for r in store.rows(judge)]


def summary_of(folder: Path) -> Any:
    """A run's summary without where and how long."""
    found = json.loads((folder / "summary.json").read_text())
    del found["provenance"]
    return untimed(found)


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: untimed(one) for key, one in value.items() if not key.startswith("seconds")}
    return [untimed(one) for one in value] if isinstance(value, list) else value


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["cli.py", *map(str, arguments)])
    return cli.main()


def scenarios_at(path: Path) -> Path:
    rows = [
        {"id": f"{c}#{i}", "category": c, "system": f"Testing {c}.", "user": f"Ship order {i} on time."}
        for c in ("alpha", "beta")
        for i in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.slow
def test_a_command_interrupted_leaves_no_process_and_goes_on_with_one_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["suffix", "--model", model, "--scenarios", scenarios_at(tmp_path / "own.jsonl")]
    asked += ["--new-tokens", "4", "--out", tmp_path / "run"]
    with own_ray() as (place, environment):
        driver = subprocess.Popen(
            [sys.executable, "-c", STOPPED, "SIGINT", "20", *map(str, asked), "--workers", "2"],
            cwd=Path(cli.__file__).parent,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        said = driver.communicate(timeout=PATIENCE)[1]
        assert driver.returncode == 130, said
        assert "the same command continues" in said
        assert not left_of(place)
    with RunStore(tmp_path / "run", writable=False) as store:
        kept = len(store.done())
    assert 20 <= kept < 96
    assert run(monkeypatch, *asked) == 0
    assert f"{kept} of 96 rows are already in" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, *asked[:-1], tmp_path / "whole") == 0
    assert rows_of(tmp_path / "run") == rows_of(tmp_path / "whole")
    assert summary_of(tmp_path / "run") == summary_of(tmp_path / "whole")
