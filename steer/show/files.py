"""Figures as files of their own, for papers and slides, and the tables beside them."""

from __future__ import annotations

from pathlib import Path

from steer.atomic import filled
from steer.errors import understood
from steer.results import read
from steer.screen import plain
from steer.show.figures import figures_of
from steer.show.figures.look import LIGHT, config
from steer.show.markdown import markdown

SCALE = 2
"""Pixels of a PNG a pixel of its figure."""


def write_figures(folder: Path, out: Path) -> list[Path]:
    """Write the figures of the run in `folder`, each as SVG, PNG and PDF, and `tables.md`, into `out`.

    Raises UserError where `out` cannot be written.
    """
    import vl_convert

    result = read(folder)
    names: list[str] = []
    with filled(out) as draft, understood(f"the run in {str(folder)!r}"):
        for name, figure in figures_of(result).items():
            made = figure.alone(plain(result.evidence))
            svg = vl_convert.vegalite_to_svg(made, config=config(LIGHT))
            files = {
                f"{name}.svg": svg.encode(),
                f"{name}.png": vl_convert.svg_to_png(svg, scale=SCALE),
                f"{name}.pdf": vl_convert.svg_to_pdf(svg),
            }
            for file, content in files.items():
                (draft / file).write_bytes(content)
            names += files
        names.append("tables.md")
        (draft / names[-1]).write_text(markdown(folder), encoding="utf-8")
    return [out / name for name in names]
