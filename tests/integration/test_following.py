"""Followers as a daemon runs them, over real sockets: signed CloudEvents, people's channels, anchors."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from aiops.adapters.signatures import KnownKeys, SigningKey
from aiops.adapters.store import Store
from aiops.app.audit_settings import AuditSettings
from aiops.app.auditing import exported_anchors, signing
from aiops.app.notify_settings import NotifySettings
from aiops.app.settings import load_settings
from aiops.app.telling import Around, following
from aiops.core.record.anchors import genuine
from aiops.core.record.audit import AuditKind, Entry
from aiops.errors import ConfigurationError
from tests.loopback import serving

ROOT = Path(__file__).parents[2]
SECRET = "a secret of enough length"


@pytest.fixture
def got() -> list[tuple[str, dict[str, str], bytes]]:
    return []


@pytest.fixture
def receiver(got) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with serving(Handler) as url:
        yield url


@pytest.fixture
def settings(receiver, tmp_path) -> NotifySettings:
    (tmp_path / "secret").write_text(SECRET)
    return NotifySettings.model_validate(
        {
            "channels": {"ops": {"urls": [receiver.replace("http:", "json:") + "/people"]}},
            "endpoints": {"siem": {"url": f"{receiver}/events", "secret_file": tmp_path / "secret"}},
            "routes": [{"name": "all", "channels": ["ops"], "group_wait": 0}],
            "events": {"endpoint": "siem", "source": "/aiops/shop"},
        }
    )


def test_a_stop_reaches_people_a_siem_and_an_anchor_outside_of_the_store(settings, got, tmp_path):
    key = SigningKey.made(tmp_path / "key.pem")
    audit = AuditSettings(key_file=tmp_path / "key.pem", anchors_file=tmp_path / "anchors.jsonl")
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}")
    signing(store, audit)
    around = Around(leads=lambda: True, labels=lambda _: {}, clock=time.time)
    followers = following(store, (settings, audit), around)
    made = followers.run
    made.every_s = 0.02
    store.audit.note(Entry(at=time.time(), kind=AuditKind.STORE, by="ann", subject="store", did="begun"))
    made.start()
    said = {"kind": AuditKind.PAUSE, "by": "ann", "subject": "*", "did": "stopped", "detail": {"until": None}}
    store.audit.note(Entry(**said, ref="p1", at=time.time(), said="fire"))
    eventually(lambda: {path for path, _, _ in got} == {"/people", "/events"})
    eventually((tmp_path / "anchors.jsonl").exists)
    made.stop(5.0)

    numbers = followers.numbers()
    assert (dict(numbers.waiting), numbers.events_sent, followers.unwell()) == ({"all/ops": 0}, 1, [])
    told = json.loads(next(body for path, _, body in got if path == "/people"))
    assert told["title"] == "[aiops] everything is stopped: *"
    assert "next: aiops resume p1" in told["message"]

    ((_, headers, body),) = [one for one in got if one[0] == "/events"]
    assert headers["content-type"] == "application/cloudevents-batch+json"
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
    signature = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    (event,) = json.loads(body)
    assert (event["type"], event["source"], event["data"]["said"]) == ("aiops.pause", "/aiops/shop", "fire")

    (anchor,) = exported_anchors([tmp_path / "anchors.jsonl"])
    assert (anchor.key, anchor.digest) == (key.fingerprint, store.audit.after(anchor.seq - 1)[0].digest)
    assert genuine(anchor, KnownKeys.load([tmp_path / "key.pem"]).verify)
    store.close()


def eventually(happened) -> None:
    ends_at = time.monotonic() + 15
    while not happened():
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def aiops(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    config = ["--config", str(tmp_path / "c.yaml")]
    return subprocess.run(
        [sys.executable, "-m", "aiops", *config, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_channel_and_an_endpoint_are_tried_by_command(receiver, settings, got, tmp_path):
    (tmp_path / "c.yaml").write_text(
        json.dumps(
            {
                "store": {"url": f"sqlite:///{tmp_path / 'aiops.db'}"},
                "notify": {
                    "channels": {
                        "ops": {"urls": [receiver.replace("http:", "json:") + "/people"]},
                        "gone": {"urls": ["json://127.0.0.1:9/nobody"]},
                    },
                    "endpoints": {"siem": {"url": f"{receiver}/events", "secret_file": str(tmp_path / "secret")}},
                },
            }
        )
    )
    for name, code in (("siem", 0), ("gone", 4), ("nobody", 2)):
        found = aiops(tmp_path, "notify", "test", name)
        assert found.returncode == code, found.stderr
    assert "there are: gone, ops, siem" in found.stderr
    assert [path for path, _, _ in got] == ["/events"]


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"channels": ["nobody"]}, "there is no channel nobody (there are ops)"),
        ({"channels": ["ops"], "title": "{{ nothing }}"}, "'nothing' is undefined"),
        ({"channels": ["ops"], "kinds": ["alarm"]}, "kinds"),
        ({"channels": ["ops"], "quiet": [{"schedule": "at night"}]}, "schedule"),
        ({"channels": ["ops"], "quiet": [{"time_zone": "Europe/Atlantis"}]}, "Atlantis"),
        ({"channels": ["ops"], "name": "no name"}, "name"),
    ],
)
def test_a_route_that_is_wrong_is_refused_by_file_line_and_field(tmp_path, route, said):
    (tmp_path / "c.yaml").write_text(
        json.dumps(
            {"notify": {"channels": {"ops": {"urls": ["json://127.0.0.1/x"]}}, "routes": [{"name": "r", **route}]}}
        )
    )
    with pytest.raises(ConfigurationError, match=r"c\.yaml:1:\d+: notify") as caught:
        load_settings(tmp_path / "c.yaml")
    assert said in str(caught.value)
