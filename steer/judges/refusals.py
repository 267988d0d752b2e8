"""What an endpoint says when it refuses: in a line for a person, and which setting it means.

Servers put their reasons anywhere: `error` as an object or a text, `detail`, `message`, a list, no
JSON at all. So the raw body is read, whatever its shape.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from steer.errors import UserError
from steer.judges.apis import REASONING, parsed
from steer.texts import JsonObject

if TYPE_CHECKING:
    from openai import APIStatusError

LATER = "; verdicts so far are kept, repeat the command to continue"
SAID = 160  # characters of a reason that are passed on
SHORTEST_SECRET = 6  # shorter keys are placeholders ("any", "none"), and words of every sentence
MOST_STRINGS, DEEPEST = 50, 8
PLACES = ("error", "message", "detail", "msg", "errors", "reason", "title")
NAMED = ("param", "loc", "field", "path")

_SCHEMA = r"response[ _]?format|json[ _]?schema|structured[ _]outputs?|guided[ _]json|text\.format"
_IN_WORDS = {
    "response_format": _SCHEMA,
    "text": _SCHEMA,
    "reasoning": r"reasoning",
    "reasoning_effort": r"reasoning",
    "temperature": r"temperature",
}
"""How a setting is spoken of; others are meant only where they are quoted, or called a parameter."""


def redact(text: str, key: str) -> str:
    """`text` without the caller's key, which a server may repeat."""
    return text.replace(key, "[key]") if len(key) >= SHORTEST_SECRET else text


def said(body: bytes, key: str) -> str:
    """What the endpoint said of it, on one short line, without the key; "" for nothing, or a page."""
    found = parsed(body)
    if found is None:
        text = body[: 20 * SAID].decode("utf-8", "replace")
        found = "" if text.lstrip().startswith("<") else text
    line = " ".join(redact("; ".join(dict.fromkeys(_texts(found))), key).split())
    return line if len(line) <= SAID else line[: SAID - 3] + "..."


def explain(error: Exception | None, *, where: str, model: str, key: str, seconds: float) -> UserError:
    """One line on why `where` cannot be used; no error: its replies are none of this API."""
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    where = where.partition("?")[0]
    if error is None:
        return UserError(
            f"what {where!r} answers is no reply of an OpenAI-compatible API: check --base-url (these "
            "end in /v1)"
        )
    if isinstance(error, (TimeoutError, APITimeoutError)):
        return UserError(
            f"judge endpoint {where!r} gave no answer in {seconds:g} s: check --base-url, give it longer by "
            f"--judge-timeout, or try again later{LATER}"
        )
    if isinstance(error, APIConnectionError):
        cause = redact(_cause(error), key)
        return UserError(
            f"no answer from judge endpoint {where!r}{f' ({cause})' if cause else ''}: "
            f"check --base-url and the network{LATER}"
        )
    if not isinstance(error, APIStatusError):
        return UserError(f"judge endpoint {where!r}: {type(error).__name__}{LATER}")
    text = said(error.response.content, key)
    told = f" ({text})" if text else ""
    if error.status_code in (401, 403):
        return UserError(
            f"{where!r} refuses the key in OPENAI_API_KEY{told}: set one that may use {model!r}{LATER}"
        )
    if error.status_code == 404:
        return UserError(
            f"{where!r} has no model {model!r}, or is no OpenAI-compatible base URL "
            f"(these end in /v1){told}: check openai:MODEL and --base-url{LATER}"
        )
    return UserError(
        f"{where!r} answered {error.status_code} for {model!r}{told}: "
        f"check openai:MODEL and --base-url, or try again later{LATER}"
    )


def _cause(error: BaseException) -> str:
    """What the network said: a certificate that is not trusted and why, else the innermost message."""
    told = ""
    while (error := error.__cause__ or error.__context__) is not None:  # type: ignore[assignment]
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted: {error.verify_message}; SSL_CERT_FILE may name its issuer"
            )
        told = " ".join(str(error).split())[:SAID] or told
    return told


def complaint(error: APIStatusError, chosen: Iterable[str]) -> str:
    """The setting of ours that a refusal means, or ""."""
    if error.status_code in (401, 403, 404, 405, 429):
        return ""
    body = parsed(error.response.content)
    names = {name for place in _places(body) for name in re.split(r"[.\[\]]+", place)}
    words = "\n".join(_texts(body)) or error.response.text[: 20 * SAID]
    for name in sorted(chosen, key=lambda name: name in ("text", "store")):  # words of every sentence: last
        if name in names or (name in REASONING and "effort" in names):
            return name
        quoted = rf"['\"`]{name}['\"`.]|\b(?:parameters?|arguments?|fields?|inputs?):? {name}\b"
        plain = _IN_WORDS.get(name, name if "_" in name else r"(?!)")
        if re.search(rf"{quoted}|\b(?:{plain})", words, re.IGNORECASE):
            return name
    return ""


def _strings(value: Any, deep: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and deep < DEEPEST:
        for one in cast(list[Any], value)[:MOST_STRINGS]:
            yield from _strings(one, deep + 1)


def _values(value: Any, names: tuple[str, ...], deep: int = 0) -> Iterator[Any]:
    """What stands under `names`, in objects that do so or in lists, to a bounded depth."""
    if deep >= DEEPEST:
        return
    if isinstance(value, list):
        for one in cast(list[Any], value)[:MOST_STRINGS]:
            yield from _values(one, names, deep + 1)
    elif isinstance(value, dict):
        held = cast("JsonObject", value)
        yield from (held[name] for name in names if name in held)
        for name in PLACES:
            yield from _values(held.get(name), names, deep + 1)


def _texts(body: Any) -> Iterator[str]:
    yield from _strings(body)
    for value in _values(body, PLACES):
        yield from _strings(value)


def _places(body: Any) -> Iterator[str]:
    for value in _values(body, NAMED):
        yield from _strings(value)
