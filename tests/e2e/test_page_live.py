"""The page over a daemon that runs: it follows the loop, and what is said on it reaches the loop.

All tests share one daemon; each begins with nothing paused. One test alone asks for rehearsals.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, expect

from tests.e2e.browser import running_browser, watched
from tests.e2e.processes import Process

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as made:
        yield made


@pytest.fixture
def daemon(running: str) -> str:
    """The address of the daemon, with nothing paused whatever another test has left."""
    httpx.delete(f"{running}/api/v1/pauses/*", timeout=10).raise_for_status()
    return running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a daemon on the embedded cluster that `make run` starts."""
    folder = tmp_path_factory.mktemp("daemon")
    settings = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text(encoding="utf-8"))
    port = free_port()
    settings["store"]["url"] = f"sqlite:///{folder / 'demo.db'}"
    settings["telemetry"], settings["web"] = {"port": free_port()}, {"port": port}
    file = folder / "demo.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = (sys.executable, "-m", "aiops", "run", "--config", str(file))
    base = f"http://127.0.0.1:{port}"
    with Process(command, log=folder / "log", cwd=ROOT) as process:
        turning(base, process, folder / "log")
        yield base


def turning(base: str, process: Process, log: Path) -> None:
    """Wait for the first turns."""
    ends = time.monotonic() + 90.0
    while time.monotonic() < ends:
        assert process.poll() is None, log.read_text(encoding="utf-8")[-2000:]
        try:
            if httpx.get(f"{base}/api/v1/status", timeout=5).json()["targets"]:
                return
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        time.sleep(0.3)
    pytest.fail(log.read_text(encoding="utf-8")[-2000:])


def status(base: str) -> dict:
    return httpx.get(f"{base}/api/v1/status", timeout=10).json()


def test_the_overview_follows_the_loop_turn_by_turn(browser: Browser, daemon: str) -> None:
    with watched(browser, daemon) as desk:
        page = desk.go("/")
        desk.drawn()
        first = page.locator("#sentence").inner_text()
        assert "shop/checkout" in first
        expect(page.locator("#sentence")).not_to_have_text(first, timeout=20_000)
        expect(page.locator(".chip.mode")).to_have_text("enforce")
        expect(page.locator(".chip.health")).to_have_text("loop well")
        assert desk.hurdles() == []


def test_a_curve_goes_on_beyond_now_with_the_forecast(browser: Browser, daemon: str) -> None:
    with watched(browser, daemon) as desk:
        desk.go("/policies/ScalingPolicy/shop/checkout")
        page = desk.drawn()
        before = page.locator(".plot.load .u-legend .u-value").first.inner_text()
        expect(page.locator(".plot.load .u-legend .u-value").first).not_to_have_text(before, timeout=20_000)
        told = httpx.get(f"{daemon}/api/v1/timeline?policy=ScalingPolicy/shop/checkout&hours=1", timeout=10).json()
        assert told["forecast"]["issued_at"] <= told["until"]
        assert len(told["forecast"]["paths"]) == 3
        assert all(low <= high for low, _, high in zip(*told["forecast"]["paths"], strict=True))


def test_an_emergency_stop_holds_every_target_within_a_turn_and_resuming_lets_go_s9(
    browser: Browser, daemon: str
) -> None:
    with watched(browser, daemon) as desk:
        page = desk.go("/")
        page.get_by_role("button", name="Emergency stop").click()
        page.get_by_role("button", name="Stop everything").click()
        page.wait_for_selector("#pauses .banner")
        expect(page.locator("#pauses")).to_contain_text("Everything is paused")
        stopped_at = status(daemon)["last_tick_at"]
        # of a later turn: whatever is wanted, nothing is written
        ends = time.monotonic() + 30.0
        while status(daemon)["last_tick_at"] <= stopped_at + 15.0:
            assert time.monotonic() < ends
            time.sleep(0.2)
        now = status(daemon)
        assert [one["scope"] for one in now["pauses"]] == ["*"]
        acted = httpx.get(f"{daemon}/api/v1/actions?limit=5", timeout=10).json()
        assert all(one["at"] <= stopped_at + 15.0 for one in acted)
        page.get_by_role("button", name="Resume").click()
        page.locator("dialog[open]").get_by_role("button", name="Resume").click()
        expect(page.locator("#pauses")).to_have_count(0)
        assert status(daemon)["pauses"] == []


@pytest.mark.parametrize("path", ["/cost", "/models", "/audit", "/rehearsals", "/decisions", "/policies"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_a_living_daemon_have_no_hurdles(browser: Browser, daemon: str, path: str, scheme: str) -> None:
    with watched(browser, daemon, scheme=scheme) as desk:
        desk.go(path)
        assert desk.hurdles() == []


def test_the_audit_log_names_who_stopped_and_resumed_and_is_whole(browser: Browser, daemon: str) -> None:
    wish = {"scope": "shop/nothing", "reason": "to see it in the log"}
    httpx.post(f"{daemon}/api/v1/pauses", json=wish, timeout=10).raise_for_status()
    with watched(browser, daemon) as desk:
        page = desk.go("/audit?kind=pause")
        assert "to see it in the log" in page.locator("tbody").inner_text()
        page.get_by_role("button", name="Check the chain").click()
        expect(page.locator("#verified")).to_have_class("banner good", timeout=20_000)
        # it stands when the page is asked for anew
        wish["reason"] = "to see what is newer"
        httpx.post(f"{daemon}/api/v1/pauses", json=wish, timeout=10).raise_for_status()
        expect(page.locator("tbody")).to_contain_text("to see what is newer", timeout=20_000)
        expect(page.locator("#verified")).to_have_class("banner good")


@pytest.mark.timeout(420)
def test_a_simulation_is_started_followed_and_laid_beside_another(browser: Browser, daemon: str) -> None:
    with watched(browser, daemon) as desk:
        page = desk.go("/rehearsals")
        for seed in ("1", "2"):
            page.locator('select[name="scenario"]').select_option("flash-crowd")
            page.get_by_label("Seed").fill(seed)
            page.get_by_role("button", name="Start the simulation").click()
            expect(page.locator("tbody tr")).to_have_count(int(seed))
        page.locator("tbody progress").first.wait_for(timeout=90_000)
        expect(page.locator("tbody .tag", has_text="done")).to_have_count(2, timeout=300_000)
        for box in page.get_by_role("checkbox").all():
            box.check()
        page.get_by_role("button", name="Compare the chosen").click()
        rows = page.locator("section:has(#compared-title) tbody tr")
        expect(rows).to_have_count(6)
        assert "aiops" in rows.first.inner_text()
        page.locator("section:has(#compared-title) tbody a").first.click()
        page.wait_for_selector("#table-title")
        with page.expect_download() as download:
            page.get_by_role("link", name="The whole report").click()
        assert download.value.suggested_filename == "rehearsal.html"
        assert desk.hurdles() == []
