"""What `aiops doctor` finds without anything outside: its runner, its rules, files, the store, what listens."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aiops.adapters.kubernetes.probe import Grant, Right, grants
from aiops.adapters.store import REVISION, Store
from aiops.app.doctor import files, keeping, listening, metrics, outside, policies
from aiops.app.doctor.clusters import different
from aiops.app.doctor.findings import (
    Area,
    Check,
    Finding,
    Looked,
    Status,
    Trouble,
    exit_code,
    fail,
    ok,
    skip,
    warn,
)
from aiops.app.doctor.metrics import clock_of, states
from aiops.app.doctor.rights import permissions, rule_of
from aiops.app.doctor.running import run
from aiops.app.doctor.sampling import sampling
from aiops.app.doctor.scene import Scene
from aiops.app.settings import Settings
from aiops.core.model import Answered, Coverage, Failed, Mode, NoSeries
from aiops.core.policies import Reaction
from aiops.core.versions import Promotion
from aiops.errors import CannotReach, ConfigurationError, NoPermission, SourceUnavailable
from aiops.policy.crd import RESOURCES, crds
from tests.builders import loaded
from tests.unit.test_cli import aiops

NOW = 1_772_450_000.0


def check(name: str, look, area: Area = Area.METRICS, **more) -> Check:
    return Check(area=area, name=name, look=look, **more)


def raising(err: Exception):
    def look():
        raise err

    return look


def by_name(found: list[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in found}


def scene(**settings) -> Scene:
    return Scene(settings=Settings(**{"prometheus": {"url": "http://127.0.0.1:1"}, **settings}), timeout_s=2.0)


def found_by(checks: list[Check], name: str) -> list[Finding]:
    return list(next(one for one in checks if one.name == name).look())


# -- running -----------------------------------------------------------------------------------------------


def test_what_fails_hangs_or_breaks_harms_no_other():
    hangs = threading.Event()
    began = time.monotonic()
    looked = run(
        [
            check("well", lambda: [ok("well", "fine")]),
            check("hangs", lambda: [ok("hangs", "late")] if hangs.wait(30) else []),
            check("refused", raising(NoPermission("no"))),
            check("gone", raising(SourceUnavailable("away"))),
            check("wrong", raising(ConfigurationError("bad"))),
            check("broken", raising(KeyError("x"))),
        ],
        0.3,
    )
    hangs.set()
    assert time.monotonic() - began < 5
    assert [(one.check.name, one.findings[0].status, one.findings[0].trouble) for one in looked] == [
        ("well", Status.OK, Trouble.NONE),
        ("hangs", Status.FAIL, Trouble.UNREACHABLE),
        ("refused", Status.FAIL, Trouble.PERMISSION),
        ("gone", Status.FAIL, Trouble.UNREACHABLE),
        ("wrong", Status.FAIL, Trouble.FAULT),
        ("broken", Status.FAIL, Trouble.FAULT),
    ]
    assert "the check itself failed: KeyError" in looked[5].findings[0].what
    assert all(one.findings[0].fix for one in looked[1:])


def test_no_more_run_at_once_than_are_allowed_and_those_that_hang_let_others_on():
    lock, at_once, most = threading.Lock(), [0], [0]

    def look():
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1
        return [ok("one", "")]

    run([check(f"c{number}", look) for number in range(12)], 5.0, at_once=3)
    assert most[0] == 3
    hangs = threading.Event()
    both = [check("a", lambda: [hangs.wait(30)]), check("b", lambda: [ok("b", "after a")])]
    looked = run(both, 0.2, at_once=1)
    hangs.set()
    assert looked[1].findings == (ok("b", "after a"),)


def test_what_nobody_can_be_asked_about_is_skipped_and_asked_nobody():
    asked = []
    looked = run(
        [
            check("after", lambda: asked.append(1) or [ok("after", "")], needs="prometheus"),
            check("prometheus", raising(SourceUnavailable("away"))),
            check("later", lambda: [ok("later", "")], needs="cluster"),
            check("cluster", lambda: [warn("cluster", "old", "new")]),
        ],
        2.0,
    )
    assert [one.findings[0].status for one in looked] == [Status.SKIP, Status.FAIL, Status.OK, Status.WARN]
    assert asked == []


def test_secrets_are_taken_out_of_what_is_said():
    leaking = check("a", lambda: [fail("a", "token hunter22", "not hunter22")])
    looked = run([leaking], 1.0, lambda text: text.replace("hunter22", "[secret]"))
    assert (looked[0].findings[0].what, looked[0].findings[0].fix) == ("token [secret]", "not [secret]")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([("r", True, [ok("r", "")]), ("s", False, [warn("s", "", ""), skip("t", "")])], 0),
        ([("r", True, [ok("r", "")]), ("s", False, [fail("s", "", "")])], 1),
        ([("r", True, [ok("r", "")]), ("s", False, [fail("s", "", "", Trouble.PERMISSION)])], 5),
        ([("s", False, [fail("s", "", "", Trouble.PERMISSION), fail("s", "", "")])], 1),
        ([("r", True, [fail("r", "", "", Trouble.UNREACHABLE)]), ("s", True, [ok("s", "")])], 1),
        ([("r", True, [fail("r", "", "", Trouble.UNREACHABLE)]), ("s", True, [fail("s", "", "")])], 4),
        ([("r", True, [fail("r", "", "", Trouble.UNREACHABLE)]), ("s", False, [fail("s", "", "")])], 4),
        ([("r", True, [fail("r", "", "", Trouble.PERMISSION)])], 5),
        ([], 0),
    ],
)
def test_the_exit_code_says_what_kind_of_thing_is_to_be_fixed(parts, code):
    looked = [Looked(check=check(name, list, reaches=reaches), findings=tuple(found)) for name, reaches, found in parts]
    assert exit_code(looked) == code


# -- rules of metrics --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead_s", "within_s", "status"),
    [
        (0.4, 0.1, Status.OK),
        (-4.9, 0.0, Status.OK),
        (5.5, 1.0, Status.OK),
        (-6.0, 0.5, Status.WARN),
        (61.0, 0.5, Status.FAIL),
        (-3600.0, 0.5, Status.FAIL),
    ],
)
def test_a_clock_that_differs_by_more_than_is_known_exactly_is_told(ahead_s, within_s, status):
    found = clock_of("clock", ahead_s, within_s)
    assert found.status is status
    assert ("ahead of" if ahead_s > 0 else "behind") in found.what


def one_signal(query: str = "sum(rate(requests_total[1m]))", **spec):
    return next(iter(loaded(signals={"demand": {"query": query, "maxAge": "90s", **spec}}).signals.values()))


@pytest.mark.parametrize(
    ("answer", "changes", "status", "says"),
    [
        (Answered(value=3.0, newest_at=NOW - 20.0), {}, Status.OK, "1 of 1 signals are values, the oldest 20 s old"),
        (Answered(value=3.0, newest_at=NOW - 200.0), {}, Status.FAIL, "stale: 200 s old, at most 90 s"),
        (Answered(value=float("nan"), newest_at=NOW), {}, Status.WARN, "is nan"),
        (Answered(value=1.0, newest_at=NOW, coverage=Coverage(series=1, targets=4, up=1)), {}, Status.WARN, "1 of 4"),
        (NoSeries(coverage=Coverage(series=0)), {}, Status.FAIL, "nothing matches requests_total"),
        (NoSeries(coverage=Coverage(series=2)), {}, Status.FAIL, "the query has no series"),
        (NoSeries(), {"on_absent": Reaction.IGNORE}, Status.WARN, "the query has no series"),
        (Failed(error="3 series, a signal is one number"), {}, Status.FAIL, "3 series"),
        (None, {}, Status.FAIL, "not asked"),
    ],
)
def test_a_signal_is_what_the_loop_would_take_it_for(answer, changes, status, says):
    spec = replace(one_signal(), **changes)
    answers = {} if answer is None else {spec.query.policy: {"demand": answer}}
    (found,) = states("signals", [spec], answers, NOW)
    assert found.status is status
    assert says in found.what
    assert bool(found.fix) is (status is not Status.OK)


def test_of_many_signals_that_are_no_values_some_are_told_and_the_others_counted():
    specs = [replace(one_signal(), query=replace(one_signal().query, name=f"s{number}")) for number in range(30)]
    found = states("signals", specs, {}, NOW)
    assert len(found) == 21
    assert found[-1].what == "10 more signals are no values"


@pytest.mark.parametrize(
    ("query", "max_age", "interval_s", "statuses", "says"),
    [
        ("sum(rate(a[1m]))", "90s", 15.0, [Status.OK], "each 15 s; a turn is 15 s"),
        ("sum(rate(a[1m]))", "3m", 60.0, [Status.FAIL], "rate over 60 s often holds fewer than 2 samples"),
        ("sum(rate(a[2m]))", "3m", 60.05, [Status.OK], "each 60 s"),
        ("max_over_time(a[30s])", "3m", 60.0, [Status.FAIL], "fewer than 1 samples"),
        ("max(a)", "30m", 600.0, [Status.FAIL], "takes it for gone"),
        ("max(a)", "45s", 60.0, [Status.FAIL], "stale after maxAge 45 s"),
        ("max(a)", "90s", 60.0, [Status.WARN], "one missed scrape"),
        ("max(a)", "90s", None, [Status.SKIP], "no series"),
    ],
)
def test_what_is_sampled_too_seldom_for_its_query_is_told(query, max_age, interval_s, statuses, says):
    def intervals(selectors):
        return {} if interval_s is None else dict.fromkeys(selectors, interval_s)

    found = list(sampling("prometheus", [one_signal(query, maxAge=max_age)], 15.0, intervals))
    assert [one.status for one in found] == statuses
    assert says in found[0].what


def test_a_source_that_a_signal_names_and_the_settings_do_not_have_is_told():
    policy = loaded()
    spec = policy.signals["demand"]
    elsewhere = replace(spec, query=replace(spec.query, source="west"))
    at = scene(sources={"east": {"url": "http://127.0.0.1:1"}})
    at.policies = replace(at.policies, scaling=(policy, replace(policy, key="b", signals={"demand": elsewhere})))
    (found,) = found_by(metrics.checks(at), "sources")
    assert (found.name, found.status) == ("policy b", Status.FAIL)
    assert found.what == "signal demand asks the source west; there are east"


# -- permissions and CRDs, as text -------------------------------------------------------------------------


def test_the_rule_to_add_is_the_part_that_is_missing():
    rule = {"apiGroups": ["apps"], "resources": ["deployments", "deployments/scale"], "verbs": ["list", "patch"]}
    grant = Grant(role="aiops", namespace="shop", rule={**rule, "resourceNames": ["a", "b"]})
    assert len(list(grant.rights())) == 8
    gone = [Right(namespace="shop", group="apps", resource="deployments/scale", verb="patch", name="b")]
    assert rule_of(grant, gone) == {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale"],
        "verbs": ["patch"],
        "resourceNames": ["b"],
    }
    objects = [
        {"kind": "Role", "metadata": {"name": "aiops", "namespace": "shop"}, "rules": [rule]},
        {"kind": "RoleBinding"},
    ]
    assert grants(objects) == [Grant(role="aiops", namespace="shop", rule=rule)]


@pytest.mark.parametrize(
    ("answers", "statuses", "says"),
    [
        (lambda rights: dict.fromkeys(rights, True), [Status.OK], "sam may do all that is needed: 17 rights"),
        (lambda rights: dict.fromkeys(rights[:3], True), [Status.WARN], "3 of 17 rights were asked about"),
        (lambda rights: {rights[0]: False}, [Status.FAIL, Status.WARN], "sam may not list nodes in the whole cluster"),
    ],
)
def test_of_rights_that_could_not_be_asked_about_in_time_it_is_told_how_many_were(answers, statuses, says):
    class Probe:
        def whoami(self):
            return "sam"

        def reviewed(self, rights, goes_on):
            return answers(list(dict.fromkeys(rights)))

    at = scene(mode="enforce", custom_resources={"enabled": False}, store={"url": "sqlite:///x.db"})
    at.policies = replace(at.policies, scaling=(loaded(),))
    found = list(permissions("cluster", at, ("default", Probe())))
    assert [one.status for one in found] == statuses
    assert says in found[0].what


def published() -> dict:
    """Return our schemas as an API server publishes them."""
    schemas = {}
    for one in crds():
        version = one["spec"]["versions"][0]
        kind = {"group": "policy.aiops", "version": "v1alpha1", "kind": one["spec"]["names"]["kind"]}
        schemas[kind["kind"]] = {**version["schema"]["openAPIV3Schema"], "x-kubernetes-group-version-kind": [kind]}
    return {"components": {"schemas": json.loads(json.dumps(schemas))}}


def test_kinds_of_another_version_are_known_by_their_fields():
    document = published()
    assert different(document) == []
    spec = document["components"]["schemas"]["ScalingPolicy"]["properties"]["spec"]["properties"]
    del spec["bounds"]["properties"]["windows"]
    document["components"]["schemas"]["WatchPolicy"]["properties"]["spec"]["properties"]["more"] = {"type": "string"}
    assert sorted(different(document)) == ["ScalingPolicy", "WatchPolicy"]
    assert len(different({})) == len(RESOURCES)


# -- the store ---------------------------------------------------------------------------------------------


def kept(folder: Path, **more) -> list[Check]:
    store = {"url": f"sqlite:///{folder / 'aiops.db'}", **more}
    return keeping.checks(scene(store=store, models={"checkpoint": folder / "models.npz"}))


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(one): (one.stat().st_size, one.stat().st_mtime_ns) for one in folder.rglob("*")}


def test_a_store_that_is_not_there_is_made_by_the_daemon_and_not_by_looking(tmp_path):
    checks = kept(tmp_path / "later")
    (found,) = found_by(checks, "store")
    assert (found.status, "is new" in found.what) == (Status.OK, True)
    assert [one.status for one in found_by(checks, "store: disk")] == [Status.OK]
    assert tree(tmp_path) == {}


def test_a_store_is_looked_at_without_a_byte_of_it_changing(tmp_path):
    Store.open(f"sqlite:///{tmp_path / 'aiops.db'}").close()
    before = tree(tmp_path)
    found = by_name(found_by(kept(tmp_path), "store"))
    assert found["store"].what.endswith(f"opens, schema {REVISION}")
    assert found["store: audit chain"].status is Status.OK
    assert tree(tmp_path) == before


def test_a_store_in_use_is_looked_at_beside_its_writer(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}", writer=True)
    try:
        found = by_name(found_by(kept(tmp_path), "store"))
        assert {one.status for one in found.values()} == {Status.OK}
    finally:
        store.close()


def test_a_schema_of_another_program_is_told(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    for revision, status, says in (("0001", Status.WARN, "will be brought to"), ("9999", Status.FAIL, "is newer")):
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
        (found,) = found_by(kept(tmp_path), "store")
        assert (found.status, says in found.what) == (status, True)
    store.close()


def test_what_is_no_store_is_told(tmp_path):
    (tmp_path / "aiops.db").write_text("this is no database, and long enough to be read as one" * 100)
    (found,) = found_by(kept(tmp_path), "store")
    assert (found.status, found.trouble) == (Status.FAIL, Trouble.FAULT)
    (found,) = found_by(keeping.checks(scene(store={"url": "postgresql://sam:hunter22@127.0.0.1:1/aiops"})), "store")
    assert (found.status, found.trouble) == (Status.FAIL, Trouble.UNREACHABLE)
    assert "hunter22" not in found.what


def test_a_disk_that_is_nearly_full_is_told(tmp_path):
    assert found_by(kept(tmp_path, max_bytes=1000), "store: disk")[0].status is Status.OK
    assert found_by(kept(tmp_path, max_bytes=4e15), "store: disk")[0].status is Status.FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folders_that_may_not_be_written_are_told(tmp_path):
    tmp_path.chmod(0o500)
    assert found_by(kept(tmp_path), "store: disk")[0].status is Status.FAIL
    assert found_by(kept(tmp_path), "models")[0].status is Status.FAIL


# -- certificates and schedules ----------------------------------------------------------------------------


def certificate(folder: Path, name: str = "tls", days: float = 90.0, key: ec.EllipticCurvePrivateKey | None = None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + dt.timedelta(days=min(-1.0, days - 1.0)))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@pytest.mark.parametrize(
    ("days", "status", "says"),
    [
        (90.0, Status.OK, "is valid for 90 days"),
        (3.0, Status.WARN, "valid for"),
        (-2.0, Status.FAIL, "ended 2 days ago"),
    ],
)
def test_a_certificate_that_ends_is_told_in_time(tmp_path, days, status, says):
    cert, _ = certificate(tmp_path, days=days)
    found = files.of_file("web.tls.cert_file", cert, time.time())
    assert (found.status, says in found.what) == (status, True)


def test_of_a_bundle_one_that_is_over_is_a_warning_and_no_failure(tmp_path):
    old, _ = certificate(tmp_path, "old", days=-2.0)
    new, _ = certificate(tmp_path, "new")
    bundle = tmp_path / "ca.crt"
    bundle.write_bytes(old.read_bytes() + new.read_bytes())
    assert files.of_file("ca", bundle, time.time()).status is Status.WARN


def test_every_certificate_of_the_settings_is_looked_at_wherever_it_stands(tmp_path):
    cert, key = certificate(tmp_path)
    _, other = certificate(tmp_path, "other")
    (tmp_path / "empty.crt").write_text("")
    settings = {
        "prometheus": {"url": "https://127.0.0.1:1", "ca_file": cert},
        "sources": {"west": {"url": "https://127.0.0.1:1", "ca_file": tmp_path / "empty.crt"}},
        "web": {"tls": {"cert_file": cert, "key_file": other}},
        "export": {"keda": {"cert_file": cert, "key_file": key, "client_ca_file": tmp_path / "none.crt"}},
        "notify": {"endpoints": {"t": {"url": "https://a.b", "secret_file": tmp_path / "s", "ca_file": cert}}},
    }
    found = by_name(found_by(files.checks(scene(**settings)), "tls"))
    assert {name: one.status for name, one in found.items()} == {
        "prometheus.ca_file": Status.OK,
        "sources.west.ca_file": Status.FAIL,
        "web.tls.cert_file": Status.OK,
        "web.tls.key_file": Status.FAIL,
        "export.keda.cert_file": Status.OK,
        "export.keda.key_file": Status.OK,
        "export.keda.client_ca_file": Status.FAIL,
        "notify.endpoints.t.ca_file": Status.OK,
    }
    assert found_by(files.checks(scene()), "tls")[0].status is Status.SKIP


def test_a_freeze_in_a_time_zone_that_is_none_is_told():
    freeze = {"name": "sale", "schedule": "0 0 27 11 *", "duration": "2d"}
    good = scene(freezes=[{**freeze, "time_zone": "Europe/Berlin"}])
    assert [one.status for one in found_by(files.checks(good), "schedules")] == [Status.OK]
    bad = scene(freezes=[{**freeze, "time_zone": "Europe/Berlln"}, {**freeze, "name": "cron", "schedule": "0 0"}])
    found = found_by(files.checks(bad), "schedules")
    assert [(one.name, one.status) for one in found] == [("freeze sale", Status.FAIL), ("freeze cron", Status.FAIL)]


# -- what listens ------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (found,) = found_by(listening.checks(scene(web={"port": port})), "web: port")
        assert (found.status, str(port) in found.what) == (Status.WARN, True)
    (found,) = found_by(listening.checks(scene(web={"port": port})), "web: port")
    assert (found.status, "is free" in found.what) == (Status.OK, True)
    assert found_by(listening.checks(scene(web={"enabled": False})), "web: port")[0].status is Status.SKIP


@pytest.mark.parametrize(
    ("web", "statuses", "says"),
    [
        ({}, [Status.OK], "nobody is asked"),
        ({"enabled": False}, [Status.SKIP], "are off"),
        ({"host": "0.0.0.0", "token": "t" * 40, "behind_tls": True}, [Status.OK], "the token of the settings"),
        ({"host": "0.0.0.0", "token": "t" * 40}, [Status.OK, Status.WARN], "without TLS"),
        ({"token": "short"}, [Status.OK, Status.FAIL], "can be guessed"),
        ({"trusted_proxies": ["0.0.0.0/0"]}, [Status.OK, Status.WARN], "believes anybody"),
        ({"token_file": "/nowhere/token"}, [Status.OK, Status.FAIL], "cannot be read"),
    ],
)
def test_who_is_let_in_is_told_and_what_is_too_open(web, statuses, says):
    found = found_by(listening.checks(scene(web=web)), "web: who is let in")
    assert [one.status for one in found] == statuses
    assert says in found[-1].what
    assert "short" not in found[-1].what


# -- who may be told, prices -------------------------------------------------------------------------------


def test_channels_are_tried_as_far_as_can_be_without_telling_anybody(tmp_path):
    (tmp_path / "secret").write_text("a secret of sixteen letters")
    endpoint = {"url": "https://tickets.example.com/hook"}
    settings = {
        "channels": {"chat": {"urls": ["json://127.0.0.1:1"]}, "typo": {"urls": ["slak://A/B/C"]}},
        "endpoints": {
            "tickets": {**endpoint, "secret_file": tmp_path / "secret"},
            "gone": {**endpoint, "secret_file": tmp_path / "none"},
        },
    }
    found = by_name(found_by(outside.checks(scene(notify=settings)), "notify"))
    assert {name: one.status for name, one in found.items()} == {
        "channel chat": Status.OK,
        "channel typo": Status.FAIL,
        "endpoint tickets": Status.OK,
        "endpoint gone": Status.FAIL,
        "notify": Status.WARN,
    }
    assert "slak" not in found["channel typo"].what
    assert found_by(outside.checks(scene()), "notify")[0].status is Status.SKIP


def test_prices_that_are_not_set_are_no_matter_until_a_policy_counts_in_money():
    at = scene()
    assert found_by(outside.checks(at), "prices")[0].status is Status.SKIP
    price = {"violatedRequest": 0.001}
    slo = {"signal": "latency", "atMost": "250ms", "target": "99%"}
    signals = {"demand": {"query": "sum(a)"}, "latency": {"query": "max(b)", "unit": "s"}}
    objective = {"demand": "demand", "perReplica": 50, "price": price, "slo": slo}
    policy = loaded(signals=signals, objective=objective, forecast={"history": "7d"})
    at.policies = replace(at.policies, scaling=(policy,))
    (found,) = found_by(outside.checks(at), "prices")
    assert (found.status, policy.key in found.what) == (Status.WARN, True)


# -- settings and policies ---------------------------------------------------------------------------------

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


def test_trouble_is_known_by_the_exception():
    looked = run([check("a", raising(CannotReach("no")))], 1.0)
    assert looked[0].findings[0].trouble is Trouble.UNREACHABLE
