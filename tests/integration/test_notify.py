"""What is told: signed webhooks to allowed endpoints and people's channels, whatever the other side does (S6, S10)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from aiops.adapters.notify import Channel, Endpoint, Notifications, urls_of
from aiops.adapters.notify.addresses import ForbiddenAddress, checked
from aiops.adapters.notify.answers import Patience, Told, refused
from aiops.core.model import CallWebhook, Errand, Message, Notify, Reason, StepStatus
from aiops.errors import ConfigurationError
from tests.loopback import serving

NOW = 1_772_450_000.0
SECRET = "a secret of enough length"


@dataclass
class Receiver:
    """A loopback server that answers as the test says. trickle_s: between two bytes of its answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"taken"
    hang: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False
    trickle_s: float = 0.0
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            one.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            if one.hangs:
                one.hang.wait(20)
                return
            self.send_response(one.status)
            for name, value in {"Content-Length": str(len(one.body)), **one.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            for byte in one.body:
                self.wfile.write(bytes([byte]))
                one.hang.wait(one.trickle_s)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with serving(Handler) as url:
        one.url = f"{url}/hook?team=shop"
        yield one
        one.hang.set()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    return file


ERRAND = Errand(
    id="E1",
    plan_id="P1",
    step=0,
    back=False,
    policy="RemediationPolicy/shop/checkout",
    dry_run=False,
    issued_at=NOW,
    expires_at=NOW + 30,
    epoch=1,
)


def call(endpoint: str = "tickets", **fields: str) -> Message:
    operation = CallWebhook(endpoint=endpoint, fields=tuple(fields.items()))
    return Message(operation=operation, key="K1", summary="call tickets")


def page(channel: str = "") -> Message:
    return Message(operation=Notify(title="Sick", text="checkout", channel=channel), key="K2", summary="page")


def over(receiver: Receiver, secret: Path, **changes: Any) -> Notifications:
    settings = {"name": "tickets", "url": receiver.url, "secret_file": secret, "timeout_s": 1.0, **changes}
    return Notifications([Endpoint(**settings)])


def test_a_webhook_is_signed_over_its_id_time_and_body_s10(receiver, secret):
    told = over(receiver, secret).tell(ERRAND, call(node="n1", severity="high"), NOW)
    assert (told.status, told.code, told.action_id) == (StepStatus.DONE, 200, "E1")
    [(path, headers, body)] = receiver.got
    assert path == "/hook?team=shop"
    assert json.loads(body) == {
        "id": "K1",
        "at": int(NOW),
        "plan": "P1",
        "policy": "RemediationPolicy/shop/checkout",
        "back": False,
        "summary": "call tickets",
        "fields": {"node": "n1", "severity": "high"},
    }
    signed = f"K1.{int(NOW)}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-timestamp"] == str(int(NOW))
    assert headers["webhook-id"] == headers["idempotency-key"] == "K1"
    assert headers["user-agent"].endswith("errand/E1")


def test_a_secret_of_standard_webhooks_is_taken_and_renewed_without_a_start_s10(receiver, tmp_path):
    file, raw = tmp_path / "whsec", bytes(range(32))
    file.write_text("whsec_" + base64.b64encode(raw).decode())
    told = over(receiver, file)
    told.tell(ERRAND, call(), NOW)
    file.write_text("another secret, long enough")
    told.tell(ERRAND, call(), NOW)
    keys = (raw, b"another secret, long enough")
    for key, (_, headers, body) in zip(keys, receiver.got, strict=True):
        signed = f"K1.{int(NOW)}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize(
    ("status", "expected", "reason"),
    [
        (204, StepStatus.DONE, None),
        (302, StepStatus.REFUSED, Reason.REFUSED),
        (400, StepStatus.REFUSED, Reason.REFUSED),
        (401, StepStatus.REFUSED, Reason.REFUSED),
        (429, StepStatus.REFUSED, Reason.REFUSED),
        (500, StepStatus.UNKNOWN, None),
        (503, StepStatus.REFUSED, Reason.REFUSED),
        (504, StepStatus.UNKNOWN, None),
    ],
)
def test_what_an_answer_means_s6(receiver, secret, status, expected, reason):
    receiver.status, receiver.body = status, b"" if status == 204 else b"words"
    told = over(receiver, secret).tell(ERRAND, call(), NOW)
    assert (told.status, told.code, told.reason) == (expected, status, reason)


def test_a_redirect_is_not_followed_and_says_where_it_led_s10(receiver, secret):
    receiver.status, receiver.headers = 307, {"Location": "http://169.254.169.254/latest/meta-data"}
    told = over(receiver, secret).tell(ERRAND, call(), NOW)
    assert told.status is StepStatus.REFUSED
    assert "redirects to http://169.254.169.254/latest/meta-data: redirects are not followed" in told.message
    assert len(receiver.got) == 1


def test_an_endpoint_that_hangs_is_unknown_after_its_time_and_left_alone_then_s6(receiver, secret):
    receiver.hangs = True
    told, began = over(receiver, secret, timeout_s=0.3), time.monotonic()
    first = told.tell(ERRAND, call(), NOW)
    between = time.monotonic()
    second = told.tell(ERRAND, call(), NOW)
    assert first.status is StepStatus.UNKNOWN
    assert between - began < 2.0
    assert second.status is StepStatus.REFUSED
    assert "tried again in" in second.message
    assert time.monotonic() - between < 0.1
    assert len(receiver.got) == 1


def test_an_answer_that_trickles_takes_no_longer_than_its_time_s10(receiver, secret):
    receiver.body, receiver.trickle_s = b"x" * 200, 0.05
    began = time.monotonic()
    told = over(receiver, secret, timeout_s=0.4).tell(ERRAND, call(), NOW)
    assert told.status in (StepStatus.UNKNOWN, StepStatus.DONE)
    assert time.monotonic() - began < 2.0


def test_an_endpoint_that_is_not_there_is_refused_for_nothing_was_sent_s6(receiver, secret, tmp_path):
    told = over(receiver, secret, url="http://127.0.0.1:1/").tell(ERRAND, call(), NOW)
    assert (told.status, told.code) == (StepStatus.REFUSED, 0)
    assert "cannot be reached" in told.message


def test_a_name_that_the_settings_do_not_know_is_refused_for_good_s10(receiver, secret):
    told = over(receiver, secret).tell(ERRAND, call("elsewhere"), NOW)
    assert (told.status, told.code) == (StepStatus.REFUSED, 404)
    assert told.message == "the settings name no endpoint 'elsewhere' (endpoints: tickets)"
    assert receiver.got == []


def test_too_much_is_not_sent(receiver, secret):
    told = over(receiver, secret).tell(ERRAND, call(text="x" * 100_000), NOW)
    assert (told.status, told.code) == (StepStatus.REFUSED, 413)
    assert receiver.got == []


def test_a_dry_run_tells_nobody_s6(receiver, secret):
    told = over(receiver, secret).tell(replace(ERRAND, dry_run=True), call(), NOW)
    assert told.status is StepStatus.DRY_RUN
    assert receiver.got == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://tickets.example.com/", "use https"),
        ("ftp://tickets.example.com/", "https://HOST/PATH is wanted"),
        ("https://user:word@tickets.example.com/", "without a user"),
        ("https:///path", "https://HOST/PATH is wanted"),
        ("https://host:99999/", "notify.endpoints.tickets.url"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_an_error_at_the_start_s10(secret, url, said):
    with pytest.raises(ConfigurationError, match=said):
        Endpoint(name="tickets", url=url, secret_file=secret)


@pytest.mark.parametrize("content", [None, "short", "whsec_***", ""])
def test_a_secret_that_is_none_is_an_error_at_the_start_s10(tmp_path, content):
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match="secret_file"):
        Endpoint(name="tickets", url="https://tickets.example.com/", secret_file=file)


FORBIDDEN = [
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "127.0.0.53",
    "100.64.0.1",
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "2002:a00:1::",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_name_that_leads_inside_is_forbidden_s10(address):
    with pytest.raises(ForbiddenAddress):
        checked("tickets.example.com", ["93.184.215.14", address], private=False)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "fe80::a9fe:a9fe", "fd00:ec2::254", "fd00:ec2::23",
        "fd20:ce::254", "168.63.129.16", "192.0.0.192", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "::a9fe:a9fe",
        "224.0.0.1",
    ],
)  # fmt: skip
def test_metadata_is_forbidden_even_where_private_addresses_are_allowed_s10(address):
    with pytest.raises(ForbiddenAddress):
        checked("tickets.example.com", [address], private=True)


def test_private_addresses_are_used_where_the_settings_allow_them():
    assert checked("tickets.example.com", ["10.1.2.3"], private=True) == "10.1.2.3"


def test_a_name_that_leads_to_loopback_is_forbidden_unless_it_is_written_so_s10(receiver, secret):
    told = over(receiver, secret, url="https://tickets.example.com/", resolve=lambda _host, _port: ["127.0.0.1"])
    answer = told.tell(ERRAND, call(), NOW)
    assert (answer.status, answer.code) == (StepStatus.REFUSED, 403)
    assert "tickets.example.com leads to 127.0.0.1, which is not on the public internet" in answer.message
    assert receiver.got == []


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to_s10(receiver, secret):
    """A name that leads elsewhere at its second look-up (DNS rebinding) gains nothing: there is no second one."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    port = receiver.url.split(":")[2].split("/")[0]
    url = f"http://localhost:{port}/hook"
    told = over(receiver, secret, url=url, resolve=lambda _host, _port: answers.pop(0)).tell(ERRAND, call(), NOW)
    assert told.status is StepStatus.DONE
    assert answers == [["10.0.0.1"]]


def channel(receiver: Receiver, name: str = "oncall") -> Channel:
    return Channel(name, (receiver.url.replace("http://", "json://").partition("?")[0],))


def test_people_are_told_through_apprise(receiver):
    told = Notifications(channels=[channel(receiver)]).tell(ERRAND, page("oncall"), NOW)
    assert told.status is StepStatus.DONE
    [(_, _, body)] = receiver.got
    assert (json.loads(body)["title"], json.loads(body)["message"]) == ("Sick", "checkout")


def test_what_a_plan_says_calls_nobody_s10(receiver):
    loud = Message(operation=Notify(title="@here", text="pod <!channel> of ops@example.com"), key="K3", summary="")
    Notifications(channels=[channel(receiver)]).tell(ERRAND, loud, NOW)
    [(_, _, body)] = receiver.got
    told = json.loads(body)
    assert (told["title"], told["message"]) == ("@\u2060here", "pod <\u2060!channel> of ops@example.com")


def test_without_a_name_every_channel_is_told_and_one_that_fails_stops_no_other(receiver):
    deaf = Channel("deaf", ("json://127.0.0.1:1/",))
    told = Notifications(channels=[deaf, channel(receiver)]).tell(ERRAND, page(), NOW)
    assert told.status is StepStatus.DONE
    assert "channel deaf: none of 1 receivers took it" in told.message
    assert len(receiver.got) == 1


def test_channels_that_hang_are_waited_for_together_and_not_again_s10(receiver):
    receiver.hangs = True
    told = Notifications(channels=[channel(receiver, name) for name in ("a", "b", "c")], channel_s=0.4)
    began = time.monotonic()
    first = told.tell(ERRAND, page(), NOW)
    between = time.monotonic()
    second = told.tell(ERRAND, page(), NOW)
    assert first.status is StepStatus.UNKNOWN
    assert between - began < 1.0
    assert "has not answered the message before this one" in second.message
    assert time.monotonic() - between < 0.3


def test_nobody_who_took_it_is_a_refusal_that_is_tried_again(receiver):
    receiver.status = 500
    told = Notifications(channels=[channel(receiver)]).tell(ERRAND, page(), NOW)
    assert (told.status, told.code) == (StepStatus.REFUSED, 0)


def test_channels_that_the_settings_do_not_know_or_understand_are_named(tmp_path):
    told = Notifications().tell(ERRAND, page(), NOW)
    assert (told.code, told.message) == (404, "the settings name no channel (channels: none)")
    with pytest.raises(ConfigurationError, match=r"channels.oncall: URL 2 of 2 is none that apprise understands"):
        Channel("oncall", ("json://localhost/", "nonsense://x"))
    with pytest.raises(ConfigurationError, match="urls_file"):
        urls_of("oncall", (), tmp_path / "none")


def test_urls_of_a_file_are_one_on_each_line(tmp_path):
    file = tmp_path / "urls"
    file.write_text("# people\njson://a/\n\n  json://b/  \n")
    assert urls_of("oncall", ("json://c/",), file) == ("json://c/", "json://a/", "json://b/")


def test_secrets_of_channels_are_neither_shown_nor_logged_s10(receiver, caplog):
    assert "word" not in repr(Channel("oncall", ("json://user:word@localhost/",)))
    with pytest.raises(ConfigurationError) as refusal:
        Channel("oncall", ("nonsense://user:word@localhost/",))
    receiver.status = 500
    Channel("oncall", (receiver.url.replace("http://", "json://user:word@").partition("?")[0],)).tell("t", "x")
    assert "word" not in caplog.text + str(refusal.value)


def test_a_receiver_that_fails_for_hours_is_tried_ever_more_seldom_and_at_once_when_it_is_well_s10():
    now, tries, well = [0.0], [], []

    def telling() -> Told:
        tries.append(now[0])
        return Told(status=StepStatus.DONE) if well else refused("no")

    patience = Patience("oncall", 1.0, clock=lambda: now[0])
    for _ in range(6 * 360):
        patience.tell(telling)
        now[0] += 10.0
    assert tries[:5] == [0.0, 10.0, 30.0, 70.0, 150.0]
    assert len(tries) == 41
    well.append(True)
    now[0] += 600.0
    assert patience.tell(telling).taken
    assert patience.tell(telling).taken
