"""The rate limit of a cluster: a burst, then so many a second, and writes never wait behind reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from aiops.adapters.kubernetes import Clusters
from aiops.adapters.kubernetes.http import Call, Http, Throttled
from aiops.adapters.kubernetes.rate import Bucket
from aiops.adapters.metrics import RateCollector, RateNumbers
from aiops.app.timing import rates


@dataclass
class Time:
    now: float = 100.0
    paused: float = 0.0

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        self.paused += seconds


def a_bucket(time: Time, per_s: float = 20.0, burst: int = 30) -> Bucket:
    return Bucket(per_s=per_s, burst=burst, clock=time.clock, pause=time.pause)


def test_a_burst_of_writes_goes_at_once_and_the_rest_at_the_rate():
    time = Time()
    bucket = a_bucket(time)
    assert all(bucket.take(2.0, write=True) for _ in range(30))
    assert time.paused == 0.0
    assert all(bucket.take(2.0, write=True) for _ in range(40))
    assert time.paused == pytest.approx(2.0)
    assert bucket.waited_s == pytest.approx(2.0)


def test_what_cannot_go_in_time_is_not_waited_for():
    time = Time()
    bucket = a_bucket(time, per_s=0.1, burst=1)
    assert bucket.take(2.0, write=True)
    assert not bucket.take(2.0, write=True)
    assert (time.paused, bucket.refused) == (0.0, 1)
    time.now += 8.1
    assert bucket.take(2.0, write=True)
    assert time.paused == pytest.approx(1.9)


def test_reads_leave_a_fifth_of_a_burst_to_writes():
    time = Time()
    bucket = a_bucket(time, per_s=0.1, burst=10)
    assert [bucket.take(0.0, write=False) for _ in range(9)] == [True] * 8 + [False]
    assert [bucket.take(0.0, write=True) for _ in range(3)] == [True] * 2 + [False]


def test_a_bucket_holds_no_more_than_a_burst_however_long_nobody_asks():
    time = Time()
    bucket = a_bucket(time, per_s=20.0, burst=3)
    time.now += 3600.0
    assert [bucket.take(0.0, write=True) for _ in range(4)] == [True] * 3 + [False]


def test_no_rate_is_no_limit():
    bucket = a_bucket(Time(), per_s=0.0, burst=1)
    assert all(bucket.take(0.0, write=True) for _ in range(100))


class _Server:
    """Takes every request, and notes when it came and how long it may take."""

    def __init__(self, time: Time) -> None:
        self.time, self.came = time, []
        self.configuration, self.rest_client = SimpleNamespace(host="https://api"), SimpleNamespace(pool_manager=self)

    def update_params_for_auth(self, *_: object) -> None:
        """Authorize nobody."""

    def request(self, method: str, url: str, **options: Any) -> SimpleNamespace:
        self.came.append((self.time.now - 100.0, options["timeout"].read_timeout))
        return SimpleNamespace(status=200, data=b"{}")


def test_no_write_that_waits_for_its_turn_outlives_the_time_that_it_had_s6():
    time = Time()
    server, bucket = _Server(time), a_bucket(time, per_s=0.8, burst=1)
    http = Http(cast(Any, server), bucket)
    write = Call(method="PATCH", path="/x", timeout_s=4.0)
    http.send(write)
    http.send(write)
    assert server.came == [(0.0, 4.0), (pytest.approx(1.25), pytest.approx(2.75))]
    with pytest.raises(Throttled):
        http.send(replace(write, timeout_s=1.0))  # half of it would be over before it is sent
    assert len(server.came) == 2


def test_what_a_limit_costs_is_told_by_cluster_and_nothing_of_who_has_none():
    waiting = a_bucket(Time(), per_s=10.0, burst=1)
    assert waiting.take(1.0, write=True)
    assert waiting.take(1.0, write=True)
    assert not waiting.take(0.0, write=True)
    clusters = Clusters({}, buckets={"eu": waiting, "us": Bucket(per_s=0.0, burst=1)})
    assert rates(clusters) == {"eu": RateNumbers(per_s=10.0, waited_s=pytest.approx(0.1), refused=1)}
    told = {
        one.name: one.value for metric in RateCollector(lambda: rates(clusters)).collect() for one in metric.samples
    }
    assert told == {
        "aiops_cluster_rate_limit": 10.0,
        "aiops_cluster_rate_waited_seconds_total": pytest.approx(0.1),
        "aiops_cluster_rate_refused_total": 1.0,
    }
