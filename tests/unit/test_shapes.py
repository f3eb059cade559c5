"""Whatever stands in an object, what looks for savings reads it: nobody's label holds a policy for ever (S10)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.decide.cost.defer.work import learnt, runs, waiting, waits
from aiops.core.decide.cost.pack.fleet import fleet, volumes
from aiops.core.decide.cost.rest.beds import NoBed, awake_by_wish, beds
from aiops.core.decide.cost.rest.fit import made_at, unfit
from aiops.core.decide.cost.rightsize.owners import owner
from aiops.core.decide.cost.rightsize.scene import Scene, failing, kills, scene
from aiops.core.decide.cost.rightsize.sizes import Recommendation
from aiops.core.model import DeclaredSizes, Looked, ResizePods, RestLever, SeenObject, SetResources, TargetRef
from aiops.core.money.templates import replicas, share
from aiops.core.objects.bodies import around
from aiops.core.objects.budgets import BUDGETS, no_room
from aiops.core.objects.resting import RECORD, rest
from aiops.core.objects.steering import HPAS, SCALED_OBJECTS
from aiops.core.planning.cost_defer import DeferPolicy
from aiops.core.planning.cost_rightsize import around as beside
from aiops.core.plans.operations import Origin, stands, verbs
from tests.unit.rested import TUESDAY, a_policy
from tests.unit.rightsized import a_policy as a_sizing
from tests.unit.test_defer import NIGHT

SLEEP, SIZING, DEFER = a_policy(), a_sizing(), a_policy(NIGHT)
CONTAINER = {
    "name": "app",
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    "ports": [{"hostPort": 80}],
}
SPREAD = {"topologyKey": "zone", "maxSkew": 1, "labelSelector": {"matchLabels": {"app": "a"}}}
AFFINITY = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "h", "labelSelector": {"matchLabels": {}}}]
    },
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]
        }
    },
}
POD_SPEC = {
    "nodeName": "n1",
    "containers": [CONTAINER],
    "initContainers": [{**CONTAINER, "restartPolicy": "Always"}],
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "topologySpreadConstraints": [SPREAD],
    "affinity": AFFINITY,
    "nodeSelector": {"a": "b"},
    "overhead": {"cpu": "1"},
}
ENDED = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-03-03T10:00:00Z"}}
BODY = {
    "metadata": {
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "a", "policy.aiops/deferrable": "true", "policy.aiops/managed": "true"},
        "annotations": {
            RECORD: '{"since":1}',
            "policy.aiops/asleep-by": "P",
            "policy.aiops/sleep": "never",
            "policy.aiops/awake-until": "2026-03-04",
            "policy.aiops/deadline": "2026-03-04T01:00:00Z",
            "policy.aiops/within": "8h",
            "autoscaling.keda.sh/paused-replicas": "3",
        },
        "ownerReferences": [{"kind": "ReplicaSet", "name": "r", "controller": True}],
        "generation": 1,
    },
    "spec": {
        **POD_SPEC,
        "replicas": 3,
        "suspend": True,
        "minReplicas": 2,
        "minAvailable": 1,
        "scaleTargetRef": {"kind": "Deployment", "name": "web"},
        "metrics": [{"resource": {"name": "cpu"}}],
        "selector": {"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": 1}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": POD_SPEC},
        "taints": [{"key": "a", "effect": "NoSchedule"}],
    },
    "status": {
        "observedGeneration": 1,
        "readyReplicas": 3,
        "disruptionsAllowed": 1,
        "startTime": "2026-03-03T10:00:00Z",
        "completionTime": "2026-03-03T11:00:00Z",
        "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "app", "lastState": ENDED, "state": {}}],
    },
}
ODD: list[Any] = [None, True, 0, -1, 2**63, 10**400, 1e308, "", "x", "9" * 5000, "1e99", "-1", "9999-12-31", [], {}]
ODD += [[None], [[]], {"a": 1}, {"": None}, ["x"], "٣", "\x00", '{"since":1' + "0" * 400 + "}"]


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within a body."""
    inside = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


PLACES = list(places(BODY))


def changed(changes: list[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    """Return the body with something else in some places, as far as those are still there."""
    body = copy.deepcopy(BODY)
    for path, value in changes:
        inside: Any = body
        for key in path[:-1]:
            inside = inside[key] if _has(inside, key) else None
        if _has(inside, path[-1]):
            inside[path[-1]] = value
    return body


def _has(inside: Any, key: Any) -> bool:
    return (isinstance(inside, dict) and key in inside) or (
        isinstance(inside, list) and isinstance(key, int) and key < len(inside)
    )


def seen(kind: tuple[str, str], body: dict[str, Any], namespace: str = "dev") -> SeenObject:
    ref = TargetRef(namespace=namespace, api_version=kind[0], kind=kind[1], name="web")
    return SeenObject(ref=ref, uid="U", resource_version="1", as_of=TUESDAY, body=body)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(ODD)), min_size=1, max_size=3))
def test_no_value_of_any_object_raises(changes):
    body = changed(changes)
    whole = seen(("apps/v1", "Deployment"), body)
    kinds = {kind: (seen(kind, body),) for kind in (HPAS, SCALED_OBJECTS, BUDGETS)}
    looked = Looked(selections={around(whole.ref, *kind).key: found for kind, found in kinds.items()})
    for made in beds([whole], looked, (), (SLEEP.key, 0)):
        if not isinstance(made, NoBed):
            unfit(made, SLEEP)  # type: ignore[arg-type]
            made_at(made)
    for lever in RestLever:
        rest(whole, lever)
    awake_by_wish(whole, TUESDAY)
    no_room(kinds[BUDGETS], whole)
    assert replicas(whole) >= 0
    share(whole)
    sized(body)
    assert isinstance(DEFER, DeferPolicy)
    waiting(DEFER, whole, learnt({}, [whole]))
    assert waits(whole) in (True, False)
    assert runs(whole) in (True, False)
    empty = volumes((), ())
    fleet([seen(("v1", "Node"), body, "")], [seen(("v1", "Pod"), body)], empty, local=True)


def sized(body: dict[str, Any]) -> None:
    """Read a body as everything that rightsizing looks at."""
    assert SIZING.targets is not None
    (where,) = SIZING.targets.wanted.selections
    one = seen(("apps/v1", "Deployment"), body, "shop")
    every = {
        where.key: (one,),
        **{one.key: (seen((one.api_version, one.kind), body, "shop"),) for one in beside(SIZING)},
    }
    found = scene(SIZING, Looked(selections=every))
    assert isinstance(found, Scene)
    kills(found)
    failing(found.of(one), 0.0)
    wish = Recommendation(
        workload=one.ref.key, container="app", resource="cpu", request=1.0, wished=2.0, limit=1.0, wished_limit=2.0,
        target=2.0, lower=1.0, upper=3.0, days=3.0, kills=0, pods=1, why="", said="", changes=True, usd_per_month=None,
    )  # fmt: skip
    said = DeclaredSizes(
        container="app", repository="d", branch="main", file="f", path="p", as_of=TUESDAY, settle_s=60.0,
        values={"requests.cpu": "1", "limits.memory": "1Gi"},
    )  # fmt: skip
    for sizes in ({}, {one.ref.key: (said,)}):
        owner(SIZING, one, wish, Looked(selections=every, sizes=sizes))
    change = SetResources(target=one.ref, container="app", requests={"cpu": "2"}, limits={"memory": "2Gi"})
    resize = ResizePods(target=one.ref, pods=("web",), container="app", requests={"cpu": "2"}, limits={})
    by_name = Looked(objects={one.ref.key: one}, selections=every)
    in_git = replace(by_name, sizes={one.ref.key: (said,)})
    for operation, looked in ((change, by_name), (resize, by_name), (change, in_git)):
        does = verbs(operation)
        does.refusal(operation, looked)
        does.undo(operation, looked)
        does.reached(operation, looked)
        stands(operation, looked)
        does.requests(operation, looked, Origin(plan_id="P", policy=SIZING.key, key="E", epoch=1, now=TUESDAY))
    for each in found.containers:
        each.amount("requests", "cpu")
