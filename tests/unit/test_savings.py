"""The ledger: what was promised, what came of it, and how much of it let go of nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.app.costing.summed import together
from aiops.core.model import (
    Capacity,
    Drain,
    Looked,
    LoopState,
    Mode,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    PriceBook,
    Priced,
    Reason,
    RestLever,
    Scope,
    SeenObject,
    SetFloor,
    SetResources,
    Sleep,
    Stage,
    TargetRef,
    UnitPrices,
)
from aiops.core.money.books import Books, Kept
from aiops.core.money.ledger import Entry, SavingKind
from aiops.core.money.spend import Row, per_hour, usd
from aiops.core.policies import PolicySet
from aiops.loop.costed import costed, with_templates
from aiops.policy import parse
from aiops.ports import Inventory
from tests.builders import KEY, TARGET, action, policy
from tests.unit.spending import start, turned

HOUR = 3600
GIB = 2.0**30


def over(books: Books, hours: float, begin: float = 0.0, **more) -> None:
    """Let time pass in turns of a minute; more: as in `turned`, with replicas and price."""
    replicas, price = more.pop("replicas"), more.pop("price", 0.1)
    actions = more.pop("actions", ())
    for minute in range(round(hours * 60) + 1):
        first = {"actions": actions} if minute == 0 else {}
        books.note(turned(start(begin) + 60 * minute, replicas, price, **more, **first))


def row(books: Books) -> Row:
    return together(one for (subject, _), one in books.accounts.rows.items() if subject.is_target)


def dollars(product: int) -> float:
    return usd(per_hour(product))


# -- scaling ---------------------------------------------------------------------------------------------


def test_what_runs_is_compared_with_the_reactive_need_of_the_decisions_own_record():
    books = Books()
    over(books, 1.0, replicas=6, need=8)
    found = row(books)
    assert (found.replica_ms, found.reference_ms) == (6 * 3_600_000, 8 * 3_600_000)
    assert dollars(found.saved) == pytest.approx(0.2)


def test_the_reference_comes_down_no_sooner_than_an_hpa_would():
    books = Books()
    slow = policy(down=replace(policy().down, stabilisation_s=300.0))
    policies = PolicySet(digest="d", scaling=(slow,), labels={KEY: {}})
    for minute, need in enumerate([10, 4, 4, 4, 4, 4, 4, 4]):
        books.note(turned(start() + 60 * minute, 4, 0.1, need=need, policies=policies))
    found = row(books)
    assert found.reference_ms == (10 * 5 + 4 * 2) * 60_000, "ten for five minutes, four from then on"


def test_the_reference_keeps_within_the_bounds():
    books = Books()
    over(books, 1.0, replicas=2, need=0)
    assert row(books).reference_ms == 2 * 3_600_000
    books = Books()
    over(books, 1.0, replicas=40, need=400)
    assert row(books).reference_ms == 40 * 3_600_000


def test_what_a_policy_only_watches_saves_nothing_of():
    books = Books()
    watching = PolicySet(digest="d", scaling=(policy(mode=Mode.DRY_RUN),), labels={KEY: {}})
    over(books, 1.0, replicas=6, need=8, policies=watching)
    assert (row(books).reference_ms, row(books).saved) == (0, 0)


def test_the_interval_follows_from_how_well_it_is_known_what_a_replica_carries():
    capacity = Capacity(pods=(1.0,), carried=(50.0,), busy=50.0, doubt_ratio=0.1, learned=True)
    books = Books()
    over(books, 1.0, replicas=10, need=20, capacity=capacity, capacity_learned=True)
    found = row(books)
    assert (found.reference_low_ms, found.reference_high_ms) == (18 * 3_600_000, 23 * 3_600_000)
    assert dollars(found.saved_low) < dollars(found.saved) < dollars(found.saved_high)


def test_each_action_has_its_promise_and_what_came_of_it_until_the_next():
    books = Books()
    over(books, 1.0, replicas=8, need=8)
    cut = action(before=8, after=5)
    over(books, 2.0, begin=1.0, replicas=5, need=8, actions=(cut,))
    grown = action(before=5, after=9, id="A2")
    over(books, 1.0, begin=3.0, replicas=9, need=8, actions=(grown,))
    first, second = (books.ledger.changed[name] for name in ("A1", "A2"))
    assert (first.kind, second.kind) == (SavingKind.SCALE_IN, SavingKind.SCALE_OUT)
    assert (usd(first.promise.middle), dollars(first.saved)) == (pytest.approx(0.3), pytest.approx(0.6, abs=0.006))
    assert usd(first.promised) == pytest.approx(0.6)
    assert (first.closed_at, first.seen_ms) == (start(3.0), 2 * HOUR * 1000)
    assert (second.closed_at, dollars(second.saved)) == (None, pytest.approx(-0.1, abs=0.006))


def test_a_floor_promises_what_it_keeps_above_what_the_autoscaler_would_run():
    for after, promised in ((6, 0.0), (11, -0.3)):
        books = Books()
        moved = action(before=4, after=after, change=SetFloor(hpa="checkout", before=4, after=after))
        over(books, 0.1, replicas=8, need=8, actions=(moved,))
        entry = books.ledger.standing["A1"]
        assert (usd(entry.promise.middle), entry.note) == (pytest.approx(promised), f"floor of checkout 4 -> {after}")


def test_the_slo_price_is_in_the_entry():
    books = Books()
    over(books, 0.5, replicas=5, need=8, actions=(action(before=8, after=5),), slo_broken=True, demand=100.0)
    entry = books.ledger.standing["A1"]
    assert (entry.slo_ms, entry.late) == (1_800_000, pytest.approx(100.0 * 1800))


def test_a_dry_run_promises_and_nothing_comes_of_it():
    books = Books()
    over(books, 1.0, replicas=8, need=8, actions=(action(before=8, after=5, dry_run=True),))
    entry = books.ledger.changed["A1"]
    assert (entry.dry_run, entry.closed_at, entry.seen_ms, entry.saved) == (True, start(), 0, 0)
    assert usd(entry.promise.middle) == pytest.approx(0.3)


def test_savings_at_a_price_that_is_not_known_are_replica_hours_and_no_money():
    books = Books()
    over(books, 1.0, replicas=5, price=None, need=8, actions=(action(before=8, after=5),))
    entry = books.ledger.standing["A1"]
    assert (entry.saved, entry.promise) == (0, None)
    assert entry.replica_ms == entry.unpriced_ms == 3 * 3_600_000


# -- released, or freed -----------------------------------------------------------------------------------

NODES = {f"default/n{number}": 0.4 for number in range(4)}


def test_capacity_on_nodes_that_stay_is_freed_and_not_realised():
    books = Books()
    over(books, 1.0, replicas=8, need=8, nodes=NODES)
    over(books, 1.0, begin=1.0, replicas=5, need=8, nodes=NODES)
    found = row(books)
    assert dollars(found.saved) == pytest.approx(0.3, abs=0.006)
    assert found.realised == 0


def test_what_lets_go_of_a_node_is_realised_up_to_what_the_node_cost():
    books = Books()
    over(books, 1.0, replicas=8, need=8, nodes=NODES)
    over(books, 1.0, begin=1.0, replicas=2, need=8, nodes=dict(list(NODES.items())[:3]))
    found = row(books)
    assert dollars(found.saved) == pytest.approx(0.6, abs=0.011)
    assert dollars(found.realised) == pytest.approx(0.4, abs=0.011), "one node of 0.40 an hour"


def test_no_more_is_realised_than_was_saved():
    books = Books()
    over(books, 1.0, replicas=8, need=8, nodes=NODES)
    over(books, 1.0, begin=1.0, replicas=7, need=8, nodes=dict(list(NODES.items())[:1]))
    assert dollars(row(books).realised) == pytest.approx(0.1, abs=0.003)


def test_what_costs_more_than_the_reference_is_paid_in_full():
    books = Books()
    over(books, 1.0, replicas=10, need=8, nodes=NODES)
    found = row(books)
    assert dollars(found.saved) == dollars(found.realised) == pytest.approx(-0.2)


def test_nodes_of_which_no_price_is_known_realise_nothing():
    books = Books()
    over(books, 1.0, replicas=8, need=8)
    over(books, 1.0, begin=1.0, replicas=2, need=8)
    assert row(books).realised == 0


def test_a_node_that_a_plan_let_go_of_is_realised_in_the_plans_entry():
    node = TargetRef(api_version="v1", kind="Node", namespace="", name="ip-10-0-0-1.eu-central-1.compute.internal")
    key = f"{node.cluster}/{node.name}"
    step = PlanStep(name="drain", operation=Drain(node=node), undo=(), stage=Stage.DONE, since=start(), sent=1)
    plan = Plan(
        id="01J00000000000000000000000", kind=PlanKind.SAVING, policy="CostPolicy/shop/fleet", subject=node.key,
        reason="pack", created_at=start(), steps=(step,), status=PlanStatus.DONE,
    )  # fmt: skip
    books, state = Books(), LoopState(plans={plan.id: plan})
    for minute in range(121):
        nodes = {key: 0.4, **NODES} if minute < 60 else NODES
        books.note(turned(start() + 60.0 * minute, 8, 0.1, need=8, nodes=nodes, state=state))
    (entry,) = books.ledger.standing.values()
    assert dollars(entry.realised) == pytest.approx(0.4, abs=0.011), "an hour without a node of 0.40 an hour"
    assert len(entry.id) <= 64, "the store has no room for more"


# -- plans ------------------------------------------------------------------------------------------------

SLEEP = Sleep(
    target=TARGET, object=TARGET, uid="u", lever=RestLever.REPLICAS, seen="8", original="8", to="0", mark="P1"
)  # fmt: skip


def plan(operation, stage=Stage.DONE, undo=(), **changes) -> LoopState:
    step = PlanStep(name="one", operation=operation, stage=stage, since=start(), undo=tuple(undo), sent=1)
    made = Plan(
        id="P1", kind=PlanKind.SAVING, policy="CostPolicy/shop/night", subject="shop/checkout", reason="office hours",
        created_at=start(), steps=(step,), status=PlanStatus.DONE,
    )  # fmt: skip
    made = replace(made, **changes)
    return LoopState(plans={made.id: made})


def test_what_sleeps_saves_what_ran_before_for_as_long_as_it_sleeps():
    books = Books()
    over(books, 2.0, replicas=0, need=0, state=plan(SLEEP))
    (entry,) = books.ledger.standing.values()
    assert (entry.kind, entry.policy, entry.note) == (SavingKind.SLEEP, "CostPolicy/shop/night", "office hours")
    assert (usd(entry.promise.middle), dollars(entry.saved)) == (pytest.approx(0.8), pytest.approx(1.6))
    assert dollars(entry.saved_low) == 0.0, "it may be that nothing would have run: that is not known"
    over(books, 0.1, begin=2.0, replicas=8, need=8, state=LoopState())
    assert entry.id not in books.ledger.standing
    assert books.ledger.changed[entry.id].closed_at == start(2.0)


@pytest.mark.parametrize("stage", [Stage.PENDING, Stage.BEGUN, Stage.UNDONE, Stage.FAILED])
def test_a_plan_that_does_not_stand_saves_nothing(stage):
    books = Books()
    over(books, 1.0, replicas=8, need=8, state=plan(SLEEP, stage=stage))
    assert books.ledger.standing == {}
    assert row(books).saved == 0


def test_a_plan_that_is_only_told_is_in_the_ledger_as_a_dry_run():
    books = Books()
    over(books, 1.0, replicas=8, need=8, state=plan(SLEEP, stage=Stage.PENDING, dry_run=True))
    (entry,) = books.ledger.changed.values()
    assert (entry.dry_run, entry.saved) == (True, 0)


def test_smaller_requests_save_the_difference_at_the_price_of_a_core_and_a_gib():
    after = SetResources(target=TARGET, container="app", requests={"cpu": "500m", "memory": "1Gi"}, limits={})
    before = replace(after, requests={"cpu": "2", "memory": "3Gi"})
    units = UnitPrices(core_usd=0.03, gib_usd=0.004)
    book = PriceBook(replicas={TARGET.key: Priced(usd_per_hour=0.019, source="t", as_of=0.0, units=units)})
    books = Books()
    for minute in range(61):
        one = turned(start() + 60 * minute, 4, 0.019, need=4, state=plan(after, undo=(before,)))
        books.note(replace(one, snapshot=replace(one.snapshot, prices=book)))
    (entry,) = books.ledger.standing.values()
    assert entry.kind is SavingKind.RIGHTSIZE
    assert dollars(entry.saved) == pytest.approx(4 * (1.5 * 0.03 + 2 * 0.004))


def test_an_observing_ceiling_makes_no_scaling_savings():
    books = Books()
    for minute in range(61):
        one = turned(start() + 60 * minute, 6, 0.1, need=8)
        books.note(replace(one, snapshot=replace(one.snapshot, scope=Scope(ceiling=Mode.OBSERVE))))
    assert row(books).saved == 0


def test_an_entry_goes_on_after_a_restart():
    books, again = Books(), Books()
    over(books, 1.0, replicas=5, need=8, actions=(action(before=8, after=5),))
    kept: Entry = books.ledger.standing["A1"]
    again.adopt(Kept(entries=[kept]), start(1.0))
    over(again, 1.0, begin=1.0, replicas=5, need=8)
    assert again.ledger.standing["A1"].seen_ms == 2 * 3_600_000


# -- what only cost policies see ----------------------------------------------------------------------------

NIGHT = """\
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: night, namespace: dev, labels: {team: web}}
spec:
  mode: enforce
  target: {kinds: [Deployment], selector: {matchLabels: {tier: web}}, exclude: [docs], maxTargets: 9}
  sleep: {windows: [{schedule: '0 20 * * 1-5', duration: 11h, timeZone: Europe/Berlin}]}
"""


def deployment(name: str, replicas: int, requests: dict[str, str]) -> SeenObject:
    ref = TargetRef(namespace="dev", name=name)
    containers = [{"name": "app", "resources": {"requests": requests}}]
    sidecar = {"name": "mesh", "restartPolicy": "Always", "resources": {"limits": {"cpu": "100m"}}}
    pod = {"containers": containers, "initContainers": [sidecar, {"name": "once"}]}
    body = {"metadata": {"labels": {"tier": "web"}}, "spec": {"replicas": replicas, "template": {"spec": pod}}}
    return SeenObject(ref=ref, uid=name, resource_version="1", as_of=start(), body=body)


def test_what_cost_policies_see_is_counted_by_what_its_template_requests():
    policies = parse(NIGHT, "night.yaml")
    asks = {"cpu": "400m", "memory": "2Gi"}
    seen = tuple(deployment(name, 3, asks) for name in ("docs", "portal"))
    selection = policies.plans[0].wanted.selections[0]
    found = costed(policies, Looked(selections={selection.key: seen}))
    assert list(found) == ["default/dev/apps/v1/Deployment/portal"], "docs is excluded"
    (one,) = found.values()
    assert (one.policy, one.replicas, one.share.cores, one.share.memory_gib) == ("CostPolicy/dev/night", 3, 0.5, 2.0)
    priced, stocked = with_templates((TARGET,), Inventory(workloads={}), found)
    assert priced == (TARGET, one.ref)
    assert stocked.pods == {one.ref.key: (one.share,)}
    books = Books()
    for minute in range(61):
        turn = turned(start() + 60 * minute, 2, 0.1, policies=policies)
        prices = {one.ref.key: 0.02}
        snapshot = replace(turn.snapshot, replica_usd_per_hour=prices)
        books.note(replace(turn, snapshot=snapshot, costed={one.ref.key: (one.policy, one.replicas)}))
    ((subject, sums),) = [(s, r) for (s, _), r in books.accounts.rows.items() if s.is_target]
    assert (subject.team, subject.namespace, dollars(sums.money)) == ("web", "dev", pytest.approx(0.06))


def test_of_what_cannot_be_read_nothing_is_known():
    policies = parse(NIGHT, "night.yaml")
    selection = policies.plans[0].wanted.selections[0]
    assert costed(policies, Looked(errors={selection.key: (Reason.NO_PERMISSION, "no")})) == {}
    assert costed(policies, Looked()) == {}


def test_targets_of_one_plan_whose_names_begin_alike_have_an_entry_each():
    refs = [TargetRef(cluster="production-eu-1", namespace="payments-frontend", name=name) for name in ("web", "db")]
    steps = tuple(
        PlanStep(
            name=one.name, undo=(), stage=Stage.DONE, since=start(), sent=1,
            operation=Sleep(
                target=one, object=one, uid="u", lever=RestLever.REPLICAS, seen="4", original="4", to="0", mark="P"
            ),
        )
        for one in refs
    )  # fmt: skip
    plan = Plan(
        id="01J00000000000000000000000", kind=PlanKind.SAVING, policy="CostPolicy/shop/fleet", subject="night",
        reason="night", created_at=start(), steps=steps, status=PlanStatus.DONE,
    )  # fmt: skip
    books = Books()
    books.note(turned(start(), 8, 0.1, need=8, state=LoopState(plans={plan.id: plan})))
    found = books.ledger.standing.values()
    assert sorted(one.subject.target for one in found) == sorted(one.key for one in refs)
    assert all(len(one.id) <= 64 for one in found)
