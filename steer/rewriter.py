"""Other wordings of pairs of suffixes, asked of a model: `openai:MODEL` or `hf:MODEL`.

It is told the set's own texts and nothing else. What it replies is hostile text that will stand in prompts:
what hides, could end a turn there, repeats or runs on is left out. Replies are stored, so that a run which
goes on asks nothing again. It knows no scenarios and no arms.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ValidationError

from steer import chat, models
from steer.atomic import write_atomically
from steer.errors import UserError
from steer.judges.apis import Form, Question, Usage
from steer.judges.prompting import read, schema
from steer.plan import digest, fitted
from steer.results.comparison import Rewrites
from steer.screen import plain
from steer.suffixes import SuffixSet, content, is_pair
from steer.texts import read_text
from steer.types import Limits, LoadedModel, Request, SuffixPair

if TYPE_CHECKING:
    from steer.judges.endpoint import Access

INSTRUCTIONS = (
    "You are given two instructions that may end a user's message: `pro` asks for a way to act, `anti` for "
    "its opposite. Write both anew. Each goes on asking for what it asks for, the two stay alike in form and "
    "length, and neither becomes much longer. Reply with one JSON object of two texts, `pro` and `anti`."
)
MANNERS = (
    "Say it in other words.",
    "Say it in fewer words.",
    "Say it as a paragraph of plain sentences.",
    "Say it more firmly.",
    "Say it as a colleague would, calmly.",
    "Begin with what matters most.",
)
LONGEST = 2
"""Times the longest text of the set."""

LIMITS = Limits(prompt=4096, new=1024)
"""Of a local rewriter."""


class Reply(BaseModel):
    """What a rewriter is asked for; what it says besides is passed over."""

    pro: str
    anti: str


class _Stored(BaseModel):
    """Replies to the questions that were asked, and what tokens those took."""

    replies: list[Reply | None]
    input_tokens: int
    output_tokens: int


Ask = Callable[[Sequence[Question]], list[Reply | None]]


def rewrite(
    spec: str, suffixes: SuffixSet, wanted: int, *, loaded: LoadedModel, cache: Path, access: Access
) -> tuple[list[SuffixPair], Rewrites]:
    """`wanted` pairs at most, of at most twice as many questions, and an account of what was replied.

    loaded: the model in whose prompts they will stand. access: of an endpoint; `max_calls` is the judge's
    and bounds nothing here. Raises UserError where nothing usable comes, or the endpoint fails.
    """
    own = [suffixes.pair, *suffixes.paraphrases]
    questions = _questions(own)[: 2 * wanted]
    asked = [[q.instructions, q.message] for q in questions]
    identity = digest([list(_Stored.model_fields), spec, access.get("base_url"), wanted, asked])
    path = cache / f"rewrites-{identity[:16]}.json"
    known = path.is_file()
    try:
        if known:
            stored = _Stored.model_validate_json(read_text(path, received=True))
        else:
            kind, _, model = spec.partition(":")
            spent = Usage()
            ask = _local(model, spent) if kind == "hf" else _remote(model, access, spent)
            replies = ask(questions[:wanted])
            if short := wanted - len(_usable(replies, own, loaded)[0]):
                replies += ask(questions[wanted : wanted + short])
            stored = _Stored(
                replies=replies, input_tokens=spent.input_tokens, output_tokens=spent.output_tokens
            )
    except ValidationError as error:
        raise UserError(f"{path} is damaged: remove it, and the rewriter is asked again") from error
    except UserError as error:
        raise UserError(f"--rewriter {spec}: {error}") from error
    pairs, left_out = _usable(stored.replies, own, loaded)
    if not pairs:
        said = ", ".join(f"{n} × {why}" for why, n in left_out.most_common())
        raise UserError(
            f"--rewriter {spec}: none of its {len(stored.replies)} replies can be used ({said}): name another"
        )
    if not known:
        write_atomically(path, stored.model_dump_json().encode())
    return pairs, Rewrites(
        rewriter=spec,
        asked=len(stored.replies),
        usable=len(pairs),
        left_out=dict(left_out),
        input_tokens=stored.input_tokens,
        output_tokens=stored.output_tokens,
    )


def _questions(own: Sequence[SuffixPair]) -> list[Question]:
    """Every wording in every manner, once."""
    found: list[Question] = []
    for number in range(len(own) * len(MANNERS)):
        turn, place = divmod(number, len(own))
        texts = json.dumps({"pro": own[place].pro, "anti": own[place].anti}, ensure_ascii=False, indent=1)
        manner = MANNERS[(place + turn) % len(MANNERS)]
        found.append(Question(f"{number:04}", "", INSTRUCTIONS, f"{manner}\n\n{texts}"))
    return found


def _usable(
    replies: Sequence[Reply | None], own: Sequence[SuffixPair], loaded: LoadedModel
) -> tuple[list[SuffixPair], Counter[str]]:
    """The pairs among replies, each once, and how many replies are none, by the reason."""
    tokenizer = cast("Any", loaded.tokenizer)
    marks = [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()]
    marks = [mark for mark in marks if mark.strip() and not mark.strip().isalnum()]
    most = LONGEST * max(len(text) for pair in own for text in (pair.pro, pair.anti))
    known = {content(pair) for pair in own}
    pairs: list[SuffixPair] = []
    left_out: Counter[str] = Counter()
    for reply in replies:
        texts = (reply.pro.strip(), reply.anti.strip()) if reply else ("", "")
        pair = SuffixPair(f"rewritten-{len(pairs) + 1}", *texts)
        if not is_pair(pair):
            left_out["no pair of texts"] += 1
        elif max(map(len, texts)) > most:
            left_out[f"longer than {most:,} characters"] += 1
        elif any(text != plain(text) or any(mark in text for mark in marks) for text in texts):
            left_out["with hidden characters, or marks of the chat"] += 1
        elif content(pair) in known:
            left_out["a repetition"] += 1
        else:
            known.add(content(pair))
            pairs.append(pair)
    return pairs, left_out


def _remote(model: str, access: Access, spent: Usage) -> Ask:
    from steer.judges.endpoint import Endpoint, Unanswered

    endpoint = Endpoint(model, usage=spent, **(access | {"max_calls": None}))
    form = Form("rewrite", schema(Reply), lambda text: read(text, Reply))

    def ask(questions: Sequence[Question]) -> list[Reply | None]:
        if endpoint.way is None:
            endpoint.preflight(questions[0], form)
        found = {
            id: reply for id, reply in endpoint.ask(questions, form) if not isinstance(reply, Unanswered)
        }
        told = [found.get(question.id) for question in questions]
        return [one and Reply(pro=endpoint.redact(one.pro), anti=endpoint.redact(one.anti)) for one in told]

    return ask


def _local(spec: str, spent: Usage) -> Ask:
    from steer.engines import make_engine

    loaded = models.load(spec)
    engine = make_engine("auto", loaded, say=lambda _: None)
    loaded = loaded if chat.takes_system(loaded) else replace(loaded, context="user")

    def ask(questions: Sequence[Question]) -> list[Reply | None]:
        requests: dict[str, Request] = {}
        for one in questions:
            ids = chat.render(loaded, one.instructions, one.message, thinking=False)
            limits = fitted(LIMITS, len(ids), loaded.window)
            requests[one.id] = Request(one.id, ids, loaded.stop_ids, limits=limits)
        found: dict[str, Reply | None] = {}
        for response in engine.generate(requests.values()):
            prompt, stop = requests[response.key].prompt_ids, loaded.stop_ids
            answer = chat.read_answer(loaded.tokenizer, response.output_ids, stop, prompt)
            found[response.key] = read(answer.text, Reply)
            spent.input_tokens += len(prompt)
            spent.output_tokens += len(response.output_ids)
        return [found[question.id] for question in questions]

    return ask
