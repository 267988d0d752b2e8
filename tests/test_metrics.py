"""Metrics on the published label counts, and on tables small enough to count by hand."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import published_counts
from steer.gaps import Gap, movement
from steer.metrics import arm_metrics, category_metrics, gap, gaps
from steer.paper.logs import ROLES
from tests import published
from tests.outcome_tables import table

SHARED = Path(__file__).parents[2] / "shared" / "data" / "published"


def test_the_18_published_rows_come_out_to_the_hundredth():
    for (model, condition), printed in published.PRINTED.items():
        (arm,) = arm_metrics(published.outcomes(model, condition)).values()
        assert arm.rate_valid is not None
        assert arm.refusal_valid is not None
        assert arm.broken_all is not None
        rates = (arm.rate_valid, arm.refusal_valid, arm.broken_all)
        assert (arm.n, arm.valid, *(f"{100 * rate:.2f}" for rate in rates)) == printed


def test_the_embedded_counts_are_those_of_the_published_table():
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED.name}: the published tables are not here")
    with (SHARED / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 108
    words = {role: label for label, role in ROLES.items()}
    for row in rows:
        counts = published.COUNTS[row["model"], row["condition"]]
        position = published.CATEGORIES.index(row["category"])
        assert counts[position] == tuple(int(row[words[role]]) for role in published.ROLES)
    with (SHARED / "printed_rates.csv").open() as file:
        for row in csv.DictReader(file):
            model, condition, total, valid, *rates = row.values()
            assert published.PRINTED[model, condition] == (int(total), int(valid), *rates)


def test_the_base_models_gap_is_42_points_over_valid_and_24_over_all():
    rows = [r for condition in ("pro_ic", "anti_ic") for r in published.outcomes("Qwen3-4B-Base", condition)]
    found = gap(rows, "Qwen3-4B-Base pro_ic", "Qwen3-4B-Base anti_ic")
    assert found.points_valid == pytest.approx(100 * (29 / 44 - 12 / 51))
    assert found.points_all == pytest.approx(100 * (29 - 12) / 71)


def test_every_status_is_counted_and_only_labels_with_sense_are_valid():
    (arm,) = arm_metrics(table({"a": "CCNRXitf-"})).values()
    assert (arm.n, arm.valid, arm.missing, arm.scenarios) == (8, 4, 1, 8)
    assert (arm.hit, arm.invalid, arm.truncated, arm.failed) == (2, 1, 1, 1)
    assert (arm.rate_valid, arm.rate_all) == (2 / 4, 2 / 8)
    assert (arm.refusal_valid, arm.refusal_all, arm.broken_all) == (1 / 4, 1 / 8, 1 / 8)


def test_an_arm_without_a_valid_row_has_no_estimate_rather_than_zero():
    found = arm_metrics(table({"a": "XXit", "b": "CCNN"}))["a"]
    assert found.rate_valid is None
    assert found.rate_valid_ci is None
    assert found.refusal_valid is None
    assert found.rate_all == 0.0
    difference = gap(table({"a": "XXit", "b": "CCNN"}), "b", "a")
    assert (difference.points_valid, difference.ci_valid, difference.ci_valid_bootstrap) == (None, None, None)
    assert difference.macro_valid is None
    assert difference.p_valid is None
    assert difference.points_all == pytest.approx(50)


def test_a_gap_counts_pairs_discordance_and_the_wrong_way():
    #                     both  first first wrong broken
    found = gap(table({"first": "CCCCNX", "second": "CCNRCC"}), "first", "second")
    assert (found.only_first, found.only_second, found.wrong_way) == (2, 2, 1)
    assert (found.pairs, found.valid_pairs, found.cannot_move) == (6, 5, 2)
    assert found.p == 1.0
    assert found.points_all == pytest.approx(0)
    assert found.points_valid == pytest.approx(100 * (4 / 5 - 4 / 6))
    # Categories: CC-CC 0, CC-NR 100, N-CC; over all rows N and X against C and C: -100; over valid 0/1 - 2/2.
    assert found.macro_all == pytest.approx(0)
    assert found.macro_valid == pytest.approx((0 + 100 - 100) / 3)


def test_what_is_missing_or_unlabelled_is_counted_and_bounded():
    found = gap(table({"a": "CCCNNi", "b": "NNC-t "}), "a", "b")
    assert (found.pairs, found.missing_pairs, found.unlabelled_pairs) == (4, 2, 1)
    assert found.points_all == pytest.approx(100 * (3 - 1) / 4)
    # Over six rows: a has 3 C and one unknown; b has 1 C and three unknown.
    assert found.bounds_all == pytest.approx((100 * (3 - 4) / 6, 100 * (4 - 1) / 6))
    assert gap(table({"a": "-", "b": "-"}), "a", "b").p is None


def test_cannot_move_looks_at_every_arm_of_the_run():
    rows = table({"a": "CCC", "b": "CCN", "c": "CNN"})
    assert gap(rows, "a", "b").cannot_move == 1
    assert gap([row for row in rows if row.arm != "c"], "a", "b").cannot_move == 2


def test_where_everything_is_valid_both_denominators_give_one_interval():
    found = gap(table({"a": "CCCCNNRC", "b": "CNNCNNRN"}), "a", "b")
    assert found.ci_valid == found.ci_all
    assert found.points_valid == pytest.approx(found.points_all)
    assert found.p == found.p_valid


def test_holm_runs_over_the_gaps_printed_together():
    rows = table({"a": "C" * 9, "b": "N" * 9, "c": "C" * 5 + "N" * 4})
    together = gaps(rows, [("a", "b"), ("a", "c")])
    assert [one.p for one in together] == [2 / 2**9, 2 / 2**4]
    assert [one.p_holm for one in together] == pytest.approx([4 / 2**9, 2 / 2**4])
    assert gap(rows, "a", "b").p_holm == pytest.approx(2 / 2**9)


def test_the_order_of_rows_changes_nothing():
    rows = table({"a": "CCXNRCNi", "b": "CNNNXRCC"})
    shuffled = rows.copy()
    random.Random(1).shuffle(shuffled)
    assert gap(shuffled, "a", "b") == gap(rows, "a", "b")
    assert arm_metrics(shuffled) == arm_metrics(rows)


def test_several_samples_count_once_a_scenario():
    one = table({"a": "CCCCCCCNNNNNNNNN", "b": "NNNCCCCNNNNNNNCN"})
    five = [replace(row, sample=sample) for row in one for sample in range(5)]
    single, several = gap(one, "a", "b"), gap(five, "a", "b")
    assert several.p == single.p
    assert several.only_first == 5 * single.only_first
    assert several.wrong_way == single.wrong_way
    assert arm_metrics(five)["a"].rate_all_ci == pytest.approx(arm_metrics(one)["a"].rate_all_ci)
    assert several.ci_all is not None
    assert single.ci_all is not None
    # MOVER instead of Tango: near it, and above all not sqrt(5) narrower.
    ratio = (several.ci_all[1] - several.ci_all[0]) / (single.ci_all[1] - single.ci_all[0])
    assert 0.9 < ratio < 1.3


def test_arms_with_different_numbers_of_samples_are_not_missing_each_others_rows():
    rows = table({"greedy": "CCN", "warm": "CNN"})
    rows += [replace(row, sample=sample) for row in rows if row.arm == "warm" for sample in (1, 2)]
    assert [arm_metrics(rows)[arm].missing for arm in ("greedy", "warm")] == [0, 0]
    assert [arm_metrics(rows)[arm].n for arm in ("greedy", "warm")] == [3, 9]
    assert gap(rows, "warm", "greedy").cannot_move == 1
    assert gap([*rows, replace(rows[0], arm="late", status="missing")], "warm", "greedy").cannot_move == 0


def test_categories_are_measured_apart():
    found = category_metrics(table({"a": "CCNN", "b": "CNXX"}))
    assert list(found) == ["c0", "c1"]
    assert found["c0"]["a"].rate_all == 1.0
    assert found["c1"]["b"].rate_valid is None


def test_metrics_are_plain_json():
    rows = table({"a": "CCNX", "b": "NNNN"})
    text = json.dumps(
        {"arms": {k: asdict(v) for k, v in arm_metrics(rows).items()}, "gap": asdict(gap(rows, "a", "b"))}
    )
    assert set(Gap.__dataclass_fields__) == set(json.loads(text)["gap"])


@pytest.mark.parametrize("wrong", ["twice", "category"])
def test_a_row_given_twice_or_in_two_categories_is_a_fault(wrong: str):
    rows = table({"a": "CN"})
    rows.append(rows[0] if wrong == "twice" else replace(rows[0], sample=1, category="other"))
    with pytest.raises(ValueError, match="two"):
        arm_metrics(rows)


def test_the_published_table_in_the_docs_is_what_its_command_prints() -> None:
    page = (Path(__file__).parents[1] / "docs" / "reproducing-the-paper.md").read_text(encoding="utf-8")
    lines = [*published_counts.table(), *published_counts.larger_models()]
    assert len(lines) == 2 + 6 + 3
    for line in lines:
        assert line in page.splitlines()
    assert all("not supported" in line for line in lines[-3:])


def test_movement_by_category_adds_up_to_the_gap_and_is_counted_by_hand():
    rows = table({"a": "CCNCN", "b": "NCCCX"})  # categories c0, c1 of two scenarios, c2 of one
    found = movement(rows, "a", "b")
    assert asdict(found["c0"]) == {"n": 2, "right_way": 1, "wrong_way": 0, "cannot_move": 1}
    assert asdict(found["c1"]) == {"n": 2, "right_way": 0, "wrong_way": 1, "cannot_move": 1}
    assert asdict(found["c2"]) == {"n": 1, "right_way": 0, "wrong_way": 0, "cannot_move": 0}
    whole = gap(rows, "a", "b")
    assert sum(one.wrong_way for one in found.values()) == whole.wrong_way
    assert sum(one.cannot_move for one in found.values()) == whole.cannot_move
