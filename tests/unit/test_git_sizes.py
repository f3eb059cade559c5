"""Requests and limits in files: found by their place, written without another byte, and every way to be unsure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aiops.adapters.git.places import Format, Place, Placement, sized
from aiops.adapters.git.sizes import resized, sizes
from aiops.adapters.git.yaml_text import Unusable
from aiops.app.git_settings import PlacedSettings
from aiops.core.model import TargetRef

HELM = """\
# values of checkout
web:
  resources:
    requests: {cpu: 4, memory: "4Gi"}   # aiops: off-hand remark
    limits:
      memory: '4Gi'   # aiops: 512Mi..8Gi
image: {tag: v1}
"""
MANIFEST = """\
apiVersion: v1
kind: Service
metadata: {name: checkout}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout}
spec:
  template:
    spec:
      containers:
        - name: proxy
          resources: {requests: {cpu: 100m}}
        - name: app   # ours
          image: shop:1
          resources:
            requests:
              cpu: 500m
              memory: 1Gi  # a lot
"""
KUSTOMIZE = """\
resources: [base]
patches:
  - target: {kind: Deployment, name: other}
    patch: |-
      - {op: replace, path: /spec/replicas, value: 2}
  - patch: |-
      # sizes
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: checkout}
      spec:
        template:
          spec:
            containers:
              - name: app
                resources:
                  requests: {cpu: "2", memory: 2Gi}
"""


def place(format_: Format, **more: str) -> Place:
    made = {
        "file": "f.yaml", "format": format_, "field": "resources", "path": "spec.template.spec.containers",
        "kind": "Deployment", "name": "checkout", "container": "app",
    }  # fmt: skip
    return Place(**{**made, **more})  # type: ignore[arg-type]


WEB = place(Format.HELM, path="web.resources")
CASES = {
    "helm": (
        HELM.replace("   # aiops: off-hand remark", ""),
        WEB,
        {"requests.cpu": "4", "requests.memory": "4Gi", "limits.memory": "4Gi"},
    ),
    "manifest": (MANIFEST, place(Format.MANIFEST), {"requests.cpu": "500m", "requests.memory": "1Gi"}),
    "kustomize": (KUSTOMIZE, place(Format.KUSTOMIZE), {"requests.cpu": "2", "requests.memory": "2Gi"}),
}


@pytest.mark.parametrize("name", CASES)
def test_quantities_are_found_where_they_stand(name):
    text, where, said = CASES[name]
    found = sizes(text.encode(), where)
    assert {key: one.text for key, one in found.items()} == said
    assert all(text[one.start : one.end] == one.text for one in found.values())


@pytest.mark.parametrize("name", CASES)
@given(cpu=st.sampled_from(["1", "250m", "0.5", "12"]), memory=st.sampled_from(["900Mi", "1Gi", "1500M", "3e9"]))
def test_no_other_byte_changes(name, cpu, memory):
    text, where, _ = CASES[name]
    before = sizes(text.encode(), where)
    made = resized(text.encode(), where, {"requests.cpu": cpu, "requests.memory": memory}).decode()
    after = sizes(made.encode(), where)
    assert (after["requests.cpu"].text, after["requests.memory"].text) == (cpu, memory)
    # put back what was there, from the last to the first: the file as it was
    for key in sorted(after, key=lambda one: after[one].start, reverse=True):
        made = f"{made[: after[key].start]}{before[key].text}{made[after[key].end :]}"
    assert made == text


def test_a_comment_beside_it_says_how_far_and_off_forbids():
    found = sizes(CASES["helm"][0].encode(), WEB)
    assert (found["limits.memory"].low, found["limits.memory"].high) == ("512Mi", "8Gi")
    assert found["requests.cpu"].low == ""


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        (HELM, WEB, "which is no range such as 100m..2"),
        ("web: {resources: {requests: {cpu: 4}}} # aiops: off", WEB, "hands off"),
        ("web: {resources: {requests: {cpu: 4}}} # aiops: 2..1", WEB, "a range with nothing in it"),
        ("web: {resources: {requests: {cpu: 4}}} # aiops: ..", WEB, "which is no range"),
        ("web: {resources: {requests: {cpu: a lot}}}", WEB, "'a lot' is no quantity such as 250m"),
        ("web: {resources: {requests: {cpu: 4, cpu: 5}}}", WEB, "is there twice"),
        ("web: {resources: {requests: {cpu: [4]}}}", WEB, "is no quantity on one line"),
        ("x: &shared {cpu: 4}\nweb: {resources: {requests: *shared}}", WEB, "used in other places too"),
        ("web: {}", WEB, "no requests and no limits of the container app"),
        ("web: {resources: [", WEB, "it is no YAML"),
        ("a: 1\n---\nb: 2", WEB, "2 documents"),
        (MANIFEST.replace("name: app ", "name: apps "), place(Format.MANIFEST), "0 containers of Deployment checkout"),
        (MANIFEST.replace("kind: Deployment", "kind: Rollout"), place(Format.MANIFEST), "0 documents in it"),
        (
            KUSTOMIZE.replace("patch: |-\n      # sizes", "patch: >-\n      # sizes"),
            place(Format.KUSTOMIZE),
            "it is no YAML",
        ),
        ("patches: []", place(Format.KUSTOMIZE), "0 inline strategic patches"),
    ],
)
def test_what_cannot_be_told_for_sure_is_said_with_its_place(text, where, why):
    with pytest.raises(Unusable, match=r"^f\.yaml: ") as told:
        sizes(text.encode(), where)
    assert why in str(told.value)


def test_what_the_file_does_not_say_is_not_put_there():
    with pytest.raises(Unusable, match=r"it says no limits\.cpu of the container app"):
        resized(CASES["helm"][0].encode(), WEB, {"limits.cpu": "2"})


def test_each_container_has_its_own_place_and_the_first_that_fits_counts():
    def at(container: str, file: str, match: str = "shop/*") -> Placement:
        return Placement(
            match=match, repository="deploy", file=file, format=Format.MANIFEST, field="resources", container=container
        )

    every = (at("{name}", "a.yaml"), at("proxy", "b.yaml"), at("checkout", "c.yaml"), at("app", "d.yaml", "pay/*"))
    found = sized(every, TargetRef(namespace="shop", name="checkout"))
    assert [one.file for one in found] == ["a.yaml", "b.yaml"]
    assert found[0].place(TargetRef(namespace="shop", name="checkout")).container == "checkout"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"format": "tfvars", "file": "a.tfvars.json", "path": "x"}, "do not stand in tfvars"),
        ({"format": "manifest", "min": 1}, "min and max are of replicas"),
        ({"format": "helm"}, "needs the path"),
        ({"format": "manifest", "field": "replicas", "container": "app"}, "container is of the field resources"),
    ],
)
def test_settings_that_no_file_could_have_are_refused(more, why):
    with pytest.raises(ValidationError, match=why):
        PlacedSettings(**{"match": "shop/*", "repository": "d", "file": "f.yaml", "field": "resources", **more})
