"""One small venue, one dashboard and one browser for all browser tests of this folder."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from seawall.server.dashboard import vendor
from server.dashboard.browsing import Watched
from server.dashboard.scene import Scene, served

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    """An engine twenty minutes into the modelled crash, with everything compiled that a page asks for."""
    with Scene() as made:
        made.advance(20)
        name = made.engine.names[0]

        async def warm():
            detail = await made.source.account(name)
            await made.source.curves(name, detail["underlyings"][0], 300_000)

        # playwright keeps a loop of its own in this thread
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(warm())).result()
        yield made


@pytest.fixture(scope="module")
def dashboard(scene):
    """The dashboard over the scene, running."""
    gone = vendor.missing()
    if gone:
        pytest.skip(f"the dashboard's browser files are not here ({', '.join(gone)}): run `{vendor.HOW}`")
    with served(scene) as running:
        yield running


@pytest.fixture(scope="module")
def chromium():
    """A real browser, headless; skips where there is none. Of one module: its loop would be in the way of other tests'."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium on PATH")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium, dashboard):
    """Makes watched pages; their errors and requests are checked at the end."""
    made = []

    def make(**options):
        made.append(Watched(chromium, dashboard.url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
