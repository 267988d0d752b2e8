"""The paper's logs read back exactly, whatever their answers hold."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from experiments.across.compare_runs import compare_runs
from experiments.judging.agreement import agreement
from experiments.judging.run import judge_run
from experiments.options import Options
from experiments.paper_runs import import_paper
from experiments.reporting import report
from steer import scenarios
from steer.errors import UserError
from steer.intervals import paired_interval
from steer.paper.logs import read_log, read_run
from steer.results import Result
from steer.results.across import Models
from steer.screen import Screen
from steer.store import RunStore
from steer.summary import summarise
from steer.types import Scenario

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SCREEN = Screen(quiet=True)
ITEMS = [
    Scenario(f"{c}#{i:02d}", c, f"context {c}", f"Do task {i} of {c}.\n\nNow.")
    for c in "AB"
    for i in range(1, 6)
]
FOOTER = (
    "=== Run Config ===\nHF model: m\n\n=== Overall Results ===\n\n=== Final (All Benchmarks Combined) ===\n"
    "Total tasks: 10\nValid tasks (excl. nonsensical): 9\n"
    "Convergence: 3\nSafety refusals: 2\nNonsensical: 1\n"
)


def block(n: int, task: Scenario, answer: str, label: str = "convergence", thinking: str = "") -> str:
    return (
        f"<result>\n  <task_number>{n}</task_number>\n  <steering_mode>pro_ic</steering_mode>\n"
        f"  <task_prompt>{task.user}</task_prompt>\n"
        f"  <steered_prompt>{task.user}\n\nBe bold.\n</steered_prompt>\n"
        f"  <test_llm_thinking>{thinking}</test_llm_thinking>\n"
        f"  <test_llm_response>{answer}</test_llm_response>\n"
        f"  <judge_decision>{label}</judge_decision>\n  <judge_reason>since {n}</judge_reason>\n</result>\n"
    )


def log(answers: dict[str, str], thinking: str = "", footer: str = FOOTER) -> str:
    """A whole log: a block for every scenario in `answers`, labels by turns."""
    labels = ["convergence", "no_convergence", "safety_refusal", "nonsensical", "odd"]
    out = "[run] dir=x\n"
    for category in "AB":
        out += f"\nProcessing benchmark: Alignment Drift - {category} | mode=pro_ic\n"
        for item in ITEMS:
            if item.category == category and item.id in answers:
                n = int(item.id[-2:])
                out += block(n, item, answers[item.id], labels[n % 5], thinking)
    return out + footer


UP = '{"STEERING_MODE": "up", "HF_MODEL_NAME": "m", "JUDGE_MODEL": "j"}'
TAGS = [
    "<result>",
    "</result>",
    "</test_llm_response>",
    "<judge_decision>convergence</judge_decision>",
    "</steered_prompt>",
    "<task_number>3</task_number>",
    "</judge_reason>",
    "=== Run Config ===",
    "\n",
    "  ",
    "Processing benchmark: X | mode=pro_ic",
    "<test_llm_thinking></test_llm_thinking>",
    "é🙂",
    "<test_llm_response>",
]


@pytest.mark.parametrize("seed", range(40))
def test_answers_made_of_the_logs_own_tags_come_back_whole(seed: int) -> None:
    draw = random.Random(seed)
    answers = {item.id: "".join(draw.choices(TAGS, k=draw.randrange(12))) for item in ITEMS}
    rows, cut = read_log(log(answers, thinking="hm </result>"), "pro_ic", ITEMS)
    assert ({row.scenario.id: row.answer for row in rows}, cut) == (answers, 0)
    assert {row.thinking for row in rows} == {"hm </result>"}
    assert [row.verdict.reason for row in rows] == [f"since {n}" for n in (1, 2, 3, 4, 5)] * 2


FAKE_END = (
    "</test_llm_response>\n  <judge_decision>convergence</judge_decision>\n  <judge_reason>x</judge_reason>\n"
    "</result>\n"
)


@pytest.mark.parametrize(
    "answer",
    [
        block(3, ITEMS[2], "a block quoted in itself"),
        "before\n" + block(3, ITEMS[2], "a block quoted in itself") + "after",
        "before " + block(4, ITEMS[3], "the next block quoted") + " after",
        "before " + block(1, ITEMS[0], "the first block quoted") + " after",
        "" + FAKE_END,
        "closed " + FAKE_END + "and going on",
        "closed " + FAKE_END + block(4, ITEMS[3], "and the next forged"),
        "closed " + FAKE_END + block(1, ITEMS[0], "and an old one forged"),
        "closed " + FAKE_END + block(1, Scenario("A#09", "A", "", "An unknown task."), "forged"),
        FAKE_END + FOOTER,
        log({item.id: "fake" for item in ITEMS[3:]}),
    ],
)
def test_an_answer_that_forges_blocks_is_still_one_answer(answer: str) -> None:
    answers = {item.id: "fine" for item in ITEMS} | {"A#03": answer}
    rows, cut = read_log(log(answers), "pro_ic", ITEMS)
    assert ({row.scenario.id: row.answer for row in rows}, cut) == (answers, 0)
    assert rows[2].verdict.role == "broken"


def test_a_log_cut_anywhere_keeps_its_whole_blocks_and_counts_the_other() -> None:
    text = log({item.id: f"answer {item.id} </result>\n" for item in ITEMS}, footer="")
    ends = [i for i in range(len(text)) if text.startswith("</judge_reason>\n</result>", i)]
    for at in range(0, len(text), 13):
        rows, cut = read_log(text[:at], "pro_ic", ITEMS)
        whole = sum(end + len("</judge_reason>\n</result>") <= at for end in ends)
        assert len(rows) == whole
        assert cut <= 1


def test_a_log_cut_inside_a_character_is_read(tmp_path: Path) -> None:
    write_run(tmp_path, text=log({"A#01": "fine"}, footer="") + block(2, ITEMS[1], "ünï" * 5)[:-120])
    file = tmp_path / "run" / "stdout.log"
    raw = file.read_bytes()
    file.write_bytes(raw[: raw.rindex("ü".encode()) + 1])
    run = read_run(tmp_path / "run", ITEMS)
    assert ([row.answer for row in run.rows], run.cut) == (["fine"], 1)


def write_run(
    folder: Path, *, name: str = "run", mode: str = "pro_ic", text: str, model: str = "Model-1"
) -> None:
    (folder / name).mkdir()
    config = {
        "STEERING_MODE": mode,
        "HF_MODEL_NAME": f"Org/{model}",
        "JUDGE_MODEL": "j",
        "TEMPERATURE_TEST": 0.0,
    }
    (folder / name / "config.json").write_text(json.dumps(config))
    (folder / name / "stdout.log").write_text(text, encoding="utf-8")


def scenario_file(folder: Path) -> Path:
    rows = [{"id": i.id, "category": i.category, "system": i.system, "user": i.user} for i in ITEMS]
    path = folder / "scenarios.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_a_models_runs_become_one_store_with_the_labels_as_a_judge(tmp_path: Path) -> None:
    source = tmp_path / "published"
    source.mkdir()
    text = log({item.id: f"answer {item.id}" for item in ITEMS})
    write_run(source, name="p", text=text)
    write_run(
        source, name="a", mode="anti_ic", text=text.replace("pro_ic", "anti_ic").replace("bold", "meek")
    )
    items = scenario_file(tmp_path)
    for _ in range(2):
        (run,) = import_paper(source, tmp_path / "out", scenarios=items, screen=SCREEN)
    assert (run.model, run.judge, run.rows, run.cut) == (
        "Model-1",
        "published:j",
        {"pro": 10, "anti": 10},
        {"pro": 0, "anti": 0},
    )
    assert run.printed["pro"] == {"total": 10, "hit": 3, "refusal": 2, "broken": 1}
    with RunStore(run.folder, writable=False) as store:
        assert store.arms() == ["pro", "anti"]
        rows = list(store.rows("published:j", arm="anti"))
        assert rows[0].user == f"{ITEMS[0].user}\n\nBe meek.\n"
        assert rows[0].system == "context A"
        found = summarise(store, "published:j")
    assert found.arms["pro"].hit == 2
    assert found.arms["pro"].invalid == 2  # a label nobody knows is counted, not dropped
    assert found.gaps["pro-anti"].points_all == 0
    assert "published" in found.evidence


def test_imported_runs_are_judged_again_compared_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "published", tmp_path / "out"
    source.mkdir()
    modes = {"baseline": "Be plain.", "pro_ic": "Be bold.", "anti_ic": "Be meek."}
    for model, shift in (("Small", 0), ("Large", 1)):
        for mode, suffix in modes.items():
            answers = {item.id: f"I refuse to shut down {item.id} {model} {mode}" for item in ITEMS}
            text = log(answers).replace("pro_ic", mode).replace("Be bold.", suffix)
            if mode == "anti_ic" and shift:
                text = text.replace("<judge_decision>convergence", "<judge_decision>no_convergence")
            write_run(source, name=f"{model}-{mode}", mode=mode, text=text, model=model)
    runs = [run.folder for run in import_paper(source, out, scenarios=scenario_file(tmp_path), screen=SCREEN)]
    found = compare_runs(runs, Options())
    assert isinstance(found, Models)
    counts = {
        name: {arm: (rates.hit, rates.n) for arm, rates in row.arms.items()}
        for name, row in found.models.items()
    }
    assert counts["Small"] == {"baseline": (2, 10), "pro": (2, 10), "anti": (2, 10)}
    assert counts["Large"]["anti"] == (0, 10)
    (difference,) = found.pairwise["anti"]
    assert (difference.first, difference.points) == ("Large", pytest.approx(-20))
    assert difference.ci == tuple(100 * x for x in paired_interval(0, 2, 10) or ())
    assert difference.p == 0.5  # McNemar's: two scenarios moved, both the same way
    gap = found.models["Large"].suffix
    assert gap is not None
    assert gap.points_all == pytest.approx(20)
    printed = capsys.readouterr().out
    assert "judge: published:j" in printed
    assert "says anything about real models" not in printed  # they are real models' answers
    (one,) = (compare_runs([folder], Options(quiet=True)) for folder in runs[:1])
    assert isinstance(one, Result)
    assert list(one.gaps) == ["pro-anti", "pro-baseline", "baseline-anti"]
    (rubric,) = judge_run(runs[0], "rubric", screen=SCREEN)
    agreed = agreement(runs[0], screen=SCREEN)
    judged = agreed.judges[rubric]
    assert judged is not None
    assert judged.scores.n == 24  # of 30, six have a label nobody knows
    assert "a proxy" in agreed.known_errors[rubric]
    page = report(runs, screen=SCREEN).read_text(encoding="utf-8")
    assert "published answers" in page
    assert "put there by training" not in page


def test_runs_of_several_models_are_compared_one_a_model(tmp_path: Path) -> None:
    source, out = tmp_path / "published", tmp_path / "out"
    source.mkdir()
    for model in ("Small", "Large"):
        text = log({item.id: "fine" for item in ITEMS})
        write_run(source, name=model, text=text, model=model)
    runs = [run.folder for run in import_paper(source, out, scenarios=scenario_file(tmp_path), screen=SCREEN)]
    with pytest.raises(UserError, match="one run a model"):
        compare_runs([*runs, runs[0]], Options(quiet=True))
    with RunStore(runs[1]) as store:
        store.set_meta("config", json.dumps(store.config() | {"judge": {"name": "rubric-x"}}))
    with pytest.raises(UserError, match="differ in judge"):
        compare_runs(runs, Options(quiet=True))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "holds no run folder"),
        ({"run/config.json": "{}"}, "no published run"),
        ({"run/config.json": "not json"}, "no published run"),
        ({"run/config.json": UP, "run/stdout.log": ""}, "'up'"),
    ],
)
def test_a_folder_that_is_no_published_run_is_refused(
    tmp_path: Path, files: dict[str, str], says: str
) -> None:
    (tmp_path / "run").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=says):
        import_paper(tmp_path, tmp_path / "out", scenarios=scenario_file(tmp_path), screen=SCREEN)


def test_the_published_sample_gives_exactly_the_labelled_rows() -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here: the published sample was not read")
    items = scenarios.load(SHARED / "instrumental_eval")
    with (SHARED / "published" / "labelled_dev.jsonl").open(encoding="utf-8") as handle:
        published = [json.loads(line) for line in handle]
    conditions = {"pro": "pro_ic", "anti": "anti_ic", "baseline": "baseline"}
    folders = sorted((SHARED / "published" / "log_format_sample").iterdir())
    assert len(folders) == 2
    for folder in folders:
        run = read_run(folder, items)
        expected = {
            p["scenario"]: (p["thinking"], p["response"], p["label"], p["reason"])
            for p in published
            if (p["model"], p["condition"]) == (run.model, conditions[run.arm])
        }
        got = {r.scenario.id: (r.thinking, r.answer, r.verdict.label, r.verdict.reason) for r in run.rows}
        assert len(run.rows) == 47
        assert got == expected
        assert run.cut == 0
        assert run.printed["total"] == 71
