"""The HTTP API: who is let in, what it answers, what it refuses."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import insert, select

from aiops.adapters.store import Store
from aiops.adapters.store.tables import DECISIONS
from aiops.app.remote import RemoteService
from aiops.app.service import Service
from aiops.errors import InvalidInput, NotFound
from aiops.web.locks.doors import fixed
from aiops.web.server import WebServer
from tests.builders import answer, snapshot
from tests.unit.test_store import made


@pytest.fixture
def service(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    turn = made(shot=snapshot(demand=answer(590.0)))
    store.journal.begin(turn.tick, turn.state)
    yield Service(store)
    store.close()


@contextmanager
def serving(service, token):
    server = WebServer(service, ("127.0.0.1", 0), fixed(token))
    server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=10) as client:
        yield client
    server.stop(5)


@pytest.fixture
def client(service):
    with serving(service, "") as client:
        yield client


def test_the_page_is_served_with_a_strict_content_policy(client):
    page = client.get("/")
    assert "<title>Overview · aiops</title>" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    for tag, source in (("script", "script-src"), ("style", "style-src")):
        (text,) = re.findall(rf"(?s)<{tag}[^>]*>(.*?)</{tag}>", page.text)
        digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{source} 'self' 'sha256-{digest}';" in policy, "what stands in the page is what the policy names"
    for name in ("page.js", "style.css", "icon.svg"):
        assert client.get(f"/static/{name}").status_code == 200


def test_a_page_that_asks_for_its_parts_gets_no_style_again(client):
    assert "<style>" in client.get("/").text
    parts = client.get("/", headers={"HX-Request": "true"}).text
    assert "<style>" not in parts
    assert 'id="live"' in parts


def test_decisions_are_listed_and_told(client):
    (row,) = client.get("/api/v1/decisions?verdict=allow").json()
    told = client.get(f"/api/v1/decisions/{row['id']}").json()
    assert "ALLOWED  8 -> 12" in told["text"]
    assert client.get("/api/v1/decisions/NOPE").status_code == 404
    assert client.get("/api/v1/decisions?limit=0").status_code == 422


def test_a_pause_is_begun_listed_and_ended(client):
    wish = {"scope": "shop", "reason": "a test", "by": "sam", "for_s": 60}
    pause = client.post("/api/v1/pauses", json=wish).json()
    assert [one["id"] for one in client.get("/api/v1/pauses").json()] == [pause["id"]]
    assert client.delete(f"/api/v1/pauses/{pause['id']}").json() == {"ended": 1}
    assert client.post("/api/v1/pauses", json={"scope": "shop"}).status_code == 422


def test_a_release_is_a_pause_that_hands_back_s9(client, service):
    client.post("/api/v1/release", json={"scope": "*", "by": "sam"})
    (pause,) = service.store.people.pauses(0.0)
    assert pause.release


def test_without_a_token_no_foreign_name_and_no_foreign_form_gets_in_s10(client):
    assert client.get("/api/v1/status", headers={"host": "evil.example.com"}).status_code == 403
    form = client.post("/api/v1/pauses", content="scope=*", headers={"content-type": "text/plain"})
    assert form.status_code == 415


def test_with_a_token_everything_but_what_the_login_needs_is_closed_s10(service):
    with serving(service, "hush") as client:
        assert client.get("/static/style.css").status_code == 200
        assert client.get("/").status_code == 401
        sent = client.get("/?a=b", headers={"Accept": "text/html"})
        assert (sent.status_code, sent.headers["location"]) == (303, "/login?next=%2F%3Fa%3Db")
        assert client.get("/api/v1/status").status_code == 401
        assert client.get("/api/v1/status", headers={"Authorization": "Bearer no"}).status_code == 401
        assert client.get("/api/v1/status", headers={"Authorization": "Bearer hush"}).status_code == 200


def test_a_remote_client_reads_page_after_page_and_sees_what_the_store_has(service):
    (known,) = service.decisions({"limit": 1})
    with service.store.engine.begin() as connection:
        row = dict(connection.execute(select(DECISIONS)).mappings().one())
        more = [{**row, "id": f"{number:026d}", "at": row["at"] - number // 3} for number in range(1, 1206)]
        connection.execute(insert(DECISIONS), more)
    with serving(service, "hush") as client:
        remote = RemoteService(str(client.base_url), "hush")
        found = remote.decisions({"limit": 1150, "policy": known["policy"]})
        assert [one["id"] for one in found] == [one["id"] for one in service.decisions({"limit": 1150})]
        assert len(remote.decisions({"limit": 5000})) == 1206
        assert remote.decisions({"limit": 10, "after": (found[4]["at"], found[4]["id"])}) == found[5:15]
        remote.close()


def test_what_waits_to_be_told_is_asked_of_a_daemon_as_of_the_store(service):
    row = {"route": "all/ops", "key": "action/a1", "group": "[]", "seq": 3, "at": 100.0, "severity": 3}
    row |= {"state": "begun", "told_at": None, "due_at": 130.0, "body": "{}"}
    service.store.notices.change([row], [], {"all/ops": 4}, None)
    with serving(service, "hush") as client:
        remote = RemoteService(str(client.base_url), "hush")
        told = {"route": "all/ops", "key": "action/a1", "at": 100.0, "state": "begun", "told_at": None}
        found = {"waiting": [{**told, "severity": "critical"}], "lost": {"all/ops": 4}}
        assert (remote.notices(), service.notices()) == (found, found)
        remote.close()


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda remote: remote.decision("NOPE"), NotFound),
        (lambda remote: remote.decisions({"reason": "NO SUCH"}), InvalidInput),
        (lambda remote: remote.answer("01J", {"approved": True, "reason": ""}), NotFound),
        (lambda remote: remote.pause({"scope": "shop", "reason": ""}), InvalidInput),
        (lambda remote: remote.whatif({"target": "shop/none", "replicas": 3}), NotFound),
        (lambda remote: remote.revoke_token("a/b", "sam"), NotFound),
    ],
)
def test_what_a_daemon_refuses_is_the_same_error_as_from_the_store(service, ask, error):
    with serving(service, "hush") as client:
        remote = RemoteService(str(client.base_url), "hush")
        with pytest.raises(error):
            ask(remote)
        remote.close()
