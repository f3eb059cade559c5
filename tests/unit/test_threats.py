"""Threats of docs/security.md that no other file tests, and that the page names a test for each (S10)."""

from __future__ import annotations

import hmac
import inspect
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.core.model import LoopState, PlanStatus, Tick
from aiops.web.locks import doors
from aiops.web.locks.doors import FixedToken
from aiops.web.locks.roles import How, Principal, Role
from aiops.web.problems import MEDIA_TYPE
from tests.plan_world import NOW, plan
from tests.unit.doored import House

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
ROW = re.compile(r"^\| T\d+ .*\|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.fixture(scope="module")
def house():
    made = House()
    yield made
    made.store.close()


# -- the page itself ---------------------------------------------------------------------------------------------------


def test_every_threat_names_a_test_and_every_test_that_is_named_is_there():
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert len(rows) >= 25
    for row in rows:
        named = NAMED.findall(row)
        assert named, f"no test: {row[:80]}"
        for file, name in named:
            text = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^\s*def {name}\(", text, re.MULTILINE), f"{file} has no {name}"


# -- approvals that are sent again -------------------------------------------------------------------------------------


@pytest.fixture
def asking():
    """A plan that waits for the yes of two people."""
    made = House()
    waiting = replace(plan(), status=PlanStatus.PROPOSED, needed=2, expires_at=NOW + 600.0)
    tick = Tick(id="01TICK", at=NOW, decisions=(), actions=(), outcomes=(), findings=(), incidents=(), plans=(waiting,))
    made.store.journal.begin(tick, LoopState(plans={waiting.id: waiting}))
    made.service.now = lambda: made.clock.at
    made.clock.at = NOW
    yield made, waiting.id
    made.store.close()


def test_an_approval_that_is_sent_again_counts_once_and_never_for_another(asking):
    house, ask = asking
    sam, kim = house.client(house.token("sam", "operator")), house.client(house.token("kim", "operator"))
    yes = {"approved": True, "reason": "looked at it"}
    assert sam.post(f"/api/v1/approvals/{ask}", json=yes).json()["by"] == "sam"
    again = sam.post(f"/api/v1/approvals/{ask}", json={**yes, "by": "kim"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert {one.by for one in house.store.people.approvals(0.0)} == {"sam"}, "one person is not two"
    assert kim.post(f"/api/v1/approvals/{ask}", json=yes).status_code == 200


def test_an_approval_that_comes_too_late_is_for_nothing(asking):
    house, ask = asking
    sam = house.client(house.token("sam", "operator"))
    house.clock.at = NOW + 600.0
    assert sam.post(f"/api/v1/approvals/{ask}", json={"approved": True}).status_code == 404
    assert house.store.people.approvals(0.0) == ()


def test_a_viewer_and_a_stranger_approve_nothing(asking):
    house, ask = asking
    for client, status in ((house.client(house.token("vi", "viewer")), 403), (house.client(), 401)):
        assert client.post(f"/api/v1/approvals/{ask}", json={"approved": True}).status_code == status
    assert house.store.people.approvals(0.0) == ()


# -- text of others ----------------------------------------------------------------------------------------------------

EVIL = "<script>alert(1)</script>\"'\r\nX-Evil: 1"


def test_label_text_is_answered_as_json_that_no_browser_takes_for_a_page(house):
    client = house.client(house.token("sam", "operator"))
    answer = client.post("/api/v1/pauses", json={"scope": "shop", "reason": EVIL})
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("application/json", "nosniff")
    assert answer.json()["reason"] == EVIL.strip()
    wrong = client.get("/api/v1/decisions", params={"verdict": EVIL})
    assert (wrong.status_code, wrong.headers["content-type"]) == (422, MEDIA_TYPE)
    assert "x-evil" not in {*answer.headers, *wrong.headers}


def test_what_is_searched_for_is_compared_and_never_part_of_a_query(house):
    client = house.client(house.token("kim", "viewer"))
    for text in ("' OR 1=1 --", "%", "_", "\\", "'; DROP TABLE decisions; --"):
        for name in ("text", "policy"):
            assert client.get("/api/v1/decisions", params={name: text}).json() == []
    assert client.get("/api/v1/incidents/' OR 1=1").status_code == 422


def _names_of(schema: object) -> set[str]:
    if isinstance(schema, dict):
        inner = (
            {str(name) for name in schema.get("properties", {})}
            if isinstance(schema.get("properties"), dict)
            else set()
        )
        return inner.union(*(_names_of(one) for one in schema.values()))
    return set().union(*(_names_of(one) for one in schema)) if isinstance(schema, list) else set()


def test_no_field_of_a_policy_is_an_address_so_that_its_author_sends_the_daemon_nowhere():
    """Sources, channels and endpoints are names that an admin has given to addresses in the settings."""
    names: set[str] = set()
    for file in (ROOT / "config" / "schema").glob("*.json"):
        names |= _names_of(json.loads(file.read_text(encoding="utf-8")))
    assert {"channel", "endpoint", "query"} <= names, "the schemas were not read"
    assert {name for name in names if re.search(r"(?i)ur[il]$|^host$|address", name)} == set()


# -- timing ------------------------------------------------------------------------------------------------------------


def test_a_token_of_the_settings_is_compared_in_constant_time_and_all_others_by_their_digest():
    """By the source: a measurement over loopback would pass or fail by the machine's mood."""
    assert "hmac.compare_digest" in inspect.getsource(FixedToken.principal)
    assert "==" not in inspect.getsource(FixedToken.principal).replace("'=='", "")
    who = Principal(name="x", role=Role.VIEWER, how=How.SETTING)
    assert FixedToken("hush", who).principal("hush") is who
    assert [FixedToken("hush", who).principal(one) for one in ("hus", "hush ", "", "HUSH")] == [None] * 4
    assert FixedToken("", who).principal("") is None, "no token is no token"
    assert doors.hmac is hmac


# -- any shape ---------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
DOORS = ("pauses", "release", "orders", "promotions", "whatif", "tokens", "approvals/01J", "alerts", "rehearsals")
READS = ("decisions", "actions", "plans", "incidents", "series", "explain", "why", "diff", "findings", "audit", "costs")
QUIET = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def admin(house):
    house.open_up()
    return house.client()


@QUIET
@given(
    door=st.sampled_from(DOORS), body=st.one_of(JSON.map(lambda one: json.dumps(one).encode()), st.binary(max_size=200))
)
def test_a_body_of_any_shape_is_answered_and_never_with_a_bug(admin, door, body):
    answer = admin.post(f"/api/v1/{door}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        said = answer.json()
        assert answer.headers["content-type"] == MEDIA_TYPE
        assert (said["status"], said["type"]) == (answer.status_code, f"urn:aiops:problem:{said['code']}")
        assert said["detail"]


@QUIET
@given(
    path=st.sampled_from(READS),
    asked=st.dictionaries(
        st.sampled_from(("policy", "limit", "cursor", "hours", "since", "text", "target", "live", "series", "at", "x")),
        st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str)),
        max_size=4,
    ),
)
def test_a_query_of_any_shape_is_answered_and_never_with_a_bug(admin, path, asked):
    answer = admin.get(f"/api/v1/{path}", params=asked)
    assert answer.status_code < 500, answer.text
    assert answer.status_code < 400 or answer.headers["content-type"] == MEDIA_TYPE


@QUIET
@given(path=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_path_of_any_shape_is_answered_and_never_with_a_bug(admin, path):
    answer = admin.request("GET", f"/api/v1/decisions/{quote(path, safe='/')}")
    assert answer.status_code < 500
