"""`vector-sweep` and `compare`, whole, on a tiny model: repeated, killed and resumed, and told nonsense."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

import cli
from experiments import library, session
from experiments.across import compare_models
from experiments.options import Options
from experiments.sweep.options import Cap
from steer.judges.apis import Usage
from steer.results import read
from steer.store import RunStore
from steer.types import JudgeItem, Verdict
from tests.fakes import HashJudge
from tests.sweeping import SCENARIOS, SWEEP, flags, lay_home, run
from tests.tiny import checkpoint
from vectors.files import load_vector

KINDS = {"baseline", "neutral", "pro", "anti"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True)
def hash_judge(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """A judge whose labels vary, as a real one's do not on a random model's texts."""
    monkeypatch.setattr(session, "make_judge", lambda *_args, **_options: HashJudge())
    monkeypatch.chdir(home)


def summary_of(folder: Path) -> dict[str, Any]:
    """A run's summary without what a clock says."""
    summary = json.loads((folder / "summary.json").read_text())
    for arm in summary["arms"].values():
        del arm["seconds"]
    for way in summary.get("comparison", {}).get("costs", {}).values():
        way.pop("seconds_an_answer")
        way.pop("seconds_a_baseline_answer")
    return summary


def assert_same(found: Any, expected: Any) -> None:
    """Equal, numbers to the 1e-6 that a resumed run is promised."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=0, abs=1e-6)
    else:
        assert found == expected


@pytest.fixture(scope="module")
def sweep(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed sweep."""
    out = tmp_path_factory.mktemp("sweep") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "make_judge", lambda *_args, **_options: HashJudge())
        patch.chdir(home)
        assert run(patch, *flags("vector-sweep", out), "--json") == 0
    return out


def test_a_sweep_reports_every_cell_its_controls_and_a_choice(sweep: Path) -> None:
    found = summary_of(sweep)
    swept = found["sweep"]
    assert {(c["layer"], c["magnitude"]) for c in swept["cells"]} == {
        (layer, m) for layer in (1, 2) for m in (-0.6, -0.3, 0.3, 0.6)
    }
    for cell in swept["cells"]:
        arm, gap = found["arms"][cell["arm"]], cell["gap"]
        assert (arm["kind"], arm["n"]) == ("cell", SCENARIOS)
        assert {"hit", "rate_all", "rate_all_ci", "refusal_valid", "broken_all", "cut"} <= arm.keys()
        assert {"fluency", "compression", "distinct3", "drift"} <= arm["measures"].keys()
        assert (gap["first"], gap["second"]) == (cell["arm"], "baseline")
        assert {"points_all", "ci_all", "p_holm"} <= gap.keys()
        assert cell["span"] == "last"
    halves = [half for cell in swept["cells"] for half in cell["chosen_on"]]
    assert sorted(halves) == ["A", "A", "B", "B"]
    kinds = {c["kind"] for c in swept["controls"]}
    assert kinds == {"random", "label", "concept", "contrast"}
    assert swept["beyond_random"]["directions"] == swept["beyond_contrasts"]["directions"] == 2
    assert {bound["beyond"] for bound in swept["beyond_contrasts"]["gaps"].values()} == {None}  # too few
    for name in KINDS | {c["plus"] for c in swept["choice"]["report"]["folds"]}:
        assert {"fluency", "drift", "capability", "over_refusal"} <= found["arms"][name]["measures"].keys()


def test_what_is_reported_of_the_chosen_vector_is_counted_by_hand(sweep: Path) -> None:
    """Each scenario under the cells that the other half chose, straight from the store's verdicts."""
    found = summary_of(sweep)["sweep"]
    report = found["choice"]["report"]
    folds = {"AB".index(fold["choose_on"]): fold for fold in report["folds"]}
    with RunStore(sweep, writable=False) as store:
        (judge,) = store.judges()
        status = {(o.arm, o.scenario): o.status for o in store.outcomes(judge)}
    counts = {
        side: sum(
            status[folds[1 - half][side], scenario] == "hit" for scenario, half in found["halves"].items()
        )
        for side in ("plus", "minus")
    }
    assert found["out_of_fold"]["vector +"]["hit"] == counts["plus"]
    points = 100 * (counts["plus"] - counts["minus"]) / SCENARIOS
    assert report["gaps"]["plus-minus"]["points_all"] == pytest.approx(points)
    assert sorted(found["halves"].values()).count(0) == SCENARIOS // 2


def test_the_same_seed_gives_the_same_summary_in_any_order(
    monkeypatch: pytest.MonkeyPatch, sweep: Path, tmp_path: Path
) -> None:
    turned = ["--layers", "2,1", "--magnitudes=0.3,-0.6,0.6,-0.3", *SWEEP[3:]]
    again = flags("vector-sweep", tmp_path / "again", scenarios="turned", more=turned)
    assert run(monkeypatch, *again, "--json") == 0
    assert summary_of(tmp_path / "again") == summary_of(sweep)


KILLED = """
import os, signal, sys
import cli
from experiments import session
from steer import pipeline
from steer.store import RunStore
from tests.fakes import HashJudge
session.make_judge = lambda *_, **__: HashJudge()
pipeline.FLUSH_ROWS = 8
plain, at = RunStore.add_responses, int(sys.argv[1])
def dies(self, *arguments):
    plain(self, *arguments)
    if len(self.done()) >= at:
        os.kill(os.getpid(), signal.SIGKILL)
RunStore.add_responses = dies
sys.argv = ["cli.py", *sys.argv[2:]]
sys.exit(cli.main())
"""


@pytest.mark.parametrize("stage", [pytest.param("grid", marks=pytest.mark.slow), "controls"])
def test_a_sweep_killed_at_k_rows_and_resumed_is_the_undisturbed_one(
    monkeypatch: pytest.MonkeyPatch, home: Path, sweep: Path, tmp_path: Path, stage: str
) -> None:
    with RunStore(sweep, writable=False) as store:
        whole = len(store.done())
    grid = 12 * SCENARIOS
    k = random.Random(1).randrange(*((1, grid // 2) if stage == "grid" else (grid, whole - 8)))
    arguments = [*flags("vector-sweep", tmp_path / "killed"), "--json"]
    root = Path(cli.__file__).parent
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(k), *arguments],
        capture_output=True,
        cwd=home,
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )
    assert killed.returncode == -9, killed.stderr.decode()
    with RunStore(tmp_path / "killed", writable=False) as store:
        assert k <= len(store.done()) < whole
    assert run(monkeypatch, *arguments) == 0
    assert_same(summary_of(tmp_path / "killed"), summary_of(sweep))


def test_a_sweep_whose_judge_runs_out_of_calls_stores_no_over_refusal_of_part_of_the_answers(
    monkeypatch: pytest.MonkeyPatch, sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run again until it is done, it says what the undisturbed sweep says, and nothing is judged twice."""
    calls: Counter[tuple[str, str, str]] = Counter()
    account = Usage()

    class Short(HashJudge):
        usage: ClassVar = {"short": account}

        def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
            harmless = 0
            for item in items:
                if item.scenario.category == "harmless":
                    harmless += 1
                    if harmless > 120:
                        return
                account.calls += 1
                calls[item.scenario.category, item.scenario.user, item.answer] += 1
                yield from super().judge([item])

    monkeypatch.setattr(session, "make_judge", lambda *_args, **_options: Short())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # extraction is judged here too
    arguments = [*flags("vector-sweep", tmp_path / "run"), "--json"]
    assert run(monkeypatch, *arguments) == 2
    assert "stopped at --max-calls with" in capsys.readouterr().err
    for _ in range(8):
        if run(monkeypatch, *arguments) == 0:
            break
    found = summary_of(tmp_path / "run")
    assert found["judge"].pop("usage")["short"]["calls"] == account.calls
    assert set(calls.values()) == {1}
    expected = summary_of(sweep)
    expected["judge"].pop("usage")
    assert found == expected


def test_another_concept_is_another_run(
    monkeypatch: pytest.MonkeyPatch, home: Path, sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its arms have the same names, and the first one's drift is kept under them."""
    pairs = [{"positive": f"Order {i}, at last!", "negative": f"order {i} again."} for i in range(8)]
    (home / "other-concept.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    assert run(monkeypatch, *flags("vector-sweep", sweep), "--concept", "other-concept.jsonl") == 2
    assert "was made with controls.concept = " in capsys.readouterr().err


def test_the_plan_says_what_it_takes_and_a_dry_run_stops_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # nothing is extracted yet
    data = Path(cli.__file__).parent / "steer/data"
    questions, harmless = (
        len((data / f"{name}.jsonl").read_text().splitlines()) for name in ("capability", "harmless")
    )
    at_all = (("vector-sweep", 4, 24, 8), ("compare", 14, 24, 12), ("mechanism", 4, 0, 0))
    for command, suffixes, controls, probed in at_all:
        assert run(monkeypatch, *flags(command, tmp_path / "no"), "--dry-run", "--json") == 0
        plan = json.loads(capsys.readouterr().out)["plan"]
        assert plan["cells"] == 8
        assert plan["suffix arms"] == suffixes
        assert plan["control arms at most"] == controls  # at four places: random, labels, concepts
        arms = suffixes + 8 + controls // 2 + plan.get("arms of both together at most", 0)
        rows = SCENARIOS * arms + 120 + probed * (questions + harmless)  # 120: to extract the concept from
        assert plan["generations at most"] == rows
        assert plan["judge calls at most"] == rows - probed * questions
        assert plan["new tokens at most"] == 5 * rows
        assert {
            "memory, MB",
            "minutes of generation, expected",
            "prompt tokens, without suffixes",
        } <= plan.keys()
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--layers", "2-7"], "layer 4 is out of range: the model's layers are 0 to 3"),
        (["--magnitudes", ""], "names none but 0"),
        (["--magnitudes", "0"], "names none but 0"),
        (["--magnitudes", "0.1,0.2"], "none stands with both signs"),
        (["--vector", "one-layer.safetensors"], "the vector has no direction at layer 2: it has 1"),
        (["--vector", "nowhere.safetensors"], "nowhere.safetensors"),
        (
            ["--scenarios", "few.jsonl"],
            "11 scenarios are too few to choose on one half and report on the other",
        ),
        (["--temperature", "0", "0.7"], "a sweep has one temperature"),
        (["--controls", "-1"], "--controls -1"),
        (["--gate", "2"], "--gate 2: it is read before anything is added, so allowed are layers 0 to 1"),
        (["--nulls", "99"], "holds 20 unrelated contrasts: ask for at most so many"),
        (["--concept", "nowhere.jsonl"], "no pairs file at nowhere.jsonl"),
    ],
)
@pytest.mark.parametrize("command", ["vector-sweep", "compare"])
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    more: list[str],
    message: str,
) -> None:
    lines = (home / "own.jsonl").read_text().splitlines(keepends=True)
    (home / "few.jsonl").write_text("".join(lines[:11]))
    capsys.readouterr()
    assert run(monkeypatch, *flags(command, tmp_path / "no"), *more, "--json") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert message in error
    assert not (tmp_path / "no").exists()


def test_no_cell_under_the_cap_is_said_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capped = [*SWEEP[:3], "--cap-nonsense", "0", "--cap-drift", "0.000001"]
    assert run(monkeypatch, *flags("vector-sweep", tmp_path / "run", more=capped)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "No cell is under the cap (nonsense 0%, drift 1e-06) on half 1: the nearest is L" in shown
    choice = summary_of(tmp_path / "run")["sweep"]["choice"]
    assert choice["none"]
    assert choice["report"] is None


@pytest.fixture(scope="module")
def compared(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed comparison with a transfer matrix left out."""
    out = tmp_path_factory.mktemp("compare") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "make_judge", lambda *_args, **_options: HashJudge())
        patch.chdir(home)
        assert run(patch, *flags("compare", out)) == 0
    return out


def test_a_comparison_holds_all_its_parts(compared: Path) -> None:
    assert read(compared).json_values() == json.loads((compared / "summary.json").read_text())
    whole = summary_of(compared)
    found, together = whole["comparison"], whole["sweep"]["out_of_fold"]
    assert {"vector +", "vector -", "tuned pro", "random0 +", "labels -"} <= together.keys()
    square = {(one["suffix"], one["vector"]): one["arm"] for one in found["square"]}
    assert {suffix for suffix, _ in square} >= {"no suffix", "neutral", "pro", "anti", "anti by builder"}
    # The hash judge finds an effect of a suffix by chance, so a side has a dose to match, or has not.
    columns = {"no vector"}
    for column, defence in (("vector +", "anti"), ("vector -", "pro")):
        columns |= {column, "random"} if found["tug"][f"{defence} defends"]["matched"] else set()
    assert {vector for _, vector in square} == columns
    assert square["no suffix", "no vector"]["rate_all"] == whole["arms"]["baseline"]["rate_all"]
    assert all(one["n"] == SCENARIOS for one in square.values())
    for defence in ("anti", "pro"):
        entry = found["tug"][f"{defence} defends"]
        assert [point["size"] for point in entry["curve"]] == [0.3, 0.6]
        assert entry["break_even"] is not None
        assert entry["builder"].keys() == {"suffix"} | ({"vector"} if entry["matched"] else set())
    for side in found["exchange"].values():
        assert {"suffix", "vector", "vector_half"} <= side["side_effects"]["drift"].keys()
    assert {point["role"] for point in found["frontier"]} == {"selection", "report"}
    assert found["costs"]["suffix"]["arms_tuned_over"] == 12
    assert found["costs"]["vector"]["judge_calls_to_choose"] == 8 * SCENARIOS
    assert found["verdict"]


def test_runs_given_to_compare_say_what_the_comparison_says(
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    sweep: Path,
    compared: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A sweep and a suffix run by folder: the same choice and gap as one command made of the same cells."""
    own = ["--model", "tiny", "--scenarios", "own.jsonl", "--new-tokens", "5", "--batch", "16"]
    assert run(monkeypatch, "suffix", *own, "--out", str(tmp_path / "suffix"), "--json") == 0
    capsys.readouterr()
    assert run(monkeypatch, "compare", str(sweep), str(tmp_path / "suffix"), "--json") == 0
    found, whole = json.loads(capsys.readouterr().out), summary_of(compared)
    folds, expected = (one["sweep"]["choice"]["report"]["folds"] for one in (found, whole))
    assert folds == expected
    pooled, direct = found["comparison"], whole["comparison"]
    for name in ("suffix", "vector"):
        assert pooled["sides"]["gaps"][name] == direct["sides"]["gaps"][name]
    differences = [one["sides"]["differences"]["difference"] for one in (pooled, direct)]
    assert differences[0] == differences[1]
    assert pooled["exchange"]["pro"]["whole"] == direct["exchange"]["pro"]["whole"]
    assert set(found["arms"]) == set(summary_of(sweep)["arms"])
    assert run(monkeypatch, "compare", str(sweep), str(tmp_path / "suffix")) == 0
    assert "Suffix and vector side by side" in capsys.readouterr().out


def test_runs_that_cannot_be_paired_say_which_field_differs(
    monkeypatch: pytest.MonkeyPatch, sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(tmp_path / "other", seed=1)
    base = {"--model": "tiny", "--scenarios": "own.jsonl", "--new-tokens": "5"}
    for change, field in (
        ({"--per-category": "3"}, "scenarios.identity"),
        ({"--new-tokens": "4"}, "limits.new"),
        ({"--judge-sees": "steered"}, "judge.sees"),
    ):
        out = tmp_path / field
        options = [part for pair in (base | change | {"--out": str(out)}).items() for part in pair]
        assert run(monkeypatch, "suffix", *options, "--json") == 0
        capsys.readouterr()
        assert run(monkeypatch, "compare", str(sweep), str(out), "--json") == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"differ in {field} (" in error
    for more, message in (
        (["--models", "a,b"], "finished runs take no --models"),
        ([str(tmp_path / "limits.new"), "--judge", "human:ana"], "those of hash-judge are there"),
        ([str(tmp_path / "nowhere")], "no run in"),
    ):
        assert run(monkeypatch, "compare", str(sweep), *more) == 2
        assert message in capsys.readouterr().err


def test_models_leave_a_run_file_each_and_one_page(
    monkeypatch: pytest.MonkeyPatch, compared: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        shutil.copytree(compared, tmp_path / name, ignore=shutil.ignore_patterns("run.yaml", "report.html"))
    found = read(compared)
    monkeypatch.setattr(compare_models, "compare", lambda o, _: (found, tmp_path / o.model))
    assert run(monkeypatch, "compare", "--models", "a,b", "--json") == 0
    for name in ("a", "b"):
        kept = yaml.safe_load((tmp_path / name / "run.yaml").read_text())
        assert (kept["command"], kept["model"]) == ("compare", name)
        assert "models" not in kept
    assert len(list(tmp_path.glob("*/report.html"))) == 1


@pytest.mark.slow  # two comparisons, and a vector is extracted for each
def test_models_are_compared_a_row_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two models: rates paired by scenario, no trend of two points, and a verdict sentence an arm."""
    checkpoint(tmp_path / "other", seed=1)
    few = ["--layers", "1", "--magnitudes=-0.3,0.3", *SWEEP[3:]]
    arguments = flags("compare", tmp_path / "models", more=few)
    for name in ("--model", "--vector", "--controls"):
        place = arguments.index(name)
        del arguments[place : place + 2]
    arguments += ["--controls", "0", "--models", f"tiny,{tmp_path / 'other'}"]
    assert run(monkeypatch, *arguments, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["models"]) == 2
    for arm in ("baseline", "pro", "anti"):
        (pair,) = found["pairwise"][arm]
        first, second = (row["arms"][arm]["hit"] / row["arms"][arm]["n"] for row in found["models"].values())
        assert pair["points"] == pytest.approx(100 * (first - second))
        assert pair["ci"][0] < pair["points"] < pair["ci"][1]
    assert len(found["verdicts"]) == 3
    assert found["trend"] == {"suffix": None, "vector": None}
    assert run(monkeypatch, "compare", "--models", "tiny") == 2
    assert "two different models or more" in capsys.readouterr().err


@pytest.mark.slow  # six vectors are extracted from the organism's scenarios
def test_vectors_of_one_behaviour_are_tried_on_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each number of the matrix, counted by hand from the stored rows."""
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "run"
    arguments = ["--per-category", "2", "--layers", "14", "--magnitudes=-0.3,0.3", "--controls", "0"]
    assert run(monkeypatch, "compare", "--transfer", *arguments, "--out", str(out), "--json") == 0
    result = json.loads((out / "summary.json").read_text())
    found = result["comparison"]["transfer"]
    moved = [arm["kind"] for name, arm in result["arms"].items() if name.startswith("from ")]
    assert moved == ["other"] * 12, "six vectors, either sign: none of them is a suffix"
    assert len(found["made_of"]) == len(found["measured_on"]) == 6
    assert found["made_of"] == found["measured_on"]
    assert found["places"] == [[14, 0.3], [14, 0.3]]
    with RunStore(out, writable=False) as store:
        (judge,) = store.judges()
        outcomes = store.outcomes(judge)
    for i, made_of in enumerate(found["made_of"]):
        for j, category in enumerate(found["measured_on"]):
            rates = [
                100 * sum(o.status == "hit" for o in chosen) / len(chosen)
                for sign in ("+", "-")
                if (
                    chosen := [
                        o
                        for o in outcomes
                        if o.category == category and o.arm == f"from {made_of} L14{sign}0.3"
                    ]
                )
            ]
            assert len(rates) == 2
            assert found["points"][i][j] == pytest.approx(rates[0] - rates[1])
            assert found["n"][j] == 2


@pytest.mark.parametrize("command", ["vector-sweep", pytest.param("compare", marks=pytest.mark.slow)])
def test_a_direction_that_is_taken_out_is_held_against_the_baseline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    more = ["--layers", "1,2", "--operation", "ablate", "--cap-nonsense", "1", "--cap-drift", "99"]
    assert run(monkeypatch, *flags(command, tmp_path / "run", more=more), "--json") == 0
    found = read(tmp_path / "run")
    assert found.sweep is not None
    assert found.sweep.choice.report is not None
    assert [(c.arm, c.operation) for c in found.sweep.cells] == [("L1-1", "ablate"), ("L2-1", "ablate")]
    with RunStore(tmp_path / "run", writable=False) as store:
        contents, outcomes = store.arm_contents(), store.outcomes(found.judge.name)
    steered = [name for name, arm in contents.items() if arm["additions"]]
    assert {a["operation"] for name in steered for a in contents[name]["additions"]} == {"ablate"}
    assert {name.split()[0] for name in steered} >= {"L1-1", "random0", "labels", "concept"}
    report = found.sweep.choice.report
    of = {fold.report_on: fold.minus for fold in report.folds}
    hit = {(o.arm, o.scenario): o.status == "hit" for o in outcomes}
    changes = [
        hit["baseline", scenario] - hit[of["AB"[half]], scenario]
        for scenario, half in found.sweep.halves.items()
    ]
    assert report.gaps["plus-minus"].points_all == pytest.approx(100 * sum(changes) / len(changes))


def test_the_library_takes_a_direction_out_as_the_command_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    more = ["--layers", "1,2", "--operation", "ablate", "--cap-nonsense", "1", "--cap-drift", "99"]
    assert run(monkeypatch, *flags("vector-sweep", tmp_path / "run", more=[*more, "--controls", "0"])) == 0
    options = Options(
        model="tiny", scenarios="own.jsonl", new_tokens=5, batch=16, out=tmp_path / "own", quiet=True
    )
    vector, cap = load_vector(Path("v.safetensors")), Cap(1.0, 99.0)
    with library.open_session(options) as session:
        _, folder = library.sweep(session, vector, layers="1,2", operation="ablate", controls=0, cap=cap)
    found, told = summary_of(folder), summary_of(tmp_path / "run")
    assert {name for name in found["arms"] if name.startswith("L")} == {"L1-1", "L2-1"}
    for part in ("arms", "gaps", "sweep"):
        assert found[part] == told[part]
