"""The README's pictures, taken of a comparison on the organism: `python docs/images/make.py RUN`.

RUN is a finished run's folder. It needs chromium, and playwright of the extra `dev`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

FOLDER = Path(__file__).parent
VIEW = {"width": 1120, "height": 900}


def main(run: Path) -> None:
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport=VIEW, device_scale_factor=1.25, color_scheme="light")
        page.goto((run / "report.html").resolve().as_uri())
        page.set_viewport_size({"width": VIEW["width"], "height": 1350})
        page.locator("figure svg.marks").first.wait_for()
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / "report.png")
        page.set_viewport_size(VIEW)
        page.evaluate(
            "() => openReader(0, page.runs[0].arms.find((a) => a.chosen && a.name.includes('+')).name)"
        )
        page.wait_for_function("() => document.getElementById('reader').dataset.ready")
        page.select_option("#reader-filter", "up")
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / "answers.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
