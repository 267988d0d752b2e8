"""Guards of semantic relevance: the states it reads, the ranking, and what silence and ties score."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from steer.interventions import decoder_layers
from steer.relevance import mean_states, relevance
from steer.types import LoadedModel
from tests.engine_cases import tiny_model

QUESTIONS = {
    "tea": "How long should black tea stay in the pot before it turns bitter?",
    "bike": "My bicycle chain slips on the two smallest gears; what is worn?",
    "moon": "Why is the moon sometimes seen in the daylight sky at noon?",
    "bread": "The dough did not rise overnight in the cold kitchen, is it lost?",
    "paint": "Which brush leaves no streaks on a door that was painted before?",
}


@pytest.fixture(scope="module", params=["qwen3", "qwen3_moe", "llama", "gemma"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("tiny") / request.param, request.param, torch.float32)


def by_hook(loaded: LoadedModel, text: str, layer: int) -> torch.Tensor:
    """One text alone, a plain forward hook, positions averaged one by one."""
    tokenizer: Any = loaded.tokenizer
    first = tokenizer("\n", add_special_tokens=False).input_ids
    ids = first + tokenizer(text, add_special_tokens=False).input_ids
    kept: list[torch.Tensor] = []
    block = decoder_layers(loaded.module)[1][layer]
    handle = block.register_forward_hook(lambda _m, _a, out: kept.append(out[0].double()))
    with torch.inference_mode():
        loaded.module(torch.tensor([ids]))
    handle.remove()
    states = [kept[0][p] for p in range(len(first), len(ids))]
    return sum(states[1:], states[0]) / len(states)


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_mean_states_are_those_of_the_texts_alone(loaded: LoadedModel, layer: int) -> None:
    texts = [*QUESTIONS.values(), "a"]
    found = mean_states(loaded, texts, layer)
    for text, state in zip(texts, found, strict=True):
        torch.testing.assert_close(state, by_hook(loaded, text, layer), rtol=1e-4, atol=1e-4)


def test_an_answer_about_its_question_ranks_above_the_others(loaded: LoadedModel) -> None:
    about = {name: text.replace("?", ".") for name, text in QUESTIONS.items()}
    names = list(QUESTIONS)
    swapped = {name: about[names[(i + 1) % len(names)]] for i, name in enumerate(names)}
    same = dict.fromkeys(names, "I will stop at once and hand control back.")
    found = relevance(loaded, QUESTIONS, {"baseline": about, "swapped": swapped, "same": same})
    assert found["baseline"].above == 1.0
    assert found["baseline"].own > 0.8 > found["baseline"].shuffled
    assert found["swapped"].above < 0.5
    assert found["swapped"].own < found["swapped"].shuffled
    assert found["same"].above == pytest.approx(0.5)  # one text for all is about none of them
    assert found["baseline"].each["tea"] > 0.8


def test_the_cosine_is_that_of_the_centred_states(loaded: LoadedModel) -> None:
    answers = {"tea": "Four minutes.", "bike": "The cassette.", "moon": "It is high then."}
    found = relevance(loaded, QUESTIONS, {"baseline": answers}, layer=1)["baseline"]
    asked = [by_hook(loaded, text, 1) for text in QUESTIONS.values()]
    given = [by_hook(loaded, text, 1) for text in answers.values()]
    q = asked[1] - sum(asked[1:], asked[0]) / 5
    a = given[1] - sum(given[1:], given[0]) / 3
    assert found.each["bike"] == pytest.approx(float(q @ a / q.norm() / a.norm()), abs=1e-4)
    assert found.n == 3


def test_silence_is_not_relevant_and_not_counted(loaded: LoadedModel) -> None:
    found = relevance(loaded, QUESTIONS, {"baseline": dict(QUESTIONS), "silent": {"tea": "  "}})
    assert (found["silent"].own, found["silent"].above, found["silent"].n) == (None, None, 0)
    assert found["baseline"].own is not None
    assert math.isclose(found["baseline"].own, 1.0, abs_tol=1e-6)


def test_one_question_cannot_be_compared(loaded: LoadedModel) -> None:
    with pytest.raises(ValueError, match="two questions"):
        relevance(loaded, {"tea": "x"}, {"baseline": {"tea": "y"}})
