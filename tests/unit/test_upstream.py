"""Traffic that is gone because something above fails is no less demand (keda#5166)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.guard import remembered, verdict
from aiops.core.guard.context import Wish
from aiops.core.guard.upstream import upstream
from aiops.core.model import Pass, Reason, Signal, SignalState, TargetState, Wait
from aiops.core.policies import Upstream
from aiops.errors import InvalidPolicy
from tests.builders import NOW, context, loaded, policy, proposal, workload

CALLERS = Upstream(errors="callers", above=1.0, hold_s=3600.0)
SIBLINGS = Upstream(siblings=("cart", "search", "pay"), hold_s=3600.0)


def value(name: str, number: float | None) -> Signal:
    if number is None:
        return Signal(name=name, state=SignalState.ABSENT)
    return Signal(name=name, state=SignalState.VALUE, value=number, age_s=1.0)


class Lived:
    """A policy whose signals are told minute by minute; nothing but this guard is looked at."""

    def __init__(self, rule: Upstream) -> None:
        self.rule, self.now, self.state = rule, NOW, TargetState()

    def minute(self, minutes: int = 1, **signals: float | None) -> str:
        """Return what is said of a scale-in at the end: the reason, or '' for nothing against it."""
        for _ in range(minutes):
            self.now += 60.0
            ctx = context(
                policy=policy(upstream=self.rule),
                now=self.now,
                state=self.state,
                signals={name: value(name, number) for name, number in signals.items()},
                workload=workload(),
            )
            ruling = upstream(_wish(8, 6), ctx)
            self.state = remembered(self.state, verdict(proposal(8, 8), ctx), ctx)
        return ruling.reason.value if isinstance(ruling, Wait) else ""


def _wish(before: int, after: int) -> Wish:
    return Wish(proposal(before, after), after)


def test_a_drop_while_callers_fail_holds_scale_in_until_traffic_is_back():
    lived = Lived(CALLERS)
    assert lived.minute(10, demand=500.0, callers=0.0) == ""
    assert lived.minute(20, demand=100.0, callers=40.0) == "upstream_outage"
    assert lived.minute(5, demand=100.0, callers=0.0) == "upstream_outage"  # they gave up; nobody is back yet
    assert lived.minute(1, demand=450.0, callers=0.0) == ""
    assert lived.minute(10, demand=400.0, callers=0.0) == ""


def test_a_drop_alone_is_less_demand_and_failing_callers_alone_are_no_drop():
    lived = Lived(CALLERS)
    lived.minute(10, demand=500.0, callers=0.0)
    assert lived.minute(10, demand=100.0, callers=0.5) == ""
    other = Lived(CALLERS)
    other.minute(10, demand=500.0, callers=0.0)
    assert other.minute(10, demand=450.0, callers=50.0) == ""


def test_siblings_that_drop_together_hold_and_one_that_goes_its_own_way_does_not():
    lived = Lived(SIBLINGS)
    lived.minute(10, demand=500.0, cart=50.0, search=80.0, pay=20.0)
    assert lived.minute(3, demand=100.0, cart=10.0, search=80.0, pay=20.0) == ""
    assert lived.minute(3, demand=100.0, cart=10.0, search=15.0, pay=20.0) == "upstream_outage"


def test_s1_a_sibling_that_is_not_seen_speaks_for_nothing():
    lived = Lived(SIBLINGS)
    lived.minute(10, demand=500.0, cart=50.0, search=80.0, pay=20.0)
    assert lived.minute(3, demand=100.0, cart=None, search=None, pay=None) == ""


def test_s1_demand_that_is_not_seen_ends_no_hold_and_begins_none():
    lived = Lived(CALLERS)
    lived.minute(10, demand=500.0, callers=0.0)
    assert lived.minute(3, demand=None, callers=50.0) == ""
    lived.minute(3, demand=100.0, callers=50.0)
    assert lived.minute(3, demand=None, callers=50.0) == "upstream_outage"


def test_what_stays_away_for_longer_is_how_it_is_now():
    lived = Lived(replace(CALLERS, hold_s=1800.0))
    lived.minute(10, demand=500.0, callers=0.0)
    assert lived.minute(29, demand=100.0, callers=50.0) == "upstream_outage"
    assert lived.minute(30, demand=100.0, callers=50.0) == ""


def test_a_slow_evening_is_no_outage():
    lived = Lived(SIBLINGS)
    level = 500.0
    for _ in range(180):
        level *= 0.985
        assert lived.minute(demand=level, cart=level / 10, search=level / 5, pay=level / 20) == ""


def test_scale_out_is_never_held_by_it_and_what_is_remembered_is_bounded():
    lived = Lived(CALLERS)
    lived.minute(10, demand=500.0, callers=0.0)
    lived.minute(60, demand=100.0, callers=50.0)
    ctx = context(policy=policy(upstream=CALLERS), now=lived.now, state=lived.state, signals={})
    assert upstream(_wish(8, 12), ctx) is None
    assert max(len(one) for one in lived.state.traffic.values()) <= 18


def test_without_the_field_nothing_is_said_and_nothing_is_remembered():
    lived = Lived(CALLERS)
    ctx = context(policy=policy(), signals={"demand": value("demand", 1.0)})
    assert upstream(_wish(8, 6), ctx) is None
    assert remembered(lived.state, verdict(proposal(8, 8), ctx), ctx).traffic == {}
    rested = context(policy=policy(upstream=CALLERS), signals={"demand": value("demand", 1.0)})
    assert isinstance(upstream(_wish(8, 6), rested), Pass)
    assert Reason.UPSTREAM_OUTAGE.value == "upstream_outage"


def test_its_field_names_signals_that_there_are():
    made = loaded(
        signals={"demand": {"query": "sum(a)"}, "callers": {"query": "sum(b)"}},
        upstream={"errors": {"signal": "callers", "above": "1%"}, "drop": "40%"},
    )
    assert made.upstream == Upstream(errors="callers", above=0.01, drop_ratio=0.4)
    with pytest.raises(InvalidPolicy, match="there is no signal 'caller'"):
        loaded(upstream={"errors": {"signal": "caller", "above": 1}})
    with pytest.raises(InvalidPolicy, match="a drop alone may be less demand"):
        loaded(upstream={"drop": "40%"})
