"""A run without torch: an engine and a judge whose every answer is a hash of what they see."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from steer import pipeline
from steer.plan import Planned, digest
from steer.store import PlanRow, Prompt, RunStore
from steer.types import Judged, JudgeItem, LoadedModel, Request, Response, Scenario, ScoreRow, Verdict
from tests.tasks import RECORD

JUDGED: tuple[Judged, ...] = ("hit", "miss", "refusal", "broken", "invalid")
ARMS = ("baseline", "neutral", "pro", "anti")


def number(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


class Words:
    """A tokenizer as far as reading an answer needs one: an id is a word."""

    def decode(self, ids: Iterable[int], **_: object) -> str:
        return " ".join(f"w{i}" for i in ids)

    def convert_tokens_to_ids(self, _: str) -> None:
        return None


@dataclass
class FakeEngine:
    """`seen` counts how often each key was generated."""

    seen: list[str] = field(default_factory=list)
    name: str = "fake"

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        for request in requests:
            self.seen.append(request.key)
            length = 3 + number(request.key) % 9
            ids = tuple(10 + number(request.key, i) % 5 for i in range(length))
            yield Response(
                request.key, ids, "stop" if number(request.key, "f") % 7 else "length", seconds=0.5
            )

    def score(self, rows: Iterable[ScoreRow], read: object) -> Iterator[Any]:
        raise NotImplementedError


@dataclass
class FakeJudge:
    seen: list[JudgeItem] = field(default_factory=list)
    name: str = "fake-judge"
    remote: bool = False

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for item in items:
            self.seen.append(item)
            label = JUDGED[number(item.scenario.id, item.answer) % len(JUDGED)]
            yield item.id, Verdict(label, f"because {len(item.answer)}")


@dataclass
class HashJudge:
    """Labels real answers by a hash, one in eight of them nonsensical."""

    name: str = "hash-judge"
    remote: bool = False

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[str, Verdict]]:
        for item in items:
            draw = number(item.scenario.id, item.answer) % 8
            label: Judged = "broken" if draw == 7 else JUDGED[draw % 3]
            yield item.id, Verdict(label)


def loaded() -> LoadedModel:
    return LoadedModel(
        "fake", "fake", "float32", "cpu", cast(Any, SimpleNamespace()), cast(Any, Words()), (2,), 1, 1
    )


def scenarios(n: int = 12) -> list[Scenario]:
    return [Scenario(f"c{i % 3}#{i:02d}", f"c{i % 3}", f"context {i % 3}", f"task {i}") for i in range(n)]


def planned(items: list[Scenario], arms: Iterable[str] = ARMS) -> Planned:
    rows: list[PlanRow] = []
    prompts: dict[str, Prompt] = {}
    requests: dict[str, Request] = {}
    for scenario in items:
        for place, arm in enumerate(arms):
            ids = (1, number(scenario.id) % 1000, place)
            prompt = Prompt(digest([scenario.id, place]), scenario.system, f"{scenario.user} {place}", ids)
            request = Request(digest(list(ids)), ids, (2,))
            prompts[prompt.id], requests[request.key] = prompt, request
            rows.append(PlanRow(scenario.id, arm, 0, request.key, prompt.id))
    return Planned(tuple(rows), prompts, requests)


CONFIG: dict[str, Any] = {"sampling": {"temperatures": [0.0]}, "model": {"dtype": "float32"}}


def run(folder: Path, *, kill_at: int = -1, kill_in: str = "") -> None:
    """A whole run; with `kill_in`, dies by SIGKILL when the store first holds `kill_at` rows or more."""

    class Store(RunStore):
        def _die(self, where: str) -> None:
            if kill_in == where and len(self.done()) >= kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        @contextmanager
        def transaction(self) -> Iterator[Any]:
            with super().transaction() as db:
                yield db
                self._die("transaction")

        def add_responses(self, batch: Any) -> None:
            super().add_responses(batch)
            self._die("between")

        def add_verdicts(self, judge: str, batch: Any) -> None:
            super().add_verdicts(judge, batch)
            self._die("verdict")

    items = scenarios()
    plan = planned(items)
    with Store(folder) as store:
        store.claim(CONFIG)
        store.set_meta("task", RECORD.model_dump_json())
        store.add_plan(items, plan.prompts.values(), plan.rows)
        pipeline.run(store, plan, loaded(), FakeEngine(), FakeJudge(), tick=lambda *_: None)


def run_in_fives(folder: Path, kill_at: int, kill_in: str) -> None:
    """`run`, five rows a transaction."""
    pipeline.FLUSH_ROWS = 5
    run(folder, kill_at=kill_at, kill_in=kill_in)
