"""What a sweep or a comparison will take, said before anything is run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from experiments.measures import load_probes
from experiments.session import Session, plan_arms
from experiments.suffix import suffix_arms
from steer.choices import answers
from steer.types import Limits, Request

TRIAL_ROWS, TRIAL_TOKENS = 48, 64
PLACES = 4
"""Controls run at both signs of at most two chosen cells, of two each on the scenarios it reports on."""

NO_RACE: Mapping[str, int] = MappingProxyType({})


def print_plan(
    session: Session,
    *,
    cells: int,
    suffixes: int,
    controls: int,
    probed: int,
    extraction: int,
    together: int = 0,
    race: Mapping[str, int] = NO_RACE,
    halving: int = 0,
    choosing: int = 0,
) -> dict[str, int | float | str]:
    """Cells, generations, tokens, judge calls, memory and time.

    suffixes, cells: arms. controls: their vectors. together: arms of vector and suffix at most.
    race: what is expected of the cells' generations.
    probed: arms that the questions and harmless requests are put to at most.
    extraction: answers that the vectors are made of. halving: answers to halve suffixes by. choosing: arms
    of nulls that choose their own cells.
    """
    chosen = PLACES * controls
    arms = suffixes + cells + choosing + chosen // 2 + together  # controls' on a half each
    baseline, *_, longest = (
        list(plan_arms(session, [arm]).requests.values()) for arm in suffix_arms(session.suffixes)
    )
    if session.choosing:
        arms += -(-halving // len(session.scenarios))
        numbers = _scoring(session, baseline, arms=arms, cells=cells, suffixes=suffixes, controls=chosen)
        session.screen.plan(numbers)
        return numbers
    asked = load_probes(session)
    probes = probed * (len(asked.questions) + len(asked.harmless))
    rows = len(session.scenarios) * arms + probes + extraction + halving
    rate, length = _trial(session, [*baseline, *longest])
    new = rows * session.limits.new
    prompts = sum(len(request.prompt_ids) for request in baseline)
    numbers: dict[str, int | float | str] = {
        "scenarios": len(session.scenarios),
        "suffix arms": suffixes,
        "cells": cells,
        "control arms at most": chosen,
        **({"arms of nulls that choose": choosing} if choosing else {}),
        **({"arms of both together at most": together} if together else {}),
        "answers to extract from at most": extraction,
        **({"answers to halve the suffixes by": halving} if halving else {}),
        "answers to questions and harmless requests at most": probes,
        "generations at most": rows,
        **race,
        "prompt tokens, without suffixes": prompts * arms,
        "new tokens, expected": round(rows * length),
        "new tokens at most": new,
        "judge calls at most": rows - probed * len(asked.questions),
        "memory, MB": round(_memory(session, longest, vectors=1 + controls) / 1e6),
        "trial, tokens a second": round(rate),
        "minutes of generation, expected": round(rows * length / rate / 60, 1),
        "minutes of generation at most": round(new / rate / 60, 1),
    }
    session.screen.plan(numbers)
    return numbers


def _scoring(
    session: Session, requests: Sequence[Request], *, arms: int, cells: int, suffixes: int, controls: int
) -> dict[str, int | float | str]:
    """The plan of a choice task: nothing is generated but answers to the questions of side effects."""
    some = list(requests[:: max(1, len(requests) // TRIAL_ROWS)])
    list(answers(session.engine, some[:1]))  # warms up
    start = time.perf_counter()
    scored = sum(len(form.option_ids) for found in some for form in found.forms)
    list(answers(session.engine, some))
    rate = scored / (time.perf_counter() - start)
    options = arms * sum(len(form.option_ids) for request in requests for form in request.forms)
    return {
        "scenarios": len(session.scenarios),
        "suffix arms": suffixes,
        "cells": cells,
        "control arms at most": controls,
        "options scored at most": options,
        "trial, options a second": round(rate),
        "minutes of scoring, expected": round(options / rate / 60, 1),
    }


def _trial(session: Session, requests: Sequence[Request]) -> tuple[float, float]:
    """(New tokens a second, tokens an answer) of some unsteered rows with and without a suffix.

    The rate is a low one, for the batch is small. An answer that the trial does not see the end of counts
    as long as the limit allows.
    """
    step = max(1, len(requests) // TRIAL_ROWS)
    most = min(TRIAL_TOKENS, session.limits.new)
    some = [replace(r, limits=Limits(r.limits.prompt, min(most, r.limits.new))) for r in requests[::step]]
    list(session.engine.generate([replace(some[0], limits=Limits(some[0].limits.prompt, 2))]))  # warms up
    start = time.perf_counter()
    found = [response for response in session.engine.generate(some) if response.finish != "failed"]
    seconds = time.perf_counter() - start
    if not found:
        return 1.0, float(session.limits.new)
    lengths = [len(r.output_ids) if r.finish == "stop" else session.limits.new for r in found]
    return sum(len(r.output_ids) for r in found) / seconds, sum(lengths) / len(lengths)


def _memory(session: Session, requests: Sequence[Request], *, vectors: int) -> float:
    """Bytes of weights, of the keys and values of a full batch, and of the vectors."""
    from steer.engines.slots import MOST_ROWS, token_bytes

    loaded = session.loaded
    weights = sum(p.numel() * p.element_size() for p in loaded.module.parameters())
    batch = session.options.batch or MOST_ROWS.get(loaded.device.split(":")[0], 64)
    tokens = max(len(request.prompt_ids) for request in requests) + session.limits.new
    return weights + batch * tokens * token_bytes(loaded) + vectors * loaded.n_layers * loaded.d_model * 4
