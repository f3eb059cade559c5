"""Policies that change while the store is gone, that are deleted, and that cannot be read (S2, S9, S10)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from aiops.app.policies import EMPTY_S, FolderPolicySource, Watching
from aiops.errors import InvalidPolicy, StoreUnavailable
from tests.e2e.rig import scaling_policy


def test_a_set_that_cannot_be_stored_is_tried_again_s10(tmp_path: Path):
    file = tmp_path / "policies.yaml"
    file.write_text(yaml.safe_dump(scaling_policy("shop")))
    gone = False

    def adopted(_: object) -> None:
        if gone:
            raise StoreUnavailable("the policies cannot be written")

    source = FolderPolicySource([tmp_path], 15.0, Watching(adopted=adopted))
    before = source.current().digest
    file.write_text(yaml.safe_dump(scaling_policy("shop", objective={"demand": "demand", "perReplica": 30})))
    gone = True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            source.reload()
        assert source.current().digest == before
    gone = False
    assert source.reload()
    assert source.current().digest != before
    assert not source.reload()


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def filled(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(scaling_policy("shop", name)))


def keys(source: FolderPolicySource) -> list[str]:
    return [policy.key for policy in source.current().every]


def emptied(folder: Path) -> None:
    (folder / "cart.yaml").unlink()


def of_comments(folder: Path) -> None:
    (folder / "cart.yaml").write_text("# to be written anew\n")


def only_a_test_is_left(folder: Path) -> None:
    (folder / "cart.yaml").rename(folder / "cart.test.yaml")


@pytest.mark.parametrize("delete", [emptied, of_comments, only_a_test_is_left])
def test_a_folder_that_stays_without_a_policy_is_their_deletion_s9(tmp_path: Path, delete):
    filled(tmp_path, "cart")
    clock, adopted = Hand(), []
    source = FolderPolicySource([tmp_path], 15.0, Watching(adopted=adopted.append, elapsed_s=clock))
    delete(tmp_path)
    assert not source.reload()
    assert (keys(source), "deletion" in str(source.problems[0])) == (["ScalingPolicy/shop/cart"], True)
    clock.at_s += EMPTY_S - 1
    assert not source.reload()
    clock.at_s += 1
    assert source.reload()
    assert (keys(source), source.problems) == ([], ())
    assert adopted[-1].every == ()
    # and it stays so, and ends with the next policy
    assert not source.reload()
    filled(tmp_path, "search")
    assert source.reload()
    assert keys(source) == ["ScalingPolicy/shop/search"]


def test_policies_that_are_gone_for_a_moment_are_not_deleted_s9(tmp_path: Path):
    filled(tmp_path, "cart")
    clock = Hand()
    source = FolderPolicySource([tmp_path], 15.0, Watching(elapsed_s=clock))
    before = source.current()
    for _ in range(3):  # each time the wait begins anew
        emptied(tmp_path)
        assert not source.reload()
        clock.at_s += EMPTY_S - 1
        filled(tmp_path, "cart")
        assert not source.reload()
        assert (source.current(), source.problems) == (before, ())
        clock.at_s += 2


def test_a_person_who_says_so_need_not_wait_s9(tmp_path: Path):
    filled(tmp_path, "cart")
    source = FolderPolicySource([tmp_path], 15.0, Watching(elapsed_s=Hand()))
    emptied(tmp_path)
    assert source.reload(force=True)
    assert keys(source) == []


def test_one_of_two_folders_may_be_emptied_s9(tmp_path: Path):
    filled(tmp_path / "one", "cart")
    filled(tmp_path / "two", "search")
    clock = Hand()
    source = FolderPolicySource([tmp_path / "one", tmp_path / "two"], 15.0, Watching(elapsed_s=clock))
    emptied(tmp_path / "one")
    assert not source.reload()
    assert len(keys(source)) == 2
    clock.at_s += EMPTY_S
    assert source.reload()
    assert keys(source) == ["ScalingPolicy/shop/search"]
    # a change beside a folder that is empty already need not wait
    filled(tmp_path / "two", "search", "payments")
    assert source.reload()


def removed(folder: Path) -> None:
    emptied(folder)
    folder.rmdir()


def broken(folder: Path) -> None:
    (folder / "cart.yaml").write_text("kind: ScalingPolicy")


def a_link_to_nothing(folder: Path) -> None:
    emptied(folder)
    (folder / "cart.yaml").symlink_to(folder / "elsewhere.yaml")


def too_deep(folder: Path) -> None:
    """Move the policy to where the system cannot read any more: a path longer than any may be."""
    (folder / "cart.yaml").unlink()
    at = os.open(folder, os.O_RDONLY)
    for _ in range(17):
        os.mkdir("d" * 250, dir_fd=at)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)


@pytest.mark.parametrize("spoil", [too_deep, removed, broken, a_link_to_nothing])
def test_what_is_missing_or_cannot_be_read_deletes_nothing_s10(tmp_path: Path, spoil):
    folder = tmp_path / "policies"
    filled(folder, "cart")
    clock = Hand()
    source = FolderPolicySource([folder], 15.0, Watching(elapsed_s=clock))
    spoil(folder)
    for _ in range(3):
        assert not source.reload()
        clock.at_s += 10 * EMPTY_S
    assert keys(source) == ["ScalingPolicy/shop/cart"]
    assert source.problems


def test_a_folder_that_becomes_empty_while_it_could_not_be_read_waits_its_time_s10(tmp_path: Path):
    folder = tmp_path / "policies"
    filled(folder, "cart")
    clock = Hand()
    source = FolderPolicySource([folder], 15.0, Watching(elapsed_s=clock))
    removed(folder)
    assert not source.reload()
    clock.at_s += 10 * EMPTY_S
    folder.mkdir()
    assert not source.reload()
    assert keys(source) == ["ScalingPolicy/shop/cart"]


def test_a_daemon_begins_without_a_policy_only_to_hand_back_s9(tmp_path: Path):
    with pytest.raises(InvalidPolicy, match="there is no policy in this folder"):
        FolderPolicySource([tmp_path], 15.0)
    source = FolderPolicySource([tmp_path], 15.0, Watching(standing=True))
    assert keys(source) == []
    with pytest.raises(InvalidPolicy, match="no such file or folder"):
        FolderPolicySource([tmp_path / "mistyped"], 15.0, Watching(standing=True))
