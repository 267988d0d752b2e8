"""Flags that several commands share, and how a command takes them. Nothing heavy is imported here.

Annotations are evaluated here, not left as text: commands in other modules carry them on.
"""

import inspect
import os
from collections.abc import Callable, Collection
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from experiments.options import (
    PAPER,
    Flag,
    Options,
    paper_protocol,
)
from steer.errors import UserError


def read_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Flags of a finished run's `run.yaml` become the defaults; flags on the command line win."""
    if path is not None:
        import yaml

        from steer.texts import read_text

        try:
            values = yaml.safe_load(read_text(path, received=True))
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            raise UserError(f"--config {str(path)!r} cannot be read as YAML: {str(error)[:200]}") from error
        if not isinstance(values, dict):
            raise UserError(f"--config {str(path)!r}: expected a mapping of flags, as run.yaml holds")
        values.pop("command", None)
        known = {p.name for p in ctx.command.params}
        if unknown := sorted({str(name) for name in values} - known):
            raise UserError(
                f"--config {str(path)!r} names {unknown[0]!r}: allowed are {', '.join(sorted(known))}"
            )
        ctx.default_map = values
    return path


def protocol_flags(
    *,
    protocol: Annotated[
        Literal["steergap", "paper"], typer.Option(help="paper: everything arXiv 2601.01584 did.")
    ] = "steergap",
    config: Annotated[
        Path | None,
        typer.Option(help="A run.yaml; flags win.", is_eager=True, callback=read_config),
    ] = None,
) -> None:
    """What decides other flags."""


def parameters(maker: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """By name, the parameters of a function, or of options those of the fields that are flags."""
    if not (isinstance(maker, type) and is_dataclass(maker)):
        return dict(inspect.signature(maker).parameters)
    found: dict[str, inspect.Parameter] = {}
    for one in fields(maker):
        found |= parameters(one.metadata["flags"]) if "flags" in one.metadata else {}
        told: Flag | None = one.metadata.get("flag")
        if told is None:
            continue
        kind, default = one.type, one.default
        if isinstance(default, tuple):  # given by repeating the flag
            kind, default = list[get_args(kind)[0]] | None, None
        option = typer.Option(*([told.switch] if told.switch else []), help=told.help)
        name = told.name or one.name
        found[name] = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
        )
    return found


def made(maker: Callable[..., Any], values: dict[str, Any]) -> Any:
    """What `maker` makes of its parameters' values; a field that the command has no flag for is as it is."""
    if not (isinstance(maker, type) and is_dataclass(maker)):
        return maker(**values)
    own: dict[str, Any] = {}
    for one in fields(maker):
        told: Flag | None = one.metadata.get("flag")
        name = told and (told.name or one.name)
        if "flags" in one.metadata:
            own[one.name] = made(one.metadata["flags"], values)
        elif name in values:
            value = values[name]
            own[one.name] = tuple(value or one.default) if isinstance(one.default, tuple) else value
    return maker(**own)


NOT_IN_A_TALK = (
    *("scenarios", "per_category", "protocol", "samples", "force"),
    *("judge_sees", "out", "dry_run", "json_only"),
)
"""Shared flags of what is run on scenarios and leaves a folder."""

WORKERS = ("workers", "ray_address", "gpus_per_worker", "mixed_devices")
"""Shared flags of what can be spread: training and a talk stay in one process."""

USELESS_WITH = (("model", "models"), ("contrast", "vector"))
"""(A flag, another that leaves it nothing to say), by parameter."""

USELESS_WITHOUT = (
    *(("lora_rank", "lora"), ("lora_learning_rate", "lora"), ("vector", "defence")),
    *(("ray_address", "workers"), ("gpus_per_worker", "workers"), ("mixed_devices", "workers")),
    *(("alignment_below", "alignment"), ("coherence_above", "alignment"), ("rewriter", "suffix_budget")),
)
"""(A flag, another without which it has nothing to say), by parameter."""


def given(ctx: typer.Context) -> dict[str, str]:
    """The parameters given on the command line itself, no defaults and nothing of --config: {name: flag}."""
    found: dict[str, str] = {}
    for parameter in ctx.command.params:
        name = parameter.name or ""
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            found[name] = parameter.opts[0]
    return found


def said(ctx: typer.Context) -> dict[str, Any]:
    """Every parameter as it holds: the paper's protocol fixes some."""
    fixed = PAPER if ctx.params.get("protocol") == "paper" else {}
    return {name: fixed.get(name, value) for name, value in ctx.params.items()}


def refuse_overruled(ctx: typer.Context) -> None:
    """Raise UserError for a flag that another one would overrule without a word.

    The paper's protocol in a file is held against what the same file says, too.
    """
    asked = given(ctx)
    for name, other in USELESS_WITH:
        if name in asked and ctx.params.get(other):
            raise UserError(f"{asked[name]} says nothing beside --{other}: give one of them")
    for name, other in USELESS_WITHOUT:
        if name in asked and other in ctx.params and not ctx.params[other]:
            raise UserError(
                f"{asked[name]} says nothing without --{other.replace('_', '-')}: give both or neither"
            )
    if "magnitudes" in asked and ctx.params.get("operation") == "ablate":
        raise UserError("--magnitudes says nothing beside --operation ablate: give one of them")
    if ctx.params.get("protocol") == "paper":
        filed = ctx.default_map or {} if "protocol" not in asked else {}
        for name, fixed in PAPER.items():
            value = ctx.params[name] if name in asked else filed.get(name, fixed)
            if value != fixed:
                flag = asked.get(name, f"{name} in --config")
                raise UserError(f"{flag}: --protocol paper fixes it at {fixed}, not {value}; leave one out")


def refuse_strange_endpoint(ctx: typer.Context) -> None:
    """Raise UserError where --config alone says that the judge's key goes to a host that is not OpenAI's.

    A run.yaml may be anybody's. This machine is no exception: what listens here may pass the key on.
    """
    from steer.judges.urls import is_openai

    url = (ctx.default_map or {}).get("base_url")
    judges = [str(ctx.params.get(name) or "") for name in ("judge", "alignment", "rewriter")]
    judges += ["openai:"] * (ctx.params.get("protocol") == "paper")
    if url is None or "base_url" in given(ctx) or is_openai(str(url)):
        return
    if str(url) != os.environ.get("OPENAI_BASE_URL") and any("openai:" in judge for judge in judges):
        raise UserError(
            f"--config names {url!r} as the judge's endpoint: to send it your key, add --base-url {url}"
        )


def refuse_all_but(ctx: typer.Context, names: Collection[str]) -> None:
    """Raise UserError for any flag given beside finished runs that is none of `names`."""
    for name, flag in given(ctx).items():
        if name not in names:
            raise UserError(f"finished runs take no {flag}: leave that or them out")


def experiment(
    *more: Callable[..., Any], without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of `Options`, as `options`, and of what is in `more`: options, or a function.

    without: shared flags that mean nothing to the command, which does not take them.
    """
    makers = (Options, *more, protocol_flags)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        passed = ("ctx", "options", "chosen")
        own = [p for n, p in inspect.signature(command).parameters.items() if n not in passed]
        flags = [{n: p for n, p in parameters(maker).items() if n not in without} for maker in makers]

        @wraps(command)
        def run(ctx: typer.Context, **values: Any) -> None:
            refuse_overruled(ctx)
            refuse_strange_endpoint(ctx)
            options, *others, _ = (
                made(maker, {name: values.pop(name) for name in names})
                for maker, names in zip(makers, flags, strict=True)
            )
            options = paper_protocol(options) if ctx.params.get("protocol") == "paper" else options
            if "out" in flags[0] and not options.dry_run:
                from steer.store.database import check_place

                check_place(options.out or Path("runs"))
            command(ctx, options, *others, **values)

        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        every = [*own, *(p for at in (*range(1, len(flags) - 1), 0, -1) for p in flags[at].values())]
        taken = [context, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in every)]
        run.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in taken}
        return run

    return decorate
