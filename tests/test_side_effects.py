"""Fluency, repetition and drift, each against a computation of its own on a tiny model."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from scipy.special import rel_entr
from torch import Tensor

from steer.chat import render
from steer.engines import make_engine
from steer.errors import UserError
from steer.models import load
from steer.side_effects import DRIFT_TOKENS, compression, distinct3, drift, fluency
from steer.suffixes import compose
from steer.types import Addition, Arm, Engine, LoadedModel, Scenario
from tests.tiny import WIDTH, checkpoint

PROMPTS = [
    Scenario("n1", "neutral", "", "Describe a lake."),
    Scenario("n2", "neutral", "You are calm.", "How is bread made from flour, water and a pinch of salt?"),
    Scenario("n3", "neutral", "", "Why?"),
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load(str(checkpoint(tmp_path_factory.mktemp("side") / "tiny")), dtype="float64")


@pytest.fixture(scope="module", params=["nnsight", "slots"])
def engine(request: pytest.FixtureRequest, loaded: LoadedModel) -> Engine:
    return make_engine(request.param, loaded, batch=2)  # so that rows are padded and batches are several


def log_p(loaded: LoadedModel, prompt: tuple[int, ...], answer: tuple[int, ...]) -> Tensor:
    """[answer, vocab] log-probabilities by one plain, unpadded forward."""
    with torch.no_grad():
        logits = loaded.module(torch.tensor([prompt + answer])).logits[0]
    return logits[len(prompt) - 1 : -1].float().log_softmax(-1)


@contextmanager
def added(loaded: LoadedModel, layer: int, delta: Tensor, start: int) -> Iterator[None]:
    """Add delta at the output of a block from position `start` on, with a hook of this test's own."""

    def hook(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, start:] += delta.to(output.dtype)
        return output

    handle = loaded.module.model.layers[layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def continuation(loaded: LoadedModel, prompt: tuple[int, ...]) -> tuple[int, ...]:
    """Greedy, without a cache, up to and with the first stop token."""
    answer: tuple[int, ...] = ()
    while len(answer) < DRIFT_TOKENS and not (answer and answer[-1] in loaded.stop_ids):
        answer += (int(log_p(loaded, prompt, (*answer, 0))[-1].argmax()),)
    return answer


Expect = Callable[[Callable[[Scenario], tuple[tuple[int, ...], Any]]], float]


@pytest.fixture(scope="module")
def expected_drift(loaded: LoadedModel) -> Expect:
    """Takes what gives a scenario's prompt under an arm, and a context in which the model is steered."""
    prompts = [plain(loaded, scenario) for scenario in PROMPTS]
    answers = [continuation(loaded, prompt) for prompt in prompts]
    before = [log_p(loaded, *row) for row in zip(prompts, answers, strict=True)]

    def expected(arm: Callable[[Scenario], tuple[tuple[int, ...], Any]]) -> float:
        total = 0.0
        for scenario, answer, p in zip(PROMPTS, answers, before, strict=True):
            prompt, steering = arm(scenario)
            with steering:
                q = log_p(loaded, prompt, answer)
            kl = torch.nn.functional.kl_div(q.double(), p.double(), reduction="none", log_target=True)
            total += float(kl.sum())
        return total / sum(len(answer) for answer in answers)

    return expected


def direction(seed: int = 0) -> Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def plain(loaded: LoadedModel, scenario: Scenario) -> tuple[int, ...]:
    return render(loaded, scenario.system, scenario.user, thinking=False)


def test_fluency_is_the_mean_nll_under_the_unsteered_model(loaded: LoadedModel, engine: Engine) -> None:
    tok: Any = loaded.tokenizer
    prompts = [plain(loaded, scenario) for scenario in PROMPTS]
    outputs = [tuple(tok(text).input_ids) for text in ("I keep it<|im_end|>", "ask", "be plain and short")]
    found = list(fluency(engine, loaded, zip(prompts, outputs, strict=True)))
    for prompt, output, value in zip(prompts, outputs, found, strict=True):
        answer = output[:-1] if output[-1] == 2 else output  # the stop token is not of the answer
        scores = log_p(loaded, prompt, answer)
        expected = -sum(float(scores[i, token]) for i, token in enumerate(answer)) / len(answer)
        assert value == pytest.approx(expected, rel=1e-5)


def test_fluency_scores_the_answer_and_not_the_thinking(loaded: LoadedModel, engine: Engine) -> None:
    tok: Any = loaded.tokenizer
    prompt = plain(loaded, PROMPTS[0])
    thinking, answer = (tuple(tok(text).input_ids) for text in ("<think>hm, so</think>", "I keep it"))
    whole, cut, empty = thinking + answer, thinking[:-1], (2,)
    found = list(fluency(engine, loaded, [(prompt, whole), (prompt, cut), (prompt, empty)]))
    scores = log_p(loaded, prompt + thinking, answer)
    expected = -sum(float(scores[i, token]) for i, token in enumerate(answer)) / len(answer)
    assert found[0] == pytest.approx(expected, rel=1e-5)
    assert found[1:] == [None, None]  # thinking that never ended, and nothing said, have no fluency


def test_a_likely_loop_compresses_and_repeats() -> None:
    loop, prose = (
        "I will stop now. " * 40,
        "Each of these words stands here only once, as prose should do it.",
    )
    assert compression(loop) == len(zlib.compress(loop.encode(), 9)) / len(loop)
    assert compression(loop) < 0.1 < 0.8 < compression(prose)
    assert distinct3("a b c a b c a b") == 3 / 6
    assert distinct3(prose) == 1.0
    assert distinct3(loop) == pytest.approx(4 / 158)
    assert (compression(""), distinct3("two words")) == (None, None)
    assert compression("\ud800") is not None  # half a surrogate pair is no reason to stop a run


@pytest.mark.parametrize("span", ["last", "generated", "all"])
def test_drift_of_an_addition(loaded: LoadedModel, engine: Engine, expected_drift: Expect, span: Any) -> None:
    addition = Addition(direction(), layer=1, magnitude=0.8, span=span, norm=30.0)
    delta = 0.8 * 30.0 * direction().double() / direction().double().norm()
    offset = {"last": -1, "generated": 0}

    def arm(scenario: Scenario) -> tuple[tuple[int, ...], Any]:
        prompt = plain(loaded, scenario)
        start = 1 if span == "all" else len(prompt) + offset[span]
        return prompt, added(loaded, 1, delta, start)

    [(name, value)] = drift(engine, loaded, [Arm("cell", additions=(addition,))], PROMPTS)
    assert name == "cell"
    assert value == pytest.approx(expected_drift(arm), rel=1e-4)
    assert value > 0.01  # also for `generated`, whose first token is chosen before it acts


def test_drift_of_a_suffix_is_measured_with_the_suffix_on_the_prompt(
    loaded: LoadedModel, engine: Engine, expected_drift: Expect
) -> None:
    def arm(scenario: Scenario) -> tuple[tuple[int, ...], Any]:
        prompt = render(loaded, scenario.system, compose(scenario.user, "- Be brief."), thinking=False)
        return prompt, added(loaded, 0, torch.zeros(WIDTH), 0)

    [(_, value)] = drift(engine, loaded, [Arm("pro", suffix="- Be brief.")], PROMPTS)
    assert value == pytest.approx(expected_drift(arm), rel=1e-4)
    assert value > 0.01


def test_a_token_the_model_masks_for_good_leaves_drift_a_number(loaded: LoadedModel, engine: Engine) -> None:
    """-inf minus -inf, times a probability of 0, once made a drift that was no number, kept as 0."""
    masked = 11

    def mask(_module: Any, _inputs: Any, logits: Tensor) -> Tensor:
        return logits.index_fill(-1, torch.tensor([masked]), -torch.inf)

    handle = loaded.module.lm_head.register_forward_hook(mask)
    try:
        [(_, value)] = drift(engine, loaded, [Arm("pro", suffix="- Be brief.")], PROMPTS[2:])
        before = plain(loaded, PROMPTS[2])
        after = render(loaded, "", compose(PROMPTS[2].user, "- Be brief."), thinking=False)
        answer = continuation(loaded, before)
        p, q = (log_p(loaded, ids, answer).double().exp().numpy() for ids in (before, after))
    finally:
        handle.remove()
    assert not p[:, masked].any()
    assert value == pytest.approx(rel_entr(p, q).sum() / len(answer), rel=1e-4)
    assert value > 0.01


def test_nothing_drifts_nowhere(loaded: LoadedModel, engine: Engine) -> None:
    """Magnitude 0 goes through the whole steered path and must come out as the baseline."""
    still = Addition(direction(), layer=2, magnitude=0.0, span="all", norm=30.0)
    loud = Addition(direction(), layer=2, magnitude=0.5, span="all", norm=30.0)
    arms = [Arm("still", additions=(still,)), Arm("loud", additions=(loud,)), Arm("baseline")]
    found = dict(drift(engine, loaded, arms, PROMPTS))
    assert list(found) == ["still", "loud", "baseline"]
    assert found["still"] == pytest.approx(0, abs=1e-9)
    assert found["baseline"] == pytest.approx(0, abs=1e-9)
    assert found["loud"] > 0.01


def test_arms_do_not_leak_into_each_other(loaded: LoadedModel, engine: Engine) -> None:
    arms = [
        Arm(f"L{layer}", additions=(Addition(direction(layer), layer=layer, magnitude=0.7, norm=30.0),))
        for layer in (0, 3)
    ]
    together = dict(drift(engine, loaded, arms, PROMPTS))
    for arm in arms:
        assert together[arm.name] == pytest.approx(dict(drift(engine, loaded, [arm], PROMPTS))[arm.name])
    assert len({round(value, 6) for value in together.values()}) == 2


def test_no_prompts_is_an_error(loaded: LoadedModel, engine: Engine) -> None:
    with pytest.raises(UserError, match="no neutral prompts to measure drift on: give at least one"):
        next(drift(engine, loaded, [Arm("x")], []))
    long = Scenario("long", "neutral", "", "word " * 5000)
    with pytest.raises(UserError, match=r"neutral prompt 'long' failed: the prompt has \d+ tokens"):
        next(drift(engine, loaded, [Arm("x")], [long]))
