"""A record such as a busy daemon leaves: for tests of the pages, and to measure them with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from aiops.adapters.store import Store
from aiops.adapters.store.tables import DECISIONS, DOCUMENTS, SAMPLES, STATE, TICKS
from aiops.core.ids import ulid
from aiops.core.model import (
    Answered,
    Direction,
    Effect,
    Finding,
    FindingKind,
    GroupState,
    Health,
    Incident,
    IncidentState,
    LoopState,
    Note,
    Pause,
    Percepts,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    SiteState,
    Snapshot,
    Stage,
    StepResult,
    StepStatus,
    Suspect,
    TargetRef,
    View,
)
from aiops.core.pipeline import Turn, decide, settled
from aiops.core.policies import PolicySet
from tests.builders import NOW, loaded, snapshot, workload
from tests.plan_world import GROUP, plan, shift

TICK_S = 15.0
TICKS_MADE = 120
HOSTILE = "<img src=x onerror=alert(1)>'\"--><script>document.title='taken'</script>{{7*7}}"
"""What a label may hold that somebody else wrote."""

CHECKOUT, MAIL = "ScalingPolicy/shop/checkout", "ScalingPolicy/shop/mail"
RUNNING, PROPOSED, FROZEN, DONE = "01RUNNING", "01PROPOSED", "01FROZEN", "01DONE"
LAST = NOW + TICK_S * (TICKS_MADE - 1)


def policies() -> PolicySet:
    """Return a policy that acts and one that asks."""
    signals = {
        "demand": {"query": "sum(rate(requests_total[1m]))", "unit": "req/s"},
        "latency": {"query": "max(latency_seconds)", "unit": "s"},
    }
    objective = {
        "demand": "demand",
        "perReplica": 50,
        "slo": {"signal": "latency", "atMost": "250ms", "target": "99.5%"},
    }
    spec: dict[str, Any] = {"signals": signals, "objective": objective}
    made = (loaded("checkout", "enforce", **spec), loaded("mail", "approve", **spec))
    return PolicySet(digest="p", scaling=made)


def small(path: Path) -> Store:
    """Return a store with half an hour of two policies and one of everything that a page shows."""
    store = Store.open(f"sqlite:///{path}", writer=True)
    known = policies()
    store.journal.note_policies(known)
    state = _turns(store, known)
    _say(store, state)
    return store


def _turns(store: Store, known: PolicySet) -> LoopState:
    state, replicas = LoopState(), {policy.key: 8 for policy in known.scaling}
    for number in range(TICKS_MADE):
        shot = _shot(known, replicas, number)
        made = decide(state, Turn(snapshot=shot, percepts=_percepts(shot.at), policies=known, code="c", platform="p"))
        tick = replace(made.tick, incidents=(_incident(shot.at),), findings=(_finding(shot.at),))
        store.journal.begin(tick, made.state)
        results = {
            one.id: StepResult(action_id=one.id, status=StepStatus.DONE, at=shot.at) for one in made.tick.actions
        }
        done = settled(made.state, made.tick, results, shot)
        state = done.state
        store.journal.settle([*results.values()], done.outcomes, state)
        replicas |= {one.policy: one.change.after for one in made.tick.actions}
    return state


def _shot(known: PolicySet, replicas: dict[str, int], number: int) -> Snapshot:
    at = NOW + TICK_S * number
    wave = 390.0 + 160.0 * math.sin(number / 18.0) + 4.0 * math.sin(number * 1.7)
    answers = {
        one.key: {
            "demand": Answered(value=wave if one.key == CHECKOUT else 900.0, newest_at=at - 5.0),
            "latency": Answered(value=0.12 + 0.02 * math.sin(number / 18.0), newest_at=at - 5.0),
        }
        for one in known.scaling
    }
    workloads = {
        one.target.key: workload(ref=one.target, as_of=at, replicas=replicas[one.key], ready=replicas[one.key])
        for one in known.scaling
    }
    prices = {one.target.key: 0.042 for one in known.scaling}
    return snapshot(at=at, answers=answers, workloads=workloads, replica_usd_per_hour=prices)


def _percepts(at: float) -> Percepts:
    return Percepts(findings=(_finding(at),))


def _finding(at: float) -> Finding:
    return Finding(
        policy="WatchPolicy/shop/errors", series=f"WatchPolicy/shop/errors#service={HOSTILE}",
        labels={"service": HOSTILE}, kind=FindingKind.POINT, at=at, since=NOW + 600.0, score=4.0, p_value=1e-9,
        value=9.0, expected=1.0, lower=0.0, upper=2.0, reason=f"errors{{service={HOSTILE}}} 9 is above at most 2",
    )  # fmt: skip


def _incident(at: float) -> Incident:
    suspect = Suspect(
        name=HOSTILE, series="s", kind="point", since=NOW + 620.0, score=3.0, points=2.0, why=("began first",)
    )
    return Incident(
        id="01INCIDENT0000000000000000", kind="point", since=NOW + 600.0, labels={"zone": HOSTILE},
        series=(f"WatchPolicy/shop/errors#service={HOSTILE}", "s"), peak_score=4.0, peak_at=NOW + 700.0,
        seen_at=at, standing=1, suspects=(suspect,), state=IncidentState.OPEN,
    )  # fmt: skip


def _say(store: Store, state: LoopState) -> None:
    """Write what people and plans left: plans in every state, a failover group, an effect, a pause."""
    step = PlanStep(
        name="all north", operation=shift(0, 100), sent=1, undo=(shift(100, 0),), stage=Stage.BEGUN, since=LAST - 60.0
    )
    notes = (Note(at=LAST - 60.0, text="begun"), Note(at=LAST - 30.0, text=f"the route says {HOSTILE}"))
    common: dict[str, Any] = {"created_at": LAST - 60.0, "evidence": ("users of west fail: 61 %",)}
    plans: tuple[Plan, ...] = (
        replace(plan(step, id=RUNNING, notes=notes, **common), status=PlanStatus.RUNNING),
        plan(id=PROPOSED, expires_at=LAST + 600.0, needed=1, **common),
        replace(plan(step, id=FROZEN, subject="other", **common), status=PlanStatus.PAUSED, held="frozen by a person"),
        replace(
            plan(replace(step, stage=Stage.DONE), id=DONE, kind=PlanKind.REMEDIATION, **common), status=PlanStatus.DONE
        ),
    )
    sites = {
        "west": SiteState(health=Health.SICK, since=LAST - 120.0),
        "north": SiteState(health=Health.WELL, since=NOW),
    }
    views = {
        "west@berlin": View(at=LAST - 5.0, share=0.61, bad=True),
        "north@berlin": View(at=LAST - 5.0, share=0.001),
    }
    group = GroupState(sites=sites, views=views, weights=(("west", 100), ("north", 0)), moved_at=NOW)
    target = TargetRef(namespace="shop", name="checkout")
    hpa = TargetRef(namespace="shop", api_version="autoscaling/v2", kind="HorizontalPodAutoscaler", name="checkout")
    effect = Effect(
        policy=CHECKOUT, target=target, object=hpa, attribute="minReplicas", original=3, written=8,
        action_id="01ACTION", since=NOW,
    )  # fmt: skip
    carried = replace(
        state,
        plans={one.id: one for one in plans},
        groups={GROUP: group},
        effects={f"{hpa.key}#minReplicas": effect},
    )
    store.journal.settle((), (), carried)
    store.journal.flush()


def paused(store: Store, at: float, scope: str = "shop/mail") -> str:
    """Pause a scope, and return the pause's id."""
    made = Pause(id="", scope=scope, direction=Direction.ALL, reason=f"a test {HOSTILE}", by="ann", since=at)
    return store.people.add_pause(made).id


# -- many -----------------------------------------------------------------------------------------------


def grow(store: Store, count: int, decisions: int) -> None:
    """Add `count` policies that have made `decisions` decisions between them, each of the shape that is there."""
    with store.engine.begin() as connection:
        pattern = [
            dict(row) for row in connection.execute(select(DECISIONS).where(DECISIONS.c.policy == CHECKOUT)).mappings()
        ]
        samples = [
            dict(row) for row in connection.execute(select(SAMPLES).where(SAMPLES.c.policy == CHECKOUT)).mappings()
        ]
        each = -(-decisions // count)
        for number in range(count):
            name = f"team-{number % 20:02d}/service-{number:04d}"
            key = f"ScalingPolicy/{name}"
            connection.execute(insert(DECISIONS), list(_copies(pattern, key, name, each)))
            connection.execute(insert(SAMPLES), [{**row, "policy": key} for row in samples[-40:]])
            document = loaded(f"service-{number:04d}").document
            connection.execute(insert(DOCUMENTS), [{"digest": f"grown-{number}", "policy": key, "body": document}])
        (state,) = _rows(connection, select(STATE).where(STATE.c.policy == CHECKOUT))
        names = [f"ScalingPolicy/team-{number % 20:02d}/service-{number:04d}" for number in range(count)]
        connection.execute(insert(STATE), [{"policy": name, "body": state["body"]} for name in names])
        connection.execute(insert(TICKS), [{"id": ulid(LAST + 1.0, "grown"), "at": LAST + 1.0}])


def _copies(pattern: list[dict[str, Any]], key: str, name: str, each: int) -> Iterator[dict[str, Any]]:
    for number in range(each):
        row = pattern[number % len(pattern)]
        at = LAST - 60.0 * (each - number)
        made = {"id": ulid(at, key, str(number)), "at": at, "until": at + 45.0, "policy": key, "target": name}
        yield {**row, **made, "policy_digest": f"grown-{name[-4:].lstrip('0') or '0'}"}


def _rows(connection: Any, query: Any) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]
