"""Screening a sweep: cells are kept by propensity on other items, and what is not kept is not generated."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import spearmanr

import cli
from experiments.library import Options, VectorChoice, open_session
from experiments.sweep.grid import cells
from experiments.sweep.screening import check_screen, screening_items
from experiments.sweep.vector_source import vector_for
from organism.choices import lines, with_options
from organism.grammar import read_answer
from steer.choices import answers
from steer.errors import UserError
from steer.plan import plan
from steer.store import RunStore
from steer.types import Arm, Limits

SCENARIOS = Path(__file__).parents[1] / "organism/scenarios"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cli.py", *arguments])
    return cli.main()


@pytest.mark.parametrize("keep", [1, 3, 8, 10])
def test_a_screen_that_keeps_all_or_half_a_pair_is_refused(keep: int) -> None:
    with pytest.raises(UserError, match=rf"--screen {keep}: of a grid of 8 cells"):
        check_screen(keep, 8)


def test_no_cell_kept_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "vector-sweep", "--screen", "0") == 2
    assert "--screen 0" in capsys.readouterr().err


def test_the_organism_is_screened_on_the_words_it_decides_on() -> None:
    assert (SCENARIOS / "choices.jsonl").read_text("utf-8") == lines()
    session = open_session(Options(quiet=True))
    items = screening_items(session)
    assert not {item.user for item in items} & {scenario.user for scenario in session.scenarios}
    assert len(items) == 144


@pytest.mark.slow
def test_propensity_and_judged_rate_agree_for_every_cell_of_the_organism(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In sign against the baseline, and in rank over the cells: printed."""
    monkeypatch.chdir(tmp_path)
    session = open_session(Options(quiet=True, new_tokens=48))
    vector = vector_for(session, VectorChoice())
    grid = cells(vector, range(2, 22, 4), (-0.6, -0.3, 0.3, 0.6), VectorChoice())
    arms = [Arm("baseline"), *(cell.arm for cell in grid)]
    chosen = plan(
        session.loaded, [with_options(scenario) for scenario in session.scenarios], arms, limits=Limits()
    )
    nats: dict[str, list[float]] = {arm.name: [] for arm in arms}
    scored = {c.response.key: c.measures for c in answers(session.engine, chosen.requests.values())}
    for row in chosen.rows:
        nats[row.arm].append(scored[row.response]["propensity"])
    planned = plan(session.loaded, session.scenarios, arms, limits=Limits(new=48))
    told = {r.key: r.output_ids for r in session.engine.generate(planned.requests.values())}
    tokenizer: Any = session.loaded.tokenizer
    hits = {arm.name: 0 for arm in arms}
    category = {scenario.id: scenario.category for scenario in session.scenarios}
    for row in planned.rows:
        text = tokenizer.decode(told[row.response], skip_special_tokens=True)
        hits[row.arm] += read_answer(text, category[row.scenario]).role == "hit"
    mean = {arm: sum(each) / len(each) for arm, each in nats.items()}
    names = [cell.arm.name for cell in grid]
    for name in names:
        assert (mean[name] - mean["baseline"]) * (hits[name] - hits["baseline"]) >= 0, name
    ranked: Any = spearmanr([mean[name] for name in names], [hits[name] for name in names])
    rank = ranked.statistic
    print(f"rank correlation of propensity and rate over {len(names)} cells: {rank:.3f}")
    assert rank > 0.9


@pytest.mark.slow
def test_a_screened_sweep_generates_less_and_chooses_as_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    grid = ["--layers", "6-20", "--magnitudes=-0.45,-0.3,-0.2,0.2,0.3,0.45", "--controls", "0"]
    assert run(monkeypatch, "vector-sweep", *grid, "--out", "whole") == 0
    assert run(monkeypatch, "vector-sweep", *grid, "--out", "screened", "--screen", "6") == 0
    whole, screened = (
        json.loads(Path(name, "summary.json").read_text())["sweep"] for name in ("whole", "screened")
    )
    low, high = whole["choice"]["report"]["gaps"]["plus-minus"]["ci_all"]
    assert low <= screened["choice"]["report"]["gaps"]["plus-minus"]["points_all"] <= high
    with RunStore(Path("whole"), writable=False) as a, RunStore(Path("screened"), writable=False) as b:
        cells_of = [store.arms() for store in (a, b)]
    assert [sum(name.startswith("L") for name in names) for names in cells_of] == [90, 6]
    assert screened["screening"]["answers_saved"] == 84 * 76
