"""One path or two, on models in which the answer is planted: shares left, words, shifts, bad input."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import cli
from experiments.library import Options, VectorChoice, open_session
from experiments.mechanism import taken_out
from experiments.mechanism.run import run_mechanism
from experiments.mechanism.shifts import counterpart
from experiments.mechanism.taken_out import Taken
from experiments.sweep.options import MechanismChoice
from steer.errors import UserError
from steer.results import Result, read
from steer.results.mechanism import Mechanism, Share
from steer.show.figures import figures_of
from steer.show.markdown import markdown
from steer.types import Addition, Arm
from tests.planted import WORDS, Planted, planted
from vectors.files import save_vector

ONE, TWO, PART = ((0.0, 1.0), (0.0, 1.0)), ((1.0, 0.0), (1.0, 1.0)), ((0.8, 0.6), (1.0, 1.0))


def investigated(made: Planted, out: Path, *, controls: int = 2) -> tuple[Result, Path]:
    (out / "concept.jsonl").write_text(
        "".join(json.dumps({"positive": f"Dear {w}.", "negative": f"hey {w}"}) + "\n" for w in WORDS)
    )
    options = Options(model=str(made.model), task=str(made.task), quiet=True, out=out / "run")
    chosen = VectorChoice(vector=made.vector, controls=controls, nulls=0, concept=out / "concept.jsonl")
    with open_session(options) as session:
        found, folder = run_mechanism(
            session, MechanismChoice(layers="1,2", magnitudes="-0.2,0.2", vector=chosen, ranks="1,2")
        )
    assert isinstance(found, Result)
    assert folder is not None
    return found, folder


def of(result: Result) -> Mechanism:
    assert result.mechanism is not None
    return result.mechanism


def inside(share: Share, truth: float) -> bool:
    """Whether the interval holds the truth, up to fp32 and the final norm."""
    assert share.share_ci is not None
    low, high = share.share_ci
    assert low is not None
    assert high is not None
    return low - 0.03 <= truth <= high + 0.03


def named(shares: tuple[Share, ...], what: str, where: str = "on") -> Share:
    return next(one for one in shares if (one.what, one.where) == (what, where))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("way", "left", "word"),
    [
        pytest.param(ONE, 0.0, "shared path", marks=pytest.mark.slow),
        pytest.param(TWO, 1.0, "apart", marks=pytest.mark.slow),
        (PART, 0.8 / 1.4, "partly"),
    ],
)
def test_what_was_planted_is_found_both_ways(
    tmp_path: Path, way: tuple[tuple[float, float], tuple[float, float]], left: float, word: str
) -> None:
    result, folder = investigated(planted(tmp_path, 0, *way), tmp_path)
    found = of(result)
    assert (found.suffix.word, found.suffix.unit) == (word, "nats")
    main = found.suffix.report[0]
    assert (main.what, main.where) == ("vector", "on")
    assert inside(main, left)
    for share in found.suffix.by_layer:  # nothing is written after the first block
        assert inside(share, left)
    assert inside(named(found.suffix.report, "vector, clamped"), left)
    for one in found.suffix.report:
        if one.kind in ("random", "random rank"):
            assert one.share is not None
            assert one.share > 0.85, "a direction that means nothing took something away"
    assert inside(named(found.suffix.report, "rank 1"), 0.0), "the suffix's own first axis carries its gap"
    assert found.vector is not None
    mirror = found.vector.report[0]
    along = np.array(way[0]) / np.linalg.norm(way[0])  # the suffix's shift; the vector is (0, 1)
    reads = np.array(way[1])
    assert inside(mirror, float(reads @ (np.array([0, 1]) - along[1] * along) / reads[1]))
    assert found.vector.word == ("apart" if word == "apart" else "shared path")
    assert found.word == word
    pro = next(s for s in found.shifts if (s.arm, s.read) == ("pro", "last prompt token")).layers[1]
    assert pro.vector.cosine == pytest.approx(along[1], abs=0.05)
    steered = [at.layer for s in found.shifts if s.arm == "vector +" for at in s.layers]
    assert result.sweep is not None
    (chosen,) = (
        {fold.layer for fold in result.sweep.choice.report.folds} if result.sweep.choice.report else {0}
    )
    assert min(steered) == chosen, "before its addition there is rounding alone"
    assert read(folder) == result
    assert word in markdown(folder)
    drawn = figures_of(result)
    assert {"mediation-suffix", "stream-1", "stream-2"} <= drawn.keys()
    for figure in drawn.values():
        figure.drawing.chart.to_dict()


def test_a_direction_is_taken_out_at_its_layer_alone_or_from_it_to_the_last() -> None:
    def edits(layers: Sequence[int]) -> tuple[Addition, ...]:
        return tuple(Addition(torch.ones(4), layer, 1.0, operation="ablate") for layer in layers)

    base = Arm("pro", suffix="Do it.", additions=edits([1]))
    on, alone = (Taken("vector", "vector", edits, where).arm(base, 2, 5) for where in ("on", "alone"))
    assert (on.name, [a.layer for a in on.additions]) == ("pro ~ vector L2+", [1, 2, 3, 4])
    assert (alone.name, [a.layer for a in alone.additions]) == ("pro ~ vector L2", [1, 2])
    assert on.suffix == alone.suffix == "Do it."


@pytest.mark.slow
@pytest.mark.parametrize(("way", "word"), [(ONE, "shared path"), (TWO, "apart")])
def test_the_word_is_right_in_nineteen_of_twenty(
    tmp_path: Path, way: tuple[tuple[float, float], tuple[float, float]], word: str
) -> None:
    words: list[str] = []
    for seed in range(10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found = of(investigated(planted(folder, seed, *way), folder, controls=1)[0])
        assert found.vector is not None
        assert inside(found.suffix.report[0], 0.0 if word == "shared path" else 1.0)
        words += [found.suffix.word, found.vector.word]
    print(f"{words.count(word)} of {len(words)} are {word}")
    assert words.count(word) >= 0.95 * len(words)


def test_a_gap_that_is_not_there_has_no_share_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taken_out, "has_gap", lambda *_: None)  # tests/test_mediation.py has when it is none
    result, folder = investigated(planted(tmp_path, 1, *ONE), tmp_path, controls=1)
    found = of(result)
    assert found.vector is not None
    for one in (found.suffix, found.vector):
        assert (one.word, one.report, one.by_layer) == ("not shown", (), ())
        assert (
            one.sentence == f"of the {one.of}'s gap no share is estimated: the interval of the gap includes 0"
        )
    assert found.word == "not shown"
    assert found.shifts, "where the stream moves is told all the same"
    assert not any("~" in arm for arm in result.arms), "nothing was run in vain"
    assert "was not shown" in markdown(folder)


@pytest.mark.slow
def test_a_comparison_says_it_too_and_the_command_leaves_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = planted(tmp_path, 2, *ONE)
    save_vector(made.vector, tmp_path / "v.safetensors")
    (tmp_path / "c.jsonl").write_text(
        "".join(json.dumps({"positive": f"Dear {w}.", "negative": f"hey {w}"}) + "\n" for w in WORDS)
    )
    flags = ["--model", str(made.model), "--task", str(made.task), "--vector", "v.safetensors"]
    flags += ["--concept", "c.jsonl", "--layers", "1,2", "--magnitudes=-0.2,0.2", "--controls", "1"]
    flags += ["--new-tokens", "4", "--nulls", "0"]
    monkeypatch.setattr(sys, "argv", ["cli.py", "mechanism", *flags, "--ranks", "", "--out", "one"])
    assert cli.main() == 0
    said = capsys.readouterr().out
    assert "Suffix and vector share a path." in said
    assert "the vector's direction taken out: shared path" in said
    assert "share a path" in Path("one/report.html").read_text()
    monkeypatch.setattr(sys, "argv", ["cli.py", "compare", *flags, "--mechanism", "--out", "two"])
    assert cli.main() == 0
    one, two = (of(read(Path(name))) for name in ("one", "two"))
    assert one.suffix.report[0] == two.suffix.report[0]
    assert one.shifts == two.shifts


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--controls 0", "--controls 0: what a direction carries is held against random ones"),
        ("--first-tokens 3", "--gate, --first-tokens: what is taken out is out of every row"),
        ("--operation clamp", "--operation clamp: the mechanism is looked for by ablating"),
        ("--ranks 99", "k 99 is not within the rank: allowed are 0 to "),
        ("--vector one.safetensors", "no direction at layers 2-3, and it is taken out from layer 1 on"),
        ("--suffixes long.json", "cannot be cut to the suffix's"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: str,
    message: str,
) -> None:
    made = planted(tmp_path, 3, *ONE)
    save_vector(made.vector, tmp_path / "v.safetensors")
    save_vector(replace(made.vector, directions={1: made.axis}), tmp_path / "one.safetensors")
    (tmp_path / "long.json").write_text(
        json.dumps({"pro": "7", "anti": "4", "neutral": "supercalifragilistic " * 3})
    )
    given = flags if "--vector" in flags else f"{flags} --vector v.safetensors"
    whole = f"mechanism --model {made.model} --task {made.task} --layers 1,2 --out run {given}"
    monkeypatch.setattr(sys, "argv", ["cli.py", *whole.split()])
    assert cli.main() == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("error: ") == 1
    assert not Path("run/summary.json").exists()


def test_a_neutral_text_is_cut_or_repeated_to_the_suffix_and_it_is_said(tmp_path: Path) -> None:
    made = planted(tmp_path, 4, *ONE)
    with open_session(Options(model=str(made.model), task=str(made.task), quiet=True)) as session:
        loaded = session.loaded
    as_it_is, nothing = counterpart(loaded, "7 " * 8, "5 " * 8)
    assert (as_it_is, nothing) == ("5 " * 8, "")
    shorter, said = counterpart(loaded, "7 " * 8, "5 " * 20)
    assert shorter.split() == ["5"] * 8
    assert "was trimmed to" in said
    longer, said = counterpart(loaded, "7 " * 20, "5 " * 8)
    assert longer.split() == ["5"] * 20
    assert "was repeated and trimmed to" in said
    with pytest.raises(UserError, match="no neutral text"):
        counterpart(loaded, "7 7 7", " ")
