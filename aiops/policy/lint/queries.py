"""Rules over single queries: too wide, too narrow in time, and the mistakes that PromQL lets pass."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aiops.policy.lint.asked import Asked, Role
from aiops.policy.lint.rule import Remark, Terms
from aiops.policy.lint.trees import COUNTER_FUNCTIONS, EVENTS, SMOOTHED, Selector

WIDE_S = 3600.0
SLOW_S = 300.0
_ANYTHING = (".*", ".+", "^.*$", "^.+$")
_BEGINS_ALIKE = re.compile(r"\$\(target\.[^)]*\)-?\.[*+]")
_COUNTERS = re.compile(r".*(_total|_bucket|_count|_sum)")


def no_matchers(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find selectors that read every series of a metric, whoever it belongs to."""
    for one in _selectors(asked):
        if asked.role is not Role.WATCH and not any(match.op == "=" or match.value for match in one.matchers):
            message = f"{one.metric or 'a selector'} without a matcher reads the series of every workload there is"
            yield Remark(path=asked.path, message=message, hint=f'{one.metric}{{service="..."}}')


def wide_regex(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find regular expressions that match anything, or that no index can answer."""
    for one in _selectors(asked):
        for match in one.matchers:
            if match.op == "=~" and match.value in _ANYTHING:
                yield Remark(path=asked.path, message=f'{match.name}=~"{match.value}" matches everything: leave it out')
            elif match.op == "=~" and match.value.startswith((".*", ".+")):
                message = f'{match.name}=~"{match.value}" begins with a wildcard: Prometheus tries every value of it'
                yield Remark(path=asked.path, message=message, hint="name the beginning, or match a label by =")


def wide_placeholder(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find regular expressions by which one target reads the series of others, too."""
    for one in _selectors(asked):
        for match in one.matchers:
            if match.op == "=~" and _BEGINS_ALIKE.search(match.value):
                message = f'{match.name}=~"{match.value}" matches every target whose name begins with this one\'s, too'
                yield Remark(path=asked.path, message=message, hint="= on a label, or pods by -[a-z0-9]+-[a-z0-9]{5}")


def many_series(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find signals whose query can answer several series: the loop cannot choose one."""
    if asked.role in (Role.WATCH, Role.PRESENCE) or asked.facts.single:
        return
    message = "this can answer several series, and a signal is one number: with two of them it is not usable"
    yield Remark(path=asked.path, message=message, hint="aggregate: sum(...), max(...)")


def wide_range(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find windows and subqueries of hours, which read every sample anew on every turn."""
    for one in _selectors(asked):
        window_s = one.range_s + one.subquery_s
        if window_s >= WIDE_S:
            message = f"{one.text} is read over {window_s / 3600:g} h on every turn, each {terms.step_s:g} s"
            yield Remark(path=asked.path, message=message, hint="make it a recording rule, and ask for its result")


def short_window(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find windows of rates in which there may be fewer than two samples."""
    least_s = 2 * terms.scrape_s
    for one in _selectors(asked):
        if one.within and one.within[-1] in COUNTER_FUNCTIONS and 0 < one.range_s < least_s:
            message = (
                f"{one.within[-1]}({one.text}[{one.range_s:g}s]) needs two samples, and with one each "
                f"{terms.scrape_s:g} s there are often fewer"
            )
            yield Remark(path=asked.path, message=message, hint=f"[{4 * terms.scrape_s:g}s] survives a missed scrape")


def slow_signal(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find demand that is averaged over so long that a step in load is seen too late."""
    for one in _selectors(asked):
        smoothed = any(name in SMOOTHED or name == "avg_over_time" for name in one.within)
        window_s = one.range_s + one.subquery_s
        if asked.role is Role.DEMAND and smoothed and window_s > SLOW_S:
            message = f"demand over {window_s:g} s shows a step in load half of that, {window_s / 2:g} s, late"
            yield Remark(path=asked.path, message=message, hint="a window of 1m to 2m; the forecast smooths by itself")


def counter_as_gauge(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find counters whose ever growing value is taken for a level."""
    for one in _selectors(asked):
        read = set(one.within) & (COUNTER_FUNCTIONS | EVENTS)
        if _COUNTERS.fullmatch(one.metric) and not read and ":" not in one.metric and asked.role is not Role.PRESENCE:
            message = f"{one.metric} looks like a counter: it grows until a restart, and is no level"
            yield Remark(path=asked.path, message=message, hint=f"rate({one.text}[1m])")


def rate_of_sum(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find rates over sums of counters: when one pod restarts the sum falls, and the rate leaps."""
    for one in _selectors(asked):
        names = list(one.within)
        outer = next((place for place, name in enumerate(names) if name in COUNTER_FUNCTIONS), len(names))
        if one.subquery_s and "sum" in names[outer + 1 :]:
            message = "the rate of a sum takes each restart of a pod for a leap in load"
            yield Remark(path=asked.path, message=message, hint="the sum of rates: sum(rate(...))")


def no_le(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find histogram quantiles over buckets whose bounds were aggregated away: they answer nothing."""
    for one in asked.facts.quantiles:
        if one.buckets and one.drops:
            message = f"histogram_quantile over {one.buckets[0]} needs the label le, which the aggregation drops"
            yield Remark(path=asked.path, message=message, hint="sum by (le) (rate(...))")


def average_of_quantiles(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find quantiles that are averaged or added: the result is no quantile of anything."""
    for one in _selectors(asked):
        names = list(one.within)
        quantile = names.index("histogram_quantile") if "histogram_quantile" in names else len(names)
        summary = any(match.name == "quantile" and match.op == "=" for match in one.matchers)
        outside = names[:quantile] if quantile < len(names) else names if summary else []
        wrong = next((name for name in outside if name in ("avg", "sum")), "")
        if wrong:
            message = f"the {wrong} of quantiles is no quantile: a pod with one slow request counts like all others"
            yield Remark(path=asked.path, message=message, hint="aggregate the buckets, then take the quantile; or max")


def shrinking_demand(asked: Asked, terms: Terms) -> Iterator[Remark]:
    """Find demand that falls when replicas are added: the loop would chase its own tail."""
    if asked.role is not Role.DEMAND:
        return
    if asked.facts.top in ("avg", "quantile"):
        message = f"demand is the {asked.facts.top} of replicas: it falls when there are more, who are taken away again"
        yield Remark(path=asked.path, message=message, hint="the total: sum(...)")
    elif asked.unit.strip().lower() in ("%", "percent", "ratio"):
        message = f"demand in {asked.unit!r} is a share of what runs: it falls when there is more"
        yield Remark(path=asked.path, message=message, hint="what is asked for, such as requests per second")


def _selectors(asked: Asked) -> tuple[Selector, ...]:
    return tuple({(one.text, one.range_s, one.within): one for one in asked.facts.selectors}.values())
