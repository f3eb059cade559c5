"""Debian's Chromium, driven by Playwright: a page that is watched for what it must not do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from aiops.web.server import WebServer

AXE = Path(__file__).parent / "axe" / "axe.min.js"
BARE = ["--no-sandbox", "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup"]
"""Without the pages of its own that each new window of the browser loads beside ours."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1360, "height": 900}


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Yield a headless Chromium in a profile of its own."""
    program = shutil.which("chromium")
    if program is None:
        pytest.exit("chromium is missing: scripts/need chromium", returncode=4)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=BARE)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page with all that its console said. away: requests that went to somebody else."""

    page: Page
    base: str
    said: list[str] = field(default_factory=list)
    away: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.said.append(f"thrown: {error}"))
        self.page.on("dialog", lambda dialog: (self.said.append(f"alert: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", self._look)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.text} {message.location.get('url', '')}")

    def _look(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.away.append(request.url)

    def go(self, path: str) -> Page:
        """Open a page, and return it when it is drawn and its scripts are there."""
        response = self.page.goto(self.base + path)
        assert response is not None
        assert response.status == 200, f"{path}: {response.status}"
        self.page.wait_for_selector("html[data-ready] #live")
        return self.page

    def drawn(self) -> Page:
        """Wait for the curve."""
        self.page.wait_for_selector(".u-over", timeout=10_000)
        return self.page

    def hurdles(self) -> list[str]:
        """Return what keeps people out, as axe-core finds it: each rule, and the elements that break it."""
        # injected by the protocol, beside the page's own policy of what may run
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate(
            "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
        )
        return [
            f"{one['id']} ({one['impact']}): {node['target']} {node.get('failureSummary', '')}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def width(self) -> int:
        """Return how wide the document is."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))


@contextmanager
def watched(
    browser: Browser, base: str, size: dict[str, int] | None = None, scheme: str = "light"
) -> Iterator[Watched]:
    """Yield a page in a context of its own. Whatever the console says in the end is an error of the page's."""
    how: dict[str, Any] = {"viewport": size or DESK, "color_scheme": scheme, "reduced_motion": "reduce"}
    context = browser.new_context(**how)
    found = Watched(context.new_page(), base)
    try:
        yield found
    finally:
        context.close()
    assert not found.said, found.said
    assert not found.away, found.away


@contextmanager
def served(answers: Any, doors: Any) -> Iterator[str]:
    """Yield the address of the page over these answers."""
    server = WebServer(answers, ("127.0.0.1", 0), doors)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop(5)
