"""Static figures of a run for papers and slides: SVG and PNG by matplotlib, tables as Markdown.

They show what `summary.json` holds and compute nothing. Every figure of a fixture says so in itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steer.atomic import filled
from steer.errors import UserError, understood
from steer.figures.cells import dose_figure, heat_figure
from steer.figures.comparison import frontier_figure, transfer_figure, tug_figure
from steer.figures.estimates import arms_figure, gaps_figure, sides_figure
from steer.figures.look import MUTED, STYLE
from steer.markdown import markdown
from steer.report import view
from steer.screen import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Mapping[str, Any]], "Figure | None"]
FIGURES: dict[str, Draw] = {
    "arms": arms_figure,
    "gaps": gaps_figure,
    "side-by-side": sides_figure,
    "heat": heat_figure,
    "dose": dose_figure,
    "tug": tug_figure,
    "frontier": frontier_figure,
    "transfer": transfer_figure,
}


def write_figures(folder: Path, out: Path) -> list[Path]:
    """Write the figures of the run in `folder`, each as SVG and PNG, and `tables.md`, into `out`.

    Raises UserError where matplotlib is missing or `out` cannot be written.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise UserError(
            "--figures needs matplotlib, which is not installed: pip install -e '.[figures]'"
        ) from None
    import logging

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # absent fonts are no news
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    summary = view.read_summary(folder)
    names: list[str] = []
    with filled(out) as draft, understood(f"the run in {str(folder)!r}"), mpl.rc_context(STYLE):
        for name, draw in FIGURES.items():
            figure = draw(summary)
            if figure is None:
                continue
            if summary["evidence"]:
                figure.text(0.995, 0.005, plain(summary["evidence"]), ha="right", color=MUTED, size=7)
            for suffix, dpi in (("svg", None), ("png", 200)):
                names.append(f"{name}.{suffix}")
                figure.savefig(
                    draft / names[-1],
                    dpi=dpi,
                    bbox_inches="tight",
                    metadata={"Date": None} if suffix == "svg" else None,
                )
            plt.close(figure)
        names.append("tables.md")
        (draft / names[-1]).write_text(markdown(folder), encoding="utf-8")
    return [out / name for name in names]
