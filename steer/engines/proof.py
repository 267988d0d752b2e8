"""An engine proves itself before it is relied on: it computes what the model alone computes.

A few of the prompts asked for go through the engine, unsteered, and, a row at a time, through one plain
forward of the module as it was loaded: its own attention, no cache, no pads. The logits at the last
prompt token and at a decode step must be the same, and so must the log-probabilities of answers scored;
additions are proven by `steer.canary`. Nothing here knows how an engine works: its logits are seen
where they leave the module.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steer.adapters import active
from steer.engines.batching import input_device, refusal
from steer.errors import UserError
from steer.ropes import own_positions
from steer.types import Engine, Limits, LoadedModel, Request, Response, ScoreRow

if TYPE_CHECKING:
    from torch import Tensor, nn

PROMPT_TOKENS = 1024
"""Longer prompts are cut to so many: a proof must cost little beside the run."""

NEW_TOKENS = 2
"""Logits at the last prompt token, and at a decode step."""

TOLERANCE = {"torch.float64": 1e-9, "torch.float32": 1e-3, "torch.bfloat16": 0.1, "torch.float16": 0.05}
"""Largest |difference| / |logits - their mean| over the vocabulary, by dtype of the model."""


class ProofError(UserError):
    """The engine computes otherwise than the model alone."""


def longest_proof(loaded: LoadedModel) -> int:
    """Tokens of a prompt to prove: where frequencies follow the row's length, decoding is not one forward."""
    return max(1, min(PROMPT_TOKENS, own_positions(loaded.module) - NEW_TOKENS - 1))


def samples(
    requests: Iterable[Request], window: int, most: int = PROMPT_TOKENS
) -> tuple[tuple[int, ...], ...]:
    """The longest and the shortest prompt of those that can run, of different lengths; none of none.

    window: the model's (`LoadedModel.window`). most: longer ones are cut to so many tokens.
    """
    prompts = {request.prompt_ids for request in requests if refusal(request, window) is None}
    if not prompts:
        return ()
    ordered = sorted(prompts, key=lambda ids: (len(ids), ids))
    most = min(most, window - NEW_TOKENS) if window else most
    shortest, longest = ordered[0][:most], ordered[-1][:most]
    if len(shortest) == len(longest):
        shortest = longest[: max(1, len(longest) // 2)]
    return longest, shortest


def prove_generation(
    engine: Engine, loaded: LoadedModel, prompts: Sequence[tuple[int, ...]], adapter: str
) -> None:
    """Raise ProofError unless the engine, given these prompts in one batch, has the module's own logits."""
    import torch

    asked = [
        Request(str(index), ids, (), limits=Limits(len(ids), NEW_TOKENS), adapter=adapter)
        for index, ids in enumerate(prompts)
    ]
    with _watch(loaded.module) as seen:
        responses = {response.key: response for response in engine.generate(asked)}
    logits = torch.cat(seen)
    for request in asked:
        response = responses[request.key]
        plain = _plain(loaded, request.prompt_ids + response.output_ids[: NEW_TOKENS - 1], adapter)
        _same_logits(response, len(request.prompt_ids), plain, logits, TOLERANCE[str(loaded.module.dtype)])


def prove_scores(engine: Engine, loaded: LoadedModel, row: ScoreRow) -> None:
    """Raise ProofError unless scores are the module's own: of rows with one prompt, and of another length.

    row: one of those asked for; its additions are left out, a long prompt or answer is cut.
    """
    prompt, answer = row.prompt_ids[: longest_proof(loaded)], row.answer_ids[:NEW_TOKENS]
    rows = [
        ScoreRow(prompt, answer, adapter=row.adapter),
        ScoreRow(prompt, answer[:1], adapter=row.adapter),
        ScoreRow(prompt[: max(1, len(prompt) // 2)], answer, adapter=row.adapter),
    ]
    tolerance = max(TOLERANCE[str(loaded.module.dtype)], 1e-5)  # log-probabilities are fp32
    for asked, scored in zip(rows, engine.score(rows, lambda _, logs: logs), strict=True):
        fed = asked.prompt_ids + asked.answer_ids[:-1]
        plain = _plain(loaded, fed, row.adapter)[-len(asked.answer_ids) :].log_softmax(-1)
        for own, theirs in zip(plain, scored.to(plain), strict=True):
            if (off := _distance(theirs[None], own)) > tolerance:
                raise ProofError(
                    f"a score of {len(asked.prompt_ids)} prompt tokens is off the model's own by {off:.2g} "
                    f"of the log-probabilities (allowed {tolerance:g})"
                )


def _same_logits(response: Response, prompt: int, plain: Tensor, seen: Tensor, tolerance: float) -> None:
    """Raise ProofError unless a response was made from the plain logits [step, vocab].

    seen: [row, vocab], all that left the module meanwhile. Which row is whose is the engine's matter: the
    right one must be among them, and the token chosen must be a largest of the plain ones.
    """
    own = plain[-min(NEW_TOKENS, len(plain)) :]
    for step, logits in enumerate(own):
        where = f"at decode step {step} after {prompt} prompt tokens"
        off = _distance(seen, logits)
        if off > tolerance:
            raise ProofError(
                f"{where} the logits are off the model's own by {off:.2g} (allowed {tolerance:g})"
            )
        if step >= len(response.output_ids):
            if logits.isfinite().any() and not logits.isnan().any():
                raise ProofError(f"{where} the row failed: {response.error}")
            return
        chosen = logits[response.output_ids[step]]
        if logits.max() - chosen > 2 * tolerance * _size(logits):
            raise ProofError(f"{where} the token chosen is not the model's own choice")


def _distance(rows: Tensor, logits: Tensor) -> float:
    """The least |row - logits| / |logits - mean| over the rows [row, vocab]; 0 of logits that are not finite.

    A model may mask a token for good (-inf): such tokens are left out.
    """
    finite = logits.isfinite()
    if not bool(finite.any()) or bool(logits.isnan().any()):
        return 0.0
    off = (rows[:, finite] - logits[finite]).norm(dim=-1) / _size(logits)
    return float(off.nan_to_num(float("inf")).min())


def _size(logits: Tensor) -> Tensor:
    kept = logits[logits.isfinite()]
    return (kept - kept.mean()).norm().clamp(min=1e-30)


def _plain(loaded: LoadedModel, ids: tuple[int, ...], adapter: str) -> Tensor:
    """The module's own logits at the last positions, [at most NEW_TOKENS, vocab] fp64."""
    import torch

    knows = "logits_to_keep" in inspect.signature(loaded.module.forward).parameters
    more = {"logits_to_keep": NEW_TOKENS} if knows else {}
    fed = torch.tensor([ids], device=input_device(loaded))
    with active(loaded.module, adapter), torch.inference_mode():
        return loaded.module(input_ids=fed, use_cache=False, **more).logits[0, -NEW_TOKENS:].double().cpu()


@contextmanager
def _watch(module: nn.Module) -> Generator[list[Tensor]]:
    """Record the last position's logits [row, vocab] of each forward, in fp64."""
    seen: list[Tensor] = []

    def hook(_module: nn.Module, _args: object, output: Any) -> None:
        seen.append(output.logits[:, -1].detach().double().cpu())

    handle = module.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()
