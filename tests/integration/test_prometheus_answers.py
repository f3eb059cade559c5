"""What the Prometheus adapter makes of answers good and bad."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
from aiops.adapters.prometheus.asking import HttpAsker
from aiops.core.model import Answered, Failed, NoSeries
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.errors import ConfigurationError, SourceUnavailable

NOW = 1_772_450_000.0
SIGNAL = SignalQuery(policy="P", name="demand", expr="sum(x)", age_exprs=("max(timestamp(x))",), coverage_exprs=())
WATCH = WatchQuery(policy="W", expr="y", identity=("pod",), max_series=3)


def vector(*series: tuple[dict[str, str], float | str], **more: object) -> bytes:
    result = [{"metric": metric, "value": [NOW, str(value)]} for metric, value in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}, **more}).encode()


@dataclass
class Script:
    """Answers by the beginning of a query, in order, the last one again and again."""

    answers: dict[str, list[tuple[int, bytes, dict[str, str]]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)
    ahead_s: float = 0.0
    every_s: float = 0.0

    def say(self, query: str, *answers: object) -> None:
        made = []
        for one in answers:
            status, body, headers = one if isinstance(one, tuple) else (200, one, {})
            made.append((status, body, {"Content-Type": "application/json", **headers}))
        self.answers[query] = made


@contextmanager
def serving(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            query = (parse_qs(form) or parse_qs(urlsplit(self.path).query)).get("query", [""])[0]
            script.asked.append((query, {name.lower(): value for name, value in self.headers.items()}))
            known = next((key for key in script.answers if query.startswith(key)), None)
            if known is None:
                return self.answer(200, vector(), {"Content-Type": "application/json"})
            left = script.answers[known]
            status, body, headers = left.pop(0) if len(left) > 1 else left[0]
            if body == b"hang":
                script.hang.wait(5)
            return self.answer(status, body, headers)

        def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for start in range(0, len(body), 10) if script.every_s else ():
                self.wfile.write(body[start : start + 10])
                script.hang.wait(script.every_s)
            if not script.every_s:
                self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(NOW + script.ahead_s, usegmt=True)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    script.hang.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def read(script):
    with serving(script) as url:
        sources = []

        def ask(signals=(SIGNAL,), watches=(), **options):
            settings = {"url": url, "timeout_s": 2.0, "backoff_s": 0.01, **options}
            if not sources:
                sources.append(PrometheusSource(PrometheusOptions(**settings)))
            return sources[0].read(signals, watches, NOW)

        yield ask
        for source in sources:
            source.close()


def age(seconds: float) -> bytes:
    return vector(({"aiops_companion": "age0"}, NOW - seconds))


def demand(observation):
    return observation.answers["P"]["demand"]


def test_a_value_comes_with_its_age_by_the_companion_query_s1(script, read):
    script.say("sum(x)", vector(({}, 390.5)))
    script.say("label_replace", age(12.0))
    assert demand(read()) == Answered(
        value=390.5, newest_at=NOW - 12.0, coverage=demand(read()).coverage, presence=None, warnings=()
    )


def test_without_an_age_the_age_is_unknown_s1(script, read):
    script.say("sum(x)", vector(({}, 1.0)))
    assert demand(read()).newest_at is None


def test_nothing_nan_and_several_series_are_told_apart_s1(script, read):
    assert isinstance(demand(read()), NoSeries)
    script.say("sum(x)", vector(({}, "NaN")))
    assert math.isnan(demand(read()).value)
    script.say("sum(x)", vector(({"a": "1"}, 1.0), ({"a": "2"}, 2.0)))
    assert "wrap the query" in demand(read()).error


def test_warnings_travel_with_the_answer_s1(script, read):
    script.say("sum(x)", vector(({}, 1.0), warnings=["one store did not answer"]))
    assert demand(read()).warnings == ("one store did not answer",)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html>log in</html>", {"Content-Type": "text/html"}), "answers text/html, not JSON"),
        ((401, b"no", {}), "check prometheus.bearer_token"),
        ((403, b"no", {}), "check the tenant header"),
        ((404, b"no", {}), "check the path prefix"),
        ((422, json.dumps({"status": "error", "error": "bad function"}).encode(), {}), "422: bad function"),
        ((302, b"", {"Location": "http://login.example.com"}), "redirects to http://login.example.com"),
        ((200, b'{"status": "succ', {}), "cut off"),
        ((200, b"", {}), "cut off or no JSON"),
        ((200, b"[1]", {}), "refuses the query"),
        ((200, b"x" * 9000, {}), "larger than 8000 bytes"),
        ((500, b"oh", {}), "fails (500) (3 tries)"),
        ((429, b"oh", {}), "is asked too much (429) (3 tries)"),
    ],
)
def test_a_bad_answer_is_said_in_a_sentence_and_fails_alone_s10(script, read, answer, said):
    script.say("sum(x)", answer)
    found = demand(read(max_bytes=8000))
    assert isinstance(found, Failed)
    assert said in found.error


def test_what_may_pass_is_tried_again_s10(script, read):
    script.say("sum(x)", (503, b"busy", {}), (429, b"slow", {"Retry-After": "0"}), vector(({}, 7.0)))
    assert demand(read()).value == 7.0
    assert [query for query, _ in script.asked].count("sum(x)") == 3


def test_a_source_that_hangs_costs_its_time_out_and_no_more_s10(script, read):
    script.say("sum(x)", b"hang")
    assert "did not answer within 0.3 s" in demand(read(timeout_s=0.3)).error


def test_a_body_that_trickles_costs_its_time_out_and_no_more_s10(script, read):
    script.say("sum(x)", vector(({}, 1.0)) + b" " * 200)
    script.every_s = 0.1
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match="did not end within"):
        read(timeout_s=0.5, retries=0)
    assert time.monotonic() - began < 3.0


@pytest.mark.parametrize(("ahead_s", "age_s"), [(0.0, 12.0), (3.0, 12.0), (60.0, 72.0), (-3600.0, 12.0)])
def test_an_answer_of_a_past_instant_is_as_old_as_that_is_s1(script, read, ahead_s, age_s):
    """Our clock was stepped back: Prometheus answers for the instant that it is asked for, and knows better."""
    script.say("sum(x)", vector(({}, 390.5)))
    script.say("label_replace", age(12.0))
    script.ahead_s = ahead_s
    assert demand(read()).newest_at == pytest.approx(NOW - age_s, abs=1.5)


def test_a_source_that_is_not_there_is_unavailable():
    source = PrometheusSource(PrometheusOptions(url="http://127.0.0.1:9", retries=0))
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        source.read((SIGNAL,), (), NOW)
    source.close()


def test_credentials_and_tenants_are_sent_and_a_renewed_token_is_taken(script, read, tmp_path):
    token = tmp_path / "token"
    token.write_text("one")
    read(bearer_token_file=token, headers={"X-Scope-OrgID": "team-a"})
    token.write_text("two")
    read()
    seen = [(headers["authorization"], headers["x-scope-orgid"]) for _, headers in script.asked]
    assert seen[0] == ("Bearer one", "team-a")
    assert seen[-1] == ("Bearer two", "team-a")


def test_a_token_that_cannot_be_sent_holds_and_is_told_nobody_s10(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\nlines")
    source = PrometheusSource(PrometheusOptions(url="http://127.0.0.1:9", retries=0, bearer_token_file=token))
    for held in ("no header may have", "No such file"):
        with pytest.raises(SourceUnavailable, match=held) as told:
            source.read((SIGNAL,), (), NOW)
        assert "s3cret" not in str(told.value)
        token.unlink(missing_ok=True)
    source.close()
    for settings in ({"bearer_token": "s3cret\nlines"}, {"headers": {"X-Scope-OrgID": "s3cret\nlines"}}):
        with pytest.raises(ConfigurationError, match="no header may have") as told:
            PrometheusOptions(url="http://x", **settings)
        assert "s3cret" not in str(told.value)


def test_basic_credentials_are_sent(script, read):
    read(username="sam", password="hush")
    assert script.asked[0][1]["authorization"].startswith("Basic ")


def test_a_password_in_the_address_is_sent_and_told_nobody_s10():
    options = PrometheusOptions(url="http://sam:hu%3Ash@127.0.0.1:9/prom", retries=0)
    assert (options.url, options.username, options.password) == ("http://127.0.0.1:9/prom", "sam", "hu:sh")
    source = PrometheusSource(options)
    with pytest.raises(SourceUnavailable, match=r"^http://127\.0\.0\.1:9/prom cannot be reached") as told:
        source.read((SIGNAL,), (), NOW)
    source.close()
    assert "sh@" not in str(told.value)
    own = PrometheusOptions(url="http://sam:in-url@127.0.0.1:9", username="kim", password="own")
    assert (own.username, own.password) == ("kim", "own"), "what the settings say counts"


def test_secrets_are_not_shown_and_missing_files_are_named_s10(tmp_path):
    assert "hush" not in repr(PrometheusOptions(url="http://x", bearer_token="hush", password="hush"))
    with pytest.raises(ConfigurationError, match="ca_file"):
        PrometheusOptions(url="http://x", ca_file=tmp_path / "nowhere")


def test_a_watched_series_keeps_its_row_while_it_is_away(script, read):
    script.say("y", vector(({"pod": "a"}, 1.0), ({"pod": "b"}, 2.0)), vector(({"pod": "b"}, 3.0)))
    first, second = read((), (WATCH,)).frame, read((), (WATCH,)).frame
    assert first.index is second.index
    assert first.index.keys == ("W#pod=a", "W#pod=b")
    np.testing.assert_array_equal(second.values, [np.nan, 3.0])
    assert second.learn.all()


def test_a_read_between_two_turns_that_asks_for_no_watch_forgets_none_of_their_rows_s1(script, read):
    script.say("y", vector(({"pod": "a"}, 1.0), ({"pod": "b"}, 2.0)), vector(({"pod": "b"}, 3.0)))
    script.say("sum(x)", vector(({}, 1.0)))
    first = read((), (WATCH,)).frame
    between = read((SIGNAL,), ())
    assert (demand(between).value, len(between.frame.index)) == (1.0, 0)
    second = read((), (WATCH,)).frame
    assert second.index is first.index
    np.testing.assert_array_equal(second.values, [np.nan, 3.0])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (vector(({"pod": "a", "x": "1"}, 1.0), ({"pod": "a", "x": "2"}, 1.0)), "does not tell them apart"),
        (vector(*(({"pod": str(n)}, 1.0) for n in range(4))), "4 series, at most 3"),
        ((403, b"no", {}), "forbids this"),
    ],
)
def test_a_watch_that_fails_says_why_and_teaches_nothing(script, read, answer, said):
    script.say("y", answer)
    script.say("sum(x)", vector(({}, 1.0)))
    found = read((SIGNAL,), (WATCH,))
    assert said in found.watch_errors["W"]
    assert not found.frame.learn.any()
    assert demand(found).value == 1.0


def test_a_range_puts_samples_on_the_grid_and_leaves_gaps(script, read):
    body = {"resultType": "matrix", "result": [{"metric": {}, "values": [[1000, "1"], [1120, "3"]]}]}
    script.say("sum(x)", json.dumps({"status": "success", "data": body}).encode())
    with serving(script) as url:
        source = PrometheusSource(PrometheusOptions(url=url))
        found = source.range(SIGNAL, 1000.0, 1180.0, 60.0)
        source.close()
    np.testing.assert_array_equal(found.values, [[1.0, np.nan, 3.0, np.nan]])
    np.testing.assert_array_equal(found.times, [1000.0, 1060.0, 1120.0, 1180.0])


def test_threads_that_ask_at_once_make_one_client():
    """The first tick asks from several threads; two that both made the client change the session under each other."""
    source = HttpAsker(PrometheusOptions(url="http://127.0.0.1:9", retries=0, concurrency=8))
    bound, barrier = [], threading.Barrier(8)
    session = source._session
    real = session.bound_pool

    def counted() -> None:
        bound.append(1)
        real()

    session.bound_pool = counted

    def ask() -> object:
        barrier.wait(5)
        return source._connected()

    with ThreadPoolExecutor(8) as pool:
        made = {id(one.result()) for one in [pool.submit(ask) for _ in range(8)]}
    source.close()
    assert (len(made), len(bound)) == (1, 1)


def test_signals_are_asked_before_watches_and_what_is_not_answered_within_a_turns_time_fails_alone_s10(script, read):
    script.say("sum(x)", vector(({}, 7.0)))
    script.say("y", b"hang")
    found = read((SIGNAL,), (WATCH,), timeout_s=60.0, concurrency=1, read_within_s=3.0)
    assert demand(found).value == 7.0
    assert "no answer within the 3 s that a turn has for it" in found.watch_errors["W"]
    assert [query for query, _ in script.asked][-1] == "y"
