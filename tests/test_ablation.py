"""A direction, or a subspace, taken out over a span of layers: in both engines, token by token, and where the
next layer reads it. Expected values come of plain hooks and of the definitions."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from steer import canary
from steer.chat import render
from steer.engines import bare_engine
from steer.errors import UserError
from steer.types import SPANS, Addition, Limits, LoadedModel, Request
from tests.engine_cases import plain_generate, tiny_model, touched
from vectors.ablation import ablated, clamped, subspace_ablated
from vectors.rank import Subspace, subspace
from vectors.vector import Provenance, SteeringVector

LAYERS, WIDTH, NEW = 4, 32, 7


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("model"), "qwen3")


def vector() -> SteeringVector:
    generator = torch.Generator().manual_seed(0)
    return SteeringVector(
        {layer: torch.randn(WIDTH, generator=generator) for layer in range(LAYERS)},
        Provenance(d_model=WIDTH, n_layers=LAYERS),
        projections={span: {layer: (0.4 + layer, 2.0) for layer in range(LAYERS)} for span in SPANS},
    )


def spaces() -> dict[int, Subspace]:
    generator = torch.Generator().manual_seed(1)
    return {layer: subspace(torch.randn(5, WIDTH, generator=generator)) for layer in range(LAYERS)}


def edits(kind: str, span: Any) -> tuple[Addition, ...]:
    layers = range(1, 3)
    made = {"ablate": lambda: ablated(vector(), layers, span=span)}
    made["clamp"] = lambda: clamped(vector(), layers, span=span)
    made["rank 4"] = lambda: subspace_ablated(spaces(), 4, layers, span=span)
    return made[kind]()


@pytest.mark.parametrize("kind", ["ablate", "clamp", "rank 4"])
@pytest.mark.parametrize("engine", ["slots", "nnsight"])
def test_engines_give_the_tokens_of_plain_hooks(loaded: LoadedModel, engine: str, kind: str) -> None:
    draw = random.Random(0)
    rows = [
        Request(
            f"{span} {i}",
            tuple(draw.randrange(3, 300) for _ in range(3 + 4 * i)),
            (),
            additions=edits(kind, span) if i < 2 else (),
            limits=Limits(64, NEW),
        )
        for span in SPANS
        for i in range(3)
    ]
    got = {r.key: r for r in bare_engine(engine, loaded, batch=5).generate(rows)}
    for row in rows:
        ids, record = plain_generate(loaded, row)
        assert list(got[row.key].output_ids) == ids
        assert [a.positions for a in got[row.key].applied] == [len(edited) for edited in record]


@pytest.mark.parametrize("kind", ["ablate", "clamp", "rank 4"])
@pytest.mark.parametrize("engine", ["slots", "nnsight"])
def test_the_next_layer_reads_none_of_it_over_the_whole_answer(
    loaded: LoadedModel, engine: str, kind: str
) -> None:
    """What block L+1 takes in while tokens are generated with the cache, position by position."""
    prompt = render(loaded, "", "Ship every order.", thinking=False)
    request = Request("row", prompt, (), additions=edits(kind, "last"), limits=Limits(64, NEW))
    with canary._watch(loaded.module) as seen:
        (response,) = bare_engine(engine, loaded).generate([request])
    assert len(response.output_ids) == NEW
    where = touched("last", len(prompt), len(prompt) + NEW - 1)
    for layer in (1, 2):
        states = canary._joined(seen[layer])[where].double()  # as the next block reads them
        if kind == "rank 4":
            left = states @ spaces()[layer].basis[:4].T
        else:
            direction = vector().directions[layer].double()
            left = states @ (direction / direction.norm()) - (0.4 + layer if kind == "clamp" else 0.0)
        assert float(left.abs().max()) < 1e-5 * float(states.norm(dim=-1).max())
        others = canary._joined(seen[layer])[: where[0]].double()
        unit = vector().directions[layer].double() / vector().directions[layer].double().norm()
        assert float((others @ unit).abs().max()) > 1e-3, "positions before the span were edited"


def test_a_layer_that_is_not_there_and_a_rank_too_high_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no direction at layer 9"):
        ablated(vector(), [1, 9])
    with pytest.raises(UserError, match="no unsteered projection"):
        clamped(SteeringVector(vector().directions, vector().provenance), [1])
    with pytest.raises(UserError, match="no subspace at layer 9: there are some at 0-3"):
        subspace_ablated(spaces(), 2, [9])
    with pytest.raises(UserError, match="k 6 is not within the rank: allowed are 0 to 5"):
        subspace_ablated(spaces(), 6, [1])
