"""How the next token is chosen: greedy, or the inverse of the softmax's distribution at a hashed uniform.

The uniform for a token is a hash of (stream, step), where the stream is a hash of (seed, scenario,
sample). So a row's text depends on nothing but the row: not on its batch, its order or its device;
and arms share random numbers (common random numbers: differences between arms vary less).
It does not know models, rows' texts, or when a row ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steer.uploads import upload

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from steer.types import Request

TEMPERATURES = (0.01, 100.0)
"""Below, the largest logit is all there is (1e-308 makes NaN of a softmax); above, all tokens are alike."""

ROWS_AT_ONCE = 64
"""Rows whose softmax is held in fp64 at a time: 64 rows of a 152k vocabulary are 78 MB."""


def stream_of(seed: int, scenario_id: str, sample: int) -> int:
    """The 64-bit stream of a row, in [0, 2**64): sha256 of (seed, sample, scenario id)."""
    text = f"{seed}\n{sample}\n{scenario_id}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def as_int64(streams: Sequence[int], device: torch.device | str = "cpu") -> Tensor:
    """Streams [row] as int64, the same 64 bits (torch has little arithmetic on uint64)."""
    import torch

    return upload([_signed(value) for value in streams], device, torch.int64)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _mix(bits: Tensor) -> Tensor:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014, variant 13), on int64."""
    bits = (bits ^ (bits >> 30 & (1 << 34) - 1)) * _signed(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> 27 & (1 << 37) - 1)) * _signed(0x94D049BB133111EB)
    return bits ^ (bits >> 31 & (1 << 33) - 1)


def uniform(stream: Tensor, step: Tensor) -> Tensor:
    """Uniforms in [0, 1), [row] fp64, from stream [row] int64 and step [row] int64 (0 = first token).

    Integer arithmetic only up to the last line, so that every device gives the same numbers.
    52 bits, so that u * total < total below for every total.
    """
    counter = _mix(stream) + (step + 1) * _signed(0x9E3779B97F4A7C15)
    return (_mix(counter) >> 12 & (1 << 52) - 1).double() * 2.0**-52


@dataclass(frozen=True, slots=True, eq=False)
class How:
    """How the rows of a batch choose: temperature [row] fp64 (0: greedy) and stream [row] int64."""

    temperature: Tensor
    stream: Tensor
    greedy: bool  # all of them


def how(requests: Sequence[Request], device: torch.device | str) -> How:
    """The rows' own settings, where `choose` will need them."""
    import torch

    home = _home(torch.device(device))
    heat = [request.temperature for request in requests]
    return How(
        upload(heat, home, torch.float64),
        as_int64([request.stream for request in requests], home),
        not any(heat),
    )


def choose(logits: Tensor, rows: How, step: Tensor) -> tuple[Tensor, Tensor]:
    """The next token of each row, and which rows had a non-finite logit (their token is 0).

    logits: [row, vocab]; step: [row] int64, 0 for the first token.
    Returns tokens [row] int64 and bad [row] bool.
    """
    import torch

    device, home = logits.device, _home(logits.device)
    logits, step = logits.to(home), step.to(home)
    if logits.dtype == torch.float64:  # as transformers does: what ties in fp32 is the first token's
        logits = logits.float()
    heat, stream = rows.temperature.to(home), rows.stream.to(home)  # a model may end on another device
    # the largest logit is NaN if any is; a model may mask a token for good with -inf, but not all
    bad = ~logits.amax(-1).isfinite()
    tokens = logits.argmax(-1)
    if not rows.greedy:
        drawn = [
            _draw(part, temperature, u)
            for part, temperature, u in zip(
                logits.split(ROWS_AT_ONCE),
                heat.split(ROWS_AT_ONCE),
                uniform(stream, step).split(ROWS_AT_ONCE),
                strict=True,
            )
        ]
        tokens = torch.where(heat > 0, torch.cat(drawn), tokens)
    return tokens.masked_fill(bad, 0).to(device), bad.to(device)


def _home(device: torch.device) -> torch.device:
    """Where tokens are chosen: on the device, but Apple's GPUs have no fp64."""
    import torch

    return torch.device("cpu") if device.type == "mps" else device


def _draw(logits: Tensor, temperature: Tensor, u: Tensor) -> Tensor:
    """Inverse of the cumulative softmax at u, tokens in id order. [row, vocab], [row], [row] -> [row]."""
    heat = temperature.double().masked_fill(temperature == 0, 1.0)
    cumulative = (logits.double() / heat[:, None]).softmax(-1).cumsum(-1)
    target = u * cumulative[:, -1]
    return (cumulative <= target[:, None]).sum(-1)
