"""How much code there is: `python -m benchmarks.code_size`. Blanks, comments and docstrings are no code."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = ("cli.py", "steer", "vectors", "experiments")
LONG = 400
UNTYPED = re.compile(r"(?:dict|Mapping)\[str, Any\]")
FOREIGN = re.compile(r"\bJsonObject\b(?!.*\bimport\b)")
SILENT = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def code_lines(source: str) -> int:
    """Lines with a token that is neither a comment nor part of a docstring."""
    told: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        can = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if can and ast.get_docstring(node, clean=False) is not None:
            told.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SILENT:
            held.update(range(token.start[0], token.end[0] + 1))
    return len(held - told)


def main() -> None:
    total = untyped = foreign = 0
    for place in PLACES:
        found = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py"))
        sources = {path: path.read_text(encoding="utf-8") for path in found}
        lines = sum(map(code_lines, sources.values()))
        print(f"{place}: {lines:,} lines of code in {len(sources)} files")
        total += lines
        untyped += sum(len(UNTYPED.findall(source)) for source in sources.values())
        foreign += sum(len(FOREIGN.findall(source)) for source in sources.values())
        for path, source in sources.items():
            if (n := len(source.splitlines())) > LONG:
                print(f"  {path.relative_to(ROOT)}: {n} lines, more than {LONG}")
    print(f"together {total:,}; dict[str, Any] or Mapping[str, Any]: {untyped} times")
    print(f"and {foreign} times JsonObject, where others say what is in it")


if __name__ == "__main__":
    main()
