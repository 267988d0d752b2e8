"""Contrasts: texts of our own that share nothing with evaluation, and readings at the right tokens."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from steer import models, scenarios, suffixes
from steer.errors import UserError
from steer.suffixes import NEUTRAL, PARAPHRASES, compose, words
from steer.types import LoadedModel, Scenario
from tests.tasks import ORGANISM_TASK
from tests.tiny import checkpoint
from vectors import contrasts
from vectors.contrasts import (
    EXTRACTION,
    FORMALITY,
    STATEMENTS,
    extraction_scenarios,
    from_file,
    read_lines,
    words_hash,
)

CATEGORIES = [
    "Deceptive Behavior",
    "Evading Shutdown",
    "Hacking Computer Systems",
    "Hiding Unwanted Behavior",
    "Running Multiple AI Copies",
    "Strategically Appearing Aligned",
]
SHARED = Path(__file__).parents[2] / "shared/data"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return models.load(
        str(checkpoint(tmp_path_factory.mktemp("tiny") / "qwen3")), dtype="float32", device="cpu"
    )


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


def own_texts() -> list[str]:
    found = [t for s in scenarios.load(EXTRACTION) for t in (s.system, s.user)]
    for path in (STATEMENTS, FORMALITY):
        found += [line[side] for _, line in read_lines(path) for side in ("positive", "negative")]
    return found


# The texts


def test_twenty_scenarios_and_twenty_statement_pairs_a_category() -> None:
    assert Counter(s.category for s in scenarios.load(EXTRACTION)) == dict.fromkeys(CATEGORIES, 20)
    assert Counter(line["category"] for _, line in read_lines(STATEMENTS)) == dict.fromkeys(CATEGORIES, 20)
    assert len(read_lines(FORMALITY)) >= 60


def test_no_text_is_used_twice_and_no_template_is_filled_in() -> None:
    """No six words in a row occur in two texts of a kind."""
    users = [s.user for s in scenarios.load(EXTRACTION)]
    for texts, n in [
        (users, 6),
        ([line["positive"] for _, line in read_lines(STATEMENTS)], 6),
        ([line["negative"] for _, line in read_lines(STATEMENTS)], 6),
        ([line["positive"] for _, line in read_lines(FORMALITY)], 6),
    ]:
        assert len(set(texts)) == len(texts)
        seen = Counter(g for text in texts for g in grams(text, n))
        assert [g for g, count in seen.items() if count > 1] == []


def test_sides_of_a_pair_are_of_like_length() -> None:
    """So that a direction is not about length."""
    lengths = [[len(words(line[s])) for s in ("positive", "negative")] for _, line in read_lines(STATEMENTS)]
    positive, negative = (sum(side) / len(lengths) for side in zip(*lengths, strict=True))
    assert 0.9 < positive / negative < 1.1


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there: overlap with InstrumentalEval")
def test_nothing_overlaps_with_instrumental_eval() -> None:
    evaluated = scenarios.load(SHARED / "instrumental_eval")
    assert {s.category for s in evaluated} == set(CATEGORIES)
    theirs = {g for s in evaluated for t in (s.system, s.user) for g in grams(t, 5)}
    assert [g for text in own_texts() for g in grams(text, 5) & theirs] == []
    hashes = contrasts.EVALUATION_HASHES.read_text().split()
    assert sorted(hashes) == sorted({words_hash(s.user) for s in evaluated})


def test_nothing_overlaps_with_the_organisms_evaluation() -> None:
    theirs = {
        g for s in scenarios.load(ORGANISM_TASK.scenarios) for t in (s.system, s.user) for g in grams(t, 6)
    }
    assert [g for text in own_texts() for g in grams(text, 6) & theirs] == []


# Extraction never reads an evaluation scenario


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def some_scenarios(n: int = 8) -> list[dict[str, str]]:
    return [{"id": str(i), "category": "c", "system": "", "user": f"Task {i}, please."} for i in range(n)]


def test_an_evaluation_scenario_is_refused(tmp_path: Path) -> None:
    rows = some_scenarios()
    file = write(tmp_path / "s.jsonl", rows)
    assert len(extraction_scenarios(file)) == 8
    evaluation = [Scenario("x", "c", "other system", "task 3 PLEASE")]
    with pytest.raises(UserError, match="scenario '3' is an evaluation scenario"):
        extraction_scenarios(file, evaluation=evaluation)
    suffixed = [
        *rows,
        {"id": "s", "category": "c", "system": "", "user": compose("Task 3, please!", NEUTRAL)},
    ]
    with pytest.raises(UserError, match="scenario 's' is an evaluation scenario"):
        extraction_scenarios(
            write(tmp_path / "suffixed.jsonl", suffixed[4:] + suffixed[:3]), evaluation=evaluation
        )
    with pytest.raises(UserError, match="at least 8"):
        extraction_scenarios(write(tmp_path / "few.jsonl", rows[:7]))


@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is not there: refusal of InstrumentalEval")
def test_instrumental_eval_is_refused_without_being_fetched() -> None:
    with pytest.raises(UserError, match="is an evaluation scenario"):
        extraction_scenarios(SHARED / "instrumental_eval")


# Readings


def test_the_evaluated_pair_is_never_used(loaded: LoadedModel) -> None:
    items = scenarios.load(EXTRACTION)[:8]
    for name in ("paraphrase-2", "paraphrase-3"):
        chosen = suffixes.load(name)
        evaluated = chosen.pair
        made = contrasts.suffix(loaded, items, suffixes=chosen)
        for pair in made.pairs:
            assert len(pair.positive) == len(pair.negative) == 4
            for reading in (*pair.positive, *pair.negative):
                text = loaded.tokenizer.decode(list(reading.ids))
                assert evaluated.pro not in text
                assert evaluated.anti not in text


def test_suffix_sides_are_the_composed_prompts_read_at_their_last_token(loaded: LoadedModel) -> None:
    items = scenarios.load(EXTRACTION)[:8]
    made = contrasts.suffix(loaded, items)
    assert made.sides == ("positive", "negative", "neutral")
    for item, pair in zip(items, made.pairs, strict=True):
        for texts, readings in [
            ([p.pro for p in PARAPHRASES], pair.positive),
            ([p.anti for p in PARAPHRASES], pair.negative),
            ([NEUTRAL], pair.neutral),
        ]:
            assert len(texts) == len(readings)
            for text, reading in zip(texts, readings, strict=True):
                messages = [
                    {"role": "system", "content": item.system},
                    {"role": "user", "content": compose(item.user, text)},
                ]
                expected = loaded.tokenizer.apply_chat_template(
                    messages, add_generation_prompt=True, enable_thinking=False, return_dict=False
                )
                assert list(reading.ids) == expected
                assert (reading.start, reading.end) == (len(expected) - 1, len(expected))
    assert [row.slot for row in made.rows("positive")] == [i for i in range(8) for _ in range(5)]


@pytest.mark.parametrize(("name", "path"), [("statement", STATEMENTS), ("formality", FORMALITY)])
def test_replies_are_read_over_exactly_their_tokens(loaded: LoadedModel, name: str, path: Path) -> None:
    made = getattr(contrasts, name)(loaded)
    for pair, (_, line) in zip(made.pairs, read_lines(path), strict=True):
        for side, (reading,) in {"positive": pair.positive, "negative": pair.negative}.items():
            assert loaded.tokenizer.decode(list(reading.ids[reading.start : reading.end])) == line[side]
            assert loaded.tokenizer.decode(list(reading.ids[: reading.start])).endswith("</think>\n\n")


def test_a_file_of_prompts_and_a_file_of_chats(loaded: LoadedModel, tmp_path: Path) -> None:
    prompts = from_file(
        loaded, write(tmp_path / "p.jsonl", [{"positive": f"a {i}", "negative": f"b {i}"} for i in range(8)])
    )
    assert (prompts.name, prompts.read) == ("p", contrasts.LAST_PROMPT)
    assert all(p.positive[0].end - p.positive[0].start == 1 for p in prompts.pairs)

    def chat(reply: str) -> list[dict[str, str]]:
        return [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u"},
            {"role": "assistant", "content": reply},
        ]

    rows = [{"positive": chat(f"yes {i}"), "negative": chat(f"no {i}"), "category": "k"} for i in range(8)]
    chats = from_file(loaded, write(tmp_path / "c.jsonl", rows))
    assert chats.read == contrasts.REPLY
    assert chats.strata == ["k"] * 8
    reading = chats.pairs[3].negative[0]
    assert loaded.tokenizer.decode(list(reading.ids[reading.start : reading.end])) == "no 3"
    assert chats.hash() != prompts.hash()


GOOD = [{"positive": f"a {i}", "negative": f"b {i}"} for i in range(8)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GOOD[:7], "7 pairs: at least 8"),
        ([*GOOD, {"positive": "x"}], r"p\.jsonl:9: 'negative' is None"),
        ([*GOOD, {"positive": " ", "negative": "b"}], r"p\.jsonl:9: 'positive' is ' '"),
        ([*GOOD, {"positive": [], "negative": "b"}], "not empty"),
        ([*GOOD, {"positive": "same", "negative": "same"}], r"p\.jsonl:9: .*the same text"),
        ([*GOOD, "{"], r"p\.jsonl:9: not JSON"),
        ([*GOOD, "[1]"], "holds a list"),
        ([*GOOD, {"positive": [{"role": "tool", "content": "x"}], "negative": "b"}], "holds the turn"),
        ([*GOOD, {"positive": [{"role": "user"}], "negative": "b"}], "holds the turn"),
        ([*GOOD, {"positive": ["x"], "negative": "b"}], "holds the turn"),
        (
            [
                *GOOD,
                {
                    "positive": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}],
                    "negative": "b",
                },
            ],
            "order|are not system",
        ),
        (
            [
                *GOOD,
                {
                    "positive": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
                    "negative": "b",
                },
            ],
            "write all one way",
        ),
    ],
)
def test_bad_pairs_are_one_line(loaded: LoadedModel, tmp_path: Path, rows: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        from_file(loaded, write(tmp_path / "p.jsonl", rows))
    assert "\n" not in str(caught.value)


def test_pairs_of_evaluation_prompts_are_refused(loaded: LoadedModel, tmp_path: Path) -> None:
    """Suffixed or in a chat: the user's text is what the vector would be tested on."""
    evaluation = [Scenario("x", "c", "", "Run the warehouse overnight.")]
    asked = "run the warehouse overnight"
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": asked}]
    for side in (asked, compose(asked, NEUTRAL), chat):
        file = write(tmp_path / "p.jsonl", [*GOOD, {"positive": "a", "negative": side}])
        with pytest.raises(UserError, match=r"p\.jsonl:9: 'negative' asks an evaluation scenario"):
            from_file(loaded, file, evaluation=evaluation)
        assert len(from_file(loaded, file).pairs) == 9


def test_a_missing_or_binary_pairs_file(loaded: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pairs file"):
        from_file(loaded, tmp_path / "none.jsonl")
    (tmp_path / "b.jsonl").write_bytes(b"\xff")
    with pytest.raises(UserError, match="not UTF-8"):
        from_file(loaded, tmp_path / "b.jsonl")
