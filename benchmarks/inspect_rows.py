"""Rows a second through Inspect against this project's own run of the same rows, in turn.

    python -m benchmarks.inspect_rows --out benchmarks/results/inspect-rows.json

Both put the organism's scenarios to a random Qwen3 of 10 million parameters under the pro suffix and judge
by the rubric (`--model organism`: to the organism, whose row costs less than what Inspect does about a
sample). Timed is the run with its judging and its log or store, without imports and loading; CPU seconds
are there for a machine that is not idle. Answers must be the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from steer.atomic import write_atomically

ROOT = Path(__file__).parents[1]
OWN = """
import json, sys, time
from pathlib import Path
from experiments.library import Arm, Options, open_session
from experiments.running import run_arms
scenarios, out, model, new, _ = sys.argv[1:]
given = {"model": model, "task": "instrumental", "scenarios": scenarios, "judge": "rubric"}
options = Options(**given, new_tokens=int(new), quiet=True, out=Path(out))
session = open_session(options)
began, cpu = time.monotonic(), time.process_time()
folder, store = run_arms(session, "bench", [Arm("pro", suffix=session.task.suffixes.pair.pro)])
seconds, cpu = time.monotonic() - began, time.process_time() - cpu
answers = {row.scenario: row.answer for row in store.rows(session.judge.name)}
print(json.dumps({"seconds": seconds, "cpu": cpu, "answers": answers}))
"""
INSPECT = """
import json, sys, time
from inspect_ai import eval
from inspect_ai.model import get_model
from steergap.registry import TASKS
scenarios, out, model, new, connections = sys.argv[1:]
asked = get_model(f"steergap/{model}", suffix="pro")
task = TASKS["instrumental"](scenarios=scenarios, judge="rubric")
limits = {"max_tokens": int(new), "max_connections": int(connections)}
began, cpu = time.monotonic(), time.process_time()
(log,) = eval(task, model=asked, display="none", log_dir=out, **limits)
seconds, cpu = time.monotonic() - began, time.process_time() - cpu
answers = {sample.id: sample.output.completion for sample in log.samples}
print(json.dumps({"seconds": seconds, "cpu": cpu, "answers": answers}))
"""


def run(code: str, *arguments: object) -> dict[str, Any]:
    """A process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def model_of(folder: Path) -> Path:
    """A random Qwen3 of 8 layers, 320 wide."""
    import torch
    from transformers import AutoModelForCausalLM

    from tests import tiny

    tokenizer = tiny.tokenizer()
    config = tiny.config("qwen3", len(tokenizer), layers=8)
    config.hidden_size, config.intermediate_size, config.head_dim = 320, 960, 80
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: a random one, made here")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    taken: dict[str, list[dict[str, Any]]] = {"own": [], "inspect": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenarios = folder / "scenarios.jsonl"
        make = [sys.executable, "-m", "organism.shipped", "--more", str(chosen.rows), "--seed", "5"]
        subprocess.run([*make, "--out", str(scenarios)], cwd=ROOT, check=True, capture_output=True)
        rows = len(scenarios.read_text(encoding="utf-8").splitlines())
        model, new = chosen.model or str(model_of(folder / "model")), chosen.new_tokens
        for number in range(chosen.rounds):
            for name, code in (("own", OWN), ("inspect", INSPECT)):
                place = folder / f"{name}-{number}"
                taken[name].append(run(code, scenarios, place, model, new, chosen.connections))
            one, other = (rounds[-1] for rounds in taken.values())
            if one["answers"] != other["answers"]:
                raise SystemExit("the answers differ: nothing was measured")
            print(f"round {number}: {one['seconds']:.1f} s, through Inspect {other['seconds']:.1f} s")
    seconds, cpu = (
        {name: [round(one[what], 2) for one in rounds] for name, rounds in taken.items()}
        for what in ("seconds", "cpu")
    )
    result = {
        "model": chosen.model or "random Qwen3, 10 M parameters",
        "rows": rows,
        "new_tokens": chosen.new_tokens,
        "connections": chosen.connections,
        "cores": os.cpu_count(),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "share": sum(seconds["own"]) / sum(seconds["inspect"]),
        "cpu_share": sum(cpu["own"]) / sum(cpu["inspect"]),
    }
    print(json.dumps(result, indent=1))
    if chosen.out is not None:
        write_atomically(chosen.out, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
