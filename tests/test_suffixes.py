"""Suffixes: equal texts, the paper's composition, other sources, echo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steer.errors import UserError
from steer.suffixes import DEFAULT, NEUTRAL, PARAPHRASES, compose, echo, five_grams, load, words
from steer.types import SuffixPair
from vectors.contrasts import paraphrases

PAPER = Path(__file__).parents[2] / "shared/data/paper_suffixes.json"
PAIRS = (DEFAULT, *PARAPHRASES)


def bullets(text: str) -> int:
    return sum(line.startswith("- ") for line in text.splitlines())


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_pro_and_anti_differ_in_content_only(pair: SuffixPair) -> None:
    assert abs(len(words(pair.pro)) - len(words(pair.anti))) <= 2
    assert abs(len(pair.pro) - len(pair.anti)) <= 0.05 * max(len(pair.pro), len(pair.anti))
    assert bullets(pair.pro) == bullets(pair.anti) == bullets(NEUTRAL) == 4
    assert len(pair.pro.splitlines()) == len(pair.anti.splitlines()) == 5
    assert pair.pro.splitlines()[0] == pair.anti.splitlines()[0]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_every_suffix_is_as_long_as_the_neutral_one(pair: SuffixPair) -> None:
    for text in (pair.pro, pair.anti):
        assert abs(len(text) - len(NEUTRAL)) <= 0.06 * len(NEUTRAL)


def test_paraphrases_are_five_and_all_different() -> None:
    assert len(PARAPHRASES) == 5
    texts = [text for pair in PAIRS for text in (pair.pro, pair.anti)] + [NEUTRAL]
    assert len(set(texts)) == len(texts)
    assert len({pair.name for pair in PAIRS}) == 6
    for i, one in enumerate(PAIRS):  # other words, not the same sentences again
        for other in PAIRS[i + 1 :]:
            assert not five_grams(one.pro) & five_grams(other.pro)
            assert not five_grams(one.anti) & five_grams(other.anti)


@pytest.mark.parametrize(
    "behaviour",
    [
        "copy",
        "copies",
        "replicate",
        "server",
        "hack",
        "password",
        "monitor",
        "shut",
        "deceive",
        "lie",
        "hide",
    ],
)
def test_no_suffix_names_what_the_benchmark_tests(behaviour: str) -> None:
    for pair in PAIRS:
        assert behaviour not in words(pair.pro) + words(pair.anti) + words(NEUTRAL)


def test_our_wording_is_not_the_papers() -> None:
    if not PAPER.is_file():
        pytest.skip("../shared/data/paper_suffixes.json is not here")
    paper = json.loads(PAPER.read_text(encoding="utf-8"))
    theirs = five_grams(paper["pro"]) | five_grams(paper["anti"])
    assert len(theirs) > 100
    for text in [NEUTRAL, *(text for pair in PAIRS for text in (pair.pro, pair.anti))]:
        assert not five_grams(text) & theirs


def test_compose_is_the_papers_formula() -> None:
    assert compose("Do it. \n\n", "\n- be kind\n ") == "Do it.\n\n- be kind\n"
    assert compose(" Do it. \n", "") == " Do it. \n"  # the baseline prompt is untouched
    assert compose("Do it. \n", " \n") == "Do it. \n"


def test_load_finds_the_named_pairs() -> None:
    assert load("default").pair == DEFAULT
    assert load("default").neutral == NEUTRAL
    assert load("paraphrase-3").pair == PARAPHRASES[2]
    assert load("default").paraphrases == PARAPHRASES
    assert load("paraphrase-3").paraphrases == PARAPHRASES[:2] + PARAPHRASES[3:]


def test_load_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"pro": "more", "anti": "less", "neutral": "some"}), encoding="utf-8")
    mine = load(path)
    assert mine.pair == SuffixPair("mine", "more", "less")
    assert mine.neutral == "some"
    for encoding in ("utf-8-sig", "utf-16"):  # with a mark, as some editors save it
        path.write_text('{"pro": "more", "anti": "less"}', encoding=encoding)
        assert load(str(path)).pair == mine.pair
        assert load(str(path)).neutral == NEUTRAL


def test_a_set_comes_whole_and_own_texts_never_meet_our_paraphrases(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"pro": "more", "anti": "less"}', encoding="utf-8")
    assert load(path).paraphrases == ()
    with pytest.raises(UserError, match="'mine' have no paraphrases to extract a vector from"):
        paraphrases(load(path))
    pairs = [{"pro": "a lot", "anti": "a bit"}, {"pro": "much", "anti": "little"}]
    path.write_text(json.dumps({"pro": "more", "anti": "less", "paraphrases": pairs}), encoding="utf-8")
    assert load(path).paraphrases == (
        SuffixPair("paraphrase-1", "a lot", "a bit"),
        SuffixPair("paraphrase-2", "much", "little"),
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\x00", "not UTF-8 text (byte 0): save it as UTF-8"),
        (b'{"pro": "\\udc00", "anti": "y"}', "mine.json: holds half a surrogate pair: mend its escapes"),
        (b'{"pro": ' + b"[" * 100_000, "mine.json: nested 100001 deep"),
        (b"", "mine.json:1: not JSON: Expecting value"),
        (
            b'{\n"pro": "x",\n}',
            "mine.json:2: not JSON: Illegal|mine.json:3: not JSON: Exp",
        ),
        (b"[1]", 'holds a list: write {"pro": TEXT, "anti": TEXT} with, if you like, "neutral": TEXT'),
        (b'{"pro": "x"}', "lacks 'anti': write"),
        (b'{"pro": "x", "anti": " "}', "'anti' is ' ': it must be a text that is not empty"),
        (b'{"pro": 3, "anti": "y"}', "'pro' is 3: it must be a text that is not empty"),
        (b'{"pro": "x", "anti": "y", "con": "z"}', "unknown key 'con': write"),
        (b'{"pro": "x", "anti": "y", "paraphrases": {}}', '"paraphrases" must be a list of pairs'),
        (
            b'{"pro": "x", "anti": "y", "paraphrases": [{"pro": "z"}]}',
            '"paraphrases" must be a list of pairs',
        ),
        (b'{"pro": "x", "anti": "y", "paraphrases": [{"pro": "", "anti": "z"}]}', "'pro' is '': it must be"),
        (b'{"pro": "x", "anti": "y", "paraphrases": [{"pro": "x ", "anti": "z"}]}', "'x' stands twice"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(path)
    assert any(part in str(caught.value) for part in message.split("|"))
    assert "\n" not in str(caught.value)


def test_unknown_source_says_what_there_is() -> None:
    with pytest.raises(UserError) as caught:
        load("papr")
    assert str(caught.value) == (
        "no suffixes 'papr': give one of default, paraphrase-1, paraphrase-2, paraphrase-3, "
        "paraphrase-4, paraphrase-5, paper, or a JSON file"
    )


def test_echo_is_five_words_in_a_row() -> None:
    suffix = "- Ask before you act, always.\n- Stay calm."
    assert echo(suffix, "I will ASK before you\nact — always: yes.")
    assert not echo(suffix, "I ask before you act; it is always so.")  # four in a row
    assert not echo("", "anything at all that was said here")
    assert not echo("ask before you", "ask before you")
