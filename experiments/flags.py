"""Flags that several commands share, and how a command takes them. Nothing heavy is imported here.

Annotations are evaluated here, not left as text: commands in other modules carry them on.
"""

import inspect
import os
from collections.abc import Callable, Collection
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from experiments.options import (
    PAPER,
    Api,
    EngineName,
    JudgeSees,
    Options,
    SizedOperation,
    paper_protocol,
)
from steer.errors import UserError
from steer.judges import TIMEOUT
from steer.types import DATE, Context, Span


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


def shared_flags(
    *,
    model: Annotated[str, typer.Option(help="Alias (`models` lists them), hub id or folder.")] = "organism",
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of a hub model.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, fast, float32, float64, bfloat16 or float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    device_map: Annotated[str | None, typer.Option(help="auto or balanced: spread over all GPUs.")] = None,
    task: Annotated[str | None, typer.Option(help="One of `tasks`, a folder, or mwe:FILE[,FILE].")] = None,
    scenarios: Annotated[
        str | None,
        typer.Option(help="Others than the task's: a folder of CSV files, a CSV or a JSONL file."),
    ] = None,
    per_category: Annotated[int | None, typer.Option(help="At most this many scenarios a category.")] = None,
    seed: Annotated[int, typer.Option(help="Of the scenario sample and of sampled tokens.")] = 0,
    context: Annotated[
        Context, typer.Option(help="System texts: user puts them before the user's, none leaves them out.")
    ] = "full",
    date: Annotated[
        str | None, typer.Option(help=f"What day a template that reads the clock is told; default {DATE}.")
    ] = None,
    protocol: Annotated[
        Literal["steergap", "paper"], typer.Option(help="paper: everything arXiv 2601.01584 did.")
    ] = "steergap",
    suffixes: Annotated[str, typer.Option(help="default, paper, or a JSON file.")] = "default",
    judge: Annotated[
        str, typer.Option(help="rubric, openai:MODEL, hf:MODEL or panel:A,B,C; the organism also has truth.")
    ] = "auto",
    judge_sees: Annotated[
        JudgeSees, typer.Option(help="steered: the prompt with its suffix, as in the paper (not blind).")
    ] = "unsteered",
    base_url: Annotated[str | None, typer.Option(help="Of an OpenAI-compatible judge.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Stop cleanly after so many judge calls.")] = None,
    concurrency: Annotated[int, typer.Option(help="Judge calls at once.")] = 16,
    per_minute: Annotated[int, typer.Option(help="Judge requests a minute at most; 0: no bound.")] = 0,
    api: Annotated[Api, typer.Option(help="Of the judge's endpoint; auto: the one that works.")] = "auto",
    judge_timeout: Annotated[float, typer.Option(help="Seconds for one reply of the judge.")] = TIMEOUT,
    engine: Annotated[EngineName, typer.Option(help="How to generate.")] = "auto",
    batch: Annotated[int | None, typer.Option(help="Rows at once; fitted to memory if left out.")] = None,
    workers: Annotated[
        str | None, typer.Option(help="A number of processes, a model each, or auto: as many as GPUs.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="HOST:PORT of a Ray cluster for --workers; left out, this machine.")
    ] = None,
    gpus_per_worker: Annotated[int, typer.Option(help="For a model over several GPUs.")] = 1,
    mixed_devices: Annotated[
        bool, typer.Option("--mixed-devices", help="Workers of differing devices in 16 bit all the same.")
    ] = False,
    prompt_tokens: Annotated[int, typer.Option(help="A longer prompt fails; it is never cut.")] = 4096,
    new_tokens: Annotated[int | None, typer.Option(help="Default 1024, thinking models 8096.")] = None,
    thinking: Annotated[bool | None, typer.Option(help="Default: what the model does by itself.")] = None,
    temperature: Annotated[list[float] | None, typer.Option(help="One or several; 0 is greedy.")] = None,
    samples: Annotated[int, typer.Option(help="Answers a scenario at temperatures above 0.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Run folder; default under runs/.")] = None,
    force: Annotated[bool, typer.Option(help="Foreign scenarios on the organism all the same.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    json_only: Annotated[bool, typer.Option("--json", help="Print the summary alone, as JSON.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="A run.yaml; flags win.", is_eager=True, callback=read_config),
    ] = None,
) -> Options:
    options = Options(
        model=model,
        revision=revision,
        dtype=dtype,
        device=device,
        device_map=device_map,
        task=task,
        scenarios=scenarios,
        per_category=per_category,
        seed=seed,
        context=context,
        date=date,
        suffixes=suffixes,
        judge=judge,
        judge_sees=judge_sees,
        base_url=base_url,
        max_calls=max_calls,
        concurrency=concurrency,
        per_minute=per_minute,
        api=api,
        judge_timeout=judge_timeout,
        engine=engine,
        batch=batch,
        workers=workers,
        ray_address=ray_address,
        gpus_per_worker=gpus_per_worker,
        mixed_devices=mixed_devices,
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        thinking=thinking,
        temperatures=tuple(temperature) if temperature else (0.0,),
        samples=samples,
        out=out,
        force=force,
        dry_run=dry_run,
        quiet=json_only,
    )
    return paper_protocol(options) if protocol == "paper" else options


USELESS_WITH = (("model", "models"), ("contrast", "vector"))
"""(A flag, another that leaves it nothing to say), by parameter."""

USELESS_WITHOUT = (
    *(("lora_rank", "lora"), ("lora_learning_rate", "lora"), ("vector", "defence")),
    *(("ray_address", "workers"), ("gpus_per_worker", "workers"), ("mixed_devices", "workers")),
    *(("alignment_below", "alignment"), ("coherence_above", "alignment")),
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
            raise UserError(f"{asked[name]} says nothing without --{other}: give both or neither")
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
    judges = [str(ctx.params.get(name) or "") for name in ("judge", "alignment")]
    judges += ["openai:"] * (ctx.params.get("protocol") == "paper")
    if url is None or "base_url" in given(ctx) or is_openai(str(url)):
        return
    if str(url) != os.environ.get("OPENAI_BASE_URL") and any("openai:" in judge for judge in judges):
        raise UserError(
            f"--config names {url!r} as the judge's endpoint: to send it your key, add --base-url {url}"
        )


def refuse_all_but(ctx: typer.Context, names: Collection[str], *, what: str) -> None:
    """Raise UserError for any flag given beside `what` that is none of `names`."""
    for name, flag in given(ctx).items():
        if name not in names:
            raise UserError(f"{what} take no {flag}: leave that or them out")


def experiment(
    *more: Callable[..., Any], without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command shared flags: `options` from `shared_flags`, `chosen` from the function in `more`.

    without: shared flags that mean nothing to the command, which does not take them.
    """
    makers = (shared_flags, *more)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        made = ("ctx", "options", "chosen")
        own = [p for n, p in inspect.signature(command).parameters.items() if n not in made]
        taken = [inspect.signature(maker).parameters for maker in makers]
        flags = [{name: p for name, p in every.items() if name not in without} for every in taken]

        @wraps(command)
        def run(ctx: typer.Context, **values: Any) -> None:
            refuse_overruled(ctx)
            refuse_strange_endpoint(ctx)
            results = [
                maker(**{name: values.pop(name) for name in names})
                for maker, names in zip(makers, flags, strict=True)
            ]
            if "out" in flags[0] and not results[0].dry_run:
                from steer.store.database import check_place

                check_place(results[0].out or Path("runs"))
            command(ctx, *results, **values)

        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        every = [*own, *(p for names in flags[::-1] for p in names.values())]
        parameters = [context, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in every)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def vector_choice(
    *,
    vector: Annotated[
        Path | None, typer.Option(help="Vector file; extracted and cached if left out.")
    ] = None,
    contrast: Annotated[
        str,
        typer.Option(help="suffix, choice, response, statement, formality or a JSONL of pairs."),
    ] = "suffix",
    method: Annotated[
        str, typer.Option(help="mean-difference, pca, lat, logistic or fisher.")
    ] = "mean-difference",
    span: Annotated[Span, typer.Option(help="Which positions are edited.")] = "last",
    operation: Annotated[SizedOperation, typer.Option(help="What is done there.")] = "add",
    controls: Annotated[int, typer.Option(help="Random directions beside the vector; 0 for none.")] = 3,
    concept: Annotated[Path | None, typer.Option(help="JSONL of an unrelated concept, as a control.")] = None,
) -> dict[str, Any]:
    if controls < 0:
        raise UserError(f"--controls {controls}: allowed are whole numbers from 0")
    return {
        "file": vector,
        "contrast": contrast,
        "method": method,
        "span": span,
        "operation": operation,
        "controls": controls,
        "concept": concept,
    }


def recipe(
    *,
    magnitude: Annotated[
        float, typer.Option(help="Of every vector, at training and at test, in mean residual norms.")
    ] = 0.3,
    span: Annotated[Span, typer.Option(help="Which positions are edited, at training and at test.")] = "last",
    loss: Annotated[
        Literal["likelihood", "preference"],
        typer.Option(help="What training raises: the unwanted answer alone, or over the wanted one."),
    ] = "likelihood",
    kl: Annotated[
        float, typer.Option(help="Weight of the KL to the unsteered model on neutral prompts; 0 for none.")
    ] = 0.0,
    epochs: Annotated[int, typer.Option(help="Of vectors and of adapters; kept after 1, 2, 4, 8, ...")] = 8,
    learning_rate: Annotated[float, typer.Option(help="Of the trained vector.")] = 0.05,
    start: Annotated[
        Literal["random", "mean-difference"], typer.Option(help="Where the trained vector starts.")
    ] = "random",
) -> dict[str, Any]:
    return {
        "magnitude": magnitude,
        "span": span,
        "loss": loss,
        "kl": kl,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "start": start,
    }
