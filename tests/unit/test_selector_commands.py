"""Templates from the command line: show, rbac, record, backtest and simulate, where there is no cluster to ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from aiops import policy as language
from aiops.adapters.kubernetes import rbac
from aiops.core.model import Mode
from aiops.core.selection import Member
from aiops.errors import InvalidInput
from aiops.policy.members import meant, of_targets
from simulators.scenario import load
from simulators.selected import expanded_in
from tests.commands import ROOT, aiops
from tests.unit.chosen import WEB, changed

NAMED = changed(
    ("name: web,", "name: own,"),
    ("selector: {matchLabels: {tier: web}}, maxTargets: 4, maxGrowth: 1", "name: checkout"),
)


def test_a_target_is_said_by_its_name_and_the_labels_that_queries_name():
    assert meant("checkout") == Member(name="checkout")
    assert meant("checkout:app=shop,a/b=") == Member(name="checkout", labels={"app": "shop", "a/b": ""})


@pytest.mark.parametrize("text", ["", ":app=x", "checkout:app", "checkout:", "checkout:=x"])
def test_a_target_that_is_none_is_refused(text):
    with pytest.raises(InvalidInput, match=r"NAME or NAME:LABEL=VALUE,\.\.\. is wanted"):
        meant(text)


def test_a_set_is_made_for_the_targets_that_are_named():
    made = of_targets(language.parse(WEB, "web.yaml"), ["checkout", "cart"])
    assert [one.key for one in made.scaling] == ["ScalingPolicy/shop/web_cart", "ScalingPolicy/shop/web_checkout"]
    assert made.templates == ()
    with pytest.raises(InvalidInput, match="shop/web: it selects its targets; name them, such as --target checkout"):
        of_targets(language.parse(WEB, "web.yaml"), [])
    named = language.parse(NAMED, "own.yaml")
    assert of_targets(named, []) is named
    with pytest.raises(InvalidInput, match="no policy here selects its targets"):
        of_targets(named, ["cart"])
    with pytest.raises(InvalidInput, match="ScalingPolicy/shop/own scales it by its name"):
        of_targets(language.parse(f"{WEB}---\n{NAMED}", "both.yaml"), ["checkout"])


def test_show_says_what_is_asked_for_a_target(tmp_path: Path):
    file = tmp_path / "web.yaml"
    file.write_text(WEB)
    shown = aiops("policy", "show", "--effective", "--target", "checkout", str(file))
    assert shown.returncode == 0, shown.stderr
    assert '# demand: sum(rate(requests_total{app="checkout",namespace="shop"}[1m]))' in shown.stdout
    assert "maxTargets: 4" in shown.stdout
    data = json.loads(aiops("-o", "json", "policy", "show", "--target", "checkout", str(file)).stdout)
    assert data[0]["metadata"]["member"] == {"labels": {}, "name": "checkout"}
    refused = aiops("policy", "show", "--target", "check.out", str(file))
    assert (refused.returncode, "is no DNS label" in refused.stderr) == (2, True)


def test_a_backtest_of_a_template_asks_of_which_target(tmp_path: Path):
    file = tmp_path / "web.yaml"
    file.write_text(WEB)
    refused = aiops("backtest", str(file), "--data", "x.parquet")
    assert (refused.returncode, "name them, such as --target checkout" in refused.stderr) == (2, True)


def test_rbac_bounds_a_selector_by_its_namespace_and_names_what_is_named():
    def patched(text: str) -> list[dict]:
        objects = rbac(language.parse(text, "x.yaml"), ceiling=Mode.ENFORCE)
        return [
            {"namespace": one["metadata"]["namespace"], **rule}
            for one in objects
            for rule in one.get("rules", ())
            if "deployments/scale" in rule["resources"]
        ]

    (rule,) = patched(WEB)
    assert (rule["namespace"], rule["verbs"], rule.get("resourceNames")) == ("shop", ["patch"], None)
    (rule,) = patched(NAMED)
    assert rule["resourceNames"] == ["checkout"]


def scenario(folder: Path, **labels: dict[str, str]) -> Path:
    services = [{"name": name, "load": {"base": 200}, "labels": mine} for name, mine in labels.items()]
    world = {"name": "shop", "start": "2026-03-02T07:00:00Z", "duration": "5m", "step": "15s", "services": services}
    file = folder / "shop.yaml"
    file.write_text(yaml.safe_dump(world))
    return file


def test_a_scenario_is_rehearsed_with_those_of_its_services_that_match(tmp_path: Path):
    file = scenario(tmp_path, cart={"tier": "web"}, checkout={"tier": "web"}, ledger={})
    text = WEB.replace("requests_total{app=", "http_requests_total{service=")
    made = expanded_in(load(str(file)), language.parse(text, "web.yaml"))
    assert [one.target.name for one in made.scaling] == ["cart", "checkout"]
    policy = tmp_path / "web.yaml"
    policy.write_text(text)
    report = tmp_path / "r.html"
    ran = aiops("simulate", str(file), "--policies", str(policy), "--no-baselines", "--report", str(report))
    assert ran.returncode == 0, ran.stderr
    assert "shop: 0.0833333 h, 20 ticks" in ran.stdout


def test_a_scenario_in_which_nobody_matches_says_so(tmp_path: Path):
    file = scenario(tmp_path, cart={})
    with pytest.raises(InvalidInput, match="selects no service of shop: none has the labels tier=web"):
        expanded_in(load(str(file)), language.parse(WEB, "web.yaml"))
    many = scenario(tmp_path, **{f"a{number}": {"tier": "web"} for number in range(5)})
    with pytest.raises(InvalidInput, match="5 Deployments match tier=web, maxTargets is 4"):
        expanded_in(load(str(many)), language.parse(WEB, "web.yaml"))


@pytest.mark.parametrize(
    ("kind", "said"),
    [("ScalingPolicy", "the policies are for shop/web"), ("WatchPolicy", "the policies scale nothing")],
)
def test_policies_that_are_about_no_service_of_a_scenario_are_not_rehearsed(kind, said, tmp_path):
    policy = tmp_path / "mine.yaml"
    spec = {
        "ScalingPolicy": {
            "target": {"kind": "Deployment", "name": "web"},
            "lever": "replicas",
            "signals": {"demand": {"query": "sum(rate(requests_total[1m]))"}},
            "objective": {"demand": "demand", "perReplica": 50},
            "bounds": {"minReplicas": 2, "maxReplicas": 20},
        },
        "WatchPolicy": {"query": "up"},
    }[kind]
    mine = {"apiVersion": "policy.aiops/v1alpha1", "kind": kind, "metadata": {"name": "web", "namespace": "shop"}}
    policy.write_text(yaml.safe_dump(mine | {"spec": spec}))
    report = tmp_path / "report.html"
    refused = aiops("simulate", "flash-crowd", "--policies", str(policy), "--report", str(report))
    assert (refused.returncode, refused.stdout, report.exists()) == (1, "", False)
    assert refused.stderr.strip() == f"flash-crowd has the services shop/checkout, and {said}"


def test_policies_for_one_target_are_backtested_side_by_side(tmp_path):
    example = ROOT / "docs/examples/checkout-4d.yaml"
    other = tmp_path / "other.yaml"
    text = example.read_text().replace("name: checkout, namespace", "name: bolder, namespace")
    other.write_text(text.replace("perReplica: 50", "perReplica: 65"))
    both = (str(example), str(other))
    checked = aiops("policy", "validate", *both)
    assert "is already scaled by" in checked.stdout + checked.stderr
    data = (
        "--data",
        str(ROOT / "docs/examples/checkout-4d.parquet"),
        "--from",
        "2023-11-17",
        "--to",
        "2023-11-17T04:00",
    )
    found = json.loads(aiops("-o", "json", "backtest", *both, *data, "--baselines", "none").stdout)
    assert [one["policy"] for one in found["results"]] == ["ScalingPolicy/shop/bolder", "ScalingPolicy/shop/checkout"]
    bolder, careful = (one["contenders"][0]["replica_hours"] for one in found["results"])
    assert bolder < careful
