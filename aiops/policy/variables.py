"""The variables of conditions: what each is, in which unit, and what entries of lists have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Sort(StrEnum):
    """What a field of an entry is."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "true or false"
    TEXTS = "texts"
    LABELS = "labels"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A name that conditions may use. sorts: of the fields of a list's entries, by name; none of a number."""

    name: str
    unit: str
    meaning: str
    sorts: Mapping[str, Sort] = field(default_factory=dict)

    @property
    def members(self) -> tuple[str, ...]:
        """Return the fields that entries of a list have."""
        return tuple(self.sorts)


_OF_BUDGETS = (
    ("budget", "USD", "the amount of the CostBudget that covers the policy; of several the one nearest to its end,"),
    ("spent", "USD", "what is known to be spent so far in its scope,"),
    ("left", "USD", "the amount less what is spent; below 0 when it is overdrawn,"),
    ("burn", "1", "spent over what an even use would have spent by now, 1 ends on the amount,"),
    ("projected", "USD", "what its scope will have spent when it ends, where that can be told,"),
    ("low", "USD", "the lower end of the 80 % interval of that,"),
    ("high", "USD", "the upper end of the 80 % interval of that,"),
    ("chance", "1", "the probability that it will be more than the amount, where that can be told,"),
)

_TEXT, _NUMBER, _LABELS = Sort.TEXT, Sort.NUMBER, Sort.LABELS

VARIABLES = (
    Variable(name="slo.atMost", unit="of its signal", meaning="objective.slo.atMost, where there is an SLO"),
    Variable(name="forecast.p50", unit="of demand", meaning="the greatest median demand until a new replica serves"),
    Variable(name="forecast.p95", unit="of demand", meaning="the same of the 95 % quantile"),
    Variable(name="forecast.p99", unit="of demand", meaning="the same of the 99 % quantile"),
    Variable(name="replicas.current", unit="1", meaning="replicas that are asked for now"),
    Variable(name="replicas.ready", unit="1", meaning="replicas that serve"),
    Variable(name="replicas.min", unit="1", meaning="the floor in force, by window"),
    Variable(name="replicas.max", unit="1", meaning="the ceiling in force, by window"),
    Variable(name="replicas.wanted", unit="1", meaning="what is left of the wish at this guard"),
    Variable(name="time.hour", unit="h", meaning="0 to 23, in spec.timeZone"),
    Variable(name="time.minute", unit="min", meaning="0 to 59"),
    Variable(name="time.weekday", unit="d", meaning="0 is Monday, 6 Sunday"),
    Variable(name="nodes.count", unit="1", meaning="nodes of the target's cluster"),
    Variable(name="nodes.ready", unit="1", meaning="those of them that are ready"),
    Variable(name="nodes.schedulable", unit="1", meaning="those that are ready and take new pods"),
    Variable(name="nodes.cores", unit="cores", meaning="what pods may take (allocatable) of those that are ready"),
    Variable(name="nodes.memoryGiB", unit="GiB", meaning="the same of memory"),
    Variable(name="nodes.gpus", unit="1", meaning="the same of GPUs"),
    Variable(name="nodes.usdPerHour", unit="USD/h", meaning="price of all of them; where the price of each is known"),
    Variable(name="prices.core", unit="USD/h", meaning="a core where the target's replicas run; where known"),
    Variable(name="prices.gib", unit="USD/h", meaning="a GiB of memory there; where known"),
    Variable(name="prices.gpu", unit="USD/h", meaning="a GPU there; where known"),
    Variable(name="cost.replica", unit="USD/h", meaning="price of a replica; where known"),
    Variable(name="cost.hour", unit="USD/h", meaning="price of a replica and hour, times the replicas; where known"),
    *(
        Variable(name=f"cost.{period}.{name}", unit=unit, meaning=f"{meaning} of this {period}")
        for period in ("month", "day")
        for name, unit, meaning in _OF_BUDGETS
    ),
    Variable(
        name="pools",
        unit="list",
        meaning="nodes of the target's cluster by pool, zone, instance type and whether they are spot; name, zone and "
        "type are empty where no label says; usdPerHour is there where the price of each node is known",
        sorts={
            **dict.fromkeys(("name", "zone", "type"), _TEXT),
            "spot": Sort.FLAG,
            **dict.fromkeys(("count", "ready", "schedulable", "cores", "memoryGiB", "gpus", "usdPerHour"), _NUMBER),
        },
    ),
    Variable(
        name="findings",
        unit="list",
        meaning="anomalies that are open now",
        sorts={"kind": _TEXT, "series": _TEXT, "score": _NUMBER, "policy": _TEXT, "labels": _LABELS},
    ),
    Variable(
        name="incidents",
        unit="list",
        meaning="findings that belong together, while they are open; start is in seconds since 1970; the five "
        "likeliest suspects, such as shop/db",
        sorts={
            "id": _TEXT,
            "kind": _TEXT,
            "score": _NUMBER,
            "labels": _LABELS,
            "start": _NUMBER,
            "suspects": Sort.TEXTS,
        },
    ),
    Variable(
        name="alerts",
        unit="list",
        meaning="alerts that Alertmanager says fire now; since is in seconds since 1970",
        sorts={"name": _TEXT, "labels": _LABELS, "since": _NUMBER},
    ),
)
"""Beside them `signals.NAME` of each signal of the policy, in its own unit. What is not known then is missing."""

NUMBERS = tuple(one.name for one in VARIABLES if not one.sorts)
LISTS = tuple(one.name for one in VARIABLES if one.sorts)
MEMBERS = {one.name: one.members for one in VARIABLES if one.sorts}


def known_variables(signals: Sequence[str]) -> tuple[str, ...]:
    """Return every name that a condition may use."""
    return (*NUMBERS, *LISTS, *(f"signals.{name}" for name in sorted(signals)))
