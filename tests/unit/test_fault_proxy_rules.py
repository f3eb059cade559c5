"""The proxy of the end-to-end tests: watches that fail, gates that hold a request, and which rule takes which."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from http.client import HTTPException

import pytest

from tests.e2e.proxy import (
    CutStream,
    FaultProxy,
    Gate,
    Rule,
    Status,
    StreamError,
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


# -- watches ---------------------------------------------------------------------------------------------


def test_a_stream_is_cut_in_the_middle_of_a_line(server: Server, proxy: FaultProxy, client: Client) -> None:
    proxy.rules = [Rule(CutStream(1), verb="watch")]
    answer = client.ask("GET", "/items?watch=true")
    server.next_event.release(2)
    assert json.loads(answer.readline())["object"] == {"number": 1}
    with pytest.raises((ConnectionResetError, HTTPException, ValueError)):
        json.loads(answer.readline() or b"{")
    answer.close()


def test_a_watch_ends_with_an_error_event(server: Server, proxy: FaultProxy, client: Client) -> None:
    proxy.rules = [Rule(StreamError(410, after_events=1), verb="watch", times=1)]
    server.next_event.release()
    first, second = client.ask("GET", "/items?watch=true").read().splitlines()
    assert json.loads(first)["type"] == "ADDED"
    assert (json.loads(second)["type"], json.loads(second)["object"]["code"]) == ("ERROR", 410)
    assert client.json() == {"value": 1}


# -- gates and rules -------------------------------------------------------------------------------------


def test_a_gate_holds_a_request_before_the_server_sees_it(server: Server, proxy: FaultProxy, client: Client) -> None:
    gate = Gate(method="PATCH", path="^/item$")
    proxy.rules = [gate]
    assert client.code("GET", "/item") == 200
    server.asked.clear()
    thread, ended = in_background(lambda: client.json("PATCH", "/item", "{}"))
    assert gate.arrived.wait(3)
    assert server.asked == []
    gate.open()
    thread.join(3)
    assert (ended, len(server.asked)) == ([{}], 1)
    assert client.json("PATCH", "/item", "{}") == {}
    assert [one.fault for one in proxy.seen] == ["", "Gate", "Gate"]


def test_a_gate_holds_the_answer_after_the_work_was_done(server: Server, proxy: FaultProxy, client: Client) -> None:
    gate = proxy.gate(method="PATCH", after=True)
    thread, ended = in_background(lambda: client.json("PATCH", "/item", "{}"))
    assert gate.arrived.wait(3)
    assert (ended, len(server.asked)) == ([], 1)
    gate.open()
    thread.join(3)
    assert ended == [{}]


def test_what_a_gate_holds_arrives_even_after_its_client_has_ended(server: Server, proxy: FaultProxy) -> None:
    gate = proxy.gate(method="PATCH")
    with socket.create_connection(("127.0.0.1", proxy.port), 3) as killed:
        killed.sendall(b"PATCH /item HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert gate.arrived.wait(3)
    gate.open()
    assert eventually(lambda: [what for what, _, _ in server.asked]) == ["PATCH /item"]


def test_the_first_rule_that_takes_a_request_decides_and_counts(proxy: FaultProxy, client: Client) -> None:
    proxy.rules = [
        Rule(Status(500), method="PATCH", path=r"/scale$", times=2),
        Rule(Status(409), user_agent=r"action/", query=r"fieldManager=aiops"),
        Rule(Status(404), verb="watch"),
    ]
    asked = [
        ("PATCH", "/a/scale", ""),
        ("PATCH", "/a/scale?fieldManager=aiops", "aiops/1 action/A"),
        ("PATCH", "/a/scale?fieldManager=aiops", "aiops/1 action/A"),
        ("GET", "/a/scale?fieldManager=aiops", "aiops/1"),
        ("GET", "/a?allowWatchBookmarks=true&watch=1", ""),
    ]
    assert [client.code(method, path, None, User_Agent=agent) for method, path, agent in asked] == [
        *(500, 500, 409, 200, 404),
    ]


def test_chance_is_the_same_under_the_same_seed(proxy: FaultProxy, client: Client) -> None:
    def codes() -> list[int]:
        proxy.rules = [Rule(Status(503), probability=0.5, dice=random.Random(7))]
        return [client.code() for _ in range(12)]

    first = codes()
    assert first == codes()
    assert set(first) == {200, 503}


def test_a_rule_is_taken_away_at_run_time(proxy: FaultProxy, client: Client) -> None:
    rule = Rule(Status(500))
    proxy.add(rule)
    assert client.json()["code"] == 500
    proxy.remove(rule)
    assert client.json() == {"value": 1}


def test_a_server_that_is_not_there_is_a_connection_that_ends() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        upstream = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with FaultProxy(upstream) as proxy, Client(proxy.port) as client, pytest.raises(ConnectionResetError):
            client.ask()
