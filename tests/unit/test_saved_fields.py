"""What an older version stored is read by this one: a field that it did not have is as it was before there was one."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import get_args

import pytest

from aiops.core.model import GroupState, LadderState, LoopState, SavingState, Snapshot, TargetState
from aiops.core.model.saved.spot import Reclaims, SpotNode, SpotShare
from aiops.core.record.codec import from_text, to_jsonable, to_text
from tests.builders import snapshot

STATES = (*get_args(SavingState), GroupState, LadderState, TargetState, LoopState, Reclaims, SpotShare)
KEPT = {
    **{one.__name__: one() for one in STATES},
    "SpotNode": SpotNode(pool="m6i.large eu-1a", seen_at=5.0),
    "Snapshot": snapshot(),
}


@pytest.mark.parametrize("name", sorted(KEPT))
def test_each_field_that_has_a_default_may_be_missing(name: str) -> None:
    value = KEPT[name]
    optional = [one.name for one in fields(value) if one.default is not MISSING or one.default_factory is not MISSING]
    assert optional
    plain = to_jsonable(value)
    for missing in optional:
        older = json.dumps({key: one for key, one in plain.items() if key != missing})
        again = from_text(older, type(value))
        assert to_text(again) == to_text(type(value)(**_all_but(value, missing))), missing


def _all_but(value: object, missing: str) -> dict[str, object]:
    return {one.name: getattr(value, one.name) for one in fields(value) if one.name != missing}


def test_a_saving_state_is_told_by_its_name_and_one_of_a_newer_version_is_refused_with_a_reason() -> None:
    for one in get_args(SavingState):
        assert isinstance(from_text(to_text(one(), SavingState), SavingState), one)
    with pytest.raises(ValueError, match="this version can read"):
        from_text('{"type":"FutureState"}', SavingState)


def test_snapshots_of_before_pools_were_counted_have_none() -> None:
    plain = to_jsonable(snapshot())
    assert plain.pop("pools") == []
    assert from_text(to_text(plain), Snapshot).pools == ()
