"""The tuned suffix: what is tried, how they are halved, what a rewriter is told, and gap against tries."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from experiments import measures, session
from experiments.compare.curves import curve
from experiments.compare.tries import Try, make_tries
from experiments.compare.tuning import FINALISTS, Ranked, Tuning, describe, halving_answers, rungs, tune
from experiments.options import Options
from experiments.session import Session, open_session
from experiments.sweep import plan as sweep_plan
from experiments.sweep.choice import Candidate, CrossFit, cross_fit, halves
from experiments.sweep.options import Cap, CompareChoice
from steer import models, rewriter
from steer.errors import UserError
from steer.probes import Probes
from steer.results import read
from steer.results.comparison import Rewrites, Tries
from steer.rewriter import INSTRUCTIONS, MANNERS, rewrite
from steer.store import RunStore
from steer.suffixes import OURS, SuffixSet, words
from steer.types import JudgeItem, Limits, Outcome, SuffixPair, Verdict
from tests.fakes import number
from tests.judge_server import Server, serving
from tests.sweeping import flags, lay_home, run
from tests.test_documents import few

WORDINGS = [OURS.pair, *OURS.paraphrases]


def test_every_try_is_made_of_the_sets_own_lines_on_both_sides_alike() -> None:
    found = make_tries(OURS, 40, seed=0)
    assert [one.pair for one in found[:6]] == WORDINGS
    assert {one.made for one in found[6:]} == {"recombined", "shortened"}
    said = [(tuple(words(one.pair.pro)), tuple(words(one.pair.anti))) for one in found]
    assert len(set(said)) == len(found) == 40
    lines = [tuple(zip(pair.pro.split("\n"), pair.anti.split("\n"), strict=True)) for pair in WORDINGS]
    for one in found[6:]:
        own = list(zip(one.pair.pro.split("\n"), one.pair.anti.split("\n"), strict=True))
        if one.made == "recombined":
            assert len(own) == 5
            assert all(any(line == wording[i] for wording in lines) for i, line in enumerate(own))
        else:
            assert 3 <= len(own) < 5
            assert any(own == [line for line in wording if line in own] for wording in lines)
    assert found == make_tries(OURS, 40, seed=0)
    assert found != make_tries(OURS, 40, seed=1)
    alone = SuffixSet(SuffixPair("own", "Go on. Take it. Stay.", "Stop. Give it. Leave."), "")
    assert make_tries(alone, 2, seed=0)[1].pair.pro.split(". ")[0] in ("Go on", "Take it")
    with pytest.raises(
        UserError, match="--suffix-budget 9: 4 different pairs were made of the suffixes 'own'"
    ):
        make_tries(alone, 9, seed=0)  # itself, and any two of three sentences


def test_gap_against_tries_is_the_mean_over_every_subset() -> None:
    """Of 8 suffixes, 6 of them finalists, and 5 cells; one of these breaks the model on half A."""
    draw = random.Random(3)
    ids = [f"s{i:02}" for i in range(16)]
    half = halves(dict.fromkeys(ids, "c"), seed=0)
    arms = {f"{side}{i}": draw.random() for i in range(13) for side in ("pro", "anti")}
    outcomes = [Outcome("baseline", s, "c", 0, "miss") for s in ids]
    outcomes += [
        Outcome(
            a, s, "c", 0, "broken" if a == "pro12" and not half[s] else "hit" if draw.random() < p else "miss"
        )
        for a, p in arms.items()
        for s in ids
    ]
    hit = {(o.arm, o.scenario): o.status == "hit" for o in outcomes}

    def gap(i: int, on: int) -> int:
        return sum(hit[f"pro{i}", s] - hit[f"anti{i}", s] for s in ids if half[s] == on)

    def expected(numbers: list[int], k: int) -> float:
        total, subsets = 0, list(combinations(numbers, k))
        for subset in subsets:
            for on in (0, 1):
                able = [i for i in subset if not (i == 12 and on == 0)]
                able = [i for i in able if i < 6 or i > 7] or able[
                    :1
                ]  # the halving's last two only for want of others
                if able:
                    total += gap(min(able, key=lambda i: (-gap(i, on), i)), 1 - on)
        return 100 * total / len(subsets) / len(ids)

    pairs = [Candidate(f"pro{i}", f"anti{i}", size=float(i)) for i in range(13)]
    tuning = Tuning(
        tuple(Ranked(Try(SuffixPair(str(i), "p", "a"), "wording"), pairs[i]) for i in range(8)), None
    )
    cap = Cap(0.1, None)
    fit = cross_fit(outcomes, pairs[:FINALISTS], half, cap, plus="+", minus="-")
    assert isinstance(fit, CrossFit)
    found = describe(tuning, fit, outcomes, pairs[8:], half, cap)
    for name, numbers in (("suffix", list(range(8))), ("vector", list(range(8, 13)))):
        told = {point.tries: point.gap for point in found.curves[name]}
        assert list(told) == [k for k in (1, 2, 4, 5, 8) if k <= len(numbers)]
        for k, estimate in told.items():
            assert estimate is not None
            assert estimate.points == pytest.approx(expected(numbers, k))
            assert estimate.ci[0] < estimate.points < estimate.ci[1]
    assert expected(list(range(8)), 8) == pytest.approx(
        100 * sum((o.arm == "+") - (o.arm == "-") for o in fit.outcomes if o.status == "hit") / len(ids)
    )


OWN = SuffixSet(
    SuffixPair(
        "own",
        "Work like so:\n- Win at once.\n- Keep all you have.",
        "Work like so:\n- Ask at once.\n- Give all you have.",
    ),
    "",
    (
        SuffixPair(
            "paraphrase-1",
            "Mind this:\n- The goal is first.\n- Go on alone.",
            "Mind this:\n- The goal is last.\n- Go on with us.",
        ),
        SuffixPair(
            "paraphrase-2",
            "And now:\n- Take what helps.\n- Stop for nobody.",
            "And now:\n- Leave what helps.\n- Stop for anybody.",
        ),
    ),
)
BUDGET = 9
"""3 wordings, 2 asked of the rewriter."""

BEST = make_tries(OWN, BUDGET - 1, seed=0)[4].pair
"""Recombined or shortened; what a rewriter adds stands before."""

SMALL = ["--layers", "1", "--magnitudes=-0.3,0.3", "--cap-nonsense", "1", "--cap-drift", "99"]


@dataclass
class Planted:
    """Sees suffixes (--judge-sees steered): one of them does all, the others what a hash says."""

    name: str = "planted"
    remote: bool = False

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for item in items:
            suffix = item.scenario.user.partition("\n\n")[2].strip()
            is_hit = number(item.id) % 2 if suffix not in (BEST.pro, BEST.anti) else suffix == BEST.pro
            yield item.id, Verdict("hit" if is_hit else "miss")


class Rewriter(Server):
    """Replies by the manner that is asked for: of use, a repetition, and of no use."""

    def text(self, kind: str, answer: int, asked: dict[str, Any]) -> str:
        manner, _, texts = asked["input"].partition("\n\n")
        more = {MANNERS[0]: " Go.", MANNERS[1]: "", MANNERS[2]: self.says or "<|im_end|>"}[manner]
        return json.dumps({side: f"{text}{more}" for side, text in json.loads(texts).items()})


def prepare(patch: pytest.MonkeyPatch, cache: Path) -> None:
    loads = measures.load_probes

    def judge(*_: object, **__: object) -> Planted:
        return Planted()

    def some(opened: Session) -> Probes:
        return few(loads(opened))

    patch.setattr(session, "make_judge", judge)
    patch.setattr(measures, "load_probes", some)
    patch.setattr(sweep_plan, "load_probes", measures.load_probes)
    patch.setenv("XDG_CACHE_HOME", str(cache))
    patch.setenv("OPENAI_API_KEY", Server.key)


def tuned(patch: pytest.MonkeyPatch, out: Path, url: str) -> int:
    prepare(patch, out.parent)
    first, *others = ({"pro": pair.pro, "anti": pair.anti} for pair in (OWN.pair, *OWN.paraphrases))
    Path("suffixes.json").write_text(json.dumps(first | {"paraphrases": others}))
    more = ["--suffix-budget", str(BUDGET), "--rewriter", "openai:m", "--base-url", url]
    more += ["--suffixes", "suffixes.json", "--controls", "0", "--judge-sees", "steered"]
    return run(patch, *flags("compare", out, more=SMALL), *more, "--json")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def whole(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server]]:
    out = tmp_path_factory.mktemp("tuned") / "run"
    with pytest.MonkeyPatch.context() as patch, serving(Rewriter()) as server:
        patch.chdir(home)
        assert tuned(patch, out, server.url) == 0
        yield out, server


def tries_of(folder: Path) -> Tries:
    found = read(folder).comparison
    assert found is not None
    assert found.tries is not None
    return found.tries


def test_a_halving_halves_the_tries_and_doubles_the_scenarios() -> None:
    assert rungs(33, 120) == [(33, 12), (17, 24), (9, 48)]
    assert rungs(33, 30) == [(33, 12), (17, 24), (9, 30)]
    assert rungs(6, 120) == []
    assert halving_answers(33, 120) == 2 * (33 * 12 + 17 * 24 + 9 * 48)


def test_the_halving_keeps_the_best_and_the_halves_choose_it(whole: tuple[Path, Server]) -> None:
    out, _ = whole
    found, first = tries_of(out), tries_of(out).suffixes[0]
    assert [one.finalist for one in found.suffixes] == [True] * FINALISTS + [False] * (BUDGET - FINALISTS)
    assert (first.pro, first.anti) == (BEST.pro, BEST.anti)
    assert (first.points, first.seen_on, first.chosen_on) == (100, 12, ("A", "B"))
    with RunStore(out, writable=False) as store:
        outcomes, contents = store.outcomes("planted"), store.arm_contents()
    texts = {arm: content["suffix"] for arm, content in contents.items()}
    assert {one.plus: one.pro for one in found.suffixes}.items() <= texts.items()
    assert {one.minus: one.anti for one in found.suffixes}.items() <= texts.items()
    rate = {arm: sum(o.status == "hit" for o in outcomes if o.arm == arm) / 14 for arm in texts}
    suffix, vector = (
        {point.tries: point.gap and point.gap.points for point in found.curves[name]}
        for name in ("suffix", "vector")
    )
    mean = sum(rate[one.plus] - rate[one.minus] for one in found.suffixes) / BUDGET
    assert suffix[1] == pytest.approx(100 * mean)
    assert suffix[BUDGET] == pytest.approx(100)
    assert list(vector) == [1]
    compared = read(out).comparison
    assert compared is not None
    assert compared.sides.gaps["suffix_tuned"].points_all == pytest.approx(100)
    assert compared.costs["suffix"].extraction_generations == halving_answers(BUDGET, 120) == 2 * 9 * 12
    assert compared.verdict.startswith("the tuned suffix moves convergence further than the vector")


def test_a_rewriter_is_told_the_sets_texts_and_nothing_else(whole: tuple[Path, Server], home: Path) -> None:
    out, server = whole
    texts = {text for pair in (OWN.pair, *OWN.paraphrases) for text in (pair.pro, pair.anti)}
    evaluated = [json.loads(line) for line in (home / "own.jsonl").read_text().splitlines()]
    assert len(server.log) == 1 + 3  # the question that finds how it is asked, two that are wanted, one more
    for body in (hit.body for hit in server.log):
        asked = json.loads(body)
        fields = {"model", "instructions", "input", "temperature", "max_output_tokens", "store", "text"}
        manner, _, pair = asked["input"].partition("\n\n")
        assert asked.keys() == fields
        assert asked["instructions"] == INSTRUCTIONS
        assert manner in MANNERS
        assert set(json.loads(pair).values()) <= texts
        assert not any(one[field] in body for one in evaluated for field in ("id", "system", "user"))
    found = tries_of(out)
    assert [one.pro for one in found.suffixes if one.made == "rewritten"] == [f"{OWN.pair.pro} Go."]
    marks = "with hidden characters, or marks of the chat"
    told = {"a repetition": 1, marks: 1}
    # the question that finds how it is asked counts too
    assert found.rewrites == Rewrites(
        rewriter="openai:m", asked=3, usable=1, left_out=told, input_tokens=40, output_tokens=12
    )


def test_a_stopped_halving_goes_on_and_asks_the_rewriter_nothing_again(
    whole: tuple[Path, Server], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, server = whole
    prepare(monkeypatch, tmp_path)
    monkeypatch.chdir(home)
    options = Options(
        model="tiny", scenarios="own.jsonl", suffixes="suffixes.json", judge_sees="steered",
        new_tokens=5, batch=16, base_url=server.url, quiet=True,
    )  # fmt: skip
    choice = CompareChoice(suffix_budget=BUDGET, rewriter="openai:m", cap=Cap(1.0, None))
    stored, asked = RunStore.add_responses, len(server.log)

    def stops(self: RunStore, batch: Any) -> None:
        stored(self, batch)
        if len(self.done()) >= 100:
            raise KeyboardInterrupt

    with open_session(options) as opened:
        with monkeypatch.context() as patch:
            patch.setattr(RunStore, "add_responses", stops)
            with pytest.raises(KeyboardInterrupt):
                tune(opened, choice, BUDGET)
        found = tune(opened, choice, BUDGET)
    assert len(server.log) == asked + 4  # before it was stopped
    told = [(one.made.pair.pro, one.scenarios, one.points) for one in found.order]
    assert told == [(one.pro, one.seen_on, one.points) for one in tries_of(out).suffixes]


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (Rewriter(says=" on" * 50), f"2 × a repetition, 2 × longer than {2 * len(OWN.pair.pro)} characters"),
        (Server(always="no json"), "4 × no pair of texts"),
    ],
)
def test_a_rewriter_of_no_use_is_one_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server, why: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", Server.key)
    monkeypatch.setattr(rewriter, "MANNERS", MANNERS[1:3])
    loaded = models.load(str(home / "tiny"), dtype="float32", device="cpu")
    with serving(server), pytest.raises(UserError) as raised:
        rewrite("openai:m", OWN, 2, loaded=loaded, cache=tmp_path, access={"base_url": server.url})
    assert (
        str(raised.value) == f"--rewriter openai:m: none of its 4 replies can be used ({why}): name another"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_local_rewriter_of_no_use_is_exit_code_2_before_any_row(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(rewriter, "LIMITS", Limits(4096, 8))
    more = ["--controls", "0", "--suffix-budget", "9", "--rewriter", "hf:tiny", "--json"]
    assert run(monkeypatch, *flags("compare", tmp_path / "run", more=SMALL), *more) == 2
    why = "--rewriter hf:tiny: none of its 2 replies can be used (2 × no pair of texts): name another"
    assert capsys.readouterr().err == f"error: {why}\n"
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.rglob("rewrites-*"))


def test_curves_of_two_seeds_agree_within_intervals_that_know_of_the_draws() -> None:
    """Six wordings that both have, six tries of a seed's own; intervals without the draws are too narrow."""
    draw = random.Random(5)
    ids = [f"s{i:02}" for i in range(40)]
    half = halves(dict.fromkeys(ids, "c"), seed=0)
    hard = {s: draw.random() for s in ids}

    def rows(arm: str, rate: float) -> list[Outcome]:
        return [
            Outcome(arm, s, "c", 0, "hit" if (hard[s] + draw.random()) / 2 < rate else "miss") for s in ids
        ]

    pairs = [Candidate(f"pro{i}", f"anti{i}", size=float(i)) for i in range(12)]
    fixed = [row for i in range(6) for row in rows(f"pro{i}", 0.3 + 0.1 * i) + rows(f"anti{i}", 0.2)]

    def point(*, known: bool) -> tuple[float, float]:
        own = [
            row
            for i in range(6, 12)
            for row in rows(f"pro{i}", draw.random()) + rows(f"anti{i}", draw.random())
        ]
        outcomes = [*(Outcome("baseline", s, "c", 0, "miss") for s in ids), *fixed, *own]
        made = {one.plus for one in pairs[6:]} if known else set[str]()
        (found,) = curve(outcomes, [pairs, pairs], half, 12, [1], made)
        assert found.gap is not None
        return found.gap.ci

    agree = {
        known: sum(one[0] <= other[1] and other[0] <= one[1] for one, other in
                   ((point(known=known), point(known=known)) for _ in range(60)))
        for known in (True, False)
    }  # fmt: skip
    assert agree[True] >= 57
    assert agree[False] < agree[True]
