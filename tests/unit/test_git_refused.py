"""What a repository refuses, that is gone or slow, and proposals that wait for a person."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aiops.adapters.git import Format, Placement, Repository, RepositoryOptions
from aiops.core.model import OwnerKind, Reason, StepStatus, TargetRef
from tests.git_world import (
    T0,
    TARGET,
    Desk,
    Origin,
    desk,
    origin,
)

__all__ = ["desk", "origin"]

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not here")


# -- what is refused, gone, or slow --------------------------------------------------------------------------


def test_a_protected_branch_holds_with_back_off_and_loses_nothing(desk: Desk, origin: Origin):
    desk.seen()
    origin.protect("open a merge request")
    result = desk.send(11)
    assert (result.status, result.reason) == (StepStatus.REFUSED, Reason.PUSH_REFUSED)
    assert result.message == "deploy did not take main: pre-receive hook declined open a merge request"
    held = desk.known()
    assert held.held == (Reason.PUSH_REFUSED, f"{result.message}; it is tried again after 60 s")
    assert held.held_until == desk.now + 60.0
    assert desk.seen(after_s=61.0).held is None
    desk.send(11)
    assert desk.known().held_until == desk.now + 120.0
    origin.open()
    assert desk.seen(after_s=121.0).held is None
    assert desk.send(11).status is StepStatus.DONE
    assert (desk.repository.numbers.pushes, origin.commits()) == ({"refused": 2, "done": 1}, 2)


def test_a_repository_that_is_gone_holds_and_comes_back(desk: Desk, origin: Origin):
    desk.seen()
    away = origin.bare.rename(origin.folder / "away.git")
    found = desk.seen()
    assert found.value == 8
    reason, why = found.held
    assert (reason, why.startswith(f"repository deploy: {origin.url} ")) == (Reason.REPOSITORY_UNAVAILABLE, True)
    result = desk.send(11)
    assert (result.status, result.reason) == (StepStatus.REFUSED, Reason.REPOSITORY_UNAVAILABLE)
    assert result.message.startswith("nothing was pushed: ")
    desk.send(11)
    away.rename(origin.bare)
    assert desk.seen(after_s=61.0).held is None, "who was away is not waited for as one who refused"
    assert desk.send(11).status is StepStatus.DONE


@pytest.mark.parametrize("content", [b"s3cret\nlines", b"\xff\xfe"])
def test_a_token_that_cannot_be_sent_holds_and_is_told_nobody_s10(tmp_path: Path, caplog, content):
    token, mirror = tmp_path / "token", tmp_path / "mirror"
    token.write_bytes(content)
    mirror.mkdir()
    options = RepositoryOptions(
        name="deploy", url="http://127.0.0.1:9/x.git", branch="main", folder=mirror, bearer_token_file=token
    )
    repository = Repository(options, lambda: T0, lambda: T0)
    repository.look()
    repository.stop(1.0)
    (record,) = caplog.records
    assert (record.message, record.exc_info) == ("repository_unavailable", None)
    assert str(token) in record.error
    assert "s3cret" not in caplog.text + record.error


def test_a_folder_that_is_broken_is_fetched_anew(desk: Desk, origin: Origin):
    desk.seen()
    (origin.folder / "mirror" / "refs" / "heads" / "main").write_text("no commit at all\n")
    origin.edit("tag: v1", "tag: v2")
    anew = Desk(origin, now=desk.now)
    (found,) = anew.repositories.declared([TARGET], anew.now)[TARGET.key]
    assert found.held == (Reason.REPOSITORY_UNAVAILABLE, "repository deploy: a bug, see the log; it is read anew")
    assert (anew.seen().held, anew.known().value) == (None, 8)


def test_a_repository_that_hangs_delays_a_turn_no_longer_than_its_time_out(origin: Origin):
    desk = Desk(origin, more={"timeout_s": 2.0})
    desk.seen()
    hook = origin.bare / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\nuntil [ -e {origin.folder}/go ]; do sleep 0.05; done\n")
    hook.chmod(0o755)
    desk.repository.start()
    assert desk.send(11).status is StepStatus.UNKNOWN
    again = desk.send(12)
    assert (again.status, again.reason) == (StepStatus.REFUSED, Reason.REPOSITORY_UNAVAILABLE)
    assert "has not answered an earlier push yet" in again.message
    (origin.folder / "go").touch()
    desk.repository.stop(60.0)
    # it had arrived all the same: the history tells, and nothing is pushed again
    assert Desk(origin, now=desk.now).seen().ours.action_id == "A1"


def test_the_first_look_at_many_targets_waits_once(origin: Origin):
    placement = Placement(
        match="*/*", repository="deploy", file="apps/{name}/values.yaml", format=Format.HELM, field="replicas", path="n"
    )
    desk = Desk(origin, placement=placement)
    desk.repository.start()
    targets = [TargetRef(namespace="shop", name=f"s{number}") for number in range(40)]
    desk.repositories.declared(targets, desk.now)
    desk.repository.stop(60.0)
    assert desk.repository.numbers.fetches["done"] <= 2
    found = desk.repositories.declared(targets, desk.now)
    assert [one[0].held[0] for one in found.values()] == [Reason.UNDECLARED] * 40


# -- proposals -----------------------------------------------------------------------------------------------


@pytest.fixture
def proposing(origin: Origin) -> Desk:
    made = Desk(origin, more={"propose": True})
    made.seen()
    return made


BRANCH = "aiops/shop/checkout"


def test_a_proposal_waits_on_a_branch_of_its_own_and_main_stays(proposing: Desk, origin: Origin):
    result = proposing.send(11)
    assert (result.status, result.message.endswith(f"on {BRANCH}")) == (StepStatus.DONE, True)
    found = proposing.known()
    assert (found.value, found.offered.after, found.offered_on, found.held) == (8, 11, BRANCH, None)
    assert ("replicaCount: 8 " in origin.shown(), "replicaCount: 11 " in origin.shown(BRANCH)) == (True, True)


def test_another_wish_goes_on_top_of_the_proposal_that_waits(proposing: Desk, origin: Origin):
    proposing.send(11)
    assert proposing.send(12).status is StepStatus.DONE
    assert (proposing.known().offered.after, origin.commits(BRANCH)) == (12, 3)


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_a_proposal_that_was_merged_is_ours(proposing: Desk, origin: Origin, how):
    proposing.send(11)
    origin.come_to("main")
    origin.edit("tag: v1", "tag: v2")
    match how:
        case "merge":
            origin.git("merge", "-q", "--no-ff", "-m", "Merge our friend", f"origin/{BRANCH}")
        case "squash":
            origin.git("merge", "-q", "--squash", f"origin/{BRANCH}")
            origin.git("commit", "-q", "-m", "eleven (#12)")
        case _:
            origin.git("cherry-pick", f"origin/{BRANCH}")
    origin.git("push", "-q", "origin", "main")
    origin.git("push", "-q", "origin", "--delete", BRANCH)
    found = proposing.seen()
    assert (found.value, found.offered, found.undone, found.ours.action_id) == (11, None, "", "A1")
    assert proposing.send(9).status is StepStatus.DONE
    assert proposing.known().offered.after == 9


def test_a_proposal_that_was_merged_by_squash_is_followed_by_one_that_starts_anew(proposing: Desk, origin: Origin):
    proposing.send(11)
    origin.edit("replicaCount: 8", "replicaCount: 11")  # the branch stays behind, as some hosts leave it
    assert (proposing.seen().offered, proposing.known().ours.action_id) == (None, "A1")
    assert proposing.send(12).status is StepStatus.DONE
    assert origin.git("merge-base", "main", BRANCH, where=origin.bare) == origin.git(
        "rev-parse", "main", where=origin.bare
    )


def test_a_proposal_that_was_deleted_is_a_no(proposing: Desk, origin: Origin):
    proposing.send(11)
    origin.git("push", "-q", "origin", "--delete", BRANCH)
    found = proposing.seen()
    assert found.undone == f"our proposal of 11 on branch {BRANCH} was deleted, and not merged"
    assert [(one.kind, one.at) for one in found.owners] == [(OwnerKind.OTHER, proposing.now)]


def test_a_branch_with_somebody_s_commit_is_theirs(proposing: Desk, origin: Origin):
    proposing.send(11)
    origin.edit("replicaCount: 11", "replicaCount: 10", branch=BRANCH)
    found = proposing.seen()
    assert found.held == (
        Reason.PROPOSED,
        f"branch {BRANCH} has commits of others: it is theirs until it is merged or deleted",
    )
    result = proposing.send(12)
    assert (result.status, result.reason) == (StepStatus.REFUSED, Reason.PROPOSED)
    assert "replicaCount: 10" in origin.shown(BRANCH)


def test_a_proposal_of_an_old_value_starts_anew_from_what_is_said_now(proposing: Desk, origin: Origin):
    proposing.send(11)
    origin.edit("replicaCount: 8", "replicaCount: 6")
    proposing.seen()
    assert proposing.send(9).status is StepStatus.DONE
    assert origin.git("diff", "--shortstat", "main", BRANCH, where=origin.bare) == (
        "1 file changed, 1 insertion(+), 1 deletion(-)"
    )
    assert proposing.known().offered.before == 6
