"""Every page in a real browser: what it shows, that all can read it, and that hostile text stays text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from aiops.adapters.store import Store
from aiops.app.service import Service
from aiops.web.locks.doors import fixed
from tests import page_store
from tests.e2e.browser import PHONE, running_browser, served, watched

PAGES = {
    "/": "Overview",
    "/policies": "Policies",
    f"/policies/{page_store.CHECKOUT}": "shop/checkout",
    "/incidents": "Incidents",
    "/incidents/01INCIDENT0000000000000000": "Incident",
    "/decisions": "Decisions",
    "/approvals": "Approvals",
    "/plans": "Plans and failover",
    f"/plans/{page_store.RUNNING}": "Plan",
    "/effects": "Effects",
    "/audit": "Audit log",
    "/cost": "Cost",
    "/models": "Models",
    "/rehearsals": "Rehearsals",
}
EMPTY = {
    "/": "No policy has decided anything yet.",
    "/policies": "There is no policy yet.",
    "/incidents": "No incident in this time.",
    "/decisions": "No decision fits.",
    "/approvals": "Nobody is asked anything.",
    "/plans": "No plan is under way.",
    "/effects": "Nothing of ours stands in any cluster.",
    "/audit": "No record fits.",
    "/cost": "Nothing was spent that is known of.",
    "/models": "No policy forecasts anything that fits.",
    "/rehearsals": "Nothing was rehearsed here yet.",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as made:
        yield made


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = page_store.small(tmp_path_factory.mktemp("page") / "aiops.db")
    page_store.paused(store, page_store.LAST)
    with served(Service(store), fixed("")) as address:
        yield address
    store.close()


def told(base: str, browser: Browser) -> str:
    """Return the path of a decision's story."""
    with watched(browser, base) as desk:
        page = desk.go("/decisions?verdict=allow")
        return str(page.locator("tbody th a").first.get_attribute("href"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", [*PAGES, "story"])
def test_a_page_is_named_and_has_no_hurdle_in_either_theme(browser: Browser, base: str, path: str, scheme: str) -> None:
    path, name = (told(base, browser), "Decision") if path == "story" else (path, PAGES[path])
    with watched(browser, base, scheme=scheme) as desk:
        page = desk.go(path)
        assert page.title() == f"{name} · aiops"
        if "checkout" in path:
            desk.drawn()
        assert desk.hurdles() == []
        assert page.locator("h1").count() == 1


def test_what_keeps_people_out_is_found(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        desk.go("/effects").evaluate("""() => {
            document.querySelector('h1').style.color = '#aaa';
            document.getElementById('theme').removeAttribute('aria-label');
        }""")
        rules = {one.partition(" ")[0] for one in desk.hurdles()}
        assert {"color-contrast", "button-name"} <= rules


@pytest.mark.parametrize("path", PAGES)
def test_no_column_of_a_table_is_cut_off(browser: Browser, base: str, path: str) -> None:
    with watched(browser, base, {"width": 1100, "height": 800}) as desk:
        desk.go(path)
        cut = desk.page.evaluate(
            "[...document.querySelectorAll('table')].filter(t => t.scrollWidth > t.parentElement.clientWidth + 1)"
            ".map(t => t.tHead.innerText)"
        )
        assert cut == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_a_phone(browser: Browser, base: str, path: str) -> None:
    with watched(browser, base, PHONE) as phone:
        phone.go(path)
        if "checkout" in path or path == "/":
            phone.drawn()
        assert phone.width() <= PHONE["width"]
        assert phone.hurdles() == []


@pytest.mark.parametrize(
    "path", ["/", "/incidents", "/incidents/01INCIDENT0000000000000000", f"/plans/{page_store.RUNNING}"]
)
def test_hostile_text_stays_text_s10(browser: Browser, base: str, path: str) -> None:
    with watched(browser, base) as desk:
        page = desk.go(path)
        assert page.get_by_text("<img src=x onerror=alert(1)>").count() > 0
        assert page.locator("img").count() == 0
        assert page.title().endswith(" · aiops")


def test_what_somebody_asks_for_in_an_address_stays_text_too_s10(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        page = desk.page
        for path in ("/decisions?text={}&reason={}&since={}", "/policies?q={}&page={}", "/incidents?hours={}"):
            page.goto(base + path.replace("{}", "%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"))
            assert page.locator("img").count() == 0
        assert page.locator("h1").inner_text() == "Incidents"


def test_what_is_not_there_is_said_with_the_way_on(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        for path in ("/decisions/NOPE", "/incidents/NOPE", "/plans/NOPE", "/policies/ScalingPolicy/shop/nope"):
            response = desk.page.goto(base + path)
            assert response is not None
            assert response.status == 404
            assert desk.page.locator("h1").inner_text() == "There is no such thing"
            assert desk.page.locator(".stops .danger").is_visible()
        desk.said = [one for one in desk.said if "404" not in one]


def test_a_record_in_which_nothing_is_yet_is_shown_as_such(browser: Browser, tmp_path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'empty.db'}")
    with served(Service(store), fixed("")) as address, watched(browser, address) as desk:
        for path, said in EMPTY.items():
            assert said in desk.go(path).locator("main").inner_text()
            assert desk.hurdles() == []
    store.close()


def test_the_overview_says_what_goes_on_and_what_waits(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        page = desk.go("/")
        text = page.locator("main").inner_text()
        assert "shop/mail is paused" in text
        assert "2 series abnormal" in text
        assert page.locator(".card.ask b").inner_text() == "2"
        assert "all north" in page.locator("section:has(#soon-title)").inner_text()
        assert page.locator("section:has(#waits-title) li").count() == 2


def test_a_curve_is_drawn_zoomed_by_a_drag_and_shown_whole_again(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        desk.go(f"/policies/{page_store.CHECKOUT}")
        page = desk.drawn()
        assert page.locator(".u-over").count() == 2
        legend = page.locator(".plot.replicas .u-legend").inner_text()
        assert all(name in legend for name in ("ready", "load now wants", "left by limits"))
        reset = page.get_by_role("button", name="Whole range, live")
        assert not reset.is_visible()
        box = page.locator(".plot.load .u-over").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 100, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + 300, box["y"] + 60, steps=8)
        page.mouse.up()
        reset.wait_for(state="visible")
        reset.click()
        assert not reset.is_visible()
        page.get_by_role("button", name="30 min").click()
        assert page.get_by_role("button", name="30 min").get_attribute("aria-pressed") == "true"
        page.locator("details.as-table summary").click()
        page.wait_for_selector("details.as-table tbody tr")
        assert page.locator("details.as-table tbody tr").count() > 10


def test_decisions_are_looked_for_and_their_story_made_again(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        page = desk.go("/decisions")
        page.get_by_label("Policy or target").fill("shop/checkout")
        page.get_by_label("Verdict").select_option("allow")
        page.get_by_role("button", name="Search").click()
        page.wait_for_url("**/decisions?policy=shop%2Fcheckout*")
        verdicts = page.locator("tbody .tag").all_inner_texts()
        assert verdicts
        assert set(verdicts) == {"acts"}
        page.locator("tbody th a").first.click()
        page.wait_for_selector("#story-title")
        assert "scale" in page.locator(".sentence").inner_text()
        assert page.locator("tbody tr").count() > 10
        page.get_by_role("button", name="Make it again from its record").click()
        expect(page.locator("#replayed")).to_contain_text("were not kept")
        desk.said = [one for one in desk.said if "/replay" not in one]  # no inputs were kept: a 404


def test_the_theme_is_chosen_and_remembered(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        page = desk.go("/")
        before = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_role("button", name="Dark or light").click()
        after = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert before != after
        desk.go("/policies")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


def test_a_page_is_kept_fresh_and_says_when_nobody_answers(browser: Browser, tmp_path) -> None:
    store = page_store.small(tmp_path / "aiops.db")
    with watched(browser, "http://127.0.0.1") as desk:
        with served(Service(store), fixed("")) as address:
            page = desk.page
            page.goto(address)
            assert page.locator("#pauses").count() == 0
            page_store.paused(store, page_store.LAST)
            page.wait_for_selector("#pauses", timeout=25_000)
        page.wait_for_selector("#offline:not([hidden])", timeout=20_000)
        assert "does not answer" in page.locator("#offline").inner_text()
        assert "shop/mail is paused" in page.locator("main").inner_text()
        desk.said = [one for one in desk.said if "ERR_" not in one and "htmx" not in one]
        desk.away = []
    store.close()


def test_a_browser_that_tells_of_no_paint_gets_the_scripts_all_the_same(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        desk.page.add_init_script("delete window.PerformanceObserver")
        desk.go("/incidents")
