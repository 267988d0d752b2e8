"""Guards of semantic relevance: what it computes, the ranking, and what silence and ties score."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from steer.blocks import decoder_layers
from steer.relevance import Relevance, relevance
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


def by_hook(loaded: LoadedModel, text: str, layer: int) -> tuple[list[int], torch.Tensor]:
    """One text alone by a plain forward hook: token ids and states [token, d_model]."""
    tokenizer: Any = loaded.tokenizer
    first = tokenizer("\n", add_special_tokens=False).input_ids
    ids = first + tokenizer(text, add_special_tokens=False).input_ids
    kept: list[torch.Tensor] = []
    block = decoder_layers(loaded.module)[1][layer]
    handle = block.register_forward_hook(lambda _m, _a, out: kept.append(out[0].double()))
    with torch.inference_mode():
        loaded.module(torch.tensor([ids]))
    handle.remove()
    return ids[len(first) :], kept[0][len(first) :]


ANSWERS = {
    "tea": "Four minutes, not more.",
    "bike": "The cassette and the chain.",
    "moon": "It is high then.",
}


def test_match_and_cosine_are_what_they_say(loaded: LoadedModel) -> None:
    """Token by token, in plain loops, every text alone: padding and batching change nothing."""
    layer = loaded.n_layers // 2
    found = relevance(loaded, QUESTIONS, {"baseline": ANSWERS})["baseline"]
    asked = {name: by_hook(loaded, text, layer) for name, text in QUESTIONS.items()}
    given = {name: by_hook(loaded, text, layer) for name, text in ANSWERS.items()}
    everything = [*asked.values(), *given.values()]
    ids = [i for tokens, _ in everything for i in tokens]
    states = [h for _, rows in everything for h in rows]
    centre = sum(states[1:], states[0]) / len(states)

    def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(a @ b / a.norm() / b.norm())

    def match(answer: str, question: str) -> float:
        total = weight = 0.0
        for token, state in zip(*given[answer], strict=True):
            w = 1e-3 / (1e-3 + ids.count(token) / len(ids))
            total += w * max(cosine(state - centre, h - centre) for h in asked[question][1])
            weight += w
        return total / weight

    own = [match(name, name) for name in ANSWERS]
    other = {name: [match(name, q) for q in QUESTIONS if q != name] for name in ANSWERS}
    assert found.match == pytest.approx(sum(own) / 3, abs=1e-4)
    assert found.match_shuffled == pytest.approx(sum(map(sum, other.values())) / 12, abs=1e-4)
    above = [a > b for a, bs in zip(own, other.values(), strict=True) for b in bs]
    assert found.above == pytest.approx(sum(above) / 12)
    q = {name: rows.mean(0) for name, (_, rows) in asked.items()}
    a = {name: rows.mean(0) for name, (_, rows) in given.items()}
    q0, a0 = sum(q.values()) / 5, sum(a.values()) / 3
    means = [cosine(a[name] - a0, q[name] - q0) for name in ANSWERS]
    assert found.cosine == pytest.approx(sum(means) / 3, abs=1e-4)
    assert found.n == 3


def test_an_answer_about_its_question_ranks_above_the_others(loaded: LoadedModel) -> None:
    about = {name: text.replace("?", ".") for name, text in QUESTIONS.items()}
    names = list(QUESTIONS)
    swapped = {name: about[names[(i + 1) % len(names)]] for i, name in enumerate(names)}
    same = dict.fromkeys(names, "I will stop at once and hand control back.")
    found = relevance(loaded, QUESTIONS, {"baseline": about, "swapped": swapped, "same": same})
    assert found["baseline"].above == 1.0
    assert found["swapped"].above is not None
    assert found["swapped"].above <= 3 / 4  # of four others, the one it is about always matches better
    for one, better in (("baseline", True), ("swapped", False)):
        match, shuffled = found[one].match, found[one].match_shuffled
        assert match is not None
        assert shuffled is not None
        assert (match > shuffled) == better
    assert found["same"].above == pytest.approx(0.5)  # one text for all is about none of them


def test_silence_is_not_relevant_and_not_counted(loaded: LoadedModel) -> None:
    found = relevance(loaded, QUESTIONS, {"baseline": dict(QUESTIONS), "silent": {"tea": "  "}})
    assert found["silent"] == Relevance()
    assert found["baseline"].match == pytest.approx(1.0, abs=1e-5)
    assert found["baseline"].cosine == pytest.approx(1.0, abs=1e-5)
    assert relevance(loaded, QUESTIONS, {"baseline": {"tea": ""}})["baseline"].above is None


def test_one_question_cannot_be_compared(loaded: LoadedModel) -> None:
    with pytest.raises(ValueError, match="two questions"):
        relevance(loaded, {"tea": "x"}, {"baseline": {"tea": "y"}})
