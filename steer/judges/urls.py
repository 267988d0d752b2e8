"""Base URLs of endpoints: what is one, whose it is, and how a judge's name says it."""

from __future__ import annotations

from urllib.parse import urlsplit

from steer.errors import UserError

OPENAI = "https://api.openai.com/v1"


def check(url: str, key: str) -> None:
    """Refuse what is no http(s) URL, and one that carries a secret: errors and run.yaml would show it.

    key: the environment variable where secrets belong.
    """
    if "@" in url.partition("//")[2].partition("/")[0]:
        raise UserError(
            f"the judge's base URL holds a user name or password: give it without; keys go in {key}"
        )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # half an IPv6 address, or a port that is none
        usable = False
    if not usable:
        raise UserError(f"judge base URL {url!r}: write http(s)://HOST/v1")


def is_openai(url: str | None) -> bool:
    """Whether the key goes to OpenAI itself, where it is meant to go."""
    return url is None or (url.rstrip("/") + "/").startswith("https://api.openai.com/")


def place(url: str | None) -> str:
    """Host, port and path as a name says them: `host:8000/v1`; "" for OpenAI's own API."""
    if url is None or url.rstrip("/") == OPENAI:
        return ""
    parts = urlsplit(url)
    return parts.netloc.lower() + parts.path.rstrip("/")
