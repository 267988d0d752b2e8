"""The script that draws the figures: Vega, Vega-Lite and vega-embed in one, as vl-convert carries them."""

from __future__ import annotations

from importlib.metadata import version

from steer.atomic import write_atomically
from steer.paper.fetch import user_cache

SNIPPET = "window.vegaEmbed = vegaEmbed;"


def bundle() -> str:
    """It needs no network. Putting it together takes seconds, so it is kept in the user's cache."""
    path = user_cache() / f"vega-embed-of-vl-convert-{version('vl-convert-python')}.js"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    import vl_convert

    made = f"(() => {{{vl_convert.javascript_bundle(SNIPPET)}}})();"  # its names are its own
    write_atomically(path, made.encode())
    return made
