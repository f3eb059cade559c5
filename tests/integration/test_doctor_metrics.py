"""What the doctor says of metrics, clocks and Alertmanager."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

from tests.integration.doctored import (
    examined,
    fix_of,
    policy,
    troubles,
    written,
)
from tests.integration.prometheus_server import running_prometheus
from tests.integration.test_kubernetes import eventually
from tests.loopback import serving

# -- metrics -----------------------------------------------------------------------------------------------

QUERIES = {
    "here": "sum(up)",
    "typo": "sum(scrape_duration_second)",
    "elsewhere": 'max(up{job="nobody"})',
    "short": "sum(rate(scrape_duration_seconds[1s]))",
    "old": "sum(rate(up[1m]))",
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's Prometheus, which scrapes a page of one gauge each second."""

    class Gauge(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = "".join(f'many{{n="{number}"}} 1\n' for number in range(30)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with (
        serving(Gauge) as target,
        running_prometheus(tmp_path_factory.mktemp("prometheus"), target.removeprefix("http://")) as url,
    ):
        eventually(lambda: scrapes(url) >= 4, within_s=30.0)
        yield url


def scrapes(url: str) -> int:
    """Return how often the page was scraped."""
    asked = urlencode({"query": "count_over_time(up[5m])"})
    with urllib.request.urlopen(f"{url}/api/v1/query?{asked}", timeout=5) as answer:
        result = json.load(answer)["data"]["result"]
    return int(result[0]["value"][1]) if result else 0


def test_a_real_prometheus_tells_what_is_missing_absent_rare_and_too_many(prometheus, tmp_path):
    signals = {name: {"query": query, "maxAge": "90s"} for name, query in QUERIES.items()}
    document = policy(signals=signals, objective={"demand": "here", "perReplica": 50})
    watch = {"query": "many", "maxSeries": 20}
    watching = {**policy("many", "WatchPolicy"), "spec": watch}
    config = written(tmp_path, "http://127.0.0.1:1", document, watching, prometheus={"url": prometheus, "retries": 0})
    code, found = examined(config, "metrics")
    assert code == 1
    by_name = {one["name"]: one for one in found if one["status"] == "ok"}
    assert "version 2." in by_name["prometheus"]["what"]
    assert by_name["prometheus: clock"]["status"] == "ok"
    told = [what for _, what in troubles(found)]
    assert any(what.startswith("scrape_duration_second does not exist") for what in told)
    assert "did you mean scrape_duration_seconds?" in fix_of(found, "scrape_duration_second does not exist")
    assert any('nothing matches up{job="nobody"}' in what for what in told)
    assert any("rate over 1 s often holds fewer than 2 samples" in what for what in told)
    assert any("WatchPolicy/shop/many watches 30 series, at most 20" in what for what in told)
    assert by_name["prometheus: signals"]["what"].startswith("2 of 5 signals are values")


def test_where_all_is_well_a_real_prometheus_has_nothing_to_fix(prometheus, tmp_path):
    document = policy(signals={"demand": {"query": "sum(up)", "maxAge": "90s"}})
    config = written(tmp_path, "http://127.0.0.1:1", document, prometheus={"url": prometheus, "retries": 0})
    code, found = examined(config, "metrics")
    assert (code, troubles(found)) == (0, [])
    (often,) = [one for one in found if one["name"] == "prometheus: sampling"]
    assert often["what"] == "1 of 1 selectors are sampled each 1 s; a turn is 15 s"


def test_policies_that_cannot_be_used_are_told_in_whatever_area_is_asked_for(prometheus, tmp_path):
    document = policy(signals={"demand": {"query": "sum(up)", "sauce": "west"}})
    config = written(tmp_path, "http://127.0.0.1:1", document, prometheus={"url": prometheus, "retries": 0})
    code, found = examined(config, "metrics")
    assert code == 1
    assert "sauce" in troubles(found)[0][1]


# -- a source with another clock, and Alertmanager ---------------------------------------------------------


class Answering(BaseHTTPRequestHandler):
    """Speaks as much of both APIs as is needed. ahead_s: of our clock."""

    ahead_s = 0.0
    pages: dict[str, Any] = {}  # noqa: RUF012  # replaced by each test's subclass

    def do_GET(self) -> None:
        found = self.pages.get(self.path.partition("?")[0])
        self.answer(404 if found is None else 200, found)

    def do_POST(self) -> None:
        query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["query"][0]
        now = time.time() + self.ahead_s
        data = {"resultType": "scalar", "result": [now, str(now)]} if query == "time()" else {"result": []}
        self.answer(200, {"status": "success", "data": data})

    def answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return formatdate(time.time() + self.ahead_s, usegmt=True)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.mark.parametrize(("ahead_s", "status"), [(0.0, "ok"), (-20.0, "warn"), (300.0, "fail")])
def test_clocks_of_a_source_and_of_an_api_server_are_held_against_ours(tmp_path, ahead_s, status):
    class Late(Answering):
        pages = {"/version": {"gitVersion": "v1.30.1"}}  # noqa: RUF012  # as its base

    Late.ahead_s = ahead_s
    with serving(Late) as url:
        config = written(tmp_path, url, prometheus={"url": url, "retries": 0})
        _, found = examined(config, "metrics", "kubernetes")
    clocks = {one["name"]: one["status"] for one in found if one["name"].endswith(": clock")}
    assert clocks == {"prometheus: clock": status, "cluster default: clock": status}
    told = next(one["what"] for one in found if one["name"] == "prometheus")
    assert told.endswith("a version it does not tell")


def test_an_alertmanager_is_asked_for_its_silences_and_one_that_is_away_is_told(tmp_path):
    class Here(Answering):
        pages = {"/api/v2/silences": [{}, {}]}  # noqa: RUF012  # as its base

    with serving(Here) as url:
        config = written(tmp_path, url, alertmanager={"urls": [url, "http://127.0.0.1:1"]})
        code, found = examined(config, "alertmanager")
    assert code == 1
    assert [(one["status"], one["name"]) for one in found] == [
        ("ok", f"alertmanager {url}"),
        ("fail", "alertmanager http://127.0.0.1:1"),
    ]
    assert found[0]["what"] == "answers; 2 silences, expired ones among them"
