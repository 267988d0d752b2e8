"""Families whose blocks, streams, caches or positions are not Llama's: right, or refused in one line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from steer import canary, models
from steer.blocks import check_stream
from steer.engines import make_engine
from steer.engines.reference import ReferenceEngine
from steer.engines.slots import SlotEngine
from steer.errors import UserError
from steer.relevance import relevance
from steer.types import Limits, LoadedModel, Request, ScoreRow
from tests import families
from vectors.capture import Row, capture
from vectors.objective import Objective, answer_log_probs

LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "rope_theta": 1e4}
LONGROPE: dict[str, Any] = {
    "rope_parameters": LONG,
    "original_max_position_embeddings": 14,
    "sliding_window": None,
    "partial_rotary_factor": 1.0,
}
DYNAMIC: dict[str, Any] = {
    "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4},
    "max_position_embeddings": 14,
}


def tiny(family: str, folder: Path, **more: Any) -> LoadedModel:
    made = families.checkpoint(family, folder / family, **more)
    return models.load(str(made), dtype="float32", device="cpu")


def documented() -> dict[str, str]:
    """{family: verdict} of the table in docs/extending.md."""
    text = (Path(__file__).parents[1] / "docs/extending.md").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for said in families.VERDICTS:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {said} |")]
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", row.split("|")[2]), said)
    return found


@pytest.mark.slow
def test_every_causal_family_is_what_the_table_says(tmp_path: Path) -> None:
    """No silent difference and no traceback in any; about ten minutes on a core."""
    table, found = documented(), {}
    for family in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        found[family] = families.verdict(family, tmp_path / family)
        shutil.rmtree(tmp_path / family, ignore_errors=True)
        print(f"| {family} | {' | '.join(found[family])} |", flush=True)
    other = {name: own for name, own in found.items() if table.get(name) != own[0]}
    assert not other
    assert table.keys() == found.keys()


def quiet(_line: str) -> None: ...


@pytest.mark.parametrize("family", ["bloom", "openai-gpt"])
def test_a_block_may_return_a_tuple_or_a_list(family: str, tmp_path: Path) -> None:
    """openai-gpt has no cache either: every forward holds the whole row, and a record counts it once."""
    loaded = tiny(family, tmp_path)
    engine = make_engine("auto", loaded, batch=4, say=quiet)
    asked = families.rows(loaded.d_model, steered=True)
    assert not families.differences(loaded, engine, asked)
    assert not families.captured(loaded, asked)
    assert canary.check(engine, loaded, asked) == 5
    questions = {"a": "Where is the warehouse?", "b": "Who ships the order?"}
    assert relevance(loaded, questions, {"baseline": questions})["baseline"].n == 2
    # an addition while training is the engines' own
    (request,) = [r for r in asked if r.key == "last 11"]
    (edit,) = request.additions
    delta = 18.0 * edit.direction / edit.direction.norm()
    objective = Objective(layer=edit.layer, magnitude=3.0, norm=6.0)
    (own,) = answer_log_probs(loaded, [(request.prompt_ids, (7, 8))], delta, objective)
    row = ScoreRow(request.prompt_ids, (7, 8), request.additions)
    (scored,) = engine.score([row], lambda _, logs: logs)
    assert torch.allclose(own, scored[[0, 1], [7, 8]], atol=1e-4)


def test_a_stream_with_other_axes_is_refused_before_anything_is_generated(tmp_path: Path) -> None:
    loaded = tiny("gemma3n_text", tmp_path)
    engine = make_engine("auto", loaded, batch=4, say=quiet)
    assert not families.differences(loaded, engine, families.rows(loaded.d_model, steered=False))
    for refused in (
        lambda: check_stream(loaded),
        lambda: canary.check(engine, loaded, families.rows(loaded.d_model, steered=True)),
        lambda: list(engine.generate(families.rows(loaded.d_model, steered=True))),
        lambda: capture(loaded, [Row((5, 6), 1, 2, 0)], layers=[1], slots=1),
    ):
        with pytest.raises(UserError, match=r"gives \(4, .* not \[row, position, 32\]"):
            refused()


@pytest.mark.parametrize(
    ("family", "engine"),
    [("glm4", "slots"), ("diffllama", "nnsight"), ("nemotron", "nnsight"), ("opt", "nnsight")],
)
def test_a_family_is_right_on_the_engine_the_table_names(family: str, engine: str, tmp_path: Path) -> None:
    """One that the slot engine runs, one it would answer wrongly, one it breaks on, one it does not know."""
    said, why = families.verdict(family, tmp_path / family)
    assert said == documented()[family] == ("right" if engine == "slots" else "falls back"), why
    assert bool(why) == (engine == "nnsight")


def test_a_model_that_reads_pads_runs_a_row_at_a_time_and_takes_no_vector(tmp_path: Path) -> None:
    loaded = tiny("bart", tmp_path)
    said: list[str] = []
    engine = make_engine("auto", loaded, batch=4, say=said.append)
    assert not families.differences(loaded, engine, families.rows(loaded.d_model, steered=False))
    assert engine.name == "nnsight (a row at a time)"
    assert "off the model's own" in said[-1]
    with pytest.raises(UserError, match="pads before a row change its stream"):
        check_stream(loaded)


def test_rows_past_the_original_length_take_the_engine_that_runs_them_alone(tmp_path: Path) -> None:
    loaded = tiny("phi3", tmp_path, **LONGROPE)
    said: list[str] = []
    engine = make_engine("auto", loaded, batch=4, say=said.append)
    asked = families.rows(loaded.d_model, steered=True)
    short = [request for request in asked if len(request.prompt_ids) == 5]
    assert not families.differences(loaded, engine, short)
    assert (engine.name, said) == ("slots", [])
    assert not families.differences(loaded, engine, asked)
    assert engine.name == "nnsight"
    assert "may come to 16, and from 14 on" in said[-1]


@pytest.mark.parametrize("batch", [1, 4])
def test_a_cache_thrown_away_in_mid_answer_does_not_move_the_span(batch: int, tmp_path: Path) -> None:
    """Rows of 5 tokens stay below the original length, rows of 11 cross it while they are generated."""
    loaded = tiny("phi3", tmp_path, **LONGROPE)
    asked = families.rows(loaded.d_model, steered=True)
    assert not families.differences(loaded, ReferenceEngine(loaded, batch=batch), asked)
    with pytest.raises(UserError, match="may come to 16, and from 14 on"):
        list(SlotEngine(loaded).generate(asked))
    short = [request for request in asked if len(request.prompt_ids) == 5]
    assert not families.differences(loaded, SlotEngine(loaded), short)


@pytest.mark.parametrize(("family", "more"), [("llama", DYNAMIC), ("phi3", LONGROPE)])
def test_beyond_the_original_length_a_row_does_not_depend_on_its_company(
    family: str, more: dict[str, Any], tmp_path: Path
) -> None:
    """Its text, scores, states and gradient's log-probabilities; nor on what ran before."""
    loaded = tiny(family, tmp_path, **more)
    prompts = [tuple(range(9, 9 + n)) for n in (20, 3, 13, 8)]

    def all_of(part: list[tuple[int, ...]]) -> list[list[Any]]:
        engine = ReferenceEngine(loaded, batch=8)
        asked = [Request(str(ids), ids, (), limits=Limits(64, 6)) for ids in part]
        texts = {r.key: r.output_ids for r in engine.generate(asked)}
        answered = [ScoreRow(ids, (5, 6, 7)) for ids in part]
        scores = [list(e.score(answered, lambda _, logs: logs)) for e in (engine, SlotEngine(loaded))]
        pairs = [(ids, (5, 6, 7)) for ids in part]
        trained = answer_log_probs(loaded, pairs, None, Objective(layer=1, magnitude=1.0, norm=1.0))
        read = [Row(ids, 1, len(ids), slot) for slot, ids in enumerate(part)]
        states = capture(loaded, read, layers=[2], slots=len(part))
        said = [texts[str(ids)] for ids in part]
        return [list(found) for found in zip(said, *scores, trained, states, strict=True)]

    for ids, together in zip(prompts, all_of(prompts), strict=True):
        (alone,) = all_of([ids])
        assert together[0] == alone[0], ids
        for own, other in zip(together[1:], alone[1:], strict=True):
            assert torch.allclose(own, other, atol=1e-4), ids
