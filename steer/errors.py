"""The one error a user meets: a line that says the value, what is allowed and the likely fix."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from difflib import get_close_matches


class UserError(Exception):
    """Bad input. The command line prints it on one line and exits with 2."""


def choose(value: str, allowed: Iterable[str], *, what: str) -> str:
    """Return `value` if allowed, else raise UserError naming the nearest allowed one."""
    options = list(allowed)
    if value in options:
        return value
    near = get_close_matches(value, options, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UserError(f"unknown {what} {value!r}: allowed are {', '.join(options)}{hint}")


@contextmanager
def understood(where: str) -> Generator[None]:
    """One line instead of a traceback where a file's content has another shape than this version writes."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UserError(
            f"{where} is damaged, or another version wrote it ({said}): repeat the command that made it, "
            "or restore it from a copy"
        ) from error


def first_line(error: BaseException) -> str:
    """The first line of a library's message, not too long."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
