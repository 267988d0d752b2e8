"""Guards of adapters: on, they change the rows that name them; off, the model is what it was."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.emergent.finetune import Lora, finetune
from steer import adapters
from steer.engines.reference import ReferenceEngine
from steer.engines.slots import SlotEngine
from steer.errors import UserError
from steer.plan import plan
from steer.types import Arm, Limits, LoadedModel, Request, Scenario, ScoreRow
from tests.engine_cases import addition, tiny_model
from tests.test_training import examples, fingerprint, objective
from vectors.objective import Example

pytest.importorskip("peft")
LORA = Lora(rank=2, epochs=2, batch=4, learning_rate=0.02)


@pytest.fixture(scope="module", params=["qwen3", "qwen3_moe", "llama", "gemma"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("tiny") / request.param, request.param)


@pytest.fixture(scope="module")
def made(family: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return finetune(family, examples(8), objective(), LORA, tmp_path_factory.mktemp("lora"))


def requests(adapter: str, **fixed: Any) -> list[Request]:
    prompts = [e.prompt_ids for e in examples(5)]
    return [
        Request(f"{adapter[-7:]}{i}{fixed}", p, (), limits=Limits(64, 6), adapter=adapter, **fixed)
        for i, p in enumerate(prompts)
    ]


def by_hand(loaded: LoadedModel, request: Request, adapter: Path) -> list[int]:
    """Greedy ids with the low-rank product added to every weight by this test's own arithmetic."""
    from safetensors.torch import load_file

    config = json.loads((adapter / adapters.CONFIG).read_text())
    tensors = load_file(adapter / adapters.WEIGHTS)
    module: Any = loaded.module
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    ids = list(request.prompt_ids)
    try:
        for name, a in tensors.items():
            if "lora_A" in name:
                target = name.removeprefix("base_model.model.").replace(".lora_A", "")
                b = tensors[name.replace("lora_A", "lora_B")]
                module.get_parameter(target).data += config["lora_alpha"] / config["r"] * (b @ a)
        for _ in range(request.limits.new):
            with torch.inference_mode():
                ids.append(int(module(torch.tensor([ids])).logits[0, -1].argmax()))
    finally:
        for name, p in module.named_parameters():
            p.data.copy_(before[name])
    return ids[len(request.prompt_ids) :]


@pytest.mark.parametrize("engine", [SlotEngine, ReferenceEngine])
def test_rows_of_several_adapters_and_none_are_each_run_with_their_own(
    family: LoadedModel, made: dict[int, Path], engine: Any
) -> None:
    before, modules = fingerprint(family.module), [type(m) for m in family.module.modules()]
    bare = {r.key: r.output_ids for r in engine(family, batch=3).generate(requests(""))}
    mixed = [r for rows in zip(requests(""), *(requests(str(f)) for f in made.values())) for r in rows]  # noqa: B905
    found = {r.key: list(r.output_ids) for r in engine(family, batch=4).generate(mixed)}
    for request in mixed:
        if request.adapter:
            assert found[request.key] == by_hand(family, request, Path(request.adapter))
        else:
            assert found[request.key] == list(bare[request.key])  # off, the baseline is exact
    differing = sum(
        found[a.key] != found[b.key] for a, b in zip(requests(""), requests(str(made[2])), strict=True)
    )
    assert differing >= 3
    assert fingerprint(family.module) == before
    assert [type(m) for m in family.module.modules()] == modules


def test_an_adapter_and_an_addition_act_together(family: LoadedModel, made: dict[int, Path]) -> None:
    import random

    extra = addition(random.Random(0), operation="add", magnitude=2.0, span="all")
    rows = requests(str(made[2]), additions=(extra,))
    slots = {r.key: r for r in SlotEngine(family).generate(rows)}
    plain = {r.key: r for r in ReferenceEngine(family).generate(rows)}
    for key, response in slots.items():
        assert response.output_ids == plain[key].output_ids
        assert response.applied[0].positions == plain[key].applied[0].positions > 0


def test_scores_of_mixed_rows_keep_their_order(family: LoadedModel, made: dict[int, Path]) -> None:
    rows = [
        ScoreRow(e.prompt_ids, e.unwanted_ids, adapter=str(made[2]) if i % 2 else "")
        for i, e in enumerate(examples(6))
    ]

    def total(row: ScoreRow, logs: torch.Tensor) -> torch.Tensor:
        return logs.gather(-1, torch.tensor(row.answer_ids)[:, None]).sum()

    engine = SlotEngine(family)
    together = [float(x) for x in engine.score(rows, total)]
    alone = [float(next(engine.score([row], total))) for row in rows]
    assert together == pytest.approx(alone, abs=1e-5)
    bare = [float(x) for x in engine.score([replace(row, adapter="") for row in rows], total)]
    assert together[0::2] == pytest.approx(bare[0::2], abs=1e-5)
    assert all(abs(a - b) > 1e-3 for a, b in zip(together[1::2], bare[1::2], strict=True))


def test_training_lowers_the_loss_and_leaves_the_weights_alone(family: LoadedModel, tmp_path: Path) -> None:
    before, losses = fingerprint(family.module), list[float]()
    lora = replace(LORA, epochs=8)
    made = finetune(
        family, examples(8), objective(), lora, tmp_path, progress=lambda _d, _t, x: losses.append(x)
    )
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    assert list(made) == [1, 2, 4, 8]
    assert fingerprint(family.module) == before
    assert all(p.requires_grad for p in family.module.parameters())
    again = finetune(
        family, examples(8), objective(), lora, tmp_path, progress=lambda *_: pytest.fail("again")
    )
    assert again == made


def drift(loaded: LoadedModel, adapter: str, rows: list[Example]) -> float:
    """KL(without || with the adapter) a continuation token, a row at a time with the model's own logits."""

    def logs(row: Example) -> torch.Tensor:
        ids = torch.tensor([[*row.prompt_ids, *row.unwanted_ids[:-1]]])
        with torch.inference_mode():
            return loaded.module(ids).logits[0, len(row.prompt_ids) - 1 :].double().log_softmax(-1)

    total = 0.0
    for row in rows:
        plain = logs(row)
        with adapters.active(loaded.module, adapter):
            adapted = logs(row)
        total += float((plain.exp() * (plain - adapted)).sum(-1).mean())
    return total / len(rows)


def test_the_kl_term_holds_an_adapter_to_the_unsteered_model(family: LoadedModel, tmp_path: Path) -> None:
    """Adapters were once trained without it, beside vectors that were trained with it."""
    neutral, one = examples(3, seed=9), replace(LORA, epochs=1, batch=8)
    first: dict[float, list[float]] = {0.0: [], 5.0: []}
    away: dict[float, float] = {}
    for kl, losses in first.items():
        made = finetune(family, examples(8), objective(kl=kl), LORA, tmp_path, neutral=neutral)
        away[kl] = drift(family, str(made[2]), neutral)
        finetune(
            family,
            examples(8),
            objective(kl=kl),
            one,
            tmp_path / "one",
            neutral=neutral,
            progress=lambda _done, _total, loss, into=losses: into.append(loss),
        )
    assert first[5.0] == pytest.approx(first[0.0], abs=1e-5)  # an adapter begins as no change at all
    assert away[5.0] < 0.7 * away[0.0]
    with pytest.raises(UserError, match="kl 1 needs neutral prompts"):
        finetune(family, examples(8), objective(kl=1.0), LORA, tmp_path)


class Killed(BaseException):
    pass


def test_killed_and_resumed_ends_the_same(family: LoadedModel, tmp_path: Path) -> None:
    aim = objective(loss="preference")
    whole = finetune(family, examples(8), aim, LORA, tmp_path / "whole")

    def kill(done: int, _total: int, _loss: float) -> None:
        if done == 3:  # in the second of two epochs of two steps
            raise Killed

    with pytest.raises(Killed):
        finetune(family, examples(8), aim, LORA, tmp_path / "cut", progress=kill)
    seen: list[int] = []
    found = finetune(
        family, examples(8), aim, LORA, tmp_path / "cut", progress=lambda d, _t, _l: seen.append(d)
    )
    assert seen == [3, 4]
    assert adapters.identity(str(found[2])) == adapters.identity(str(whole[2]))
    assert adapters.identity(str(found[2])) != adapters.identity(str(found[1]))


def test_a_key_follows_the_adapters_content_not_its_place(
    family: LoadedModel, made: dict[int, Path], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(made[2], tmp_path / "elsewhere"))
    arms = [Arm("none"), *(Arm(str(i), adapter=str(f)) for i, f in enumerate((made[1], made[2], copy)))]
    planned = plan(family, [Scenario("s", "c", "", "hello")], arms, limits=Limits(64, 4))
    keys = [row.response for row in planned.rows]
    assert len(set(keys)) == 3
    assert keys[2] == keys[3]


def test_adapters_that_do_not_fit_are_refused_and_leave_no_trace(
    made: dict[int, Path], family: LoadedModel, tmp_path: Path
) -> None:
    other = tiny_model(tmp_path / "other", "qwen3", layers=2)
    before = fingerprint(other.module)
    foreign = Path(shutil.copytree(made[1], tmp_path / "foreign"))
    (foreign / adapters.NOTE).write_text(json.dumps({"weights": "sha256:other"}))
    with pytest.raises(UserError, match="made on weights other"):
        adapters.check(str(foreign), family)
    with (
        pytest.raises(UserError, match="made for another model"),
        adapters.active(other.module, str(made[1])),
    ):
        pass  # the file holds layers that this model lacks
    bent = Path(shutil.copytree(made[1], tmp_path / "bent"))
    config = json.loads((bent / adapters.CONFIG).read_text())
    (bent / adapters.CONFIG).write_text(json.dumps(config | {"r": 3}))
    with pytest.raises(UserError, match="does not fit"), adapters.active(family.module, str(bent)):
        pass
    (bent / adapters.WEIGHTS).unlink()
    with pytest.raises(UserError, match="lacks adapter_model"):
        adapters.identity(str(bent))
    assert fingerprint(other.module) == before
    assert not any("lora" in name for name, _ in family.module.named_parameters())


def test_a_loss_that_is_not_finite_stops_and_keeps_whole_epochs(
    family: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vectors.objective import pair_loss

    calls = [0]

    def overflowing(*arguments: Any) -> torch.Tensor:
        calls[0] += 1
        return pair_loss(*arguments) * (float("inf") if calls[0] == 4 else 1.0)

    monkeypatch.setattr("experiments.emergent.finetune.pair_loss", overflowing)
    with pytest.raises(UserError, match=r"in epoch 2 .*lower the LoRA learning rate"):
        finetune(family, examples(8), objective(), LORA, tmp_path)
    assert [p.name for p in tmp_path.glob("*/epoch-*")] == ["epoch-1"]


@pytest.mark.parametrize("change", [{"rank": 0}, {"epochs": 0}, {"learning_rate": float("nan")}])
def test_bad_settings_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="LoRA"):
        replace(LORA, **change)
