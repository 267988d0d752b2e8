"""Long proofs of workers: kills of workers, of the driver and of both; a lost node; poisoned rows."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cli
from steer import models
from steer.engines import make_engine
from steer.engines.cluster import Cluster, join
from steer.engines.parts import RowError
from steer.engines.replicas import ReplicaEngine
from steer.engines.worker import ModelSource
from steer.errors import UserError
from steer.store import RunStore
from steer.types import Request, Response
from tests.ray_cases import PATIENCE, RAY, STOPPED, Rigged, Soon, left_of, own_ray
from tests.test_replicas import killed_at, mix, rows_of, same, scenarios_at, summary_of, told
from tests.tiny import checkpoint

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow
ROOT = Path(cli.__file__).parent


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def started() -> Iterator[None]:
    ray.init("local", **RAY)
    yield
    ray.shutdown()


def soon(model: Path) -> ModelSource:
    return Soon(str(model), None, "float64", "auto", None, "auto", None)


def expected(model: Path, asked: list[Request]) -> Any:
    return told(make_engine("auto", models.load(str(model), dtype="float64")).generate(asked))


def test_thirty_orders_and_twenty_killed_workers_give_the_rows_of_one_process(
    started: None, model: Path
) -> None:
    said: list[str] = []
    engine = ReplicaEngine(Cluster(2, 0, 1, False), soon(model), mixed=False, say=said.append)
    alone = make_engine("auto", models.load(str(model), dtype="float64"))
    for seed in range(30):
        asked = mix(seed)
        whole = told(alone.generate(asked))
        random.Random(seed).shuffle(asked)
        assert same(told(engine.generate(asked)), whole), seed
    for seed in range(20):
        asked = mix(100 + seed)
        whole = told(alone.generate(asked))
        at = random.Random(seed).randrange(1, len(asked) // 2)
        assert same(told(killed_at(engine, asked, at)), whole), seed
    assert sum("is lost" in line for line in said) > 10  # of the others all rows had come
    engine.close()


@pytest.mark.parametrize("fault", ["raise", "die", "memory"])
def test_a_poisoned_row_is_named_and_the_rest_is_kept(started: None, model: Path, fault: Any) -> None:
    asked = mix(5, 40)
    whole = expected(model, asked)
    bad = asked[17].key
    said: list[str] = []
    engine = ReplicaEngine(
        Cluster(2, 0, 1, False), Rigged(str(model), bad, fault), mixed=False, say=said.append
    )
    found: list[Response] = []
    with pytest.raises(RowError, match="3 workers were lost over it") as error:
        found.extend(engine.generate(asked))
    assert error.value.key == bad
    assert ("IndexError" in str(error.value)) == (fault == "raise")
    assert same(told(found), {key: one for key, one in whole.items() if key != bad})
    engine.close()


def test_a_node_of_a_cluster_goes_half_way(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster as Nodes

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    asked = mix(8, 300)
    whole = expected(model, asked)
    node: dict[str, Any] = {
        "num_cpus": 2,
        "num_gpus": 1,
        "object_store_memory": RAY["object_store_memory"],
    }
    head = {**node, "include_dashboard": False, "_system_config": RAY["_system_config"]}
    nodes = Nodes(initialize_head=True, head_node_args=head)
    try:
        second = nodes.add_node(**node)
        nodes.wait_for_nodes()
        joined = join("auto", address=nodes.address, gpus_per_worker=1, cpu=False)
        assert (joined.workers, joined.gpus) == (2, 1)
        engine = ReplicaEngine(joined, soon(model), mixed=False, say=lambda _: None)
        found: list[Response] = []
        for response in engine.generate(asked):
            found.append(response)
            if len(found) == 20:
                nodes.remove_node(second, allow_graceful=False)
        assert same(told(found), whole)
        assert "1 of 2 workers" in engine.standing()  # there is no place for another
        engine.close()  # of a cluster that was there, only the workers end
        ray.shutdown()
        with monkeypatch.context() as other:
            other.setattr(ray, "__version__", "2.0.0")
            with pytest.raises(UserError, match=r"^Ray at .* cannot be used: Version mismatch: .*2\.0\.0"):
                join("auto", address=nodes.address, gpus_per_worker=1, cpu=False)
        assert (
            subprocess.run(
                [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", nodes.address]
            ).returncode
            == 0
        )
    finally:
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(scope="module")
def asked(model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A command without its --out."""
    own = scenarios_at(tmp_path_factory.mktemp("asked") / "own.jsonl")
    return ["suffix", "--model", str(model), "--scenarios", str(own), "--new-tokens", "4", "--json", "--out"]


@pytest.fixture(scope="module")
def undisturbed(asked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cli.py", *asked, str(folder)])
        assert cli.main() == 0
    return folder


@pytest.mark.parametrize(
    ("how", "seed"), [*(("SIGKILL", seed) for seed in range(10)), *(("BOTH", seed) for seed in range(4))]
)
def test_a_killed_driver_leaves_no_process_and_the_same_command_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: list[str], undisturbed: Path, how: str, seed: int
) -> None:
    at = random.Random(seed).randrange(4, 92)
    with own_ray() as (place, environment):
        command = [sys.executable, "-c", STOPPED, how, str(at), *asked, str(tmp_path / "run")]
        driver = subprocess.run(
            [*command, "--workers", "2"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert driver.returncode == -signal.SIGKILL, driver.stderr
        assert not left_of(place)  # and so no port
    with RunStore(tmp_path / "run", writable=False) as store:
        assert len(store.done()) >= at
    monkeypatch.setattr(sys, "argv", ["cli.py", *asked, str(tmp_path / "run")])
    assert cli.main() == 0
    assert rows_of(tmp_path / "run") == rows_of(undisturbed)
    assert summary_of(tmp_path / "run") == summary_of(undisturbed)


GRID = ["--layers", "10,14", "--magnitudes", "-0.3,0.3", "--controls", "1", "--nulls", "0"]


@pytest.mark.parametrize("command", [["suffix"], ["vector-sweep", *GRID], ["compare", *GRID]])
def test_a_command_on_the_organism_finds_with_two_workers_what_it_finds_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
) -> None:
    for name, flags in (("alone", []), ("workers", ["--workers", "2"])):
        out = tmp_path / name / "run"
        out.parent.mkdir()
        monkeypatch.chdir(out.parent)  # each extracts a vector of its own
        monkeypatch.setattr(
            sys, "argv", ["cli.py", *command, "--per-category", "4", "--out", str(out), *flags]
        )
        assert cli.main() == 0
        assert not ray.is_initialized()
    assert rows_of(tmp_path / "workers/run") == rows_of(tmp_path / "alone/run")
    assert nearly(summary_of(tmp_path / "workers/run"), summary_of(tmp_path / "alone/run"))


def nearly(one: Any, two: Any) -> bool:
    """Equal, but for scores: to 1e-5."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(nearly(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(nearly, one, two))
    return one == (pytest.approx(two, abs=1e-5) if isinstance(one, float) else two)
