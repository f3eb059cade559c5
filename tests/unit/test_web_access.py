"""Which door needs which role: the whole table, and that nothing is served beside it (S10)."""

from __future__ import annotations

import itertools
import re

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Mount

from aiops.web.api import application
from aiops.web.locks import access
from aiops.web.locks.access import ACCESS, needed
from aiops.web.locks.doors import Doors
from aiops.web.locks.roles import GIVEN, How, Principal, Role
from tests.unit.doored import Everybody, House

ROLES = [*GIVEN, Role.HOOK]


@pytest.fixture(scope="module")
def house():
    made = House()
    made.lock(verifiers=(Everybody(),))
    yield made
    made.store.close()


def served(app: FastAPI) -> set[tuple[str, str]]:
    """Return every door of an application, those that OpenAPI does not show among them."""
    found: set[tuple[str, str]] = set()
    waiting = [*app.router.routes]
    while waiting:
        route = waiting.pop()
        if isinstance(route, Mount):
            found.add(("GET", f"{route.path}/{{path:path}}"))
        elif hasattr(route, "effective_candidates"):
            waiting += [*route.effective_candidates()]
        else:
            found |= {(method, route.path) for method in (route.methods or ()) if method != "HEAD"}
    return found


def test_every_door_is_in_the_table_and_the_table_names_no_other_s10(house):
    doors = served(application(house.service, house.doors))
    assert len(doors) > 40, "the doors were not found"
    only_with_a_provider = {("GET", "/login/oidc"), ("GET", "/login/oidc/callback")}
    assert access.missing(doors) == []
    assert set(ACCESS) - doors == only_with_a_provider


def example(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "01J", path)


@pytest.mark.parametrize(("door", "role"), list(itertools.product(sorted(ACCESS), ROLES)), ids=str)
def test_a_role_opens_the_doors_of_its_rank_and_no_other_s10(house, door, role):
    """A refusal comes before anything is looked at: neither the body nor whether there is such a thing."""
    (method, path), least = door, ACCESS[door]
    if path.endswith("/events"):
        pytest.skip("a stream does not end; its door is of the same table")
    client = house.client(role.value)
    answer = client.request(method, example(path), headers={"Content-Type": "application/json"})
    opens = least is Role.PUBLIC or (role.rank >= least.rank and role is not Role.HOOK) or role is least
    if least is Role.HOOK and role in (Role.VIEWER, Role.AUTHOR):
        opens = False
    assert (answer.status_code == 403) is not opens, answer.text


@pytest.mark.parametrize("door", sorted(ACCESS), ids=str)
def test_who_shows_nothing_opens_the_public_doors_alone_s10(house, door):
    method, path = door
    client = house.client()
    answer = client.request(method, example(path), headers={"Content-Type": "application/json"})
    asked_who = answer.json()["code"] == "not-signed-in" if "json" in answer.headers.get("content-type", "") else False
    assert asked_who is (ACCESS[door] is not Role.PUBLIC), answer.text


def test_what_is_not_in_the_table_is_not_there_not_even_for_admins(house):
    client = house.client("admin")
    assert client.get("/api/v1/nothing").status_code == 404
    assert client.get("/docs").status_code == 404
    put = client.request("PUT", "/api/v1/pauses", json={})
    assert (put.status_code, put.headers["allow"]) == (405, "GET, POST")
    client = house.client()
    assert client.get("/api/v1/nothing").status_code == 401, "a stranger does not learn what there is"


@given(st.text(), st.sampled_from(["GET", "POST", "DELETE", "PATCH", "TRACE", "", "get"]))
def test_no_path_but_a_listed_one_is_open_to_the_public(path, method):
    if needed(method, path) is Role.PUBLIC:
        assert path in ("/login", "/login/oidc", "/login/oidc/callback") or path.startswith("/static/")


def test_of_several_rows_that_describe_a_path_the_highest_role_counts():
    paths = [("DELETE", "/api/v1/pauses/{pause_id}"), ("DELETE", "/api/v1/tokens/{token_id}")]
    assert [needed(method, example(path)) for method, path in paths] == [Role.OPERATOR, Role.ADMIN]


@pytest.mark.parametrize(("role", "may"), [(Role.VIEWER, False), (Role.OPERATOR, True), (Role.HOOK, True)])
def test_the_door_of_a_hook_is_for_its_token_and_for_who_steers(role, may):
    assert Principal(name="x", role=role, how=How.TOKEN).may(Role.HOOK) is may


def test_doors_without_verifiers_are_open_to_loopback_alone():
    assert Doors().open
    assert [Doors().known_host(one) for one in ("127.0.0.1:80", "[::1]:80", "evil.example", "", "127.0.0.1.evil")] == [
        True, True, False, False, False,
    ]  # fmt: skip
