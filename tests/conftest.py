"""What several test files share: a browser, and a cache that is not the user's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from steer.paper.fetch import user_cache
from steer.show.figures.bundle import bundle
from tests.browser import FLAGS


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A file's vectors are its own; what takes long and only versions decide is shared."""
    bundle()
    shared = [one for one in user_cache().iterdir() if one.name == "gguf" or one.suffix == ".js"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        user_cache().mkdir(parents=True)
        for one in shared:
            (user_cache() / one.name).symlink_to(one)
        yield


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("STEERGAP_NEED_BROWSER"):
            pytest.fail("STEERGAP_NEED_BROWSER is set and there is no chromium")
        pytest.skip("no chromium: the page was not opened in a browser")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()
