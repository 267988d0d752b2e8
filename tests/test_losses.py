"""What was not measured is not a number: no rate, gap, drift or p; and it is said how much was lost."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from scipy.special import rel_entr

from experiments.compare.exchange import exchange_rate
from experiments.contrasts import gap_difference
from experiments.measures import measure_drift
from experiments.sweep.choice import CrossFit, MeasuredCell, NothingChosen, cross_fit, halves, symmetric
from experiments.sweep.options import Cap
from experiments.tug import tug_of_war
from steer import results
from steer import summary as summaries
from steer.metrics import arm_metrics, gap, gaps
from steer.probes import judge_items, over_refusal
from steer.results import Result
from steer.results.comparison import Tug, TugPoint
from steer.results.estimates import Dose
from steer.screen import Screen
from steer.show import figures, losses, page, view
from steer.show.comparison import tug_section
from steer.show.markdown import markdown
from steer.show.terminal import print_result, print_sections
from steer.side_effects import kl
from steer.store import FILE, RunStore
from steer.types import Arm, Scenario
from tests import synthetic
from tests.outcome_tables import nested, table

# --- measures ---------------------------------------------------------------------------------------


def test_a_token_that_both_exclude_adds_nothing_to_kl() -> None:
    p, q = (
        torch.tensor([[0.25, 0.75, 0.0], [0.5, 0.5, 0.0]]),
        torch.tensor([[0.5, 0.5, 0.0], [0.1, 0.8, 0.1]]),
    )
    log_q = q.log().requires_grad_()
    found = kl(p.log(), log_q)
    assert found.tolist() == pytest.approx(rel_entr(p.numpy(), q.numpy()).sum(-1).tolist())
    found.sum().backward()
    assert log_q.grad is not None
    assert torch.isfinite(log_q.grad).all()


def test_a_token_that_only_the_arm_excludes_makes_kl_infinite() -> None:
    assert math.isinf(float(kl(torch.tensor([0.5, 0.5]).log(), torch.tensor([1.0, 0.0]).log())))
    assert math.isnan(float(kl(torch.tensor([0.5, 0.5]).log(), torch.tensor([math.nan, math.nan]))))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return synthetic.suffix_run(tmp_path / "run")


def changed(folder: Path, sql: str) -> Result:
    """The run's result after a change in its store."""
    with sqlite3.connect(folder / FILE) as db:
        db.execute(sql)
    with RunStore(folder, writable=False) as store:
        found = summaries.summarise(store, synthetic.JUDGE)
    results.write(folder, found)
    return found


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_measure_that_is_no_number_is_counted_and_in_no_mean(run: Path, lost: float) -> None:
    with RunStore(run) as store:
        keys = [row.key for row in store.rows(synthetic.JUDGE, arm="pro")]
        store.add_measures([(key, "fluency", 2.0) for key in keys[1:]] + [(keys[0], "fluency", lost)])
        store.add_measures([("arm:pro", "drift", lost), ("arm:anti", "drift", 0.5)])
        session = cast(Any, SimpleNamespace())  # nothing is measured again
        assert measure_drift(session, store, [Arm("pro"), Arm("anti")]) == {"pro": math.inf, "anti": 0.5}
        found = summaries.summarise(store, synthetic.JUDGE)
    results.write(run, found)
    json.dumps(found.model_dump(), allow_nan=False)
    pro = found.arms["pro"]
    assert (pro.measures["fluency"], pro.measures["drift"]) == (2.0, None)
    assert pro.lost == {"fluency": 1, "drift": 1}
    assert found.arms["anti"].lost == {}
    said = losses.lost_measures(found)
    assert "drift of pro (1)" in said
    assert "fluency of pro (1)" in said
    assert said in markdown(run).replace("Not a number", "not a number")


COUNTS = {"a+": 20, "a-": 4, "b+": 20, "b-": 4}


def chosen(drift: dict[str, float], cap: Cap) -> CrossFit | NothingChosen:
    rows = nested(COUNTS, scenarios=24)
    cells = [MeasuredCell(n, 1 if n[0] == "a" else 2, 0.2 if n[1] == "+" else -0.2, drift[n]) for n in COUNTS]
    half = halves({row.scenario: row.category for row in rows}, seed=0)
    return cross_fit(rows, symmetric(cells), half, cap, plus="+", minus="-")


@pytest.mark.parametrize("cap", [Cap(1.0, None), Cap(1.0, 2.0)])
def test_a_cell_whose_drift_was_lost_loses_a_tie(cap: Cap) -> None:
    """It once stood as 0: below every cap, and the smallest."""
    found = chosen({"a+": math.inf, "a-": 0.1, "b+": 1.0, "b-": 1.0}, cap)
    assert isinstance(found, CrossFit)
    assert [one.candidate.layer for one in found.chosen] == [2, 2]


def test_a_lost_drift_is_under_no_cap() -> None:
    found = chosen(dict.fromkeys(COUNTS, math.inf), Cap(1.0, 1e9))
    assert isinstance(found, NothingChosen)
    assert "drift lost (not a number)" in str(found)


def test_a_request_that_got_no_label_is_not_one_that_was_answered() -> None:
    harmless = [Scenario(f"h{i}", "harmless", "", "x") for i in range(4)]
    answers = {("a", s.id): f"answer {s.id}" for s in harmless} | {("b", s.id): f"b {s.id}" for s in harmless}
    refused: dict[str, bool | None] = {
        item.id: {"answer h0": True, "answer h1": False, "answer h2": False}.get(item.answer)
        for item in judge_items(answers, harmless)
    }
    found = over_refusal(answers, harmless, refused)
    assert found["a"] == pytest.approx(1 / 3)
    assert found["b"] is None


# --- rates and gaps over nothing --------------------------------------------------------------------


@pytest.mark.parametrize("letters", ["iiii", "tttt", "ffff", "itfi"])
def test_an_arm_without_a_label_has_no_rate_and_no_gap(letters: str) -> None:
    rows = table({"a": letters, "b": "CNCN", "c": "CCNX"})
    one = arm_metrics(rows)["a"]
    assert [one.rate_all, one.rate_all_ci, one.broken_all, one.refusal_all, one.n] == [None] * 4 + [4]
    found = gap(rows, "a", "b")
    assert [found.points_all, found.ci_all, found.p, found.macro_all] == [None] * 4
    assert found.bounds_all == (-50.0, 50.0)
    assert gap(rows, "c", "b").points_all == 0.0
    corrected = gaps(rows, [("a", "b"), ("c", "b")])
    assert corrected[1].p_holm == corrected[1].p  # what has no p is not among those corrected for
    four = gap_difference([*rows, *table({"d": "CCCC"})], ("a", "b"), ("c", "d"))
    assert (four.over_all, four.p) == (None, None)
    reached = exchange_rate(rows, [Dose("b", 1.0)], baseline="c", suffix="a", sign=1, over="all")
    assert (reached.size, reached.reason) == (None, "an arm has no row with a label")


def test_a_label_that_only_an_unpaired_row_has_makes_no_gap() -> None:
    """The only labelled row of an arm stands where the other arm has none."""
    assert gap(table({"a": "Ciii", "b": "-CNC"}), "a", "b").points_all is None
    assert gap(table({"a": "Ciii", "b": "CCNC"}), "a", "b").points_all == pytest.approx(-50)


def test_a_category_without_a_label_is_not_a_gap_of_nothing_in_the_mean() -> None:
    found = gap(table({"a": "CCii", "b": "NNCC"}), "a", "b")
    assert found.macro_all == pytest.approx(100)


def test_a_share_without_an_end_has_none_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("experiments.tug.FARTHEST", 0.5)
    rows = nested({"0": 4, "a": 10, "d": 4, "da": 9}, scenarios=14)
    found = tug_of_war(rows, baseline="0", attack="a", defence="d", both="da", over="all")
    assert found.u == pytest.approx(5 / 6)
    assert found.ci is not None
    assert found.ci[1] is None
    assert "no end" in found.reason
    point = TugPoint(size=0.1, coherent=(True, True), pull=found)
    made = Tug(defence="d", curve=(point,), matched=None, break_even=None)
    json.dumps(made.model_dump(), allow_nan=False)
    print_sections(Screen(), [tug_section(1, "d defends", made)], "")
    assert "0.83 [0.132, ∞]" in capsys.readouterr().out


def shown(found: Result, capsys: pytest.CaptureFixture[str]) -> str:
    print_result(Screen(), found, "here")
    return capsys.readouterr().out


def test_a_run_without_a_label_says_so_everywhere(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = changed(run, "UPDATE verdicts SET role = 'invalid', reason = 'no usable reply: prose'")
    json.dumps(found.model_dump(), allow_nan=False)
    text = shown(found, capsys)
    made = view.load(run, budget=0)
    html = page.render([made])
    for said in (text, markdown(run), " ".join(made.headline.details)):
        assert "96 of 96 answers are without a label (100 %): baseline 24 of 24" in said
        assert "no usable reply: prose (96)" in said
        assert "no estimate" in said
    for said in (text, markdown(run), html.split("<script")[0]):
        assert "+0.0" not in said
    assert all(arm["percent"] is None for arm in made.data["arms"])
    assert figures.figures_of(found)["arms"].drawing.data["marks"] == []
    (table,) = (section.table for section in made.sections if section.name == "arms")
    assert table is not None
    assert all(row[2] == "–" for row in table.rows)


@pytest.mark.parametrize(("lost", "said"), [(2, False), (3, True)])
def test_from_a_tenth_of_an_arm_on_it_is_said(
    run: Path, lost: int, said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"SELECT response FROM plan WHERE arm = 'pro' ORDER BY scenario LIMIT {lost}"
    found = changed(run, f"UPDATE responses SET finish = 'failed', error = 'too long' WHERE key IN ({key})")
    line = f"{lost} of 96 answers are without a label ({100 * lost / 96:.0f} %): pro {lost} of 24"
    assert (line in shown(found, capsys)) == said
    assert (f"too long ({lost})" in losses.unlabelled(found)) == said
