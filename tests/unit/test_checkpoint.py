"""The checkpoint of the fleet's models: a file that is whole or is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aiops.core.bank import Bank
from aiops.engine import local
from tests.unit.fleet import Days, a_scaling, a_set, a_watch, services


def a_bank_that_learnt() -> Days:
    days = Days(a_set(a_watch(), a_scaling()), services("checkout"))
    days.learn_history(1.5)
    days.ticks(4)
    return days


def test_what_was_saved_is_restored(tmp_path: Path) -> None:
    days = a_bank_that_learnt()
    path = tmp_path / "models" / "bank.npz"
    local.save(days.bank, path)
    again = Days(days.policies, days.index)
    again.now = days.now
    assert local.restore(again.bank, path) == ()
    assert again.tick([160.0]).findings == days.tick([160.0]).findings != ()


def test_saving_again_leaves_one_whole_file(tmp_path: Path) -> None:
    days = a_bank_that_learnt()
    for _ in range(3):
        local.save(days.bank, tmp_path / "bank.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["bank.npz"]


def test_no_checkpoint_means_learning_from_history(tmp_path: Path) -> None:
    assert local.restore(Bank(a_set()), tmp_path / "none.npz") == ("everything: there is no checkpoint yet",)


def test_a_broken_checkpoint_is_refused_with_its_reason_and_changes_nothing(tmp_path: Path) -> None:
    days = a_bank_that_learnt()
    path = tmp_path / "bank.npz"
    local.save(days.bank, path)
    for broken in (b"", b"no file of arrays", path.read_bytes()[: path.stat().st_size // 2]):
        path.write_bytes(broken)
        (refused,) = local.restore(days.bank, path)
        assert refused.startswith(f"everything: {path} cannot be used")
    assert days.tick([160.0]).findings != ()


def test_a_checkpoint_of_pickled_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bank.npz"
    np.savez(path, about=np.array([{"format": 2}], dtype=object))
    (refused,) = local.restore(Bank(a_set()), path)
    assert "cannot be used" in refused


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bank.npz"
    np.savez(path, about=np.frombuffer(b'{"format": 1}', np.uint8))
    (refused,) = local.restore(Bank(a_set()), path)
    assert "format 1" in refused


def test_a_checkpoint_that_is_out_of_shape_is_learnt_again_in_part(tmp_path: Path) -> None:
    days = a_bank_that_learnt()
    arrays = dict(days.bank.arrays())
    name = next(key for key in arrays if key.endswith("detector/state"))
    arrays[name] = arrays[name][:, :0]
    np.savez(tmp_path / "bank.npz", **arrays)
    again = Days(days.policies, days.index)
    again.now = days.now
    (refused,) = local.restore(again.bank, tmp_path / "bank.npz")
    assert refused.startswith("watch familiar@86400: ")
    assert again.tick([160.0]).findings == ()
