"""The reference engine: batched, left-padded Hugging Face generation under nnsight, arms mixed in a batch.

It is the plain way to do it, kept as what every faster engine must equal.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from steer.blocks import decoder_layers, stream, with_stream
from steer.engines import scoring
from steer.engines.batching import (
    in_batches,
    input_device,
    pad_left,
    prompt_length,
    refusal,
    with_adapters,
)
from steer.errors import UserError
from steer.interventions import Steering
from steer.ropes import apart
from steer.sampling import choose, how
from steer.tracing import traced
from steer.types import LoadedModel, Read, Reading, Request, Response, ScoreRow

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DEFAULT_BATCH = 32


class ReferenceEngine:
    """Generates and scores through nnsight. batch: the most rows at once (halved when memory runs out)."""

    def __init__(self, loaded: LoadedModel, *, batch: int | None = None) -> None:
        self.name = "nnsight" if batch != 1 else "nnsight (a row at a time)"
        self._loaded, self._batch = loaded, batch or DEFAULT_BATCH
        self._layers = decoder_layers(loaded.module)[1]
        self._model, self._blocks = traced(loaded)

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Responses a batch at a time, so that an interrupt loses the running batch at most."""
        failed: list[Response] = []

        def runnable() -> Iterator[Request]:
            for request in requests:
                refused = refusal(request, self._loaded.window)
                if refused is None:
                    yield request
                else:
                    failed.append(refused)

        def run(part: Sequence[Request]) -> list[Response]:
            return with_adapters(self._loaded.module, part, self._generate)

        for done in in_batches(runnable(), self._batch, run, length=prompt_length):
            yield from failed
            failed.clear()
            yield from (response for _, response in done)
        yield from failed

    def score(self, rows: Iterable[ScoreRow], read: Read | Reading) -> Iterator[Tensor]:
        """As the protocol says; right answers to questions of fluency, drift and judging."""
        chosen = scoring.read_at(read, self)
        return scoring.score(self._loaded, rows, chosen, batch=self._batch, forward=self._forward)

    def _generate(self, requests: Sequence[Request]) -> list[Response]:
        began = time.perf_counter()
        loaded = self._loaded
        prompts = [request.prompt_ids for request in requests]
        new = max(request.limits.new for request in requests)
        if apart(loaded.module, requests, max(map(len, prompts)) + new):
            return [response for one in requests for response in self._generate([one])]
        ids, mask, positions = pad_left(prompts, 0, input_device(loaded))
        steering = Steering(
            self._layers, rows=len(requests), d_model=loaded.d_model, dtype=loaded.module.dtype
        )
        for row, request in enumerate(requests):
            steering.set(row, request.additions, len(request.prompt_ids))
        rows = _Rows(requests, positions)
        layers, blocks = steering.layers, self._blocks
        options = {
            "max_new_tokens": new,
            "do_sample": False,  # the processor below leaves one token, which greedy search then takes
            "logits_processor": [rows.choose],
            "stopping_criteria": [rows.finished],
        }
        with _own_defaults(loaded.module), _within(loaded), warnings.catch_warnings():
            # it says that generation ended before `tracer.all()` did, as it always does
            warnings.filterwarnings("ignore", module="nnsight")
            with self._model.generate(**options) as tracer:  # noqa: SIM117 (nnsight reads this source)
                with tracer.invoke({"input_ids": ids, "attention_mask": mask}):
                    if layers:
                        for step in tracer.all():
                            for layer in layers:
                                output = blocks[layer].output  # waits until the forward gets here,
                                hidden = stream(output, loaded.d_model)
                                if layer == layers[0]:  # so only now are the rows' ends known
                                    steering.begin(rows.fed(step, hidden.shape[1]))
                                blocks[layer].output = with_stream(output, steering.edit(layer, hidden))
        seconds = (time.perf_counter() - began) / len(requests)
        return [rows.response(row, request, steering, seconds) for row, request in enumerate(requests)]

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, keep: int, steering: Steering) -> Tensor:
        layers, blocks, model = steering.layers, self._blocks, self._model
        batch = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        with model.trace(batch, use_cache=False, logits_to_keep=keep):
            for layer in layers:
                output = blocks[layer].output
                blocks[layer].output = with_stream(
                    output, steering.edit(layer, stream(output, steering.d_model))
                )
            logits = model.output.logits.save()
        return logits


class _Rows:
    """Chooses the tokens of a batch, and keeps what it chose: a logits processor and a stopping criterion.

    A row that has ended keeps running with its batch: it is not edited, counted or recorded.
    """

    def __init__(self, requests: Sequence[Request], prompts: Tensor) -> None:
        """prompts: their positions [row, position], left-padded with -1."""
        import torch

        device = prompts.device

        def column(values: list[Any], dtype: torch.dtype) -> Tensor:
            return torch.tensor(values, dtype=dtype, device=device)

        self._prompts = prompts
        self._prompt = column([len(r.prompt_ids) for r in requests], torch.int64)
        self._limit = column([r.limits.new for r in requests], torch.int64)
        self._how = how(requests, device)
        width = max(1, *(len(r.stop_ids) for r in requests))
        stops = [list(r.stop_ids) + [-1] * (width - len(r.stop_ids)) for r in requests]
        self._stops = column(stops, torch.int64)  # [row, stop], padded with -1
        self._tokens: list[Tensor] = []  # [row] a step
        self._bad: list[Tensor] = []
        self._ended = torch.zeros(len(requests), dtype=torch.bool, device=device)

    def choose(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores [row, vocab] that leave one token a row."""
        import torch

        step = torch.full_like(self._prompt, len(self._tokens))
        tokens, bad = choose(scores, self._how, step)
        self._tokens.append(tokens)
        self._bad.append(bad)
        stopped = (tokens[:, None] == self._stops).any(-1)
        self._ended = self._ended | bad | stopped | (step + 1 >= self._limit)
        return torch.full_like(scores, float("-inf")).scatter(1, tokens[:, None], 0.0)

    def finished(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return self._ended

    def fed(self, step: int, width: int) -> Tensor:
        """Positions [row, width] of the tokens fed at a forward: all, or the newest; -1 for ended rows."""
        import torch

        if step and width == 1:
            found = (self._prompt + step - 1)[:, None]
        else:
            steps = torch.arange(step, device=self._prompt.device)
            found = torch.cat([self._prompts, self._prompt[:, None] + steps], 1)
        if width != found.shape[1]:
            raise UserError(
                f"the model took {width} of {found.shape[1]} positions at forward {step + 1}: vectors can be "
                "added where all are fed, or the newest; steer it by a suffix"
            )
        return found.masked_fill(self._ended[:, None], -1)

    def response(self, row: int, request: Request, steering: Steering, seconds: float) -> Response:
        applied = steering.applied(row)
        output: list[int] = []
        for tokens, bad in zip(self._tokens, self._bad, strict=True):
            if bad[row]:
                error = f"a logit of output token {len(output)} is not finite"
                return Response(request.key, tuple(output), "failed", error, applied, seconds)
            output.append(int(tokens[row]))
            if output[-1] in request.stop_ids:
                return Response(request.key, tuple(output), "stop", "", applied, seconds)
            if len(output) >= request.limits.new:
                break
        return Response(request.key, tuple(output), "length", "", applied, seconds)


@contextmanager
def _own_defaults(module: Any) -> Generator[None]:
    """Generate under an empty generation config: a model ships sampling defaults that are not ours."""
    from transformers import GenerationConfig

    shipped, module.generation_config = module.generation_config, GenerationConfig(pad_token_id=0)
    try:
        yield
    finally:
        module.generation_config = shipped


@contextmanager
def _within(loaded: LoadedModel) -> Generator[None]:
    """A row that has ended runs on with its batch: its positions stay among those the model looks up."""

    def clamp(_module: object, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        positions = given.get("position_ids")
        if positions is not None:
            given["position_ids"] = positions.clamp(max=loaded.window - 1)
        return args, given

    if not loaded.window:
        yield
        return
    handle = loaded.module.register_forward_pre_hook(clamp, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
