"""How often what policies ask for is sampled, against the windows of their queries, their maxAge and the turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiops.app.doctor.findings import Finding, fail, ok, skip, warn
from aiops.app.doctor.scene import MOST_SAID
from aiops.core.policies import SignalSpec
from aiops.policy.lint.trees import facts

TWO_SAMPLES = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv", "resets", "changes"})
"""Functions that say nothing of a single sample."""

LOOKBACK_S = 300.0
"""How old a sample may be before Prometheus takes a series for gone."""

SCRAPES_VARY = 0.95
"""A window of two intervals is not taken for shorter because scrapes come some milliseconds late."""

MOST_ASKED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One selector of a signal. range_s: 0 without a window. function: the innermost one around it."""

    spec: SignalSpec
    text: str
    range_s: float
    function: str


def windows(specs: Sequence[SignalSpec]) -> list[Window]:
    """Return the selectors of signals, each once for each signal."""
    return [
        Window(spec=spec, text=one.text, range_s=one.range_s, function=one.within[-1] if one.within else "")
        for spec in specs
        for one in facts(spec.query.expr).selectors
    ]


def sampling(
    label: str, specs: Sequence[SignalSpec], step_s: float, intervals: Callable[[Sequence[str]], Mapping[str, float]]
) -> Iterator[Finding]:
    """Find what is sampled too seldom. intervals: says how often samples of selectors come, as far as it is known."""
    name = f"{label}: sampling"
    wanted = windows(specs)
    texts = list(dict.fromkeys(one.text for one in wanted))
    known = intervals(texts[:MOST_ASKED])
    if not known:
        yield skip(name, "no series that is asked for has three samples within 15 minutes")
        return
    problems = [problem for one in wanted if one.text in known for problem in _too_seldom(one, known[one.text])]
    yield from list(dict.fromkeys(problems))[:MOST_SAID]
    if not problems:
        rarest, often = max(known.values()), min(known.values())
        every = f"each {often:.3g} s" if rarest - often < 0.1 * often else f"each {often:.3g} to {rarest:.3g} s"
        yield ok(name, f"{len(known)} of {len(texts)} selectors are sampled {every}; a turn is {step_s:g} s")


def _too_seldom(one: Window, interval_s: float) -> Iterator[Finding]:
    name = f"policy {one.spec.query.policy}"
    what = f"signal {one.spec.query.name}: {one.text} is sampled each {interval_s:.3g} s"
    needed = 2 if one.function in TWO_SAMPLES else 1
    if one.range_s and one.range_s < SCRAPES_VARY * needed * interval_s:
        words = f"{one.function} over {one.range_s:g} s" if one.function else f"a window of {one.range_s:g} s"
        longer = f"a window of {max(4, needed) * interval_s:.0f} s"
        yield fail(
            name, f"{what}, {words} often holds fewer than {needed} samples", f"ask for {longer}, or scrape more"
        )
    if not one.range_s and interval_s > LOOKBACK_S:
        yield fail(name, f"{what}: Prometheus takes it for gone in between", "scrape it within 5 minutes")
    if SCRAPES_VARY * interval_s > one.spec.max_age_s:
        fix = f"raise maxAge to {2 * interval_s:.0f} s or more, or scrape more often"
        yield fail(name, f"{what}, and stale after maxAge {one.spec.max_age_s:g} s", fix)
    elif SCRAPES_VARY * 2 * interval_s > one.spec.max_age_s:
        fix = f"raise maxAge to {2 * interval_s:.0f} s or more"
        yield warn(name, f"{what}; with maxAge {one.spec.max_age_s:g} s one missed scrape makes it stale", fix)
