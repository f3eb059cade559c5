"""How traffic and replicas are moved by operations, and where they are not (S3, S4, S5, S7, S8)."""

from __future__ import annotations

import pytest

from aiops.core.model import (
    Reason,
    ScaleTo,
    TrafficLever,
)
from aiops.core.plans.operations import stands
from tests.unit.operated import (
    CHECKOUT,
    HPA,
    INGRESS,
    ROUTE,
    SERVICE,
    api,
    asked,
    do,
    hpa,
    ingress,
    operations,
    reached,
    refused,
    route,
    service,
    shift,
    why,
)

# -- traffic -------------------------------------------------------------------------------------------


def test_only_the_weights_of_the_rule_change_and_the_rest_of_the_route_stays():
    one = api()
    do(one, shift(TrafficLever.HTTP_ROUTE, ROUTE, 30, 70))
    assert one.objects[ROUTE]["spec"] == {
        "rules": [
            {"backendRefs": [{"name": "other", "port": 80}]},
            {
                "matches": [{"path": {"value": "/"}}],
                "backendRefs": [
                    {"name": "west", "port": 80, "weight": 30},
                    {"name": "north", "port": 80, "weight": 70},
                ],
            },
        ]
    }


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        (route(1, 1, 1), Reason.OWNED, "sends traffic to third, too"),
        (route(1, 1, 0), None, ""),
        (route(1), Reason.UNKNOWN_TARGET, "does not say how much goes to west, north"),
        ({"spec": {"rules": []}}, Reason.UNKNOWN_TARGET, "does not say"),
        (
            {"spec": {"rules": [{}, {"backendRefs": [{"name": "west"}, {"name": "north"}, {"name": "north"}]}]}},
            Reason.UNKNOWN_TARGET,
            "has north more than once",
        ),
    ],
)
def test_a_route_whose_shares_cannot_be_told_is_refused(body, reason, said):
    one = api()
    one.put(ROUTE, body)
    operation = operations(one)["http-route"]
    assert refused(one, operation) is reason
    assert said in why(one, operation)


@pytest.mark.parametrize("weights", [(0, 0), (-10, 110)])
def test_weights_that_serve_nobody_are_refused_s8(weights):
    assert refused(api(), shift(TrafficLever.HTTP_ROUTE, ROUTE, *weights)) is Reason.BOUNDS


def test_a_selector_sends_all_to_one_or_nothing():
    one = api()
    assert refused(one, shift(TrafficLever.SERVICE_SELECTOR, SERVICE, 50, 50)) is Reason.BOUNDS
    one.put(SERVICE, {**service(), "metadata": {"annotations": {"policy.aiops/backend-label": "site"}}})
    one.objects[SERVICE]["spec"]["selector"] = {"app": "storefront", "site": "north"}
    do(one, shift(TrafficLever.SERVICE_SELECTOR, SERVICE, 100, 0))
    assert one.objects[SERVICE]["spec"]["selector"] == {"app": "storefront", "site": "west"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (ingress(canary="west"), "is the canary of west, not of north"),
        (ingress("200"), "does not say"),
        (ingress("many"), "does not say"),
        (ingress("100", of="1000"), "does not say"),
        ({"metadata": {"annotations": {}}}, "does not say"),
    ],
)
def test_an_ingress_that_is_not_the_canary_of_the_second_backend_is_refused(body, said):
    one = api()
    one.put(INGRESS, body)
    assert said in why(one, operations(one)["ingress-canary"])


# -- replicas ------------------------------------------------------------------------------------------


def test_a_standby_is_raised_and_never_lowered_s8():
    one = api()
    do(one, ScaleTo(target=CHECKOUT, replicas=2, only_up=True))
    assert one.objects[CHECKOUT]["spec"]["replicas"] == 4


def test_where_an_hpa_steers_its_floor_is_raised_and_given_back_s4():
    one = api()
    one.put(HPA, hpa(floor=2))
    operation = ScaleTo(target=CHECKOUT, replicas=6, only_up=True)
    does, looked = asked(one, operation)
    undo = does.undo(operation, looked)
    assert undo == (ScaleTo(target=CHECKOUT, replicas=2, floor=True),)
    do(one, operation)
    assert one.objects[HPA]["spec"]["minReplicas"] == 6
    assert reached(one, operation) is True
    do(one, undo[0])
    assert one.objects[HPA]["spec"]["minReplicas"] == 2
    assert one.objects[CHECKOUT]["spec"]["replicas"] == 6


def test_a_floor_is_given_back_to_an_hpa_or_to_nobody_s7():
    """Without the HPA the floor of two must not become two replicas of a workload that serves."""
    one = api()
    back = ScaleTo(target=CHECKOUT, replicas=2, floor=True)
    assert do(one, back) == 0
    assert reached(one, back) is True
    assert one.objects[CHECKOUT]["spec"]["replicas"] == 4


@pytest.mark.parametrize(("floor", "standing"), [(6, True), (8, False), (2, False)])
def test_a_floor_stands_while_it_is_what_was_written_wherever_the_replicas_are_s7(floor, standing):
    one = api()
    one.put(HPA, hpa(floor))
    up = ScaleTo(target=CHECKOUT, replicas=6, only_up=True)
    does, looked = asked(one, up)
    assert does.reached(up, looked) is False
    assert stands(up, looked) is standing


@pytest.mark.parametrize("name", ["resources", "roll-back"])
def test_what_was_written_stands_whether_its_pods_are_ready_or_not_s7(name):
    one = api()
    operation = operations(one)[name]
    do(one, operation)
    one.objects[CHECKOUT]["status"]["availableReplicas"] = 1
    does, looked = asked(one, operation)
    assert does.reached(operation, looked) is False
    assert stands(operation, looked) is True


def test_a_floor_that_is_not_enough_waits_for_the_hpa():
    one = api()
    one.put(HPA, hpa(floor=6))
    operation = ScaleTo(target=CHECKOUT, replicas=6, only_up=True)
    assert reached(one, operation) is False
    assert do(one, operation) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": {"scaledobject.keda.sh/name": "checkout"}}, Reason.OWNED),
        ({"ownerReferences": [{"kind": "ScaledObject"}]}, Reason.OWNED),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "checkout"}}, Reason.OWNED),
    ],
)
def test_the_floor_of_an_hpa_that_is_anothers_is_not_moved_s4(change, reason):
    one = api()
    one.put(HPA, {**hpa(), "metadata": change})
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=6, only_up=True)) is reason


def test_what_an_hpa_allows_is_not_exceeded_nor_its_replicas_set_s5():
    one = api()
    one.put(HPA, hpa())
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=11, only_up=True)) is Reason.BOUNDS
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=3)) is Reason.OWNED
    one.objects[HPA]["status"] = {"conditions": [{"type": "ScalingActive", "status": "False"}]}
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=1, floor=True)) is Reason.SCALING_INACTIVE


def test_what_somebody_switched_off_stays_off_s4():
    one = api()
    one.objects[CHECKOUT]["spec"]["replicas"] = 0
    assert refused(one, ScaleTo(target=CHECKOUT, replicas=3)) is Reason.SWITCHED_OFF
