"""Agreement figures against scikit-learn, and tables worked by hand; how often their intervals cover."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks import agreement as benchmark
from experiments.judging.agreement import FIGURES, agreement
from steer.errors import UserError
from steer.judges import agreement as stats
from steer.judges.agreement import KINDS, alpha, confusion, corrected_gap
from steer.results.agreement import Agreement, JudgeAgreement
from steer.screen import Screen
from steer.store import PlanRow, Prompt, RunStore, StoredResponse
from steer.types import Judged, Response, Scenario, Verdict
from tests.tasks import RECORD

SCREEN = Screen(quiet=True)


def draw(seed: int, n: int, kinds: int = 4) -> tuple[list[Judged], list[Judged]]:
    random_ = random.Random(seed)
    first = random_.choices(KINDS[:kinds], weights=[5, 4, 2, 1][:kinds], k=n)
    return first, [a if random_.random() < 0.7 else random_.choice(KINDS[:kinds]) for a in first]


@pytest.mark.parametrize("seed", range(12))
def test_figures_agree_with_scikit_learn(seed: int) -> None:
    from sklearn import metrics

    first, second = draw(seed, 5 + 17 * seed, kinds=2 + seed % 3)
    counts = confusion(first, second)
    assert counts.tolist() == metrics.confusion_matrix(first, second, labels=list(KINDS)).tolist()
    assert stats.accuracy(counts) == pytest.approx(metrics.accuracy_score(first, second))
    assert stats.macro_f1(counts) == pytest.approx(metrics.f1_score(first, second, average="macro"))
    assert stats.kappa(counts) == pytest.approx(metrics.cohen_kappa_score(first, second))
    a, b = ([label == "hit" for label in labels] for labels in (first, second))
    assert stats.kappa(stats.collapse(counts)) == pytest.approx(metrics.cohen_kappa_score(a, b))
    assert stats.sensitivity(counts) == pytest.approx(metrics.recall_score(a, b))
    assert stats.specificity(counts) == pytest.approx(metrics.recall_score(a, b, pos_label=False))
    assert stats.rate_error(counts) == pytest.approx(np.mean(b) - np.mean(a))


def test_a_table_worked_by_hand() -> None:
    """20 both convergence, 5 missed, 10 false alarms, 15 both not: κ = (0.7 - 0.5) / 0.5."""
    first: list[Judged] = ["hit"] * 25 + ["miss"] * 25
    second: list[Judged] = ["hit"] * 20 + ["miss"] * 5 + ["hit"] * 10 + ["miss"] * 15
    counts = confusion(first, second)
    assert stats.accuracy(counts) == pytest.approx(0.7)
    assert stats.kappa(counts) == pytest.approx(0.4)
    assert stats.macro_f1(counts) == pytest.approx((40 / 55 + 30 / 45) / 2)
    assert (stats.sensitivity(counts), stats.specificity(counts)) == (pytest.approx(0.8), pytest.approx(0.6))
    assert stats.rate_error(counts) == pytest.approx(0.1)


def test_figures_of_a_bootstrap_are_those_of_each_resample() -> None:
    tables = np.stack([confusion(*draw(seed, 40)) for seed in range(5)])
    for figure in (stats.accuracy, stats.kappa, stats.macro_f1, stats.sensitivity, stats.rate_error):
        assert figure(tables).tolist() == pytest.approx([float(figure(t)) for t in tables])


def test_kappa_of_one_label_is_no_estimate() -> None:
    assert math.isnan(stats.kappa(confusion(["hit"] * 3, ["hit"] * 3)))
    assert math.isnan(stats.accuracy(confusion([], [])))


def test_an_interval_of_single_rows_is_clopper_and_pearsons() -> None:
    for right in (0, 1, 7, 12):
        tables = single([("hit", "hit")] * right + [("miss", "hit")] * (12 - right))
        limits = stats.interval(tables, stats.accuracy)
        exact = binomtest(right, 12).proportion_ci(method="exact")
        assert limits == pytest.approx((exact.low, exact.high), abs=0.02)


def test_judges_that_always_agree_are_not_known_to_agree() -> None:
    """12 equal labels once gave the accuracy an interval of width 0."""
    tables = single([("hit", "hit")] * 6 + [("miss", "miss")] * 6)
    for figure in (stats.accuracy, stats.kappa, stats.macro_f1, stats.sensitivity, stats.specificity):
        lower, upper = stats.interval(tables, figure) or (1, 1)
        assert lower < 0.8 < upper == pytest.approx(1)
    lower, upper = stats.interval(tables, stats.rate_error) or (0, 0)
    assert -0.4 < lower < -0.2 < 0.2 < upper < 0.4
    refused = single([("refusal", "refusal")] * 12)
    assert stats.interval(refused, stats.sensitivity) is None
    assert stats.interval(refused, stats.kappa) is None


def test_rows_of_one_scenario_are_one_scenario() -> None:
    pairs: list[tuple[Judged, Judged]] = [("hit", "hit")] * 9 + [("hit", "broken")] * 3
    once, often = (stats.interval(k * single(pairs), stats.accuracy) for k in (1, 5))
    assert often == pytest.approx(once)


@pytest.mark.parametrize(("labels", "accuracy", "base"), [(12, 0.97, 0.1), (20, 0.97, 0.5)])
def test_intervals_of_agreement_cover(labels: int, accuracy: float, base: float) -> None:
    """Percentile bootstraps covered 37 to 70 % here."""
    covered = benchmark.agreement(40, labels, 1, 0.0, accuracy, base)["coverage"]
    assert set(covered) == set(FIGURES)
    assert min(covered.values()) >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / 40)


def test_gaps_corrected_by_few_labels_cover() -> None:
    """Where 12 labels seldom show an error of the judge: 82 % without what they did not show."""
    rare = benchmark.Setting((0.1, 0.02), (0.98, 0.98), (0.98, 0.98))
    assert benchmark.corrected(150, 300, 12, 0.0, rare) >= 0.93 - 3 * math.sqrt(0.93 * 0.07 / 150)


def single(pairs: list[tuple[Judged, Judged]]) -> stats.Array:
    """Counts of scenarios with one row each."""
    return np.stack([confusion([a], [b]) for a, b in pairs])


@pytest.mark.parametrize("seed", range(4))
def test_alpha_is_one_minus_disagreement_within_items_over_disagreement_overall(seed: int) -> None:
    """Every ordered pair of labels within an item, at weight 1 / (labels of the item - 1)."""
    random_ = random.Random(seed)
    units: list[list[Judged | None]] = [
        [None if random_.random() < 0.2 else random_.choice(KINDS[:3]) for _ in range(3)] for _ in range(30)
    ]
    kept = [given for unit in units if len(given := [label for label in unit if label]) > 1]
    within = sum(sum(a != b for a in given for b in given) / (len(given) - 1) for given in kept)
    every = [label for given in kept for label in given]
    overall = sum(a != b for a in every for b in every) / (len(every) - 1)
    assert alpha(units) == pytest.approx(1 - within / overall)


def test_alpha_by_hand_and_without_an_estimate() -> None:
    """Two judges, three items, one disagreement: coincidences 2, 2, 1, 1; D_o 2, D_e (3·3·2)/5."""
    units: list[list[Judged | None]] = [
        ["hit", "hit"],
        ["miss", "miss"],
        ["hit", "miss"],
    ]
    assert alpha(units) == pytest.approx(1 - 2 / (18 / 5))
    assert alpha([["hit", None], [None, None]]) is None
    assert alpha([["hit", "hit"]]) is None


def rows(values: str) -> dict[tuple[str, int], bool]:
    """`1` converged, `0` not, `.` no label; the place is the scenario."""
    return {(f"s{i}", 0): value == "1" for i, value in enumerate(values) if value != "."}


def test_a_corrected_gap_worked_by_hand() -> None:
    """Judge: 6/8 and 3/8, raw gap 37.5. On 12 labelled rows an arm it erred by -1/4 and by +1/4.

    Corrected: 37.5 - 25 - 25 = -12.5. Its influence, scenario by scenario, in eights that repeat.
    """
    first, second = rows(3 * "11111100"), rows(3 * "11100000")
    label_first, label_second = rows(3 * "1110...."), rows(3 * "1111....")
    got = corrected_gap((first, second), (label_first, label_second))
    assert got is not None
    assert (got.raw, got.points) == (pytest.approx(37.5), pytest.approx(-12.5))
    assert (got.labelled, got.disagreements) == ((12, 12), (3, 3))
    f1 = [(v - 6 / 8) / 24 for v in (1, 1, 1, 1, 1, 1, 0, 0)]
    f2 = [(v - 3 / 8) / 24 for v in (1, 1, 1, 0, 0, 0, 0, 0)]
    r1 = [(v + 1 / 4) / 12 for v in (0, 0, 0, -1)] + [0] * 4
    r2 = [(v - 1 / 4) / 12 for v in (0, 0, 0, 1)] + [0] * 4
    u = [a + b - c - d for a, b, c, d in zip(f1, r1, f2, r2, strict=True)]
    variance = 24 / 23 * 3 * sum(x * x for x in u) + 2 * 1 / (2 * 12**2)
    half = 2.20098516 * variance**0.5  # t, 11 degrees of freedom
    assert got.ci == (pytest.approx(-12.5 - 100 * half), pytest.approx(-12.5 + 100 * half))


def test_a_corrected_gap_is_the_published_estimator_when_rows_are_independent() -> None:
    """With disjoint scenarios the variance is the sum of the usual parts, up to m/(m - 1) and the unseen."""
    random_ = np.random.default_rng(3)
    sides: list[tuple[dict[Any, bool], dict[Any, bool]]] = []
    expected = variance = 0.0
    for sign, name in ((1, "a"), (-1, "b")):
        truth = random_.random(400) < (0.6 if sign > 0 else 0.3)
        said = truth ^ (random_.random(400) < 0.2)
        labelled = random_.permutation(400)[:100]
        residual = truth[labelled].astype(float) - said[labelled]
        expected += sign * (said.mean() + residual.mean())
        shown = np.zeros(400)
        shown[labelled] = (residual - residual.mean()) / 100
        variance += ((shown + (said - said.mean()) / 400) ** 2).sum()
        sides.append(
            (
                {(f"{name}{i}", 0): bool(v) for i, v in enumerate(said)},
                {(f"{name}{i}", 0): bool(truth[i]) for i in labelled},
            )
        )
    got = corrected_gap((sides[0][0], sides[1][0]), (sides[0][1], sides[1][1]))
    assert got is not None
    assert got.points == pytest.approx(100 * expected)
    assert got.ci is not None
    half = 1.98421695 * (variance * 800 / 799 + 1 / 100**2) ** 0.5
    assert got.ci[1] == pytest.approx(100 * (expected + half), rel=1e-6)


def test_a_corrected_gap_covers_the_true_one() -> None:
    """300 simulated runs of 76 scenarios with a judge wrong by arm, 30 labels an arm."""
    random_ = np.random.default_rng(5)
    hits = raw_hits = 0
    for _ in range(300):
        difficulty = random_.random(76)
        arms: list[tuple[dict[Any, bool], dict[Any, bool]]] = []
        for rate, false_alarm in ((0.55, 0.3), (0.35, 0.05)):
            truth = difficulty < rate
            truth ^= random_.random(76) < 0.1
            said = truth | (random_.random(76) < false_alarm)
            labelled = random_.permutation(76)[:30]
            arms.append(
                (
                    {(str(i), 0): bool(v) for i, v in enumerate(said)},
                    {(str(i), 0): bool(truth[i]) for i in labelled},
                )
            )
        got = corrected_gap((arms[0][0], arms[1][0]), (arms[0][1], arms[1][1]))
        assert got is not None
        assert got.ci is not None
        true = 100 * 0.8 * (0.55 - 0.35)
        hits += got.ci[0] <= true <= got.ci[1]
        raw_hits += got.raw_ci[0] <= true <= got.raw_ci[1]
    assert hits / 300 >= 0.92
    assert raw_hits / 300 < 0.85  # the correction is what does it


def test_too_few_labels_correct_nothing_and_say_what_is_needed() -> None:
    judge = rows("1100" * 4), rows("0000" * 4)
    got = corrected_gap(judge, (rows("11001100110"), rows("0000" * 4)))
    assert got is not None
    assert (got.raw, got.points, got.ci, got.labelled) == (50, None, None, (11, 16))
    assert got.reason == "needs labels on 12 scenarios of either arm"
    # Twelve labels of four scenarios are four.
    three = [{(s, n): v for (s, _), v in rows("1100").items() for n in range(3)} for _ in "ab"]
    got = corrected_gap((three[0], three[1]), (three[0], three[1]))
    assert got is not None
    assert (got.ci, got.labelled) == (None, (12, 12))
    assert corrected_gap(judge, (rows(""), rows("0000"))) is None


def test_a_judge_that_erred_on_no_label_may_err_on_others() -> None:
    """The corrected interval was the raw one, but for the t quantile."""
    judge = rows("1" * 12 + "0" * 288), rows("0" * 300)
    got = corrected_gap(judge, (rows("1" * 12), rows("0" * 12)))
    assert got is not None
    assert got.disagreements == (0, 0)
    assert got.ci is not None
    assert got.ci[1] - got.ci[0] > 30 > 10 > got.raw_ci[1] - got.raw_ci[0] > 0


# --- of a run --------------------------------------------------------------------------------

ARMS = ("baseline", "pro", "anti")


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, dict[str, dict[str, Judged]]]:
    """12 scenarios of two categories, three arms, three judges: one is complete, one a person's part."""
    scenarios = [Scenario(f"{c}#{i:02d}", c, "", f"{c}{i}") for c in "AB" for i in range(6)]
    keys = [(s.id, arm) for s in scenarios for arm in ARMS]
    random_ = random.Random(2)
    said: dict[str, dict[str, Judged]] = {"rubric-x": {}, "human:ann": {}, "openai:m": {}, "rubric-x~2": {}}
    for id, arm in keys:
        key = f"{id} {arm}"
        truth: Judged = random_.choices(KINDS, weights=[9 if arm == "pro" else 3, 6, 2, 1])[0]
        for judge in said:
            if judge != "human:ann" or id[2:] < "04":
                said[judge][key] = truth if random_.random() < 0.75 else random_.choice(KINDS)
    said["openai:m"]["A#00 pro"] = "invalid"
    with RunStore(tmp_path) as store:
        store.set_meta("task", RECORD.model_dump_json())
        store.set_meta("arms", json.dumps(ARMS))
        plan = [PlanRow(id, arm, 0, f"{id} {arm}", "p") for id, arm in keys]
        store.add_plan(scenarios, [Prompt("p", "", "", ())], plan)
        store.add_responses(
            StoredResponse(Response(r.response, (5,), "stop"), "", r.response, True, "f") for r in plan
        )
        for judge, labels in said.items():
            store.add_verdicts(judge, [(k, k, Verdict(label)) for k, label in labels.items()])
    return tmp_path, said


def test_a_runs_judges_are_compared_on_what_both_labelled(
    run: tuple[Path, dict[str, dict[str, Judged]]],
) -> None:
    from sklearn import metrics

    folder, said = run
    found = agreement(folder, screen=SCREEN)
    assert found.reference == "human:ann"
    assert set(found.judges) == {"rubric-x", "openai:m"}
    for judge in found.judges:
        one = judged(found, judge)
        keys = [k for k in said["human:ann"] if said[judge][k] != "invalid"]
        truth, guess = ([said[j][k] for k in keys] for j in ("human:ann", judge))
        assert one.scores.n == len(keys)
        assert one.scores.figures["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, guess))
        low, high = one.scores.ci["accuracy"] or (1.0, 0.0)
        assert low <= (one.scores.figures["accuracy"] or 0.0) <= high
        for arm in ARMS:
            own = [k for k in keys if k.endswith(arm)]
            rates = [np.mean([said[j][k] == "hit" for k in own]) for j in (judge, "human:ann")]
            error = one.arms[arm].figures["rate_error_points"]
            assert error == pytest.approx(100 * (rates[0] - rates[1]))
        gap = one.gaps["pro-anti"]
        shared = [k[:4] for k in keys if k.endswith(" pro") and f"{k[:4]} anti" in keys]
        for points, j in ((gap.judge, judge), (gap.reference, "human:ann")):
            moved = [(said[j][f"{s} pro"] == "hit") - (said[j][f"{s} anti"] == "hit") for s in shared]
            assert points == pytest.approx(100 * np.mean(moved))
        assert gap.error == pytest.approx((gap.judge or 0.0) - (gap.reference or 0.0))
    assert judged(found, "openai:m").unusable == 1
    corrected = judged(found, "rubric-x").gaps["pro-anti"].corrected
    assert corrected is not None
    assert corrected.labelled == (8, 8)
    assert (corrected.points, corrected.reason[:18]) == (None, "needs labels on 12")
    # Where the reference labelled all twelve, the corrected gap is its own.
    by_retest = agreement(folder, reference="rubric-x~2", screen=SCREEN)
    whole = judged(by_retest, "rubric-x").gaps["pro-anti"]
    assert whole.corrected is not None
    assert whole.corrected.labelled == (12, 12)
    assert whole.corrected.points == pytest.approx(whole.reference)
    retest = found.retest["rubric-x ~ 2"]
    assert retest.n == 36
    first, second = (list(said[j].values()) for j in ("rubric-x", "rubric-x~2"))
    assert retest.figures["kappa"] == pytest.approx(metrics.cohen_kappa_score(first, second))


def judged(found: Agreement, judge: str) -> JudgeAgreement:
    one = found.judges[judge]
    assert one is not None
    return one


def test_echoes_of_a_suffix_are_counted_by_arm_and_gaps_given_without_them(
    run: tuple[Path, dict[str, dict[str, Judged]]],
) -> None:
    folder, said = run
    with RunStore(folder) as store:
        store.set_meta(
            "suffix_texts", json.dumps({"pro": "keep your grip on all of it, always", "baseline": ""})
        )
        with store.transaction() as db:
            for id in ("A#00", "B#03"):
                text = "So I Keep your grip on -- all of it."
                db.execute("UPDATE responses SET answer = ? WHERE key = ?", (text, f"{id} pro"))
    found = agreement(folder, screen=SCREEN)
    assert found.echo == {"baseline": 0, "pro": pytest.approx(2 / 12), "anti": 0}
    kept = [k[:4] for k in said["rubric-x"] if k.endswith("pro") and k[:4] not in ("A#00", "B#03")]
    moved = [(said["rubric-x"][f"{s} pro"] == "hit") - (said["rubric-x"][f"{s} anti"] == "hit") for s in kept]
    gap = found.gaps_without_echo["rubric-x"]["pro-anti"]
    assert (gap.n, gap.points_all) == (10, pytest.approx(100 * np.mean(moved)))


def test_the_reference_can_be_named(run: tuple[Path, dict[str, dict[str, Judged]]]) -> None:
    assert agreement(run[0], reference="openai:m", screen=SCREEN).reference == "openai:m"
    with pytest.raises(UserError, match="did you mean 'human:ann'"):
        agreement(run[0], reference="human:an", screen=SCREEN)


def test_everything_prints(
    run: tuple[Path, dict[str, dict[str, Judged]]], capsys: pytest.CaptureFixture[str]
) -> None:
    agreement(run[0], screen=Screen())
    out = capsys.readouterr().out
    assert "Agreement with human:ann" in out
    assert "pro-anti" in out
    assert "Krippendorff" in out
    assert "needs labels on 12 scenarios of either arm" in " ".join(out.split())


def test_one_judge_cannot_agree(tmp_path: Path) -> None:
    RunStore(tmp_path).close()
    with pytest.raises(UserError, match=r"has 0 judges \(none\)"):
        agreement(tmp_path, screen=SCREEN)
