"""What `aiops doctor` makes of policies and of their promotions, and how the command ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiops.adapters.store import Store
from aiops.app.doctor import policies
from aiops.app.doctor.findings import (
    Finding,
    Status,
    Trouble,
)
from aiops.app.doctor.running import run
from aiops.app.doctor.scene import Scene
from aiops.app.settings import Settings
from aiops.core.model import Mode
from aiops.core.versions import Promotion
from aiops.errors import CannotReach
from tests.commands import aiops
from tests.unit.test_doctor import NOW, by_name, check, raising, scene, tree

POLICY = """\
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: NAME, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: NAME}
  signals: {demand: {query: 'sum(requests_total)'}}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 2, maxReplicas: 10}
"""


def policed(folder: Path, *names: str, **settings) -> tuple[Scene, dict[str, Finding]]:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.yaml").write_text(POLICY.replace("NAME", name))
    store = {"url": f"sqlite:///{folder / 'aiops.db'}"}
    at = scene(policies=[str(folder)], mode="enforce", store=store, **settings)
    found = [one for check in policies.first_checks(at, None) for one in check.look()]
    found += [one for check in policies.second_checks(at) for one in check.look()]
    return at, by_name(found)


def test_policies_that_nobody_promoted_are_told_and_do_not_act(tmp_path):
    at, found = policed(tmp_path, "checkout")
    assert found["policies: files"].what.endswith("1 ScalingPolicy, all valid")
    told = found["policy ScalingPolicy/shop/checkout"]
    assert (told.status, "aiops policy promote shop/checkout" in told.fix) == (Status.WARN, True)
    assert found["policies: what acts"].what.startswith("nothing acts")
    assert not at.acts(at.policies.scaling[0])


def test_a_policy_that_was_promoted_acts_as_far_as_it_was(tmp_path):
    at, _ = policed(tmp_path, "checkout", "other")
    policy = next(one for one in at.policies.scaling if one.target.name == "checkout")
    store = Store.open(at.settings.store.url)
    store.promotions.add(
        Promotion(
            at=NOW,
            policy=policy.key,
            spec_hash=policy.spec_hash,
            mode=Mode.APPROVE,
            document=policy.document,
            by="sam",
            reason="a test",
            forced=False,
            evidence="{}",
        )
    )
    store.close()
    at, found = policed(tmp_path)
    assert [one.target.name for one in at.policies.scaling if at.acts(one)] == ["checkout"]
    assert "policy ScalingPolicy/shop/checkout" not in found
    assert found["policies: what acts"].what.startswith("1 of 2 act (ScalingPolicy/shop/checkout)")


def test_a_store_of_another_schema_is_not_taken_for_one_without_promotions(tmp_path):
    at, _ = policed(tmp_path, "checkout")
    store = Store.open(at.settings.store.url)
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    store.close()
    at, found = policed(tmp_path)
    told = found["policies: promotions"]
    assert (told.status, "its schema is 0001" in told.what) == (Status.SKIP, True)
    assert at.acts(at.policies.scaling[0])  # what is not known is taken for what may act


def test_where_files_decide_they_act_up_to_the_ceiling(tmp_path):
    at, found = policed(tmp_path, "checkout", promotion="file")
    assert at.acts(at.policies.scaling[0])
    assert found["policies: what acts"].what == "1 of 1 act (ScalingPolicy/shop/checkout); the ceiling is enforce"


def test_a_policy_that_is_wrong_is_told_with_its_place_and_the_others_are_looked_at_all_the_same(tmp_path):
    (tmp_path / "bad.yaml").write_text(POLICY.replace("NAME", "bad").replace("perReplica", "perReplicas"))
    at, found = policed(tmp_path, "checkout")
    wrong = found["policies: files"]
    assert wrong.status is Status.FAIL
    assert f"{tmp_path}/bad.yaml:8:" in wrong.what
    assert [one.target.name for one in at.policies.scaling] == ["checkout"]


def test_a_folder_without_policies_and_settings_without_metrics_are_told(tmp_path):
    at = Scene(settings=Settings(policies=[str(tmp_path)]), timeout_s=1.0)
    found = by_name([one for check in policies.first_checks(at, None) for one in check.look()])
    assert found["settings: prometheus"].status is Status.FAIL
    assert found["policies: files"].status is Status.FAIL


# -- the command -------------------------------------------------------------------------------------------


def test_the_demo_is_well_and_nothing_is_written_for_it(tmp_path):
    root = Path(__file__).parents[2]
    config = tmp_path / "demo.yaml"
    text = (root / "config/demo.yaml").read_text().replace("simulators/demo", str(root / "simulators/demo"))
    config.write_text(text.replace("sqlite:///var/demo.db", f"sqlite:///{tmp_path / 'demo.db'}"))
    before = tree(tmp_path)
    done = aiops("--config", str(config), "-o", "json", "doctor")
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    assert (told["exit_code"], told["counts"]["fail"]) == (0, 0)
    well = {(one["area"], one["name"]) for one in told["checks"] if one["status"] == "ok"}
    assert {("metrics", "scenario"), ("metrics", "signals"), ("metrics", "targets"), ("prices", "prices")} <= well
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("words", "settings", "code", "says"),
    [
        ((), "prometeus: {}\n", 3, "did you mean 'prometheus'?"),
        (("--only", "nothing"), "", 2, "nothing"),
        (("--timeout", "0"), "", 2, "timeout"),
        (("--only", "metrics", "--timeout", "2"), "prometheus: {url: 'http://127.0.0.1:1'}\n", 4, "cannot be reached"),
        (("--only", "web", "--only", "tls"), "prometheus: {url: 'http://127.0.0.1:1'}\n", 0, "TLS"),
    ],
)
def test_the_command_ends_with_what_is_documented(tmp_path, words, settings, code, says):
    config, folder = tmp_path / "aiops.yaml", tmp_path / "policies"
    folder.mkdir()
    (folder / "checkout.yaml").write_text(POLICY.replace("NAME", "checkout"))
    config.write_text(settings + f"policies: [{folder}]\nweb: {{port: 0}}\n")
    done = aiops("--config", str(config), "doctor", *words)
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout + done.stderr


def test_it_looks_from_where_it_runs_and_asks_no_daemon():
    done = aiops("--server", "http://127.0.0.1:1", "doctor")
    assert done.returncode == 2
    assert "it looks from where it runs" in done.stderr
    done = aiops(
        "doctor", "--only", "web", AIOPS_SERVER="http://127.0.0.1:1", AIOPS_PROMETHEUS__URL="http://127.0.0.1:1"
    )
    assert "it looks from where it runs" not in done.stderr
    assert "WEB" in done.stdout


def test_trouble_is_known_by_the_exception():
    looked = run([check("a", raising(CannotReach("no")))], 1.0)
    assert looked[0].findings[0].trouble is Trouble.UNREACHABLE


@pytest.mark.parametrize(
    ("witness", "lease", "status", "said"),
    [
        ("edge", {"enabled": True, "cluster": "edge"}, Status.OK, "the Lease lies in edge, as 1 policies have it"),
        ("edge", {"enabled": True}, Status.OK, "the Lease lies in edge"),
        (
            "nowhere",
            {"enabled": True, "cluster": "edge"},
            Status.FAIL,
            "its witness is nowhere, and the Lease lies in edge",
        ),
        ("edge", {"enabled": True, "cluster": "west"}, Status.FAIL, "its witness is edge, and the Lease lies in west"),
        ("edge", {"enabled": False}, Status.FAIL, "this daemon takes part in no election"),
    ],
)
def test_s8_a_witness_that_does_not_hold_the_lease_is_told(tmp_path, witness, lease, status, said):
    text = (Path(__file__).parents[2] / "policies" / "failover.yaml").read_text()
    (tmp_path / "failover.yaml").write_text(text.replace("witness: edge", f"witness: {witness}"))
    _, found = policed(tmp_path, lease=lease, clusters={name: {} for name in ("edge", "north", "west")})
    told = found["policies: witnesses"]
    assert (told.status, said in told.what) == (status, True)
