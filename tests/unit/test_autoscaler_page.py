"""docs/keep-your-autoscaler.md: what a reader copies from it is taken as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from aiops.app.settings import ExportSettings, load_settings
from aiops.core.model import Mode
from aiops.grpc.trigger import trigger
from aiops.policy import parse
from aiops.web.external_metrics_selector import selector
from tests.outlooks import Stage, sight

PAGE = (Path(__file__).parents[2] / "docs" / "keep-your-autoscaler.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
OBJECTS = [one for block in BLOCKS for one in yaml.safe_load_all(block) if isinstance(one, dict)]


def of_kind(kind: str) -> dict:
    (found,) = [one for one in OBJECTS if one.get("kind") == kind]
    return found


def settings(key: str, tmp_path: Path) -> ExportSettings:
    (block,) = [block for block in BLOCKS if block.startswith("export:") and f"\n  {key}:" in block]
    path = tmp_path / "aiops.yaml"
    path.write_text(block)
    return load_settings(path).export


def test_the_settings_are_taken(tmp_path):
    served = settings("external_metrics", tmp_path).external_metrics
    assert (served.enabled, served.host, served.allowed_names) == (True, "0.0.0.0", ("front-proxy-client",))
    scaler = settings("keda", tmp_path).keda
    assert (scaler.enabled, scaler.port, scaler.push_every) == (True, 6000, 30.0)


def test_the_policy_is_taken_and_acts_on_nothing():
    (block,) = [block for block in BLOCKS if "kind: ScalingPolicy" in block]
    (policy,) = parse(block, "page").scaling
    assert (policy.key, policy.mode) == ("ScalingPolicy/shop/checkout", Mode.OBSERVE)
    assert policy.forecast is not None


def test_the_hpa_reads_a_metric_that_is_served():
    (external,) = [
        one["external"] for one in of_kind("HorizontalPodAutoscaler")["spec"]["metrics"] if "external" in one
    ]
    labels = external["metric"]["selector"]["matchLabels"]
    assert all(isinstance(value, str) for value in labels.values())
    chosen = selector(",".join(f"{key}={value}" for key, value in labels.items()))
    told = [one for one in Stage(sight()).viewer.told(external["metric"]["name"], "shop") if chosen.holds(one.labels)]
    assert [one.labels for one in told] == [labels]


def test_the_trigger_of_the_scaled_object_is_understood():
    scaled = of_kind("ScaledObject")
    (external,) = [one for one in scaled["spec"]["triggers"] if one["type"] == "external"]
    metadata = external["metadata"]
    assert all(isinstance(value, str) for value in metadata.values())
    made = trigger(scaled["metadata"]["namespace"], metadata)
    assert (made.policy, made.quantile, made.target, made.activation) == ("checkout", 0.95, 50.0, 1.0)
    assert scaled["spec"]["cooldownPeriod"] > scaled["spec"]["pollingInterval"]
    keys = {one["parameter"] for one in of_kind("TriggerAuthentication")["spec"]["secretTargetRef"]}
    assert keys == {"caCert", "tlsClientCert", "tlsClientKey"}


@pytest.mark.parametrize("word", ["aiops_forecast_usable", "aiops_finding_score", "aiops_forecast_lead_time_seconds"])
def test_metrics_that_the_page_names_are_told(word):
    from prometheus_client import CollectorRegistry, generate_latest

    from aiops.adapters.metrics import OutlookCollector

    registry = CollectorRegistry()
    registry.register(OutlookCollector(Stage(sight()).viewer))
    assert word in generate_latest(registry).decode()
    assert f"`{word}`" in PAGE
