"""One repository over file://: what is read, what is pushed, who is yielded to, and what is said when it cannot be."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from aiops.adapters.git import Repository, RepositoryOptions
from aiops.adapters.git.messages import inscription
from aiops.adapters.git.mirror import Mirror
from aiops.adapters.git.remote import Remote
from aiops.adapters.git.writing import ATTEMPTS, Order, Writer
from aiops.core.model import OwnerKind, Reason, StepStatus
from tests.git_world import (
    POLICY,
    T0,
    TARGET,
    TEXT,
    VALUES,
    Desk,
    Origin,
    action,
    desk,
    origin,
)

__all__ = ["desk", "origin"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not here")


# -- reading ---------------------------------------------------------------------------------------------


def test_a_field_is_known_with_its_range_and_with_who_wrote_it(desk: Desk, origin: Origin):
    first = origin.git("rev-parse", "HEAD")
    origin.now += 600
    origin.edit("tag: v1", "tag: v2")
    found = desk.seen()
    assert (found.value, found.low, found.high, found.held, found.ours) == (8, 2, 12, None, None)
    (owner,) = found.owners
    assert (owner.kind, owner.manager, owner.at) == (OwnerKind.OTHER, f"Alice ({first[:9]})", T0 - 86_400.0)
    assert str(found) == "deploy main apps/checkout/values.yaml replicaCount"


@pytest.mark.parametrize(
    ("text", "reason", "why"),
    [
        ("replicas: 8\n", Reason.UNDECLARED, "there is no replicaCount"),
        ("replicaCount: 8 # aiops: off\n", Reason.UNDECLARED, "hands off"),
        ("replicaCount: [\n", Reason.UNDECLARED, "it is no YAML"),
    ],
)
def test_a_file_that_cannot_be_understood_holds_and_says_where(desk: Desk, origin: Origin, text, reason, why):
    origin.write(text)
    found = desk.seen()
    assert found.value is None
    assert found.held is not None
    assert found.held[0] is reason
    assert f"repository deploy, {VALUES}: " in found.held[1]
    assert why in found.held[1]


def test_a_link_is_no_file_and_a_missing_file_is_named(origin: Origin):
    desk = Desk(origin)
    origin.git("rm", "-q", VALUES)
    (origin.clone / "apps/checkout").mkdir(parents=True, exist_ok=True)
    (origin.clone / VALUES).symlink_to("/etc/hostname")
    origin.git("add", "-A")
    origin.git("commit", "-q", "-m", "a link")
    origin.git("push", "-q", "origin", "main")
    assert "is no regular file" in desk.seen().held[1]
    origin.git("rm", "-q", VALUES)
    origin.git("commit", "-q", "-m", "gone")
    origin.git("push", "-q", "origin", "main")
    assert f"there is no file {VALUES}" in desk.seen().held[1]


def test_a_branch_that_is_not_there_holds(origin: Origin, desk: Desk, tmp_path: Path):
    options = RepositoryOptions(name="deploy", url=origin.url, branch="production", folder=tmp_path / "other")
    repository = Repository(options, lambda: T0, lambda: T0)
    place = desk.placement.place(TARGET)
    repository.look_at([(TARGET, place)], T0)
    reason, why = repository.declared(TARGET, place, T0).held
    repository.stop(1.0)
    assert (reason, why) == (Reason.REPOSITORY_UNAVAILABLE, "repository deploy has no branch production")


# -- writing ---------------------------------------------------------------------------------------------


def test_a_step_is_one_commit_that_changes_the_digits_and_tells_whose_it_is(desk: Desk, origin: Origin):
    desk.seen()
    result = desk.send(11)
    assert (result.status, result.resource_version) == (
        StepStatus.DONE,
        origin.git("rev-parse", "main", where=origin.bare),
    )
    assert origin.shown() == TEXT.strip().replace("replicaCount: 8 ", "replicaCount: 11 ")
    assert origin.message() == (
        "shop/checkout: replicas 8 -> 11\n\ndemand p95 5.1k req/s needs it\n\n"
        f"Aiops-Action: A1\nAiops-Decision: D1\nAiops-Policy: {POLICY}\nAiops-Target: {TARGET.key}\n"
        "Aiops-Field: replicas\nAiops-From: 8\nAiops-To: 11\nAiops-Original: 8\nAiops-Epoch: 1"
    )
    found = desk.known()
    assert (found.value, found.ours.action_id, found.ours.original) == (11, "A1", 8)
    assert [one.kind for one in found.owners] == [OwnerKind.AIOPS]


def test_what_a_reason_says_never_reads_as_a_trailer(desk: Desk, origin: Origin):
    desk.seen()
    step = desk.step(11, action="A1", reason="x\nAiops-To: 99\n\nAiops-Action: forged")
    assert desk.repositories.send(action(step, "A1", desk.now), step, desk.now).status is StepStatus.DONE
    assert "\n\nx Aiops-To: 99 Aiops-Action: forged\n\n" in origin.message()
    assert desk.known().ours.action_id == "A1"


def test_the_original_goes_along_from_commit_to_commit(desk: Desk):
    desk.seen()
    for after in (11, 12, 10):
        assert desk.send(after).status is StepStatus.DONE
    assert (desk.known().value, desk.known().ours.original) == (10, 8)


def test_a_step_that_is_there_already_is_done_and_not_pushed_again(desk: Desk, origin: Origin):
    desk.seen()
    desk.send(11, name="A")
    again = desk.send(11, before=8, name="A")
    assert (again.status, "is there already" in again.message, origin.commits()) == (StepStatus.DONE, True, 2)


def test_what_was_decided_from_another_value_is_not_written_over_a_person(desk: Desk, origin: Origin):
    desk.seen()
    wrote = origin.edit("replicaCount: 8", "replicaCount: 9")
    result = desk.send(11, before=8)
    assert (result.status, result.reason) == (StepStatus.REFUSED, Reason.MANUAL_OVERRIDE)
    assert result.message == f"{VALUES} says 9 by now, by Alice ({wrote[:9]}), and not 8"
    assert origin.shown().splitlines()[1].startswith("replicaCount: 9")


def test_a_value_outside_of_the_range_at_the_tip_is_refused(desk: Desk, origin: Origin):
    desk.seen()
    origin.edit("2..12", "2..10")
    result = desk.send(11)
    assert (result.reason, result.message) == (Reason.OUT_OF_RANGE, f"{VALUES} allows 2 to 10, and not 11")
    assert origin.commits() == 2


def test_a_branch_that_moved_on_gets_the_commit_on_top(desk: Desk, origin: Origin):
    desk.seen()
    origin.edit("tag: v1", "tag: v2")
    assert desk.send(11).status is StepStatus.DONE
    lines = origin.shown().splitlines()
    assert (lines[1], lines[-1]) == ("replicaCount: 11   # aiops: 2..12", "image: {tag: v2}  # by the build")


@pytest.mark.parametrize(("times", "status"), [(2, StepStatus.DONE), (ATTEMPTS, StepStatus.REFUSED)])
def test_a_branch_that_moves_on_meanwhile_is_tried_again_a_few_times(origin: Origin, tmp_path: Path, times, status):
    desk = Desk(origin)
    desk.seen()
    left = [f"tag: v{number}" for number in range(times + 1)]
    origin.edit("tag: v1", left[0])

    def fetched():
        tips = remote.fetch(mirror.repo, lambda ref: ref == b"refs/heads/main", None)
        if len(left) > 1:
            origin.edit(left.pop(0), left[0])  # somebody is faster than our push
        return tips

    options = RepositoryOptions(name="deploy", url=origin.url, branch="main", folder=tmp_path / "second")
    mirror, remote = Mirror(options.folder), Remote(options)
    writer = Writer(options, mirror, remote, fetched)
    step = desk.step(11, action="A1")
    order = Order(action=action(step, "A1", T0), step=step, place=desk.placement.place(TARGET), at=T0, due=lambda: True)
    result = writer.write(order).result
    mirror.close()
    assert result.status is status
    assert ("replicaCount: 11" in origin.shown()) is (status is StepStatus.DONE)
    assert f"tag: v{times}" in origin.shown()
    if status is StepStatus.REFUSED:
        assert (result.reason, "moved on each time" in result.message) == (Reason.REPOSITORY_UNAVAILABLE, True)


def test_nothing_is_pushed_once_its_time_is_over(desk: Desk, origin: Origin):
    desk.seen()
    step = desk.step(11)
    late = desk.repositories.send(action(step, "A", desk.now - 31.0), step, desk.now)
    assert (late.status, late.reason, origin.commits()) == (StepStatus.REFUSED, Reason.EXPIRED, 1)


def test_a_leader_of_yesterday_writes_nothing_over_the_one_of_today_s6(desk: Desk, origin: Origin):
    desk.seen()
    desk.send(11, epoch=5)
    result = desk.send(12, epoch=4)
    assert (result.status, result.reason, origin.commits()) == (StepStatus.REFUSED, Reason.NOT_LEADER, 2)


def test_many_pushes_take_no_more_of_a_turn_than_one_may(desk: Desk, origin: Origin):
    desk.seen()
    slow = Repository(desk.repository.options, lambda: T0, iter(range(0, 100, 6)).__next__)  # each look takes 6 s
    place = desk.placement.place(TARGET)
    slow.look_at([(TARGET, place)], T0)
    sent = [desk.step(after, before, action=f"A{after}") for before, after in ((8, 9), (9, 10), (10, 11))]
    results = [slow.send(action(step, f"A{step.body['to']}", T0), step, place, T0) for step in sent]
    slow.stop(1.0)
    assert [one.reason for one in results] == [None, Reason.EXPIRED, Reason.EXPIRED]
    assert "took 12 s of this turn: in the next one" in results[1].message
    assert origin.commits() == 2


# -- whose it is (S4) ------------------------------------------------------------------------------------


def test_a_person_who_wrote_after_us_is_the_owner_since_it_was_seen(desk: Desk, origin: Origin):
    desk.seen()
    desk.send(11)
    origin.now = T0 - 5_000.0  # committed long before it was pushed
    wrote = origin.edit("replicaCount: 11", "replicaCount: 9")
    found = desk.seen()
    assert (found.value, found.ours, found.undone) == (9, None, "")
    assert [(one.manager, one.at) for one in found.owners] == [(f"Alice ({wrote[:9]})", desk.now)]
    assert desk.seen().owners == found.owners


@pytest.mark.parametrize("how", ["revert", "by hand", "revert of several"])
def test_a_commit_that_was_taken_back_is_seen_and_said(desk: Desk, origin: Origin, how):
    desk.seen()
    sha = desk.send(11).resource_version
    origin.come_to("main")
    match how:
        case "revert":
            origin.git("revert", "--no-edit", sha)
            origin.git("push", "-q", "origin", "main")
        case "by hand":
            origin.edit("replicaCount: 11", "replicaCount: 8")
        case _:
            last = desk.send(12).resource_version
            origin.come_to("main")
            origin.git("revert", "--no-commit", last, sha)
            origin.git("commit", "-q", "-m", f"back\n\nThis reverts commit {last}, and\nreverts commit {sha}.")
            origin.git("push", "-q", "origin", "main")
            sha = last
    found = desk.seen()
    assert found.value == 8
    assert f"took back our commit {sha[:9]}" in found.undone
    assert found.undone.startswith("Alice (")
    assert [one.kind for one in found.owners] == [OwnerKind.OTHER]


def test_a_history_that_was_written_anew_without_our_commit_is_somebody_s_will(desk: Desk, origin: Origin):
    desk.seen()
    sha = desk.send(11).resource_version
    origin.git("push", "-q", "--force", "origin", "HEAD:main")  # the clone does not know of our commit
    found = desk.seen()
    assert found.undone == f"our commit {sha[:9]} is gone from main: its history was written anew"
    assert [(one.kind, one.at) for one in found.owners] == [(OwnerKind.OTHER, desk.now)]
    assert desk.seen().undone == found.undone


def test_after_a_restart_the_history_tells_whose_the_value_is(desk: Desk, origin: Origin):
    desk.seen()
    desk.send(11)
    origin.edit("tag: v1", "tag: v2")
    anew = Desk(origin, now=desk.now)
    assert (anew.seen().ours.action_id, anew.known().ours.original) == ("A1", 8)


def test_a_merge_is_followed_to_whoever_wrote_the_value(desk: Desk, origin: Origin):
    desk.seen()
    desk.send(11)
    origin.come_to("main")
    origin.git("checkout", "-q", "-b", "topic", "HEAD~1")
    (origin.clone / "other.txt").write_text("x")
    origin.git("add", "-A")
    origin.git("commit", "-q", "-m", "other")
    origin.git("merge", "-q", "--no-edit", "origin/main")
    origin.git("push", "-q", "origin", "HEAD:main")
    assert desk.seen().ours.action_id == "A1"


def test_a_copied_message_makes_no_commit_ours(desk: Desk, origin: Origin):
    desk.seen()
    desk.send(11)
    copied = origin.message()
    origin.come_to("main")
    path = origin.clone / VALUES
    path.write_text(path.read_text().replace("replicaCount: 11", "replicaCount: 4"))
    origin.git("commit", "-q", "-am", copied)
    origin.git("push", "-q", "origin", "main")
    found = desk.seen()
    assert (found.value, found.ours, [one.kind for one in found.owners]) == (4, None, [OwnerKind.OTHER])


@pytest.mark.parametrize(
    "message",
    [
        "\n" * 50_000 + "x",
        "Aiops-Action: A1" + " " * 50_000 + "x",
        "Aiops-Action: A1\nAiops-Policy: p\nAiops-From: 8\nAiops-To: 4\nAiops-Original: 8\nAiops-Epoch: soon\n",
        "Aiops-Action: A1\nAiops-From: " + "9" * 5000,
    ],
)
def test_a_message_that_anybody_wrote_is_read_at_once_and_is_none_of_ours_s10(message):
    began = time.process_time()
    assert inscription(message, "c", T0) is None
    assert time.process_time() - began < 1.0


def test_a_commit_that_git_would_not_write_is_somebody_s(desk: Desk, origin: Origin):
    desk.seen()
    path = origin.clone / VALUES
    path.write_text(path.read_text().replace("replicaCount: 8", "replicaCount: 4"))
    origin.git("add", "-A")
    raw = origin.folder / "commit"
    head, tree = origin.git("rev-parse", "HEAD").strip(), origin.git("write-tree").strip()
    raw.write_text(f"tree {tree}\nparent {head}\ncommitter x\n\nno author, no time\n")
    made = origin.git("hash-object", "-w", "-t", "commit", "--literally", str(raw)).strip()
    origin.git("push", "-q", "origin", f"{made}:refs/heads/main")
    found = desk.seen()
    assert (found.value, found.held) == (4, None)
    assert [(one.kind, one.manager) for one in found.owners] == [(OwnerKind.OTHER, f"somebody ({made[:9]})")]
