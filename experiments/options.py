"""What every experiment is told, before anything is resolved or loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from steer.errors import UserError
from steer.judges import CONCURRENCY, TIMEOUT
from steer.paper import SCENARIOS
from steer.sampling import TEMPERATURES
from steer.types import DATE, Context

if TYPE_CHECKING:
    from steer.judges.endpoint import Access

EngineName = Literal["auto", "slots", "nnsight"]
JudgeSees = Literal["unsteered", "steered"]
SizedOperation = Literal["add", "clamp"]
"""What can be chosen at plus and minus a magnitude: `ablate` has no size and no sign."""

Api = Literal["auto", "chat", "responses"]


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

    model: str = "organism"
    task: str | None = None
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    device_map: str | None = None
    scenarios: str | None = None
    per_category: int | None = None
    seed: int = 0
    context: Context = "full"
    date: str | None = None
    suffixes: str = "default"
    judge: str = "auto"
    judge_sees: JudgeSees = "unsteered"
    base_url: str | None = None
    max_calls: int | None = None
    concurrency: int = CONCURRENCY
    per_minute: int = 0
    api: Api = "auto"
    judge_timeout: float = TIMEOUT
    engine: EngineName = "auto"
    batch: int | None = None
    workers: str | None = None
    ray_address: str | None = None
    gpus_per_worker: int = 1
    mixed_devices: bool = False
    prompt_tokens: int = 4096
    new_tokens: int | None = None
    thinking: bool | None = None
    temperatures: tuple[float, ...] = (0.0,)
    samples: int = 1
    out: Path | None = None
    force: bool = False
    dry_run: bool = False
    quiet: bool = False

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
    def access(self) -> Access:
        """How a judge behind an endpoint is reached."""
        return {
            "base_url": self.base_url,
            "max_calls": self.max_calls,
            "concurrency": self.concurrency,
            "per_minute": self.per_minute,
            "api": self.api,
            "timeout": self.judge_timeout,
        }


PAPER: dict[str, Any] = {
    "per_category": 15,
    "seed": 123,
    "context": "full",
    "judge_sees": "steered",
    "prompt_tokens": 4096,
    "temperature": [0.0],
    "samples": 1,
}
"""The flags that the paper's protocol fixes; its scenarios, suffixes and judge are only defaults."""


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
