"""A gate for a vector: steer where the prompt looks like the task's, and leave other prompts alone.

Made of prompts that are never evaluated: the task's extraction scenarios against neutral requests. Half of
either make the direction, the others say where the threshold lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.extraction.extract import extraction_source
from experiments.measures import load_probes
from experiments.options import VectorChoice
from experiments.session import Session, evaluation, vectors_cache
from steer.chat import render
from steer.errors import UserError
from steer.plan import prompt_texts
from steer.types import Arm, Gate, Scenario
from vectors.activations import cached_capture
from vectors.capture import Row
from vectors.contrasts import extraction_scenarios

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 0.95
"""Of the task's own prompts, the share that opens the gate."""


def check_gate(choice: VectorChoice, layers: Sequence[int]) -> None:
    """Raise UserError for a gate that would be read after a layer that is steered at."""
    if choice.gate_layer is not None and not 0 <= choice.gate_layer <= min(layers):
        raise UserError(
            f"--gate {choice.gate_layer}: it is read before anything is added, so allowed are layers 0 to "
            f"{min(layers)}, the first that is steered at"
        )


def gated(session: Session, choice: VectorChoice) -> VectorChoice:
    """The choice with its gate made, where it asks for one."""
    if choice.gate_layer is None:
        return choice
    return replace(choice, gate=gate_at(session, choice.gate_layer))


def gate_at(session: Session, layer: int) -> Gate:
    """The difference of means at the last prompt token, and the threshold that KEPT of the task's pass."""
    import torch

    known = [*session.scenarios, *evaluation(session.options)]
    sets = (
        extraction_scenarios(extraction_source(session.task), evaluation=known),
        load_probes(session).neutral,
    )
    own, neutral = (_last_states(session, some, layer) for some in sets)
    direction = (own[::2].mean(0) - neutral[::2].mean(0)).float()
    if not bool(direction.any()):
        raise UserError(
            f"--gate {layer}: the task's prompts and neutral ones do not differ there: take a later one"
        )
    unit = direction.double() / direction.double().norm()
    threshold = float(torch.quantile(own[1::2] @ unit, 1 - KEPT, interpolation="lower"))
    opened = float((neutral[1::2] @ unit >= threshold).double().mean())
    session.screen.note(
        f"gate at layer {layer}: {KEPT:.0%} of the task's prompts open it, and {opened:.0%} of neutral ones "
        "(neither set is evaluated)"
    )
    return Gate(direction, layer, threshold)


def _last_states(session: Session, some: Sequence[Scenario], layer: int) -> Tensor:
    """[prompt, d_model] fp64."""
    loaded = session.loaded
    rows: list[Row] = []
    for slot, scenario in enumerate(some):
        texts = prompt_texts(scenario, Arm(""), loaded.context)
        ids = render(loaded, *texts, thinking=session.thinking)
        rows.append(Row(ids, len(ids) - 1, len(ids), slot))
    found = cached_capture(
        loaded, rows, [layer], len(rows), cache=vectors_cache() / "cache", tick=lambda _: None
    )
    return found[:, 0].double()
