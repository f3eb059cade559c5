"""Rests on top of each other, and shares that grew: each plan has its own of what is saved, together what there is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.app.costing.summed import together
from aiops.core.model import (
    LoopState,
    Operation,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Priced,
    RestLever,
    ScaleTo,
    Sleep,
    SplitReplicas,
    Stage,
    TargetRef,
)
from aiops.core.money.books import Books
from aiops.core.money.ledger import stacked
from aiops.core.money.spend import Share, per_hour, usd
from tests.builders import TARGET, action
from tests.unit.spending import start, turned

PRICE, DEAR = 0.1, 0.25
BASE = TargetRef(namespace="shop", name="on-demand")
MINUTE = 60.0


def plan(name: str, operation: Operation, undo: tuple[Operation, ...] = (), stage: Stage = Stage.DONE) -> Plan:
    """Return a plan of a saving; they follow each other by the digits of their names."""
    since = start() + float(name[1:]) / 10
    step = PlanStep(name="all", operation=operation, undo=undo, stage=stage, since=since, sent=1)
    return Plan(
        id=name, kind=PlanKind.SAVING, policy="CostPolicy/shop/fleet", subject=TARGET.key, reason=name,
        created_at=since, steps=(step,), status=PlanStatus.DONE,
    )  # fmt: skip


def sleep(name: str, before: int, after: int) -> Plan:
    operation = Sleep(
        target=TARGET, object=TARGET, uid="u1", lever=RestLever.REPLICAS, seen=str(before), original=str(before),
        to=str(after), mark=name,
    )  # fmt: skip
    return plan(name, operation)


def scaled(name: str, before: int, after: int) -> Plan:
    made = ScaleTo(target=TARGET, replicas=after)
    return plan(name, made, undo=(replace(made, replicas=before),))


def moved(name: str, before: int, after: int) -> Plan:
    split = SplitReplicas(base=BASE, spot=TARGET, base_uid="u2", spot_uid="u1", seen=before, replicas=after)
    return plan(name, split)


def turn(books: Books, minute: float, plans: list[Plan], replicas: int, **more) -> None:
    price = more.pop("price", PRICE)
    one = turned(
        start() + MINUTE * minute, replicas, price, need=more.pop("need", replicas),
        state=LoopState(plans={one.id: one for one in plans}), **more,
    )  # fmt: skip
    dear = Priced(usd_per_hour=DEAR, source="t", as_of=0.0)
    cheap = {} if price is None else {TARGET.key: Priced(usd_per_hour=price, source="t", as_of=0.0)}
    prices = replace(one.snapshot.prices, replicas={**cheap, BASE.key: dear})
    books.note(replace(one, snapshot=replace(one.snapshot, prices=prices)))


def hour(plans: list[Plan], replicas: int, **more) -> Books:
    books = more.pop("books", None) or Books()
    first = round((books.accounts._last_at - start()) / MINUTE) if books.accounts.rows else 0
    for minute in range(first, first + 61):
        turn(books, minute, plans, replicas, **more)
    return books


def saved(books: Books) -> dict[str, float]:
    every = {**books.ledger.changed, **books.ledger.standing}
    return {one.id.partition("/")[0]: usd(per_hour(one.saved)) for one in every.values()}


def of(**amounts: float) -> dict[str, object]:
    return {name: pytest.approx(amount) for name, amount in amounts.items()}


def test_of_two_rests_on_top_of_each_other_each_has_what_it_let_rest():
    books = hour([sleep("P1", 6, 2), scaled("P2", 2, 0)], 0)
    assert saved(books) == of(P1=4 * PRICE, P2=2 * PRICE)
    hours = {one.id.partition("/")[0]: one.replica_ms / 3_600_000 for one in books.ledger.standing.values()}
    assert hours == of(P1=4.0, P2=2.0)
    promised = {one.note: usd(one.promise.middle) for one in books.ledger.standing.values() if one.promise}
    assert promised == of(P1=4 * PRICE, P2=2 * PRICE)


def test_who_wakes_some_of_it_takes_from_the_newest_first():
    assert saved(hour([sleep("P1", 6, 2), scaled("P2", 2, 0)], 1)) == of(P1=4 * PRICE, P2=PRICE)
    assert saved(hour([sleep("P1", 6, 2), scaled("P2", 2, 0)], 5)) == of(P1=PRICE, P2=0.0)
    # more than there were before costs, and the newest answers for it
    assert saved(hour([sleep("P1", 6, 2), scaled("P2", 2, 0)], 8)) == of(P1=0.0, P2=-2 * PRICE)


def test_the_newest_rest_that_is_taken_back_leaves_the_one_before():
    books = hour([sleep("P1", 6, 2), scaled("P2", 2, 0)], 0)
    gone = scaled("P2", 2, 0)
    gone = replace(gone, steps=(replace(gone.steps[0], stage=Stage.UNDONE),))
    assert saved(hour([sleep("P1", 6, 2), gone], 2, books=books)) == of(P1=2 * 4 * PRICE, P2=2 * PRICE)


def test_a_rest_that_does_not_follow_the_one_before_has_all_of_it():
    # somebody had four running when the second came: what the first let rest is over
    assert saved(hour([sleep("P1", 6, 2), scaled("P2", 4, 0)], 0)) == of(P1=0.0, P2=4 * PRICE)


def test_of_a_share_that_grew_each_step_has_the_replicas_that_it_moved():
    extra = DEAR - PRICE
    books = hour([moved("P1", 0, 3), moved("P2", 3, 5)], 5)
    assert saved(books) == of(P1=3 * extra, P2=2 * extra)
    # nodes were taken back: what came last is what is missing
    assert saved(hour([moved("P1", 0, 3), moved("P2", 3, 5)], 4)) == of(P1=3 * extra, P2=extra)
    assert saved(hour([moved("P1", 0, 3), moved("P2", 3, 5)], 2)) == of(P1=2 * extra, P2=0.0)


def test_a_share_that_shrank_ends_what_was_moved_last():
    extra = DEAR - PRICE
    plans = [moved("P1", 0, 3), moved("P2", 3, 5), moved("P3", 5, 2)]
    assert saved(hour(plans, 2)) == of(P1=2 * extra, P2=0.0, P3=0.0)


def test_at_a_price_that_is_not_known_replica_hours_are_parted_too():
    books = hour([sleep("P1", 6, 2), scaled("P2", 2, 0)], 0, price=None)
    unpriced = {one.id.partition("/")[0]: one.unpriced_ms / 3_600_000 for one in books.ledger.standing.values()}
    assert unpriced == of(P1=4.0, P2=2.0)
    assert set(saved(books).values()) == {0.0}


@settings(max_examples=40, deadline=None)
@given(
    levels=st.lists(st.integers(0, 9), min_size=2, max_size=6),
    replicas=st.integers(0, 12),
    spot=st.booleans(),
    torn=st.integers(0, 9),
    need=st.integers(1, 9),
    acts=st.booleans(),
    share=st.floats(0.0, 1.0),
)
def test_the_sum_over_plans_is_what_there_is(levels, replicas, spot, torn, need, acts, share):
    pairs = list(pairwise(levels))
    if torn < len(pairs):
        pairs[torn] = (pairs[torn][0] + 1, pairs[torn][1])
    made = [moved(f"P{n}", *pair) if spot else scaled(f"P{n}", *pair) for n, pair in enumerate(pairs)]
    actions = (action(before=replicas + 1, after=replicas),) if acts else ()
    nodes = {f"default/n{n}": 0.1 for n in range(5)}
    kept = {key: nodes[key] for key in list(nodes)[: round(5 * share)]}
    books = Books()
    turn(books, 0, made, replicas, need=need, actions=actions, nodes=nodes)
    for minute in range(1, 4):
        turn(books, minute, made, replicas, need=need, nodes=kept)
    rows = together([one for (subject, _), one in books.accounts.rows.items() if subject.is_target])
    every = {**books.ledger.changed, **books.ledger.standing}.values()
    assert sum(one.saved for one in every) == rows.saved
    assert sum(one.saved_low for one in every) == rows.saved_low
    assert sum(one.saved_high for one in every) == rows.saved_high
    assert sum(one.replica_ms for one in every) == rows.reference_ms - rows.compared_ms
    assert sum(one.realised for one in every) == pytest.approx(rows.realised, abs=1e6)


@given(st.lists(st.integers(-6, 9), min_size=1, max_size=8), st.integers(-5, 40))
def test_a_stack_never_has_more_than_there_is_and_nobody_more_than_he_did(amounts, total):
    found = stacked([Share(entry=f"E{n}", replicas=one) for n, one in enumerate(amounts)], total)
    assert sum(found.values()) <= max(0, total)
    assert all(0 <= found[f"E{n}"] <= max(0, one) for n, one in enumerate(amounts))
    if sum(amounts) >= total >= 0 and all(one >= 0 for one in amounts):
        assert sum(found.values()) == total
