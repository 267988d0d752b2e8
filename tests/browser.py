"""A page opened from disk in a real, offline browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW = 30_000
"""Milliseconds: a page of 2 MB takes long on a machine that trains a model at the same time."""


class Opened:
    """A page opened from disk in an offline browser, with everything that went wrong in it."""

    def __init__(self, browser: Any, file: Path, *, width: int = 1280, scheme: str = "light") -> None:
        self.faults: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        self.page = self.context.new_page()
        self.page.on(
            "console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))
        self.page.on(
            "request",
            lambda r: (
                None if r.url.startswith((file.as_uri(), "data:", "blob:")) else self.faults.append(r.url)
            ),
        )
        self.page.set_default_timeout(SLOW)
        self.page.goto(file.as_uri(), timeout=SLOW)

    def figure(self, name: str) -> Any:
        """A figure's plot, scrolled to and drawn."""
        plot = self.page.locator(f"figure[data-figure='{name}'] .plot").first
        plot.evaluate("p => p.scrollIntoView({block: 'center'})")
        plot.locator("svg.marks").wait_for()
        return plot

    def until_redrawn(self, name: str, scheme: str, *, width: int | None = None) -> None:
        """Wait until a figure has a scheme's colours and a window's width."""
        self.figure(name)
        self.page.wait_for_function(
            """([name, colour, width]) => {
                const plot = document.querySelector(`figure[data-figure='${name}'] .plot`);
                const svg = plot.querySelector('svg');
                const text = plot.querySelector('.role-axis-title text, .role-axis-label text');
                return text.getAttribute('fill') === colour
                    && (width === null || Number(svg.getAttribute('width')) <= width);
            }""",
            arg=[name, {"light": "#59626d", "dark": "#a3acb7"}[scheme], width],
        )

    def marks(self, name: str, kind: str = "symbol") -> list[dict[str, Any]]:
        """What a figure's marks of a kind show, as Vega bound it: datum, what it says, where it is."""
        return self.figure(name).evaluate(
            """(plot, kind) => [...plot.querySelectorAll(`.mark-${kind}.role-mark > *`)].map((mark) => {
                const box = mark.getBoundingClientRect(), colour = mark.getAttribute('fill');
                return {...mark.__data__.datum, drawn: mark.textContent, fill: colour,
                    said: mark.getAttribute('aria-label'),
                    at: [box.left + box.width / 2, box.top + box.height / 2]};
            })""",
            kind,
        )

    def axis(self, name: str) -> list[tuple[float, float]]:
        """A figure's horizontal axis: (number, pixel) of each label."""
        found = self.figure(name).evaluate(
            """(plot) => [...plot.querySelectorAll('.role-axis-label text')].map((text) => {
                const box = text.getBoundingClientRect();
                return [text.textContent, box.left + box.width / 2, box.bottom];
            })"""
        )
        lowest = max(bottom for _, _, bottom in found)
        return [(float(t.rstrip(" %").replace("−", "-")), x) for t, x, bottom in found if bottom == lowest]

    def read(self, arm: str) -> list[dict[str, str]]:
        """Open the reader on an arm through its button in the table, and take what it shows."""
        button = self.page.locator(f"button.link[data-arm='{arm}']").last
        button.evaluate("b => { b.closest('details').open = true }")
        button.click()
        return self.shown(arm)

    def shown(self, arm: str) -> list[dict[str, str]]:
        self.page.wait_for_function(
            "name => document.getElementById('reader').dataset.ready === '0/' + name", arg=arm
        )
        return self.page.evaluate(
            """() => [...document.querySelectorAll('#reader-list .item')].map((item) => {
                const sides = [...item.querySelectorAll('.side')];
                const answer = (side) => side.querySelector(':scope > .answer').textContent;
                return {id: item.querySelector('h3').textContent, beside: answer(sides[0]),
                    steered: answer(sides.at(-1)), label: sides.at(-1).querySelector('.label').textContent,
                    reason: sides.at(-1).querySelector('.reason').textContent};
            })"""
        )

    def close(self) -> None:
        self.context.close()
