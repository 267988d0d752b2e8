"""Where suffixes and the vector move the residual stream of a run's scenarios, layer by layer.

Read at the last prompt token, and over the first tokens of the unsteered answer, teacher-forced under every
arm. A suffix is held against a neutral one of its length, so that what is read is not the prompt's length;
the vector against nothing added.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.session import Session, plan_arms
from experiments.sweep.choice import OutOfFold
from steer.elsewhere import each
from steer.errors import UserError
from steer.intervals import Array
from steer.plan import Planned
from steer.resampling import bootstrap_weights
from steer.results.mechanism import ShiftAt, StreamShift
from steer.shifts import as_array, random_band, shifted
from steer.store import RunStore
from steer.types import Arm, LoadedModel
from vectors.capture import Row, capture
from vectors.contrasts import LAST_PROMPT, token_ids
from vectors.vector import SteeringVector

FIRST = 16
FIRST_TOKENS = f"first {FIRST} tokens of the unsteered answer"
LIKE = 0.1
"""Of a suffix's tokens: a neutral text that is longer or shorter by more is no counterpart."""
TOGETHER = 32
"""Rows read between two signs of life."""


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """An arm, what it is held against, and by half the arm that stands for it there."""

    arm: OutOfFold
    against: str


def counterpart(loaded: LoadedModel, suffix: str, neutral: str) -> tuple[str, str]:
    """A neutral text of the suffix's length in tokens, and what was done to make it ("" for nothing).

    Raises UserError where there is none, or none can be made by repeating and trimming.
    """
    if not neutral.strip():
        raise UserError(
            'the suffixes have no neutral text to hold their shift against: add "neutral" to their file'
        )
    wanted, there = len(token_ids(loaded, suffix)), len(token_ids(loaded, neutral))
    if abs(there - wanted) <= LIKE * wanted:
        return neutral, ""
    pieces = re.findall(r"\S+\s*", f"{neutral.strip()}\n")
    pieces *= 1 + math.ceil(wanted / there)

    def first(count: int) -> str:
        return "".join(pieces[:count]).strip()

    best = min(range(1, len(pieces) + 1), key=lambda n: abs(len(token_ids(loaded, first(n))) - wanted))
    made = len(token_ids(loaded, first(best)))
    if abs(made - wanted) > LIKE * wanted:
        raise UserError(
            f"the neutral text of {there} tokens cannot be cut to the suffix's {wanted} (nearest: {made}): "
            "give one of like length"
        )
    how = "trimmed" if made < there else "repeated and trimmed"
    return first(best), f"the neutral text of {there} tokens was {how} to {made}, for a suffix of {wanted}"


def stream_shifts(
    session: Session,
    store: RunStore,
    axes: Mapping[str, SteeringVector],
    steered: tuple[Arm, Arm] | None,
    half: Mapping[str, int],
    notes: list[str],
) -> Iterator[StreamShift]:
    """Of pro and anti against neutral, and of the chosen vector against the baseline, at either read.

    axes: directions, the steering vector's first; its layers are read. steered: the arm that either half
    chose. notes: told how neutral texts were made.
    """
    arms = {"baseline": Arm("baseline")}
    moved: list[Moved] = []
    for side in ("pro", "anti"):
        text: str = getattr(session.suffixes.pair, side)
        neutral, made = counterpart(session.loaded, text, session.suffixes.neutral)
        notes += [f"{side}: {made}"] if made else []
        against = f"neutral for {side}"
        arms |= {side: Arm(side, text), against: Arm(against, neutral)}
        moved.append(Moved(OutOfFold(side, (side, side)), against))
    if steered is not None:
        arms |= {arm.name: arm for arm in steered}
        moved.append(Moved(OutOfFold("vector +", (steered[0].name, steered[1].name)), "baseline"))
    layers = next(iter(axes.values())).layers
    directions = {name: {k: as_array(d) for k, d in axis.directions.items()} for name, axis in axes.items()}
    categories = {scenario.id: scenario.category for scenario in session.scenarios}
    for read, states in _states(session, store, list(arms.values()), layers).items():
        suffix_moved: Array | None = None
        for one in moved:
            there = [s for s in categories if s in states["baseline"]]
            change = np.stack(
                [states[one.arm.reported_on(half[s])][s] - states[one.against][s] for s in there]
            )  # [scenario, layer, d_model]
            own = np.stack([states["baseline"][s] for s in there])
            weights = bootstrap_weights([categories[s] for s in there], seed=0)
            known = dict(directions)
            if suffix_moved is not None and one.against == "baseline":
                mean = suffix_moved.mean(0)
                known["pro's shift"] = {layer: mean[k] for k, layer in enumerate(layers)}
            suffix_moved = change if one.arm.name == "pro" else suffix_moved
            edited = [edit.layer for name in one.arm.arms for edit in arms[name].additions]
            begin = min(edited, default=0)  # before it nothing moves but what rounding does
            found = [
                _at(layer, change[:, k], known, float(np.linalg.norm(own[:, k], axis=-1).mean()), weights)
                for k, layer in enumerate(layers)
                if layer >= begin
            ]
            yield StreamShift(
                arm=one.arm.name, against=one.against, read=read, scenarios=len(there), layers=tuple(found)
            )


def _at(
    layer: int, change: Array, known: Mapping[str, Mapping[int, Array]], norm: float, weights: Array
) -> ShiftAt:
    axes = {name: axis[layer] for name, axis in known.items() if layer in axis}
    found = shifted(change, np.stack(list(axes.values())), norm, weights)
    cosines, shares = random_band(change)
    return ShiftAt(
        layer=layer,
        size=found.size,
        size_ci=found.size_ci,
        axes=dict(zip(axes, found.axes, strict=True)),
        random_cosine=cosines,
        random_share=shares,
    )


def _states(
    session: Session, store: RunStore, arms: Sequence[Arm], layers: Sequence[int]
) -> dict[str, dict[str, dict[str, Array]]]:
    """{read: {arm: {scenario: [layer, d_model]}}}; none where a scenario has no unsteered answer."""
    planned = plan_arms(session, arms)
    prompts = _prompts(planned)
    keys = {row.response: row.scenario for row in planned.rows if row.arm == "baseline" and row.sample == 0}
    answers = {keys[key]: output[:FIRST] for key, _, output, _ in store.answers() if key in keys and output}
    additions = {arm.name: arm.additions for arm in arms}
    places: list[tuple[str, str, str]] = []
    rows: list[Row] = []
    for (arm, scenario), prompt in prompts.items():
        end = len(prompt)
        row = Row(prompt, end - 1, end, 0, additions[arm], end)
        rows.append(row)
        places.append((LAST_PROMPT, arm, scenario))
        if answer := answers.get(scenario):
            rows.append(replace(row, ids=prompt + answer, start=end, end=end + len(answer)))
            places.append((FIRST_TOKENS, arm, scenario))
    parts = [rows[i : i + TOGETHER] for i in range(0, len(rows), TOGETHER)]
    found: dict[str, dict[str, dict[str, Array]]] = {}
    at = iter(places)
    with session.screen.progress(stream=len(rows)) as tick:
        for part in each(session.loaded, _read, ((part, tuple(layers)) for part in parts)):
            for values in part:
                read, arm, scenario = next(at)
                found.setdefault(read, {}).setdefault(arm, {})[scenario] = values
            tick("stream", len(part))
    return found


def _read(loaded: LoadedModel, rows: Sequence[Row], layers: Sequence[int]) -> Array:
    """[row, layer, d_model] fp64."""
    slots = [replace(row, slot=i) for i, row in enumerate(rows)]
    return as_array(capture(loaded, slots, layers=layers, slots=len(slots)))


def _prompts(planned: Planned) -> dict[tuple[str, str], tuple[int, ...]]:
    """(arm, scenario) -> token ids; of a choice asked in several forms, the first."""
    return {(row.arm, row.scenario): planned.requests[row.response].prompt_ids for row in planned.rows}
