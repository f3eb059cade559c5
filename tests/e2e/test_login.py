"""Signing in, acting and signing out in a real browser, under the content policy and over TLS (S10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from aiops.adapters.store import Store
from aiops.app.service import Service
from aiops.web.locks.doors import Doors
from aiops.web.locks.sessions import Sessions
from aiops.web.server import Serving, WebServer
from aiops.web.tls import Certificate
from tests.builders import answer, snapshot
from tests.e2e.browser import RULES, Watched, running_browser
from tests.integration.test_web_shield import certificate
from tests.unit.test_store import made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as found:
        yield found


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    turn = made(shot=snapshot(demand=answer(590.0)))
    store.journal.begin(turn.tick, turn.state)
    yield Service(store)
    store.close()


def served(service: Service, tmp_path: Path, *, tls: bool) -> WebServer:
    doors = Doors(verifiers=(service.access,), sessions=Sessions(keeper=service.store.access), secure=tls)
    serving = Serving()
    if tls:
        cert, key = certificate(tmp_path, "aiops")
        serving = replace(serving, certificate=Certificate(cert_file=cert, key_file=key))
    server = WebServer(service, ("127.0.0.1", 0), doors, serving)
    server.start()
    return server


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_a_person_signs_in_pauses_in_their_own_name_and_signs_out(browser, service, tmp_path, tls):
    token = service.create_token({"name": "sam", "role": "operator", "by": "test"})["token"]
    server = served(service, tmp_path, tls=tls)
    base = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}"
    context = browser.new_context(ignore_https_errors=True)
    try:
        watched = Watched(context.new_page(), base)
        page = watched.page
        page.goto(f"{base}/policies")
        expect(page).to_have_url(f"{base}/login?next=%2Fpolicies")
        page.get_by_label("Token").fill("aiops_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not valid")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{base}/policies")
        (cookie,) = context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["secure"]) == (True, "Strict", tls)
        assert page.evaluate("document.cookie") == ""
        said = page.evaluate(PAUSE)
        assert (said["status"], said["body"]["by"]) == (201, "sam")
        assert page.evaluate(PAUSE_WITHOUT_CSRF) == 403
        page.wait_for_selector("html[data-ready]")
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(f"{base}/login")
        page.goto(f"{base}/policies")
        expect(page).to_have_url(f"{base}/login?next=%2Fpolicies")
        told = [one for one in watched.said if "401" not in one and "403" not in one]
        assert (told, watched.away) == ([], [])
    finally:
        context.close()
        server.stop(5)


PAUSE = """async () => {
  const csrf = (await (await fetch("/api/v1/session")).json()).csrf;
  const headers = {"Content-Type": "application/json", "X-CSRF-Token": csrf};
  const body = JSON.stringify({scope: "shop", reason: "a test", by: "kim"});
  const answer = await fetch("/api/v1/pauses", {method: "POST", body, headers});
  return {status: answer.status, body: await answer.json()};
}"""
PAUSE_WITHOUT_CSRF = """async () => {
  const headers = {"Content-Type": "application/json"};
  const body = JSON.stringify({scope: "shop", reason: "a test"});
  return (await fetch("/api/v1/pauses", {method: "POST", body, headers})).status;
}"""


def test_the_login_keeps_nobody_out_who_sees_or_types_otherwise(browser, service, tmp_path):
    server = served(service, tmp_path, tls=False)
    base = f"http://127.0.0.1:{server.port}"
    try:
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 740})
            watched = Watched(context.new_page(), base)
            watched.page.goto(f"{base}/login")
            assert RULES
            assert watched.hurdles() == []
            expect(watched.page.get_by_label("Token")).to_be_focused()
            context.close()
    finally:
        server.stop(5)


def test_a_page_elsewhere_can_use_no_session_of_a_visitor(browser, service, tmp_path):
    """The visitor is signed in; a page of another site sends a form of JSON, as forms can, to the daemon."""
    token = service.create_token({"name": "sam", "role": "operator", "by": "test"})["token"]
    server = served(service, tmp_path, tls=False)
    base = f"http://127.0.0.1:{server.port}"
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{base}/login")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(f"{base}/")
        body = FORM.replace("BASE", base)
        context.route("http://evil.example/**", lambda route: route.fulfill(content_type="text/html", body=body))
        page.goto("http://evil.example/")
        with page.expect_navigation():
            page.get_by_role("button").click()
        refused = page.inner_text("body")
        assert page.url == f"{base}/api/v1/pauses", "the form did not reach the daemon: this would prove nothing"
        assert "not-signed-in" in refused or "foreign-request" in refused
        assert service.store.people.pauses(0.0) == ()
        page.goto(f"{base}/")
        expect(page).to_have_url(f"{base}/")
    finally:
        context.close()
        server.stop(5)


FORM = """<form method="post" action="BASE/api/v1/pauses" enctype="text/plain">
<input name='{"scope": "*", "reason": "evil", "by": "' value='x"}'><button>Win a prize</button></form>"""
