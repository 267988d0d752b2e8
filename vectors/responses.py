"""The model's own answers to extraction scenarios: gathered once, judged, and read again without the suffix.

Answers and verdicts lie in a run store of the cache, so that an interrupted extraction goes on where it
stopped and a second recipe generates nothing. It does not know directions or files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Literal

from steer.chat import answer_start, render
from steer.errors import UserError
from steer.plan import Planned, digest, plan, prompt_texts
from steer.suffixes import OURS, SuffixSet, echo
from steer.types import Arm, Engine, Judge, Limits, LoadedModel, Sampling, Scenario, Status
from vectors.contrasts import FEWEST_PAIRS, Contrast, Pair, Reading, paraphrases

REPLY_MIN = "mean over the first tokens of the answer, as many as the shorter answer of the pair has"

Tick = Callable[[Literal["generate", "judge"], int], None]


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """One answer.

    thinking_ids: everything before the answer's first token (empty without thinking). cut: it was ended
    by the token limit. status `truncated` is another thing: the thought was cut, and there is no answer.
    """

    scenario: str
    category: str
    arm: str
    prompt_ids: tuple[int, ...]
    thinking_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    text: str
    status: Status
    cut: bool = False


def plan_unsuffixed(
    loaded: LoadedModel, scenarios: Sequence[Scenario], *, limits: Limits, thinking: bool
) -> Planned:
    """Every scenario as it is, greedy."""
    return plan(loaded, scenarios, [Arm("baseline")], limits=limits, thinking=thinking)


def check_draws(suffixes: SuffixSet, draws: int) -> None:
    """Raise UserError unless there are so many paraphrases a side."""
    most = len(paraphrases(suffixes))
    if not 1 <= draws <= most:
        raise UserError(f"draws is {draws}: allowed are 1 to {most}, the paraphrases of each side")


def plan_suffixed(
    loaded: LoadedModel,
    scenarios: Sequence[Scenario],
    *,
    suffixes: SuffixSet = OURS,
    draws: int,
    sampling: Sampling,
    limits: Limits,
    thinking: bool,
) -> Planned:
    """Every scenario under `draws` pro and as many anti paraphrases, in turn from scenario to scenario."""
    check_draws(suffixes, draws)
    chosen = paraphrases(suffixes)
    parts: list[Planned] = []
    for first in range(len(chosen)):
        group = [scenario for i, scenario in enumerate(scenarios) if i % len(chosen) == first]
        pairs = [chosen[(first + k) % len(chosen)] for k in range(draws)]
        arms = [Arm(f"pro:{pair.name}", pair.pro) for pair in pairs]
        arms += [Arm(f"anti:{pair.name}", pair.anti) for pair in pairs]
        parts.append(plan(loaded, group, arms, sampling=[sampling], limits=limits, thinking=thinking))
    return Planned(
        tuple(row for part in parts for row in part.rows),
        {key: prompt for part in parts for key, prompt in part.prompts.items()},
        {key: request for part in parts for key, request in part.requests.items()},
    )


def gather(
    loaded: LoadedModel,
    engine: Engine,
    judge: Judge,
    scenarios: Sequence[Scenario],
    planned: Planned,
    *,
    cache: Path,
    tick: Tick,
    say: Callable[[str], None],
) -> list[GivenAnswer]:
    """Generate and judge what the cache lacks; every planned row that has an answer, in plan order.

    Where another process gathers the same answers, it is waited for, and `say` is told.

    UserError where the judge's calls ran out: what is made of part of the verdicts would be kept for good.
    """
    from steer import pipeline
    from steer.store import RunStore, unpack
    from steer.versions import made_by

    rows_asked = [[r.scenario, r.arm, r.sample, r.response] for r in planned.rows]
    key = digest([made_by(), sorted(planned.requests), rows_asked])[:16]
    categories = {s.id: s.category for s in scenarios}
    with RunStore(cache / f"answers-{key}", wait=say) as store:
        store.add_plan(scenarios, planned.prompts.values(), planned.rows)
        pipeline.run(store, planned, loaded, engine, judge, tick=tick)
        pipeline.require_judged(store, judge)
        outputs = {
            key: (unpack(blob), finish == "length")
            for key, blob, finish in store.query("SELECT key, output_ids, finish FROM responses")
        }
        rows = {(r.scenario, r.arm, r.sample): r for r in store.rows(judge.name)}
    found: list[GivenAnswer] = []
    for planned_row in planned.rows:
        row = rows[planned_row.scenario, planned_row.arm, planned_row.sample]
        if row.status in ("failed", "missing"):
            continue
        prompt = planned.prompts[planned_row.prompt].token_ids
        output_ids, cut = outputs[row.key]
        thought, answer = split_answer(loaded, prompt, output_ids)
        found.append(
            GivenAnswer(
                row.scenario,
                categories[row.scenario],
                row.arm,
                prompt,
                thought,
                answer,
                f"{row.thinking}\n{row.answer}".strip(),
                row.status,
                cut,
            )
        )
    return found


def split_answer(
    loaded: LoadedModel, prompt_ids: tuple[int, ...], output_ids: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(thinking with its closing tag and the blanks after it, answer) of output ids, the stop id dropped."""
    tokenizer: Any = loaded.tokenizer
    ids = output_ids[:-1] if output_ids and output_ids[-1] in loaded.stop_ids else output_ids
    start = answer_start(loaded.tokenizer, ids, prompt_ids)
    while start < len(ids) and not tokenizer.decode([ids[start]]).strip():
        start += 1
    return ids[:start], ids[start:]


def response(
    loaded: LoadedModel,
    scenarios: Sequence[Scenario],
    answers: Sequence[GivenAnswer],
    *,
    judge: str,
    suffixes: SuffixSet = OURS,
    thinking: bool = False,
) -> Contrast:
    """Pairs of the model's own answers, read teacher-forced after the prompt *without* the suffix.

    A scenario counts if a pro answer was judged `hit` and an anti answer `miss`;
    refusals, nonsense, answers cut by the token limit and those that quote the suffix (thinking included)
    do not serve. The first of each is taken. Both sides are read over as many answer tokens as the shorter
    has.
    """
    texts = {f"pro:{p.name}": p.pro for p in paraphrases(suffixes)}
    texts |= {f"anti:{p.name}": p.anti for p in paraphrases(suffixes)}
    quoting = {id(a) for a in answers if echo(texts[a.arm], a.text)}
    wanted: dict[str, Status] = {"pro": "hit", "anti": "miss"}
    first: dict[tuple[str, str], GivenAnswer] = {}
    for answer in answers:
        side = answer.arm.partition(":")[0]
        serves = answer.status == wanted[side] and not answer.cut and bool(answer.answer_ids)
        if serves and id(answer) not in quoting:
            first.setdefault((answer.scenario, side), answer)
    pairs: list[Pair] = []
    read: list[int] = []
    whole: dict[str, list[int]] = {"pro": [], "anti": []}
    for scenario in scenarios:
        pro, anti = first.get((scenario.id, "pro")), first.get((scenario.id, "anti"))
        if pro is None or anti is None:
            continue
        texts_sent = prompt_texts(scenario, Arm(""), loaded.context)
        prompt = render(loaded, *texts_sent, thinking=thinking)
        count = min(len(pro.answer_ids), len(anti.answer_ids))
        read.append(count)
        whole["pro"].append(len(pro.answer_ids))
        whole["anti"].append(len(anti.answer_ids))
        sides = [_read(prompt, answer, count) for answer in (pro, anti)]
        pairs.append(Pair(scenario.id, scenario.category, (sides[0],), (sides[1],)))
    cut = sum(answer.cut for answer in answers)
    if len(pairs) < FEWEST_PAIRS:
        raise UserError(
            f"the response contrast kept {len(pairs)} of {len(scenarios)} scenarios, at least {FEWEST_PAIRS} "
            f"are needed ({_shares(answers, wanted)}; {cut} cut by the token limit, {len(quoting)} quoting "
            "the suffix): raise --draws, --new-tokens or the scenarios of --extraction"
        )
    kept = {p.id for p in pairs}
    categories = list(dict.fromkeys(s.category for s in scenarios))
    return Contrast(
        "response",
        tuple(pairs),
        REPLY_MIN,
        {
            "evaluated": suffixes.pair.name,
            "judge": judge,
            "kept": [
                f"{c}: {sum(s.id in kept for s in scenarios if s.category == c)} of "
                f"{sum(s.category == c for s in scenarios)}"
                for c in categories
            ],
            "answers": len(answers),
            "as wanted": _shares(answers, wanted),
            "quoting the suffix": len(quoting),
            "cut by the token limit": cut,
            "mean answer tokens of the pairs": ", ".join(f"{k} {mean(v):.1f}" for k, v in whole.items()),
            "mean tokens read": round(mean(read), 1),
        },
    )


def _read(prompt: tuple[int, ...], answer: GivenAnswer, count: int) -> Reading:
    start = len(prompt) + len(answer.thinking_ids)
    return Reading(prompt + answer.thinking_ids + answer.answer_ids[:count], start, start + count)


def _shares(answers: Sequence[GivenAnswer], wanted: dict[str, Status]) -> str:
    parts: list[str] = []
    for side, status in wanted.items():
        own = [a for a in answers if a.arm.startswith(side)]
        parts.append(f"{sum(a.status == status for a in own)} of {len(own)} {side} answers {status}")
    return ", ".join(parts)
