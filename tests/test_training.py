"""Guards of trained vectors: gradient, edit, fixed norm, frozen weights, resuming, a known optimum."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from steer.blocks import decoder_layers
from steer.engines.batching import pad_left
from steer.engines.scoring import score
from steer.errors import UserError
from steer.interventions import Steering
from steer.types import LoadedModel, ScoreRow
from tests.engine_cases import tiny_model
from vectors.objective import Example, Objective, loss_of, with_reference
from vectors.training import Training, kept_epochs, random_start, train

FAMILIES = ("qwen3", "qwen3_moe", "llama", "gemma")
WIDTH = 32


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("tiny") / request.param, request.param)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "qwen", "qwen3")


def examples(count: int, seed: int = 0) -> list[Example]:
    """Prompts and answers of several lengths; unwanted answers begin alike: something to learn."""
    draw = random.Random(seed)

    def ids(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, 300) for _ in range(draw.randint(low, high)))

    return [Example(ids(2, 9), (17, 23, *ids(1, 4)), (40, *ids(1, 4))) for _ in range(count)]


def objective(**fixed: Any) -> Objective:
    return Objective(**({"layer": 1, "magnitude": 0.8, "norm": 5.0} | fixed))


@pytest.mark.parametrize("loss", ["likelihood", "preference"])
@pytest.mark.parametrize("kl", [0.0, 0.5])
def test_the_gradient_agrees_with_finite_differences(family: LoadedModel, loss: Any, kl: float) -> None:
    aim = objective(loss=loss, kl=kl)
    batch = with_reference(family, examples(3), aim, batch=2)
    neutral = examples(2, seed=9) if kl else []
    direction = random_start(WIDTH, 1).double().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(family, batch, direction, aim, neutral), direction)
    step, generator = 3e-3, torch.Generator().manual_seed(2)  # norms and routers compute in fp32 inside
    for _ in range(4):
        along = torch.randn(WIDTH, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            above, below = (
                loss_of(family, batch, direction + sign * step * along, aim, neutral) for sign in (1, -1)
            )
        numeric = float(above - below) / (2 * step)
        assert numeric == pytest.approx(float(gradient @ along), rel=2e-3, abs=2e-4)
    assert gradient.norm() > 1e-4
    assert abs((gradient @ direction).item()) < 1e-9  # its length does not matter


def plain_forward(loaded: LoadedModel) -> Any:
    """The reference way to steer a scored row: `Steering` itself, in hooks of this test."""

    def forward(
        ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, keep: int, steering: Steering
    ) -> torch.Tensor:
        blocks = decoder_layers(loaded.module)[1]
        handles = [
            blocks[layer].register_forward_hook(lambda _m, _a, out, at=layer: steering.edit(at, out))
            for layer in steering.layers
        ]
        try:
            return loaded.module(
                input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=keep
            ).logits
        finally:
            for handle in handles:
                handle.remove()

    return forward


@pytest.mark.parametrize("span", ["last", "all", "prompt", "generated"])
def test_what_is_trained_is_what_the_engines_apply(family: LoadedModel, span: Any) -> None:
    aim, items = objective(span=span), examples(4)
    trained = train(family, items, Training(objective=aim, epochs=1, batch=4), random_start(WIDTH, 0))
    addition = replace(trained.addition(), direction=random_start(WIDTH, 0))
    rows = [ScoreRow(e.prompt_ids, e.unwanted_ids, (addition,)) for e in items]

    def mean(row: ScoreRow, logs: torch.Tensor) -> torch.Tensor:
        return logs.gather(-1, torch.tensor(row.answer_ids)[:, None]).mean()

    found = torch.stack(list(score(family, rows, mean, batch=2, forward=plain_forward(family))))
    assert trained.losses[0] == pytest.approx(-float(found.mean()), abs=1e-5)
    baseline = [ScoreRow(e.prompt_ids, e.unwanted_ids) for e in items]
    plain = torch.stack(list(score(family, baseline, mean, batch=2, forward=plain_forward(family))))
    assert abs(float((found - plain).mean())) > 1e-3


def residual_norm(loaded: LoadedModel, layer: int) -> float:
    """Mean |h| at a layer's output over a few rows, the first position left out."""
    norms: list[float] = []
    handle = decoder_layers(loaded.module)[1][layer].register_forward_hook(
        lambda _m, _a, out: norms.append(float(out[0, 1:].norm(dim=-1).mean()))
    )
    with torch.inference_mode():
        for item in examples(4):
            loaded.module(torch.tensor([item.prompt_ids + item.unwanted_ids]))
    handle.remove()
    return sum(norms) / len(norms)


def fingerprint(module: Any) -> str:
    whole = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        whole.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()


def test_training_lowers_the_loss_at_a_fixed_norm_and_leaves_the_weights_alone(family: LoadedModel) -> None:
    before, asked = fingerprint(family.module), [p.requires_grad for p in family.module.parameters()]
    training = Training(objective=objective(norm=residual_norm(family, 1)), epochs=12, batch=4)
    trained = train(family, examples(8), training, random_start(WIDTH, 0))
    epoch = [sum(trained.losses[i : i + 2]) / 2 for i in range(0, 24, 2)]
    assert sum(epoch[-3:]) / 3 < 0.9 * epoch[0]
    assert fingerprint(family.module) == before
    assert [p.requires_grad for p in family.module.parameters()] == asked
    assert all(p.grad is None for p in family.module.parameters())
    assert list(trained.directions) == [1, 2, 4, 8, 12] == list(kept_epochs(12))
    for direction in trained.directions.values():
        assert float(direction.double().norm()) == pytest.approx(1.0, abs=1e-6)
    addition = trained.addition(epochs=4)
    assert (addition.magnitude, addition.norm, addition.layer, addition.span) == (
        0.8,
        training.objective.norm,
        1,
        "last",
    )


def test_a_checkpoint_is_the_vector_of_a_shorter_training(qwen: LoadedModel) -> None:
    long = train(
        qwen, examples(6), Training(objective=objective(), epochs=4, batch=4), random_start(WIDTH, 0)
    )
    short = train(
        qwen, examples(6), Training(objective=objective(), epochs=2, batch=4), random_start(WIDTH, 0)
    )
    assert torch.equal(long.directions[2], short.directions[2])
    assert not torch.equal(long.directions[4], long.directions[2])


class Killed(BaseException):
    pass


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_killed_and_resumed_ends_the_same(
    qwen: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    monkeypatch.setattr("vectors.training.SAVE_SECONDS", -1.0)  # every step is saved
    training = Training(objective=objective(loss="preference", kl=0.1), epochs=3, batch=3)
    data = {"neutral": examples(2, seed=9), "start": random_start(WIDTH, 0)}
    whole = train(qwen, examples(8), training, **data)

    def kill(done: int, _total: int, _loss: float) -> None:
        if done == stop:
            raise Killed

    state = tmp_path / "state.safetensors"
    with pytest.raises(Killed):
        train(qwen, examples(8), training, state=state, progress=kill, **data)
    seen: list[int] = []
    again = train(
        qwen, examples(8), training, state=state, progress=lambda done, _t, _l: seen.append(done), **data
    )
    assert seen[0] == stop  # the killed step was not saved: it is the first one done again
    assert again.losses == whole.losses
    for epochs in whole.directions:
        assert torch.equal(again.directions[epochs], whole.directions[epochs])
    train(qwen, examples(8), training, state=state, progress=lambda *_: pytest.fail("done twice"), **data)


def test_a_state_of_another_training_is_not_taken_up(qwen: LoadedModel, tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    first = Training(objective=objective(), epochs=1, batch=4)
    train(qwen, examples(4), first, random_start(WIDTH, 0), state=state)
    other = train(qwen, examples(4), replace(first, seed=1), random_start(WIDTH, 5), state=state)
    fresh = train(qwen, examples(4), replace(first, seed=1), random_start(WIDTH, 5))
    assert torch.equal(other.directions[1], fresh.directions[1])


@pytest.fixture
def planted(tmp_path: Path) -> tuple[LoadedModel, torch.Tensor]:
    """A model linear after layer 1 up to the final norm; token 17 is read out along a known direction."""
    loaded = tiny_model(tmp_path, "qwen3")
    model: Any = loaded.module
    axis = random_start(WIDTH, 77).double()
    with torch.no_grad():
        for block in model.model.layers[2:]:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        head = model.lm_head.weight.clone()
        head -= (head @ axis)[:, None] * axis
        head[17] = 6 * axis
        model.lm_head.weight = torch.nn.Parameter(head)
    return loaded, axis


def test_on_a_linear_planted_task_the_direction_and_its_effect_are_found(
    planted: tuple[LoadedModel, torch.Tensor],
) -> None:
    loaded, axis = planted
    items = [replace(e, unwanted_ids=(17,), wanted_ids=(40,)) for e in examples(40)]
    aim = objective(magnitude=2.0, norm=20.0, loss="preference")
    training = Training(objective=aim, epochs=20, batch=8)
    trained = train(loaded, items, training, random_start(WIDTH, 3))
    found = trained.directions[20].double()
    assert float(random_start(WIDTH, 3).double() @ axis) < 0.5
    # margin = W[17] h - W[40] h: the optimum leans away from row 40 as well
    difference = (loaded.module.lm_head.weight[17] - loaded.module.lm_head.weight[40]).detach()
    assert float(found @ difference / difference.norm()) > 0.95

    likely = replace(training, objective=replace(aim, loss="likelihood"))
    found = train(loaded, items, likely, random_start(WIDTH, 3)).directions[20].double()
    held = [replace(e, unwanted_ids=(17,)) for e in examples(20, seed=4)]
    with torch.no_grad():
        at_start, reached, by_plan = (
            float(loss_of(loaded, held, d, likely.objective))
            for d in (random_start(WIDTH, 3).double(), found, axis)
        )
    assert at_start - reached > 0.95 * (at_start - by_plan) > 1.0  # nats: the planted effect, recovered


def test_a_loss_that_is_not_finite_stops_with_the_last_good_step_kept(
    qwen: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state.safetensors"
    training = Training(objective=objective(), epochs=3, batch=4)
    whole = train(qwen, examples(4), training, random_start(WIDTH, 0))
    real, calls = loss_of, [0]

    def overflowing(*arguments: Any) -> torch.Tensor:
        calls[0] += 1
        return real(*arguments) * (math.inf if calls[0] == 3 else 1.0)

    monkeypatch.setattr("vectors.training.loss_of", overflowing)
    with pytest.raises(
        UserError, match=r"step 3 of 3 .*lower the learning rate \(0\.05\).*last good step is kept"
    ):
        train(qwen, examples(4), training, random_start(WIDTH, 0), state=state)
    again = train(qwen, examples(4), training, random_start(WIDTH, 0), state=state)
    assert torch.equal(again.directions[3], whole.directions[3])


def test_a_cut_state_file_is_named(qwen: LoadedModel, tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    training = Training(objective=objective(), epochs=1, batch=4)
    train(qwen, examples(4), training, random_start(WIDTH, 0), state=state)
    state.write_bytes(state.read_bytes()[:-40])
    with pytest.raises(UserError, match="not a whole training state"):
        train(qwen, examples(4), training, random_start(WIDTH, 0), state=state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"magnitude": 0.0}, "magnitude 0"),
        ({"norm": math.nan}, "norm nan"),
        ({"kl": -1.0}, "kl -1"),
    ],
)
def test_an_objective_that_cannot_be_trained_is_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        objective(**change)


def test_bad_training_input_is_refused(qwen: LoadedModel) -> None:
    start, training = random_start(WIDTH, 0), Training(objective=objective())
    bare = [Example((3, 4), (5,))]
    with pytest.raises(UserError, match="no item"):
        train(qwen, [], training, start)
    with pytest.raises(UserError, match="empty prompt or unwanted answer"):
        train(qwen, [Example((3, 4), ())], training, start)
    with pytest.raises(UserError, match="needs a wanted answer"):
        train(qwen, bare, replace(training, objective=objective(loss="preference")), start)
    with pytest.raises(UserError, match="needs neutral prompts"):
        train(qwen, bare, replace(training, objective=objective(kl=0.1)), start)
    with pytest.raises(UserError, match="layer 9 is not in the model"):
        train(qwen, bare, replace(training, objective=objective(layer=9)), start)
    with pytest.raises(UserError, match="another model"):
        train(qwen, bare, training, random_start(8, 0))
    with pytest.raises(UserError, match="NaN"):
        train(qwen, bare, training, start * math.nan)
    with pytest.raises(UserError, match="epochs 0"):
        Training(objective=objective(), epochs=0)


def test_left_padding_does_not_change_the_loss(qwen: LoadedModel) -> None:
    items, aim = examples(5), objective()
    direction = random_start(WIDTH, 1).double()
    together = loss_of(qwen, items, direction, aim).item()
    alone = [loss_of(qwen, [item], direction, aim).item() for item in items]
    assert together == pytest.approx(sum(alone) / len(alone), abs=1e-6)
    assert int((pad_left([e.prompt_ids for e in items], 0, torch.device("cpu"))[1] == 0).sum()) > 0
