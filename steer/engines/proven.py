"""The engine that everything runs on: the first of several that proves itself on what it is asked.

It is an engine itself. Before the first row of anything it generates or scores, it lets the engine at
hand prove itself (`steer.engines.proof`, `steer.canary`) on those rows, as far as they are of another
kind than what was proven before; where that fails, the next engine takes over, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from steer import canary
from steer.adapters import grouped
from steer.engines.batching import is_out_of_memory
from steer.engines.proof import ProofError, longest_proof, prove_generation, prove_scores, samples
from steer.engines.slots import SlotEngine
from steer.engines.support import too_long
from steer.errors import UserError
from steer.types import Engine, LoadedModel, Read, Reading, Request, Response, ScoreRow
from steer.window import named

if TYPE_CHECKING:
    from torch import Tensor

PEEK = 64
"""Score rows read ahead, to prove one of each adapter."""


class ProvenEngine:
    """makers: the engines to take, the best first; say: hears why one is left.

    `reason` is why the engine is not the first, or "".
    """

    def __init__(
        self,
        loaded: LoadedModel,
        makers: Sequence[Callable[[], Engine]],
        *,
        say: Callable[[str], None],
        reason: str = "",
    ) -> None:
        self._loaded, self._say, self.reason = loaded, say, reason
        self._left = list(makers)
        self._positions = named(loaded.module)
        self._take()

    def _take(self) -> None:
        self._engine = self._left.pop(0)()
        self._reach: dict[str, int] = {}  # adapter -> tokens of the longest prompt proven
        self._steered: set[tuple[int, str, str]] = set()
        self._scored: set[str] = set()  # adapters

    @property
    def name(self) -> str:
        return self._engine.name

    def tokens(self) -> int:
        """Made by the latest call so far, those of rows under way too; 0 where the engine does not count."""
        return self._engine.work.row_steps if isinstance(self._engine, SlotEngine) else 0

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        asked = list(requests)
        self.prove(asked)
        yield from self._engine.generate(asked)

    def score(self, rows: Iterable[ScoreRow], read: Read | Reading) -> Iterator[Tensor]:
        coming = map(self._fitting, rows)
        first = list(islice(coming, PEEK))
        self._hold(lambda: self._prove_scores(first))
        yield from self._engine.score(chain(first, coming), read)

    def prove(self, requests: Sequence[Request]) -> None:
        """Settle which engine will run these requests; UserError if none proves itself."""
        self._measure(requests)
        self._hold(lambda: self._prove(requests))

    def _measure(self, requests: Sequence[Request]) -> None:
        """Say once that rows reach the end of the model's positions."""
        lengths = [len(r.prompt_ids) + r.limits.new for r in requests if len(r.prompt_ids) <= r.limits.prompt]
        if not self._positions or max(lengths, default=0) < self._positions + (not self._loaded.window):
            return
        if self._loaded.window:
            end = "answers end there"
        else:
            end = f"prompt and answer may have {max(lengths):,}, and beyond it was not trained"
        self._say(f"{self._loaded.name} has {self._positions:,} positions: {end}")
        self._positions = 0

    def _prove(self, requests: Sequence[Request]) -> None:
        if isinstance(self._engine, SlotEngine) and (reason := too_long(self._loaded, requests)):
            raise ProofError(reason)
        for adapter, group in grouped(requests, lambda request: request.adapter).items():
            prompts = samples(group, self._loaded.window, longest_proof(self._loaded))
            reach = max(map(len, prompts), default=0)
            if reach > self._reach.get(adapter, 0):
                prove_generation(self._engine, self._loaded, prompts, adapter)
                self._reach[adapter] = reach
        fresh = [r for r in requests if not self._steered.issuperset(map(canary.case, r.additions))]
        canary.check(self._engine, self._loaded, fresh)
        self._steered.update(canary.case(addition) for r in fresh for addition in r.additions)

    def _prove_scores(self, rows: Sequence[ScoreRow]) -> None:
        for row in rows:
            if row.prompt_ids and row.answer_ids and row.adapter not in self._scored:
                prove_scores(self._engine, self._loaded, row)
                self._scored.add(row.adapter)

    def _fitting(self, row: ScoreRow) -> ScoreRow:
        length, window = len(row.prompt_ids) + len(row.answer_ids), self._loaded.window
        if window and length > window:
            raise UserError(
                f"{self._loaded.name} has {window} positions: an answer of {len(row.answer_ids)} tokens "
                f"after {len(row.prompt_ids)} cannot be scored; shorten the prompt or --new-tokens"
            )
        return row

    def _hold(self, proof: Callable[[], None]) -> None:
        """Take engine after engine until the proof holds."""
        while True:
            try:
                return proof()
            except Exception as error:
                if isinstance(error, UserError) and not isinstance(error, ProofError | canary.CanaryError):
                    raise
                if is_out_of_memory(error):
                    raise UserError(
                        f"{self._loaded.name}: out of memory with one prompt; use a smaller model or dtype"
                    ) from error
                fault = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                why = (
                    f"the {self.name} engine fails its check on {self._loaded.name}: {fault.splitlines()[0]}"
                )
                if not self._left:
                    hint = "; use --engine nnsight" if isinstance(self._engine, SlotEngine) else ""
                    raise UserError(why + hint) from error
            self._take()
            self.reason = why
            self._say(f"engine: {self.name}, because {why}")
