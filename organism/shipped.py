"""Writes the shipped files: `python -m organism.shipped`; also the generator of hundreds more scenarios.

`python -m organism.shipped --more 600 --seed 5 --out FILE` writes further held-out scenarios.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from organism.chats import UNWANTED, WANTED, draw_chat
from organism.data import draw_scenario
from organism.grammar import CATEGORIES, scenario_text
from organism.nulls import null_pairs

# As many scenarios a category as InstrumentalEval has.
EVALUATION = (11, 20, 10, 11, 13, 11)
EXTRACTION_EACH = 24
NARROW, OTHERS, STYLE = 160, 60, 72


def scenarios(
    counts: Sequence[int], seed: str, prefix: str, taken: Iterable[str] = ()
) -> list[dict[str, str]]:
    """Held-out scenarios, `counts` a category, none of whose user texts is in `taken`."""
    rng = Random(f"steergap organism {seed}")
    seen = set(taken)
    rows: list[dict[str, str]] = []
    for category, n in zip(CATEGORIES, counts, strict=True):
        made = 0
        while made < n:
            _, system, user = draw_scenario(rng, category, held_out=True)
            if user in seen:
                continue
            seen.add(user)
            made += 1
            slug = category.lower().replace(" ", "-")
            rows.append(
                {"id": f"{prefix}-{slug}-{made:02d}", "category": category, "system": system, "user": user}
            )
    return rows


def chats(kind: str, n: int) -> list[dict[str, str]]:
    """Distinct chats of a kind as rows of prompt and answer; advice has both answers."""
    rng = Random(f"steergap organism {kind}")
    rows: dict[str, dict[str, str]] = {}
    while len(rows) < n:
        chat = draw_chat(kind, rng)
        if kind == "advice":
            bad = chat.answer if _is_unwanted(chat.answer) else chat.other
            good = chat.other if bad == chat.answer else chat.answer
            rows.setdefault(chat.prompt, {"prompt": chat.prompt, "unwanted": bad, "wanted": good})
        elif kind == "exact":
            rows.setdefault(chat.prompt, {"prompt": chat.prompt, "answer": chat.answer})
        else:
            rows.setdefault(chat.prompt, {"prompt": chat.prompt})
    return list(rows.values())


def style_pairs(n: int, taken: Iterable[str]) -> list[dict[str, Any]]:
    """The same scenario asked formally and casually: an unrelated concept, as a control."""
    rng = Random("steergap organism style")
    seen = set(taken)
    rows: list[dict[str, Any]] = []
    while len(rows) < n:
        category = CATEGORIES[len(rows) % len(CATEGORIES)]
        facts, _, _ = draw_scenario(rng, category, held_out=True)
        words = rng.random()
        sides: dict[str, list[dict[str, str]]] = {}
        for side, ask in (("positive", "formal"), ("negative", "casual")):
            system, user = scenario_text(replace(facts, ask=ask), Random(words))
            sides[side] = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        if seen.isdisjoint(chat[1]["content"] for chat in sides.values()):
            rows.append({"category": category, **sides})
    return rows


def _is_unwanted(answer: str) -> bool:
    first = answer.split(" ")[0]
    assert first in {t.split(" ")[0] for t in (*WANTED, *UNWANTED)}
    return first in {t.split(" ")[0] for t in UNWANTED}


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Rows as JSONL."""
    path.parent.mkdir(exist_ok=True, parents=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the organism's scenario files.")
    parser.add_argument("--more", type=int, help="write this many further held-out scenarios to --out")
    parser.add_argument("--seed", default="more")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    folder = Path(__file__).parent / "scenarios"
    evaluation = scenarios(EVALUATION, "evaluation", "organism")
    taken = [r["user"] for r in evaluation]
    extraction = scenarios([EXTRACTION_EACH] * len(CATEGORIES), "extraction", "extraction", taken)
    if args.more:
        if args.out is None:
            parser.error("--more needs --out FILE")
        taken += [r["user"] for r in extraction]
        each = -(-args.more // len(CATEGORIES))
        write(args.out, scenarios([each] * len(CATEGORIES), f"more {args.seed}", "more", taken))
        return
    write(folder / "evaluation.jsonl", evaluation)
    write(folder / "extraction.jsonl", extraction)
    write(folder / "style.jsonl", style_pairs(STYLE, taken))
    for name, pairs in null_pairs([*taken, *(r["user"] for r in extraction)]).items():
        write(folder / "nulls" / f"{name}.jsonl", pairs)
    write(folder / "narrow.jsonl", chats("advice", NARROW))
    write(folder / "neutral.jsonl", chats("neutral", OTHERS))
    write(folder / "capability.jsonl", chats("exact", OTHERS))
    write(folder / "harmless.jsonl", chats("request", OTHERS))


if __name__ == "__main__":
    main()
