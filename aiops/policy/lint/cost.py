"""What policies cost Prometheus, before anything is asked: queries a minute, and samples for each series."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from aiops.core.planning.cost_rightsize import RightsizePolicy
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.policies import AnyPolicy, ScalingPolicy
from aiops.policy import queries_per_tick
from aiops.policy.lint.asked import asked
from aiops.policy.lint.rule import Terms
from aiops.policy.lint.trees import Selector, facts
from aiops.policy.placeholders import any_in

DEFAULT_SUBQUERY_STEP_S = 60.0
"""Prometheus' evaluation interval, where a subquery does not say its step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one query costs. samples_per_series: read by one evaluation for each series of its selectors, at most.

    selectors: those that the author wrote; none for a query that is asked beside another. targets: for how many it is
    asked, at most: those that selectors may match. turns: how often in a step; less than one for what is asked in some
    turns alone, more for what is asked between ordinary turns, too.
    """

    query: str
    selectors: tuple[str, ...]
    samples_per_series: int
    targets: int = 1
    turns: float = 1.0

    @property
    def times(self) -> float:
        """Return how often it is asked in a step."""
        return self.targets * self.turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What policies ask. queries: each once, whoever asks; by_policy: the queries of each policy, by key."""

    queries: Mapping[str, Cost]
    by_policy: Mapping[str, tuple[str, ...]]
    step_s: float

    def queries_per_minute(self, key: str | None = None) -> float:
        """Return the queries a minute of a policy, or of all together, shared ones once."""
        return sum(self.queries[one].times for one in self._asked(key)) * 60.0 / self.step_s

    def samples_per_minute(self, key: str | None = None) -> float:
        """Return the samples a minute for each series that a selector matches, at most."""
        costs = (self.queries[one] for one in self._asked(key))
        return sum(one.samples_per_series * one.times for one in costs) * 60.0 / self.step_s

    def _asked(self, key: str | None) -> Collection[str]:
        return self.queries if key is None else self.by_policy[key]


def bill(policies: Iterable[AnyPolicy], terms: Terms) -> Bill:
    """Return what policies ask of Prometheus."""
    listed = tuple(policies)
    by_policy = {policy.key: (*queries_per_tick(policy), *_tables(policy, terms)) for policy in listed}
    texts = dict.fromkeys(query for queries in by_policy.values() for query in queries)
    written = {one.expr for policy in listed for one in asked(policy)}
    costs: dict[str, Cost] = {}
    for text in texts:
        askers = [one for one in listed if text in by_policy[one.key]]
        turns = max(_turns(text, one, terms) for one in askers)
        costs[text] = replace(_cost(text, terms, written=text in written), targets=_targets(text, askers), turns=turns)
    return Bill(queries=costs, by_policy=by_policy, step_s=terms.step_s)


def _turns(query: str, policy: AnyPolicy, terms: Terms) -> float:
    """Return how often a policy asks a query in a step: failovers are judged between ordinary turns, too."""
    if isinstance(policy, FailoverPolicy):
        return 1.0 + terms.step_s / terms.lane_s
    return _tables(policy, terms).get(query, 1.0)


def _tables(policy: AnyPolicy, terms: Terms) -> dict[str, float]:
    """Return the queries with many series of a policy, and how often each is asked in a turn."""
    if not isinstance(policy, RightsizePolicy):
        return {}
    return {one.expr: min(1.0, terms.step_s / policy.sizing.sample_s) for one in policy.queries.values()}


def _cost(query: str, terms: Terms, *, written: bool) -> Cost:
    selectors = facts(query).selectors
    return Cost(
        query=query,
        selectors=tuple(dict.fromkeys(one.text for one in selectors)) if written else (),
        samples_per_series=sum(samples(one, terms.scrape_s) for one in selectors),
    )


def _targets(query: str, policies: Sequence[AnyPolicy]) -> int:
    """Return for how many targets a query is asked: for each of a selector's, unless it is the same for all of them."""
    if not any_in(query):
        return 1
    selections = [one.selection for one in policies if isinstance(one, ScalingPolicy)]
    return max(1, sum(one.max_targets for one in selections if one is not None))


def samples(selector: Selector, scrape_s: float) -> int:
    """Return the samples that one evaluation reads of one series: its window's, for each step of what is around it."""
    own = max(1, math.ceil(selector.range_s / scrape_s))
    if not selector.subquery_s:
        return own
    return own * max(1, math.ceil(selector.subquery_s / (selector.subquery_step_s or DEFAULT_SUBQUERY_STEP_S)))
