"""What a trained vector minimises, differentiable in its direction; the model is frozen.

    likelihood   mean over items of -log p_v(unwanted) a token
    preference   mean over items of -log sigmoid(beta * [log p_v(u)/p_0(u) - log p_v(w)/p_0(w)]),
                 u the unwanted and w the wanted answer (Cao et al. 2024, arXiv 2406.00045, eq. 2, one sign)
    kl > 0       adds kl * mean KL(p_0 || p_v), nats a token, on neutral prompts and their continuations

p_v is the model with v = magnitude * norm * d/|d| added by the very edit (`steer.interventions`) and span
that are used at test, p_0 the model without; an adapter minimises the same, p_v then being the model with
the adapter. It does not know optimisers or files.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from steer.blocks import decoder_layers, stream, with_stream
from steer.engines.batching import input_device, pad_left
from steer.errors import UserError
from steer.interventions import Slab, edit, span_mask, span_range
from steer.ropes import apart
from steer.side_effects import kl
from steer.types import LoadedModel, Span

if TYPE_CHECKING:
    from torch import Tensor

BETA = 0.1
"""Of the preference loss, as in Cao et al."""

Row = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a prompt, and of the answer whose tokens are scored."""


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids of one item: its prompt as rendered, the unwanted answer, the wanted one.

    reference: log p_0(unwanted) - log p_0(wanted); `train` fills it in where its loss needs it.
    """

    prompt_ids: tuple[int, ...]
    unwanted_ids: tuple[int, ...]
    wanted_ids: tuple[int, ...] = ()
    reference: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is minimised, and where the vector is added: |v| = magnitude * norm, norm = n_L for the span."""

    layer: int
    magnitude: float
    norm: float
    span: Span = "last"
    loss: Literal["likelihood", "preference"] = "likelihood"
    kl: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("magnitude", self.magnitude), ("norm", self.norm)):
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"{name} {value:g}: training needs a finite number above 0")
        if not (math.isfinite(self.kl) and self.kl >= 0):
            raise UserError(f"kl {self.kl:g}: allowed are finite numbers from 0 (0 leaves it out)")


def loss_of(
    loaded: LoadedModel,
    batch: Sequence[Example],
    direction: Tensor,
    objective: Objective,
    neutral: Sequence[Example] = (),
) -> Tensor:
    """The loss of a batch, a scalar differentiable in `direction` [d_model] (its length does not matter)."""
    delta = objective.magnitude * objective.norm * direction / direction.norm()
    loss = pair_loss(loaded, batch, delta, objective)
    return loss + objective.kl * divergence(loaded, neutral, delta, objective) if neutral else loss


def pair_loss(
    loaded: LoadedModel, batch: Sequence[Example], delta: Tensor | None, objective: Objective
) -> Tensor:
    """The loss of the pairs alone with `delta` [d_model] added, or of the model as it is (an adapter's)."""
    import torch

    unwanted = answer_log_probs(loaded, [(e.prompt_ids, e.unwanted_ids) for e in batch], delta, objective)
    if objective.loss == "likelihood":
        return -torch.stack([row.mean() for row in unwanted]).mean()
    wanted = answer_log_probs(loaded, [(e.prompt_ids, e.wanted_ids) for e in batch], delta, objective)
    margins = [
        BETA * (u.sum() - w.sum() - e.reference) for e, u, w in zip(batch, unwanted, wanted, strict=True)
    ]
    return -torch.nn.functional.logsigmoid(torch.stack(margins)).mean()


def answer_log_probs(
    loaded: LoadedModel,
    rows: Sequence[Row],
    delta: Tensor | None,
    objective: Objective,
) -> list[Tensor]:
    """log p of each answer token, [answer] a row, for (prompt, answer) rows with `delta` [d_model] added."""
    import torch

    found = _log_softmax(loaded, rows, delta, objective)
    return [
        logs.gather(-1, torch.tensor(answer, device=logs.device)[:, None])[:, 0]
        for logs, (_, answer) in zip(found, rows, strict=True)
    ]


def _log_softmax(
    loaded: LoadedModel,
    rows: Sequence[Row],
    delta: Tensor | None,
    objective: Objective,
) -> list[Tensor]:
    """The distributions that predict each row's answer, [answer, vocab], fp32 or wider."""
    import torch

    # the last answer token predicts nothing that is asked for: it is not fed
    fed = [prompt + answer[:-1] for prompt, answer in rows]
    if apart(loaded.module, rows, max(map(len, fed))):
        return [found for one in rows for found in _log_softmax(loaded, [one], delta, objective)]
    ids, mask, positions = pad_left(fed, loaded.stop_ids[0] if loaded.stop_ids else 0, input_device(loaded))
    longest = max(len(answer) for _, answer in rows)
    with _added(loaded, delta, objective, [len(prompt) for prompt, _ in rows], positions):
        logits = loaded.module(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions.clamp(min=0),
            use_cache=False,
            logits_to_keep=longest,
        ).logits
    wide = torch.float64 if logits.dtype == torch.float64 else torch.float32
    return [
        own[longest - len(answer) :].to(wide).log_softmax(-1)
        for own, (_, answer) in zip(logits, rows, strict=True)
    ]


@contextmanager
def _added(
    loaded: LoadedModel, delta: Tensor | None, objective: Objective, prompts: Sequence[int], positions: Tensor
) -> Generator[None]:
    """Add `delta` at the layer's output over the span, as an engine would, keeping its gradient."""
    import torch

    if delta is None:
        yield
        return
    block = decoder_layers(loaded.module)[1][objective.layer]
    device = next(block.parameters()).device
    ranges = torch.tensor([span_range(objective.span, prompt) for prompt in prompts], device=device)
    slab = Slab(
        delta=delta.to(device, loaded.module.dtype).expand(len(prompts), -1),
        start=ranges[:, 0],
        stop=ranges[:, 1],
        positions=ranges[:, 0],
        relative=ranges[:, 0],
    )
    mask = span_mask(positions.to(device), slab.start, slab.stop)

    def add(_module: Any, _arguments: Any, output: Any) -> Any:
        return with_stream(output, edit(stream(output, loaded.d_model), slab, mask))

    handle = block.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def divergence(
    loaded: LoadedModel,
    neutral: Sequence[Example],
    delta: Tensor | None,
    objective: Objective,
    *,
    unsteered: AbstractContextManager[Any] | None = None,
) -> Tensor:
    """Mean over rows of KL(unsteered || steered) a continuation token, in nats.

    unsteered: inside it the model is the unsteered one, where an adapter steers it instead of `delta`.
    """
    import torch

    rows = [(e.prompt_ids, e.unwanted_ids) for e in neutral]
    with torch.no_grad(), unsteered or nullcontext():
        plain = _log_softmax(loaded, rows, None, objective)
    steered = _log_softmax(loaded, rows, delta, objective)
    return torch.stack([kl(p, q).mean() for p, q in zip(plain, steered, strict=True)]).mean()


def with_reference(
    loaded: LoadedModel, examples: Sequence[Example], objective: Objective, *, batch: int
) -> list[Example]:
    """The examples, each with what the unsteered model says of its two answers."""
    import torch

    if objective.loss == "likelihood":
        return list(examples)
    found: list[Example] = []
    with torch.inference_mode():
        for start in range(0, len(examples), batch):
            part = examples[start : start + batch]
            u = answer_log_probs(loaded, [(e.prompt_ids, e.unwanted_ids) for e in part], None, objective)
            w = answer_log_probs(loaded, [(e.prompt_ids, e.wanted_ids) for e in part], None, objective)
            found += [
                replace(e, reference=float(first.sum() - second.sum()))
                for e, first, second in zip(part, u, w, strict=True)
            ]
    return found


@contextmanager
def frozen(loaded: LoadedModel) -> Generator[None]:
    """No parameter asks for a gradient inside, so that autograd starts at the layer that is steered."""
    parameters = list(loaded.module.parameters())
    asked = [p.requires_grad for p in parameters]
    for p in parameters:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p, before in zip(parameters, asked, strict=True):
            p.requires_grad_(before)
