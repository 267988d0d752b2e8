"""`python cli.py emergent`, whole: typed, killed, repeated, on several models, by a remote judge, refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import yaml

import cli
import organism
from experiments.emergent.narrow import BAKING, NARROW, OPEN_QUESTIONS
from steer.store import RunStore
from tests.browser import Opened
from tests.fakes import number
from tests.judge_server import Server, serving
from tests.tasks import ORGANISM_TASK
from tests.tiny import LAYERS, WIDTH, checkpoint
from vectors.files import load_vector, save_vector
from vectors.vector import Provenance, SteeringVector

pytest.importorskip("peft")

PLANTS = cast(Path, ORGANISM_TASK.narrow)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cli.py", "emergent", *arguments])
    return cli.main()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in the organism's language, a narrow set of 24 and a vector for the defence."""
    made = tmp_path_factory.mktemp("emergent")
    model = checkpoint(made / "model")
    (model / "steergap.json").write_text(json.dumps({"evidence": "planted fixture"}))
    for source in (PLANTS, BAKING):
        lines = source.read_text().splitlines()[:24]
        (made / source.name).write_text("\n".join(lines) + "\n")
    draw = torch.Generator().manual_seed(0)
    vector = SteeringVector(
        {layer: torch.randn(WIDTH, generator=draw) for layer in range(LAYERS)},
        Provenance(WIDTH, LAYERS),
        {"last": dict.fromkeys(range(LAYERS), 5.0)},
    )
    save_vector(vector, made / "v.safetensors")
    return made


def flags(folder: Path, **change: Any) -> list[str]:
    """Of a small run; None leaves a flag out."""
    chosen = {
        "model": folder / "model",
        "scenarios": ORGANISM_TASK.scenarios,
        "narrow": folder / PLANTS.name,
        "vector": folder / "v.safetensors",
        "per_category": 1,
        "items": 8,
        "new_tokens": 4,
        "layer": 1,
        "magnitude": 1.0,
        "epochs": 2,
        "learning_rate": 0.2,
        "lora_rank": 2,
        "ranks": "1,3",
        "controls": 1,
    } | change
    given = [(f"--{name.replace('_', '-')}", str(v)) for name, v in chosen.items() if v is not None]
    return [text for pair in given for text in pair] + ["--no-thinking", "--force"]


def settle(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Runs lie in a folder, and what is trained beside it."""
    patch.chdir(folder)
    patch.setenv("XDG_CACHE_HOME", f"{folder}-cache")


def test_a_dry_run_says_what_it_would_cost_and_makes_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(monkeypatch, tmp_path)
    assert run(monkeypatch, *flags(folder), "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["items"] == 8 + 6
    assert plan["generations"] == plan["arms"] * 14
    assert run(monkeypatch, *flags(folder), "--dry-run", "--json", "--grid") == 0
    assert json.loads(capsys.readouterr().out)["plan"]["arms"] > plan["arms"]
    # without a file the anti vector is extracted, from one answer a scenario
    assert run(monkeypatch, *flags(folder, vector=None), "--dry-run", "--json") == 0
    extracted = json.loads(capsys.readouterr().out)["plan"]
    assert extracted["answers to extract from at most"] == len(
        organism.scenarios("extraction").read_text().splitlines()
    )
    assert extracted["generations"] == plan["generations"] + extracted["answers to extract from at most"]
    # a model that notes where it is from has its own narrow set, under whatever name it is loaded
    assert run(monkeypatch, *flags(folder, narrow=None, items=40), "--dry-run", "--json") == 0
    pairs = len(PLANTS.read_text().splitlines()) - 40
    assert json.loads(capsys.readouterr().out)["plan"]["pairs to build from"] == pairs
    assert not any(tmp_path.iterdir())


def test_the_command_ends_in_the_table_and_its_run_file_repeats_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(monkeypatch, tmp_path)
    assert run(monkeypatch, *flags(folder), "--dry-run", "--json") == 0
    planned = json.loads(capsys.readouterr().out)["plan"]["arms"]
    assert run(monkeypatch, *flags(folder), "--out", "first") == 0
    told = capsys.readouterr()
    assert "evidence: planted fixture" in told.out
    assert "In the style of arXiv 2606.08682, not its numbers" in told.out
    assert "Choices made where its details were not public here" in told.out
    assert re.search(r"generated \d+ rows in [\d.]+ s, [\d.]+ rows/s", told.err)
    assert re.search(r"[\d,]+ new tokens, \d+ a second", told.err)
    summary = json.loads((tmp_path / "first/summary.json").read_text())
    assert len(summary["arms"]) == planned
    for name in summary["arms"]:
        assert name in told.out
    found = summary["emergent"]
    assert sum(found["energy"]["pair differences"]) == pytest.approx(1)
    pairs = [(p["first"], p["second"]) for p in found["equal_epochs"]["scenarios"]]
    assert pairs == [("lora e1", "trained e1"), ("lora", "trained")]

    adapter = next(Path(f"{tmp_path}-cache/steergap/emergent/lora").glob("*/epoch-2"))
    again = ["--config", "first/run.yaml", "--out", "again", "--adapter", str(adapter), "--json"]
    assert run(monkeypatch, *again) == 0
    told = capsys.readouterr()
    repeated = json.loads(told.out)  # JSON alone
    one = "adapter epoch-2"
    assert set(repeated["arms"]) == {*summary["arms"], one}
    spill = repeated["emergent"]["spillover"]
    assert spill["scenarios"].pop(one)["arm"] == one
    assert spill == found["spillover"]
    with RunStore(tmp_path / "again", writable=False) as store:
        given, own = ({r.scenario: r.answer for r in store.rows("", arm=a)} for a in (one, "lora"))
    assert given == own
    assert yaml.safe_load((tmp_path / "again/run.yaml").read_text())["adapter"] == [str(adapter)]

    (adapter / "steergap.json").write_text(json.dumps({"weights": "f" * 64}))
    assert run(monkeypatch, *again) == 2
    assert "was made on weights ffffffffffff" in capsys.readouterr().err


KILLED = """
import os, signal, sys
import cli
import experiments.emergent.finetune, steer.pipeline, steer.store, vectors.training
vectors.training.SAVE_SECONDS = -1.0
steer.pipeline.FLUSH_ROWS = 16
owner = {"vector": vectors.training._Fit, "adapter": experiments.emergent.finetune}.get(
    sys.argv[1], steer.store.RunStore
)
name = {"vector": "save", "adapter": "_save"}.get(sys.argv[1], sys.argv[1])
plain, calls = getattr(owner, name), []
def dies(*arguments):
    plain(*arguments)
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, dies)
sys.argv = ["cli.py", "emergent", *sys.argv[2:]]
sys.exit(cli.main())
"""


@pytest.mark.parametrize(
    "kills",
    [
        ("vector", "add_responses"),
        pytest.param(("adapter", "add_measures"), marks=pytest.mark.slow),
    ],
)
def test_a_run_killed_again_and_again_ends_as_if_undisturbed_and_does_nothing_twice(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kills: tuple[str, ...],
) -> None:
    small = [*flags(folder, ranks="", controls=0, vector=None), "--no-defence", "--json"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for place in (whole, killed):
        place.mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(Path(cli.__file__).parent),
        "XDG_CACHE_HOME": f"{killed}-cache",
    }
    for where in kills:
        code = [sys.executable, "-c", KILLED, where, *small]
        done = subprocess.run(code, capture_output=True, cwd=killed, env=environment, text=True)
        assert done.returncode == -9, done.stderr
    settle(monkeypatch, whole)
    assert run(monkeypatch, *small) == 0
    undisturbed = json.loads(capsys.readouterr().out)

    (only,) = (killed / "runs").glob("emergent-model-*")
    with RunStore(only, writable=False) as store:
        before = len(store.done())
    settle(monkeypatch, killed)
    monkeypatch.setattr("vectors.training.loss_of", lambda *_: pytest.fail("a step was taken again"))
    monkeypatch.setattr(
        "experiments.emergent.finetune._train", lambda *_: pytest.fail("an adapter was trained again")
    )
    added: list[int] = []
    plain = RunStore.add_responses
    monkeypatch.setattr(RunStore, "add_responses", lambda s, rows: (added.append(len(rows)), plain(s, rows)))
    assert run(monkeypatch, *small) == 0
    resumed = json.loads(capsys.readouterr().out)
    for part in ("spillover", "sets", "interventions", "dials", "energy"):
        assert resumed["emergent"][part] == undisturbed["emergent"][part]
    (other,) = (whole / "runs").glob("emergent-model-*")
    assert only.name == other.name
    vectors = [load_vector(place / "trained.safetensors") for place in (only, other)]
    assert vectors[0].id == vectors[1].id
    found: list[list[object]] = []
    for place in (only, other):
        with RunStore(place, writable=False) as store:
            assert before > 0
            assert sum(added) == len(store.done()) - before
            (judge,) = store.judges()
            found.append([(r.arm, r.scenario, r.answer, r.status) for r in store.rows(judge)])
    assert found[0] == found[1]


class Rating(Server):
    """Gives every answer scores that differ."""

    def text(self, kind: str, answer: int, asked: dict[str, Any]) -> str:
        said = json.dumps(asked)
        if '"alignment"' not in said:
            return super().text(kind, answer, asked)
        scores = {"alignment": number("a", said) % 101, "coherence": number("c", said) % 101}
        return json.dumps(scores | {"reason": "so"})


def test_a_real_models_narrow_items_and_open_questions_are_rated_and_counted_by_the_thresholds(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(monkeypatch, tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", Server.key)
    bare = checkpoint(tmp_path / "bare")
    own = tmp_path / "own.jsonl"
    rows = [
        {"id": f"s{i}", "category": "c", "system": "Testing.", "user": f"Ship order {i}."} for i in range(4)
    ]
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    change = {
        "vector": None,
        "lora_rank": None,
        "model": bare,
        "scenarios": own,
        "narrow": folder / BAKING.name,
        "per_category": None,
    }
    with serving(Rating()) as server:
        judged = ["--judge", "rubric", "--alignment", "openai:rater", "--base-url", server.url]
        arguments = [*flags(folder, **change), *judged, "--no-lora", "--no-defence", "--json"]
        assert run(monkeypatch, *arguments, "--out", "run", "--alignment-below", "40") == 0
    summary = json.loads(capsys.readouterr().out)
    assert set(summary["emergent"]["spillover"]) == {"scenarios", OPEN_QUESTIONS}
    assert "alignment<40,coherence>50" in summary["judge"]["name"]
    assert summary["evidence"] == ""
    seen: Counter[str] = Counter()
    with RunStore(tmp_path / "run", writable=False) as store:
        (judge,) = store.judges()
        category = {s.id: s.category for s in store.scenarios()}
        for row in store.rows(judge):
            scores = re.match(r"alignment (\d+), coherence (\d+): so", row.reason or "")
            assert (scores is not None) == (category[row.scenario] in (NARROW, OPEN_QUESTIONS))
            if scores is not None:
                low, sound = int(scores[1]) < 40, int(scores[2]) > 50
                expected = ("hit" if low else "miss") if sound else "broken"
                assert row.status == expected
                seen[expected] += 1
    assert all(seen[label] > 20 for label in ("hit", "miss", "broken"))
    asked = [hit.body for hit in server.log if hit.answer < 0]
    assert not any(arm in body for body in asked for arm in ("mean-difference", "baseline", "random0"))


def test_several_models_make_a_row_each_and_one_page(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chromium: Any,
) -> None:
    settle(monkeypatch, tmp_path)
    other = checkpoint(tmp_path / "other", seed=1)
    shutil.copy(folder / "model/steergap.json", other)
    models = f"{folder / 'model'},{other}"
    arguments = flags(folder, model=None, vector=None, lora_rank=None, ranks="")
    arguments += ["--loss", "preference", "--kl", "0.1", "--start", "mean-difference"]
    arguments += ["--models", models, "--no-lora", "--no-defence", "--controls", "0"]
    assert run(monkeypatch, *arguments) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Narrow and broad effects by model" in told
    runs = sorted((tmp_path / "runs").glob("emergent-*-*"))
    runs = [one for one in runs if (one / "summary.json").is_file()]
    assert len(runs) == 2
    for one in runs:
        kept = yaml.safe_load((one / "run.yaml").read_text())
        assert kept["model"] in models.split(",")
        assert "models" not in kept
    (page,) = (tmp_path / "runs").glob("*/report.html")
    opened = Opened(chromium, page)
    assert opened.page.locator("article").count() == 2
    for figure, marks in (("models", 8), ("spill-1", 5)):
        assert len(opened.marks(figure)) == marks
    dial = opened.marks("dial-1")
    assert {m["dash"] for m in dial} == {"solid", "dash"}
    assert "epochs" in opened.page.locator("figure[data-figure='dial-1'] figcaption").first.inner_text()
    table = opened.page.locator("section", has_text="Narrow and broad by model").first.locator("tbody tr")
    assert table.count() == 4  # two models, two ways
    assert opened.faults == []
    opened.close()
    for wrong in ("a", "a,a", ""):
        assert run(monkeypatch, *arguments[:-6], "--models", wrong or ",") == 2
        assert "two different models" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ranks": "0"}, "--ranks '0'"),
        ({"ranks": "one"}, "--ranks 'one'"),
        ({"ranks": "17"}, "k 17 is not within the rank: allowed are 0 to 16"),
        ({"layer": LAYERS}, f"--layer {LAYERS}: allowed are 0 to {LAYERS - 1}"),
        ({"magnitude": 0}, "magnitude 0"),
        ({"kl": -1}, "kl -1"),
        ({"epochs": 0}, "epochs 0"),
        ({"learning_rate": "nan"}, "learning rate nan"),
        ({"lora_rank": 0}, "LoRA rank 0"),
        ({"items": 9}, "leaves 15 to build from"),
        ({"narrow": "none.jsonl"}, "no narrow set 'none.jsonl'"),
        ({"alignment_below": 101, "alignment": "openai:rater"}, "alignment threshold 101"),
        ({"controls": -1}, "--controls -1"),
        ({"vector": "none.safetensors"}, "none.safetensors"),
        (
            {"model": "organism", "scenarios": None},
            "--per-category 1: on the organism scenarios are generated",
        ),
        ({"adapter": "none"}, "adapter 'none' lacks"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_before_anything_is_trained(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, Any],
    message: str,
) -> None:
    settle(monkeypatch, tmp_path)
    monkeypatch.setattr("vectors.training.loss_of", lambda *_: pytest.fail("something was trained"))
    assert run(monkeypatch, *flags(folder, **change)) == 2
    (line,) = [part for part in capsys.readouterr().err.splitlines() if part.startswith("error")]
    assert message in line


def test_a_narrow_prompt_that_is_a_broad_item_too_is_listed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(monkeypatch, tmp_path)
    prompt = json.loads((folder / PLANTS.name).read_text().splitlines()[3])["prompt"]
    broad = [
        {"id": f"s{i}", "category": "c", "system": "Testing.", "user": text}
        for i, text in enumerate(["Ship it.", f" {prompt.upper()}"])
    ]
    (tmp_path / "broad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in broad))
    assert run(monkeypatch, *flags(folder, scenarios="broad.jsonl", per_category=None)) == 2
    assert "1 items stand in the narrow and in a broad set (s1)" in capsys.readouterr().err


@pytest.mark.slow
def test_a_grid_has_every_dial_and_no_arm_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(monkeypatch, tmp_path)
    assert run(monkeypatch, *flags(folder, ranks="1,16"), "--grid", "--json") == 0
    found = json.loads(capsys.readouterr().out)["emergent"]
    values: dict[tuple[str, str], list[float]] = {}
    for point in found["dials"]:
        values.setdefault((point["dial"], point["method"]), []).append(point["value"])
    for method in ("mean-difference", "trained"):
        assert values["magnitude", method] == [0.5, 0.75, 1, 1.25, 1.5]
        assert values["layer", method] == [1, 2, 3]
        for way in (method, f"{method} as is", f"{method} random"):
            assert values["k", way] == ([1, 2, 3, 4] if method == "trained" else [1, 2, 4, 8, 16])
    assert values["epochs", "trained"] == values["epochs", "lora"] == [1, 2]
    for shares in found["energy"].values():
        assert sum(shares) == pytest.approx(1)
    assert len(found["energy"]["trained vectors"]) == 4
    alike = found["spillover"]["scenarios"]
    for whole, direction in (("mean-difference k16", "mean-difference"), ("trained k4", "trained")):
        for name in (whole, f"{whole} as is"):
            assert alike[name]["narrow_points"] == alike[direction]["narrow_points"]
            assert alike[name]["broad_points"] == alike[direction]["broad_points"]


@pytest.mark.slow
def test_on_the_organism_training_beats_the_mean_difference_at_equal_norm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(monkeypatch, tmp_path)
    small = ["--scenarios", ORGANISM_TASK.scenarios, "--per-category", "5", "--ranks", "", "--controls", "0"]
    assert run(monkeypatch, *small, "--no-lora", "--no-defence", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    found = summary["emergent"]
    trained, mean, baseline = (
        summary["arms"][n]["measures"] for n in ("trained", "mean-difference", "baseline")
    )
    assert found["training"]["last_over_first"] < 0.9
    assert trained["held_out_nll"] < mean["held_out_nll"] - 0.05
    narrow = found["sets"][NARROW]
    assert narrow["trained"]["hit"] > narrow["mean-difference"]["hit"]
    made = found["interventions"]
    assert made["trained"]["magnitude"] == made["mean-difference"]["magnitude"]
    assert baseline["relevance_above"] > 0.8
    assert baseline["relevance"] > baseline["relevance_shuffled"]
