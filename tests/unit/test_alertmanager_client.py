"""Asking an Alertmanager: credentials, limits, and errors in our words; one that misbehaves ends no thread."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aiops.adapters.alertmanager import Alertmanager, AlertmanagerOptions, Form, IncidentSender
from aiops.app.alertmanager import clients, ties, webhook_token
from aiops.app.alertmanager_settings import AlertmanagerSettings
from aiops.errors import ConfigurationError, SourceUnavailable
from tests.unit.test_alertmanager_outbox import ONE


class Server:
    """Answers what a test says, and remembers what was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"[]", {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.answer()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.asked.append((self.command, self.path, dict(self.headers), body))
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def asking(server: Server, **options: object) -> Alertmanager:
    return Alertmanager(AlertmanagerOptions(url=f"{server.url}/am/", timeout_s=2.0, **options))


def test_alerts_are_posted_under_the_path_of_the_url_with_the_token_of_the_moment(server, tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    client = asking(server, bearer_token_file=token, headers={"X-Scope-OrgID": "team-a"})
    client.send([{"labels": {"alertname": "A"}}])
    token.write_text("second")
    client.send([])
    (method, path, headers, body), (_, _, again, _) = server.asked
    assert (method, path, body) == ("POST", "/am/api/v2/alerts", b'[{"labels":{"alertname":"A"}}]')
    assert (headers["Authorization"], again["Authorization"]) == ("Bearer first", "Bearer second")
    assert (headers["X-Scope-OrgID"], headers["Content-Type"]) == ("team-a", "application/json")


def test_a_password_is_sent_and_no_secret_is_shown(server):
    options = AlertmanagerOptions(url=server.url, username="u", password="secret", bearer_token="hidden")
    assert "secret" not in repr(options)
    assert "hidden" not in repr(options)
    asking(server, username="u", password="secret").silences()
    assert server.asked[0][2]["Authorization"].startswith("Basic ")


def test_a_password_in_the_address_is_sent_and_told_nobody(server):
    there = server.url.replace("://", "://ann:pa%40ss@")
    client = Alertmanager(AlertmanagerOptions(url=there, timeout_s=2.0))
    server.status = 500
    with pytest.raises(SourceUnavailable) as told:
        client.silences()
    assert base64.b64decode(server.asked[0][2]["Authorization"].removeprefix("Basic ")) == b"ann:pa@ss"
    assert client.url == server.url, "it is a metric's label, which anybody may read"
    assert "pa" not in str(told.value).removeprefix(server.url)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"broken", r"refuses silences \(500 broken\)"),
        (401, b"", r"refuses silences \(401 \)"),
        (302, b"", r"refuses silences \(302 \)"),
        (200, b"<html>", "the silences are no JSON: is that an Alertmanager?"),
        (200, b"{}", "the silences are no list"),
    ],
)
def test_an_answer_that_is_none_is_said(server, status, body, said):
    server.status, server.body = status, body
    with pytest.raises(SourceUnavailable, match=said):
        asking(server).silences()


def test_an_answer_that_is_too_large_is_not_read(server):
    server.body = b"[" + b" " * 200_000 + b"]"
    with pytest.raises(SourceUnavailable, match="larger than 100000 bytes"):
        asking(server, max_bytes=100_000).silences()


def test_a_token_that_is_gone_is_a_failure_of_the_moment(server, tmp_path):
    token = tmp_path / "token"
    token.write_text("t")
    client = asking(server, bearer_token_file=token)
    token.unlink()
    with pytest.raises(SourceUnavailable, match="bearer_token_file"):
        client.silences()
    with pytest.raises(ConfigurationError, match=r"cert_file and alertmanager\.key_file belong together"):
        AlertmanagerOptions(url=server.url, cert_file=tmp_path)
    with pytest.raises(ConfigurationError, match="there is no file"):
        AlertmanagerOptions(url=server.url, bearer_token_file=token)


def test_a_sender_tells_everything_before_it_stops_and_waits_for_nobody_who_is_away(server):
    sender = IncidentSender(asking(server), Form(), time.time)
    sender.start()
    sender.note([ONE, replace(ONE, id="01TWO")])
    sender.stop(5.0)
    assert sender.sent == 2
    server.status = 503
    failing = IncidentSender(asking(server), Form(), time.time)
    failing.start()
    failing.note([ONE])
    began = time.monotonic()
    failing.stop(5.0)
    assert time.monotonic() - began < 4.0
    assert (failing.sent, failing.failures) == (0, 1)


def test_the_settings_make_a_client_for_each_member_and_nothing_for_a_virtual_world(server):
    settings = AlertmanagerSettings(urls=(server.url, "http://127.0.0.1:1"), username="u", password="p")
    assert [one.url for one in clients(settings)] == [server.url, "http://127.0.0.1:1"]
    tied = ties(settings, virtual=False)
    assert (len(tied.senders), tied.watch is not None) == (2, True)
    tied.start()
    tied.note([ONE])
    tied.stop(4.0)
    assert any("cannot be reached" in why for why in tied.unwell())
    for none in (ties(settings, virtual=True), ties(AlertmanagerSettings(), virtual=False)):
        assert (none.senders, none.watch, none.unwell()) == ((), None, [])
    off = settings.model_copy(update={"silences": settings.silences.model_copy(update={"enabled": False})})
    assert ties(off, virtual=False).watch is None


def test_a_token_file_of_the_webhook_that_says_nothing_is_refused(tmp_path: Path):
    file = tmp_path / "token"
    settings = AlertmanagerSettings(webhook={"token_file": str(file)})
    with pytest.raises(ConfigurationError, match=r"webhook.token_file: .* cannot be read"):
        webhook_token(settings)
    file.write_text("  \n")
    with pytest.raises(ConfigurationError, match="is empty"):
        webhook_token(settings)
    file.write_text("t\n")
    assert (webhook_token(settings), webhook_token(AlertmanagerSettings())) == ("t", "")
