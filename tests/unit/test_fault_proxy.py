"""The proxy of the end-to-end tests: what each fault looks like to a client, and whether the server did the work."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import pytest

from tests.e2e.pki import Authority
from tests.e2e.proxy import (
    AfterStatus,
    Delay,
    Drop,
    FaultProxy,
    Hang,
    LoseAnswer,
    Rewrite,
    Rule,
    SlowAnswer,
    Status,
)
from tests.unit.proxied import Client, Server, eventually, in_background, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultProxy]:
    with FaultProxy(server.url) as made:
        yield made


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[Client]:
    with Client(proxy.port) as made:
        yield made


# -- without a fault -------------------------------------------------------------------------------------


def test_what_passes_is_unchanged_on_one_connection(server: Server, proxy: FaultProxy, client: Client) -> None:
    agent = "aiops/1 action/A1"
    headers = {"Authorization": "Bearer t", "User_Agent": agent, "Content_Type": "application/merge-patch"}
    first = client.ask("PATCH", "/item?fieldManager=aiops", '{"spec": {}}', **headers)
    assert first.read() == b'{"spec": {}}'
    second = client.ask()
    assert (second.status, second.read()) == (200, b'{"value": 1}')
    assert first.headers["X-Connection"] == second.headers["X-Connection"]
    what, sent, body = server.asked[0]
    assert (what, body) == ("PATCH /item?fieldManager=aiops", b'{"spec": {}}')
    assert [sent[name] for name in ("Authorization", "User-Agent", "Content-Type")] == list(headers.values())
    one = proxy.seen[0]
    assert (one.method, one.path, one.user_agent, one.fault) == ("PATCH", "/item", agent, "")


def test_a_body_in_chunks_arrives_whole(server: Server, client: Client) -> None:
    client.connection.request("POST", "/item", iter([b"ab", b"cd"]), encode_chunked=True)
    assert client.connection.getresponse().read() == b"abcd"
    assert server.asked[0][1]["Transfer-Encoding"] == "chunked"
    assert client.json() == {"value": 1}


def test_events_come_as_they_happen_and_a_client_that_leaves_ends_the_watch(server: Server, client: Client) -> None:
    answer = client.ask("GET", "/items?watch=true")
    for number in (1, 2):
        server.next_event.release()
        assert json.loads(answer.readline())["object"] == {"number": number}
    answer.close()
    client.connection.close()
    assert eventually(lambda: not _goes_on(server))


def _goes_on(server: Server) -> bool:
    server.next_event.release()
    return server.watchers > 0


def test_after_a_watch_the_connection_is_good_for_more(server: Server, client: Client) -> None:
    server.next_event.release(9)
    assert len(client.ask("GET", "/items?watch=true").read().splitlines()) == 9
    assert client.json() == {"value": 1}


def test_tls_ends_at_the_proxy_and_begins_anew(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, known = authority.issue("server"), authority.issue("daemon")
    server = Server()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.pair.cert))
    tls.load_cert_chain(pair.cert, pair.key)
    tls.verify_mode = ssl.CERT_REQUIRED
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    url = server.url.replace("http", "https")
    trusted = ssl.create_default_context(cafile=str(authority.pair.cert))
    made = FaultProxy(
        url, cert=pair.cert, key=pair.key, upstream_ca=authority.pair.cert, client=(known.cert, known.key)
    )
    with made as proxy:
        assert proxy.url == f"https://127.0.0.1:{proxy.port}"
        connection = HTTPSConnection("127.0.0.1", proxy.port, timeout=3, context=trusted)
        for _ in range(2):
            connection.request("GET", "/item")
            assert connection.getresponse().read() == b'{"value": 1}'
        proxy.cut_all()
        _, ended = in_background(lambda: connection.request("GET", "/item") or connection.getresponse())
        assert isinstance(eventually(lambda: ended)[0], (OSError, HTTPException))
        connection.close()
    server.shutdown()
    server.server_close()
    thread.join()


# -- answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"), [(409, "Conflict"), (410, "Expired"), (429, "TooManyRequests"), (503, "ServiceUnavailable")]
)
def test_a_status_is_answered_and_the_server_is_not_asked(
    server: Server, proxy: FaultProxy, client: Client, code: int, reason: str
) -> None:
    proxy.rules = [Rule(Status(code), times=1)]
    answer = client.ask()
    said = json.loads(answer.read())
    assert (answer.status, said["kind"], said["code"], said["reason"]) == (code, "Status", code, reason)
    assert answer.headers["Retry-After"] == ("1" if code == 429 else None)
    assert server.asked == []
    assert client.json() == {"value": 1}
    assert [one.fault for one in proxy.seen] == ["Status", ""]


def test_a_body_of_the_tests_own_is_answered(proxy: FaultProxy, client: Client) -> None:
    proxy.rules = [Rule(Status(200, {"Content-Type": "text/plain"}, "not JSON"))]
    answer = client.ask()
    assert (answer.read(), answer.headers["Content-Type"]) == (b"not JSON", "text/plain")


def test_after_the_work_is_done_the_client_is_told_that_it_failed(
    server: Server, proxy: FaultProxy, client: Client
) -> None:
    proxy.rules = [Rule(AfterStatus(504))]
    assert client.json("PATCH", "/item", "{}")["code"] == 504
    assert [what for what, _, _ in server.asked] == ["PATCH /item"]


def test_an_answer_is_rewritten(proxy: FaultProxy, client: Client) -> None:
    def nan(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return status + 1, headers, body.replace(b"1", b'"NaN"')

    proxy.rules = [Rule(Rewrite(nan))]
    answer = client.ask("GET", "/item", Accept_Encoding="gzip")
    assert (answer.status, json.loads(answer.read())) == (201, {"value": "NaN"})


# -- connections -----------------------------------------------------------------------------------------


def test_a_dropped_request_never_reaches_the_server(server: Server, proxy: FaultProxy, client: Client) -> None:
    proxy.rules = [Rule(Drop())]
    with pytest.raises(ConnectionResetError):
        client.ask("PATCH", "/item", "{}")
    assert server.asked == []


def test_a_lost_answer_is_of_work_that_was_done(server: Server, proxy: FaultProxy, client: Client) -> None:
    proxy.rules = [Rule(LoseAnswer())]
    with pytest.raises(ConnectionResetError):
        client.ask("PATCH", "/item", "{}")
    assert [what for what, _, _ in server.asked] == ["PATCH /item"]


def test_a_delayed_request_arrives_later(server: Server, proxy: FaultProxy, client: Client) -> None:
    proxy.rules = [Rule(Delay(0.15))]
    begun = time.monotonic()
    assert client.json() == {"value": 1}
    assert time.monotonic() - begun >= 0.15
    assert len(server.asked) == 1


def test_a_slow_answer_trickles(proxy: FaultProxy, client: Client) -> None:
    proxy.rules = [Rule(SlowAnswer(100))]
    begun = time.monotonic()
    assert client.ask("POST", "/item", "x" * 30).read() == b"x" * 30
    assert time.monotonic() - begun >= 0.2


def test_what_hangs_is_cut_when_it_heals(server: Server, proxy: FaultProxy, client: Client) -> None:
    hang = Hang()
    proxy.rules = [Rule(hang, times=1)]
    thread, ended = in_background(client.ask)
    assert hang.arrived.wait(3)
    thread.join(0.1)
    assert ended == []
    hang.heal()
    thread.join(3)
    assert isinstance(ended[0], ConnectionResetError)
    assert server.asked == []


def test_a_refused_connection_and_the_same_port_again(proxy: FaultProxy, client: Client) -> None:
    client.json()
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        Client(proxy.port)
    assert client.json() == {"value": 1}
    proxy.reopen()
    with Client(proxy.port) as again:
        assert again.json() == {"value": 1}


def test_every_connection_is_cut_at_once(server: Server, proxy: FaultProxy, client: Client) -> None:
    with Client(proxy.port) as watcher:
        answer = watcher.ask("GET", "/items?watch=true")
        server.next_event.release()
        answer.readline()
        client.json()
        proxy.cut_all()
        with pytest.raises(ConnectionResetError):
            answer.readline()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client.ask()
        answer.close()
    with Client(proxy.port) as again:
        assert again.json() == {"value": 1}


def test_a_partition_is_silence_and_what_was_held_goes_on(server: Server, proxy: FaultProxy, client: Client) -> None:
    client.json()
    proxy.partition()
    with pytest.raises(TimeoutError):
        Client(proxy.port, timeout_s=0.2)
    thread, ended = in_background(lambda: client.json("PATCH", "/item", "{}"))
    thread.join(0.1)
    assert (ended, len(server.asked)) == ([], 1)
    proxy.heal()
    thread.join(3)
    assert (ended, server.asked[1][0]) == ([{}], "PATCH /item")
    with Client(proxy.port) as again:
        assert again.json() == {"value": 1}


def test_a_partition_holds_the_answer_that_is_under_way(server: Server, proxy: FaultProxy, client: Client) -> None:
    answer = client.ask("GET", "/items?watch=true")
    server.next_event.release()
    answer.readline()
    proxy.partition()
    server.next_event.release()
    thread, ended = in_background(answer.readline)
    thread.join(0.1)
    assert ended == []
    proxy.heal()
    thread.join(3)
    assert json.loads(ended[0])["object"] == {"number": 2}
    answer.close()
