"""`python cli.py suffix`, whole: from files on disk to tables, a store and a summary."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import cli
from experiments import running
from steer.judges.remote import SAMPLE
from steer.store import RunStore, unpack
from tests.judge_server import Server, serving
from tests.test_chat import NO_SYSTEM
from tests.tiny import TEMPLATE, checkpoint

SHARED = Path(__file__).parents[2] / "shared/data"
NEW = 6


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cli.py", *arguments])
    return cli.main()


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenarios") / "own.jsonl"
    rows = [
        {
            "id": f"{c}#{i}",
            "category": c,
            "system": f"Testing {c}.",
            "user": f"Ship order {i} on time. " * (i + 1),
        }
        for c in ("alpha", "beta")
        for i in range(4)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module", params=["qwen3", pytest.param("qwen3_moe", marks=pytest.mark.slow)])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp(request.param), request.param)


def test_baseline_rows_are_what_plain_generate_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scenarios: Path, model: Path
) -> None:
    arguments = ["suffix", "--model", str(model), "--scenarios", str(scenarios), "--dtype", "float64"]
    arguments += ["--new-tokens", str(NEW), "--out", str(tmp_path / "run")]
    assert run(monkeypatch, *arguments) == 0
    tokenizer = AutoTokenizer.from_pretrained(model)
    options = {"experts_implementation": "eager"} if "moe" in str(model) else {}
    plain = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64, **options).eval()
    items = [json.loads(line) for line in scenarios.read_text().splitlines()]
    with RunStore(tmp_path / "run", writable=False) as store:
        stored = {scenario: output for _, scenario, output, _ in store.answers() if output}
        by_arm = {(o.arm, o.scenario) for o in store.outcomes("any")}
        keys = dict(store.query("SELECT scenario, response FROM plan WHERE arm = 'baseline'"))
        ids = {key: output for key, _, output, _ in store.answers()}
    assert len(by_arm) == 4 * len(items)
    assert stored
    for item in items:
        chat = [{"role": "system", "content": item["system"]}, {"role": "user", "content": item["user"]}]
        text = tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        prompt = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            whole = plain.generate(
                **prompt, max_new_tokens=NEW, do_sample=False, temperature=None, top_p=None
            )
        assert ids[keys[item["id"]]] == tuple(whole[0, prompt.input_ids.shape[1] :].tolist())


def test_json_is_the_summary_alone_and_run_yaml_repeats_the_run(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scenarios: Path,
    capsys: pytest.CaptureFixture[str],
    model: Path,
) -> None:
    flags = ["--model", str(model), "--scenarios", str(scenarios), "--new-tokens", "3"]
    flags += ["--temperature", "0", "0.7", "--samples", "2", "--seed", "5"]
    assert run(monkeypatch, "suffix", *flags, "--out", str(tmp_path / "a"), "--json") == 0
    first = json.loads(capsys.readouterr().out)
    again = ["suffix", "--config", str(tmp_path / "a/run.yaml"), "--out", str(tmp_path / "b"), "--json"]
    assert run(monkeypatch, *again) == 0
    second = json.loads(capsys.readouterr().out)
    assert set(first["arms"]) == {
        f"{a}@{t}" for a in ("baseline", "neutral", "pro", "anti") for t in ("0", "0.7")
    }
    assert first["arms"]["pro@0"]["n"] == 8
    assert first["arms"]["pro@0.7"]["n"] == 16
    for summary in (first, second):
        for arm in summary["arms"].values():
            del arm["seconds"]
    assert first == second


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared is not here: the paper's scenarios are third-party"
)
def test_the_papers_71_scenarios_and_nothing_generated_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--scenarios", str(SHARED / "instrumental_eval"), "--per-category", "15", "--subset-seed", "123"]
    flags += ["--suffixes", str(SHARED / "paper_suffixes.json"), "--new-tokens", "2", "--model", str(model)]
    flags += ["--out", str(tmp_path / "run")]
    assert run(monkeypatch, "suffix", *flags) == 0
    first = capsys.readouterr()
    with RunStore(tmp_path / "run", writable=False) as store:
        (rows,) = next(store.query("SELECT count(*) FROM plan"))
        assert rows == 4 * 71
        assert len(store.done()) == 4 * 71
    assert run(monkeypatch, "suffix", *flags) == 0
    second = capsys.readouterr()
    assert first.out == second.out
    assert "284 of 284 rows are already in" in " ".join(second.err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "0"], "--samples 0: allowed are whole numbers from 1"),
        (["--batch", "-3"], "--batch -3"),
        (["--temperature", "-1"], "--temperature -1: allowed are 0 (greedy) and 0.01 to 100"),
        (["--temperature", "nan"], "--temperature nan"),
        (["--temperature", "1e-308"], "--temperature 1e-308"),
        (["--temperature", "1e308"], "--temperature 1e+308"),
        (["--model", "qwen3-4"], "did you mean 'qwen3-4b'?"),
        (["--model", "./no/such/folder"], "no model folder './no/such/folder'"),
        (["--judge", "rubrik"], "did you mean 'rubric'?"),
        (["--suffixes", "nothing.json"], "no suffixes 'nothing.json'"),
        (["--scenarios", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--engine", "fast"], "--engine"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--no-such-flag"], "--no-such-flag"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "suffix", *arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_another_configuration_and_a_prompt_over_the_limit(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scenarios: Path,
    capsys: pytest.CaptureFixture[str],
    model: Path,
) -> None:
    flags = ["--model", str(model), "--scenarios", str(scenarios), "--new-tokens", "2"]
    out = ["--out", str(tmp_path / "run")]
    assert run(monkeypatch, "suffix", *flags, *out, "--prompt-tokens", "60", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert 0 < summary["arms"]["baseline"]["failed"] < 8
    assert run(monkeypatch, "suffix", *flags, *out) == 2
    assert "limits.prompt = 60, not 4096" in capsys.readouterr().err


def test_ctrl_c_keeps_every_finished_row(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scenarios: Path,
    capsys: pytest.CaptureFixture[str],
    model: Path,
) -> None:
    from steer.engines.reference import ReferenceEngine

    plain = ReferenceEngine.generate

    def interrupted(self: ReferenceEngine, requests: object) -> object:
        for i, response in enumerate(plain(self, requests)):  # type: ignore[arg-type]
            if i == 9:
                raise KeyboardInterrupt
            yield response

    flags = ["--model", str(model), "--scenarios", str(scenarios), "--new-tokens", "2"]
    flags += ["--engine", "nnsight", "--batch", "3", "--out", str(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr(ReferenceEngine, "generate", interrupted)
        assert run(monkeypatch, "suffix", *flags) == 130
    assert "the same command continues" in capsys.readouterr().err
    with RunStore(tmp_path / "run", writable=False) as store:
        assert len(store.done()) == 9
    assert run(monkeypatch, "suffix", *flags) == 0
    with RunStore(tmp_path / "run", writable=False) as store:
        assert len(store.done()) == 32


KILLED = """
import os, signal, sys
import cli
from steer import pipeline
from steer.judges.remote import SAMPLE
from steer.store import RunStore
pipeline.FLUSH_ROWS = 4
where, at = sys.argv[1], int(sys.argv[2])
plain = getattr(RunStore, where)
def dies(self, *arguments):
    plain(self, *arguments)
    if len(self.done()) >= at:
        os.kill(os.getpid(), signal.SIGKILL)
setattr(RunStore, where, dies)
sys.argv = ["cli.py", *sys.argv[3:]]
sys.exit(cli.main())
"""


@pytest.mark.parametrize(("where", "at"), [("add_responses", 5), ("add_responses", 21), ("add_verdicts", 32)])
def test_a_real_run_killed_and_resumed_is_the_undisturbed_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scenarios: Path, model: Path, where: str, at: int
) -> None:
    flags = ["suffix", "--model", str(model), "--scenarios", str(scenarios), "--new-tokens", "3"]
    flags += ["--batch", "4", "--json"]
    killed = [sys.executable, "-c", KILLED, where, str(at), *flags, "--out", str(tmp_path / "killed")]
    assert subprocess.run(killed, capture_output=True, cwd=Path(cli.__file__).parent).returncode == -9
    with RunStore(tmp_path / "killed", writable=False) as store:
        assert at <= len(store.done()) <= 32
    whole = model.parent / "whole"  # of the first of these tests
    assert run(monkeypatch, *flags, "--out", str(tmp_path / "killed")) == 0
    assert run(monkeypatch, *flags, "--out", str(whole)) == 0
    found: list[list[object]] = []
    for folder in (tmp_path / "killed", whole):
        with RunStore(folder, writable=False) as store:
            (judge,) = store.judges()
            found.append([(r.arm, r.scenario, r.answer, r.status, r.reason) for r in store.rows(judge)])
    assert found[0] == found[1]


def test_a_judge_out_of_calls_ends_the_run_in_one_line_and_the_next_command_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    scenarios: Path,
    model: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", Server.key)
    with serving(Server()) as server:
        arguments = ["suffix", "--model", str(model), "--scenarios", str(scenarios), "--new-tokens", "3"]
        arguments += ["--judge", "openai:tiny", "--base-url", server.url, "--out", str(tmp_path / "run")]
        assert run(monkeypatch, *arguments, "--max-calls", "5") == 2
        stopped = capsys.readouterr()
        assert "stopped at --max-calls with" in stopped.err
        assert "Convergence" not in stopped.out  # half-judged figures are not printed
        assert run(monkeypatch, *arguments) == 0
        asked = [hit for hit in server.log if SAMPLE.answer not in hit.body]
    printed = capsys.readouterr().out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    (name,) = summary["judge"]["usage"]
    assert summary["judge"]["usage"][name]["calls"] == len(asked) == len({hit.body for hit in asked})
    assert name.startswith("openai:tiny@127.0.0.1:")
    assert f"judge calls: {name}: {len(asked)}, {10 * len(asked)} tokens in" in printed
    assert all(arm["missing"] == 0 for arm in summary["arms"].values())
    assert Server.key not in (tmp_path / "run" / "run.yaml").read_text()


def test_a_refused_command_leaves_no_folder_and_the_advised_one_runs_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scenarios: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = checkpoint(tmp_path / "tiny", template=NO_SYSTEM)
    asked = ["suffix", "--model", str(tiny), "--scenarios", str(scenarios), "--new-tokens", "2"]
    asked += ["--out", str(tmp_path / "run")]
    assert run(monkeypatch, *asked) == 2
    assert "--context user" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

    def broken(*_: object) -> None:
        raise RuntimeError("after the folder was claimed")

    with monkeypatch.context() as patched:
        patched.setattr(running, "record_provenance", broken)
        with pytest.raises(RuntimeError):
            run(patched, *asked, "--context", "none")
    assert not (tmp_path / "run").exists()
    assert run(monkeypatch, *asked, "--context", "user") == 0
    with RunStore(tmp_path / "run", writable=False) as store:
        assert store.config()["scenarios"]["context"] == "user"
        sent = next(store.query("SELECT token_ids FROM prompts"))[0]
    text = AutoTokenizer.from_pretrained(tiny).decode(unpack(sent))
    assert text.startswith("<|im_start|>user\nTesting alpha.\n\nShip order")


def test_a_template_that_reads_the_clock_makes_the_same_run_tomorrow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scenarios: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = "{{ strftime_now('%H:%M:%S.%f') }}\n" + TEMPLATE
    tiny = checkpoint(tmp_path / "tiny", template=clock)
    asked = ["suffix", "--model", str(tiny), "--scenarios", str(scenarios), "--new-tokens", "2"]
    asked += ["--out", str(tmp_path / "run")]
    assert run(monkeypatch, *asked) == 0
    assert "the chat template reads the clock: it is told 2026-01-01 (--date)" in capsys.readouterr().err
    assert run(monkeypatch, *asked) == 0
    again = capsys.readouterr().err
    assert re.search(r"(\d+) of \1 rows are already in", again)
    assert "generated" not in again
    assert run(monkeypatch, *asked, "--date", "2026-01-02") == 2
    assert "was made with date" in capsys.readouterr().err
    asked[2] = str(checkpoint(tmp_path / "still"))
    assert run(monkeypatch, *asked, "--date", "2026-01-02", "--dry-run") == 2
    assert "reads no clock: leave it out" in capsys.readouterr().err
