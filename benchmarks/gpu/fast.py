"""The fast path of decode steps, part by part: is it right on this device, and what is it worth?"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks.gpu import decode, parity
from benchmarks.gpu.sections import Keep, Setup

ROUNDED = 2e-2
"""By which the kernel in bf16 may differ from its stand-in in fp64, on numbers of size 1."""


def attention(setup: Setup, keep: Keep) -> None:
    keep("kernel", _kernel(setup))
    keep("qwen3 bfloat16", found := parity.scores(setup, "attention"))
    if not found["within"]:
        raise AssertionError("log-probabilities are further off than batching or other attention makes them")
    _measure(setup, keep, "slots+attention")


def graphs(setup: Setup, keep: Keep) -> None:
    import torch

    with _captured(setup):
        both = ("slots+attention", "slots+graphs")
        keep("qwen3 bfloat16", parity.texts(setup, "qwen3", torch.bfloat16, both))
        _measure(setup, keep, "slots+graphs")


def _measure(setup: Setup, keep: Keep, kind: str) -> None:
    import torch

    keep("qwen3 float64", found := parity.texts(setup, "qwen3", torch.float64, (kind,)))
    if found["wrong"]:
        raise AssertionError("texts are not those of plain generation")
    wide, few = (4, 1) if setup.quick else (256, 64)
    plan = [
        (kind, wide, wide),
        (kind, wide, 0),
        (f"profile {kind}", wide, wide),
        (kind, few, 1),
        (kind, 1, 1),
    ]
    decode.measure(setup, keep, plan[:3] if setup.quick else plan)


def _kernel(setup: Setup) -> dict[str, Any]:
    """Rows of Qwen3-4B's heads over 3 prompts, one of no token, by the kernel and by its stand-in, fp64."""
    import torch

    from steer.engines import varlen

    draw = torch.Generator(setup.device).manual_seed(0)
    rows, group, heads, dim, width = (6, 2, 2, 16, 64) if setup.quick else (64, 4, 8, 128, 512)

    def random(*shape: int) -> Any:
        return torch.randn(*shape, generator=draw, device=setup.device).to(torch.bfloat16)

    query, keys, values = random(rows, group, heads, dim), *random(2, 3, width, heads, dim).transpose(2, 3)
    order = varlen.Order(rows, 3, group, torch.device(setup.device))
    order.lay([row % 3 for row in range(rows)], [width - 7, 0, 5], width)
    at = order.read(rows, width).stretches
    out, weight = varlen.attend(query, keys, values, at, dim**-0.5)
    exact, wide = varlen.attend(query.double(), keys.double(), values.double(), at, dim**-0.5)
    torch.testing.assert_close(out.double(), exact, rtol=ROUNDED, atol=ROUNDED)
    torch.testing.assert_close(weight.double(), wide, rtol=ROUNDED, atol=ROUNDED)
    return {
        "largest difference": float((out.double() - exact).abs().max()),
        "rows of no key": int(weight.isinf().sum()) // (group * heads),
    }


@contextmanager
def _captured(setup: Setup) -> Generator[None]:
    """Off a GPU, what records a step is the tests' own."""
    from tests.recorded import capture

    if setup.device.startswith("cuda"):
        yield
        return
    with patch("steer.engines.graphs.capture", capture):
        yield
