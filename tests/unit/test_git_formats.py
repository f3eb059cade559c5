"""Values in files: found by their format, with their range, and written without touching another byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.adapters.git.formats import located, written
from aiops.adapters.git.places import Format, Place, Placement, parts, placement
from aiops.adapters.git.yaml_text import Unusable
from aiops.core.model import TargetRef

KUSTOMIZATION = b"""\
# the production overlay
resources: [../../base]
replicas:
- {name: web, count: 7} # aiops: 1..9
- name: api   # not the count: 3
  count:   5
patches:
  - patch: |-
      - op: replace
        path: /spec/replicas
        value: 3   # aiops: 2..
    target: {kind: Deployment, name: queue}
  - patch: |
      # by hand
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: mail}
      spec: {replicas: 12}
  - path: other.yaml
"""

MANIFESTS = b"""\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4  # aiops: 2..10
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {minReplicas: 3, maxReplicas: 30}
"""

VARS = b'{\n\t"region": "eu",\n\t"pools": [{"name": "a", "size": 3}, {"name": "b", "size": 5}]\n}\n'


def place(name: str = "web", **changes: object) -> Place:
    known = {
        "file": "f",
        "format": Format.KUSTOMIZE,
        "field": "replicas",
        "path": "spec.replicas",
        "kind": "Deployment",
    }
    return Place(**{**known, "name": name, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "where", "value", "low", "high"),
    [
        (KUSTOMIZATION, place("web"), 7, 1, 9),
        (KUSTOMIZATION, place("api"), 5, None, None),
        (KUSTOMIZATION, place("queue"), 3, 2, None),
        (KUSTOMIZATION, place("mail"), 12, None, None),
        (KUSTOMIZATION, place("web", low=2, high=40), 7, 2, 9),
        (MANIFESTS, place(format=Format.MANIFEST), 4, 2, 10),
        (
            MANIFESTS,
            place(format=Format.MANIFEST, kind="HorizontalPodAutoscaler", path="spec.minReplicas"),
            3,
            None,
            None,
        ),
        (VARS, place(format=Format.TFVARS, path="pools[1].size"), 5, None, None),
        (b"a:\r\n  b: 6 # aiops: ..8\r\nc: 1\r\n", place(format=Format.HELM, path="a.b"), 6, None, 8),
        (b'"x.y": {z: 2}\n', place(format=Format.HELM, path=r"x\.y.z"), 2, None, None),
        (b"a: &n 4\nb: {c: 1}\n", place(format=Format.HELM, path="b.c"), 1, None, None),
    ],
)
def test_a_value_is_found_and_written_and_every_other_byte_stays(data, where, value, low, high):
    found = located(data, where)
    assert (found.value, found.low, found.high) == (value, low, high)
    changed = written(data, where, 123)
    assert located(changed, where).value == 123
    text = data.decode()
    assert changed.decode() == f"{text[: found.start]}123{text[found.start + len(str(value)) :]}"


@pytest.mark.parametrize(
    ("data", "where", "why"),
    [
        (
            KUSTOMIZATION,
            place("nobody"),
            "neither replicas nor an inline patch says spec.replicas of Deployment nobody",
        ),
        (b"replicas: [{name: web, count: 1}, {name: web, count: 2}]", place(), "is said 2 times"),
        (b"a: {b: 1}\n", place(format=Format.HELM, path="a.c"), "there is no a.c"),
        (b"a: 1\na: 2\n", place(format=Format.HELM, path="a"), "a is there twice"),
        (b"a: '8'\n", place(format=Format.HELM, path="a"), "no plain whole number"),
        (b"a: 8.0\n", place(format=Format.HELM, path="a"), "no plain whole number"),
        (b"a: 0x10\n", place(format=Format.HELM, path="a"), "no plain whole number"),
        (b"a: {b: 1}\n", place(format=Format.HELM, path="a"), "is a list or a mapping"),
        (b"a: &n {r: 3}\nb: *n\n", place(format=Format.HELM, path="a.r"), "used in other places too (*n)"),
        (b"a: 3 # aiops: off\n", place(format=Format.HELM, path="a"), "hands off"),
        (b"a: 3 # aiops: 2-4\n", place(format=Format.HELM, path="a"), "no range such as 2..12"),
        (b"a: 3 # aiops: 4..2\n", place(format=Format.HELM, path="a"), "a range with nothing in it"),
        (b"a: 3 # aiops: 4..8\n", place(format=Format.HELM, path="a", high=3), "nothing at all"),
        (b"a: [\n", place(format=Format.HELM, path="a"), "it is no YAML: line 2, column 1"),
        (b"a: 1\n---\na: 2\n", place(format=Format.HELM, path="a"), "there are 2 documents in it"),
        (MANIFESTS, place("other", format=Format.MANIFEST), "0 documents in it are a Deployment other"),
        (b"\xff\xfe", place(format=Format.HELM, path="a"), "no UTF-8"),
        (b"{", place(format=Format.TFVARS, path="a"), "it is no JSON: line 1, column 2"),
        (b'{"a": 1, "a": 2}', place(format=Format.TFVARS, path="a"), "a is there twice"),
        (b'{"a": true}', place(format=Format.TFVARS, path="a"), "no plain whole number"),
        (b'{"a": [1]}', place(format=Format.TFVARS, path="a[1]"), "there is no a[1]"),
        (b"a: " + b"1" * 250_001, place(format=Format.HELM, path="a"), "more than 250000"),
        (b"a: 3 # aiops: 2..4" + b" " * 100_000 + b"x\n", place(format=Format.HELM, path="a"), "no range such as"),
    ],
)
def test_what_cannot_be_told_for_sure_is_not_written_and_says_why(data, where, why):
    with pytest.raises(Unusable) as told:
        located(data, where)
    assert why in str(told.value)


def test_nothing_of_a_file_is_in_what_is_said_of_it():
    with pytest.raises(Unusable) as told:
        located(b"password: hunter2\nb: [\n", place(format=Format.HELM, path="b"))
    assert "hunter2" not in str(told.value)


_KEYS = st.text("abcdefgh", min_size=1, max_size=6)
_SCALARS = st.one_of(st.integers(0, 10**6), st.booleans(), st.text("xyz é'\"#:", max_size=8), st.none())
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(
    before=st.dictionaries(_KEYS, _TREES, max_size=3),
    after=st.dictionaries(_KEYS, _TREES, max_size=3),
    old=st.integers(0, 10**8),
    new=st.integers(0, 10**8),
    indent=st.sampled_from([None, 2, "\t"]),
)
def test_any_json_keeps_all_but_the_digits_of_the_value(before, after, old, new, indent):
    whole = {**before, "Count": {"v": [old]}, **after}
    data = json.dumps(whole, indent=indent, ensure_ascii=False).encode()
    changed = written(data, place(format=Format.TFVARS, path="Count.v[0]"), new)
    assert json.loads(changed) == {**whole, "Count": {"v": [new]}}
    assert len(changed) - len(data) == len(str(new)) - len(str(old))


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("replicaCount", ("replicaCount",)),
        ("a[2].b", ("a", 2, "b")),
        (r"a\.b.c", ("a.b", "c")),
        ("a[0][1]", ("a", 0, 1)),
    ],
)
def test_a_path_is_read_step_by_step(path, steps):
    assert parts(path) == steps


def test_the_first_placement_that_fits_counts():
    def of(match: str, **more: str) -> Placement:
        known = {
            "repository": "deploy",
            "file": "apps/{namespace}/{name}.yaml",
            "format": Format.HELM,
            "field": "replicas",
        }
        return Placement(match=match, **{**known, **more})  # type: ignore[arg-type]

    every = [of("shop/api-*", file="special.yaml"), of("shop/*"), of("ops/*", kind="StatefulSet")]

    def file(namespace: str, name: str, kind: str = "Deployment", cluster: str = "default") -> str:
        ref = TargetRef(namespace=namespace, name=name, kind=kind, cluster=cluster)
        found = placement(every, ref, "replicas")
        return "" if found is None else found.place(ref).file

    assert file("shop", "api-v2") == "special.yaml"
    assert file("shop", "web") == "apps/shop/web.yaml"
    assert file("ops", "db", "StatefulSet") == "apps/ops/db.yaml"
    assert file("ops", "db") == file("shop", "web", cluster="eu") == file("Shop", "web") == ""
