"""Repositories over smart HTTP: who we are there, what is refused, what is unknown, and that no secret is told."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiops.core.model import Reason, StepStatus
from tests.git_http import Host, serving
from tests.git_world import TEXT, Desk, Origin

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not here")
SECRET = "s3cret-of-ours"


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    made = Origin(tmp_path)
    made.write(TEXT, message="first")
    yield made
    made.close()


@pytest.fixture
def host(origin: Origin) -> Iterator[Host]:
    with serving(origin.folder) as made:
        yield made


def desk(origin: Origin, host: Host, **more: object) -> Desk:
    return Desk(origin, more={"url": f"{host.url}/deploy.git", "timeout_s": 5.0, **more})


def secret(origin: Origin, text: str = SECRET) -> Path:
    path = origin.folder / "token"
    path.write_text(f"{text}\n")
    return path


def test_a_value_is_read_and_written_over_http(origin: Origin, host: Host):
    at_work = desk(origin, host)
    assert (at_work.seen().value, at_work.known().held) == (8, None)
    assert at_work.send(11).status is StepStatus.DONE
    assert "replicaCount: 11 " in origin.shown()
    origin.edit("tag: v1", "tag: v2")
    assert (at_work.seen().ours.action_id, at_work.send(12).status) == ("A1", StepStatus.DONE)
    assert "tag: v2" in origin.shown()


def test_proposals_go_over_http_too(origin: Origin, host: Host):
    at_work = desk(origin, host, propose=True)
    at_work.seen()
    assert at_work.send(11).status is StepStatus.DONE
    assert "replicaCount: 11 " in origin.shown("aiops/shop/checkout")
    assert at_work.seen().offered.after == 11


@pytest.mark.parametrize("how", ["basic", "bearer"])
def test_a_token_from_a_file_lets_us_in_and_a_new_one_is_taken_at_once(origin: Origin, host: Host, how):
    path = secret(origin)
    named = {"username": "bot", "password_file": path} if how == "basic" else {"bearer_token_file": path}
    host.basic, host.bearer = ("bot:" + SECRET, "") if how == "basic" else ("", SECRET)
    at_work = desk(origin, host, **named)
    assert at_work.seen().held is None
    assert at_work.send(11).status is StepStatus.DONE
    host.basic, host.bearer = ("bot:renewed", "") if how == "basic" else ("", "renewed")
    reason, why = at_work.seen().held
    assert (reason, SECRET in why) == (Reason.NO_PERMISSION, False)
    secret(origin, "renewed")
    assert at_work.seen().held is None


def test_who_may_only_read_holds_with_the_reason_and_a_back_off(origin: Origin, host: Host):
    host.pushes = False
    at_work = desk(origin, host)
    at_work.seen()
    result = at_work.send(11)
    assert (result.status, result.reason) == (StepStatus.REFUSED, Reason.NO_PERMISSION)
    assert result.message.startswith("nothing was pushed: ")
    assert at_work.known().held[0] is Reason.PUSH_REFUSED
    host.pushes = True
    assert at_work.seen(after_s=61.0).held is None
    assert at_work.send(11).status is StepStatus.DONE


def test_a_hook_that_says_no_is_told_in_its_own_words(origin: Origin, host: Host):
    at_work = desk(origin, host)
    at_work.seen()
    origin.protect("GL-HOOK-ERR: open a merge request")
    result = at_work.send(11)
    assert (result.reason, "GL-HOOK-ERR: open a merge request" in result.message) == (Reason.PUSH_REFUSED, True)


def test_an_update_hook_protects_main_and_leaves_proposals(origin: Origin, host: Host):
    hook = origin.bare / "hooks" / "update"
    hook.write_text('#!/bin/sh\n[ "$1" = refs/heads/main ] && echo "$1 is protected" >&2 && exit 1\nexit 0\n')
    hook.chmod(0o755)
    direct = desk(origin, host)
    direct.seen()
    refused = direct.send(11)
    assert (refused.reason, "refs/heads/main is protected" in refused.message) == (Reason.PUSH_REFUSED, True)
    offering = desk(origin, host, propose=True)
    offering.seen()
    assert offering.send(11).status is StepStatus.DONE


@pytest.mark.parametrize(
    ("status", "reason"),
    [(500, Reason.REPOSITORY_UNAVAILABLE), (404, Reason.REPOSITORY_UNAVAILABLE), (403, Reason.NO_PERMISSION)],
)
def test_a_host_that_is_out_of_order_holds_and_comes_back(origin: Origin, host: Host, status, reason):
    at_work = desk(origin, host)
    at_work.seen()
    host.status = status
    found = at_work.seen()
    assert (found.value, found.held[0]) == (8, reason)
    result = at_work.send(11)
    assert (result.status, "nothing was pushed" in result.message) == (StepStatus.REFUSED, True)
    host.status = 0
    assert at_work.seen(after_s=61.0).held is None
    assert at_work.send(11).status is StepStatus.DONE


def test_an_answer_that_is_lost_after_the_push_is_unknown_and_the_branch_tells(origin: Origin, host: Host):
    at_work = desk(origin, host)
    at_work.seen()
    host.after_push = 502
    result = at_work.send(11, name="A")
    assert result.status is StepStatus.UNKNOWN
    host.after_push = 0
    assert at_work.seen().ours.action_id == "A"
    assert at_work.send(11, before=8, name="A").status is StepStatus.DONE
    assert origin.commits() == 2


def test_a_host_that_hangs_ends_by_its_time_out(origin: Origin, host: Host):
    at_work = desk(origin, host, timeout_s=0.4)
    at_work.seen()
    host.hangs = True  # until the test is over: whoever waited for an answer would never come to the next line
    assert at_work.seen().held[0] is Reason.REPOSITORY_UNAVAILABLE


def test_a_host_that_nobody_is_at_holds(origin: Origin, host: Host):
    at_work = Desk(origin, more={"url": "http://127.0.0.1:9/deploy.git", "timeout_s": 1.0})
    reason, why = at_work.seen().held
    assert (reason, why.startswith("repository deploy: http://127.0.0.1:9/deploy.git ")) == (
        Reason.REPOSITORY_UNAVAILABLE,
        True,
    )


def test_credentials_go_to_no_other_host(origin: Origin, host: Host):
    with serving(origin.folder) as other:
        host.moved_to = other.url
        at_work = desk(origin, host, username="bot", password_file=secret(origin))
        assert "301" in at_work.seen().held[1]
        assert other.asked == []


def test_no_secret_is_in_what_is_said(origin: Origin, host: Host, caplog: pytest.LogCaptureFixture):
    host.basic = "bot:another"
    at_work = desk(origin, host, username="bot", password_file=secret(origin))
    said = [at_work.seen().held[1], at_work.send(11, before=8).message, repr(at_work.repository.options), caplog.text]
    assert not any(SECRET in one for one in said)
    origin.protect(f"your token {SECRET} is too old")
    host.basic = f"bot:{SECRET}"
    at_work.seen()
    assert "your token ... is too old" in at_work.send(11).message


@contextmanager
def dripping() -> Iterator[str]:
    """Yield the URL of a host that says a little now and then, for as long as it is listened to."""
    over = threading.Event()

    def drip(link: socket.socket) -> None:
        try:
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n")
            link.sendall(b"fff0# serv")  # the beginning of a line of 65,000 bytes
            while not over.wait(0.05):
                link.sendall(b"i")
        except OSError:
            link.close()

    def serve() -> None:
        while not over.is_set():
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(link,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/deploy.git"
        over.set()


def test_a_host_that_drips_is_given_up_after_the_time_that_all_of_it_may_take(origin: Origin):
    with dripping() as url:
        at_work = Desk(origin, more={"url": url, "timeout_s": 60.0, "longest_s": 0.5})
        reason, why = at_work.seen().held
    assert reason is Reason.REPOSITORY_UNAVAILABLE
    assert "did not answer well" in why


def test_a_view_that_grows_old_while_a_fetch_does_not_end_is_held(origin: Origin, host: Host):
    at_work = desk(origin, host, timeout_s=60.0)
    assert at_work.seen().held is None
    host.hangs = True
    at_work.repository.start()
    at_work.now += 110.0
    assert at_work.known().held is None
    at_work.now += 11.0
    reason, why = at_work.known().held
    host.let_go.set()
    assert reason is Reason.REPOSITORY_UNAVAILABLE
    assert why == "repository deploy was read 121 s ago, and the fetch since has not ended"
