"""Additions with a condition and an end: in both engines, in scoring, and what is refused."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from steer.engines.reference import ReferenceEngine
from steer.engines.slots import SlotEngine
from steer.errors import UserError
from steer.interventions import validate
from steer.plan import addition_content, arm_content
from steer.types import Addition, Arm, Gate, LoadedModel, Request, Response, ScoreRow
from tests.engine_cases import addition, plain_generate, requests, tiny_model
from vectors.records import read_arm
from vectors.vector import Provenance, SteeringVector

FAR = 1e9


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("qwen"), "qwen3")


def gated_rows(seed: int, count: int, threshold: float | None) -> list[Request]:
    """Rows whose additions wait for gates at any layer before them, and act for a few tokens or to the end.

    threshold: None draws one that about half of the rows pass.
    """
    draw = random.Random(seed)

    def gated() -> Addition:
        bare = addition(draw, span=draw.choice(["last", "generated"]))
        probe = torch.tensor([draw.gauss(0, 1) for _ in range(32)])
        limit = draw.gauss(0, 0.3) if threshold is None else threshold
        return replace(
            bare,
            gate=draw.choice([None, Gate(probe, draw.randint(0, bare.layer), limit)]),
            tokens=draw.choice([None, 2, 5]),
        )

    return [replace(row, additions=tuple(gated() for _ in row.additions)) for row in requests(seed, count)]


def by_key(responses: Iterator[Response]) -> dict[str, Response]:
    return {response.key: response for response in responses}


def test_gated_rows_equal_plain_generate_with_hooks_in_both_engines(qwen: LoadedModel) -> None:
    rows = gated_rows(5, 40, None)
    slots = by_key(SlotEngine(qwen, batch=7).generate(rows))
    reference = by_key(ReferenceEngine(qwen, batch=6).generate(rows))
    fired: list[bool | None] = []
    for row in rows:
        ids, record = plain_generate(qwen, row)
        for found in (slots[row.key], reference[row.key]):
            assert list(found.output_ids) == ids
            assert [one.positions for one in found.applied] == [len(edits) for edits in record]
        assert [one.fired for one in slots[row.key].applied] == [
            one.fired for one in reference[row.key].applied
        ]
        fired += [one.fired for one in slots[row.key].applied]
        assert [one.fired is None for one in slots[row.key].applied] == [
            one.gate is None for one in row.additions
        ]
    assert {None, True, False} == set(fired)


@pytest.mark.parametrize(("threshold", "opens"), [(FAR, False), (-FAR, True)])
def test_a_gate_that_never_opens_is_the_baseline_and_one_that_always_does_is_not_there(
    qwen: LoadedModel, threshold: float, opens: bool
) -> None:
    rows = gated_rows(6, 30, threshold)
    bare = [
        replace(row, additions=tuple(replace(a, gate=None) for a in row.additions if opens or a.gate is None))
        for row in rows
    ]
    for engine in (SlotEngine(qwen, batch=9), ReferenceEngine(qwen, batch=5)):
        gated, ungated = by_key(engine.generate(rows)), by_key(engine.generate(bare))
        for row in rows:
            assert gated[row.key].output_ids == ungated[row.key].output_ids
            told = zip(row.additions, gated[row.key].applied, strict=True)
            assert all(one.fired is (None if a.gate is None else opens) for a, one in told)
            assert sum(a.positions for a in gated[row.key].applied) == sum(
                a.positions for a in ungated[row.key].applied
            )


def test_scores_of_gated_rows_are_those_of_the_row_alone(qwen: LoadedModel) -> None:
    """Rows that share a prompt share its computation only until the first gate is read."""
    rows = [
        ScoreRow(row.prompt_ids, answer, row.additions)
        for row in gated_rows(7, 24, None)
        for answer in ((5, 6, 7), (9, 10))
    ]
    shared = list(SlotEngine(qwen, batch=8).score(rows, _own))
    alone = [next(iter(ReferenceEngine(qwen, batch=1).score([row], _own))) for row in rows]
    for one, other in zip(shared, alone, strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def _own(row: ScoreRow, log_p: torch.Tensor) -> torch.Tensor:
    return log_p[range(len(row.answer_ids)), list(row.answer_ids)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"gate": Gate(torch.ones(32), 3, 0.0)},
            "a gate at layer 3 of an addition at layer 2: it is read too",
        ),
        ({"gate": Gate(torch.ones(32), 0, 0.0), "span": "all"}, "a gate with span 'all'"),
        ({"gate": Gate(torch.ones(31), 0, 0.0)}, "direction of shape"),
        ({"gate": Gate(torch.zeros(32), 0, 0.0)}, "is zero"),
        ({"gate": Gate(torch.ones(32), 0, float("nan"))}, "a gate's threshold of nan"),
        ({"tokens": 0}, "tokens 0 with span last: nothing is steered"),
        ({"tokens": 1, "span": "generated"}, "allowed are whole numbers from 2"),
    ],
)
def test_gates_and_ends_that_cannot_be_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(replace(Addition(torch.ones(32), 2, 0.5), **change), n_layers=4, d_model=32)  # type: ignore[arg-type]


def test_a_gate_is_part_of_a_rows_identity_and_comes_back_from_a_record(tmp_path: Path) -> None:
    vector = SteeringVector(
        {0: torch.ones(8), 1: torch.arange(1.0, 9.0)}, Provenance(d_model=8), norms={"last": {1: 2.0}}
    )
    bare = Addition(vector.directions[1], 1, 0.5, norm=2.0, vector=vector.id)
    gated = replace(bare, gate=Gate(vector.directions[0], 0, 1.5), tokens=4)
    assert "gate" not in addition_content(bare)
    other = replace(gated, gate=Gate(vector.directions[0], 0, 1.6))
    contents = [addition_content(one) for one in (bare, gated, replace(gated, tokens=5), other)]
    assert all(one not in contents[:i] for i, one in enumerate(contents))
    file = tmp_path / "arm.json"
    file.write_text(json.dumps(arm_content(Arm("up", additions=(gated,)))))
    (found,) = read_arm(str(file), vector).additions
    assert found.gate is not None
    assert (found.gate.layer, found.gate.threshold, found.tokens) == (0, 1.5, 4)
    assert addition_content(found) == addition_content(gated)
    file.write_text(
        json.dumps(arm_content(Arm("up", additions=(replace(gated, gate=Gate(torch.ones(8), 1, 0.0)),))))
    )
    with pytest.raises(UserError, match="waits for a gate at layer 1: the vector given is no such probe"):
        read_arm(str(file), vector)
