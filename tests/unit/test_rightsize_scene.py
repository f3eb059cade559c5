"""Which pods belong to which of many workloads: what their selectors say, found without asking each pod for each."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiops.core.decide.cost.rightsize.scene import Scene, scene
from aiops.core.model import Looked, SeenObject, TargetRef
from aiops.core.objects.bodies import at, strings
from aiops.core.objects.budgets import selects
from aiops.core.planning.cost_rightsize import around
from tests.unit.rightsized import a_policy

POLICY = a_policy()
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["a", "b"]), max_size=2)
EXPRESSION = st.fixed_dictionaries({"key": st.just("tier"), "operator": st.sampled_from(["Exists", "DoesNotExist"])})
SELECTORS = st.one_of(
    st.sampled_from([None, {}, "app=a"]),
    st.fixed_dictionaries({}, optional={"matchLabels": LABELS, "matchExpressions": st.lists(EXPRESSION, max_size=1)}),
)


def seen(kind: str, name: str, body: dict[str, Any]) -> SeenObject:
    version = "v1" if kind == "Pod" else "apps/v1"
    ref = TargetRef(namespace="shop", api_version=version, kind=kind, name=name)
    return SeenObject(ref=ref, uid=name, resource_version="1", as_of=0.0, body=body)


def there(selectors: list[Any], pods: list[SeenObject]) -> Scene:
    containers = {"spec": {"containers": [{"name": "app"}]}}
    workloads = [
        seen("Deployment", f"d{number}", {"spec": {"selector": one, "template": containers}})
        for number, one in enumerate(selectors)
    ]
    assert POLICY.targets is not None
    (where,) = POLICY.targets.wanted.selections
    found = scene(POLICY, Looked(selections={where.key: tuple(workloads), around(POLICY)[0].key: tuple(pods)}))
    assert isinstance(found, Scene)
    return found


@given(st.lists(SELECTORS, max_size=4), st.lists(st.tuples(LABELS, st.booleans()), max_size=6))
def test_the_pods_of_a_workload_are_those_that_its_selector_selects_and_that_stay(selectors, pods):
    made = []
    for number, (labels, going) in enumerate(pods):
        metadata = {"labels": labels, **({"deletionTimestamp": "2026-03-03T20:00:00Z"} if going else {})}
        made.append(seen("Pod", f"p{9 - number}", {"metadata": metadata}))
    found = there(selectors, made)
    for number, selector in enumerate(selectors):
        alive = [one for one in made if not at(one.body, "metadata", "deletionTimestamp")]
        named = isinstance(selector, dict) and selector
        mine = [one for one in alive if named and selects(selector, strings(at(one.body, "metadata", "labels")))]
        key = seen("Deployment", f"d{number}", {}).ref.key
        assert list(found.pods[key]) == sorted(mine, key=lambda one: one.ref.name)
