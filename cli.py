"""steergap's commands: parse, call, print. No logic here, and nothing heavy at the top."""

import inspect
import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from experiments.grid import COARSE_LAYERS, COARSE_MAGNITUDES, DEFAULT_MAGNITUDES
from experiments.options import Context, EngineName, JudgeSees, Options, paper_protocol
from steer.errors import UserError
from steer.screen import plain
from steer.types import Operation, Span

INTERRUPTED = 130
"""What a shell calls a process that Ctrl-C ended; typer returns it instead of raising."""

app = typer.Typer(
    help="How far does a prompt suffix move a language model, how far a steering vector, "
    "at what cost, and how sure are we?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def read_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Flags of a finished run's `run.yaml` become the defaults; flags on the command line win."""
    if path is not None:
        import yaml

        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(f"--config {str(path)!r} cannot be read as YAML: {error}") from error
        if not isinstance(values, dict):
            raise UserError(f"--config {str(path)!r}: expected a mapping of flags, as run.yaml holds")
        values.pop("command", None)
        known = {p.name for p in ctx.command.params}
        if unknown := sorted(set(values) - known):
            raise UserError(
                f"--config {str(path)!r} names {unknown[0]!r}: allowed are {', '.join(sorted(known))}"
            )
        ctx.default_map = values
    return path


def shared_flags(
    *,
    model: Annotated[str, typer.Option(help="Alias (`models` lists them), hub id or folder.")] = "organism",
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch of a hub model.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, float64, bfloat16 or float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    device_map: Annotated[str | None, typer.Option(help="auto or balanced: spread over all GPUs.")] = None,
    scenarios: Annotated[
        str | None,
        typer.Option(help="organism, instrumental-eval, a folder of CSV files, a CSV or a JSONL file."),
    ] = None,
    per_category: Annotated[int | None, typer.Option(help="At most this many scenarios a category.")] = None,
    seed: Annotated[int, typer.Option(help="Of the scenario sample and of sampled tokens.")] = 0,
    context: Annotated[Context, typer.Option(help="none: leave the scenario's system message out.")] = "full",
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
    engine: Annotated[EngineName, typer.Option(help="How to generate.")] = "auto",
    batch: Annotated[int | None, typer.Option(help="Rows at once; fitted to memory if left out.")] = None,
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
        scenarios=scenarios,
        per_category=per_category,
        seed=seed,
        context=context,
        suffixes=suffixes,
        judge=judge,
        judge_sees=judge_sees,
        base_url=base_url,
        max_calls=max_calls,
        engine=engine,
        batch=batch,
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


def experiment(*more: Callable[..., Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command shared flags: `options` from `shared_flags`, `chosen` from the function in `more`."""
    makers = (shared_flags, *more)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        made = ("ctx", "options", "chosen")
        own = [p for n, p in inspect.signature(command).parameters.items() if n not in made]
        flags = [inspect.signature(maker).parameters for maker in makers]

        @wraps(command)
        def run(ctx: typer.Context, **values: Any) -> None:
            results = [
                maker(**{name: values.pop(name) for name in names})
                for maker, names in zip(makers, flags, strict=True)
            ]
            command(ctx, *results, **values)

        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        every = [*own, *(p for names in flags[::-1] for p in names.values())]
        parameters = [context, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in every)]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def conclude(ctx: typer.Context, options: Options, summary: dict[str, Any], folder: Path | None) -> None:
    """Beside the results: run.yaml, to repeat the run, and its report. JSON alone if asked."""
    if folder is not None:
        from experiments.repeat import write_run_file
        from steer.screen import Screen

        write_run_file(folder, ctx.command.name or "", ctx.params)
        from experiments.reporting import report as write_report

        write_report([folder], screen=Screen(quiet=options.quiet))
    if options.quiet:
        print(json.dumps(summary, indent=1))


@app.command(
    epilog="Examples: python cli.py suffix  |  python cli.py suffix --model qwen3-4b --judge openai:gpt-5.2"
)
@experiment()
def suffix(ctx: typer.Context, options: Options) -> None:
    """How far a prompt suffix moves the model: baseline, neutral, pro and anti."""
    from experiments.suffix import suffix as run

    conclude(ctx, options, *run(options))


def vector_choice(
    *,
    vector: Annotated[
        Path | None, typer.Option(help="Vector file; extracted and cached if left out.")
    ] = None,
    contrast: Annotated[
        str, typer.Option(help="suffix, response, statement, formality or a JSONL of positive/negative.")
    ] = "suffix",
    method: Annotated[
        str, typer.Option(help="mean-difference, pca, lat, logistic or fisher.")
    ] = "mean-difference",
    span: Annotated[Span, typer.Option(help="Which positions are edited.")] = "last",
    operation: Annotated[Operation, typer.Option(help="What is done there.")] = "add",
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


@app.command(
    epilog="Examples: python cli.py vector-sweep --layers 10-20  |  "
    "python cli.py vector-sweep --model qwen3-4b --layers 10-20 --magnitudes -0.3:0.3:0.1"
)
@experiment(vector_choice)
def vector_sweep(
    ctx: typer.Context,
    options: Options,
    chosen: dict[str, Any],
    layers: Annotated[str, typer.Option(help="As 10-20, 10,12,14 or all.")] = "10-20",
    magnitudes: Annotated[
        str, typer.Option(help="Numbers or START:STOP:STEP, both signs; 0 is the baseline.")
    ] = DEFAULT_MAGNITUDES,
    cap_nonsense: Annotated[float, typer.Option(help="Most nonsense of a chosen cell, a fraction.")] = 0.1,
    cap_drift: Annotated[float, typer.Option(help="Most drift of a chosen cell, nats a token.")] = 1.0,
) -> None:
    """What a vector does at every layer and magnitude, fairly chosen, beside its controls."""
    from experiments.choice import Cap
    from experiments.sweep_choice import SweepChoice
    from experiments.vector_source import VectorChoice
    from experiments.vector_sweep import vector_sweep as run

    choice = SweepChoice(
        layers=layers,
        magnitudes=magnitudes,
        vector=VectorChoice(**chosen),
        cap=Cap(nonsense=cap_nonsense, drift=cap_drift),
    )
    conclude(ctx, options, *run(options, choice))


@app.command(epilog="Examples: python cli.py compare  |  python cli.py compare --model qwen3-4b --transfer")
@experiment(vector_choice)
def compare(
    ctx: typer.Context,
    options: Options,
    chosen: dict[str, Any],
    runs: Annotated[list[Path] | None, typer.Argument(help="Finished runs to compare instead.")] = None,
    layers: Annotated[str, typer.Option(help="The grid to choose from.")] = COARSE_LAYERS,
    magnitudes: Annotated[str, typer.Option(help="The grid to choose from.")] = COARSE_MAGNITUDES,
    cap_nonsense: Annotated[float, typer.Option(help="Most nonsense of a chosen cell, a fraction.")] = 0.1,
    cap_drift: Annotated[float, typer.Option(help="Most drift of a chosen cell, nats a token.")] = 1.0,
    transfer: Annotated[bool, typer.Option("--transfer", help="Vectors a behaviour, on the others.")] = False,
    models: Annotated[str | None, typer.Option(help="Several models: a,b,c.")] = None,
) -> None:
    """Suffix against vector, both together, and controls: one table, and what each costs."""
    from experiments.choice import Cap
    from experiments.compare import CompareChoice
    from experiments.compare import compare as run
    from experiments.vector_source import VectorChoice

    choice = CompareChoice(
        layers=layers,
        magnitudes=magnitudes,
        vector=VectorChoice(**chosen),
        cap=Cap(nonsense=cap_nonsense, drift=cap_drift),
        transfer=transfer,
    )
    if runs:
        from experiments.compare_runs import compare_runs

        conclude(ctx, options, compare_runs(runs, options), None)
    elif models:
        from experiments.compare_models import compare_models

        conclude(ctx, options, compare_models(models.split(","), options, choice), None)
    else:
        conclude(ctx, options, *run(options, choice))


@app.command(
    epilog="Example: python cli.py extract --contrast suffix --method mean-difference --layers all "
    "--out v.safetensors"
)
@experiment()
def extract(
    ctx: typer.Context,
    options: Options,
    contrast: Annotated[
        str, typer.Option(help="suffix, response, statement, formality or a JSONL of positive/negative.")
    ] = "suffix",
    method: Annotated[
        str, typer.Option(help="mean-difference, pca, lat, logistic or fisher.")
    ] = "mean-difference",
    layers: Annotated[str, typer.Option(help="As 10-20, 10,12,14 or all.")] = "all",
    extraction: Annotated[
        Path | None, typer.Option(help="Extraction scenarios (JSONL); default this project's.")
    ] = None,
    extraction_per_category: Annotated[
        int | None, typer.Option(help="At most this many of them a category, for a quick look.")
    ] = None,
    controls: Annotated[int, typer.Option(help="Control vectors of each kind, beside the file.")] = 0,
    draws: Annotated[int, typer.Option(help="Answers a side and scenario, for a response contrast.")] = 2,
    check: Annotated[str, typer.Option(help="transformer-lens: capture the same rows through it.")] = "",
) -> None:
    """Find the direction between pro- and anti-instrumental behaviour, and how far to trust it."""
    from experiments.extract_command import extract_vector

    found = extract_vector(
        options,
        contrast=contrast,
        method=method,
        layers=layers,
        extraction=extraction,
        extraction_per_category=extraction_per_category,
        controls=controls,
        draws=draws,
        check=check,
    )
    conclude(ctx, options, found, None)


vector = typer.Typer(help="Look at a vector file, or convert it.", no_args_is_help=True)
app.add_typer(vector, name="vector")


@vector.command(epilog="Example: python cli.py vector show v.safetensors")
def show(
    file: Annotated[Path, typer.Argument()],
    format: Annotated[str, typer.Option(help="Only where the file's name does not tell.")] = "",
    json_only: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """How far a vector can be trusted, and which figure means something."""
    from steer.screen import Screen
    from vectors import trust
    from vectors.foreign import read_vector

    found = read_vector(file, format=format)
    if json_only:
        print(json.dumps(trust.as_dict(found), indent=1))
    else:
        Screen().out.print(trust.show(found))


@vector.command(epilog="Example: python cli.py vector convert v.safetensors v.gguf --to gguf")
def convert(
    file: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Argument()],
    to: Annotated[str, typer.Option(help="Format to write.")],
    format: Annotated[str, typer.Option(help="Of the input, where its name does not tell.")] = "",
) -> None:
    """Read a vector of any known format and write it in another."""
    from vectors.foreign import read_vector, write_vector

    left_out = write_vector(read_vector(file, format=format), out, format=to)
    print(f"{out}" + (f" (left out layers {left_out}: the format cannot hold them)" if left_out else ""))


@app.command(epilog="Example: python cli.py judge runs/suffix-organism-0123abcd --judge openai:gpt-5.2")
def judge(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    judge: Annotated[str, typer.Option(help="rubric, openai:MODEL, hf:MODEL or panel:A,B,C.")],
    base_url: Annotated[str | None, typer.Option(help="Of an OpenAI-compatible judge.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Stop cleanly after so many calls.")] = None,
    repeat: Annotated[int, typer.Option(help="Passes: a judge against itself.")] = 1,
    part: Annotated[Literal["answer", "thinking"], typer.Option(help="What is judged.")] = "answer",
    sees: Annotated[
        JudgeSees | None, typer.Option(help="Default: blind, or as this judge saw it before.")
    ] = None,
) -> None:
    """Judge an existing run again; verdicts of several judges live side by side."""
    from experiments.judging import judge_run
    from steer.screen import Screen

    screen = Screen()
    names = judge_run(
        run,
        judge,
        base_url=base_url,
        max_calls=max_calls,
        repeat=repeat,
        part=part,
        sees=sees,
        screen=screen,
    )
    screen.line(f"judges of {run}: {', '.join(names)}")


@app.command(
    epilog="Examples: python cli.py annotate RUN --judge human:ana  |  "
    "python cli.py annotate RUN --judge human:ana --sheet sheet-ana.csv"
)
def annotate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    judge: Annotated[str, typer.Option(help="human:NAME.")],
    n: Annotated[int, typer.Option(help="Answers on the sheet, stratified by arm.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the choice and the order.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The CSV; the HTML form lies beside it.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="A filled-in sheet, to read back.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Unlabelled rows are left open.")] = False,
) -> None:
    """Write a blind sheet of answers for a person, or read a filled-in one back."""
    from experiments import judging

    if sheet is None:
        made = judging.annotate(run, judge, n=n, seed=seed, out=out)
        print(f"{made.csv}\n{made.html}")
    else:
        print(json.dumps(judging.import_sheet(run, sheet, judge, partial=partial), indent=1))


@app.command(epilog="Example: python cli.py agreement runs/suffix-organism-0123abcd")
def agreement(
    run: Annotated[Path, typer.Argument(help="A run folder with two judges or more.")],
    reference: Annotated[str | None, typer.Option(help="Default: a person, published labels, ...")] = None,
    json_only: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """How far the judges of a run agree, and what that does to rates and gaps."""
    from experiments.agreement import agreement as run_agreement
    from steer.screen import Screen

    found = run_agreement(run, reference=reference, screen=Screen(quiet=json_only))
    if json_only:
        print(json.dumps(found, indent=1))


@app.command(epilog="Example: python cli.py import-paper FOLDER --out runs/paper")
def import_paper(
    folder: Annotated[Path, typer.Argument(help="The paper's result folders.")],
    out: Annotated[Path, typer.Option(help="Where a run a model is written.")],
    scenarios: Annotated[str, typer.Option(help="The scenarios that were run.")] = "instrumental-eval",
) -> None:
    """Read the paper's published result folders into runs, its labels as a judge of their own."""
    from experiments.paper_runs import import_paper as run
    from steer.screen import Screen

    run(folder, out, scenarios=scenarios, screen=Screen())


@app.command(epilog="Example: python cli.py report runs/suffix-organism-0123abcd")
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several make one page.")],
    out: Annotated[Path | None, typer.Option(help="Default: report.html in the first run.")] = None,
    figures: Annotated[Path | None, typer.Option(help="Also SVG, PNG and Markdown tables, here.")] = None,
) -> None:
    """One self-contained page: figures, intervals, and the answers behind every cell."""
    from experiments.reporting import report as write

    write(runs, out=out, figures=figures)


@app.command(epilog="Example: python cli.py export runs/suffix-organism-0123abcd --format csv --out rows.csv")
def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    format: Annotated[str, typer.Option(help="jsonl, csv or inspect.")],
    out: Annotated[Path, typer.Option(help="File, or a folder for inspect.")],
) -> None:
    """Every row of a run, for other tools."""
    from experiments.reporting import export as write

    write(run, format=format, out=out)


@app.command(epilog="Example: python cli.py chat --vector v.safetensors --layer 12 --magnitude 0.2")
@experiment()
def chat(
    ctx: typer.Context,
    options: Options,
    vector: Annotated[Path | None, typer.Option(help="A vector file.")] = None,
    layer: Annotated[int, typer.Option(help="To begin with.")] = 10,
    magnitude: Annotated[float, typer.Option(help="To begin with; 0 adds nothing.")] = 0.0,
) -> None:
    """Talk to a model with an arm applied, the baseline beside it."""
    from experiments.chat import chat as run
    from experiments.session import open_session
    from vectors.foreign import read_vector
    from vectors.vector import check_model

    found = None if vector is None else read_vector(vector)
    session = open_session(options)
    if found is not None:
        check_model(found, session.loaded)
    run(session, found, layer=layer, magnitude=magnitude, read=lambda: input("> "))


@app.command(epilog="Example: python cli.py fetch instrumental-eval")
def fetch(
    what: Annotated[str, typer.Argument(help="instrumental-eval, paper-suffixes or paper-runs.")],
) -> None:
    """Bring published data from its pinned public commit into the user's cache, checked by checksum."""
    from steer.fetch import fetch as run

    print(run(what))


@app.command(epilog="Example: python cli.py models")
def models() -> None:
    """The model aliases."""
    from steer.models import ALIASES
    from steer.screen import Screen

    rows = [[alias, hub] for alias, hub in ALIASES.items()]
    Screen().table("Models (or any hub id, or a local folder)", ["alias", "weights"], rows)


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"steergap {version('steergap')}")
        raise typer.Exit


@app.callback()
def steergap(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print it and stop.")
    ] = False,
) -> None:
    """Flags before a command."""


def spread(arguments: list[str], flag: str = "--temperature") -> list[str]:
    """Let one flag take several values: `--temperature 0 0.7` becomes two flags."""
    out: list[str] = []
    taking = False
    for argument in arguments:
        if argument == flag:
            taking = True
            continue
        if taking and _is_number(argument):
            out += [flag, argument]
            continue
        taking = False
        out.append(argument)
    return out


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def main() -> int:
    """Run a command. A UserError is one line and exit code 2; Ctrl-C keeps every finished row."""
    try:
        code = app(spread(sys.argv[1:]), standalone_mode=False, prog_name="cli.py") or 0
    except UserError as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    except typer.TyperException as error:
        message = " ".join(error.format_message().split())
        print(f"error: {plain(message)} (-h shows what is allowed)", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        print("interrupted: finished rows are kept; the same command continues", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
