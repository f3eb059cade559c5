"""Fetching /metrics over real sockets: credentials, TLS, limits of time and size, and what targets do wrong (S10)."""

from __future__ import annotations

import base64
import gzip
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aiops.adapters.scrape.client import Client, ScrapeFailed
from aiops.adapters.scrape.options import Access, ScrapeOptions, Target
from aiops.adapters.scrape.scraper import Scraper
from tests.e2e.pki import Authority, Pair
from tests.unit.scraped import values

TEXT = b"a 1\n" * 1000


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[dict[str, str]]

    def do_GET(self) -> None:
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        getattr(self, self.path.strip("/"))()

    def plain(self) -> None:
        self.answer(TEXT)

    def packed(self) -> None:
        self.answer(gzip.compress(TEXT), **{"Content-Encoding": "gzip"})

    def bomb(self) -> None:
        self.answer(gzip.compress(b"\0" * 50_000_000), **{"Content-Encoding": "gzip"})

    def moved(self) -> None:
        self.send_response(302)
        self.send_header("Location", "http://169.254.169.254/latest")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def guarded(self) -> None:
        self.send_error(200 if self.seen[-1].get("authorization") == "Bearer now" else 401)

    def broken(self) -> None:
        self.send_error(500)

    def drips(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b"#")
            time.sleep(0.05)

    def hangs(self) -> None:
        time.sleep(1.0)

    def cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"a 1\n")
        self.close_connection = True

    def answer(self, body: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


class Server:
    """A node on loopback, over TLS with a pair."""

    def __init__(self, pair: Pair | None = None, authority: Authority | None = None) -> None:
        self.seen: list[dict[str, str]] = []
        handler = type("Seen", (Node,), {"seen": self.seen})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # who is cut off hears of it; nobody else needs to
        if pair is not None and authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.cert, pair.key)
            context.load_verify_locations(authority.pair.cert)
            context.verify_mode = ssl.CERT_OPTIONAL
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"{'http' if pair is None else 'https'}://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def target(self, path: str, **changes: object) -> Target:
        return replace(Target(job="node", url=f"{self.url}/{path}", timeout_s=2.0), **changes)  # type: ignore[arg-type]

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[Server]:
    made = Server(authority.issue("node", names=("node.example",)), authority)
    yield made
    made.close()


def fetched(target: Target) -> bytes:
    client = Client(target)
    try:
        return client.fetch().body
    finally:
        client.close()


@pytest.mark.parametrize("path", ["plain", "packed"])
def test_an_answer_is_read_whole_packed_or_not(plain, path):
    assert fetched(plain.target(path)) == TEXT
    assert plain.seen[-1]["x-prometheus-scrape-timeout-seconds"] == "2"
    assert plain.seen[-1]["accept"].startswith("text/plain;version=0.0.4")
    assert "authorization" not in plain.seen[-1]


@pytest.mark.parametrize(
    ("path", "changes", "why"),
    [
        ("bomb", {"max_bytes": 1_000_000}, "more than 1000000 bytes"),
        ("plain", {"max_bytes": 100}, "more than 100 bytes"),
        ("moved", {}, "redirects are not followed"),
        ("guarded", {}, r"refuses our credentials \(401\)"),
        ("broken", {}, "answers 500"),
        ("drips", {"timeout_s": 0.2}, "did not (end|answer) within 0.2 s"),
        ("hangs", {"timeout_s": 0.2}, "did not answer within 0.2 s"),
        ("cut", {}, "IncompleteRead|Connection broken"),
    ],
)
def test_what_is_wrong_is_said_within_the_time_that_it_may_take(plain, path, changes, why):
    began = time.monotonic()
    with pytest.raises(ScrapeFailed, match=why):
        fetched(plain.target(path, **changes))
    assert time.monotonic() - began < 10.0


def test_nobody_who_listens_is_told_from_one_who_is_slow():
    with pytest.raises(ScrapeFailed, match=r"cannot be reached: .*refused"):
        fetched(Target(job="node", url="http://127.0.0.1:1/metrics"))


def test_a_token_is_read_anew_and_a_missing_one_is_said(plain, tmp_path: Path):
    file = tmp_path / "token"
    target = plain.target("guarded", access=Access(bearer_token_file=file))
    with pytest.raises(ScrapeFailed, match=r"bearer_token_file .*cannot be used"):
        fetched(target)
    file.write_text("then\n")
    with pytest.raises(ScrapeFailed, match="401"):
        fetched(target)
    file.write_text("now\n")
    assert fetched(target)
    file.write_text("s3cret\nlines\n")
    with pytest.raises(ScrapeFailed, match="no header may have") as told:
        fetched(target)
    assert "s3cret" not in str(told.value), "a client quotes the header that it cannot send"


def test_a_password_may_have_any_letters(plain):
    fetched(plain.target("plain", access=Access(username="żółw", password="pä€")))
    shown = plain.seen[-1]["authorization"].removeprefix("Basic ")
    assert base64.b64decode(shown).decode() == "żółw:pä€"


def test_a_name_and_a_password_are_shown_and_appear_in_no_text(plain):
    target = plain.target("plain", access=Access(username="me", password="s3cret"))
    fetched(target)
    shown = plain.seen[-1]["authorization"].removeprefix("Basic ")
    assert base64.b64decode(shown) == b"me:s3cret"
    assert "s3cret" not in repr(target)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_tls_is_checked_against_the_authority_that_is_given(secure, authority):
    with pytest.raises(ScrapeFailed, match=r"TLS: .*CERTIFICATE_VERIFY_FAILED"):
        fetched(secure.target("plain"))
    assert fetched(secure.target("plain", access=Access(ca_file=authority.pair.cert))) == TEXT
    named = Access(ca_file=authority.pair.cert, server_name="node.example")
    assert fetched(secure.target("plain", access=named)) == TEXT
    with pytest.raises(ScrapeFailed, match="TLS"):
        fetched(secure.target("plain", access=replace(named, server_name="other.example")))
    assert fetched(secure.target("plain", access=Access(insecure_skip_verify=True))) == TEXT


def test_targets_are_scraped_on_time_and_one_that_hangs_delays_none(plain):
    targets = (
        plain.target("plain", job="well", interval_s=0.1, max_samples=2000),
        plain.target("hangs", job="hung", interval_s=0.1, timeout_s=0.9),
    )
    made = Scraper(ScrapeOptions(targets=targets), time.time)
    made.start()
    try:
        ends_at = time.monotonic() + 20.0
        count = 'sum by (job) (count_over_time(up{job="well"}[1m]))'
        while values(made.buffer, count, time.time() - 1_700_000_000).get("job=well", 0) < 5:
            assert time.monotonic() < ends_at
            time.sleep(0.05)
    finally:
        made.stop(5.0)
    assert [one.split(":")[0] for one in made.down()] == ["scrape hung http"]
