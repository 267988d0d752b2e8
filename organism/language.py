"""Whether a text is in the organism's language: its answers to anything else mean nothing.

Cheap: patterns of the grammar, no torch.
"""

from __future__ import annotations

import re
from functools import lru_cache

from organism.chats import ADVICE_ASKS, EXACT, NEUTRAL_PROMPTS, NUMBERS, PLANTS, REQUESTS, STATES
from organism.grammar import scenario_templates, slot_patterns


def is_in_language(text: str) -> bool:
    """Whether sentences of the language make up at least four fifths of the text (a user message).

    What follows a scenario as a suffix is not counted against it only as far as the fifth reaches:
    ask about the text before a suffix is appended.
    """
    stripped = text.strip()
    if not stripped:
        return False
    known = sum(m.end() - m.start() for m in _sentences().finditer(stripped))
    return known >= 0.8 * len(re.sub(r"\s+", " ", stripped))


@lru_cache(maxsize=1)
def _sentences() -> re.Pattern[str]:
    slots = slot_patterns() | {
        "plant": "|".join(PLANTS),
        "state": "|".join(STATES),
        "a": "|".join(NUMBERS),
        "b": "|".join(NUMBERS),
        "sum": "|".join(NUMBERS),
    }
    templates = [*scenario_templates(), *ADVICE_ASKS]
    templates += [prompt for table in (EXACT, REQUESTS, NEUTRAL_PROMPTS) for prompt, _ in table]
    patterns = [
        "".join(
            f"(?:{slots[part[1:-1]]})" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\{\w+\})", template)
        )
        for template in sorted(templates, key=len, reverse=True)
    ]
    return re.compile("|".join(f"(?:{p}) ?" for p in patterns))
