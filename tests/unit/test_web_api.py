"""Pages of lists, conditional reads, problems and live data of the API."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiops.errors import InvalidInput
from aiops.web.api import application
from aiops.web.conditional import matches
from aiops.web.cursors import read, written
from aiops.web.events import Broker, Full, Pace, stream
from tests.builders import answer, snapshot
from tests.unit.doored import House
from tests.unit.test_store import made


@pytest.fixture
def house():
    shop = House()
    shop.open_up()
    for number in range(7):
        turn = made(shot=snapshot(at=1000.0 + 15 * number, demand=answer(590.0 - 60 * (number % 3))))
        shop.store.journal.begin(turn.tick, turn.state)
    yield shop
    shop.store.close()


def test_a_list_is_read_page_by_page_without_a_row_twice_or_missed(house):
    client = house.client()
    whole = [one["id"] for one in client.get("/api/v1/decisions?limit=1000").json()]
    found, path = [], "/api/v1/decisions?limit=2"
    while path:
        page = client.get(path)
        found += [one["id"] for one in page.json()]
        assert len(page.json()) <= 2
        path = page.links["next"]["url"] if "next" in page.links else ""
        assert path.startswith("/api/v1/decisions?limit=2") or not path, "the link is relative: no host is trusted"
    assert (found, len(found) == len(set(found)), len(found) > 4) == (whole, True, True)


def test_what_comes_meanwhile_moves_no_page(house):
    client = house.client()
    first = client.get("/api/v1/decisions?limit=2")
    whole = [one["id"] for one in client.get("/api/v1/decisions?limit=1000").json()]
    turn = made(shot=snapshot(at=5000.0, demand=answer(300.0)))
    house.store.journal.begin(turn.tick, turn.state)
    second = client.get(first.links["next"]["url"]).json()
    assert [one["id"] for one in second] == whole[2:4]


def test_filters_stay_with_the_link(house):
    page = house.client().get("/api/v1/decisions", params={"limit": 1, "policy": "shop/checkout", "text": "8"})
    if "next" in page.links:
        assert "policy=shop%2Fcheckout" in page.links["next"]["url"]
        assert "text=8" in page.links["next"]["url"]


@given(st.floats(min_value=0, max_value=1e10, allow_nan=False), st.from_regex(r"\A[0-9A-Za-z.-]{1,26}\Z"))
@example(1.6448536269514722, "0")
@example(0.00010000000000000002, "0")
def test_a_cursor_says_its_place_again(at, name):
    found = read(written((at, name)))
    assert found is not None
    assert (found[0] == pytest.approx(at, abs=1e-9), found[1]) == (True, name)


@pytest.mark.parametrize("text", ["", "x", "1_", "_a", "1e5_a", "-1_a", "1_a b", "1_a\n", "nan_a", "1" * 12 + "_a"])
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(InvalidInput, match="cursor"):
        read(text)


def test_a_name_of_odd_blanks_is_a_name_that_nobody_has(house):
    assert house.client().get("/api/v1/diff", params={"live": "\u00a0"}).status_code == 404


def test_what_has_not_changed_is_not_sent_again(house):
    client = house.client()
    first = client.get("/api/v1/decisions")
    tag = first.headers["etag"]
    again = client.get("/api/v1/decisions", headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert first.headers["cache-control"] == "private, no-cache"
    turn = made(shot=snapshot(at=5000.0, demand=answer(300.0)))
    house.store.journal.begin(turn.tick, turn.state)
    assert client.get("/api/v1/decisions", headers={"If-None-Match": tag}).status_code == 200
    assert matches("*", tag)


def test_head_is_get_without_its_body(house):
    client = house.client()
    read_, asked = client.get("/api/v1/status"), client.request("HEAD", "/api/v1/status")
    assert (asked.status_code, asked.content, asked.headers["etag"]) == (200, b"", read_.headers["etag"])
    assert asked.headers["content-length"] == read_.headers["content-length"]


AS_JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "how", "status", "code"),
    [
        ("GET", "/api/v1/decisions/NOPE", {}, 404, "not-found"),
        ("GET", "/api/v1/nothing", {}, 404, "not-found"),
        ("PATCH", "/api/v1/status", {"json": {}}, 405, "wrong-method"),
        ("GET", "/api/v1/decisions?limit=0", {}, 422, "invalid-input"),
        ("GET", "/api/v1/decisions?limt=5", {}, 422, "invalid-input"),
        ("POST", "/api/v1/pauses", {"json": {"scope": "shop"}}, 422, "invalid-input"),
        ("POST", "/api/v1/pauses", {"json": {"scope": "a", "reason": "b", "untill": 5}}, 422, "invalid-input"),
        ("POST", "/api/v1/pauses", {"content": b"{", "headers": AS_JSON}, 400, "bad-request"),
        ("POST", "/api/v1/pauses", {"data": {"scope": "shop"}}, 415, "wrong-media-type"),
        ("POST", "/api/v1/pauses", {"json": {"scope": "x" * (1 << 20), "reason": "b"}}, 413, "too-large"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_a_problem_with_its_place(house, method, path, how, status, code):
    refused = house.client().request(method, path, **how)
    said = refused.json()
    assert (refused.status_code, said["status"], said["code"]) == (status, status, code)
    assert refused.headers["content-type"] == "application/problem+json"
    if status == 422:
        assert said["errors"][0]["at"].startswith(("query.", "body."))


# -- live --------------------------------------------------------------------------------------------------------------


def told(broker: Broker, last_id: str = "", longest_s: float = 60.0) -> list[str]:
    """Return what a reader is told at once."""

    async def reading() -> list[str]:
        found: list[str] = []
        with broker.seat("sam") as bell:
            async for part in stream(broker, bell, last_id, Pace(heartbeat_s=0.01, longest_s=longest_s)):
                found.append(part.decode().strip())
                if part.startswith(b":"):
                    break
        return found

    return asyncio.run(reading())


def test_a_reader_is_told_what_it_missed_and_that_nothing_happens():
    broker = Broker(boot="b")
    for number in range(3):
        broker.publish("tick", {"n": number})
    assert told(broker, "b-1") == [
        "retry: 2000",
        'id: b-2\nevent: tick\ndata: {"n":1}',
        'id: b-3\nevent: tick\ndata: {"n":2}',
        ": still here",
    ]
    assert told(broker) == ["retry: 2000", ": still here"], "who comes new is told what comes"


@pytest.mark.parametrize("last_id", ["other-1", "b-99", "b-", "x", "b-1x", "b--1"])
def test_a_place_of_another_process_means_read_anew(last_id):
    broker = Broker(boot="b")
    broker.publish("tick", {})
    assert told(broker, last_id)[1] == "id: b-1\nevent: reset\ndata: {}"


def test_a_reader_that_is_too_slow_is_told_so_and_holds_nobody_up():
    broker = Broker(kept=4, boot="b")
    for number in range(10):
        broker.publish("tick", {"n": number})
    assert told(broker, "b-2")[1] == "id: b-10\nevent: reset\ndata: {}"
    assert len(broker._ring) == 4


def test_there_are_so_many_seats_and_one_principal_has_a_quarter_of_them():
    async def seated() -> tuple[int, int]:
        broker, held = Broker(seats=8), []
        for name in ("sam", "sam", "sam", "kim", "lee", "joe", "kim", "lee", "joe", "pat", "pat"):
            seat = broker.seat(name)
            try:
                seat.__enter__()
                held.append((name, seat))
            except Full:
                continue
        alone = sum(1 for name, _ in held if name == "sam")
        for _, seat in held:
            seat.__exit__(None, None, None)
        with broker.seat("sam"):
            return len(held), alone

    assert asyncio.run(seated()) == (8, 2)


def test_a_reader_that_is_gone_before_it_was_told_anything_gives_its_seat_back_at_once(house):
    """And not when memory is tidied: that may be in a thread that holds the broker's lock, for ever then."""
    broker, left = Broker(seats=8), []
    app = application(house.service, house.doors, broker=broker)
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/api/v1/events", "raw_path": b"/api/v1/events", "root_path": "",
        "query_string": b"", "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8080),
    }  # fmt: skip

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        left.append(message["status"])
        try:
            raise OSError("it is gone")
        except OSError as err:
            left.append(err)  # what holds its frames
            raise

    for _ in range(5):
        asyncio.run(app(scope, receive, send))
    assert [one for one in left if isinstance(one, int)] == [200] * 5
    assert broker._seated.total() == 0


def test_a_stream_ends_after_a_while_so_that_who_reads_shows_anew_who_they_are():
    assert told(Broker(), longest_s=0.0) == ["retry: 2000"]
