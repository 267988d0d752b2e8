"""Logs of Inspect in pairs, against what can be computed from the archives without this project's code."""

from __future__ import annotations

import itertools
import json
import math
import random
import sys
import zipfile
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binomtest

import cli
from experiments.logs.command import compare_logs
from experiments.logs.pairs import compare
from experiments.logs.read import number, read_logs
from steer.errors import UserError
from steer.screen import Screen

inspect_ai = pytest.importorskip("inspect_ai")
from inspect_ai import Epochs, Task, eval, task  # noqa: E402
from inspect_ai.dataset import MemoryDataset, Sample  # noqa: E402
from inspect_ai.log import read_eval_log, write_eval_log  # noqa: E402
from inspect_ai.model import ModelOutput, ModelUsage, get_model  # noqa: E402
from inspect_ai.scorer import Score, Scorer, Target, accuracy, includes, mean, scorer  # noqa: E402
from inspect_ai.solver import TaskState  # noqa: E402

Answer = Callable[[str, int], str]
"""What the mock says to a question, asked for the n-th time."""


@scorer(metrics=[mean()])
def length() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=len(state.output.completion) / 7, explanation=f"of {target.text}")

    return score


@scorer(metrics={"first": [mean()], "last": [mean()]})
def letters() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        said = state.output.completion
        return Score(value={"first": "C" if said[:1] < "n" else "P", "last": said[-1:] > "n"})

    return score


@scorer(metrics=[accuracy()])
def word() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        return Score(value="so-so")

    return score


@task
def questions(n: int, epochs: int) -> Task:
    samples = [Sample(id=f"q{i}", input=f"Question {i}?", target="yes") for i in range(n)]
    return Task(
        dataset=MemoryDataset(samples, name="asked"),
        scorer=[includes(), length(), letters(), word()],
        epochs=Epochs(epochs, "mean"),
    )


def made(folder: Path, name: str, answer: Answer, *, n: int = 30, epochs: int = 1) -> None:
    """A log by Inspect's own mock model, in a file of that name."""
    asked: dict[str, int] = {}

    def say(messages: Any, *_: Any) -> ModelOutput:
        text = messages[-1].text
        asked[text] = asked.get(text, 0) + 1
        said = ModelOutput.from_content("mock", answer(text, asked[text]))
        said.usage = ModelUsage()  # else a tokenizer is fetched to count with
        return said

    model = get_model("mockllm/model", custom_outputs=say)
    options = {"fail_on_error": False, "display": "none", "log_dir": str(folder / name)}
    (log,) = eval(questions(n, epochs), model=model, **options)
    Path(log.location).rename(folder / f"{name}.eval")


def drawn(seed: int, rate: float) -> Answer:
    """yes at a rate, and a word behind it of any length; the same for the same question and time."""

    def answer(text: str, n: int) -> str:
        draw = random.Random(f"{seed} {text} {n}")
        said = "yes" if draw.random() < rate else "no"
        return f"{said} {'abcdefghijklmnopqrstuvwxyz'[: draw.randrange(1, 26)]}"

    return answer


def failing(answer: Answer, *texts: str) -> Answer:
    def fails(text: str, n: int) -> str:
        if text in texts:
            raise RuntimeError("the mock is ill")
        return answer(text, n)

    return fails


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("logs")
    # Without TransformerLens's, which take 10 s; with ours: Inspect looks for them once a process.
    own = [point for point in entry_points(group="inspect_ai") if point.name == "steergap"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspect_ai._util.entrypoints.entry_points", lambda group: own)
        made(place, "baseline", drawn(0, 0.3))
        made(place, "suffix", drawn(1, 0.8))
        made(place, "vector", failing(drawn(2, 0.6), "Question 3?", "Question 9?"))
        made(place, "twice-a", drawn(3, 0.4), n=12, epochs=3)
        made(place, "twice-b", drawn(4, 0.7), n=12, epochs=3)
    changed(place)
    return place


def changed(folder: Path) -> None:
    """Copies of the log `suffix` with something else in them."""
    log = read_eval_log(str(folder / "suffix.eval"))
    first, *rest = log.samples or []
    for name, (part, change) in {
        "short": ("", {"samples": rest[2:]}),
        "begun": ("", {"status": "started"}),
        "doubled": ("", {"samples": [first, *rest, first]}),
        "other-questions": ("", {"samples": [first.model_copy(update={"input": "What else?"}), *rest]}),
        "other-task": ("eval", {"task": "others"}),
        "other-version": ("eval", {"task_version": 2}),
        "other-data": ("eval", {"dataset": log.eval.dataset.model_copy(update={"name": "others"})}),
    }.items():
        whole = {"eval": log.eval.model_copy(update=change)} if part else change
        write_eval_log(log.model_copy(update=whole), str(folder / f"{name}.json"))
    (folder / "damaged.eval").write_bytes((folder / "suffix.eval").read_bytes()[:3000])


def raw(path: Path, scorer: str, key: str = "") -> dict[tuple[str, int], float]:
    """Scores as the archive's JSON has them."""
    grades = {"C": 1.0, "P": 0.5, "I": 0.0}
    found: dict[tuple[str, int], float] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("samples/"):
                sample = json.loads(archive.read(name))
                if sample.get("scores"):
                    value = sample["scores"][scorer]["value"]
                    value = value[key] if key else value
                    found[sample["id"], sample["epoch"]] = float(grades.get(value, value))
    return found


def tango(b: int, c: int, n: int) -> tuple[float, float]:
    """Limits where the score statistic is the normal quantile, its nuisance parameter maximised by search."""

    def statistic(d: float) -> float:
        def log_likelihood(q: float) -> float:  # cells: only first q + d, only second q, the rest
            cells = [(b, q + d), (c, q), (n - b - c, 1 - 2 * q - d)]
            return sum(k * math.log(max(p, 1e-300)) for k, p in cells if k)

        lo, hi = max(0.0, -d), (1 - d) / 2
        for _ in range(200):
            third = (hi - lo) / 3
            if log_likelihood(lo + third) < log_likelihood(hi - third):
                lo += third
            else:
                hi -= third
        q = (lo + hi) / 2
        return (b - c - n * d) / math.sqrt(max(n * (2 * q + d - d * d), 1e-12))

    z, estimate = 1.959963984540054, (b - c) / n
    lower = brentq(lambda d: statistic(d) - z, -0.9999, estimate)
    upper = brentq(lambda d: statistic(d) + z, estimate, 0.9999)
    return float(lower), float(upper)


def found(folder: Path, *names: str) -> list[Any]:
    return compare(read_logs([folder / f"{name}.eval" for name in names]))


def test_binary_scores_have_tangos_interval_and_mcnemars_p_of_the_archives(folder: Path) -> None:
    one = next(c for c in found(folder, "baseline", "suffix") if c.scorer == "includes")
    first, second = raw(folder / "suffix.eval", "includes"), raw(folder / "baseline.eval", "includes")
    b = sum(first[k] > second[k] for k in first)
    c = sum(first[k] < second[k] for k in first)
    assert (one.kind, one.pairs, one.unpaired, one.only_first, one.only_second) == ("binary", 30, 0, b, c)
    assert min(b, c) > 0
    assert one.difference == pytest.approx((b - c) / 30)
    assert one.ci == pytest.approx(tango(b, c, 30), abs=1e-4)
    assert one.p == pytest.approx(binomtest(b, b + c, 0.5).pvalue)
    differing = {(d.id, d.epoch): (d.first, d.second) for d in one.discordant}
    assert differing == {k: (first[k], second[k]) for k in first if first[k] != second[k]}


def test_numbers_have_a_bootstrap_over_samples(folder: Path) -> None:
    """Of 12 samples with three epochs: they are drawn with all of their epochs."""
    one = next(c for c in found(folder, "twice-a", "twice-b") if c.scorer == "length")
    first, second = (raw(folder / f"twice-{x}.eval", "length") for x in "ba")
    by_sample: dict[str, list[float]] = {}
    for key in first:
        by_sample.setdefault(key[0], []).append(first[key] - second[key])
    means = [sum(values) / 3 for values in by_sample.values()]
    assert (one.kind, one.pairs, one.samples) == ("number", 36, 12)
    assert one.difference == pytest.approx(sum(means) / 12)
    draw = random.Random(1)
    drawn = sorted(sum(draw.choices(means, k=12)) / 12 for _ in range(20000))
    width = drawn[19500] - drawn[500]
    assert one.ci == pytest.approx((drawn[500], drawn[19500]), abs=0.06 * width)
    flips = [abs(sum(s * m for s, m in zip(signs, means, strict=True))) for signs in signs_of(12)]
    exact = np.mean([flip >= abs(sum(means)) - 1e-12 for flip in flips])
    assert one.p == pytest.approx(exact, abs=0.02)


def test_epochs_are_flipped_and_counted_by_sample(folder: Path) -> None:
    one = next(c for c in found(folder, "twice-a", "twice-b") if c.scorer == "includes")
    first, second = (raw(folder / f"twice-{x}.eval", "includes") for x in "ba")
    sums = [sum(first[f"q{i}", e] - second[f"q{i}", e] for e in (1, 2, 3)) for i in range(12)]
    flips = [abs(sum(s * d for s, d in zip(signs, sums, strict=True))) for signs in signs_of(12)]
    assert one.p == pytest.approx(np.mean([flip >= abs(sum(sums)) for flip in flips]))
    assert one.difference == pytest.approx(sum(sums) / 36)
    draw = random.Random(1)
    drawn = sorted(sum(draw.choices(sums, k=12)) / 36 for _ in range(5000))
    assert one.ci[0] < drawn[250]  # at least as wide as the middle nine tenths of the bootstrap
    assert one.ci[1] > drawn[4750]
    assert -1 <= one.ci[0] < one.difference < one.ci[1] <= 1


def test_three_logs_make_three_comparisons_corrected_together(folder: Path) -> None:
    every = found(folder, "baseline", "suffix", "vector")
    named = {(c.scorer, c.first, c.second) for c in every}
    pairs = {("suffix", "baseline"), ("vector", "baseline"), ("vector", "suffix")}
    names = ("includes", "length", "letters/first", "letters/last")
    assert named == {(name, *pair) for name in names for pair in pairs}
    ordered = sorted(every, key=lambda c: c.p)
    largest = 0.0
    for rank, one in enumerate(ordered):
        largest = max(largest, min(1.0, one.p * (len(ordered) - rank)))
        assert one.p_holm == pytest.approx(largest)


def test_grades_and_several_values_of_a_scorer_are_compared_and_words_are_not(folder: Path) -> None:
    logs = read_logs([folder / "baseline.eval", folder / "suffix.eval"])
    every = {c.scorer: c for c in compare(logs)}
    assert {log.words for log in logs} == {frozenset({"word"})}
    for key in ("first", "last"):
        means = [
            np.mean(list(raw(folder / f"{n}.eval", "letters", key).values())) for n in ("suffix", "baseline")
        ]
        one = every[f"letters/{key}"]
        assert (one.first_mean, one.second_mean) == pytest.approx(tuple(means))
    assert (every["letters/first"].kind, every["letters/last"].kind) == ("number", "binary")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("C", 1),
        ("I", 0),
        ("P", 0.5),
        ("N", 0),
        (True, 1),
        (0.25, 0.25),
        ("0.5", 0.5),
        ("Yes", 1),
        (math.nan, None),
    ],
)
def test_a_grade_is_inspects_own_number(value: Any, expected: float | None) -> None:
    assert number(value) == expected
    if expected is not None:
        assert inspect_ai.scorer.value_to_float()(value) == expected


def test_samples_that_failed_or_are_not_there_are_counted(folder: Path) -> None:
    names = ("baseline", "vector", "short")
    told = compare_logs(
        [next(folder.glob(f"{name}.*")) for name in names],
        page=None,
        markdown=None,
        screen=Screen(quiet=True),
    )
    assert [(log["name"], log["rows"], log["errored"], log["missing"]) for log in told["logs"]] == [
        ("baseline", 30, 0, 0),
        ("vector", 30, 2, 0),
        ("short", 27, 0, 3),
    ]
    binary = [c for c in told["comparisons"] if c["scorer"] == "includes"]
    assert [(c["pairs"], c["unpaired"]) for c in binary] == [(28, 2), (27, 3), (25, 5)]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["baseline"], "1 log: give two at least"),
        (["baseline", "baseline"], "is given twice"),
        (["baseline", "other-data"], "differ in dataset: 'asked' and 'others'"),
        (["baseline", "other-version"], "differ in task version: '0' and '2'"),
        (["baseline", "other-questions"], "differ in dataset: sample 'q.*' asks something else"),
        (["baseline", "damaged"], "cannot be read as Inspect's"),
        (["baseline", "begun"], "is unfinished .status started.: `inspect eval-retry`"),
        (["baseline", "doubled"], "has sample 'q0' of epoch 1 twice"),
        (["baseline", "other-task"], "differ in task: 'questions' and 'others'"),
    ],
)
def test_logs_that_cannot_be_compared_are_refused(folder: Path, names: Sequence[str], said: str) -> None:
    paths = [file for name in names for file in folder.glob(f"{name}.*")]
    with pytest.raises(UserError, match=said):
        compare(read_logs(paths))


def test_a_log_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.* is not a file"):
        read_logs([folder / "suffix.eval", folder / "nowhere"])


def test_the_command_prints_writes_and_exits(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chromium: Any,
) -> None:
    page, markdown = tmp_path / "logs.html", tmp_path / "logs.md"
    logs = [str(folder / f"{name}.eval") for name in ("baseline", "suffix")]
    monkeypatch.setattr(
        sys, "argv", ["cli.py", "compare-logs", *logs, "--page", str(page), "--markdown", str(markdown)]
    )
    assert cli.main() == 0
    out = capsys.readouterr().out
    one = next(c for c in found(folder, "baseline", "suffix") if c.scorer == "includes")
    assert f"{100 * one.difference:+.1f}" in out
    assert "not compared, their scores are words: word" in out
    assert f"{100 * one.difference:+.1f}" in markdown.read_text(encoding="utf-8")
    opened = chromium.new_page()
    opened.goto(page.as_uri())
    pair = one.discordant[0]
    shut = opened.locator("details", has=opened.locator("summary", has_text=f"{pair.id}: ")).first
    assert not shut.locator(".answer").first.is_visible()
    shut.locator("summary").click()
    said = [drawn(seed, rate)(f"Question {pair.id[1:]}?", 1) for seed, rate in ((0, 0.3), (1, 0.8))]
    assert shut.locator(".answer").all_inner_texts() == said
    assert shut.locator(".answer").first.is_visible()
    opened.close()
    monkeypatch.setattr(sys, "argv", ["cli.py", "compare-logs", *logs[:1]])
    assert cli.main() == 2


def signs_of(n: int) -> Any:
    return itertools.product((-1, 1), repeat=n)
