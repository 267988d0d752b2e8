"""Prompt and answer end where a model's positions do, and it is said; a container's memory limit counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from steer import models, window
from steer.engines import bare_engine, make_engine
from steer.engines.batching import UNLIMITED, container_bytes
from steer.errors import UserError
from steer.plan import plan
from steer.sampling import choose, how
from steer.types import Arm, Limits, LoadedModel, Request, Scenario, ScoreRow
from tests.engine_cases import requests, tiny_model
from tests.families import checkpoint
from tests.test_proof import alone

POSITIONS = 24


def load(family: str, folder: Path) -> LoadedModel:
    named = {"max_position_embeddings": POSITIONS, "n_positions": POSITIONS}
    checkpoint(family, folder, **named)
    return models.load(str(folder), dtype="float32", device="cpu")


@pytest.mark.parametrize("family", ["gpt2", "gptj", "codegen", "gpt_bigcode"])
def test_answers_end_where_looked_up_positions_do(tmp_path: Path, family: str) -> None:
    loaded, said = load(family, tmp_path / family), list[str]()
    assert loaded.window == POSITIONS
    # rows of many lengths in one batch: those that have ended run on with it
    rows = [
        Request(str(n), tuple(range(5, 5 + n)), (), limits=Limits(64, POSITIONS - n)) for n in (3, 20, 11, 23)
    ]
    long = Request("long", tuple(range(5, 5 + POSITIONS)), (), limits=Limits(64, 1))
    engine = make_engine("auto", loaded, say=said.append)
    got = {response.key: response for response in engine.generate([*rows, long])}
    for row in rows:
        assert got[row.key].output_ids == alone(loaded, row)
    assert (got["long"].finish, got["long"].output_ids) == ("failed", ())
    assert "the model has 24 positions" in got["long"].error
    assert [line for line in said if "24 positions: answers end there" in line] == said[-1:]
    fits, over = ScoreRow((5,) * 20, (6,) * 4), ScoreRow((5,) * 20, (6,) * 5)
    assert len(list(engine.score([fits], lambda _, logs: logs))) == 1
    with pytest.raises(UserError, match="24 positions: an answer of 5 tokens after 20 cannot be scored"):
        list(engine.score([fits, over], lambda _, logs: logs))


def test_the_plan_records_the_shorter_limit(tmp_path: Path) -> None:
    loaded = load("gpt2", tmp_path / "gpt2")
    items = [Scenario("a", "c", "", "Ship it"), Scenario("b", "c", "", "Ship every order on time")]
    made = [plan(loaded, items, [Arm("baseline")], limits=Limits(64, new)) for new in (2, 1024, 4096)]
    lengths = [len(r.prompt_ids) for r in made[1].requests.values()]
    fitted = [max(1, POSITIONS - length) for length in lengths]
    assert [r.limits.new for r in made[1].requests.values()] == fitted
    # what the model's positions decide, a larger limit does not
    assert made[1].requests.keys() == made[2].requests.keys()
    free = plan(replace(loaded, window=0), items, [Arm("baseline")], limits=Limits(64, 1024))
    assert free.requests.keys().isdisjoint(made[1].requests)


@pytest.mark.parametrize("family", ["qwen3", "phi", "gpt_neox", "falcon"])
def test_rotary_positions_go_on_and_it_is_said_once(tmp_path: Path, family: str) -> None:
    loaded, said = load(family, tmp_path / family), list[str]()
    assert (loaded.window, window.named(loaded.module)) == (0, POSITIONS)
    engine = make_engine("auto", loaded, say=said.append)
    row = Request("a", tuple(range(5, 25)), (), limits=Limits(64, 8))
    engine.prove([replace(row, limits=Limits(64, 4))])  # to the last position
    assert not any("24 positions" in line for line in said)
    for _ in range(2):
        (got,) = engine.generate([row])
        assert got.output_ids == alone(loaded, row)
    lines = [line for line in said if "24 positions: prompt and answer may have 28" in line]
    assert len(lines) == 1


def test_bloom_names_no_positions(tmp_path: Path) -> None:
    loaded = models.load(str(checkpoint("bloom", tmp_path / "bloom")), dtype="float32", device="cpu")
    assert (loaded.window, window.named(loaded.module)) == (0, 0)


def group(folder: Path, names: tuple[str, str], most: object, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in zip(names, (most, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\ntotal_inactive_file 7\n")


@pytest.mark.parametrize("inside", [True, False])
def test_a_containers_memory_limit_counts(tmp_path: Path, inside: bool) -> None:
    """A group's own limit and those above it; inside a container its own group is the root."""
    v2 = ("memory.max", "memory.current")
    member = tmp_path / "cgroup"
    member.write_text("0::/\n" if inside else "0::/docker/box\n")
    assert container_bytes(tmp_path / "none", member) == UNLIMITED
    root = tmp_path / "v2"
    if not inside:
        group(root / "docker", v2, 900, 100, 0)
    group(root if inside else root / "docker/box", v2, 1000, 400, 50)
    assert container_bytes(root, member) == 650
    group(root if inside else root / "docker/box", v2, "max", 400, 50)
    assert container_bytes(root, member) == (UNLIMITED if inside else 800)
    v1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    member.write_text("11:memory:/a\n3:cpu,cpuacct:/a\n")
    group(tmp_path / "v1/memory" / ("" if inside else "a"), v1, 1000, 990, 0)
    assert container_bytes(tmp_path / "v1", member) == 17
    assert container_bytes(tmp_path / "v1", tmp_path / "no such file") == UNLIMITED


def test_logits_that_tie_in_fp32_are_one_token_to_both_engines(tmp_path: Path) -> None:
    """Plain `generate` chooses among fp32 logits: of two within its rounding, the first."""
    logits = torch.tensor([[0.0, 1.0, 1.0 + 1e-12]], dtype=torch.float64)
    row = Request("a", (5, 6), ())
    assert choose(logits, how([row], "cpu"), torch.tensor([0]))[0].tolist() == [1]
    loaded = tiny_model(tmp_path, "qwen3", torch.float64)
    # the unembeddings of ids 7 and 8 differ far below fp32's rounding
    head: Any = loaded.module.get_output_embeddings()
    with torch.no_grad():
        head.weight[8] = head.weight[7] * (1 + 1e-13)
        head.weight[7:9] *= 50
    row = Request("a", (7, 8, 5), (), limits=Limits(64, 6))
    own = [next(iter(bare_engine(kind, loaded).generate([row]))).output_ids for kind in ("slots", "nnsight")]
    assert own[0] == own[1] == alone_fp32(loaded, row)


def alone_fp32(loaded: LoadedModel, row: Request) -> tuple[int, ...]:
    out: list[int] = []
    for _ in range(row.limits.new):
        with torch.inference_mode():
            logits = loaded.module(input_ids=torch.tensor([[*row.prompt_ids, *out]]), use_cache=False).logits
        out.append(int(logits[0, -1].float().argmax()))
    return tuple(out)


def test_the_coldest_temperature_draws_the_largest_logit(tmp_path: Path) -> None:
    """The least that is allowed is finite for any fp32 logits."""
    row = replace(requests(1, 1)[0], temperature=0.01, additions=())
    logits = torch.tensor([[1e38, -1e38, 3e38, float("-inf")]])
    chosen, bad = choose(logits, how([row], "cpu"), torch.tensor([0]))
    assert (chosen.tolist(), bad.tolist()) == ([2], [False])
