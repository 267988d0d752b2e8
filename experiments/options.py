"""What every experiment is told, before anything is resolved or loaded, and the flag of each.

Annotations are evaluated here, not left as text: the command line is made of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from steer.errors import UserError
from steer.judges import CONCURRENCY, TIMEOUT
from steer.paper import SCENARIOS
from steer.sampling import TEMPERATURES
from steer.types import DATE, Context, Operation, Sees, Span

if TYPE_CHECKING:
    from steer.judges.endpoint import Access
    from steer.types import Gate
    from vectors.vector import SteeringVector

EngineName = Literal["auto", "slots", "nnsight"]
Api = Literal["auto", "chat", "responses"]

CONTRASTS = "suffix, choice, response, statement, formality or a JSONL of pairs."
METHODS = "mean-difference, pca, lat, logistic or fisher."

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Flag:
    """How a field is given on the command line.

    name: of its parameter, where that is not the field's. switch: as it is written where it can only be
    switched on.
    """

    help: str
    name: str = ""
    switch: str = ""


def flag(default: Value, help: str, *, name: str = "", switch: str = "") -> Value:
    """A field of options that is a flag, too."""
    return field(default=default, metadata={"flag": Flag(help, name, switch)})


def flags(group: type[Value]) -> Value:
    """A field that holds a group of flags: options of their own."""
    return field(default_factory=group, metadata={"flags": group})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The flags that all commands share.

    task: a shipped task's name or a folder; None is the model's own (the organism's) or the default one.
    scenarios, judge `auto`: None and `auto` are the task's.
    new_tokens: None is what the checkpoint says, else 1024, or 8096 for a thinking model.
    thinking: None is what the model does by itself.
    date: YYYY-MM-DD, of a template that reads the clock; None is steer.types.DATE.
    temperatures: greedy at 0; `samples` applies to those above 0.
    workers: a number of them, or `auto`; None is this process alone. The three after it are of theirs.
    out: None is a folder under runs/ named after the configuration.
    """

    model: str = flag("organism", "Alias (`models` lists them), hub id or folder.")
    task: str | None = flag(None, "One of `tasks`, a folder, or mwe:FILE[,FILE].")
    revision: str | None = flag(None, "Commit, tag or branch of a hub model.")
    dtype: str = flag("auto", "auto, fast, float32, float64, bfloat16 or float16.")
    device: str = flag("auto", "auto, cpu, cuda, cuda:1 or mps.")
    device_map: str | None = flag(None, "auto or balanced: spread over all GPUs.")
    scenarios: str | None = flag(
        None, "Others than the task's: a folder of CSV files, a CSV or a JSONL file."
    )
    per_category: int | None = flag(None, "At most this many scenarios a category.")
    seed: int = flag(0, "Of sampled tokens, controls and training.")
    subset_seed: int = flag(0, "Of the scenario sample and its halves.")
    context: Context = flag("full", "System texts: user puts them before the user's, none leaves them out.")
    date: str | None = flag(None, f"What day a template that reads the clock is told; default {DATE}.")
    suffixes: str = flag("default", "default, paper, or a JSON file.")
    judge: str = flag("auto", "rubric, openai:MODEL, hf:MODEL or panel:A,B,C; the organism also has truth.")
    judge_sees: Sees = flag("unsteered", "steered: the prompt with its suffix, as in the paper (not blind).")
    base_url: str | None = flag(None, "Of an OpenAI-compatible judge.")
    max_calls: int | None = flag(None, "Stop cleanly after so many judge calls.")
    concurrency: int = flag(CONCURRENCY, "Judge calls at once.")
    per_minute: int = flag(0, "Judge requests a minute at most; 0: no bound.")
    api: Api = flag("auto", "Of the judge's endpoint; auto: the one that works.")
    judge_timeout: float = flag(TIMEOUT, "Seconds for one reply of the judge.")
    engine: EngineName = flag("auto", "How to generate.")
    fast_attention: bool = flag(
        False,
        "FlashAttention in decode steps of --engine slots, on CUDA in 16 bit; never run on a device.",
        switch="--fast-attention",
    )
    graphs: bool = flag(
        False, "CUDA graphs of those steps, with that attention; never run on a device.", switch="--graphs"
    )
    batch: int | None = flag(None, "Rows at once; fitted to memory if left out.")
    workers: str | None = flag(None, "A number of processes, a model each, or auto: as many as GPUs.")
    ray_address: str | None = flag(None, "HOST:PORT of a Ray cluster for --workers; left out, this machine.")
    gpus_per_worker: int = flag(1, "For a model over several GPUs.")
    mixed_devices: bool = flag(
        False, "Workers of differing devices in 16 bit all the same.", switch="--mixed-devices"
    )
    prompt_tokens: int = flag(4096, "A longer prompt fails; it is never cut.")
    new_tokens: int | None = flag(None, "Default 1024, thinking models 8096.")
    thinking: bool | None = flag(None, "Default: what the model does by itself.")
    temperatures: tuple[float, ...] = flag((0.0,), "One or several; 0 is greedy.", name="temperature")
    samples: int = flag(1, "Answers a scenario at temperatures above 0.")
    out: Path | None = flag(None, "Run folder; default under runs/.")
    force: bool = flag(False, "Foreign scenarios on the organism all the same.")
    dry_run: bool = flag(False, "Print the plan and stop.", switch="--dry-run")
    quiet: bool = flag(False, "Print the summary alone, as JSON.", name="json_only", switch="--json")

    def __post_init__(self) -> None:
        counts = {
            "--per-category": self.per_category,
            "--batch": self.batch,
            "--gpus-per-worker": self.gpus_per_worker,
            "--prompt-tokens": self.prompt_tokens,
            "--new-tokens": self.new_tokens,
            "--samples": self.samples,
            "--max-calls": self.max_calls,
            "--concurrency": self.concurrency,
        }
        for flag, count in counts.items():
            if count is not None and count <= 0:
                raise UserError(f"{flag} {count}: allowed are whole numbers from 1; give one or leave it out")
        if self.workers not in (None, "auto") and not re.fullmatch("[1-9][0-9]{0,4}", str(self.workers)):
            raise UserError(f"--workers {self.workers}: allowed are whole numbers from 1, and auto")
        if self.workers and not re.fullmatch("auto|cpu|cuda", self.device):
            raise UserError(f"--device {self.device}: with --workers allowed are auto, cpu and cuda")
        if self.date is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", self.date):
            raise UserError(f"--date {self.date!r}: write it as {DATE}")
        if (self.graphs or self.fast_attention) and self.engine != "slots":
            name = "--graphs" if self.graphs else "--fast-attention"
            raise UserError(f"{name} with --engine {self.engine}: give --engine slots")
        if not self.temperatures:
            raise UserError("--temperature without a value: allowed are numbers from 0; give at least one")
        for temperature in self.temperatures:
            least, most = TEMPERATURES
            if temperature != 0 and not least <= temperature <= most:
                raise UserError(
                    f"--temperature {temperature:g}: allowed are 0 (greedy) and {least:g} to {most:g}"
                )
        if len(set(self.temperatures)) < len(self.temperatures):
            raise UserError(f"--temperature {self.temperatures} repeats a value: give each once")

    @property
    def engine_kind(self) -> str:
        """As `steer.engines.make_engine` takes it."""
        if self.graphs:
            return "slots+graphs"
        return "slots+attention" if self.fast_attention else self.engine

    @property
    def access(self) -> "Access":
        """How a judge behind an endpoint is reached."""
        return {
            "base_url": self.base_url,
            "max_calls": self.max_calls,
            "concurrency": self.concurrency,
            "per_minute": self.per_minute,
            "api": self.api,
            "timeout": self.judge_timeout,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorChoice:
    """Which vector, and how it is applied.

    file: a vector file; None extracts one by `contrast` and `method`. concept: a JSONL of
    {positive, negative} for the unrelated concept; None is formality (or the organism's style). nulls: how
    many of the task's unrelated contrasts (or ours) are extracted like the vector.
    vector: one in memory, instead of a file. gate: made of gate_layer (`experiments.sweep.gating`), or one's.
    """

    file: Path | None = flag(None, "Vector file; extracted and cached if left out.", name="vector")
    vector: "SteeringVector | None" = None
    contrast: str = flag("suffix", CONTRASTS)
    method: str = flag("mean-difference", METHODS)
    span: Span = flag("last", "Which positions are edited.")
    operation: Operation = flag("add", "What is done there; ablate has no magnitude.")
    controls: int = flag(3, "Random directions beside the vector; 0 for none.")
    nulls: int = flag(20, "Vectors of unrelated contrasts beside it; 0 for none, as with --controls 0.")
    concept: Path | None = flag(None, "JSONL of an unrelated concept, as a control.")
    gate_layer: int | None = flag(
        None, "Steer only prompts that look like the task's at this layer, not neutral ones.", name="gate"
    )
    gate: "Gate | None" = None
    tokens: int | None = flag(None, "Steer only while so many tokens are chosen.", name="first_tokens")

    def __post_init__(self) -> None:
        for flag, count in (("--controls", self.controls), ("--nulls", self.nulls)):
            if count < 0:
                raise UserError(f"{flag} {count}: allowed are whole numbers from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractChoice:
    """How a vector is made. extraction: None is the task's. layers: as 10-20, 10,12,14 or all."""

    contrast: str = flag("suffix", CONTRASTS)
    method: str = flag("mean-difference", METHODS)
    layers: str = flag("all", "As 10-20, 10,12,14 or all.")
    extraction: Path | None = flag(None, "Extraction scenarios (JSONL); default the task's.")
    extraction_per_category: int | None = flag(
        None, "At most this many of them a category, for a quick look."
    )
    controls: int = flag(0, "Control vectors of each kind, beside the file.")
    draws: int = flag(2, "Answers a side and scenario, for a response contrast.")
    check: str = flag("", "transformer-lens: capture the same rows through it.")


PAPER: dict[str, Any] = {
    "per_category": 15,
    "subset_seed": 123,
    "context": "full",
    "judge_sees": "steered",
    "prompt_tokens": 4096,
    "temperature": [0.0],
    "samples": 1,
}
"""The flags that the paper's protocol fixes; its scenarios, suffixes and judge are only defaults."""


def each_model(models: Sequence[str], options: Options) -> list[tuple[str, Options]]:
    """The options of each of several models, a folder each. Raises UserError for fewer, or one twice."""
    names = [name.strip() for name in models if name.strip()]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise UserError(f"--models {','.join(models)}: give two different models or more, as a,b")
    return [
        (name, replace(options, model=name, out=options.out and options.out / name.replace("/", "--")))
        for name in names
    ]


def paper_protocol(options: Options) -> Options:
    """Everything arXiv 2601.01584 did, as a preset: scenarios, sampling of 71, suffixes, unblinded judge."""
    fixed = {name: value for name, value in PAPER.items() if name != "temperature"}
    return replace(
        options,
        scenarios=options.scenarios or SCENARIOS,
        suffixes="paper" if options.suffixes == "default" else options.suffixes,
        judge="openai:gpt-5.2" if options.judge == "auto" else options.judge,
        temperatures=tuple(PAPER["temperature"]),
        **fixed,
    )


def parse_ranks(text: str) -> tuple[int, ...]:
    """The k of `1,4`, ascending; none of an empty text."""
    pieces = [piece.strip() for piece in text.split(",") if piece.strip()]
    if not all(piece.isdecimal() and int(piece) for piece in pieces):
        raise UserError(f"--ranks {text!r}: allowed are whole numbers from 1, as 1,4 (k = 0 is the baseline)")
    return tuple(sorted({int(piece) for piece in pieces}))
