"""steergap's commands: parse, call, print. No logic here, and nothing heavy at the top."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from experiments.emergent.options import EmergentChoice
from experiments.flags import NOT_IN_A_TALK, WORKERS, experiment, refuse_all_but
from experiments.judging.answered import answered, print_version
from experiments.options import Api, ExtractChoice, Options
from experiments.repeat import conclude
from experiments.sweep.options import CompareChoice, MechanismChoice, SweepChoice
from experiments.turns.options import TurnsChoice
from steer.finite import finite
from steer.judges import TIMEOUT
from steer.paper import SCENARIOS
from steer.types import Sees

app = typer.Typer(
    help="How far does a prompt suffix move a language model, how far a steering vector, "
    "at what cost, and how sure are we?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command(
    epilog="Examples: python cli.py suffix  |  python cli.py suffix --model qwen3-4b --judge openai:gpt-5.2"
)
@experiment()
def suffix(ctx: typer.Context, options: Options) -> None:
    """How far a prompt suffix moves the model: baseline, neutral, pro and anti."""
    from experiments.suffix import suffix as run

    conclude(ctx, options, *run(options))


@app.command(
    epilog="Examples: python cli.py vector-sweep --layers 10-20  |  "
    "python cli.py vector-sweep --model qwen3-4b --layers 10-20 --magnitudes -0.3:0.3:0.1"
)
@experiment(SweepChoice)
def vector_sweep(ctx: typer.Context, options: Options, chosen: SweepChoice) -> None:
    """What a vector does at every layer and magnitude, fairly chosen, beside its controls."""
    from experiments.sweep.run import vector_sweep as run

    conclude(ctx, options, *run(options, chosen))


@app.command(epilog="Examples: python cli.py compare  |  python cli.py compare --model qwen3-4b --transfer")
@experiment(CompareChoice)
def compare(
    ctx: typer.Context,
    options: Options,
    chosen: CompareChoice,
    runs: Annotated[list[Path] | None, typer.Argument(help="Finished runs to compare instead.")] = None,
    models: Annotated[str | None, typer.Option(help="Several models: a,b,c.")] = None,
) -> None:
    """Suffix against vector, both together, and controls: one table, and what each costs."""
    if runs:
        from experiments.across.compare_runs import compare_runs

        refuse_all_but(ctx, ("runs", "judge", "json_only"))
        conclude(ctx, options, compare_runs(runs, options), None)
    elif models:
        from experiments.across.compare_models import compare_models

        conclude(ctx, options, *compare_models(models.split(","), options, chosen))
    else:
        from experiments.compare.run import compare as run

        conclude(ctx, options, *run(options, chosen))


@app.command(epilog="Examples: python cli.py mechanism  |  python cli.py mechanism --layers 10,18")
@experiment(MechanismChoice)
def mechanism(ctx: typer.Context, options: Options, chosen: MechanismChoice) -> None:
    """One path or two: does the vector's direction carry what the suffix does, and the other way round?"""
    from experiments.mechanism.run import mechanism as run

    conclude(ctx, options, *run(options, chosen))


@app.command(
    epilog="Examples: python cli.py emergent  |  python cli.py emergent --model qwen3-4b --no-thinking "
    "--judge openai:gpt-5.2 --narrow bad-advice.jsonl --grid"
)
@experiment(EmergentChoice, without=WORKERS)
def emergent(
    ctx: typer.Context,
    options: Options,
    chosen: EmergentChoice,
    models: Annotated[str | None, typer.Option(help="Several models: a,b,c.")] = None,
) -> None:
    """Steer towards one narrow fault: does the model go wrong elsewhere? Vectors, adapters, suffixes."""
    if models:
        from experiments.emergent.models import emergent_models

        conclude(ctx, options, *emergent_models(models.split(","), options, chosen))
    else:
        from experiments.emergent.run import emergent as run

        conclude(ctx, options, *run(options, chosen))


@app.command(
    epilog="Examples: python cli.py turns --turns 3 --layer 14 --magnitude 0.3  |  "
    "python cli.py turns --model qwen3-4b --turns 4 --follow-ups pressing --vector v.safetensors --layer 18"
)
@experiment(TurnsChoice, without=("temperature", "samples"))
def turns(ctx: typer.Context, options: Options, chosen: TurnsChoice) -> None:
    """How long a suffix holds over a conversation, and how long a vector."""
    from experiments.turns.run import turns as run

    conclude(ctx, options, *run(options, chosen))


@app.command(
    epilog="Example: python cli.py extract --contrast suffix --method mean-difference --layers all "
    "--out v.safetensors"
)
@experiment(ExtractChoice, without=("per_category", "judge_sees", "temperature", "samples"))
def extract(ctx: typer.Context, options: Options, chosen: ExtractChoice) -> None:
    """Find the direction between hits and their opposite, and how far to trust it."""
    from experiments.extraction.command import extract_vector

    found = extract_vector(options, chosen)
    if options.quiet:
        print(json.dumps(finite(found), indent=1, allow_nan=False))


POSITION = typer.Option(help="Of a refusal_direction file; else direction_metadata.json beside it says it.")
LAYER = typer.Option(help="Chosen there, in that file's counting; else as above.")

vector = typer.Typer(help="Look at a vector file, or convert it.", no_args_is_help=True)
app.add_typer(vector, name="vector")


@vector.command(epilog="Example: python cli.py vector show v.safetensors")
def show(
    file: Annotated[Path, typer.Argument()],
    format: Annotated[str, typer.Option(help="Only where the file's name does not tell.")] = "",
    position: Annotated[int | None, POSITION] = None,
    layer: Annotated[int | None, LAYER] = None,
    lens: Annotated[bool, typer.Option("--lens", help="Its tokens, and who writes it.")] = False,
    json_only: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """How far a vector can be trusted, and which figure means something."""
    from experiments.lens import show_vector
    from vectors.foreign import read_vector

    found = read_vector(file, format=format, position=position, layer=layer)
    show_vector(found, lens=lens, json_only=json_only)


@vector.command(
    epilog="Examples: python cli.py vector convert v.safetensors v.gguf --to gguf  |  "
    "python cli.py vector convert v.safetensors pro.safetensors --part pro-neutral"
)
def convert(
    file: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Argument()],
    to: Annotated[str, typer.Option(help="steergap, gguf or persona_vectors; else by OUT's name.")] = "",
    format: Annotated[str, typer.Option(help="Of the input, where its name does not tell.")] = "",
    position: Annotated[int | None, POSITION] = None,
    layer: Annotated[int | None, LAYER] = None,
    part: Annotated[str, typer.Option(help="Of a suffix contrast: pro-neutral or neutral-anti.")] = "",
    without: Annotated[
        Path | None, typer.Option(help="A vector: only what is orthogonal to it is written.")
    ] = None,
) -> None:
    """Read a vector of any known format and write it, or a part of it, in another."""
    from steer.atomic import is_stream
    from vectors.foreign import convert as write

    said = write(file, out, to=to, format=format, position=position, layer=layer, part=part, without=without)
    print(said, file=sys.stderr if is_stream(out) else sys.stdout)


@app.command(epilog="Example: python cli.py judge runs/suffix-organism-0123abcd --judge openai:gpt-5.2")
def judge(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    judge: Annotated[str, typer.Option(help="rubric, openai:MODEL, hf:MODEL or panel:A,B,C.")],
    base_url: Annotated[str | None, typer.Option(help="Of an OpenAI-compatible judge.")] = None,
    max_calls: Annotated[int | None, typer.Option(help="Stop cleanly after so many calls.")] = None,
    concurrency: Annotated[int, typer.Option(help="Calls at once.")] = 16,
    per_minute: Annotated[int, typer.Option(help="Requests a minute at most; 0: no bound.")] = 0,
    api: Annotated[Api, typer.Option(help="Of the endpoint; auto: the one that works.")] = "auto",
    judge_timeout: Annotated[float, typer.Option(help="Seconds for one reply.")] = TIMEOUT,
    repeat: Annotated[int, typer.Option(help="Passes: a judge against itself.")] = 1,
    part: Annotated[Literal["answer", "thinking"], typer.Option(help="What is judged.")] = "answer",
    sees: Annotated[Sees | None, typer.Option(help="Default: blind, or as this judge saw it before.")] = None,
    retry_invalid: Annotated[
        bool, typer.Option("--retry-invalid", help="Ask again what got no usable verdict.")
    ] = False,
) -> None:
    """Judge an existing run again; verdicts of several judges live side by side."""
    from experiments.judging.run import judge_run
    from steer.screen import Screen

    screen = Screen()
    names = judge_run(
        run,
        judge,
        base_url=base_url,
        max_calls=max_calls,
        concurrency=concurrency,
        per_minute=per_minute,
        api=api,
        timeout=judge_timeout,
        repeat=repeat,
        part=part,
        sees=sees,
        retry_invalid=retry_invalid,
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
    from experiments.judging import run as judging

    if sheet is None:
        made = judging.annotate(run, judge, n=n, seed=seed, out=out)
        if made.html is not None:
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
    from experiments.judging.agreement import agreement as run_agreement
    from steer.screen import Screen

    found = run_agreement(run, reference=reference, screen=Screen(quiet=json_only))
    if json_only:
        print(json.dumps(found.json_values(), indent=1, allow_nan=False))


@app.command(epilog="Example: python cli.py import-paper FOLDER --out runs/paper")
def import_paper(
    folder: Annotated[Path, typer.Argument(help="The paper's result folders.")],
    out: Annotated[Path, typer.Option(help="Where a run a model is written.")],
    scenarios: Annotated[str, typer.Option(help="The scenarios that were run.")] = SCENARIOS,
) -> None:
    """Read the paper's published result folders into runs, its labels as a judge of their own."""
    from experiments.paper_runs import import_paper as run
    from steer.screen import Screen

    run(folder, out, scenarios=scenarios, screen=Screen())


@app.command(epilog="Example: python cli.py report runs/suffix-organism-0123abcd")
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; several make one page.")],
    out: Annotated[Path | None, typer.Option(help="Default: report.html in the first run.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Also SVG, PNG, PDF and Markdown tables, here.")
    ] = None,
) -> None:
    """One self-contained page: figures, intervals, and the answers behind every cell."""
    from experiments.reporting import report as write

    write(runs, out=out, figures=figures)


@app.command(epilog="Example: python cli.py export runs/suffix-organism-0123abcd --format csv --out rows.csv")
def export(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    format: Annotated[str, typer.Option(help="jsonl, csv, inspect, or folder: a whole copy.")],
    out: Annotated[Path, typer.Option(help="File, or a folder for inspect and folder.")],
) -> None:
    """Every row of a run, for other tools."""
    from experiments.reporting import export as write

    write(run, format=format, out=out)


@app.command(
    epilog="Example: python cli.py compare-logs logs/baseline.eval logs/suffix.eval --page logs.html"
)
def compare_logs(
    logs: Annotated[
        list[Path], typer.Argument(help="Inspect's .eval logs of one task, or folders; the baseline first.")
    ],
    page: Annotated[Path | None, typer.Option(help="Also one page, with both answers.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also the tables as Markdown.")] = None,
    json_only: Annotated[bool, typer.Option("--json", help="Print the result alone, as JSON.")] = False,
) -> None:
    """Any logs of Inspect in pairs: differences with intervals, exact tests, and the samples behind them."""
    from experiments.logs.command import compare_logs as run
    from steer.screen import Screen

    found = run(logs, page=page, markdown=markdown, screen=Screen(quiet=json_only))
    if json_only:
        print(json.dumps(finite(found), indent=1, allow_nan=False))


@app.command(epilog="Example: python cli.py chat --vector v.safetensors --layer 12 --magnitude 0.2")
@experiment(without=(*NOT_IN_A_TALK, *WORKERS))
def chat(
    ctx: typer.Context,
    options: Options,
    vector: Annotated[Path | None, typer.Option(help="A vector file.")] = None,
    layer: Annotated[int, typer.Option(help="To begin with.")] = 10,
    magnitude: Annotated[float, typer.Option(help="To begin with; 0 adds nothing.")] = 0.0,
) -> None:
    """Talk to a model with an arm applied, the baseline beside it."""
    from experiments.chat import talk

    talk(options, vector, layer=layer, magnitude=magnitude)


@app.command(epilog=f"Example: python cli.py fetch {SCENARIOS}")
def fetch(
    what: Annotated[
        str, typer.Argument(help=f"{SCENARIOS}, paper-suffixes, paper-runs or model-written-evals.")
    ],
) -> None:
    """Bring published data from its pinned public commit into the user's cache, checked by checksum."""
    from steer.paper.fetch import fetch as run

    print(run(what))


tasks = typer.Typer(
    invoke_without_command=True, epilog="Examples: python cli.py tasks  |  python cli.py tasks new my-task"
)
app.add_typer(tasks, name="tasks")


@tasks.callback()
def list_tasks(ctx: typer.Context) -> None:
    """The tasks there are: what can be measured."""
    if ctx.invoked_subcommand is None:
        from experiments.tasks import print_tasks
        from steer.screen import Screen

        print_tasks(Screen())


@tasks.command(epilog="Example: python cli.py tasks new my-task")
def new(folder: Annotated[Path, typer.Argument(help="To be made.")]) -> None:
    """Write the folder of a new task, commented, that runs as it is."""
    from experiments.tasks import new_task

    print(new_task(folder))


@app.command(epilog="Example: python cli.py models")
def models() -> None:
    """The model aliases."""
    from steer.models import ALIASES
    from steer.screen import Screen

    title = "Models (or any hub id, a local folder, or a .gguf file)"
    Screen().table(title, ["alias", "weights"], [[*both] for both in ALIASES.items()])


@app.callback()
def steergap(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print it and stop.")
    ] = False,
) -> None:
    """Flags before a command."""


def main() -> int:
    """Run the command line."""
    return answered(app)


if __name__ == "__main__":
    sys.exit(main())
