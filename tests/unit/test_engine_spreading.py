"""Tasks over processes: what is done is kept, what ended by itself is tried again, what is wrong says so."""

from __future__ import annotations

import pytest

from aiops.app.spreading import parted
from aiops.engine.spreading import ATTEMPTS, Lost, Processes
from aiops.errors import AiopsError, InvalidInput
from tests.unit.spread_tasks import done


def test_what_is_done_is_kept_whatever_becomes_of_the_rest(tmp_path):
    told: list[None] = []
    tasks = [(what, tmp_path) for what in ("easy", "fragile", "wrong", "fatal")]
    found = Processes(2)(done, tasks, lambda: told.append(None))
    assert found[:2] == ["EASY", "FRAGILE"]
    assert isinstance(found[2].error, InvalidInput)
    assert str(found[2].error) == "this is no number"
    assert str(found[3].error) == f"its process ended {ATTEMPTS} times"
    assert len(told) == 4, "progress is told of each"
    assert len((tmp_path / "wrong").read_text()) <= 2, "an error is an answer"


def test_results_and_losses_are_told_by_name():
    lost = Lost(AiopsError("gone"))
    assert parted(["a", lost], ["one", "two"]) == (["a"], {"two": "gone"})
    with pytest.raises(AiopsError, match="gone"):
        parted([lost], ["one"])
