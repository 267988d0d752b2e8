"""The slot engine waits for its device once a step, for the tokens chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from steer.engines import graphs, slots
from steer.types import Response
from tests.engine_cases import requests, tiny_model
from tests.far import DEVICE, Far, Waits


@pytest.mark.parametrize(("family", "fast"), [("qwen3", None), ("llama", None), ("qwen3", "attention")])
def test_a_step_waits_once_for_its_device(
    family: str, fast: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more, at most, for the record of a steered row that ends; texts are those of the CPU."""
    rows, loaded = requests(5, 24), tiny_model(tmp_path, family)
    engine = slots.SlotEngine(loaded, batch=7, fast=fast)
    near = {r.key: replace(r, seconds=0.0) for r in engine.generate(rows)}
    steps: list[tuple[list[str], int]] = []
    step: Any = slots._Run._step  # pyright: ignore[reportPrivateUsage]
    with Waits(monkeypatch) as seen:

        def counted(run: Any) -> dict[int, Response]:
            begun = len(seen.names)
            ended: dict[int, Response] = step(run)
            steps.append((seen.names[begun:], sum(bool(r.applied) for r in ended.values())))
            return ended

        monkeypatch.setattr(slots._Run, "_step", counted)  # pyright: ignore[reportPrivateUsage]
        loaded.module._apply(Far)
        far = {r.key: replace(r, seconds=0.0) for r in engine.generate(rows)}
    assert far == near
    assert len(steps) > 15
    assert any(records > 1 for _, records in steps)
    assert {name for names, _ in steps for name in names} == {"_to_copy"}
    assert {len(names) for names, records in steps if records == 0} == {1}
    assert all(1 <= len(names) <= 1 + records for names, records in steps)


def test_what_a_graph_would_hold_waits_for_nothing_and_brings_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step of which a graph is made: the same texts, no wait, and nothing made by the host."""
    rows, loaded = requests(5, 10), tiny_model(tmp_path, "qwen3")
    engine = slots.SlotEngine(loaded, batch=4, fast="graphs")
    monkeypatch.setattr("steer.engines.graphs.capture", lambda work, _pool: work)
    near = {r.key: replace(r, seconds=0.0) for r in engine.generate(rows)}
    work: Any = graphs.Graphs._work  # pyright: ignore[reportPrivateUsage]
    sent: list[str] = []
    held: list[list[str]] = []
    with Waits(monkeypatch) as seen:

        def watched(self: Any, *kind: Any) -> None:
            begun = len(seen.names)
            with monkeypatch.context() as patch:
                patch.setattr("steer.uploads.send", lambda *_: sent.append("sent"))
                work(self, *kind)
            held.append(seen.names[begun:])

        monkeypatch.setattr(graphs.Graphs, "_work", watched)
        loaded.module._apply(Far)
        far = {r.key: replace(r, seconds=0.0) for r in engine.generate(rows)}
    assert far == near
    assert len(held) > 10
    assert sum(held, sent) == []


def test_every_kind_of_wait_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with Waits(monkeypatch) as seen:
        far, mask = torch.arange(4, device=DEVICE), torch.tensor([True, False, True, False])
        there = mask.to(DEVICE, non_blocking=True)
        assert (far + 1)[1:].sum().shape == ()
        assert seen.names == []
        waits = {
            "item": lambda: int(far.max()),
            "truth": lambda: bool((far > 2).any()),
            "list": far.tolist,
            "copy": far.cpu,
            "numpy": lambda: far.to("cpu").numpy(),
            "nonzero": lambda: there.nonzero(),
            "mask": lambda: far[there],
            "the host's indices": lambda: far[torch.arange(2)],
            "made by the host": lambda: torch.tensor([1, 2], device=DEVICE),
            "moved from the host": lambda: mask.to(DEVICE),
        }
        for name, wait in waits.items():
            seen.names.clear()
            wait()
            assert len(seen.names) == 1, (name, seen.names)
