"""How far one daemon goes: turns by series, policies and clusters, beside the bare download of the same answers.

`python benchmarks/bench_scale.py [PART[=SIZE,...] ...]`, of `ingest`, `series`, `million`, `policies`, `clusters`,
`fit`; all without any, and such as `series=1000,10000` for these sizes alone. Times are processor time of this process,
medians, for other load on the machine does not count; the source is a process of its own. What was measured is kept in
out/scale.json, so that parts can be run one by one; `fit` takes it from there.
"""

from __future__ import annotations

import gc
import json
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import orjson

from aiops.adapters.prometheus import NamedSources, PrometheusOptions, PrometheusSource
from aiops.adapters.prometheus.asking import HttpAsker
from aiops.core.bank import Bank
from aiops.core.model import Frame, SeriesIndex, TargetRef
from aiops.core.policies import PolicySet, ScalingPolicy, WatchPolicy
from aiops.policy import parse
from benchmarks.scale_world import turning

ROOT = Path(__file__).parents[1]
WATCH = """
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: all}
spec: {query: load, identity: [pod], maxSeries: 1000000, history: 1h}
"""
SCALING = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: NAME, namespace: shop}
spec:
  mode: enforce
  target: {name: NAME}
  signals:
    demand: {query: "sum(demand{service='NAME'})"}
    latency: {query: "sum(latency{service='NAME'})", unit: s}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 2, maxReplicas: 40}
"""
KEPT = ROOT / "out" / "scale.json"
SERIES, POLICIES, CLUSTERS = (1_000, 10_000, 100_000, 300_000, 1_000_000), (10, 100, 1_000, 10_000), (1, 3, 10, 30, 100)
TURNS = 5
LEARNING = 45
"""Steps of a minute after which what is watched is known."""

LARGE = 2_000_000
Rows = list[tuple[float, ...]]


@contextmanager
def prepared(series: int) -> Iterator[str]:
    """Yield the URL of a source of so many series."""
    command = [sys.executable, "-m", "benchmarks.prepared_source", str(series)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait(10)


def options(url: str) -> PrometheusOptions:
    return PrometheusOptions(url=url, timeout_s=300.0, retries=0, max_series=LARGE, max_bytes=10**9)


def spent(work: Callable[[], object], turns: int = TURNS) -> float:
    """Return milliseconds of processor time, the median of some turns."""
    took = []
    for _ in range(turns):
        gc.collect()
        began = time.process_time()
        work()
        took.append((time.process_time() - began) * 1e3)
    return statistics.median(took)


def resident_mb() -> float:
    """Return what the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def download(url: str) -> bytes:
    with urllib.request.urlopen(f"{url}/api/v1/query?query=load") as answer:
        return bytes(answer.read())


def bare(url: str) -> np.ndarray:
    """Return the values of an answer, downloaded and decoded with nothing around it."""
    found = orjson.loads(download(url))["data"]["result"]
    return np.array([float(one["value"][1]) for one in found])


# -- parts -------------------------------------------------------------------------------------------------


def ingest(series: int = 100_000) -> None:
    """Compare the ways to ask for one large answer."""
    from prometheus_api_client import PrometheusConnect

    with prepared(series) as url:
        asker, client = HttpAsker(options(url)), PrometheusConnect(url=url)
        params = {"time": f"{time.time():.3f}"}
        ways: tuple[tuple[str, Callable[[], object]], ...] = (
            ("bare download", lambda: download(url)),
            ("bare download and decode", lambda: bare(url)),
            ("prometheus-api-client, its own session", lambda: client.custom_query("load")),
            ("prometheus-api-client, our session", lambda: asker._plain("load", params)),
            ("streamed into arrays, labels new", lambda: (asker.keep(()), asker._streamed("load", params))),
            ("streamed into arrays, labels known", lambda: asker._streamed("load", params)),
        )
        print(f"\nan answer of {series:,} series, {len(download(url)) / 1e6:.1f} MB, on loopback")
        print(f"{'way':<42}{'ms':>9}{'of the bare decode':>20}")
        rows = [(name, spent(way)) for name, way in ways]
        for name, milliseconds in rows:
            print(f"{name:<42}{milliseconds:>9.1f}{milliseconds / rows[1][1]:>20.2f}", flush=True)
        few = [
            ("a query of one series: bare", spent(lambda: download_one(url), 50)),
            ("prometheus-api-client, its own session", spent(lambda: client.custom_query("one"), 50)),
            ("prometheus-api-client, our session", spent(lambda: asker._plain("one", params), 50)),
            ("streamed", spent(lambda: asker._streamed("one", params), 50)),
        ]
        for name, milliseconds in few:
            print(f"{name:<42}{milliseconds:>9.2f}")
        asker.close()


def download_one(url: str) -> object:
    with urllib.request.urlopen(f"{url}/api/v1/query?query=one") as answer:
        return orjson.loads(answer.read())


def series_curve(sizes: Sequence[int]) -> Rows:
    """Print turns of one watch by the number of its series."""
    policies, rows = parse(WATCH, "bench"), []
    print("\none WatchPolicy; turn: read, perceive, decide and record. Memory: of the daemon beyond its start")
    print(
        f"{'series':>9} {'bare ms':>9} {'turn ms':>9} {'ratio':>6} {'read ms':>9} {'first ms':>9} "
        f"{'MB':>7} {'bytes/series':>13}"
    )
    for series in sizes:
        before_mb = resident_mb()
        with prepared(series) as url, turning(policies, PrometheusSource(options(url))) as one:
            first_ms = spent(one.turn, 1)
            for _ in range(LEARNING):
                one.turn(60.0)
            bare_ms, turn_ms = spent(partial(bare, url)), spent(one.turn)
            read_ms = spent(partial(one.source.read, (), (policies.watches[0].query,), one.at))
            gc.collect()
            held_mb, ratio = resident_mb() - before_mb, turn_ms / bare_ms
            print(
                f"{series:>9,} {bare_ms:>9.1f} {turn_ms:>9.1f} {ratio:>6.2f} {read_ms:>9.1f} {first_ms:>9.0f} "
                f"{held_mb:>7.0f} {held_mb * 1e6 / series:>13.0f}",
                flush=True,
            )
            rows.append((float(series), turn_ms, held_mb))
        del one
        gc.collect()
    return rows


def million(rows: int = 1_000_000, lead: int = LEARNING) -> None:
    """Print how long the fleet's models take for a million series once they know them."""
    (watch,) = parse(WATCH, "bench").watches
    policies = PolicySet(digest="bench", watches=(watch,))
    chance, names = np.random.default_rng(1), tuple({"pod": f"pod-{row}"} for row in range(rows))
    index = SeriesIndex(keys=tuple(f"{watch.key}#pod={one['pod']}" for one in names), labels=names)
    frames, learn = [100.0 + chance.normal(0, 3, rows) for _ in range(8)], np.ones(rows, np.bool_)
    bank, now = Bank(policies), 1_772_409_600.0
    took: list[float] = []

    def tick(step_s: float, trouble: float = 0.0) -> float:
        nonlocal now
        now += step_s
        values = frames[len(took) % len(frames)] + chance.uniform(0, 1)
        values[: int(rows * trouble)] += 300.0
        began = time.process_time()
        bank.perceive(Frame(at=now, index=index, values=values, learn=learn), {}, policies)
        return time.process_time() - began

    took += [tick(60.0) for _ in range(lead)]
    calm = statistics.median(tick(15.0) for _ in range(9))
    storm = statistics.median(tick(15.0, 0.002) for _ in range(5))
    size = sum(array.nbytes for key, array in bank.arrays().items() if key != "about")
    print(f"\ndetection of {rows:,} series on one core, after {lead} steps of learning")
    print(f"calm {calm:.3f} s, with 0.2 % anomalous {storm:.3f} s")
    print(f"while it learns: the first {took[0]:.2f} s, the last {took[-1]:.2f} s")
    print(f"{size / rows:.0f} bytes a series of state, {resident_mb():.0f} MB resident with names and frames")


def scaling(count: int) -> tuple[ScalingPolicy, ...]:
    (one,) = parse(SCALING.replace("NAME", "s"), "bench").scaling
    made = []
    for number in range(count):
        key, name = f"ScalingPolicy/shop/s{number}", f"s{number}"
        signals = {
            label: replace(
                signal,
                query=replace(
                    signal.query,
                    policy=key,
                    expr=signal.query.expr.replace('"s"', f'"{name}"').replace("'s'", f"'{name}'"),
                    age_exprs=tuple(expr.replace('"s"', f'"{name}"') for expr in signal.query.age_exprs),
                ),
            )
            for label, signal in one.signals.items()
        }
        made.append(replace(one, key=key, target=TargetRef(namespace="shop", name=name), signals=signals))
    return tuple(made)


def policies_curve(sizes: Sequence[int]) -> Rows:
    """Print turns by the number of ScalingPolicies, each with two signals of its own."""
    rows = []
    print("\nScalingPolicies of two signals, queries of their own; turn: ask, decide, record")
    print(f"{'policies':>9} {'queries':>9} {'turn ms':>9} {'ask ms':>9} {'rest ms':>9} {'ms/policy':>10} {'MB':>7}")
    with prepared(10) as url:
        for count in sizes:
            policies, before_mb = PolicySet(digest=f"p{count}", scaling=scaling(count)), resident_mb()
            with turning(policies, PrometheusSource(options(url))) as one:
                one.turn()
                one.turn()
                turns = 3 if count >= 10_000 else TURNS
                turn_ms = spent(one.turn, turns)
                signals = tuple(spec.query for policy in policies.scaling for spec in policy.signals.values())
                ask_ms = spent(partial(one.source.read, signals, (), one.at), turns)
                queries, held_mb = len(one.source.plan.queries), resident_mb() - before_mb
                rest = turn_ms - ask_ms
                print(
                    f"{count:>9,} {queries:>9,} {turn_ms:>9.1f} {ask_ms:>9.1f} {rest:>9.1f} {turn_ms / count:>10.3f} "
                    f"{held_mb:>7.0f}",
                    flush=True,
                )
                rows.append((float(count), float(queries), ask_ms, rest))
    return rows


def clusters_curve(sizes: Sequence[int]) -> Rows:
    """Print turns by the number of clusters, each with a source, ten policies and a watch of its own."""
    rows = []
    (watch,) = parse(WATCH, "bench").watches
    print("\nclusters, each with a source of 1,000 series, 10 ScalingPolicies and a WatchPolicy")
    print(f"{'clusters':>9} {'queries':>9} {'turn ms':>9} {'ms/cluster':>11} {'MB':>7}")
    with prepared(1_000) as url:
        for count in sizes:
            before_mb = resident_mb()
            names = [f"c{number}" for number in range(count)]
            with turning(_fleet(names, watch), _sources(names, url)) as one:
                one.turn()
                one.turn()
                turn_ms, queries = spent(one.turn, 5), len(one.source.plan.queries)
                held_mb = resident_mb() - before_mb
                print(f"{count:>9} {queries:>9,} {turn_ms:>9.1f} {turn_ms / count:>11.2f} {held_mb:>7.0f}", flush=True)
                rows.append((float(count), turn_ms))
    return rows


def _sources(names: list[str], url: str) -> NamedSources:
    made = {name: PrometheusSource(replace(options(f"{url}/{name}"), concurrency=2)) for name in names}
    return NamedSources(default=PrometheusSource(options(url)), named=made, limits_s=dict.fromkeys(names, 300.0))


def _fleet(names: list[str], watch: WatchPolicy) -> PolicySet:
    policies, watches = [], []
    for name in names:
        key = f"WatchPolicy/{name}/all"
        watches.append(replace(watch, key=key, query=replace(watch.query, policy=key, source=name)))
        for one in scaling(10):
            key = f"{one.key}-{name}"
            signals = {
                label: replace(spec, query=replace(spec.query, policy=key, source=name))
                for label, spec in one.signals.items()
            }
            policies.append(replace(one, key=key, target=replace(one.target, cluster=name), signals=signals))
    return PolicySet(digest=f"f{len(names)}", scaling=tuple(policies), watches=tuple(watches))


def fit(by_series: Rows, by_policies: Rows, by_clusters: Rows) -> None:
    """Print the cost model: least squares of relative errors, so that the small count as much as the large."""
    series = _line([(one[0], one[1]) for one in by_series])
    memory = _line([(one[0], one[2]) for one in by_series])
    query = _line([(one[1], one[2]) for one in by_policies])
    rest = _line([(one[0], one[3]) for one in by_policies])
    clusters = _line([(one[0], one[1]) for one in by_clusters])
    print("\nfitted: turn ms = fixed + each x count")
    print(f"{'of':<44}{'fixed ms':>10}{'us each':>10}{'worst error':>13}")
    named = (
        ("watched series, ask to record", series),
        ("query of a signal, ask", query),
        ("ScalingPolicy of two signals, the rest", rest),
        ("cluster of 1,000 series and 10 policies", clusters),
    )
    for name, (fixed, each, worst) in named:
        print(f"{name:<44}{fixed:>10.2f}{each * 1e3:>10.3f}{worst:>13.0%}")
    print(f"{'memory of a watched series, bytes':<54}{memory[1] * 1e6:>10.0f}")


def _line(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return what is fixed, what each costs, and the worst relative error."""
    x, y = np.array([one[0] for one in points]), np.array([max(one[1], 1e-3) for one in points])
    left = np.stack([np.ones_like(x), x], axis=1) / y[:, None]
    (fixed, each), *_ = np.linalg.lstsq(left, np.ones_like(y), rcond=None)
    return float(fixed), float(each), float(np.abs((fixed + each * x) / y - 1.0).max())


def kept() -> dict[str, dict[str, tuple[float, ...]]]:
    """Return what was measured until now, by part and size."""
    return json.loads(KEPT.read_text()) if KEPT.exists() else {}


def keep(part: str, rows: Rows) -> None:
    """Keep what was measured."""
    every = kept()
    every.setdefault(part, {}).update({f"{row[0]:.0f}": row for row in rows})
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(every))


def main() -> None:
    for asked in sys.argv[1:] or ["ingest", "series", "million", "policies", "clusters", "fit"]:
        part, _, text = asked.partition("=")
        began, sizes = time.monotonic(), tuple(int(one) for one in text.split(",") if one)
        match part:
            case "ingest":
                ingest(*sizes)
            case "million":
                million(*sizes)
            case "series":
                keep(part, series_curve(sizes or SERIES))
            case "policies":
                keep(part, policies_curve(sizes or POLICIES))
            case "clusters":
                keep(part, clusters_curve(sizes or CLUSTERS))
            case "fit":
                fit(*([*kept()[name].values()] for name in ("series", "policies", "clusters")))
            case _:
                sys.exit(f"{part}: no part; there are ingest, series, million, policies, clusters and fit")
        print(f"({asked}: {time.monotonic() - began:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
