"""Policies that change while the store is gone are taken when it is back (S2, S10)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from aiops.app.policies import FolderPolicySource
from aiops.errors import StoreUnavailable
from tests.e2e.rig import scaling_policy


def test_a_set_that_cannot_be_stored_is_tried_again_s10(tmp_path: Path):
    file = tmp_path / "policies.yaml"
    file.write_text(yaml.safe_dump(scaling_policy("shop")))
    gone = False

    def adopted(_: object) -> None:
        if gone:
            raise StoreUnavailable("the policies cannot be written")

    source = FolderPolicySource([tmp_path], 15.0, adopted)
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
