"""The page: template, styles, scripts, Vega and the answers in one file that needs no network.

A content security policy admits exactly the scripts written here, by their hashes, and no connection:
if a model's text ever reached the page as markup, it still could not run or call home.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steer.atomic import write_atomically
from steer.errors import UserError, understood
from steer.finite import finite
from steer.screen import Tick, unheard
from steer.show import answers
from steer.show.emergent import models_section
from steer.show.figures import Figure, figures_of, models
from steer.show.figures.bundle import bundle
from steer.show.figures.look import DARK, LIGHT, config, styles
from steer.show.table import Section
from steer.show.view import Run, load
from steer.summary import about_real_models

HERE = Path(__file__).parent


FIGURES = {"cells": ("heat",), "dials": ("dial",)}
"""Figures of a section that are not called by its name; NAME-1 belongs to NAME too."""

ELSEWHERE = frozenset({"heat"})
"""Sections that a figure shows better."""


@dataclass(frozen=True, slots=True)
class Room:
    """A section on the page with its figures, by their names, and the parts that fold under it."""

    section: Section
    figures: Sequence[str]
    parts: list[Room]


@dataclass(frozen=True, slots=True)
class Report:
    """Where the page is, how many bytes it has, and one line a run on which answers it carries."""

    path: Path
    size: int
    notes: tuple[str, ...]


def write(folders: Sequence[Path], out: Path | None = None, *, tick: Tick = unheard) -> Report:
    """Write one page about the runs in `folders`; default `report.html` in the (first) run's folder.

    tick: told of every arm whose answers were packed, of each about PASSES times.
    Raises UserError for a folder without a finished run or an `out` that cannot be written.
    """
    if not folders:
        raise UserError("no run given: name one or several run folders")
    path = out or folders[0] / "report.html"
    runs: list[Run] = []
    for folder in folders:
        with understood(f"the run in {str(folder)!r}"):
            runs.append(load(folder, budget=answers.BUDGET // len(folders), tick=tick))
    with understood(f"{' or '.join(str(folder / 'summary.json') for folder in folders)}"):
        html = render(runs).encode()
    write_atomically(path, html, streams=out is not None)
    return Report(path, len(html), tuple(run.answers.note for run in runs))


def rooms(sections: Sequence[Section], figures: Sequence[str]) -> list[Room]:
    """The sections that a page shows, parts under the section that they are of.

    figures: by the names of the run's, RUN/NAME.
    """
    found: list[Room] = []
    for section in sections:
        if section.name in ELSEWHERE:
            continue
        own = FIGURES.get(section.name, (section.name,))
        names = [name.split("/", 1)[1] for name in figures]
        shown = [name for name in names if any(name == one or name.startswith(f"{one}-") for one in own)]
        if section.part and found:
            found[-1].parts.append(Room(section, shown, []))
        elif section.table is not None or section.note or shown:
            found.append(Room(section, shown, []))
    return found


def render(runs: Sequence[Run]) -> str:
    """The page as a string."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from steer.screen import plain

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["plain"] = plain
    scripts = [
        bundle(),
        *((HERE / name).read_text(encoding="utf-8") for name in ("figures.js", "reader.js")),
    ]
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    spills = [(r.model, r.evidence, e.spillover) for r in runs if (e := r.result.emergent)]
    by_model = models([(model, spillover) for model, _, spillover in spills])
    drawn: dict[str, Figure] = {}
    for at, run in enumerate(runs):
        drawn |= {f"{at}/{name}": one for name, one in figures_of(run.result).items()}
    drawn |= {"0/models": by_model} if by_model else {}
    specifications = {name: one.embedded() for name, one in drawn.items()}
    looks = {
        scheme: {"screen": config(colours), "phone": config(colours, narrow=True)}
        for scheme, colours in (("light", LIGHT), ("dark", DARK))
    }
    evidence = " · ".join(dict.fromkeys(run.evidence for run in runs if run.evidence))
    return environment.get_template("template.html").render(
        runs=runs,
        title=runs[0].title if len(runs) == 1 else f"{len(runs)} runs",
        evidence=evidence,
        about_real_models=about_real_models(evidence),
        figures=drawn,
        by_model=models_section(spills),
        rooms=[
            rooms(run.sections, [n for n in drawn if n.startswith(f"{at}/")]) for at, run in enumerate(runs)
        ],
        policy=f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'",
        style=Markup(styles() + (HERE / "style.css").read_text(encoding="utf-8")),
        scripts=[Markup(script) for script in scripts],
        data=Markup(_json({"runs": [run.data for run in runs], "figures": specifications, "looks": looks})),
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _json(value: Any) -> str:
    """JSON that is inert inside a script element, whatever text it holds."""
    text = json.dumps(finite(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
