"""Tokens of Kubernetes: what its API server says of them, and what role that gives (S10)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from urllib3.exceptions import NewConnectionError

from aiops.adapters.kubernetes.auth import Attributes, Reviewed, Reviews, access_roles
from aiops.errors import ClusterUnavailable, NoPermission, PortError
from aiops.web.locks import reviewed
from aiops.web.locks.roles import Role
from tests.unit.doored import House


@dataclass
class Answered:
    """An answer of an API server."""

    status: int
    data: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def read(self) -> bytes:
        """Return nothing: it is read already."""
        return b""


@dataclass
class Server:
    """What an API server knows. users: by token. may: which user may use which role."""

    host: str = "https://api.example"
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    may: set[tuple[str, str]] = field(default_factory=set)
    audiences: tuple[str, ...] = ()
    calls: list[dict[str, Any]] = field(default_factory=list)
    status: int = 201
    away: bool = False

    def send(self, call):
        """Answer a review."""
        self.calls.append(dict(call.body))
        if self.away:
            raise NewConnectionError(None, "no route")
        spec = call.body["spec"]
        if call.path.endswith("tokenreviews"):
            user = self.users.get(spec["token"])
            status: dict[str, Any] = {"authenticated": user is not None, "user": user or {}}
            if self.audiences:
                status["audiences"] = [*self.audiences]
        else:
            asked = spec["resourceAttributes"]
            assert (asked["verb"], asked["group"], asked["resource"]) == ("use", "access.aiops", "roles")
            status = {"allowed": (spec["user"], asked["name"]) in self.may}
        return Answered(self.status, orjson.dumps({"kind": "x", "message": "refused", "status": status}))


ROBOT = {"username": "system:serviceaccount:ci:robot", "uid": "7", "groups": ["system:serviceaccounts", "sre"],
         "extra": {"authentication.kubernetes.io/pod-name": ["robot-1"]}}  # fmt: skip


@pytest.fixture
def server():
    return Server(users={"good": ROBOT})


class Asks:
    """web.locks.reviewed.Reviewer over the adapter, as wiring makes it."""

    def __init__(self, server: Server, audiences: tuple[str, ...] = ()) -> None:
        self.reviews, self.audiences = Reviews(server), audiences

    def review(self, token):
        """Return whose token it is."""
        return self.reviews.token(token, self.audiences)

    def may_use(self, user, role):
        """Return whether somebody may use a role."""
        return self.reviews.allowed(user, Attributes(verb="use", group="access.aiops", resource="roles", name=role))


class Ticks:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def knowing(server: Server, clock=None, audiences: tuple[str, ...] = (), roles=None) -> reviewed.Reviewed:
    asks = Asks(server, audiences)
    role_of = reviewed.by_review(asks) if roles is None else reviewed.by_groups(roles)
    return reviewed.Reviewed(asks, role_of, clock or Ticks())


def test_a_review_says_who_and_another_what_they_may(server):
    server.may = {(ROBOT["username"], "operator"), (ROBOT["username"], "viewer")}
    found = knowing(server).principal("good")
    assert (found.name, found.role) == (f"kubernetes:{ROBOT['username']}", Role.OPERATOR)
    asked = server.calls[-1]["spec"]
    assert (asked["groups"], asked["uid"], asked["extra"]) == (ROBOT["groups"], "7", ROBOT["extra"])


def test_the_role_may_come_from_groups_without_another_question(server):
    roles = {Role.VIEWER: frozenset({"dev", "sre"}), Role.ADMIN: frozenset({"platform"})}
    assert knowing(server, roles=roles).principal("good").role is Role.VIEWER
    assert len(server.calls) == 1


def test_who_may_nothing_here_is_told_so(server):
    with pytest.raises(NoPermission, match="no role here"):
        knowing(server).principal("good")


@pytest.mark.parametrize(
    ("of_token", "wanted", "known"),
    [((), (), True), (("aiops",), ("aiops",), True), (("other",), ("aiops",), False), ((), ("aiops",), False)],
)
def test_a_token_must_be_for_one_of_our_audiences_where_there_are_any(server, of_token, wanted, known):
    server.may = {(ROBOT["username"], "viewer")}
    server.audiences = of_token
    assert (knowing(server, audiences=wanted).principal("good") is not None) is known
    assert server.calls[0]["spec"].get("audiences", []) == [*wanted]


@pytest.mark.parametrize("user", [{}, {"username": ""}, {"username": 5}, None], ids=repr)
def test_an_answer_without_a_name_is_nobody(server, user):
    server.users = {"good": user}
    assert knowing(server).principal("good") is None


def test_answers_count_for_a_minute_and_refusals_for_ten_seconds(server):
    clock = Ticks()
    server.may = {(ROBOT["username"], "viewer")}
    known = knowing(server, clock)
    for _ in range(3):
        known.principal("good")
        known.principal("bad")
    assert len([one for one in server.calls if one["kind"] == "TokenReview"]) == 2
    server.users = {}
    clock.at = 59.0
    assert known.principal("good") is not None
    clock.at = 61.0
    assert known.principal("good") is None, "taken back: it opens for a minute at most"


def test_of_many_foreign_tokens_no_more_than_so_many_are_remembered(server):
    known = knowing(server)
    for number in range(reviewed.MOST + 10):
        known.principal(f"bad-{number}")
    assert len(known._known) == reviewed.MOST
    assert "bad-1" not in str(known._known), "and none in clear"


def test_our_own_tokens_are_shown_to_no_other_server(server):
    assert knowing(server).principal("aiops_" + "x" * 43) is None
    assert server.calls == []


@pytest.mark.parametrize(("status", "error"), [(401, NoPermission), (403, NoPermission), (500, ClusterUnavailable)])
def test_an_api_server_that_does_not_answer_lets_nobody_in_and_is_said_so(server, status, error):
    server.status = status
    with pytest.raises(error):
        knowing(server).principal("good")
    server.away = True
    with pytest.raises(PortError, match=r"api\.example"):
        knowing(server).principal("good")


def test_through_the_gate_a_failing_api_server_is_a_503_and_no_way_in(server):
    house = House()
    server.away = True
    house.lock(verifiers=(house.tokens, knowing(server)))
    assert house.client("good").get("/api/v1/status").status_code == 503
    assert house.client(house.token("sam", "viewer")).get("/api/v1/status").status_code == 200, "others come in"
    house.store.close()


def test_the_right_to_ask_is_printed_and_is_no_right_to_change_anything():
    role, bound = access_roles("ops", "second")
    assert [(one["resources"], one["verbs"]) for one in role["rules"]] == [
        (["tokenreviews"], ["create"]),
        (["subjectaccessreviews"], ["create"]),
    ]
    assert bound["roleRef"]["name"] == role["metadata"]["name"]
    assert bound["subjects"][0]["namespace"] == "ops"


def test_a_user_of_the_api_server_is_no_other_principal(server):
    server.users = {"good": {"username": "sam", "groups": []}}
    server.may = {("sam", "viewer")}
    assert knowing(server).principal("good").name == "kubernetes:sam"
    assert Reviewed(username="sam").groups == ()
