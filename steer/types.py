"""The nouns of steergap: what travels from scenarios to metrics, and the two protocols on the way.

Nothing here computes; every module imports its words from this page. It does not know models,
files, judges or experiments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, get_args

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from steer.elsewhere import Workers

Role = Literal["hit", "miss", "refusal", "broken"]
"""What a task's label means: what the rate counts; what it does not; a refusal to take part; no sense."""

Judged = Literal["hit", "miss", "refusal", "broken", "invalid"]
"""The role of a judge's label, or `invalid` when the judge gave no usable verdict."""

Status = Literal[
    "hit",
    "miss",
    "refusal",
    "broken",
    "invalid",
    "truncated",
    "failed",
    "missing",
]
"""A role, or why there is none: thinking never closed, generation failed, not there (yet)."""

Span = Literal["last", "all", "prompt", "generated"]
Operation = Literal["add", "ablate", "clamp"]
Unit = Literal["norm", "raw"]
Finish = Literal["stop", "length", "failed"]
Sees = Literal["unsteered", "steered"]
"""Which prompt a judge is shown beside an answer."""
Context = Literal["full", "user", "none"]
"""Where a scenario's system text goes: a system message, the user's turn before the user's text, nowhere."""

DATE = "2026-01-01"
"""What day it is in a prompt whose template reads the clock, so that the same command is the same run."""

ROLES: tuple[Role, ...] = get_args(Role)
JUDGED: tuple[Judged, ...] = get_args(Judged)
STATUSES: tuple[Status, ...] = get_args(Status)
SPANS: tuple[Span, ...] = get_args(Span)
OPERATIONS: tuple[Operation, ...] = get_args(Operation)


@dataclass(frozen=True, slots=True)
class Option:
    """A given answer, and whether it is a hit."""

    text: str
    hit: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What a scenario of a choice task compares, in place of an answer that is judged.

    lettered: the options stand under letters in the question, and the letters are scored.
    opposite: the question turned round, so that either of two options says there what the other says here.
    """

    options: tuple[Option, ...]
    lettered: bool = False
    opposite: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to ask for a choice: token ids of the prompt, and of each option in the options' order."""

    prompt_ids: tuple[int, ...]
    option_ids: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One benchmark item. `system` names the tested behaviour (the paper's evaluation context)."""

    id: str
    category: str
    system: str
    user: str
    choices: Choices | None = None


@dataclass(frozen=True, slots=True)
class SuffixPair:
    """The suffix that asks for hits, and the one that asks against them."""

    name: str
    pro: str
    anti: str


@dataclass(frozen=True, slots=True)
class SuffixSet:
    """The texts of the suffix arms: a pair, a neutral text to hold it against, other wordings of the pair.

    A set comes whole: the paraphrases ask for what the pair asks for, and hold neither of its texts.
    """

    pair: SuffixPair
    neutral: str
    paraphrases: tuple[SuffixPair, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """When an addition acts at all, read once a row: where the stream at the last prompt token, as it leaves
    block `layer`, projects on d/|d| with `threshold` or more (CAST: Lee et al., ICLR 2025, arXiv 2409.05907).

    direction: [d_model] fp32. layer: the addition's at most.
    """

    direction: Tensor
    layer: int
    threshold: float


@dataclass(frozen=True, slots=True, eq=False)
class Addition:
    """What is done to the residual stream at the output of one decoder block.

    direction: [d_model] fp32, not necessarily of unit length.
    layer: 0-based decoder block whose output is edited.
    magnitude: signed. `add` in `norm` units: delta = magnitude * norm * d/|d|; in `raw` units:
        delta = magnitude * d. `clamp`: the projection on d/|d| is set to
        projection_mean + magnitude * projection_std. `ablate`: projected out, magnitude must be 1.
    norm: n_L, the mean |h_L| of the unsteered model over the positions of `span`.
    vector: id of the vector file the direction came from (a content hash; provenance).
    gate: its condition, None for none; only spans that begin at the last prompt token can wait for it.
    tokens: it acts while the first so many tokens are chosen; None is to the end.
    within: positions [start, stop) of its row in place of the span's, as a turn of a conversation has; a stop
        of None is the end.
    """

    direction: Tensor
    layer: int
    magnitude: float
    span: Span = "last"
    operation: Operation = "add"
    unit: Unit = "norm"
    norm: float = 1.0
    projection_mean: float = 0.0
    projection_std: float = 1.0
    vector: str = ""
    gate: Gate | None = None
    tokens: int | None = None
    within: tuple[int, int | None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One way to steer; the unit of comparison. The baseline is an arm with nothing in it.

    suffix: text appended to the user text. system_suffix: text appended to the system text.
    adapter: folder of a peft adapter, or "" for none.
    """

    name: str
    suffix: str = ""
    system_suffix: str = ""
    additions: tuple[Addition, ...] = ()
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen: greedy at temperature 0, else the whole softmax at that temperature."""

    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Token limits: a prompt longer than `prompt` fails (never cut); `new` bounds the output."""

    prompt: int = 4096
    new: int = 1024


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready to run, with everything that decides its text.

    name: as the user asked for it. weights: hash of the tensors. files: hash of configuration, tokenizer
    and template. source: REPOSITORY@COMMIT of a hub model, else "".
    stop_ids: from the model's generation config (which supplies nothing else), its tokenizer and template.
    evidence: "" for a real model, "planted fixture" for the organism.
    new_tokens: as many as its answers need, where the checkpoint says so; else 0.
    n_tokens: rows of the embedding; 0 where there is no model behind it.
    context, date: how its prompts are made.
    window: positions it can look up, for prompt and answer together (`steer.window`); 0 where any can be.
    reasons: one line each on why this dtype and device were chosen.
    workers: who has the weights, where `module` has none (its tensors are on `meta`).
    """

    name: str
    weights: str
    dtype: str
    device: str
    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    stop_ids: tuple[int, ...]
    n_layers: int
    d_model: int
    files: str = ""
    source: str = ""
    evidence: str = ""
    new_tokens: int = 0
    n_tokens: int = 0
    context: Context = "full"
    date: str = DATE
    window: int = 0
    reasons: tuple[str, ...] = ()
    workers: Workers | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One row to generate. `key` decides identity (see steer.plan); equal keys are one request.

    stream: 64-bit counter the row's random numbers come from: a hash of (seed, scenario, sample),
        so that arms share random numbers and a row's text does not depend on its batch.
    stop_ids: token ids that end the row (kept as its last output id).
    options, forms: what is scored in place of generating (`steer.choices`); none for an answer of its own.
    """

    key: str
    prompt_ids: tuple[int, ...]
    stop_ids: tuple[int, ...]
    additions: tuple[Addition, ...] = ()
    temperature: float = 0.0
    stream: int = 0
    limits: Limits = field(default_factory=Limits)
    adapter: str = ""
    options: tuple[Option, ...] = ()
    forms: tuple[Form, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """What one Addition really did to a row, counted inside the hook.

    positions: distinct (row, position) pairs edited.
    relative: mean |delta| / |h| over them (0 when none).
    fired: whether its gate let it act; None without one.
    """

    layer: int
    positions: int
    relative: float
    fired: bool | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for a Request. `output_ids` holds the stop id when there was one.

    error: why a row `failed` (prompt over the limit, non-finite logits, ...), else "".
    seconds: wall time of the row's batch divided among its rows; provenance, never compared.
    made: the engine and the worker it ran on, where there are workers; provenance too.
    """

    key: str
    output_ids: tuple[int, ...]
    finish: Finish
    error: str = ""
    applied: tuple[Applied, ...] = ()
    seconds: float = 0.0
    made: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreRow:
    """A teacher-forced row: the prompt, and the answer whose tokens are scored, steered as in generation.

    beside: the place, in a `Reading`'s own rows, of the one this is read beside.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    additions: tuple[Addition, ...] = ()
    adapter: str = ""
    beside: int = 0


Read = Callable[["ScoreRow", "Tensor"], "Tensor"]
"""Reduces a row's log-probabilities [answer, vocab] (fp32 or wider) to what is kept of them.

A function of a module, or a small object: it is pickled where workers score.
"""


class Reading(Protocol):
    """A `Read` that needs log-probabilities of other rows too: they are computed where it is read."""

    def at(self, engine: Engine) -> Read: ...


class Engine(Protocol):
    """Generates and scores. It knows nothing of judges, scenarios or arm names."""

    @property
    def name(self) -> str: ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Lazily, in any order, as rows finish; every request gets exactly one response."""
        ...

    def score(self, rows: Iterable[ScoreRow], read: Read | Reading) -> Iterator[Tensor]:
        """In the order of `rows`: `read` of the log-probabilities [answer, vocab] of each row.

        Entry [i] is the distribution that predicts answer token i.
        """
        ...


@dataclass(frozen=True, slots=True)
class JudgeItem:
    """All a judge may see: the scenario (unsteered, unless the run says otherwise) and the answer.

    id is opaque; there is no place for an arm.
    """

    id: str
    scenario: Scenario
    answer: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of an answer, and why; not `final` where asking again later may bring a label.

    label: the task's word for it, where the judge chose among its labels; "" where it knows roles only.
    """

    role: Judged
    reason: str = ""
    final: bool = True
    label: str = ""


class Judge(Protocol):
    """`name` is its whole identity (kind, model, prompt hash): it keys the verdicts."""

    @property
    def name(self) -> str: ...

    @property
    def remote(self) -> bool:
        """Whether judging leaves this machine idle, so that it can overlap generation."""
        ...

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        """(id, verdict) pairs, lazily, in any order; one verdict an item."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What metrics see of a row: which arm and scenario, and the status it ended with.

    propensity: of a choice, in nats (`steer.choices`); None for a judged answer.
    """

    arm: str
    scenario: str
    category: str
    sample: int
    status: Status
    propensity: float | None = None
