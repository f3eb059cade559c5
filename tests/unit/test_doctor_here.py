"""What `aiops doctor` finds on the machine it runs on: the store, certificates, schedules, ports, channels, prices."""

from __future__ import annotations

import datetime as dt
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aiops.adapters.store import REVISION, Store
from aiops.app.doctor import files, keeping, listening, outside
from aiops.app.doctor.findings import Check, Status, Trouble
from tests.builders import loaded
from tests.unit.test_doctor import by_name, found_by, scene, tree

# -- the store ---------------------------------------------------------------------------------------------


def kept(folder: Path, **more) -> list[Check]:
    store = {"url": f"sqlite:///{folder / 'aiops.db'}", **more}
    return keeping.checks(scene(store=store, models={"checkpoint": folder / "models.npz"}))


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
