"""A trained vector: the model frozen, one direction fitted so that it gives the unwanted answers.

|v| = magnitude * n_L throughout: Adam moves a direction on the sphere, so that trained vectors are
compared at equal norm, not at whatever length the loss would buy. Deterministic, and resumable at any
step. It does not know the loss (`vectors.objective`), where pairs came from, or files of vectors.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from steer.atomic import write_atomically
from steer.blocks import decoder_layers
from steer.errors import UserError
from steer.interventions import validate
from steer.plan import digest
from steer.types import Addition, LoadedModel
from steer.versions import made_by
from vectors.objective import Example, Objective, frozen, loss_of, with_reference

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Adam

SAVE_SECONDS = 5.0
"""Training work that a kill may cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a vector is trained.

    learning_rate: of Adam on a direction of length sqrt(d_model), so per coordinate of size one.
    start: what the first direction was, in words; recorded.
    """

    objective: Objective
    epochs: int = 8
    batch: int = 8
    learning_rate: float = 0.05
    seed: int = 0
    start: str = "random"

    def __post_init__(self) -> None:
        for name, count in (("epochs", self.epochs), ("batch", self.batch)):
            if count < 1:
                raise UserError(f"{name} {count}: allowed are whole numbers from 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UserError(f"learning rate {self.learning_rate:g}: training needs a finite number above 0")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training made. directions: {epochs done: [d_model] fp32, unit length}, after 1, 2, 4, ... and all.

    losses: of every step, before it was taken. identity: hash of all that decides the result.
    """

    training: Training
    directions: dict[int, Tensor]
    losses: tuple[float, ...]
    identity: str

    def addition(self, *, epochs: int | None = None, magnitude: float | None = None) -> Addition:
        """The vector after `epochs` (all), at the magnitude it was trained at unless another is given."""
        made = self.training.objective
        return Addition(
            direction=self.directions[self.training.epochs if epochs is None else epochs],
            layer=made.layer,
            magnitude=made.magnitude if magnitude is None else magnitude,
            span=made.span,
            norm=made.norm,
            vector=self.identity,
        )


def random_start(d_model: int, seed: int) -> Tensor:
    """An isotropic direction of unit length, [d_model] fp32."""
    import torch

    direction = torch.randn(d_model, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (direction / direction.norm()).float()


def kept_epochs(epochs: int) -> tuple[int, ...]:
    """1, 2, 4, 8, ... and the last."""
    powers = {2**i for i in range(epochs.bit_length()) if 2**i <= epochs}
    return tuple(sorted(powers | {epochs}))


def train(
    loaded: LoadedModel,
    examples: Sequence[Example],
    training: Training,
    start: Tensor,
    *,
    neutral: Sequence[Example] = (),
    state: Path | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Trained:
    """Train a vector from `start` [d_model]; the model's weights are not touched.

    neutral: prompts with a continuation of the unsteered model as `unwanted_ids`; needed when kl > 0.
    state: a safetensors file from which an interrupted training of the same identity continues.
    progress: told (steps done, steps in all, loss).
    Raises UserError when the loss is not finite; `state` then holds the last good step.
    """
    objective = training.objective
    _check(loaded, examples, objective, start, neutral)
    fit = _start(loaded, training, start, identity_of(loaded, examples, training, start, neutral))
    if state is not None and state.is_file():
        fit.load(state)
    examples = with_reference(loaded, examples, objective, batch=training.batch)
    per_epoch = math.ceil(len(examples) / training.batch)
    total = per_epoch * training.epochs
    saved = time.monotonic()
    with frozen(loaded):
        while (done := len(fit.losses)) < total:
            epoch, place = divmod(done, per_epoch)
            chosen, quiet = (
                shuffled_batch(rows, training.batch, training.seed, epoch, place) if rows else []
                for rows in (examples, neutral if objective.kl else ())
            )
            loss = loss_of(loaded, chosen, fit.direction, objective, quiet)
            if not fit.step(loss):
                if state is not None:
                    fit.save(state)
                raise UserError(
                    f"the loss or its gradient is not finite at step {done + 1} of {total} (loss "
                    f"{float(loss.detach()):g}): lower the learning rate ({training.learning_rate:g}) or "
                    f"the magnitude ({objective.magnitude:g})"
                    + (f"; the last good step is kept in {str(state)!r}" if state is not None else "")
                )
            if place == per_epoch - 1 and epoch + 1 in kept_epochs(training.epochs):
                fit.kept[epoch + 1] = fit.direction.detach().cpu().clone()
            if progress is not None:
                progress(done + 1, total, fit.losses[-1])
            if state is not None and (done + 1 == total or time.monotonic() - saved > SAVE_SECONDS):
                fit.save(state)
                saved = time.monotonic()
    directions = {e: (d.double() / d.double().norm()).float() for e, d in sorted(fit.kept.items())}
    return Trained(training, directions, tuple(fit.losses), fit.identity)


@dataclass(slots=True, eq=False)
class _Fit:
    """A training under way. direction: [d_model], length sqrt(d_model); kept: it after 1, 2, 4 ... epochs."""

    identity: str
    direction: Tensor
    adam: Adam
    losses: list[float] = field(default_factory=list[float])
    kept: dict[int, Tensor] = field(default_factory=lambda: {})

    def step(self, loss: Tensor) -> bool:
        """Take a step on the sphere; False, with nothing changed, where loss or gradient is not finite."""
        import torch

        (self.direction.grad,) = torch.autograd.grad(loss, self.direction)
        if not bool(torch.isfinite(loss.detach()) & torch.isfinite(self.direction.grad).all()):
            return False
        self.adam.step()
        with torch.no_grad():
            self.direction.mul_(math.sqrt(self.direction.numel()) / self.direction.norm())
        self.losses.append(float(loss.detach()))
        return True

    def save(self, path: Path) -> None:
        """Everything needed to go on, in one safetensors file, replaced whole."""
        from safetensors.torch import save

        tensors = {f"kept.{epoch}": tensor for epoch, tensor in self.kept.items()}
        tensors["direction"] = self.direction.detach()
        moments = self.adam.state.get(self.direction, {})
        tensors |= {name: moments[name] for name in ("exp_avg", "exp_avg_sq") if name in moments}
        metadata = {"identity": self.identity, "losses": json.dumps(self.losses)}
        write_atomically(path, save({n: t.cpu().clone() for n, t in tensors.items()}, metadata))

    def load(self, path: Path) -> None:
        """Take up a training of the same identity; the file of another is replaced at the first save."""
        import torch
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("identity") != self.identity:
                    return
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise UserError(f"{str(path)!r} is not a whole training state ({error}): delete it") from error
        self.losses = json.loads(metadata["losses"])
        self.kept = {int(n.removeprefix("kept.")): t for n, t in tensors.items() if n.startswith("kept.")}
        with torch.no_grad():
            self.direction.copy_(tensors["direction"])
        if self.losses:
            moments = {name: tensors[name].to(self.direction) for name in ("exp_avg", "exp_avg_sq")}
            self.adam.state[self.direction] = {"step": torch.tensor(float(len(self.losses))), **moments}


def _start(loaded: LoadedModel, training: Training, start: Tensor, identity: str) -> _Fit:
    import torch

    device = next(decoder_layers(loaded.module)[1][training.objective.layer].parameters()).device
    wide = torch.float64 if loaded.module.dtype == torch.float64 else torch.float32
    unit = start.double() / start.double().norm()
    direction = (unit * math.sqrt(loaded.d_model)).to(device, wide).requires_grad_()
    return _Fit(identity, direction, torch.optim.Adam([direction], lr=training.learning_rate))


def shuffled_batch(rows: Sequence[Example], size: int, seed: int, epoch: int, place: int) -> list[Example]:
    """The place-th batch of an epoch, around again where rows are few.

    An epoch's order is a function of (seed, epoch) alone, so that a resumed training sees the same.
    """
    import torch

    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order: list[int] = torch.randperm(len(rows), generator=generator).tolist()
    start = place * size % len(order)
    return [rows[i] for i in order[start : start + size]]


def identity_of(
    loaded: LoadedModel,
    examples: Sequence[Example],
    training: Training,
    start: Tensor,
    neutral: Sequence[Example],
) -> str:
    """Hash of all that decides the trained direction."""
    return digest(
        {
            "made_by": made_by(),
            "weights": loaded.weights,
            "dtype": loaded.dtype,
            "training": asdict(training),
            "start": start.double().tolist(),
            "examples": [[e.prompt_ids, e.unwanted_ids, e.wanted_ids] for e in examples],
            "neutral": [[e.prompt_ids, e.unwanted_ids] for e in neutral] if training.objective.kl else [],
        }
    )


def _check(
    loaded: LoadedModel,
    examples: Sequence[Example],
    objective: Objective,
    start: Tensor,
    neutral: Sequence[Example],
) -> None:
    """Raise UserError for what cannot be trained."""
    if not examples:
        raise UserError("nothing to train on: no item was given")
    if any(not e.prompt_ids or not e.unwanted_ids for e in examples):
        raise UserError("an item to train on has an empty prompt or unwanted answer")
    if objective.loss == "preference" and any(not e.wanted_ids for e in examples):
        raise UserError("the preference loss needs a wanted answer in every item; add it, or use likelihood")
    if objective.kl and not neutral:
        raise UserError(f"kl {objective.kl:g} needs neutral prompts, and there are none")
    addition = Addition(
        start.float(), objective.layer, objective.magnitude, objective.span, norm=objective.norm
    )
    validate(addition, n_layers=loaded.n_layers, d_model=loaded.d_model)
