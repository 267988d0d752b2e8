"""Reads the run folders published with arXiv 2601.01584: config.json and stdout.log.

The log prints each task as a block of tagged fields without escaping, so an answer may hold any of
the log's own tags, whole blocks included. What cannot be in an answer by accident is the head of a
block straight after the end of another: mode, number and the exact text of a task, in the order of
the log. A block runs from its head to the next; its verdict is the last one in it that ends it.
It does not know stores.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from steer.errors import UserError
from steer.texts import JsonObject
from steer.types import Judged, Role, Scenario, Verdict

MODES = {"baseline": "baseline", "pro_ic": "pro", "anti_ic": "anti"}
ROLES: dict[str, Role] = {
    "convergence": "hit",
    "no_convergence": "miss",
    "safety_refusal": "refusal",
    "nonsensical": "broken",
}
"""The roles of the published labels."""

_HEAD = re.compile(
    r"<result>\n  <task_number>(\d+)</task_number>\n  <steering_mode>(\w+)</steering_mode>\n  <task_prompt>"
)
_BEFORE = re.compile(r"(?:</result>|Processing benchmark: [^\n]*)\s*\Z")
_STEERED = "</task_prompt>\n  <steered_prompt>"
_THINKING = "</steered_prompt>\n  <test_llm_thinking>"
_RESPONSE = "</test_llm_thinking>\n  <test_llm_response>"
_DECISION = "</test_llm_response>\n  <judge_decision>"
_END = re.compile(
    r"(\w*)</judge_decision>\n  <judge_reason>(.*)</judge_reason>\n</result>"
    r"\s*(?:Processing benchmark: [^\n]*\s*|=== Run Config ===.*)?",
    re.DOTALL,
)
_TOTAL = re.compile(
    r"=== Final \(All Benchmarks Combined\) ===\nTotal tasks: (\d+)\n.*?\nConvergence: (\d+)\n"
    r"Safety refusals: (\d+)\nNonsensical: (\d+)\n",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One block: the task, what was sent and came back, and the published verdict."""

    scenario: Scenario
    steered_user: str
    thinking: str
    answer: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """One run folder. `cut`: blocks that were begun but are not whole; `printed`: the log's own totals."""

    model: str
    arm: str
    judge: str
    temperature: float
    rows: tuple[PublishedRow, ...]
    cut: int
    printed: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Head:
    start: int
    body: int
    rank: tuple[int, int]
    scenario: Scenario
    steered: str


def read_run(folder: Path, scenarios: Iterable[Scenario]) -> PublishedRun:
    """The run in `folder`. Raises UserError for a folder that is not one of the paper's."""
    try:
        config = cast("JsonObject", json.loads((folder / "config.json").read_text(encoding="utf-8")))
        mode, model = str(config["STEERING_MODE"]), str(config["HF_MODEL_NAME"]).rpartition("/")[2]
        judge, temperature = str(config["JUDGE_MODEL"]), float(config.get("TEMPERATURE_TEST", 0.0))
        log = (folder / "stdout.log").read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{str(folder)!r} is no published run ({type(error).__name__}: {error}): "
            f"it must hold config.json with HF_MODEL_NAME, STEERING_MODE, JUDGE_MODEL, and stdout.log"
        ) from error
    if mode not in MODES:
        raise UserError(
            f"{str(folder / 'config.json')!r}: STEERING_MODE {mode!r}: allowed are {', '.join(MODES)}"
        )
    text = _decoded(log, folder)
    rows, cut = read_log(text, mode, scenarios)
    return PublishedRun(model, MODES[mode], judge, temperature, tuple(rows), cut, _printed(text))


def read_log(text: str, mode: str, scenarios: Iterable[Scenario]) -> tuple[list[PublishedRow], int]:
    """(whole blocks, number of blocks that were begun but are not whole)."""
    tasks = _by_text(scenarios)
    heads = _true_heads(_heads(text, mode, tasks))
    begun = _begun_head(text, heads[-1].body, mode, tasks) if heads else len(text)
    rows: list[PublishedRow] = []
    ends = [*(head.start for head in heads[1:]), begun]
    for head, end in zip(heads, ends, strict=False):
        thinking, found, rest = text[head.body : end].partition(_RESPONSE)
        answer, decided, tail = rest.rpartition(_DECISION)
        verdict = _END.fullmatch(tail)
        if not found or not decided or verdict is None:
            continue
        role: Judged = ROLES.get(verdict[1], "invalid")
        said = Verdict(role, verdict[2], label=verdict[1] if verdict[1] in ROLES else "")
        rows.append(PublishedRow(head.scenario, head.steered, thinking, answer, said))
    last_is_whole = bool(rows) and rows[-1].scenario is heads[-1].scenario
    return rows, len(heads) - len(rows) + (last_is_whole and text[begun:].startswith("<"))


def _begun_head(text: str, last: int, mode: str, tasks: Iterable[str]) -> int:
    """Where a last line or head of a block begins that the end of the log cuts off; else the log's length."""
    head = (
        f"<result>\n  <task_number>0</task_number>\n  <steering_mode>{mode}</steering_mode>\n  <task_prompt>"
    )
    whole = text.rfind("</result>", last) + len("</result>")
    if whole < last:
        return len(text)
    at = len(text) - len(text[whole:].lstrip())
    if line := re.match(r"Processing benchmark: [^\n]*\n\s*", text[at:]):
        at += line.end()
    rest = re.sub(r"(?<=<task_number>)\d+", "0", text[at:])
    task = rest.removeprefix(head)
    if task != rest:
        return at if any(t.startswith(task) or task.startswith(t) for t in tasks) else len(text)
    parts = (head, "Processing benchmark: ", "=== Run Config ===")
    return at if any(part.startswith(rest) for part in parts) else len(text)


def _decoded(log: bytes, folder: Path) -> str:
    """UTF-8 text; a last character that was cut in two is left out."""
    for end in range(len(log), max(len(log) - 4, -1), -1):
        try:
            return log[:end].decode("utf-8")
        except UnicodeDecodeError as error:
            if error.start < end - 4:
                break
    raise UserError(f"{str(folder / 'stdout.log')!r} is not UTF-8 text: take the file as it was published")


def _by_text(scenarios: Iterable[Scenario]) -> dict[str, tuple[int, Scenario]]:
    """Task text -> (place of its category, scenario)."""
    categories: dict[str, int] = {}
    found: dict[str, tuple[int, Scenario]] = {}
    for scenario in scenarios:
        place = categories.setdefault(scenario.category, len(categories))
        found[scenario.user.strip()] = (place, scenario)
    return found


def _heads(text: str, mode: str, tasks: Mapping[str, tuple[int, Scenario]]) -> list[_Head]:
    """Everything that looks like the head of a block of this run: mode, a known task, and its prompt."""
    found: list[_Head] = []
    for match in _HEAD.finditer(text):
        end = text.find(_STEERED, match.end())
        task = text[match.end() : end].strip() if end != -1 else ""
        begin = end + len(_STEERED)
        body = text.find(_THINKING, begin)
        follows = _BEFORE.search(text, max(0, match.start() - 200), match.start())
        if match[2] != mode or task not in tasks or body == -1 or not follows:
            continue
        place, scenario = tasks[task]
        steered = text[begin:body]
        if steered.strip().startswith(task):
            rank = (place, int(match[1]))
            found.append(_Head(match.start(), body + len(_THINKING), rank, scenario, steered))
    return found


def _true_heads(heads: list[_Head]) -> list[_Head]:
    """The longest run of heads whose category and number only rise; the later of two equal ones.

    Heads quoted inside an answer break the order, or repeat one that is yet to come. Only an answer
    that forges the ends of blocks and the exact heads of earlier tasks, in their order up to its
    own, cannot be told from the log itself.
    """
    tails: list[tuple[int, int]] = []  # smallest last rank of a rising run of each length
    ends: list[int] = []
    before: list[int] = []
    for place, head in enumerate(heads):
        length = bisect_left(tails, head.rank)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(head.rank)
            ends.append(place)
        else:
            tails[length], ends[length] = head.rank, place
    chain: list[_Head] = []
    at = ends[-1] if ends else -1
    while at != -1:
        chain.append(heads[at])
        at = before[at]
    return chain[::-1]


def _printed(text: str) -> dict[str, int]:
    found = list(_TOTAL.finditer(text))
    if not found:
        return {}
    names = ("total", "hit", "refusal", "broken")
    return {name: int(value) for name, value in zip(names, found[-1].groups(), strict=True)}
