"""The page and the API over real sockets: slow, large, many, and a certificate that is renewed (S10)."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aiops.adapters.store import Store
from aiops.app.remote import RemoteService
from aiops.app.service import Service
from aiops.errors import CannotReach, ConfigurationError, NoPermission
from aiops.web.events import Broker
from aiops.web.locks.doors import Doors, fixed
from aiops.web.locks.patience import Patience
from aiops.web.locks.rates import Limits, Rates
from aiops.web.locks.shield import Bounds
from aiops.web.server import Serving, WebServer
from aiops.web.tls import Certificate

TOKEN = "a token of more than twenty letters"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
QUICK = Serving(bounds=Bounds(body_s=0.5, send_s=0.5), patience=Patience(head_s=0.5, per_address=20))


@pytest.fixture
def service(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    yield Service(store)
    store.close()


@contextmanager
def running(service: Service, serving: Serving = QUICK, doors: Doors | None = None) -> Iterator[int]:
    server = WebServer(service, ("127.0.0.1", 0), doors or fixed(TOKEN), serving)
    server.start()
    yield server.port
    server.stop(5)


def ended_within(one: socket.socket, seconds: float) -> bool:
    """Return whether the other side ends a connection in time."""
    one.settimeout(seconds)
    try:
        while one.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def connected(port: int, sent: bytes = b"") -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), timeout=5)
    one.sendall(sent)
    return one


GET = b"GET /api/v1/status HTTP/1.1\r\n"
HOST = b"Host: 127.0.0.1\r\n"
HEAD = b"POST /api/v1/pauses HTTP/1.1\r\nHost: 127.0.0.1\r\n"
MEANT = HEAD + f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n".encode()


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: b", MEANT + b"Content-Length: 50\r\n\r\n{"],
    ids=["nothing", "a letter", "half a head", "half a body"],
)
def test_who_says_nothing_more_is_not_waited_for_s10(service, sent):
    """Slowloris."""
    with running(service) as port, connected(port, sent) as slow:
        assert ended_within(slow, 4.0)
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/status", headers=AUTH).status_code == 200


def test_who_drips_a_head_byte_by_byte_has_no_more_time_than_others_s10(service):
    with running(service) as port, connected(port, b"GET / HTTP/1.1\r\n") as slow:
        started, gone = time.monotonic(), False
        while time.monotonic() - started < 5 and not gone:
            try:
                slow.sendall(b"X-a: b\r\n")
                slow.settimeout(0.1)
                gone = slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                gone = True
        assert gone


def test_after_an_answer_the_next_head_has_its_time_too_s10(service):
    with running(service) as port:
        asked = (
            b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n" + f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        with connected(port, asked) as slow:
            assert slow.recv(12) == b"HTTP/1.1 200"
            slow.sendall(b"GET /api")
            assert ended_within(slow, 4.0)


def test_a_body_that_is_late_is_answered_so(service):
    with running(service) as port, connected(port, MEANT + b"Content-Length: 50\r\n\r\n{") as slow:
        slow.settimeout(4)
        answer = slow.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_neither_read_nor_kept_s10(service, chunked):
    with running(service) as port:
        body = b" " * (2 << 20)
        with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            answer = httpx.post(
                f"http://127.0.0.1:{port}/api/v1/pauses",
                content=iter([body[: 1 << 16]] * 40) if chunked else body,
                headers=AUTH | {"Content-Type": "application/json"},
            )
            assert (answer.status_code, answer.headers["connection"]) == (413, "close")


def test_a_stranger_s_body_is_not_read_at_all_s10(service):
    with running(service) as port, connected(port, HEAD + b"Content-Length: 1000000000\r\n\r\n") as one:
        one.settimeout(4)
        assert one.recv(12) == b"HTTP/1.1 401"
        assert ended_within(one, 4.0)


def test_an_address_has_so_many_connections_and_others_are_still_served_s10(service):
    with running(service) as port:
        held = [connected(port, b"GET") for _ in range(30)]
        with contextlib.closing(socket.socket()) as other:
            other.bind(("127.0.0.2", 0))
            other.connect(("127.0.0.1", port))
            other.sendall(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert other.recv(12) == b"HTTP/1.1 200"
        assert sum(ended_within(one, 0.05) for one in held) >= 10
        for one in held:
            one.close()


STRANGE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "nothing": b"\r\n\r\n\r\n",
    "no UTF-8": b"GET /%ff%fe%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "upwards": b"GET /../../../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n",
    "less than nothing": b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET,
}


@pytest.mark.parametrize("sent", STRANGE.values(), ids=STRANGE.keys())
def test_what_is_no_http_is_refused_and_the_next_one_is_served(service, sent):
    with running(service) as port, connected(port, sent) as strange:
        strange.settimeout(3)
        with contextlib.suppress(OSError):
            assert b"200 OK" not in strange.recv(4096).partition(b"\r\n")[0]
        assert httpx.get(f"http://127.0.0.1:{port}/api/v1/status", headers=AUTH).status_code == 200


def test_a_body_of_two_lengths_is_refused_with_all_that_follows_it(service):
    """What stands before the daemon may have gone by the other length: to it what follows is a part of this body."""
    two = b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 64\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with running(service) as port, connected(port, two + b"GET /login HTTP/1.1\r\n" + HOST + b"\r\n") as strange:
        strange.settimeout(3)
        heard = b"".join(iter(lambda: strange.recv(65536), b""))
    assert heard.startswith(b"HTTP/1.1 400")
    assert heard.count(b"HTTP/1.1 ") == 1, heard


def test_a_head_that_is_too_long_is_refused(service):
    with running(service) as port, connected(port, b"GET / HTTP/1.1\r\n" + b"X-a: " + b"b" * 100_000) as one:
        assert ended_within(one, 3.0)


OUTWARDS = (
    "/static/../../app/settings.py",
    "/static/..%2f..%2fapp%2fsettings.py",
    "/static//etc/passwd",
    "/static/%2e%2e/%2e%2e/errors.py",
    "/static/....//x",
    "/static/..\\..\\errors.py",
)


@pytest.mark.parametrize("path", OUTWARDS)
def test_no_path_leads_out_of_the_folder_of_assets(service, path):
    with running(service) as port, connected(port) as one:
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: one.recv(65536), b""))
        assert answer.split()[1] in (b"404", b"401")
        assert b"root:" not in answer


def test_every_answer_has_the_headers_that_keep_a_browser_in_order(service):
    with running(service) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [
            client.get("/login"),
            client.get("/static/style.css"),
            client.get("/api/v1/status"),
            client.get("/api/v1/status", headers=AUTH),
            client.get("/api/v1/nothing", headers=AUTH),
            client.post("/api/v1/pauses", content=b"{", headers=AUTH | {"Content-Type": "application/json"}),
            client.get("/", headers={"Host": "evil.example", "Accept": "text/html"}),
        ]
    for one in answers:
        sources = [part.split() for part in one.headers["content-security-policy"].split("; ")]
        assert sources[0] == ["default-src", "'none'"]
        assert [(name, own) for name, own, _ in sources[1:3]] == [("script-src", "'self'"), ("style-src", "'self'")]
        assert "unsafe" not in one.headers["content-security-policy"]
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["x-frame-options"] == "DENY"
        assert one.headers["referrer-policy"] == "same-origin"
        assert "server" not in one.headers


# -- a bug -------------------------------------------------------------------------------------------------------------


def test_a_bug_is_a_problem_without_its_details_and_goes_to_the_log(service, caplog):
    def broken() -> dict:
        raise RuntimeError("the password is hunter2")

    service.status = broken
    with running(service) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/status", headers=AUTH)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "hunter2" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "hunter2" in caplog.text


# -- TLS ---------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "tls.crt", folder / "tls.key"
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return cert_file, key_file


def shown(port: int) -> str:
    """Return the name in the certificate that is shown."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    return x509.load_pem_x509_certificate(pem.encode()).subject.rfc4514_string()


def test_a_renewed_certificate_is_taken_without_a_restart_and_half_a_one_is_not(service, tmp_path):
    files = certificate(tmp_path, "first")
    tls = Certificate(cert_file=files[0], key_file=files[1])
    doors = replace(fixed(TOKEN), secure=True)
    with running(service, replace(QUICK, certificate=tls), doors) as port:
        assert shown(port) == "CN=first"
        context = ssl.create_default_context(cafile=str(files[0]))
        answer = httpx.get(f"https://localhost:{port}/api/v1/status", headers=AUTH, verify=context)
        assert (answer.status_code, answer.headers["strict-transport-security"]) == (200, "max-age=31536000")
        files[0].write_text("half of a cert")
        assert tls.renew() is False
        assert shown(port) == "CN=first"
        certificate(tmp_path, "second")
        assert tls.renew() is True
        assert shown(port) == "CN=second"
        assert tls.context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_certificate_that_cannot_be_used_ends_the_start(tmp_path):
    cert_file, key_file = certificate(tmp_path, "first")
    key_file.write_text("no key")
    with pytest.raises(ConfigurationError, match=r"web\.tls: the certificate cannot be used"):
        Certificate(cert_file=cert_file, key_file=key_file)


# -- live --------------------------------------------------------------------------------------------------------------


def test_what_happens_is_told_to_who_reads_live_and_goes_on_where_it_ended(service):
    serving = replace(QUICK, bounds=Bounds(), broker=Broker())
    with running(service, serving) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=AUTH) as client:
        serving.broker.publish("tick", {"n": 0})
        with client.stream("GET", "/api/v1/events") as live:
            assert live.headers["content-type"].startswith("text/event-stream")
            lines = live.iter_lines()
            assert next(lines) == "retry: 2000"
            threading.Timer(0.1, lambda: serving.broker.publish("tick", {"n": 1})).start()
            told = [next(lines) for _ in range(4)]
        assert told[1:] == [f"id: {serving.broker.boot}-2", "event: tick", 'data: {"n":1}']
        serving.broker.publish("pause", {"n": 2})
        with client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": f"{serving.broker.boot}-2"}) as live:
            lines = live.iter_lines()
            assert [next(lines) for _ in range(5)][2:] == [
                f"id: {serving.broker.boot}-3", "event: pause", 'data: {"n":2}',
            ]  # fmt: skip


def tells_until(heard: threading.Event, broker: Broker) -> None:
    """Tell of the same pause again and again: who follows hears what is told after it has begun to."""
    while not heard.wait(0.1):
        broker.publish("pause", {"did": "begun", "scope": "shop"})


def test_the_command_line_follows_a_daemon_and_is_told_when_it_is_not_let_in(service):
    serving = replace(QUICK, bounds=Bounds(), broker=Broker())
    with running(service, serving) as port:
        heard = threading.Event()
        telling = threading.Thread(target=tells_until, args=(heard, serving.broker))
        telling.start()
        known, unknown = (RemoteService(f"http://127.0.0.1:{port}", token) for token in (TOKEN, "wrong"))
        following = known.follow()
        assert next(following) == ("pause", {"did": "begun", "scope": "shop"})
        heard.set()
        telling.join()
        following.close()
        with pytest.raises(NoPermission, match="not valid"):
            next(unknown.follow())
    with pytest.raises(CannotReach):
        next(known.follow())
    known.close()
    unknown.close()


@pytest.mark.parametrize(("proxies", "statuses"), [((), [401, 401, 429, 429]), (("127.0.0.0/8",), [401] * 4)])
def test_an_address_is_what_connects_unless_a_proxy_is_trusted_to_say_another(service, proxies, statuses):
    """Who guesses does not become another by a header."""
    doors = replace(fixed(TOKEN), rates=Rates(Limits(failed=2)))
    with running(service, replace(QUICK, proxies=proxies), doors) as port:
        tried = [
            httpx.get(
                f"http://127.0.0.1:{port}/api/v1/status",
                headers={"Authorization": "Bearer wrong", "X-Forwarded-For": f"192.0.2.{number}"},
            ).status_code
            for number in range(4)
        ]
    assert tried == statuses
