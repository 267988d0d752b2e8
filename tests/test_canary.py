"""The canary lets a right engine through and stops each way of steering silently wrong."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from steer import canary
from steer.engines import bare_engine
from steer.errors import UserError
from steer.interventions import Steering
from steer.types import SPANS, LoadedModel, Read, Request, Response, ScoreRow
from tests.engine_cases import addition, requests, tiny_model


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("qwen"), "qwen3", torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["qwen3", "qwen3_moe", "gemma"])
def test_right_engines_pass(tmp_path: Any, family: str, dtype: torch.dtype) -> None:
    loaded = tiny_model(tmp_path, family, dtype)
    rows = requests(1, 10)
    cases = {(a.layer, a.operation, a.span) for row in rows for a in row.additions}
    for kind in ("nnsight", "slots"):
        assert canary.check(bare_engine(kind, loaded), loaded, rows) == len(cases)


def test_a_run_without_additions_has_nothing_to_check(qwen: LoadedModel) -> None:
    rows = [replace(row, additions=()) for row in requests(2, 5)]
    assert canary.check(bare_engine("slots", qwen), qwen, rows) == 0


class Changed:
    """An engine that is given other additions than asked for."""

    name = "changed"

    def __init__(self, loaded: LoadedModel, **change: Any) -> None:
        self.engine, self.change = bare_engine("slots", loaded), change

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        changed = [
            replace(row, additions=tuple(replace(a, **self.change) for a in row.additions))
            for row in requests
        ]
        return self.engine.generate(changed)

    def score(self, rows: Iterable[ScoreRow], read: Read) -> Iterator[torch.Tensor]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": 2}, "off its predicted change"),  # one too high
        ({"layer": 0}, "off its predicted change|the layer before changes"),  # one too low
        ({"magnitude": 1.6}, "off its predicted change"),  # twice
        ({"magnitude": -0.8}, "off its predicted change"),  # the wrong way
        ({"magnitude": 0.0}, "off its predicted change"),  # not at all
        ({"span": "prompt"}, "at the second decode step"),  # the prefill only
        ({"span": "generated"}, "at prefill"),  # decode steps only
        ({"direction": torch.ones(32)}, "off its predicted change"),
    ],
)
def test_steering_elsewhere_or_by_another_amount_stops_the_run(
    qwen: LoadedModel, change: dict[str, Any], message: str
) -> None:
    a = addition(
        random.Random(3), operation="add", layer=1, magnitude=0.8, span="all", unit="norm", norm=20.0
    )
    row = replace(requests(3, 1)[0], additions=(a,), prompt_ids=tuple(range(5, 14)))
    with pytest.raises(canary.CanaryError, match=message):
        canary.check(Changed(qwen, **change), qwen, [row])
    assert issubclass(canary.CanaryError, UserError)


@pytest.mark.parametrize("asked", SPANS)
@pytest.mark.parametrize("done", SPANS)
@pytest.mark.parametrize("operation", ["add", "ablate", "clamp"])
def test_every_span_is_told_from_every_other(
    qwen: LoadedModel, asked: Any, done: Any, operation: Any
) -> None:
    a = addition(
        random.Random(4), operation=operation, layer=1, magnitude=2.0, span=asked, unit="norm", norm=20.0
    )
    row = replace(requests(3, 1)[0], additions=(a,), prompt_ids=tuple(range(5, 14)))
    if asked == done:
        assert canary.check(Changed(qwen, span=done), qwen, [row]) == 1
        return
    with pytest.raises(canary.CanaryError):
        canary.check(Changed(qwen, span=done), qwen, [row])


def test_an_edit_that_reaches_nothing_stops_the_run(
    qwen: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hook runs and returns its input: only one layer later does it show."""
    row = replace(requests(3, 1)[0], additions=(addition(random.Random(5), operation="add", magnitude=2.0),))
    monkeypatch.setattr(Steering, "edit", lambda self, layer, hidden: hidden)
    for kind in ("nnsight", "slots"):
        with pytest.raises(canary.CanaryError, match="off its predicted change"):
            canary.check(bare_engine(kind, qwen), qwen, [row])


def test_a_small_addition_in_bf16_is_still_told_from_none(tmp_path: Any) -> None:
    """Rounding would hide it; the canary checks the same place and path with a larger one."""
    loaded = tiny_model(tmp_path, "qwen3", torch.bfloat16)
    a = addition(
        random.Random(6), operation="add", magnitude=0.001, norm=1.0, unit="norm", span="last", layer=2
    )
    row = replace(requests(3, 1)[0], additions=(a,))
    assert canary.check(bare_engine("slots", loaded), loaded, [row]) == 1
    with pytest.raises(canary.CanaryError):
        canary.check(Changed(loaded, layer=1), loaded, [row])
    with pytest.raises(canary.CanaryError):
        canary.check(Changed(loaded, span="generated"), loaded, [row])
