"""What shards have not told of is unknown: it is neither trouble nor that there is none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aiops.core.decide.remediation.triggers import View, sight
from aiops.core.model import Finding, FindingKind, LadderState
from aiops.core.planning import Situation
from aiops.core.planning.remediation import OnFinding, OnIncident
from tests.builders import NOW, snapshot

DISK, LOAD = "WatchPolicy/shop/disk", "WatchPolicy/shop/load"
WHY = "shard 1: its process has ended"
FOUND = Finding(
    policy=DISK,
    series=f"{DISK}#node=a",
    labels={"node": "a"},
    kind=FindingKind.POINT,
    at=NOW,
    since=NOW,
    score=3.0,
    p_value=0.0,
    value=1.0,
    expected=0.0,
    lower=0.0,
    upper=0.5,
    reason="",
)


@pytest.mark.parametrize(
    ("trigger", "unseen", "troubled"),
    [
        (OnFinding(watch=DISK), {}, True),
        (OnFinding(watch=LOAD), {}, False),
        (OnFinding(watch=DISK), {DISK: WHY}, None),
        (OnFinding(watch=DISK), {LOAD: WHY}, True),
        (OnFinding(watch=LOAD), {LOAD: WHY}, None),
        (OnFinding(), {LOAD: WHY}, None),
        (OnIncident(), {}, False),
        (OnIncident(), {LOAD: WHY}, None),
    ],
)
def test_a_trigger_cannot_tell_of_what_was_not_seen(trigger, unseen, troubled):
    situation = Situation(now=NOW, tick_s=15.0, snapshot=snapshot(), signals={}, findings=(FOUND,), unseen=unseen)
    seen = sight(View(policy=SimpleNamespace(triggers=(trigger,)), situation=situation, memory=LadderState()))
    assert seen.troubled is troubled
    assert (WHY in seen.why) is (troubled is None)
