"""What capturing every layer costs beside the bare forwards it reads."""

from __future__ import annotations

from benchmarks.capture import bare, random_rows
from benchmarks.gpu.decode import model
from benchmarks.gpu.rates import seconds
from benchmarks.gpu.sections import Keep, Setup


def run(setup: Setup, keep: Keep) -> None:
    from vectors.capture import capture

    loaded = model(setup)
    rows = random_rows(
        loaded.module.config.vocab_size, rows=6 if setup.quick else 128, shortest=20, longest=200
    )
    tokens = 8192
    repeats = 1 if setup.quick else 3
    forwards = seconds(lambda: bare(loaded, rows, tokens), setup.device, repeats)
    keep("forwards", {"seconds": forwards})
    layers = range(loaded.n_layers)
    captured = seconds(
        lambda: capture(loaded, rows, layers=layers, slots=len(rows), batch_tokens=tokens),
        setup.device,
        repeats,
    )
    keep("capture", {"seconds": captured, "over forwards": captured / forwards})
