"""Every button that changes something: what it asks first, and what is in the record afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from aiops.adapters.store import Store
from aiops.app.service import Service
from aiops.core.model import Direction, OrderKind
from aiops.web.locks.doors import fixed
from tests import page_store
from tests.e2e.browser import PHONE, Watched, running_browser, served, watched

REASON = "looked at it at three in the morning"


@dataclass(frozen=True)
class Room:
    """A page over a store of its own."""

    desk: Watched
    store: Store

    def go(self, path: str) -> Page:
        return self.desk.go(path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as made:
        yield made


@pytest.fixture
def room(browser: Browser, tmp_path: Path) -> Iterator[Room]:
    store = page_store.small(tmp_path / "aiops.db")
    with served(Service(store), fixed("")) as base, watched(browser, base) as desk:
        yield Room(desk, store)
    store.close()


def dialog(page: Page) -> Locator:
    """Return the one dialog that is open."""
    found = page.locator("dialog[open]")
    found.wait_for()
    assert found.count() == 1
    return found


def said(page: Page, confirm: str, reason: str | None = REASON) -> str:
    """Fill in the dialog that is open, confirm it, and return what the page says then."""
    found = dialog(page)
    if reason is not None:
        found.get_by_label("Reason").fill(reason)
    found.get_by_role("button", name=confirm, exact=True).click()
    toast = page.locator(".toast")
    toast.wait_for()
    assert page.locator("dialog[open]").count() == 0
    return toast.inner_text()


def test_the_emergency_stop_is_on_every_page_and_stops_everything_s9(room: Room) -> None:
    for path in ("/", "/policies", "/incidents", "/decisions", "/approvals", "/plans", "/effects"):
        assert room.go(path).get_by_role("button", name="Emergency stop").is_visible()
    page = room.go("/decisions")
    page.get_by_role("button", name="Emergency stop").click()
    assert "nothing is written to any cluster" in dialog(page).inner_text()
    assert room.store.people.pauses(0.0) == ()
    assert "Nothing is written any more" in said(page, "Stop everything", None)
    (pause,) = room.store.people.pauses(0.0)
    assert (pause.scope, pause.direction, pause.reason) == ("*", Direction.ALL, "emergency stop")
    page.wait_for_selector(".chip.paused")


def test_what_is_cancelled_changes_nothing(room: Room) -> None:
    page = room.go("/")
    for name in ("Emergency stop", "Pause"):
        page.get_by_role("button", name=name, exact=True).click()
        dialog(page).get_by_role("button", name="Cancel").click()
        assert page.locator("dialog[open]").count() == 0
    page.get_by_role("button", name="Emergency stop").click()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert room.store.people.pauses(0.0) == ()


def test_a_pause_has_a_scope_a_direction_a_time_and_a_reason_and_is_resumed_s9(room: Room) -> None:
    page = room.go("/")
    page.get_by_role("button", name="Pause", exact=True).click()
    asked = dialog(page)
    asked.get_by_label("What").fill("shop")
    asked.get_by_label("Which way").select_option("in")
    asked.get_by_label("How long").select_option("14400")
    asked.get_by_label("Hold at").fill("6")
    assert "Paused" in said(page, "Pause")
    (pause,) = room.store.people.pauses(0.0)
    assert (pause.scope, pause.direction, pause.hold_at, pause.reason) == ("shop", Direction.IN, 6, REASON)
    assert pause.until - pause.since == pytest.approx(14400.0)
    page.wait_for_selector("#pauses")
    page.get_by_role("button", name="Resume").click()
    assert REASON in dialog(page).inner_text()
    dialog(page).get_by_role("button", name="Resume").click()
    page.wait_for_selector("#pauses", state="detached")
    assert room.store.people.pauses(0.0) == ()


def test_a_policy_is_paused_on_its_own_page(room: Room) -> None:
    page = room.go(f"/policies/{page_store.CHECKOUT}")
    page.get_by_role("button", name="Pause this").click()
    said(page, "Pause")
    (pause,) = room.store.people.pauses(0.0)
    assert (pause.scope, pause.until - pause.since) == (page_store.CHECKOUT, pytest.approx(3600.0))


def test_no_reason_no_pause(room: Room) -> None:
    page = room.go("/")
    page.get_by_role("button", name="Pause", exact=True).click()
    dialog(page).get_by_role("button", name="Pause", exact=True).click()
    assert dialog(page).get_by_label("Reason").evaluate("one => !one.checkValidity()")
    assert room.store.people.pauses(0.0) == ()


def test_what_the_daemon_refuses_is_said_in_the_dialog(room: Room) -> None:
    page = room.go("/")
    page.get_by_role("button", name="Pause", exact=True).click()
    dialog(page).get_by_label("What").fill("shop")
    dialog(page).get_by_label("Reason").fill("   ")
    dialog(page).get_by_role("button", name="Pause", exact=True).click()
    refused = dialog(page).locator(".refused")
    refused.wait_for()
    assert "reason" in refused.inner_text()
    assert room.store.people.pauses(0.0) == ()
    room.desk.said = [one for one in room.desk.said if "422" not in one]


@pytest.mark.parametrize(("button", "yes"), [("Approve", True), ("Reject", False)])
def test_a_question_is_answered_with_what_is_known_of_it_in_sight(room: Room, button: str, yes: bool) -> None:
    page = room.go("/approvals")
    question = page.locator("section.question").filter(has=page.get_by_role("link", name="shop/mail", exact=True))
    text = question.inner_text()
    assert "8 → 16" in text
    assert "risk of too little capacity" in text or "the risk is not known" in text
    assert "per hour" in text
    question.get_by_role("button", name=button).click()
    said(page, button)
    (answer,) = room.store.people.approvals(0.0)
    assert (answer.approved, answer.reason, answer.by) == (yes, REASON, "loopback")
    expect(page.locator("section.question")).to_have_count(1)


def test_a_plan_that_waits_is_approved_on_its_page(room: Room) -> None:
    page = room.go(f"/plans/{page_store.PROPOSED}")
    page.get_by_role("button", name="Approve").click()
    said(page, "Approve")
    (answer,) = room.store.people.approvals(0.0)
    assert (answer.ask_id, answer.approved) == (page_store.PROPOSED, True)


@pytest.mark.parametrize(
    ("plan", "button", "kind"),
    [
        (page_store.RUNNING, "Pause", OrderKind.PAUSE),
        (page_store.RUNNING, "Roll back", OrderKind.ROLL_BACK),
        (page_store.FROZEN, "Resume", OrderKind.RESUME),
        (page_store.FROZEN, "Roll back", OrderKind.ROLL_BACK),
        (page_store.DONE, "Roll back", OrderKind.ROLL_BACK),
    ],
)
def test_a_plan_is_paused_resumed_and_rolled_back_s9(room: Room, plan: str, button: str, kind: OrderKind) -> None:
    page = room.go(f"/plans/{plan}")
    page.locator("main").get_by_role("button", name=button, exact=True).click()
    assert "Ordered" in said(page, button)
    (order,) = room.store.plans.orders(0.0)
    assert (order.kind, order.subject, order.reason) == (kind, plan, REASON)


def test_what_stands_is_handed_back_one_by_one_or_all_s9(room: Room) -> None:
    page = room.go("/effects")
    row = page.locator("tbody tr").filter(has_text="minReplicas")
    row.get_by_role("button", name="Hand back").click()
    assert "8 → 3" in dialog(page).inner_text()
    said(page, "Hand back")
    page.locator(".toast").wait_for(state="detached", timeout=12_000)
    page.get_by_role("button", name="Hand back everything").click()
    said(page, "Hand back")
    first, second = room.store.people.pauses(0.0)
    assert (first.scope, first.release) == ("shop/checkout", True)
    assert (second.scope, second.release) == ("*", True)


def test_all_of_it_can_be_done_with_the_keyboard_alone(room: Room) -> None:
    page = room.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.get_by_role("button", name="Emergency stop").focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    page.keyboard.press("Enter")
    found = dialog(page)
    for _ in range(12):
        page.keyboard.press("Tab")
        inside = page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
        assert inside, "the focus has left the dialog"
    found.get_by_label("Reason").focus()
    page.keyboard.press("Enter")
    page.locator(".toast").wait_for()
    assert outline == "solid"
    assert page.evaluate("document.activeElement.dataset.open") == "stop-dialog"
    assert len(room.store.people.pauses(0.0)) == 1


def test_the_stop_can_be_reached_with_one_thumb(browser: Browser, tmp_path: Path) -> None:
    store = page_store.small(tmp_path / "aiops.db")
    with served(Service(store), fixed("")) as base, watched(browser, base, PHONE) as phone:
        page = phone.go("/decisions")
        box = page.get_by_role("button", name="Emergency stop").bounding_box()
        assert box is not None
        assert box["height"] >= 30
        assert box["x"] + box["width"] <= PHONE["width"]
        page.get_by_role("button", name="Emergency stop").click()
        shown = dialog(page).bounding_box()
        assert shown is not None
        assert shown["width"] <= PHONE["width"]
        assert phone.hurdles() == []
        said(page, "Stop everything", None)
        assert len(store.people.pauses(0.0)) == 1
    store.close()


def test_dialogs_have_no_hurdles(room: Room) -> None:
    page = room.go("/")
    for name in ("Emergency stop", "Pause"):
        page.get_by_role("button", name=name, exact=True).click()
        dialog(page)
        assert room.desk.hurdles() == []
        page.keyboard.press("Escape")


def test_no_answer_is_kept_that_somebody_else_gave_first(room: Room) -> None:
    page = room.go(f"/plans/{page_store.PROPOSED}")
    page.get_by_role("button", name="Reject").click()
    Service(room.store).answer(page_store.PROPOSED, {"approved": True, "by": "ann"})
    dialog(page).get_by_label("Reason").fill(REASON)
    dialog(page).get_by_role("button", name="Reject", exact=True).click()
    refused = dialog(page).locator(".refused")
    refused.wait_for()
    assert "there is no open question" in refused.inner_text()
    assert [one.by for one in room.store.people.approvals(0.0)] == ["ann"]
    room.desk.said = [one for one in room.desk.said if "404" not in one]
