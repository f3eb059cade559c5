"""A daemon that may write nothing any more says what it leaves standing."""

from __future__ import annotations

import pytest

from aiops.app.standing import left_behind
from aiops.core.model import Effect, Mode, TargetRef

FLOOR = Effect(
    policy="ScalingPolicy/shop/checkout",
    target=TargetRef(namespace="shop", name="checkout"),
    object=TargetRef(namespace="shop", name="checkout", api_version="autoscaling/v2", kind="HorizontalPodAutoscaler"),
    attribute="minReplicas",
    original=2,
    written=7,
    action_id="A",
    since=0.0,
)


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.DRY_RUN])
def test_what_stands_is_named_where_nobody_will_hand_it_back_s9(mode):
    assert left_behind(mode, [FLOOR]) == [f"{FLOOR.object} minReplicas 7 (was 2)"]
    assert left_behind(mode, []) == []


@pytest.mark.parametrize("mode", [Mode.APPROVE, Mode.ENFORCE])
def test_a_daemon_that_may_act_hands_it_back_itself(mode):
    assert left_behind(mode, [FLOOR]) == []
