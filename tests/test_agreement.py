"""Agreement figures against scikit-learn, `krippendorff`, and tables worked by hand."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.agreement import agreement
from steer.errors import UserError
from steer.judges import agreement as stats
from steer.judges.agreement import KINDS, alpha, confusion, corrected_gap
from steer.screen import Screen
from steer.store import PlanRow, Prompt, RunStore, StoredResponse
from steer.types import Label, Response, Scenario, Verdict

SCREEN = Screen(quiet=True)


def draw(seed: int, n: int, kinds: int = 4) -> tuple[list[Label], list[Label]]:
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
    a, b = ([label == "convergence" for label in labels] for labels in (first, second))
    assert stats.kappa(stats.collapse(counts)) == pytest.approx(metrics.cohen_kappa_score(a, b))
    assert stats.sensitivity(counts) == pytest.approx(metrics.recall_score(a, b))
    assert stats.specificity(counts) == pytest.approx(metrics.recall_score(a, b, pos_label=False))
    assert stats.rate_error(counts) == pytest.approx(np.mean(b) - np.mean(a))


def test_a_table_worked_by_hand() -> None:
    """20 both convergence, 5 missed, 10 false alarms, 15 both not: κ = (0.7 - 0.5) / 0.5."""
    first: list[Label] = ["convergence"] * 25 + ["no_convergence"] * 25
    second: list[Label] = (
        ["convergence"] * 20 + ["no_convergence"] * 5 + ["convergence"] * 10 + ["no_convergence"] * 15
    )
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
    assert math.isnan(stats.kappa(confusion(["convergence"] * 3, ["convergence"] * 3)))
    assert math.isnan(stats.accuracy(confusion([], [])))


@pytest.mark.parametrize("seed", range(12))
def test_alpha_agrees_with_the_krippendorff_package(seed: int) -> None:
    import krippendorff

    random_ = random.Random(seed)
    units: list[list[Label | None]] = []
    for _ in range(6 + 5 * seed):
        first, second = draw(random_.randrange(10**6), 1)
        third = random_.choice([*first, *second, *draw(random_.randrange(10**6), 1)[0]])
        units.append([None if random_.random() < 0.2 else a for a in (*first, *second, third)])
    coded = [[np.nan if a is None else KINDS.index(a) for a in coder] for coder in zip(*units, strict=True)]
    expected = krippendorff.alpha(reliability_data=coded, level_of_measurement="nominal")
    assert alpha(units) == pytest.approx(expected)


def test_alpha_by_hand_and_without_an_estimate() -> None:
    """Two judges, three items, one disagreement: coincidences 2, 2, 1, 1; D_o 2, D_e (3·3·2)/5."""
    units: list[list[Label | None]] = [
        ["convergence", "convergence"],
        ["no_convergence", "no_convergence"],
        ["convergence", "no_convergence"],
    ]
    assert alpha(units) == pytest.approx(1 - 2 / (18 / 5))
    assert alpha([["convergence", None], [None, None]]) is None
    assert alpha([["convergence", "convergence"]]) is None


def rows(values: str) -> dict[tuple[str, int], bool]:
    """`1` converged, `0` not, `.` no label; the place is the scenario."""
    return {(f"s{i}", 0): value == "1" for i, value in enumerate(values) if value != "."}


def test_a_corrected_gap_worked_by_hand() -> None:
    """Judge: 6/8 and 3/8, raw gap 37.5. On 4 labelled rows an arm it erred by -1/4 and by +1/4.

    Corrected: 37.5 - 25 - 25 = -12.5. Its influence, scenario by scenario, in 64ths.
    """
    first, second = rows("11111100"), rows("11100000")
    label_first, label_second = rows("1110...."), rows("1111....")
    got = corrected_gap((first, second), (label_first, label_second))
    assert got is not None
    assert (got.raw, got.points) == (pytest.approx(37.5), pytest.approx(-12.5))
    assert (got.labelled, got.disagreements) == ((4, 4), (1, 1))
    f1 = [(v - 6 / 8) / 8 for v in (1, 1, 1, 1, 1, 1, 0, 0)]
    f2 = [(v - 3 / 8) / 8 for v in (1, 1, 1, 0, 0, 0, 0, 0)]
    r1 = [(v + 1 / 4) / 4 for v in (0, 0, 0, -1)] + [0] * 4
    r2 = [(v - 1 / 4) / 4 for v in (0, 0, 0, 1)] + [0] * 4
    u = [a + b - c - d for a, b, c, d in zip(f1, r1, f2, r2, strict=True)]
    half = 3.182446305 * (8 / 7 * sum(x * x for x in u)) ** 0.5  # t, 3 degrees of freedom
    assert got.ci == (pytest.approx(-12.5 - 100 * half), pytest.approx(-12.5 + 100 * half))


def test_a_corrected_gap_is_the_published_estimator_when_rows_are_independent() -> None:
    """With disjoint scenarios the variance is the sum of the usual parts, up to m/(m - 1)."""
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
    assert got.ci[1] - got.points == pytest.approx(100 * 1.98421695 * (variance * 800 / 799) ** 0.5, rel=1e-6)


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
        true = 100 * 0.8 * (0.55 - 0.35)
        hits += got.ci[0] <= true <= got.ci[1]
        raw_hits += got.raw_ci[0] <= true <= got.raw_ci[1]
    assert hits / 300 >= 0.92
    assert raw_hits / 300 < 0.85  # the correction is what does it


def test_too_few_labels_correct_nothing() -> None:
    assert corrected_gap((rows("1100"), rows("0000")), (rows("1..."), rows("0000"))) is None


# --- of a run --------------------------------------------------------------------------------

ARMS = ("baseline", "pro", "anti")


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, dict[str, dict[str, Label]]]:
    """12 scenarios of two categories, three arms, three judges: one is complete, one a person's part."""
    scenarios = [Scenario(f"{c}#{i:02d}", c, "", f"{c}{i}") for c in "AB" for i in range(6)]
    keys = [(s.id, arm) for s in scenarios for arm in ARMS]
    random_ = random.Random(2)
    said: dict[str, dict[str, Label]] = {"rubric-x": {}, "human:ann": {}, "openai:m": {}, "rubric-x~2": {}}
    for id, arm in keys:
        key = f"{id} {arm}"
        truth: Label = random_.choices(KINDS, weights=[9 if arm == "pro" else 3, 6, 2, 1])[0]
        for judge in said:
            if judge != "human:ann" or id[2:] < "04":
                said[judge][key] = truth if random_.random() < 0.75 else random_.choice(KINDS)
    said["openai:m"]["A#00 pro"] = "invalid"
    with RunStore(tmp_path) as store:
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
    run: tuple[Path, dict[str, dict[str, Label]]],
) -> None:
    from sklearn import metrics

    folder, said = run
    found = agreement(folder, screen=SCREEN)
    assert found["reference"] == "human:ann"
    assert set(found["judges"]) == {"rubric-x", "openai:m"}
    for judge, one in found["judges"].items():
        keys = [k for k in said["human:ann"] if said[judge][k] != "invalid"]
        truth, guess = ([said[j][k] for k in keys] for j in ("human:ann", judge))
        assert one["n"] == len(keys)
        assert one["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, guess))
        assert one["accuracy_ci"][0] <= one["accuracy"] <= one["accuracy_ci"][1]
        for arm in ARMS:
            own = [k for k in keys if k.endswith(arm)]
            rates = [np.mean([said[j][k] == "convergence" for k in own]) for j in (judge, "human:ann")]
            assert one["arms"][arm]["rate_error_points"] == pytest.approx(100 * (rates[0] - rates[1]))
        gap = one["gaps"]["pro-anti"]
        shared = [k[:4] for k in keys if k.endswith(" pro") and f"{k[:4]} anti" in keys]
        for name, j in (("judge", judge), ("reference", "human:ann")):
            moved = [
                (said[j][f"{s} pro"] == "convergence") - (said[j][f"{s} anti"] == "convergence")
                for s in shared
            ]
            assert gap[name] == pytest.approx(100 * np.mean(moved))
        assert gap["error"] == pytest.approx(gap["judge"] - gap["reference"])
    assert found["judges"]["openai:m"]["unusable"] == 1
    corrected = found["judges"]["rubric-x"]["gaps"]["pro-anti"]["corrected"]
    shift = 0.0
    for arm, sign in (("pro", 1), ("anti", -1)):
        for key in (k for k in said["human:ann"] if k.endswith(arm)):
            known, guess = (said[j][key] == "convergence" for j in ("human:ann", "rubric-x"))
            shift += sign * 100 * (known - guess) / 8
    assert corrected["labelled"] == (8, 8)
    assert corrected["points"] == pytest.approx(corrected["raw"] + shift)
    retest = found["retest"]["rubric-x ~ 2"]
    assert retest["n"] == 36
    first, second = (list(said[j].values()) for j in ("rubric-x", "rubric-x~2"))
    assert retest["kappa"] == pytest.approx(metrics.cohen_kappa_score(first, second))


def test_echoes_of_a_suffix_are_counted_by_arm_and_gaps_given_without_them(
    run: tuple[Path, dict[str, dict[str, Label]]],
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
    assert found["echo"] == {"baseline": 0, "pro": pytest.approx(2 / 12), "anti": 0}
    kept = [k[:4] for k in said["rubric-x"] if k.endswith("pro") and k[:4] not in ("A#00", "B#03")]
    moved = [
        (said["rubric-x"][f"{s} pro"] == "convergence") - (said["rubric-x"][f"{s} anti"] == "convergence")
        for s in kept
    ]
    gap = found["gaps_without_echo"]["rubric-x"]["pro-anti"]
    assert (gap["n"], gap["points_all"]) == (10, pytest.approx(100 * np.mean(moved)))


def test_the_reference_can_be_named(run: tuple[Path, dict[str, dict[str, Label]]]) -> None:
    assert agreement(run[0], reference="openai:m", screen=SCREEN)["reference"] == "openai:m"
    with pytest.raises(UserError, match="did you mean 'human:ann'"):
        agreement(run[0], reference="human:an", screen=SCREEN)


def test_everything_prints(
    run: tuple[Path, dict[str, dict[str, Label]]], capsys: pytest.CaptureFixture[str]
) -> None:
    agreement(run[0], screen=Screen())
    out = capsys.readouterr().out
    assert "Agreement with human:ann" in out
    assert "pro-anti" in out
    assert "Krippendorff" in out


def test_one_judge_cannot_agree(tmp_path: Path) -> None:
    RunStore(tmp_path).close()
    with pytest.raises(UserError, match=r"has 0 judges \(none\)"):
        agreement(tmp_path, screen=SCREEN)
