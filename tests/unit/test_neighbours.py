"""What steers and guards workloads, found for many: the same as by looking through all of it, which is done once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.model import Looked, RestLever, SeenObject, TargetRef
from aiops.core.objects.bodies import around, at, strings
from aiops.core.objects.budgets import BUDGETS, selects
from aiops.core.objects.neighbours import Neighbours
from aiops.core.objects.steering import HPAS, SCALED_OBJECTS, hpas_of, scaled_objects_of, steered

NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["a", "b", "c", 1, None])
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), NAMES, max_size=2)
EXPRESSION = st.fixed_dictionaries({"key": st.just("app"), "operator": st.sampled_from(["Exists", "DoesNotExist"])})
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(st.sampled_from(["app", "tier"]), VALUES, max_size=2),
        "matchExpressions": st.lists(EXPRESSION, max_size=1),
    },
)
AIMS = st.one_of(st.none(), st.fixed_dictionaries({}, optional={"kind": st.just("Deployment"), "name": VALUES}))


class Counted(tuple[SeenObject, ...]):
    """Objects that count how often somebody looked through all of them."""

    looks = 0

    def __iter__(self) -> Any:
        Counted.looks += 1
        return super().__iter__()


def seen(kind: tuple[str, str], name: str, body: dict[str, Any]) -> SeenObject:
    ref = TargetRef(namespace="dev", api_version=kind[0], kind=kind[1], name=name)
    return SeenObject(ref=ref, uid=name, resource_version="1", as_of=0.0, body=body)


def workload(name: str, labels: dict[str, str]) -> SeenObject:
    return seen(("apps/v1", "Deployment"), name, {"spec": {"template": {"metadata": {"labels": labels}}}})


def looked(aims: list[Any], more: list[Any], selectors: list[Any]) -> Looked:
    where = workload("a", {}).ref
    parts = {
        HPAS: [{"spec": {"scaleTargetRef": aim}} for aim in aims],
        SCALED_OBJECTS: [{"spec": {"scaleTargetRef": aim}} for aim in more],
        BUDGETS: [{"spec": {"selector": one}} for one in selectors],
    }
    return Looked(
        selections={
            around(where, *kind).key: Counted(seen(kind, str(number), body) for number, body in enumerate(bodies))
            for kind, bodies in parts.items()
        }
    )


@given(st.lists(AIMS, max_size=5), st.lists(AIMS, max_size=3), st.lists(SELECTORS, max_size=5), LABELS)
def test_it_is_what_looking_through_all_of_it_finds(aims, more, selectors, labels):
    whole, one = looked(aims, more, selectors), workload("a", labels)
    near = Neighbours(whole).of(one)
    assert hpas_of(one.ref, near) == hpas_of(one.ref, whole)
    assert scaled_objects_of(one.ref, near) == scaled_objects_of(one.ref, whole)
    assert steered(one.ref, RestLever.REPLICAS, "0", near) == steered(one.ref, RestLever.REPLICAS, "0", whole)
    key = around(one.ref, *BUDGETS).key

    def guards(some: Looked) -> list[SeenObject]:
        marks = strings(at(one.body, "spec", "template", "metadata", "labels"))
        return [each for each in some.selections[key] if selects(at(each.body, "spec", "selector"), marks)]

    assert guards(near) == guards(whole)


@pytest.mark.parametrize("kind", [HPAS, SCALED_OBJECTS, BUDGETS])
def test_what_was_not_seen_stays_unseen_s1(kind):
    whole, one = looked([], [], []), workload("a", {})
    key = around(one.ref, *kind).key
    left = {name: some for name, some in whole.selections.items() if name != key}
    assert key not in Neighbours(Looked(selections=left)).of(one).selections


def test_each_kind_is_looked_through_once_however_many_workloads_there_are():
    names = [f"w{number}" for number in range(300)]
    whole = looked([{"kind": "Deployment", "name": name} for name in names], [], [{"matchLabels": {"app": "w"}}])
    near, Counted.looks = Neighbours(whole), 0
    for name in names:
        near.of(workload(name, {"app": name}))
    assert Counted.looks == 3
