"""What scraped samples answer is what Prometheus answers: the same samples, the same queries, the real Prometheus."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiops.adapters.scrape.buffer import Buffer
from aiops.adapters.scrape.evaluator import Evaluator
from aiops.adapters.scrape.matching import Labels, labels_of
from aiops.adapters.scrape.vectors import Dialect, Scalar
from aiops.policy import locally, promql
from tests.integration.prometheus_server import free_port, running_prometheus

BEGIN_MS = (int(time.time()) - 3 * 3600) * 1000
MINUTES = 60
GRIDS = {"every distance": (-60.0, 17.0), "on the samples": (0.333, 15.0)}
"""Begin and step of grids: one meets samples at every distance, one has those of buckets at the ends of its windows."""

Series = dict[Labels, list[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Both:
    """The same samples in a real Prometheus and here."""

    url: str
    evaluator: Evaluator

    def theirs(self, query: str, begin_s: float, end_s: float, step_s: float) -> dict[Labels, dict[float, float]]:
        asked = urllib.parse.urlencode({"query": query, "start": begin_s, "end": end_s, "step": step_s})
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{asked}", timeout=20) as answer:
            result = json.load(answer)["data"]["result"]
        return {labels_of(one["metric"]): {round(at, 3): float(value) for at, value in one["values"]} for one in result}

    def ours(self, query: str, begin_s: float, end_s: float, step_s: float) -> dict[Labels, dict[float, float]]:
        times = np.arange(round(begin_s * 1000), round(end_s * 1000) + 1, round(step_s * 1000))
        value = self.evaluator.answer(query, times)
        if isinstance(value, Scalar):
            return {(): dict(zip((times / 1000).tolist(), value.values.tolist(), strict=True))}
        found = {}
        for row, labels in enumerate(value.labels):
            there = value.there[row]
            if there.any():
                pairs = zip((times[there] / 1000).tolist(), value.values[row][there].tolist(), strict=True)
                found[labels] = {round(at, 3): one for at, one in pairs}
        return found


def made() -> Series:
    """Samples with all that goes wrong: resets, gaps longer than the look-back, late starts, NaN and infinities."""
    dice = np.random.default_rng(7)
    found: Series = {}
    for number in range(6):
        labels = {"job": f"j{number % 2}", "instance": f"i{number}", "code": "500" if number == 5 else "200"}
        total, samples = 0.0, []
        for minute in range(MINUTES * 4):
            total += float(dice.integers(0, 9))
            if dice.random() < 0.02:
                total = float(dice.integers(0, 3))
            at = BEGIN_MS + minute * 15_000 + number * 1_731 + int(dice.integers(-400, 400))
            gap = 100 <= minute < 128 and number == 2
            if gap or (number == 3 and minute < 90) or dice.random() < 0.04:
                continue
            samples.append((at, total))
        found[labels_of({"__name__": "requests_total", **labels})] = samples
        shown = {"__name__": "temperature", **labels} | ({"zone": "west"} if number % 3 else {})
        found[labels_of(shown)] = [
            (at + 7, float(dice.choice([math.nan, math.inf, -math.inf, -0.0]) if dice.random() < 0.06 else value))
            for (at, _), value in zip(samples, dice.normal(0, 4, len(samples)).round(), strict=True)
        ]
    for job in ("j0", "j1"):
        counts = np.zeros(6)
        bounds = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"]
        for minute in range(MINUTES * 4):
            counts += np.cumsum(dice.integers(0, 4, 6) * (dice.random(6) < 0.7))
            for bound, count in zip(bounds, counts.tolist(), strict=True):
                if not (job == "j1" and bound == "0.5" and minute % 40 < 9):
                    labels = labels_of({"__name__": "latency_seconds_bucket", "job": job, "le": bound})
                    found.setdefault(labels, []).append((BEGIN_MS + minute * 15_000 + 333, count))
    return found


def text(series: Series) -> Iterator[str]:
    """The samples as OpenMetrics; families together."""
    for name in dict.fromkeys(dict(labels)["__name__"] for labels in series):
        yield f"# TYPE {name} unknown\n"
        for labels, samples in series.items():
            known = dict(labels)
            if known.pop("__name__") == name:
                pairs = ",".join(f'{key}="{value}"' for key, value in known.items())
                for at, value in samples:
                    shown = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value)).replace("nan", "NaN")
                    yield f"{name}{{{pairs}}} {shown} {at / 1000:.3f}\n"
    yield "# EOF\n"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    series = made()
    buffer = Buffer(max_series=1000, max_samples=1_000_000, keep_s=1e6)
    for labels, samples in series.items():
        buffer.add([(labels, at, value) for at, value in samples])
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with running_prometheus(folder, f"127.0.0.1:{free_port()}", text(series)) as url:
        yield Both(url, Evaluator(buffer, Dialect.TWO))


QUERIES = (
    # selectors
    *("requests_total", 'requests_total{job="j0"}', 'requests_total{code!~"5.."}', 'temperature{zone=""}'),
    *('{__name__=~"requests.*",instance!="i1"}', "temperature offset 3m", "rate(requests_total[2m] offset 90s)"),
    # ranges
    *(f"{name}(requests_total[2m])" for name in ("rate", "increase", "irate", "resets", "changes", "delta", "idelta")),
    *(f"{name}(latency_seconds_bucket{{le='0.5'}}[1m])" for name in ("rate", "increase", "count_over_time", "irate")),
    *(f"rate(requests_total[{width}])" for width in ("20s", "31s", "1m", "7m", "20m")),
    *(f"delta(temperature[{width}])" for width in ("40s", "5m")),
    *(
        f"{name}(temperature[3m])"
        for name in sorted(locally.RANGES - {"rate", "increase", "irate", "absent_over_time"})
    ),
    'absent_over_time(requests_total{instance="i2"}[2m])',
    # aggregations
    *(f"{op} by (job) (requests_total)" for op in sorted(locally.AGGREGATIONS)),
    *(f"{op}(temperature)" for op in sorted(locally.AGGREGATIONS)),
    *("sum without (instance, code) (rate(requests_total[1m]))", "max without () (temperature)"),
    "sum by (nothing) (requests_total)",
    # operators
    *(f"requests_total {op} 7" for op in ("+", "-", "*", "/", "%", "^")),
    *(
        "7 - requests_total",
        "2 ^ 3 ^ 2 + vector(1)",
        "-temperature",
        "-(3)",
        "7 % -3 + vector(0)",
        "0 / 0",
        "1 > bool 0",
    ),
    *(f"temperature {op} 1" for op in sorted(locally.COMPARISONS)),
    *("temperature > bool 1", "1 < temperature", "1 < bool temperature"),
    *(f"requests_total {op} on (instance) temperature" for op in ("+", "/", ">", "==")),
    "requests_total > bool on (instance, job) temperature",
    *("temperature / ignoring (zone) requests_total", "requests_total > ignoring (zone) temperature"),
    "sum by (job) (rate(requests_total[2m])) / sum by (job) (rate(latency_seconds_bucket{le='+Inf'}[2m]))",
    *(
        'requests_total and on (instance) temperature{zone="west"}',
        'requests_total unless on (job) temperature{job="j0"}',
    ),
    *('requests_total{job="j1"} or on (job) temperature', "sum(nothing) or vector(0)", "nothing or requests_total"),
    # functions
    *(
        f"{name}(temperature)"
        for name in ("abs", "ceil", "floor", "sqrt", "exp", "ln", "log2", "log10", "sgn", "round")
    ),
    *("round(temperature, 0.1)", "clamp(temperature, -2, 2)", "clamp_min(temperature, 0)", "clamp_max(temperature, 0)"),
    *("clamp(temperature, 2, -2)", "time()", "time() - timestamp(requests_total)", "timestamp((requests_total))"),
    *("timestamp(requests_total + 0)", "scalar(requests_total)", "vector(time())"),
    'scalar(requests_total{instance="i2"}) + requests_total',
    *('absent(requests_total{instance="i2"})', "absent(nothing)", 'absent(nothing{a="b",c=~"d",e="f",e!="g"})'),
    *("absent(sum(nothing))", "absent(requests_total)"),
    *(
        f"histogram_quantile({q}, sum by (job, le) (rate(latency_seconds_bucket[2m])))"
        for q in (0, 0.5, 0.95, 1, 2, -1)
    ),
    "histogram_quantile(0.9, latency_seconds_bucket)",
    "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[1m])))",
    "histogram_quantile(scalar(sum(nothing)), latency_seconds_bucket)",
    'histogram_quantile(0.9, latency_seconds_bucket{le!="+Inf"})',
    *(
        'label_replace(requests_total, "n", "$1-x", "instance", "i(.)")',
        'label_replace(requests_total, "job", "", "", "")',
    ),
    'label_replace(max(timestamp(requests_total)), "aiops_companion", "age0", "", "")',
)

EMPTY = ("clamp(temperature, 2, -2)", "absent(requests_total)")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("query", QUERIES)
def test_a_range_of_instants_is_answered_as_prometheus_answers_it(both: Both, query: str, grid: str) -> None:
    begin, step = GRIDS[grid]
    span = (BEGIN_MS / 1000 + begin, BEGIN_MS / 1000 + MINUTES * 60 + 400, step)
    theirs, ours = both.theirs(query, *span), both.ours(query, *span)
    assert theirs or "nothing" in query or query in EMPTY
    assert ours.keys() == theirs.keys()
    for labels, wanted in theirs.items():
        assert ours[labels].keys() == wanted.keys(), labels
        for at, value in wanted.items():
            assert ours[labels][at] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), (labels, at)


@pytest.mark.parametrize(
    "query",
    [
        "requests_total / on (job) temperature",
        "requests_total{instance='i0'} + on (job) temperature",
        'label_replace(requests_total, "instance", "", "", "")',
        "abs({job=~'j.',instance='i0'})",
    ],
)
def test_what_prometheus_refuses_is_refused_here_too(both: Both, query: str) -> None:
    at = BEGIN_MS / 1000 + 1800
    with pytest.raises(urllib.error.HTTPError):
        both.theirs(query, at, at, 15)
    with pytest.raises(ValueError, match="series"):
        both.ours(query, at, at, 15)


def test_every_function_that_is_answered_is_compared() -> None:
    words = {word for query in QUERIES for word in _words(query)}
    known = locally.FUNCTIONS | locally.AGGREGATIONS | locally.OPERATORS
    assert known - words == set()


def _words(query: str) -> Iterator[str]:
    import promql_parser

    found: list[Any] = []
    promql_parser.walk(promql.parsed(query), found.append)
    for node in found:
        yield node.func.name if hasattr(node, "func") else str(getattr(node, "op", ""))
