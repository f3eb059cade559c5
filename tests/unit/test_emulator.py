"""The workload emulator without a cluster: its configuration, loads, and what it reads of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from aiops.errors import InvalidInput
from simulators.emulator import read
from simulators.emulator.kubeconfig import access
from simulators.emulator.loads import Origin, load_of
from simulators.emulator.pods import PodBook
from simulators.emulator.routes import RouteBook
from simulators.emulator.selectors import Selector
from tests.unit.living import CHECKOUT, START, config, pod, route

# -- the configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workloads: [{namespace: shop, service: a, selector: x, load: -1}]", "workloads[0].load.constant.rps"),
        ("workloads: [{namespace: shop, service: a, selector: 'a b'}]", "workloads[0].selector"),
        ("workloads: [{namespace: shop, service: a, selector: x, capacity: 0}]", "workloads[0].capacity"),
        ("workloads: [{namespace: shop, service: a, selector: x, load: {kind: ramp, from: 1}}]", "load.ramp.to"),
        ("workloads: []", "no workloads"),
        ("step: 2s", "step: Input should be less than or equal to 1"),
        ("kubernets: {}", "kubernets: Extra inputs"),
    ],
)
def test_a_wrong_configuration_names_its_field(tmp_path: Path, text: str, said: str):
    path = tmp_path / "emulator.yaml"
    path.write_text(f"kubernetes: {{kubeconfig: k}}\n{text}\n")
    with pytest.raises(InvalidInput) as caught:
        read(path)
    assert said in str(caught.value)
    assert f"{path}:" in str(caught.value)


def test_two_of_one_name_are_refused():
    with pytest.raises(ValueError, match="shop/checkout is there twice"):
        config(workloads=[CHECKOUT, CHECKOUT])


def test_a_kubeconfig_is_read_as_kubectl_would(tmp_path: Path):
    path = tmp_path / "config"
    path.write_bytes(orjson.dumps(kubeconfig({"token": "abc"})))
    found = access(path)
    assert (found.url, found.tls, found.headers) == ("http://127.0.0.1:1", None, {"Authorization": "Bearer abc"})
    with pytest.raises(InvalidInput, match="no context 'other'"):
        access(path, "other")
    path.write_bytes(orjson.dumps(kubeconfig({}, **{"insecure-skip-tls-verify": True})))
    with pytest.raises(InvalidInput, match="insecure-skip-tls-verify"):
        access(path)
    path.write_bytes(orjson.dumps(kubeconfig({"exec": {}})))
    with pytest.raises(InvalidInput, match="exec is not supported"):
        access(path)
    path.write_bytes(orjson.dumps(kubeconfig({}, **{"server": "https://h", "certificate-authority": "none.crt"})))
    with pytest.raises(InvalidInput, match=r"none\.crt: No such file"):
        access(path)


def kubeconfig(user: Mapping[str, Any], **cluster: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1/", **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


# -- loads ---------------------------------------------------------------------------------------------------


def rates(load: Any, *seconds: float, folder: Path = Path()) -> list[float]:
    spec = config(workloads=[{**CHECKOUT, "load": load}]).workloads[0].load
    origin = Origin(key="shop/checkout", start=START, folder=folder, seed=1)
    return [float(one) for one in load_of(spec, origin).rates(START + np.array(seconds))]


def test_a_constant_load_is_constant():
    assert rates(40, 0.0, 1e6) == [40.0, 40.0]


def test_a_ramp_waits_then_rises_then_stays():
    ramp = {"kind": "ramp", "from": 10, "to": 30, "after": "10s", "over": "20s"}
    assert rates(ramp, 0.0, 10.0, 20.0, 30.0, 99.0) == [10.0, 10.0, 20.0, 30.0, 30.0]


def test_a_trace_runs_from_the_start_as_fast_as_is_said(tmp_path: Path):
    (tmp_path / "t.csv").write_text("seconds,rps\n0,10\n60,20\n120,10\n")
    trace = {"kind": "trace", "file": "t.csv", "speedup": 10, "scale": 2}
    assert rates(trace, 0.0, 3.0, 6.0, 15.0, folder=tmp_path) == [20.0, 30.0, 40.0, 30.0]
    once = {**trace, "repeat": False}
    assert rates(once, 3.0, 12.0, 15.0, folder=tmp_path) == [30.0, 20.0, 20.0]


def test_a_shaped_load_is_a_scenarios_load_with_its_time_sped_up():
    burst = {"at": "100s", "factor": 3, "hold": "100s"}
    shaped = {"kind": "shaped", "base": 10, "bursts": [burst]}
    assert rates(shaped, 50.0, 150.0, 250.0) == [10.0, 30.0, 10.0]
    assert rates({**shaped, "speedup": 10}, 5.0, 15.0, 25.0) == [10.0, 30.0, 10.0]


# -- what the cluster shows ----------------------------------------------------------------------------------


def test_only_ready_pods_that_are_not_terminating_count():
    book = PodBook(0.1)
    assert not book.synced
    book.replace([pod(1), pod(2, ready=False), pod(3, deletionTimestamp="2026-01-01T00:00:00Z"), pod(4, cpu=None)])
    assert (book.synced, book.ready) == (True, 2)
    assert book.requested_cores == pytest.approx(0.3)
    book.note("MODIFIED", pod(2))
    book.note("MODIFIED", pod(2))
    book.note("MODIFIED", pod(1, deletionTimestamp="2026-01-01T00:00:00Z"))
    book.note("DELETED", pod(1))
    book.note("ADDED", pod(5, ready=False))
    assert book.ready == 2
    assert sorted(one.name for one in book.pods) == ["p2", "p4", "p5"]
    book.replace([pod(9)])
    assert (book.ready, book.requested_cores) == (1, pytest.approx(0.2))


def test_weights_of_the_first_rule_split_and_an_unsaid_one_is_1():
    book = RouteBook()
    assert (book.weights, book.shares()) == (None, {})
    book.replace([route(("a", 3), ("b", None))])
    assert book.shares() == {"shop/a": 0.75, "shop/b": 0.25}
    book.note("MODIFIED", route(("a", 0), ("b", 0)))
    assert book.weights == {"shop/a": 0, "shop/b": 0}
    assert book.shares() == {}
    book.note("DELETED", route(("a", 1)))
    assert book.weights is None


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("", {}, True),
        ("a=1", {"a": "1"}, True),
        ("a==1,b!=2", {"a": "1"}, True),
        ("a=1,b!=2", {"a": "1", "b": "2"}, False),
        ("a in (1, 2),!b", {"a": "2"}, True),
        ("a notin (1,2)", {"a": "1"}, False),
        ("example.com/a", {"example.com/a": ""}, True),
    ],
)
def test_label_selectors_mean_what_kubectl_says(text: str, labels: dict[str, str], holds: bool):
    assert Selector.parse(text).holds(labels) is holds
