"""The page behind its locks: signing in, what a role may do with its buttons, and signing out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from aiops.adapters.store import Store
from aiops.app.service import Service
from aiops.web.locks.doors import Doors, FixedToken
from aiops.web.locks.roles import How, Principal, Role
from tests import page_store
from tests.e2e.browser import Watched, running_browser, served, watched

TOKENS = {"ann": ("a-token-of-ann", Role.OPERATOR), "vera": ("a-token-of-vera", Role.VIEWER)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = page_store.small(tmp_path / "aiops.db")
    yield made
    made.close()


@pytest.fixture
def base(store: Store) -> Iterator[str]:
    known = tuple(
        FixedToken(token, Principal(name=name, role=role, how=How.SETTING, key=name))
        for name, (token, role) in TOKENS.items()
    )
    with served(Service(store), Doors(verifiers=known)) as address:
        yield address


def sign_in(desk: Watched, name: str, path: str = "/") -> None:
    """Go to a page, be sent to the login, and come back to it."""
    page = desk.page
    page.goto(desk.base + path)
    page.wait_for_url("**/login?next=*")
    assert desk.hurdles() == []
    page.get_by_label("Token").fill(TOKENS[name][0])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("html[data-ready] #live")
    assert page.url == desk.base + path


def test_who_is_not_known_signs_in_and_lands_where_they_wanted_to_go(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        sign_in(desk, "ann", f"/policies/{page_store.CHECKOUT}")
        assert "ann · operator" in desk.page.locator(".me").inner_text()
        desk.drawn()
        assert desk.hurdles() == []


def test_what_is_said_on_the_page_is_said_by_who_signed_in_s10(browser: Browser, base: str, store: Store) -> None:
    with watched(browser, base) as desk:
        sign_in(desk, "ann")
        page = desk.page
        page.get_by_role("button", name="Emergency stop").click()
        assert "Recorded as ann (operator)" in page.locator("dialog[open]").inner_text()
        page.get_by_role("button", name="Stop everything").click()
        page.locator(".toast").wait_for()
        assert [one.by for one in store.people.pauses(0.0)] == ["ann"]


def test_a_viewer_is_told_what_a_button_would_need(browser: Browser, base: str, store: Store) -> None:
    with watched(browser, base) as desk:
        sign_in(desk, "vera")
        page = desk.page
        page.get_by_role("button", name="Emergency stop").click()
        page.get_by_role("button", name="Stop everything").click()
        expect(page.locator("dialog[open] .refused")).to_contain_text("needs the role operator")
        assert store.people.pauses(0.0) == ()
        desk.said = [one for one in desk.said if "403" not in one]


def test_signing_out_ends_the_session(browser: Browser, base: str) -> None:
    with watched(browser, base) as desk:
        sign_in(desk, "vera", "/decisions")
        desk.page.get_by_role("button", name="Sign out").click()
        desk.page.wait_for_url("**/login*")
        desk.page.goto(base + "/decisions")
        desk.page.wait_for_url("**/login?next=*")


def test_a_foreign_page_changes_nothing_in_its_visitors_name_s10(browser: Browser, base: str, store: Store) -> None:
    with watched(browser, base) as desk:
        sign_in(desk, "ann")
        context = desk.page.context
        foreign = context.new_page()
        foreign.route("http://evil.test/", lambda route: route.fulfill(body="<h1>hello</h1>", content_type="text/html"))
        foreign.goto("http://evil.test/")
        outcome = foreign.evaluate(
            """async base => {
                const body = JSON.stringify({scope: '*', reason: 'evil'});
                const tries = [{'Content-Type': 'application/json'}, {'Content-Type': 'text/plain'}];
                const made = await Promise.all(tries.map(headers => fetch(base + '/api/v1/pauses',
                    {method: 'POST', credentials: 'include', headers, body}).then(() => 'sent', () => 'refused')));
                return made;
            }""",
            base,
        )
        assert outcome == ["refused", "refused"]
        assert store.people.pauses(0.0) == ()
