"""Debian's Prometheus and VictoriaMetrics hold the same samples and answer the adapter the same."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
from aiops.adapters.prometheus.asking import HttpAsker
from aiops.adapters.prometheus.batches import LABEL, joined, parted
from aiops.core.model import Answered, Failed, NoSeries
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.errors import TooMuch
from tests.integration.prometheus_server import free_port, running_prometheus

NAMES = ("prometheus", "victoria-metrics")
STEP_S, SAMPLES, PODS = 15.0, 240, 30
SIGNAL = SignalQuery(
    policy="P",
    name="demand",
    expr='sum(load{service="shop"})',
    age_exprs=('max(timestamp(load{service="shop"}))',),
    coverage_exprs=('count(load{service="shop"})',),
)
WATCH = WatchQuery(policy="W", expr='load{service="shop"}', identity=("pod",), max_series=100)


def value(pod: int, sample: int) -> float:
    return 100.0 * pod + sample


def lines(ends: float, millis: bool) -> Iterator[str]:
    """Yield samples that end at an instant, as OpenMetrics or as VictoriaMetrics' import wants it."""
    if not millis:
        yield "# TYPE load gauge\n"
    for pod in range(PODS):
        for sample in range(SAMPLES):
            at = ends - STEP_S * (SAMPLES - 1 - sample)
            when = f"{at * 1000:.0f}" if millis else f"{at:.3f}"
            yield f'load{{service="shop",pod="p{pod:02d}",odd="\\"value\\":[1,"}} {value(pod, sample)!r} {when}\n'
    if not millis:
        yield "# EOF\n"


@contextmanager
def running_victoria(folder: Path) -> Iterator[str]:
    binary = shutil.which("victoria-metrics")
    if binary is None:
        pytest.fail("Debian's victoria-metrics is missing: make e2e installs it")
    address = f"127.0.0.1:{free_port()}"
    flags = [f"-storageDataPath={folder / 'vm'}", f"-httpListenAddr={address}", "-retentionPeriod=10y"]
    with (folder / "vm.log").open("w") as log:
        process = subprocess.Popen([binary, *flags, "-search.maxUniqueTimeseries=1000"], stdout=log, stderr=log)
        try:
            healthy(f"http://{address}", process)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(15)


def healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "victoria-metrics ended early"
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("victoria-metrics was not there in time")


@dataclass
class Servers:
    urls: dict[str, str]
    ends: float

    def options(self, name: str, **changes: object) -> PrometheusOptions:
        return replace(PrometheusOptions(url=self.urls[name], timeout_s=20.0), **changes)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("sources")
    ends = (time.time() - 3 * 3600.0) // STEP_S * STEP_S
    with (
        running_victoria(folder) as victoria,
        running_prometheus(folder, "127.0.0.1:9", lines(ends, millis=False)) as prometheus,
    ):
        body = "".join(lines(ends, millis=True)).encode()
        urllib.request.urlopen(urllib.request.Request(f"{victoria}/api/v1/import/prometheus", body)).close()
        urllib.request.urlopen(f"{victoria}/internal/force_flush").close()
        yield Servers({"prometheus": prometheus, "victoria-metrics": victoria}, ends)


@pytest.fixture
def source(servers: Servers, request: pytest.FixtureRequest) -> Iterator[PrometheusSource]:
    made = PrometheusSource(servers.options(request.param))
    yield made
    made.close()


both = pytest.mark.parametrize("source", NAMES, indirect=True)
each = pytest.mark.parametrize("name", NAMES)


@both
def test_a_signal_is_read_with_its_age_and_its_series_s1(source, servers):
    answer = source.read((SIGNAL,), (), servers.ends + 5.0).answers["P"]["demand"]
    assert isinstance(answer, Answered)
    assert answer.value == sum(value(pod, SAMPLES - 1) for pod in range(PODS))
    # the past is asked for: the answer counts as old as it is by the server's own clock
    assert answer.newest_at == pytest.approx(servers.ends - source._asker.behind_s, abs=2.0)
    assert answer.coverage.series == PODS


@both
def test_what_is_gone_is_no_series_and_what_is_wrong_is_said_s1(source, servers):
    gone = replace(SIGNAL, expr='sum(load{service="nowhere"})')
    wrong = replace(SIGNAL, name="wrong", expr="rate(load)[")
    answers = source.read((gone, wrong), (), servers.ends).answers["P"]
    assert isinstance(answers["demand"], NoSeries)
    assert isinstance(answers["wrong"], Failed)


@both
def test_a_watch_is_read_into_its_rows_again_and_again(source, servers):
    for back in (0, 1, 7):
        frame = source.read((), (WATCH,), servers.ends - STEP_S * back).frame
        assert frame.index.keys == tuple(f"W#pod=p{pod:02d}" for pod in range(PODS))
        np.testing.assert_array_equal(frame.values, [value(pod, SAMPLES - 1 - back) for pod in range(PODS)])


@both
def test_a_history_in_pieces_is_the_whole_history(source, servers):
    start = servers.ends - STEP_S * (SAMPLES - 1)
    whole = source.range(WATCH, start, servers.ends, STEP_S)
    source._options = replace(source._options, max_samples=1000)
    pieces = source.range(WATCH, start, servers.ends, STEP_S)
    expected = [[value(pod, sample) for sample in range(SAMPLES)] for pod in range(PODS)]
    np.testing.assert_array_equal(whole.values, expected)
    np.testing.assert_array_equal(pieces.values, expected)


@each
def test_signals_asked_together_are_answered_as_alone(servers, name):
    asker = HttpAsker(servers.options(name))
    group = [f'sum(load{{pod="p{pod:02d}"}})' for pod in range(20)]
    group += ["load", "absent(load)", 'max by (pod) (load{pod=~"p0.+"})', "rate(load[2m])", "vector(1)", "load > 500"]
    together = parted(group, asker.instant(joined(group), servers.ends))
    for expr in group:
        alone, one = asker.instant(expr, servers.ends), together[expr]
        by_labels = {frozenset(labels.items()): v for labels, v in zip(alone.metrics, alone.values, strict=True)}
        found = {frozenset(labels.items()): v for labels, v in zip(one.metrics, one.values, strict=True)}
        assert found == by_labels, expr
        assert not any(LABEL in labels for labels in one.metrics)
    asker.close()


@each
def test_streamed_answers_are_the_clients(servers, name):
    asker = HttpAsker(servers.options(name))
    plain, streamed = asker.instant("load", servers.ends), asker.instant("load", servers.ends, many=True)
    assert streamed.metrics == plain.metrics
    np.testing.assert_array_equal(streamed.values, plain.values)
    again = asker.instant("load", servers.ends - STEP_S, many=True)
    assert again.metrics is streamed.metrics, "the server writes as the decoder expects, so that labels are known"
    asker.close()


@each
def test_too_much_is_told_from_wrong_s10(servers, name):
    asker = HttpAsker(servers.options(name))
    with pytest.raises(TooMuch):
        asker.range("load", servers.ends - 86_400.0 * 30, servers.ends, 1.0)
    asker.close()
