"""Metrics sources: do they answer, is their clock ours, is there what policies ask for, how often, how fresh."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from aiops.app.doctor.findings import Area, Check, Finding, fail, ok, skip, warn
from aiops.app.doctor.sampling import sampling
from aiops.app.doctor.scene import ENOUGH_RATIO, MOST_SAID, Scene, listed
from aiops.app.scrape_settings import local_sources
from aiops.app.surroundings import prometheus_options
from aiops.core.model import Answer, NoSeries, Signal, SignalMemory, SignalState
from aiops.core.observe.signals import reading
from aiops.core.policies import Reaction, SignalSpec, WatchQuery
from aiops.policy.lint.trees import facts

if TYPE_CHECKING:
    from aiops.adapters.prometheus import PrometheusOptions
    from aiops.adapters.prometheus.probe import Probe

CLOCK_WARN_S, CLOCK_FAIL_S = 5.0, 60.0
"""From the first on the loop says it, and takes answers for as old as they are; a minute makes most of them stale."""

FULL_RATIO = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One metrics source with what is asked of it. label: what people call it."""

    label: str
    options: PrometheusOptions
    signals: Sequence[SignalSpec]
    watches: Sequence[WatchQuery]
    step_s: float
    timeout_s: float

    @property
    def expressions(self) -> list[str]:
        """Return every query that policies wrote."""
        presences = (spec.query.presence_expr for spec in self.signals)
        written = [spec.query.expr for spec in self.signals] + [one.expr for one in self.watches]
        return list(dict.fromkeys([*written, *(one for one in presences if one)]))


def checks(scene: Scene) -> list[Check]:
    """Return the checks of every source of the settings."""
    settings = scene.settings
    made = [Check(area=Area.METRICS, name="sources", look=lambda: _named(scene))]
    if settings.prometheus is None:
        return made
    wanted = {"": settings.prometheus, **settings.sources}
    for name, one in wanted.items():
        options = prometheus_options(one)
        short = replace(options, timeout_s=min(options.timeout_s, scene.timeout_s), retries=0, jitter_s=0.0)
        specs = [spec for policy in scene.asking for spec in policy.signals.values() if spec.query.source == name]
        source = Source(
            label=f"source {name}" if name else "prometheus",
            options=short,
            signals=specs,
            watches=_watches(scene) if not name else (),
            step_s=settings.step,
            timeout_s=scene.timeout_s,
        )
        made += _of_source(source, scene.now)
    return made


def _of_source(source: Source, now: Callable[[], float]) -> list[Check]:
    label = source.label

    def asked(look: Callable[[Source, Probe], Iterable[Finding]]) -> Callable[[], Iterable[Finding]]:
        def looked() -> Iterable[Finding]:
            from aiops.adapters.prometheus.probe import Probe

            probe = Probe(source.options, now)
            try:
                return list(look(source, probe))
            finally:
                probe.close()

        return looked

    return [
        Check(area=Area.METRICS, name=label, look=asked(_reach), reaches=True),
        Check(area=Area.METRICS, name=f"{label}: metrics", look=asked(_exist), needs=label),
        Check(area=Area.METRICS, name=f"{label}: signals", look=lambda: _signals(source, now), needs=label),
        Check(area=Area.METRICS, name=f"{label}: sampling", look=asked(_sampled), needs=label),
        Check(area=Area.METRICS, name=f"{label}: series", look=asked(_series), needs=label),
    ]


def _watches(scene: Scene) -> tuple[WatchQuery, ...]:
    tables = (one for policy in scene.policies.plans for one in policy.tables(-math.inf, scene.now()).values())
    return (*(one.query for one in scene.policies.watches), *tables)


def _named(scene: Scene) -> Iterator[Finding]:
    """Find signals of sources that the settings do not have."""
    known = sorted({*scene.settings.sources, *(local_sources(scene.settings) - {""})})
    for policy in scene.asking:
        for spec in policy.signals.values():
            if spec.query.source and spec.query.source not in known:
                what = f"signal {spec.query.name} asks the source {spec.query.source}; there are {listed(known) or '-'}"
                yield fail(f"policy {policy.key}", what, f"add sources.{spec.query.source}.url to the settings")


# -- one source --------------------------------------------------------------------------------------------


def _reach(source: Source, probe: Probe) -> Iterator[Finding]:
    label = source.label
    clock = probe.clock()
    version = probe.version()
    told = f"version {version}" if version else "a version it does not tell"
    yield ok(label, f"{source.options.url} answers, {told}")
    yield clock_of(f"{label}: clock", clock.ahead_s, clock.within_s)


def clock_of(name: str, ahead_s: float, within_s: float) -> Finding:
    """Return what a difference of clocks means."""
    off_s = max(0.0, abs(ahead_s) - within_s)
    which = "ahead of" if ahead_s > 0 else "behind"
    what = f"its clock is {abs(ahead_s):.1f} s {which} ours (known within {within_s:.1f} s)"
    fix = "run NTP or chrony here and there: what is old cannot be told from what is new"
    if off_s >= CLOCK_FAIL_S:
        return fail(name, what, fix)
    return warn(name, what, fix) if off_s >= CLOCK_WARN_S else ok(name, what)


def _exist(source: Source, probe: Probe) -> Iterator[Finding]:
    name = f"{source.label}: metrics"
    wanted = {metric: expr for expr in source.expressions for metric in _metrics(expr)}
    if not wanted:
        yield skip(name, "no policy asks it for anything")
        return
    here = probe.present(wanted)
    gone = [metric for metric in wanted if metric not in here]
    lately = probe.present(gone, within_s=86_400.0) if gone else {}
    every = probe.names() if len(lately) < len(gone) else ()
    for metric in gone[:MOST_SAID]:
        if metric in lately:
            fix = "look whether its target is scraped: /targets of Prometheus"
            yield fail(name, f"{metric} has no sample now; {lately[metric]} series had some within a day", fix)
            continue
        near = difflib.get_close_matches(metric, every, n=1)
        hint = f"did you mean {near[0]}? else " if near else ""
        fix = f"{hint}correct the query, or let Prometheus scrape what exports it"
        yield fail(name, f"{metric} does not exist: {_users(source, metric)}", fix)
    if len(gone) > MOST_SAID:
        yield fail(name, f"{len(gone) - MOST_SAID} more metrics are not there", "see those above")
    if not gone:
        yield ok(name, f"all {len(wanted)} metrics that policies name are there")


def _metrics(expr: str) -> list[str]:
    """Return the metrics that a query names, each by its whole name."""
    return list(dict.fromkeys(one.metric for one in facts(expr).selectors if one.metric))


def _users(source: Source, metric: str) -> str:
    """Return which policies ask for a metric."""
    users = [spec.query.policy for spec in source.signals if metric in _metrics(spec.query.expr)]
    users += [one.policy for one in source.watches if metric in _metrics(one.expr)]
    return f"asked for by {listed(dict.fromkeys(users), 3)}" if users else "asked for as a presence"


def _sampled(source: Source, probe: Probe) -> Iterator[Finding]:
    ends_at = time.monotonic() + ENOUGH_RATIO * source.timeout_s

    def intervals(selectors: Sequence[str]) -> dict[str, float]:
        known: dict[str, float] = {}
        for one in selectors:
            if time.monotonic() > ends_at:
                break
            found = probe.interval_s(one)
            if found is not None:
                known[one] = found
        return known

    yield from sampling(source.label, source.signals, source.step_s, intervals)


def _series(source: Source, probe: Probe) -> Iterator[Finding]:
    name = f"{source.label}: series"
    full = 0
    for one in source.watches:
        series = probe.count(one.expr)
        what = f"{one.policy} watches {series} series, at most {one.max_series}"
        if series > one.max_series:
            full += 1
            yield fail(name, f"{what}: the daemon refuses to read them", "narrow its selector, or raise maxSeries")
        elif series == 0:
            yield warn(name, f"{one.policy} watches nothing: no series", "look at its selector")
        elif series > FULL_RATIO * one.max_series:
            yield warn(name, what, "narrow its selector, or raise maxSeries before it is full")
    if source.watches and not full:
        yield ok(name, f"{len(source.watches)} queries of many series are within their limits")


# -- signals, as the loop reads them -----------------------------------------------------------------------


def _signals(source: Source, now: Callable[[], float]) -> Iterable[Finding]:
    name = f"{source.label}: signals"
    if not source.signals:
        return [skip(name, "no policy has a signal of it")]
    from aiops.adapters.prometheus import PrometheusSource

    at = now()
    asked = PrometheusSource(source.options)
    try:
        answers = asked.read([spec.query for spec in source.signals], (), at).answers
    finally:
        asked.close()
    return states(name, source.signals, answers, at)


def states(
    name: str, specs: Sequence[SignalSpec], answers: Mapping[str, Mapping[str, Answer]], at: float
) -> list[Finding]:
    """Return what signals are, by the loop's own rules (S1); those that are values are told together."""
    found: list[Finding] = []
    ages: list[float] = []
    for spec in specs:
        answer = answers.get(spec.query.policy, {}).get(spec.query.name)
        signal = reading(spec, answer, SignalMemory(), 1, at).signal
        if signal.usable:
            ages.append(signal.age_s)
        else:
            found.append(_unusable(spec, signal, answer))
    more = found[MOST_SAID:]
    found = found[:MOST_SAID]
    if more:
        found.append(fail(name, f"{len(more)} more signals are no values", "see those above"))
    if ages:
        finite = [age for age in ages if math.isfinite(age)]
        oldest = f", the oldest {max(finite):.0f} s old" if finite else ""
        found.append(ok(name, f"{len(ages)} of {len(specs)} signals are values{oldest}"))
    return found


def _unusable(spec: SignalSpec, signal: Signal, answer: Answer | None) -> Finding:
    name = f"policy {spec.query.policy}"
    what = f"signal {spec.query.name} is {signal.state.value}: {signal.detail}"
    match signal.state:
        case SignalState.ABSENT | SignalState.EMPTY:
            return _nothing(spec, what, answer)
        case SignalState.STALE:
            return fail(name, what, f"look whether its target is scraped; maxAge is {spec.max_age_s:g} s")
        case SignalState.FAILED:
            return fail(name, what, "ask Prometheus the query by hand")
        case SignalState.NAN:
            return warn(name, what, "for a quantile without traffic say whenNoTraffic: meets-slo")
        case SignalState.PARTIAL:
            return warn(name, what, "look which of its targets are down: /targets of Prometheus")
        case SignalState.VALUE:
            return ok(name, what)
        case unknown:
            assert_never(unknown)


def _nothing(spec: SignalSpec, what: str, answer: Answer | None) -> Finding:
    """Return why a query has no series."""
    name = f"policy {spec.query.policy}"
    coverage = answer.coverage if isinstance(answer, NoSeries) else None
    if coverage is not None and coverage.series:
        fix = f"its selectors find {coverage.series} series: look at its windows, and how its parts are matched"
    else:
        what += f": nothing matches {listed(dict.fromkeys(one.text for one in facts(spec.query.expr).selectors), 3)}"
        fix = "look at the labels in its selectors"
    fix += "; where nothing means zero, say onAbsent: zero with a presence"
    return fail(name, what, fix) if spec.on_absent is Reaction.HOLD else warn(name, what, fix)
