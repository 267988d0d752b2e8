"""Over turns: prompts and positions of a conversation, caches, half-lives, and what is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import cli
from benchmarks.half_life import coverage
from experiments import session
from experiments.turns.talks import Held, Talk, over_turns
from steer.chat import render_messages
from steer.engines.reference import ReferenceEngine
from steer.engines.slots import SlotEngine
from steer.half_life import half_life
from steer.store import RunStore
from steer.types import Addition, Arm, Limits, LoadedModel, Request, Scenario
from tests.engine_cases import tiny_model
from tests.fakes import HashJudge
from tests.tiny import checkpoint
from vectors.files import save_vector
from vectors.vector import Provenance, SteeringVector

FIRST, SECOND, THIRD = (5, 9, 31, 7), (44, 3, 12), (90, 91)
NEW = 4


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("qwen"), "qwen3")


def continued(
    loaded: LoadedModel, sizes: dict[int, float], direction: torch.Tensor, layer: int
) -> list[list[int]]:
    """Answers of three turns by one Hugging Face cache that is never computed again.

    sizes: turn -> what is added from its last prompt token on, until the next user text.
    """
    cache: Any = None
    state = {"size": 0.0, "from": 0}

    def hook(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[:, state["from"] :] += state["size"] * direction.to(output)
        return output

    handle = loaded.module.model.layers[layer].register_forward_hook(hook)
    answers: list[list[int]] = []
    try:
        with torch.inference_mode():
            for turn, asked in enumerate((FIRST, SECOND, THIRD)):
                if turn:  # what was chosen last has not been fed: it belongs to the turn before
                    state |= {"size": sizes.get(turn - 1, 0.0), "from": 0}
                    cache = loaded.module(
                        torch.tensor([answers[-1][-1:]]), past_key_values=cache
                    ).past_key_values
                    # the user's text, but for its last token, which opens the answer
                    state |= {"size": sizes.get(turn - 1, 0.0) if sizes.get(-1) else 0.0}
                    cache = loaded.module(torch.tensor([asked[:-1]]), past_key_values=cache).past_key_values
                    fed = torch.tensor([asked[-1:]])
                else:
                    fed = torch.tensor([asked])
                state |= {"size": sizes.get(turn, 0.0), "from": fed.shape[1] - 1}
                said: list[int] = []
                while len(said) < NEW:
                    found = loaded.module(fed, past_key_values=cache)
                    cache, token = found.past_key_values, int(found.logits[0, -1].argmax())
                    said.append(token)
                    fed, state["from"] = torch.tensor([[token]]), 0
                answers.append(said)
    finally:
        handle.remove()
    return answers


@pytest.mark.parametrize(
    ("hold", "sizes"),
    [
        ("all", {0: 9.0, 1: 9.0, 2: 9.0, -1: 1.0}),
        ("first", {0: 9.0}),
        ("faded", {0: 9.0, 1: 4.5, 2: 2.25}),
    ],
)
def test_a_turn_from_the_beginning_is_the_conversation_continued_in_one_cache(
    qwen: LoadedModel, hold: str, sizes: dict[int, float]
) -> None:
    direction = torch.randn(32, generator=torch.Generator().manual_seed(3))
    direction /= direction.norm()
    expected = continued(qwen, sizes, direction, 1)
    assert expected != continued(qwen, {}, direction, 1)
    edit = Addition(direction, 1, 9.0, norm=1.0)
    ids: tuple[int, ...] = ()
    starts: list[int] = []
    ends: list[int] = []
    for turn, asked in enumerate((FIRST, SECOND, THIRD)):
        ids += asked
        starts.append(len(ids) - 1)
        if hold == "all":
            additions = (replace(edit, within=(starts[0], None)),)
        else:
            stops = [*ends, None]
            additions = tuple(
                replace(edit, magnitude=sizes[n], within=(starts[n], stops[n]))
                for n in range(1 if hold == "first" else turn + 1)
            )
        row = Request("k", ids, (), additions, limits=Limits(new=NEW))
        for engine in (SlotEngine(qwen, batch=2), ReferenceEngine(qwen, batch=2)):
            (found,) = engine.generate([row])
            assert list(found.output_ids) == expected[turn], (hold, turn)
            assert sum(one.positions for one in found.applied) == _edited(additions, len(ids) + NEW - 1)
        ids += tuple(expected[turn])
        ends.append(len(ids))


def _edited(additions: tuple[Addition, ...], total: int) -> int:
    ranges = [one.within for one in additions if one.within is not None]
    return sum((total if stop is None else stop) - start for start, stop in ranges)


@pytest.mark.parametrize(
    ("hold", "spans", "sizes"),
    [("all", [(0, None)], [2.0]), ("first", [(0, 1)], [2.0]), ("faded", [(0, 1), (1, None)], [2.0, 1.0])],
)
def test_a_turn_lasts_from_where_its_answer_opens_to_the_next_user_text(
    qwen: LoadedModel, hold: Any, spans: list[tuple[int, int | None]], sizes: list[float]
) -> None:
    """The template says an empty thought where an answer opens, and no more once it is given."""
    held = Held(Arm("v", additions=(Addition(torch.ones(32), 1, 2.0),)), hold)
    talk = Talk(Scenario("s", "c", "Be brief.", "Ship it."), ("I stop.",), ("Please go on.",))
    open_session: Any = SimpleNamespace(loaded=qwen, thinking=False)
    prefixes = [
        render_messages(qwen, talk.messages(held, "full", turns=turn), thinking=False) for turn in (1, 2)
    ]
    edits = over_turns(open_session, held, talk, prefixes, 0.5)
    assert [edit.magnitude for edit in edits] == sizes
    tokenizer: Any = qwen.tokenizer
    first = "\nI stop.<|im_end|>\n<|im_start|>user\n"
    for edit, (begin, end) in zip(edits, spans, strict=True):
        assert edit.within is not None
        start, stop = edit.within
        assert (stop is None) == (end is None)
        told = tokenizer.decode(prefixes[1][start:stop])
        assert told.startswith(first if begin == 0 else "\n")
        assert (told == first) == (end == 1)
        if begin == 1:
            assert start == len(prefixes[1]) - 1


def test_a_half_life_is_the_decays_own_and_what_is_not_there_cannot_fade() -> None:
    """Of 64 scenarios 32, 16 and 8 differ: half as many each turn."""
    differences = np.zeros((64, 3))
    for turn, moved in enumerate((32, 16, 8)):
        differences[:moved, turn] = 1
    found = half_life(differences)
    assert found is not None
    assert found.turns == pytest.approx(1, abs=0.01)
    low, high = found.ci
    assert low is not None
    assert high is not None
    assert 0.5 < low < 1 < high < 2
    steady = half_life(np.repeat(differences[:, :1], 3, axis=1))
    assert steady is not None
    assert steady.turns is None
    assert half_life(differences[:, :1]) is None
    differences[:, 0] = 0
    assert half_life(differences) is None


def test_the_half_lifes_interval_covers() -> None:
    found = [coverage(400, true=true, turns=3, effect=0.5, r=0.5, seed=22) for true in (0.5, 1.0, 3.0)]
    assert sum(one["coverage"] or 0 for one in found) / 3 >= 0.93


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    checkpoint(folder / "tiny")
    made = Provenance(d_model=32, n_layers=4, model="tiny")
    vector = SteeringVector({1: torch.ones(32)}, made, norms={"last": {1: 6.0}})
    save_vector(vector, folder / "v.safetensors")
    rows = [{"id": f"s{i}", "category": "c", "system": "", "user": f"Ship order {i}."} for i in range(3)]
    (folder / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def run(home: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr(session, "make_judge", lambda *_args, **_options: HashJudge())
    monkeypatch.chdir(home)
    flags = ["--model", "tiny", "--scenarios", "own.jsonl", "--vector", "v.safetensors", "--layer", "1"]
    monkeypatch.setattr(sys, "argv", ["cli.py", "turns", *flags, "--new-tokens", "4", "--out", "run", *more])
    return cli.main()


def test_conversations_go_on_as_each_arm_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(home, monkeypatch, "--turns", "2") == 0
    found = json.loads((home / "run/summary.json").read_text())
    held = {one["arm"]: one for one in found["turns"]["arms"]}
    assert len(held) == 11
    assert all(len(one["arms"]) == 2 for one in held.values())
    assert {g["second"] for one in held.values() for g in one["gaps"]} == {
        "baseline, turn 1",
        "baseline, turn 2",
    }
    with RunStore(home / "run") as store:
        sql = """SELECT p.arm, p.scenario, q.token_ids, r.answer FROM plan p JOIN prompts q ON q.id = p.prompt
            JOIN responses r ON r.key = p.response"""
        rows = {(arm, scenario): (ids, answer) for arm, scenario, ids, answer in store.query(sql)}
        pro = next(iter(store.meta_json("suffix_texts", {}).values()))
    from transformers import AutoTokenizer

    from steer.store.rows import unpack

    tokenizer: Any = AutoTokenizer.from_pretrained(home / "tiny")

    def prompt(arm: str) -> str:
        return tokenizer.decode(unpack(rows[arm, "s0"][0]))

    follow_up = "What would you do next?"
    assert follow_up in prompt("baseline, turn 2")
    assert rows["baseline, turn 1", "s0"][1] in prompt("baseline, turn 2")
    assert prompt("pro, in the first, turn 2").count(pro.strip()) == 1
    assert prompt("pro, in each, turn 2").count(pro.strip()) == 2
    assert prompt("vector +, faded, turn 1") == prompt("baseline, turn 1")


def test_drift_by_turn_is_that_of_plain_forwards(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the baseline's own answer of the turn, and in its conversation, under hooks of transformers."""
    from transformers import AutoModelForCausalLM

    from steer.store.rows import unpack

    assert run(home, monkeypatch, "--turns", "2") == 0
    found = json.loads((home / "run/summary.json").read_text())
    drift = {name: arm["measures"].get("drift") for name, arm in found["arms"].items()}
    assert len([value for value in drift.values() if value is not None]) == 20, "all but the baseline's"
    with RunStore(home / "run") as store:
        sql = """SELECT p.arm, p.scenario, q.token_ids, r.output_ids FROM plan p
            JOIN prompts q ON q.id = p.prompt JOIN responses r ON r.key = p.response"""
        rows = {(arm, one): (unpack(ids), unpack(said)) for arm, one, ids, said in store.query(sql)}
    model: Any = AutoModelForCausalLM.from_pretrained(home / "tiny", dtype=torch.float32)
    vector = 0.3 * 6.0 * torch.ones(32) / 32**0.5  # a share of the stored norm

    def log_p(ids: tuple[int, ...], said: tuple[int, ...], edited: slice | None) -> torch.Tensor:
        def hook(_module: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
            output = output.clone()
            if edited is not None:
                output[:, edited] += vector
            return output

        handle = model.model.layers[1].register_forward_hook(hook)
        with torch.inference_mode():
            logits = model(torch.tensor([[*ids, *said]])).logits[0]
        handle.remove()
        return logits[len(ids) - 1 : -1].double().log_softmax(-1)

    for turn in (1, 2):
        nats, tokens = 0.0, 0
        for one in ("s0", "s1", "s2"):
            ids, said = rows[f"baseline, turn {turn}", one]
            before = rows["baseline, turn 1", one][0]
            shared = next(
                (i for i, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), len(before)
            )
            p, q = (log_p(ids, said, where) for where in (None, slice(shared - 1, None)))
            nats += float((p.exp() * (p - q)).sum())
            tokens += len(said)
        assert drift[f"vector +, throughout, turn {turn}"] == pytest.approx(nats / tokens, rel=1e-3)
    assert drift["vector +, faded, turn 1"] == pytest.approx(drift["vector +, throughout, turn 1"])
    assert drift["vector +, in the first, turn 2"] != pytest.approx(drift["vector +, throughout, turn 2"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--turns", "1"], "--turns 1: a second turn is the first that can fade"),
        (["--turns", "9"], "has 4 neutral follow-ups: allowed are up to 5 turns"),
        (["--task", "tone", "--turns", "2"], "options are compared here, and nothing is said"),
        (["--turns", "2", "--magnitude", "-1"], "--magnitude -1: both signs are run"),
    ],
)
def test_turns_that_cannot_be_are_refused(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    own = (
        []
        if "--task" not in more
        else ["--scenarios", str(Path(cli.__file__).parent / "steer/tasks/tone/scenarios.jsonl")]
    )
    assert run(home, monkeypatch, *more, *own) == 2
    assert message in capsys.readouterr().err
