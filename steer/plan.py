"""From scenarios and arms to requests: what will be generated, and the key that decides its text.

A key is the sha256 of canonical JSON of everything that decides a row's tokens: weights, dtype,
prompt token ids, what is added where, sampling, limits, stop ids, sample. Arm names are not in it,
so arms that are equal are generated once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from steer import adapters, choices
from steer.chat import render
from steer.errors import UserError
from steer.sampling import stream_of
from steer.store import PlanRow, Prompt, Setting
from steer.store.config import AdditionContent, ArmContent
from steer.suffixes import compose
from steer.types import (
    Addition,
    Arm,
    Context,
    Form,
    Gate,
    Limits,
    LoadedModel,
    Option,
    Request,
    Sampling,
    Scenario,
)


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A plan: one row a (scenario, arm, sample); its prompts and requests, each once.

    settings: under which name the rows stand -> which arm at which temperature; in the arms' order.
    """

    rows: tuple[PlanRow, ...]
    prompts: dict[str, Prompt]
    requests: dict[str, Request]
    settings: dict[str, Setting] = field(default_factory=dict[str, Setting])

    @property
    def prompt_tokens(self) -> int:
        return sum(len(r.prompt_ids) for r in self.requests.values())


def digest(value: Any) -> str:
    """sha256 of canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def direction_digest(addition: Addition | Gate) -> str:
    """sha256 of the direction's fp32 bytes."""
    return hashlib.sha256(
        addition.direction.detach().float().cpu().contiguous().numpy().tobytes()
    ).hexdigest()


def addition_content(addition: Addition) -> AdditionContent:
    """Everything of an addition that decides the text; the vector's id is provenance, not content."""
    found: AdditionContent = {
        "direction": direction_digest(addition),
        "layer": addition.layer,
        "magnitude": addition.magnitude,
        "span": addition.span,
        "operation": addition.operation,
        "unit": addition.unit,
        "norm": addition.norm if addition.unit == "norm" else None,
        "projection": [addition.projection_mean, addition.projection_std]
        if addition.operation == "clamp"
        else None,
    }
    if addition.tokens is not None:
        found["tokens"] = addition.tokens
    if addition.within is not None:
        found["within"] = list(addition.within)
    if (gate := addition.gate) is not None:
        found["gate"] = {
            "direction": direction_digest(gate),
            "layer": gate.layer,
            "threshold": gate.threshold,
        }
    return found


def arm_content(arm: Arm) -> ArmContent:
    """The canonical content of an arm, without its name: what a run's configuration records."""
    return {
        "suffix": arm.suffix,
        "system_suffix": arm.system_suffix,
        "additions": [{**addition_content(a), "vector": a.vector} for a in arm.additions if is_effective(a)],
        "adapter": adapters.identity(arm.adapter),
    }


def is_effective(addition: Addition) -> bool:
    """False for an `add` of magnitude 0: such an arm is the baseline and shares its rows."""
    return addition.operation != "add" or addition.magnitude != 0


def _choice_content(options: Sequence[Option], forms: Sequence[Form]) -> list[Any]:
    return [
        [[option.text, option.hit] for option in options],
        [[form.prompt_ids, form.option_ids] for form in forms],
    ]


def prompt_texts(scenario: Scenario, arm: Arm, context: Context) -> tuple[str, str]:
    """(system, user) as sent under `arm`; in the context `none` the scenario's system text is left out."""
    system, user = "" if context == "none" else scenario.system, scenario.user
    if arm.system_suffix:
        system = compose(system, arm.system_suffix).strip()
    return system, compose(user, arm.suffix)


def fitted(limits: Limits, prompt: int, window: int) -> Limits:
    """The limits of a row: its answer ends where the model's positions do (`LoadedModel.window`)."""
    return replace(limits, new=max(1, min(limits.new, window - prompt))) if window else limits


def keyed(
    loaded: LoadedModel, request: Request, additions: Sequence[AdditionContent], adapter: str
) -> Request:
    """The request with its key: a digest of everything that decides its text.

    additions: `addition_content` of each of the request's. adapter: the identity of its own.
    """
    key = digest(
        {
            "weights": loaded.weights,
            "files": loaded.files,
            "dtype": loaded.dtype,
            "prompt": list(request.prompt_ids),
            "additions": additions,
            "adapter": adapter,
            "temperature": request.temperature,
            "stream": request.stream,
            "limits": [request.limits.prompt, request.limits.new],
            "stop": sorted(loaded.stop_ids),
            **({"choice": _choice_content(request.options, request.forms)} if request.options else {}),
        }
    )
    return replace(request, key=key)


def plan(
    loaded: LoadedModel,
    scenarios: Sequence[Scenario],
    arms: Sequence[Arm],
    *,
    sampling: Sequence[Sampling] = (Sampling(),),
    samples: int = 1,
    limits: Limits,
    thinking: bool = False,
) -> Planned:
    """Cross scenarios, arms and samplings. A greedy sampling runs one sample.

    With several samplings an arm's rows are named `ARM@TEMPERATURE`. Raises UserError for a name that two
    arms have: the rows of one would stand for both.
    """
    names = [arm.name for arm in arms]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise UserError(f"two arms are named {twice[0]!r}: give every arm a name of its own")
    settings = {
        arm.name if len(sampling) == 1 else f"{arm.name}@{chosen.temperature:g}": Setting(
            arm.name, chosen.temperature
        )
        for chosen in sampling
        for arm in arms
    }
    named = {setting: name for name, setting in settings.items()}
    rows: list[PlanRow] = []
    prompts: dict[str, Prompt] = {}
    requests: dict[str, Request] = {}
    contents = [[addition_content(a) for a in arm.additions if is_effective(a)] for arm in arms]
    adapted = [adapters.identity(arm.adapter) for arm in arms]
    rendered: dict[tuple[str, str], tuple[int, ...]] = {}

    def prompted(texts: tuple[str, str]) -> tuple[int, ...]:
        if texts not in rendered:
            rendered[texts] = render(loaded, *texts, thinking=thinking)
        return rendered[texts]

    for scenario in scenarios:
        options = scenario.choices.options if scenario.choices else ()
        asked = [
            (replace(scenario, user=text), choices.option_ids(loaded, scenario.id, names))
            for text, names in choices.questions(scenario)
        ]
        for arm, content, adapter in zip(arms, contents, adapted, strict=True):
            each = [(prompt_texts(form, arm, loaded.context), ids) for form, ids in asked]
            (system, user), ids = each[0][0], prompted(each[0][0])
            forms = tuple(Form(prompted(texts), names) for texts, names in each) if options else ()
            within = fitted(limits, len(ids), loaded.window)
            prompt = Prompt(digest([system, user, list(ids)]), system, user, ids)
            prompts[prompt.id] = prompt
            additions = tuple(a for a in arm.additions if is_effective(a))
            for chosen in sampling:
                name = named[Setting(arm.name, chosen.temperature)]
                for sample in range(samples if chosen.temperature > 0 else 1):
                    stream = stream_of(chosen.seed, scenario.id, sample) if chosen.temperature > 0 else 0
                    request = keyed(
                        loaded,
                        Request(
                            key="",
                            prompt_ids=ids,
                            stop_ids=loaded.stop_ids,
                            additions=additions,
                            temperature=chosen.temperature,
                            stream=stream,
                            limits=within,
                            adapter=arm.adapter,
                            options=options,
                            forms=forms,
                        ),
                        content,
                        adapter,
                    )
                    requests.setdefault(request.key, request)
                    rows.append(PlanRow(scenario.id, name, sample, request.key, prompt.id))
    return Planned(tuple(rows), prompts, requests, settings)
