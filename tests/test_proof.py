"""An engine runs only what it is right on: others are left for the next, with a line, or stop the run."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from experiments.options import Options
from experiments.suffix import suffix
from steer import models
from steer.engines import bare_engine, make_engine
from steer.engines.attention import shared_prompts
from steer.engines.proof import PROMPT_TOKENS, samples
from steer.engines.proven import ProvenEngine
from steer.errors import UserError
from steer.results import Result
from steer.types import Addition, Limits, LoadedModel, Read, Request, Response, ScoreRow
from tests.engine_cases import requests, tiny_model
from tests.tiny import LAYERS, WIDTH, tokenizer

UNLIKE = {
    "diffllama": {},  # attention of its own, which a replaced attention function never meets
    "gpt_oss": {"layer_types": ["full_attention"] * LAYERS, "num_local_experts": 4},  # sinks
    "nemotron": {},  # does not hand arguments on to its attention
    "doge": {"is_moe": False},  # a mask of its own on the values
}


def unlike(folder: Path, family: str) -> LoadedModel:
    tok = tokenizer()
    torch.manual_seed(0)
    config = CONFIG_MAPPING[family](
        vocab_size=len(tok),
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        initializer_range=0.3,
        eos_token_id=2,
        pad_token_id=0,
        **UNLIKE[family],
    )
    AutoModelForCausalLM.from_config(config).float().save_pretrained(folder)
    tok.save_pretrained(folder)
    return models.load(str(folder), dtype="float32", device="cpu")


def alone(loaded: LoadedModel, request: Request) -> tuple[int, ...]:
    """Plain transformers, no cache: the whole row again for each token."""
    out: list[int] = []
    while len(out) < request.limits.new and (not out or out[-1] not in request.stop_ids):
        ids = torch.tensor([[*request.prompt_ids, *out]])
        with torch.inference_mode():
            out.append(int(loaded.module(input_ids=ids, use_cache=False).logits[0, -1].argmax()))
    return tuple(out)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("qwen"), "qwen3", torch.float32)


def rows(count: int = 4, new: int = 6) -> list[Request]:
    draw = random.Random(7)
    return [
        Request(str(i), tuple(draw.randrange(3, 300) for _ in range(3 + 9 * i)), (2,), limits=Limits(64, new))
        for i in range(count)
    ]


@pytest.mark.parametrize("family", UNLIKE)
def test_a_model_that_the_slot_engine_gets_wrong_runs_on_the_other_unsteered_too(
    tmp_path: Path, family: str
) -> None:
    loaded, said = unlike(tmp_path, family), list[str]()
    if family == "doge" and version("transformers").startswith("5.17."):
        pytest.skip("Doge there: a step with a cache is not the forward without one; no engine is taken")
    engine = make_engine("auto", loaded, say=said.append)
    got = {response.key: response.output_ids for response in engine.generate(rows())}
    assert got == {row.key: alone(loaded, row) for row in rows()}
    assert engine.name == "nnsight"
    assert len(said) == 1
    assert said[0].startswith("engine: nnsight, because the slot")
    assert said[0] == f"engine: nnsight, because {engine.reason}"
    with pytest.raises(UserError, match=r"slot.*use --engine nnsight"):
        list(make_engine("slots", loaded).generate(rows()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["qwen3", "qwen3_moe", "gemma"])
def test_right_engines_prove_themselves_in_every_dtype(
    tmp_path: Path, family: str, dtype: torch.dtype
) -> None:
    loaded = tiny_model(tmp_path, family, dtype)
    for kind in ("slots", "nnsight"):
        engine = make_engine(kind, loaded)
        engine.prove(requests(1, 6))
        list(engine.score([ScoreRow((5, 6, 7, 8), (9, 10, 11))], lambda _, logs: logs))
        assert (engine.name, engine.reason) == (kind, "")


class Changed:
    """The slot engine, made wrong in one way: what is asked of it is changed, or what it scores."""

    name = "changed"

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        ask: Callable[[list[Request]], list[Request]] = lambda asked: asked,
        scored: Callable[[torch.Tensor], torch.Tensor] = lambda logs: logs,
    ) -> None:
        self.engine, self.ask, self.scored = bare_engine("slots", loaded), ask, scored

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        return self.engine.generate(self.ask(list(requests)))

    def score(self, rows: Iterable[ScoreRow], read: Read) -> Iterator[torch.Tensor]:
        return self.engine.score(rows, lambda row, logs: read(row, self.scored(logs)))


def nudged(asked: list[Request]) -> list[Request]:
    edit = Addition(torch.ones(WIDTH), 1, 0.05, norm=1.0)
    return [replace(request, additions=(*request.additions, edit)) for request in asked]


def swapped(asked: list[Request]) -> list[Request]:
    keys = [request.key for request in asked]
    return [replace(request, key=key) for request, key in zip(asked, reversed(keys), strict=True)]


def later(asked: list[Request]) -> list[Request]:
    edit = Addition(torch.ones(WIDTH), 1, 5.0, norm=1.0, span="generated")
    return [replace(request, additions=(*request.additions, edit)) for request in asked]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ask": nudged},  # every logit off by a little
        {"ask": later},  # right at the prompt, wrong at decode steps
        {"ask": swapped},  # right logits, for another row
        {"ask": lambda asked: [replace(r, prompt_ids=r.prompt_ids[1:]) for r in asked]},
        {"ask": lambda asked: [replace(r, temperature=50.0) for r in asked]},  # another choice
        {"ask": lambda _: 1 / 0},
    ],
)
def test_an_engine_that_generates_wrongly_is_left_and_none_left_is_an_error(
    qwen: LoadedModel, wrong: dict[str, Any]
) -> None:
    first = partial(Changed, qwen, **wrong)
    said: list[str] = []
    engine = ProvenEngine(qwen, [first, partial(bare_engine, "slots", qwen)], say=said.append)
    got = {r.key: r.output_ids for r in engine.generate(rows())}
    assert got == {row.key: alone(qwen, row) for row in rows()}
    assert (engine.name, len(said)) == ("slots", 1)
    with pytest.raises(UserError, match="changed engine fails its check"):
        ProvenEngine(qwen, [first], say=said.append).prove(rows())


def test_an_engine_that_scores_wrongly_is_left_before_the_first_score(qwen: LoadedModel) -> None:
    first = partial(Changed, qwen, scored=lambda logs: logs.roll(1, -1))
    engine = ProvenEngine(qwen, [first, partial(bare_engine, "slots", qwen)], say=lambda _: None)
    engine.prove(rows())
    assert engine.name == "changed"
    asked = [ScoreRow(row.prompt_ids, (5, 6, 7)) for row in rows()]
    got = list(engine.score(iter(asked), lambda _, logs: logs))
    assert engine.name == "slots"
    right = bare_engine("slots", qwen).score(asked, lambda _, logs: logs)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(got, right, strict=True))


def test_an_engine_that_steers_wrongly_is_left(qwen: LoadedModel) -> None:
    def without(asked: list[Request]) -> list[Request]:
        return [replace(request, additions=()) for request in asked]

    makers = [partial(Changed, qwen, ask=without), partial(bare_engine, "slots", qwen)]
    engine = ProvenEngine(qwen, makers, say=lambda _: None)
    engine.prove(rows())
    assert engine.name == "changed"
    engine.prove(nudged(rows()))
    assert engine.name == "slots"


def test_tokens_are_counted_while_rows_are_under_way(qwen: LoadedModel) -> None:
    engine = ProvenEngine(qwen, [partial(bare_engine, "slots", qwen)], say=lambda _: None)
    answers = engine.generate(rows())
    first = next(answers)
    assert len(first.output_ids) < engine.tokens() <= len(rows()) * len(first.output_ids)
    made = sum(len(response.output_ids) for response in (first, *answers))
    assert made - len(rows()) <= engine.tokens() <= made


def test_a_proof_reads_the_longest_and_the_shortest_prompt_and_cuts_what_is_long() -> None:
    def of(*lengths: int, window: int = 0) -> list[int]:
        asked = [Request(str(n), tuple(range(n)), (), limits=Limits(4096, 1)) for n in lengths]
        return [len(prompt) for prompt in samples(asked, window)]

    assert of(30, 5, 12) == [30, 5]
    assert of(8, 8) == [8, 4]
    assert of(3000, 2000) == [PROMPT_TOKENS, PROMPT_TOKENS // 2]
    assert of(9999, 7) == [7, 3]  # over the limit: it will not run
    assert of(60, 90, window=64) == [60, 30]  # the longer one does not fit
    assert of() == []


def test_what_was_proven_is_not_proven_again(qwen: LoadedModel) -> None:
    forwards: list[int] = []
    engine = make_engine("slots", qwen)
    engine.prove(nudged(rows()))
    handle = qwen.module.register_forward_hook(lambda *_: forwards.append(1))
    try:
        engine.prove(nudged(rows(3)))
        assert not forwards
        engine.prove(rows(5))  # a longer prompt
        assert forwards
    finally:
        handle.remove()


def test_attention_that_asks_for_more_than_plain_attention_is_refused() -> None:
    args: Any = [None] * 5
    for more in ({"s_aux": torch.ones(4)}, {"softcap": 50.0}, {"sliding_window": 128}):
        with pytest.raises(TypeError, match=f"{next(iter(more))} is not plain attention"):
            shared_prompts(*args, scaling=1.0, prompts=args[0], **more)


def test_a_run_records_the_engine_it_really_used_and_why(tmp_path: Path) -> None:
    unlike(tmp_path / "model", "nemotron")
    table = tmp_path / "items.jsonl"
    table.write_text('{"id": "a", "category": "c", "system": "", "user": "Ship it."}\n')
    options = Options(model=str(tmp_path / "model"), scenarios=str(table), new_tokens=2, quiet=True)
    for _ in range(2):  # the second time nothing is generated: what made the rows stays recorded
        found, _ = suffix(replace(options, out=tmp_path / "run"))
        assert isinstance(found, Result)
        assert found.provenance["engine"] == "nnsight"
        assert "the slots engine fails its check" in found.provenance["engine_reason"]
