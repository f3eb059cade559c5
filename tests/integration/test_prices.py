"""`aiops prices list` against an API server with nodes and pods, and a price list in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiops.app.cli import app
from tests.integration.kubernetes_server import KubernetesServer, deployment, pod
from tests.integration.test_daemon import kubeconfig
from tests.integration.test_kubernetes import DEPLOYMENTS, PODS

ROOT = Path(__file__).parents[2]


def node(name: str, **labels: str):
    kind = {"node.kubernetes.io/instance-type": "m6i.xlarge", "topology.kubernetes.io/zone": "eu-1a"}
    return {
        "metadata": {"name": name, "labels": {**kind, **labels}},
        "status": {"capacity": {"cpu": "4", "memory": "16Gi"}},
    }


def running(number: int, on: str):
    made = pod(number)
    made["spec"] = {
        "nodeName": on,
        "containers": [{"name": "web", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}],
    }
    return made


@pytest.fixture
def config(tmp_path):
    server = KubernetesServer()
    server.put("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    server.put("/api/v1/nodes", node("a"))
    server.put("/api/v1/nodes", node("s", **{"karpenter.sh/capacity-type": "spot"}))
    server.put(DEPLOYMENTS, deployment(replicas=2))
    server.put(PODS, running(1, "a"))
    server.put(PODS, running(2, "s"))
    prices = tmp_path / "prices.csv"
    prices.write_text(
        "instanceType,capacity,nodeHour,coreHour,gibHour\nm6i.xlarge,on-demand,0.2,0.03,0.005\nm6i.xlarge,spot,0.08,0.01,0.0025\n"
    )
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        json.dumps(
            {
                "policies": [str(ROOT / "policies" / "checkout.yaml")],
                "clusters": {"default": {"kubeconfig": str(kubeconfig(server.url, tmp_path / "kubeconfig"))}},
                "prices": {"list": str(prices), "currency": "EUR", "rates": {"EUR": 1.25}},
            }
        )
    )
    yield settings
    server.stop()


def test_replicas_cost_what_they_request_of_the_nodes_they_run_on(config):
    done = CliRunner().invoke(app, ["-o", "json", "--config", str(config), "prices", "list"])
    assert done.exit_code == 0, done.exception
    told = json.loads(done.stdout)
    assert told["currency"] == "EUR"
    assert {one["node"]: (one["kind"], one["per_hour"]) for one in told["nodes"]} == {
        "default/a": ("m6i.xlarge eu-1a", pytest.approx(0.2)),
        "default/s": ("m6i.xlarge eu-1a spot", pytest.approx(0.08)),
    }
    (replica,) = told["replicas"]
    # half a core and a GiB: on demand 0.015 + 0.005, on the spot node 0.005 + 0.0025
    assert (replica["target"], replica["per_hour"]) == ("shop/checkout", pytest.approx((0.02 + 0.0075) / 2))
    assert replica["core_hour"] == pytest.approx(0.02)
    assert replica["note"] == "2 of 2 on known nodes"
    assert told["errors"] == []


def test_people_see_a_table_of_each_kind(config):
    done = CliRunner().invoke(app, ["--config", str(config), "prices", "list"])
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "A REPLICA OF EUR/H A CORE A GIB AGE FROM" in lines
    assert any(line.startswith("default/s m6i.xlarge eu-1a spot 0.08 0.01 0.0025") for line in lines)
    assert any(line.startswith("m6i.xlarge any on demand 0.2") for line in lines)
