"""The uniform of a token depends on (seed, scenario, sample, step) alone, and tokens follow the softmax."""

from __future__ import annotations

import hashlib
import random

import pytest
import torch

from steer.sampling import How, as_int64, choose, how, stream_of, uniform
from steer.types import Request

MASK = 2**64 - 1


def drawn(
    logits: torch.Tensor, temperature: torch.Tensor, stream: torch.Tensor, step: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    return choose(logits, How(temperature.double(), stream, not bool(temperature.any())), step)


def mix(z: int) -> int:
    """splitmix64's finalizer in Python integers, from its paper."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_uniform_equals_integer_arithmetic_done_in_python() -> None:
    draw = random.Random(0)
    streams = [0, 1, 2**63 - 1, 2**63, MASK] + [draw.getrandbits(64) for _ in range(200)]
    steps = [draw.randrange(0, 20_000) for _ in streams]
    expected = [
        (mix((mix(s) + (k + 1) * 0x9E3779B97F4A7C15) & MASK) >> 12) / 2**52
        for s, k in zip(streams, steps, strict=True)
    ]
    assert uniform(as_int64(streams), torch.tensor(steps)).tolist() == expected


def test_stream_is_the_first_eight_bytes_of_the_hash_and_separates_its_parts() -> None:
    assert stream_of(7, "a/3", 2) == int.from_bytes(hashlib.sha256(b"7\n2\na/3").digest()[:8], "big")
    assert (
        len({stream_of(1, "1", 1), stream_of(11, "1", 1), stream_of(1, "11", 1), stream_of(1, "1", 11)}) == 4
    )


def test_uniforms_of_neighbouring_streams_and_steps_are_uniform_and_uncorrelated() -> None:
    from scipy.stats import kstest

    for streams, steps in [
        (torch.arange(20_000), torch.zeros(20_000, dtype=torch.int64)),
        (torch.zeros(20_000, dtype=torch.int64), torch.arange(20_000)),
    ]:
        u = uniform(streams, steps)
        assert kstest(u.numpy(), "uniform").pvalue > 1e-3
        assert abs(float(torch.corrcoef(torch.stack([u[1:], u[:-1]]))[0, 1])) < 0.03


def test_sampled_tokens_follow_the_softmax_at_the_temperature() -> None:
    from scipy.stats import chisquare

    logits, n = torch.tensor([0.3, -1.0, 2.0, 0.0, -0.5]), 40_000
    for temperature in (0.5, 1.0, 2.0):
        tokens, bad = drawn(
            logits.expand(n, -1),
            torch.full((n,), temperature),
            torch.arange(n),
            torch.zeros(n, dtype=torch.int64),
        )
        expected = (logits.double() / temperature).softmax(-1) * n
        assert not bad.any()
        assert chisquare(tokens.bincount(minlength=5).numpy(), expected.numpy()).pvalue > 1e-3


def test_token_is_the_inverse_of_the_cumulative_distribution_in_id_order() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(300, 50, generator=generator) * 3
    stream, step = torch.arange(300), torch.arange(300) % 7
    tokens, _ = drawn(logits, torch.full((300,), 0.8), stream, step)
    for row in range(300):
        cumulative, u = 0.0, float(uniform(stream[row : row + 1], step[row : row + 1]))
        for token, p in enumerate((logits[row].double() / 0.8).softmax(-1).tolist()):  # noqa: B007
            cumulative += p
            if u < cumulative:
                break
        assert int(tokens[row]) == token


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    logits = torch.tensor([float("-inf"), 0.0, float("-inf"), 0.0, float("-inf")]).expand(5000, -1)
    tokens, bad = drawn(logits, torch.ones(5000), torch.arange(5000), torch.zeros(5000, dtype=torch.int64))
    assert set(tokens.tolist()) == {1, 3}
    assert not bad.any()


def test_a_rows_token_does_not_depend_on_its_batch() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(200, 90, generator=generator)
    heat = torch.rand(200, generator=generator).where(torch.arange(200) % 3 > 0, torch.tensor(0.0))
    stream, step = torch.arange(200) * 977, torch.arange(200)
    whole, _ = drawn(logits, heat, stream, step)
    for row in range(200):
        part = slice(row, row + 1)
        assert int(drawn(logits[part], heat[part], stream[part], step[part])[0]) == int(whole[row])
    assert torch.equal(whole[heat == 0], logits[heat == 0].argmax(-1))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_non_finite_logit_marks_its_row_and_no_other(value: float) -> None:
    logits = torch.zeros(3, 10)
    logits[1, 4] = value
    for heat in (0.0, 1.0):
        tokens, bad = drawn(
            logits, torch.full((3,), heat), torch.arange(3), torch.zeros(3, dtype=torch.int64)
        )
        clean, _ = drawn(
            torch.zeros(3, 10), torch.full((3,), heat), torch.arange(3), torch.zeros(3, dtype=torch.int64)
        )
        assert bad.tolist() == [False, True, False]
        assert tokens[0] == clean[0]
        assert tokens[2] == clean[2]


def test_settings_of_rows_keep_all_bits_of_temperature_and_stream() -> None:
    rows = [Request("a", (1,), (), temperature=0.7, stream=MASK), Request("b", (1,), ())]
    settings = how(rows, "cpu")
    assert settings.temperature.tolist() == [0.7, 0.0]
    assert settings.stream.tolist() == [-1, 0]
    assert not settings.greedy
    assert how(rows[1:], "cpu").greedy
