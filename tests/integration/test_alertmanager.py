"""Debian's Alertmanager and the daemon's API: alerts come in, incidents go out, silences hold."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from jsonschema import Draft202012Validator

from aiops.adapters.alertmanager import OWN, Alertmanager, AlertmanagerOptions, Form, IncidentSender, SilenceWatch
from aiops.adapters.store import Store
from aiops.app.service import Service
from aiops.core.model import IncidentState
from aiops.errors import SourceUnavailable
from aiops.web.locks.doors import fixed
from aiops.web.server import WebServer
from tests.integration.alertmanager_server import running_alertmanager
from tests.integration.prometheus_server import free_port
from tests.unit.test_alertmanager_outbox import ONE
from tests.unit.test_alertmanager_webhook import MESSAGE

TOKEN = "tells-alerts-only"
WITHIN_S = 20.0


def eventually(seen: Callable[[], object]) -> object:
    """Return what is seen once it is something; fail after a while."""
    until = time.monotonic() + WITHIN_S
    while not (found := seen()):
        assert time.monotonic() < until, "it was not seen in time"
        time.sleep(0.1)
    return found


@pytest.fixture
def store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    yield store
    store.close()


@pytest.fixture
def api(store):
    """The API with a token of its own for the webhook."""
    server = WebServer(Service(store), ("127.0.0.1", 0), fixed("", TOKEN))
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop(5)


@pytest.fixture
def alertmanager(tmp_path, api):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with running_alertmanager(tmp_path, f"{api}/api/v1/alerts", token) as url:
        yield url


def client(url: str) -> Alertmanager:
    return Alertmanager(AlertmanagerOptions(url=url))


def alert(**labels: str) -> dict:
    now = datetime.now(UTC)
    return {"labels": labels, "startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=5)).isoformat()}


def names(store: Store) -> list[str]:
    return [one.name for one in store.alerts.firing(0.0)]


def test_an_alert_that_fires_there_is_known_here_until_it_is_resolved(alertmanager, store):
    sender = client(alertmanager)
    fired = alert(alertname="NodeDown", node="n1")
    sender.send([fired])
    eventually(lambda: names(store) == ["NodeDown"])
    (known,) = store.alerts.firing(0.0)
    assert (known.labels["node"], len(known.fingerprint)) == ("n1", 16)
    sender.send([{**fired, "endsAt": datetime.now(UTC).isoformat()}])
    eventually(lambda: not names(store))
    sender.close()


def test_incidents_are_alerts_there_and_do_not_come_back_as_alerts_here(alertmanager, store):
    sender = IncidentSender(client(alertmanager), Form(refresh_s=1.0), time.time)
    now = time.time()
    incident = replace(ONE, since=now - 60, seen_at=now)
    sender.start()
    sender.note([incident])
    listed = eventually(lambda: httpx.get(f"{alertmanager}/api/v2/alerts").json())
    assert [(one["labels"][OWN], one["status"]["state"]) for one in listed] == [("01ONE", "active")]
    assert listed[0]["annotations"]["see"] == "aiops incidents show 01ONE"
    sender.note([replace(incident, state=IncidentState.ENDED, seen_at=now)])
    eventually(lambda: not httpx.get(f"{alertmanager}/api/v2/alerts").json())
    sender.stop(5)
    assert (sender.failures, sender.failing) == (0, "")
    assert store.alerts.newest() == ()


def test_an_alertmanager_that_is_away_holds_nobody_up_and_is_told_when_it_is_back(tmp_path, api):
    port = free_port()
    away = IncidentSender(client(f"http://127.0.0.1:{port}"), Form(), time.time)
    away.start()
    began = time.monotonic()
    away.note([ONE])
    assert time.monotonic() - began < 0.1
    eventually(lambda: away.failures)
    assert "cannot be reached" in away.failing
    away.stop(5)


def test_silences_are_read_with_their_matchers(alertmanager):
    command = ["amtool", f"--alertmanager.url={alertmanager}", "silence", "add", "--author=ann", "--comment=migration"]
    subprocess.run([*command, "namespace=shop", "service=~check.*", "team!=pay"], check=True, capture_output=True)
    watch = SilenceWatch([client(alertmanager)], 0.2)
    watch.start()
    (one,) = eventually(lambda: watch.active(time.time()))
    assert sorted(map(str, one.matchers)) == ['namespace="shop"', 'service=~"check.*"', 'team!="pay"']
    assert (one.by, one.comment) == ("ann", "migration")
    expire = ["amtool", f"--alertmanager.url={alertmanager}", "silence", "expire", one.id]
    subprocess.run(expire, check=True, capture_output=True)
    eventually(lambda: not watch.active(time.time()))
    watch.stop(5)


def test_what_is_no_alertmanager_is_said(api):
    with pytest.raises(SourceUnavailable, match="refuses silences \\(404"):
        client(api).silences()


# -- the webhook by hand -----------------------------------------------------------------------------------


def post(api: str, token: str = TOKEN, **how: object) -> httpx.Response:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    return httpx.post(f"{api}/api/v1/alerts", headers=headers, **how)


def test_the_webhook_takes_its_own_token_and_that_token_takes_nothing_else_s10(api, store):
    assert post(api, json=MESSAGE).json() == {"new": 1, "again": 0, "resolved": 0}
    assert post(api, json=MESSAGE).json() == {"new": 0, "again": 1, "resolved": 0}
    assert [one["name"] for one in httpx.get(f"{api}/api/v1/alerts").json()["alerts"]] == ["HighLatency"]
    for token in ("", "wrong"):
        assert post(api, token, json=MESSAGE).status_code == 401


@pytest.mark.parametrize(
    ("field", "given", "taken"),
    [("fingerprint", None, True), ("endsAt", None, True), ("fingerprint", 7, False), ("startsAt", None, False)],
)
def test_the_document_and_the_webhook_take_the_same(api, field, given, taken):
    operation = httpx.get(f"{api}/api/v1/openapi.json").json()["paths"]["/api/v1/alerts"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    message = {**MESSAGE, "alerts": [{**MESSAGE["alerts"][0], field: given}]}
    assert Draft202012Validator(schema).is_valid(message) is taken
    assert post(api, json=message).is_success is taken


def test_behind_a_token_for_everything_both_may_tell_alerts_and_only_one_may_pause_s10(store):
    server = WebServer(Service(store), ("127.0.0.1", 0), fixed("everything", TOKEN))
    server.start()
    api = f"http://127.0.0.1:{server.port}"
    assert [post(api, token, json=MESSAGE).status_code for token in (TOKEN, "everything", "")] == [200, 200, 401]
    wish = {"scope": "*", "reason": "x", "by": "x"}
    tries = [
        httpx.post(f"{api}/api/v1/pauses", json=wish, headers={"Authorization": f"Bearer {token}"}).status_code
        for token in (TOKEN, "everything")
    ]
    assert tries == [403, 201]
    assert httpx.get(f"{api}/api/v1/alerts", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 403
    server.stop(5)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "the message is no JSON"),
        (b"[" * 100_000, 400, "the message is no JSON"),
        (b"", 400, "the message is no JSON"),
        (b"\xff\xfe", 400, "the message is no JSON"),
        (b"[]", 400, "the message is no JSON object"),
        (b'{"version": "4", "alerts": [{"status": "firing"}]}', 400, "alerts[0].labels"),
        (b" " * (1 << 20) + b"{}", 413, "at most 1048576 bytes"),
    ],
)  # fmt: skip
def test_a_message_that_is_none_is_refused_with_the_reason(api, store, body, status, said):
    answer = post(api, content=body)
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
    assert store.alerts.newest() == ()


def test_an_endless_message_is_cut_off(api):
    sent = []

    def endless():
        while True:
            sent.append(1 << 16)
            yield b" " * sent[-1]

    with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        assert post(api, content=endless()).status_code == 413
    assert sum(sent) < 64 << 20
    assert post(api, json=MESSAGE).status_code == 200, "and the next one is heard"
