"""An API server that is gone, overloaded, slow, or loses its answers (S2, S5, S6)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest

from tests.e2e.faults import (
    BUSY,
    QUIET,
    WINDOW_S,
    api_proxy,
    asked,
    lowered,
    needs,
    recovers,
    rule,
    settled,
    sound,
    turns,
    until_said,
)
from tests.e2e.proxy import (
    AfterStatus,
    CutStream,
    FaultProxy,
    Hang,
    LoseAnswer,
    SlowAnswer,
    Status,
    StreamError,
)
from tests.e2e.rig import Rig

SCALE = r"/deployments/checkout/scale"
TARGETS = r"/namespaces/t\d+/"


@pytest.fixture
def proxy(rig: Rig) -> Iterator[FaultProxy]:
    with api_proxy(rig.plane) as made:
        yield made


# -- gone ---------------------------------------------------------------------------------------------------


def outage(rig: Rig, deploy, seconds: float) -> None:
    """Take the API server away while demand falls, and bring it back."""
    path, daemon = settled(rig, deploy)
    begun = len(daemon.sentences())
    rig.plane.down("kube-apiserver")
    needs(rig, QUIET)
    try:
        gone_at = time.monotonic()
        said = until_said(rig, daemon, "nobody that is known of", since=begun)
        assert "Connection refused" in said
        time.sleep(max(0.0, seconds - (time.monotonic() - gone_at)))
        spoken = daemon.sentences()[begun:]
    finally:
        rig.plane.up("kube-apiserver")
        rig.plane.wait_for_api()
    back_at = time.time()
    # ticks went on all the while, each with its reason
    assert len(spoken) >= 0.6 * seconds
    # back, it looks before it scales in: a whole window of its own, on caches that are read again
    rig.until(lambda: rig.replicas(path) == QUIET, "the scale-in that is due now", 90)
    first = next(one for one in rig.writes() if one.level == QUIET)
    read = min(one.at for one in rig.audit(back_at) if one.verb in ("list", "watch") and one.resource == "pods")
    assert read < first.at
    assert first.at - back_at >= WINDOW_S - 1.5
    recovers(rig, daemon, path)
    # a server that has just begun knows no role yet
    sound(rig, daemon, expected=lambda event: abs(event.at - back_at) < 10.0)


@pytest.mark.timeout(300)
def test_an_api_server_that_is_gone_for_15_s_s2(rig, deploy):
    outage(rig, deploy, 15.0)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_an_api_server_that_is_gone_for_5_minutes_s2(rig, deploy):
    outage(rig, deploy, 300.0)


# -- reads --------------------------------------------------------------------------------------------------

READS = {
    "watches answered 410": ({"fault": Status(410), "verb": "watch"}, 0),
    "a stream that ends with 410": ({"fault": StreamError(410), "verb": "watch"}, 0),
    "a stream that ends with 500": ({"fault": StreamError(500, message="etcd has no leader"), "verb": "watch"}, 500),
    "lists and watches answered 500": ({"fault": Status(500), "method": "GET"}, 500),
    "lists and watches answered 503": ({"fault": Status(503), "method": "GET"}, 503),
    "lists and watches that are no JSON": ({"fault": Status(200, body="<html>"), "method": "GET"}, 0),
    "watches cut in the middle of a line": ({"fault": CutStream(0), "verb": "watch"}, 0),
}


@pytest.mark.parametrize("name", READS)
def test_reads_that_fail_never_scale_in_and_do_not_hammer_s2_s10(rig, deploy, proxy, name):
    path, daemon = settled(rig, deploy, proxy)
    match, code = READS[name]
    match = dict(match)
    began = time.time()
    proxy.rules = [rule(match.pop("fault"), path=TARGETS, **match)]
    proxy.cut_all()
    # what can still be seen calls for more: the last known state of the cluster is good enough for that
    needs(rig, BUSY)
    rig.until(lambda: rig.replicas(path) == BUSY, "the scale-out", 30)
    needs(rig, QUIET)
    turns(rig, daemon, 8)
    by_reads = name in ("a stream that ends with 410", "watches answered 410", "watches cut in the middle of a line")
    if not by_reads:
        assert lowered(rig) == []
        until_said(rig, daemon, "known only as of")
        if code:
            assert any(str(code) in str(one["error"]) for one in daemon.events("watch_failed"))
    # five paths are watched: each waits longer after each failure
    reads = asked(proxy, began, method="GET", path=TARGETS)
    assert len(reads) / (time.time() - began) < 20, "the API server is hammered"
    proxy.rules = []
    recovers(rig, daemon, path, 60)
    sound(rig, daemon)


@pytest.mark.parametrize("verb", ["get", "watch"])
def test_an_api_server_that_asks_to_be_left_alone_is_s10(rig, deploy, proxy, verb):
    path, daemon = settled(rig, deploy, proxy)
    proxy.rules = [
        rule(Status(429, {"Retry-After": "8"}), verb=verb, path=TARGETS),
        rule(Status(410), verb="watch", path=TARGETS, times=8),
    ]
    began = time.time()
    proxy.cut_all()
    turns(rig, daemon, 7)
    by_path: dict[str, list[float]] = {}
    for one in asked(proxy, began, fault="Status", verb=verb):
        if one["path"].endswith(("/pods", "/deployments")):
            by_path.setdefault(str(one["path"]), []).append(one["at"])
    proxy.rules = []
    assert by_path
    for times in by_path.values():
        gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert all(gap >= 7.5 for gap in gaps), gaps
    recovers(rig, daemon, path, 60)
    sound(rig, daemon)


def test_a_watch_that_hangs_is_noticed_by_the_lease_and_nothing_is_written_s2(rig, deploy, proxy):
    path, daemon = settled(rig, deploy, proxy)
    hang = Hang()
    proxy.rules = [rule(hang)]
    proxy.cut_all()
    needs(rig, QUIET)
    said = until_said(rig, daemon, "nobody that is known of")
    assert "timed out" in said
    before = len(rig.writes())
    spoken = turns(rig, daemon, 5)
    assert all("nobody that is known of" in one for one in spoken)
    assert len(rig.writes()) == before
    proxy.rules = []
    hang.heal()
    recovers(rig, daemon, path, 90)
    sound(rig, daemon)


def test_answers_that_trickle_do_not_stop_the_ticks_s2(rig, deploy, proxy):
    path, daemon = settled(rig, deploy, proxy)
    proxy.rules = [rule(SlowAnswer(100), path=TARGETS)]
    proxy.cut_all()
    needs(rig, BUSY)
    began = time.monotonic()
    turns(rig, daemon, 5, 60)
    took_s = time.monotonic() - began
    proxy.rules = []
    proxy.cut_all()
    assert took_s < 20, f"5 ticks took {took_s:.0f} s"
    recovers(rig, daemon, path, 60)
    sound(rig, daemon)


# -- writes -------------------------------------------------------------------------------------------------

WRITES = {
    "409": (Status(409), "the test says so", 1),
    "429": (Status(429, {"Retry-After": "4"}), "asked to be left alone", 4),
    "500": (Status(500), "the test says so", 1),  # of unknown end: looked at until it cannot arrive any more
    "503": (Status(503), "the test says so", 1),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_that_is_refused_starts_no_cooldown_and_is_tried_again_s5_s6(rig, deploy, proxy, name):
    limits = {"cooldown": {"out": "60s", "in": "60s"}, "changesPerHour": 1000}
    path, daemon = settled(rig, deploy, proxy, policy={"limits": limits})
    fault, said, after_s = WRITES[name]
    proxy.rules = [rule(fault, method="PATCH", path=SCALE, times=1 if name in ("429", "500") else 2)]
    began = time.time()
    needs(rig, BUSY)
    rig.until(lambda: rig.replicas(path) == BUSY, "the write that is done", 60)
    ended = [row for row in rig.actions() if row["outcome"] == "failed"]
    assert any(said in str(row["message"]) + str(row.get("detail", "")) for row in rig.actions()), rig.actions()
    assert ended or name == "500"
    tried = [one["at"] for one in asked(proxy, began, method="PATCH", path=SCALE)]
    assert tried[1] - tried[0] >= after_s - 0.5
    sound(rig, daemon)


LOST = {"an answer that is lost": LoseAnswer(), "a 500 after the work was done": AfterStatus(500)}


@pytest.mark.parametrize("name", LOST)
def test_a_write_of_unknown_end_is_looked_at_and_never_sent_twice_s6(rig, deploy, proxy, name):
    path, daemon = settled(rig, deploy, proxy)
    proxy.rules = [rule(LOST[name], method="PATCH", path=SCALE, times=1)]
    needs(rig, BUSY)
    rig.until(lambda: rig.replicas(path) == BUSY, "the write")
    rig.until(lambda: any(row["outcome"] == "took-effect" for row in rig.actions()), "it to be seen", 60)
    done = [one for one in rig.writes() if one.action_id and one.accepted]
    assert [one.level for one in done] == [BUSY]
    recovers(rig, daemon, path)
    sound(rig, daemon)
