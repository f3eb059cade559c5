"""What fails again and again leaves nothing behind that waits for a full collection (S10: the daemon stays small)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
from aiops.adapters.store import Store
from aiops.core.model import Answered
from aiops.errors import PortError, let_go
from tests.e2e.proxy import Drop, FaultProxy, Rule, Status
from tests.integration.kubernetes_server import KubernetesServer
from tests.integration.test_kubernetes import connected
from tests.integration.test_prometheus_answers import NOW, SIGNAL, Script, age, serving, vector

TIMES = 10
MOST = 30
"""Objects in cycles that one failure may leave: a failing client makes a few of its own, a turn has thousands."""


def left_behind(do: Callable[[], object]) -> float:
    """Return how many objects one call leaves in cycles, on an average; it may fail as ports do."""
    for _ in range(2):  # what is imported and cached at first is no part of it
        with suppress(PortError):
            do()
    gc.collect()
    gc.disable()
    try:
        for _ in range(TIMES):
            with suppress(PortError):
                do()
        return gc.collect() / TIMES
    finally:
        gc.enable()


FAULTS: dict[str, Callable[[FaultProxy], None]] = {
    "503": lambda proxy: proxy.add(Rule(Status(503, body="{}"))),
    "no JSON": lambda proxy: proxy.add(Rule(Status(200, body="<html>"))),
    "cut": lambda proxy: proxy.add(Rule(Drop())),
    "refused": lambda proxy: proxy.refuse(),
}


@contextmanager
def source() -> Iterator[tuple[PrometheusSource, FaultProxy]]:
    script = Script()
    script.say("sum(x)", vector(({}, 1.0)))
    script.say("label_replace", age(1.0))
    with serving(script) as url, FaultProxy(url) as proxy:
        made = PrometheusSource(PrometheusOptions(url=proxy.url, timeout_s=2.0, retries=0, jitter_s=0.0))
        yield made, proxy
        made.close()


@pytest.mark.parametrize("name", FAULTS)
def test_a_source_that_is_down_holds_nothing_of_the_turns_that_asked_it(name):
    with source() as (made, proxy):
        assert isinstance(made.read([SIGNAL], [], NOW).answers["P"]["demand"], Answered)
        FAULTS[name](proxy)
        turn = list(range(1000))  # what a turn holds while it asks
        assert left_behind(lambda: (turn, made.read([SIGNAL], [], NOW))) <= MOST


@pytest.mark.parametrize("name", ["503", "cut", "refused"])
def test_an_api_server_that_is_down_holds_nothing_of_who_asked_it(name):
    server = KubernetesServer()
    with FaultProxy(server.url) as proxy:
        http = connected(proxy.url)._http
        http.get("/apis/apps/v1")
        FAULTS[name](proxy)
        assert left_behind(lambda: http.get("/apis/apps/v1")) <= MOST
    server.stop()


def test_a_store_that_fails_holds_nothing_of_who_asked_it(tmp_path: Path):
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}", writer=True)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE pauses RENAME TO gone")
    assert left_behind(lambda: store.people.pauses(NOW)) <= MOST
    store.close()


class Client:
    """A client that keeps its failure in the frame that failed, as many do."""

    def ask(self, deeper: bool) -> None:
        try:
            if deeper:
                self.ask(False)
            raise ConnectionError("down")
        except ConnectionError as err:
            kept = err
            raise kept from None


def kept_alive(forget: Callable[[BaseException], None]) -> int:
    gc.collect()
    gc.disable()
    try:
        try:
            Client().ask(True)
        except ConnectionError as err:
            forget(err)
        return gc.collect()
    finally:
        gc.enable()


def test_what_is_let_go_is_gone_at_once():
    assert kept_alive(lambda _: None) > 0
    assert kept_alive(let_go) == 0
