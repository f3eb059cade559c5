"""A wish to stay is most wishes: whoever is not asked of it has nothing to say of it, in whatever world."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.guard import CHAIN, Wish
from aiops.core.guard.chain import OF_CHANGES, OF_EXTRAS, OF_SCALE_IN, plain
from aiops.core.model import Freeze, Leadership, Mode, OwnerKind, Scope, TargetState
from aiops.core.policies import Bounds, Guardrail, Lever, Limits, Then, Upstream
from tests.builders import (
    NOW,
    TARGET,
    action,
    context,
    hpa,
    need,
    owner,
    policy,
    proposal,
    signal,
    snapshot,
    workload,
)
from tests.unit.rulings import Says

flags = st.booleans()


@st.composite
def worlds(draw, *, plainly=False):
    """Return a world in which as much as can be speaks against a change. plainly: as far as `plain` allows it."""
    rails = (Guardrail(when=Says(draw(st.sampled_from((True, None)))), then=draw(st.sampled_from(Then))),)
    given_policy = policy(
        lever=draw(st.sampled_from(Lever)),
        mode=Mode.ENFORCE if plainly else draw(st.sampled_from(Mode)),
        bounds=Bounds(min_replicas=2, max_replicas=draw(st.sampled_from((3, 40)))),
        guardrails=() if plainly else rails,
        upstream=Upstream(errors="latency", above=0.0),
        limits=Limits(cooldown_out_s=900.0, cooldown_in_s=900.0, changes_per_hour=1),
        scale_in_allowed=False,
    )
    there = workload(
        replicas=draw(st.sampled_from((0, 1, 8))),
        rollout=draw(flags),
        opted_in=draw(flags),
        hpas=(hpa(scaling_active=False),) if draw(flags) else (),
        owners=(owner(draw(st.sampled_from(OwnerKind))),),
        pdb_min_available=20,
    )
    shot = snapshot(
        workloads={TARGET.key: there} if draw(flags) else {},
        leadership=Leadership(leader=draw(flags), epoch=1),
        scope=Scope(
            ceiling=Mode.ENFORCE if plainly else draw(st.sampled_from(Mode)),
            protected_namespaces=frozenset({"shop"} if draw(flags) else ()),
        ),
        store_ok=draw(flags),
        freezes=(Freeze(name="f", until=math.inf),),
    )
    state = TargetState(
        uid="u",
        recommendations=((NOW - 30.0, 1), (NOW - 15.0, 30)),
        last_out_at=NOW - 1.0,
        last_in_at=NOW - 1.0,
        settled=8,
        owned=True,
        pending=action(),
        upstream_since=NOW - 5.0,
        upstream_from=900.0,
    )
    signals = {"demand": signal(), "latency": signal("latency", 9.0)}
    return context(policy=given_policy, snapshot=shot, state=state, signals=signals)


@settings(deadline=None)
@given(worlds(), st.integers(0, 50), flags)
def test_who_is_not_asked_of_a_wish_to_stay_says_nothing_of_it(ctx, level, broken):
    stay = Wish(proposal(level, level, need=need(slo_broken=broken, usage_ratio=1.0)), level)
    assert {name: guard(stay, ctx) for name, guard in CHAIN if name in OF_CHANGES} == dict.fromkeys(OF_CHANGES)


@settings(deadline=None)
@given(worlds(), st.integers(0, 50), st.integers(1, 20), flags)
def test_who_is_not_asked_of_a_wish_for_more_says_nothing_of_it(ctx, level, more, broken):
    out = Wish(proposal(level, level + more, need=need(slo_broken=broken, usage_ratio=2.0)), level + more)
    assert {name: guard(out, ctx) for name, guard in CHAIN if name in OF_SCALE_IN} == dict.fromkeys(OF_SCALE_IN)


@settings(deadline=None)
@given(worlds(plainly=True), st.integers(0, 50), st.integers(0, 50))
def test_who_is_not_asked_where_nothing_is_there_to_look_at_says_nothing(ctx, level, wanted):
    assert plain(ctx)
    wish = Wish(proposal(level, wanted, need=need(usage_ratio=2.0)), wanted)
    assert {name: guard(wish, ctx) for name, guard in CHAIN if name in OF_EXTRAS} == dict.fromkeys(OF_EXTRAS)
