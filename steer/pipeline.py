"""Carries rows: requests to the engine, answers to the judge, everything to the store, as it comes.

It can be stopped anywhere (Ctrl-C, SIGKILL, a full disk) and called again: what is stored is not
done again, what is not stored is. The judge gets scenario and answer under an opaque id and so
cannot know the arm; equal inputs are judged once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from steer import choices, judges
from steer.chat import read_answer
from steer.errors import UserError
from steer.plan import Planned, digest
from steer.store import RunStore, StoredResponse
from steer.types import Engine, Judge, JudgeItem, LoadedModel, Request, Scenario, Sees, Verdict

FLUSH_ROWS = 64
FLUSH_SECONDS = 1.0
NAMED = 4  # reasons and arms in a line

Tick = Callable[[Literal["generate", "judge"], int], None]
"""Told how many rows have just been finished; draws progress."""


def run(
    store: RunStore,
    planned: Planned,
    loaded: LoadedModel,
    engine: Engine,
    judge: Judge,
    *,
    judge_sees: Sees = "unsteered",
    tick: Tick,
) -> Counter[str]:
    """Generate and judge every planned row that the store lacks; marks of thinking left in new answers.

    A remote judge (`judge.remote`) works while the model generates; a local one would only take
    the model's time, so it follows.
    """
    done = store.done()
    pending = [r for key, r in planned.requests.items() if key not in done]
    marks: Counter[str] = Counter()
    desk = _Desk(store, judge, judge_sees)
    with accounted(store, judge), desk.open(background=judge.remote) as submit:
        submit()  # answers that an interrupted run left without a verdict
        buffer: list[StoredResponse] = []
        flushed = time.monotonic()

        def flush() -> None:
            nonlocal flushed
            store.add_responses(buffer)
            tick("generate", len(buffer))
            buffer.clear()
            if judge.remote:
                submit()
            flushed = time.monotonic()

        try:
            for found in _answered(engine, loaded, pending, marks):
                buffer.append(found)
                if len(buffer) >= FLUSH_ROWS or time.monotonic() - flushed >= FLUSH_SECONDS:
                    flush()
                    tick("judge", desk.collect())
        finally:
            if buffer:
                flush()
            tick("judge", desk.collect())  # also of a run that is being stopped: they were paid for
        submit()
        for judged in desk.drain():
            tick("judge", judged)
    return marks


def _answered(
    engine: Engine, loaded: LoadedModel, requests: Sequence[Request], marks: Counter[str]
) -> Iterator[StoredResponse]:
    """Every request answered, by its options where it has some; counts marks of thinking."""
    chosen = [request for request in requests if request.options]
    for found in choices.answers(engine, chosen):
        yield StoredResponse(found.response, "", found.answer, True, engine.name, found.measures)
    left = {request.key: request for request in requests if not request.options}
    for response in engine.generate(left.values()) if left else ():
        request = left[response.key]
        answer = read_answer(loaded.tokenizer, response.output_ids, request.stop_ids, request.prompt_ids)
        marks.update([answer.mark] if answer.mark else [])
        made = response.made or engine.name
        yield StoredResponse(response, answer.thinking, answer.text, answer.complete, made)


def judge_stored(store: RunStore, judge: Judge, judge_sees: Sees, tick: Tick) -> None:
    """Judge every stored answer that `judge` has not seen; nothing is generated."""
    desk = _Desk(store, judge, judge_sees)
    with accounted(store, judge), desk.open(background=judge.remote) as submit:
        submit()
        for judged in desk.drain():
            tick("judge", judged)


def require_judged(store: RunStore, judge: Judge) -> None:
    """Raise UserError if an answer is left without a verdict: a half-judged figure would be kept for good."""
    left = sum(1 for _ in store.unjudged(judge.name))
    if left:
        raise out_of_calls(left, store)


def out_of_calls(left: int, store: RunStore) -> UserError:
    """A judge leaves an answer without a verdict only when its calls ran out."""
    return UserError(
        f"the judge stopped at --max-calls with {left} answers to go: all is kept in {str(store.folder)!r}, "
        "repeat the command to go on"
    )


def without_label(store: RunStore, judge: str) -> str:
    """One line on the planned rows that got no label: how many, of which arms, and why; "" if all got one."""
    sql = """
        SELECT p.arm, CASE WHEN r.finish = 'failed' THEN r.error WHEN NOT r.complete
               THEN 'the answer was cut off in its thinking' WHEN v.role = 'invalid' THEN v.reason END
        FROM plan p JOIN responses r ON r.key = p.response
        LEFT JOIN verdicts v ON v.response = p.response AND v.judge = ?"""
    rows = list(store.query(sql, (judge,)))
    lost = [(arm, why) for arm, why in rows if why is not None]
    if not lost:
        return ""
    of = Counter(arm for arm, _ in rows)
    arms = [f"{arm} {n} of {of[arm]}" for arm, n in Counter(arm for arm, _ in lost).most_common(NAMED)]
    whys = [f"{n} × {why[:120]}" for why, n in Counter(why for _, why in lost).most_common(NAMED)]
    return f"{len(lost)} of {len(rows)} rows have no label by {judge}: {'; '.join(whys)} ({', '.join(arms)})"


@contextmanager
def accounted(store: RunStore, judge: Judge) -> Generator[None]:
    """Adds the calls and tokens of a remote judge to the run's account, however the block ends."""
    before = judges.usage(judge)
    try:
        yield
    finally:
        store.add_usage(judges.used_since(judge, before))


class _Desk:
    """Where answers wait for the judge and verdicts for the store. All store access is on one thread."""

    def __init__(self, store: RunStore, judge: Judge, judge_sees: str) -> None:
        self.store, self.judge, self.sees = store, judge, judge_sees
        self.scenarios: dict[str, Scenario] = {s.id: s for s in store.scenarios()}
        self.known = store.verdict_by_input(judge.name)
        self.waiting: dict[str, list[str]] = {}  # judge input -> response keys
        self.submitted: set[str] = set()  # response keys
        self.todo: queue.SimpleQueue[JudgeItem | None] = queue.SimpleQueue()
        self.verdicts: queue.SimpleQueue[tuple[str, Verdict] | BaseException | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.finished = False  # the thread has given its last verdict

    @contextmanager
    def open(self, *, background: bool) -> Generator[Callable[[], None]]:
        if background:
            self.thread = threading.Thread(target=self._work, daemon=True)
            self.thread.start()
        try:
            yield self._submit
        finally:
            if self.thread is not None:
                self.todo.put(None)

    def _submit(self) -> None:
        """Put every stored, complete, unjudged answer before the judge, equal inputs once."""
        repeated: list[tuple[str, str, Verdict]] = []
        for key, scenario_id, prompt_id, answer in self.store.unjudged(self.judge.name):
            if key in self.submitted:
                continue
            self.submitted.add(key)
            scenario = self.scenarios[scenario_id]
            if self.sees == "steered":
                scenario = replace(scenario, user=self.store.prompt(prompt_id).user)
            seen = digest([scenario.category, scenario.system, scenario.user, answer])
            if seen in self.known:
                repeated.append((key, seen, self.known[seen]))
            elif seen in self.waiting:
                self.waiting[seen].append(key)
            else:
                self.waiting[seen] = [key]
                self.todo.put(JudgeItem(seen, scenario, answer))
        if repeated:
            self.store.add_verdicts(self.judge.name, repeated)

    def _work(self) -> None:
        try:
            for verdict in self.judge.judge(self._items()):
                self.verdicts.put(verdict)
            self.verdicts.put(None)
        except BaseException as error:  # carried to the thread that asked
            self.verdicts.put(error)

    def _items(self) -> Iterator[JudgeItem]:
        while (item := self.todo.get()) is not None:
            yield item

    def _keep(self, verdicts: Iterable[tuple[str, Verdict]]) -> int:
        rows: list[tuple[str, str, Verdict]] = []
        for seen, verdict in verdicts:
            self.known[seen] = verdict
            rows += [(key, seen, verdict) for key in self.waiting.pop(seen, [])]
        if rows:
            self.store.add_verdicts(self.judge.name, rows)
        return len(rows)

    def collect(self) -> int:
        """Store the verdicts that have arrived; the number of rows they settle."""
        arrived: list[tuple[str, Verdict]] = []
        while not self.verdicts.empty():
            found = self.verdicts.get()
            if isinstance(found, BaseException):
                self._keep(arrived)
                raise found
            if found is None:
                self.finished = True
            else:
                arrived.append(found)
        return self._keep(arrived)

    def drain(self) -> Iterator[int]:
        """Wait for every verdict still due, storing them as they come."""
        self.todo.put(None)
        if self.thread is None:
            batch: list[tuple[str, Verdict]] = []
            since = time.monotonic()
            try:
                for verdict in self.judge.judge(self._items()):
                    batch.append(verdict)
                    if len(batch) >= FLUSH_ROWS or time.monotonic() - since >= FLUSH_SECONDS:
                        yield self._keep(batch)
                        batch, since = [], time.monotonic()
            finally:
                kept = self._keep(batch)
            yield kept
            return
        try:
            while not self.finished:  # what has come is stored at once: the next may be long in coming
                found = self.verdicts.get()
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    return
                yield self._keep([found]) + self.collect()
        finally:
            self.collect()
