"""Several changes to one workload's requests: each brings its part, together what there is against no action."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.app.costing.summed import together
from aiops.core.model import (
    Looked,
    LoopState,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    PriceBook,
    Priced,
    ResizePods,
    SeenObject,
    Selection,
    SetResources,
    Stage,
    TargetRef,
    UnitPrices,
)
from aiops.core.money.books import Books, Kept
from aiops.core.money.chains import MOST_GONE
from aiops.core.money.spend import per_hour, usd
from tests.builders import TARGET, action
from tests.unit.spending import start, turned

CORE, GIB = 0.03, 0.004
MINUTE = 60.0


def sized(cpu: str) -> SetResources:
    return SetResources(target=TARGET, container="app", requests={"cpu": cpu}, limits={})


def resize(name: str, before: str, after: str, stage: Stage = Stage.DONE, minute: float = 0.0) -> Plan:
    step = PlanStep(
        name="all", operation=sized(after), undo=(sized(before),), stage=stage, since=start() + minute, sent=1
    )
    return Plan(
        id=name, kind=PlanKind.SAVING, policy="CostPolicy/shop/fleet", subject=TARGET.key, reason=f"{before} {after}",
        created_at=start() + minute, steps=(step,), status=PlanStatus.DONE,
    )  # fmt: skip


def seen(ref: TargetRef, spec: dict) -> SeenObject:
    return SeenObject(ref=ref, uid=ref.name, resource_version="1", as_of=0.0, body={"spec": spec})


def containers(cpu: str) -> dict:
    return {"containers": [{"name": "app", "resources": {"requests": {"cpu": cpu}}}]}


def template(cpu: str) -> Looked:
    return Looked(objects={TARGET.key: seen(TARGET, {"replicas": 4, "template": {"spec": containers(cpu)}})})


def turn(books: Books, minute: float, plans: list[Plan], cpu: str, **more) -> None:
    """Let a minute begin in which the template asks for so much; more: replicas, need, actions, looked, nodes."""
    replicas, looked = more.pop("replicas", 4), more.pop("looked", template(cpu))
    price = CORE * float(cpu) + GIB
    units = UnitPrices(core_usd=CORE, gib_usd=GIB)
    one = turned(
        start() + MINUTE * minute, replicas, price, need=more.pop("need", replicas), looked=looked,
        state=LoopState(plans={plan.id: plan for plan in plans}), **more,
    )  # fmt: skip
    quote = Priced(usd_per_hour=price, source="t", as_of=0.0, units=units)
    prices = replace(one.snapshot.prices, replicas={TARGET.key: quote})
    books.note(replace(one, snapshot=replace(one.snapshot, prices=prices)))


def hours(books: Books, number: int, plans: list[Plan], cpu: str, **more) -> None:
    """Let so many minutes go by after what went by before."""
    first = round((books.accounts._last_at - start()) / MINUTE) if books.accounts.rows else 0
    for minute in range(first, first + number + 1):
        turn(books, minute, plans, cpu, **more)


def saved(books: Books) -> dict[str, float]:
    """Return what each plan or action saved in USD, with what is closed."""
    every = {**books.ledger.changed, **books.ledger.standing}
    return {one.id.partition("/")[0]: usd(per_hour(one.saved)) for one in every.values()}


def total(books: Books) -> float:
    rows = [one for (subject, _), one in books.accounts.rows.items() if subject.is_target]
    return usd(per_hour(together(rows).saved))


FIRST, SECOND = resize("P1", "4", "2"), resize("P2", "2", "1", minute=1.0)


def test_of_two_changes_each_brings_its_own_part():
    books = Books()
    hours(books, 60, [FIRST, SECOND], "1")
    assert saved(books) == {"P1": pytest.approx(4 * 2 * CORE), "P2": pytest.approx(4 * 1 * CORE)}
    assert total(books) == pytest.approx(4 * 3 * CORE)
    promised = {one.note: usd(one.promise.middle) for one in books.ledger.standing.values()}
    assert promised == {"4 2": pytest.approx(4 * 2 * CORE), "2 1": pytest.approx(4 * 1 * CORE)}


def test_a_change_whose_plan_is_forgotten_stands_below_what_came_after():
    books = Books()
    hours(books, 60, [FIRST, SECOND], "1")
    hours(books, 60, [SECOND], "1")
    assert saved(books) == {"P1": pytest.approx(2 * 4 * 2 * CORE), "P2": pytest.approx(2 * 4 * 1 * CORE)}
    again = Books()
    again.adopt(Kept(entries=list(books.ledger.standing.values())), start(2.0))
    assert {one.id.partition("/")[0] for one in again.ledger.standing.values()} == {"P1", "P2"}


def test_the_newest_that_is_taken_back_leaves_the_one_before():
    books = Books()
    hours(books, 60, [FIRST, SECOND], "1")
    hours(books, 60, [FIRST, replace(SECOND, steps=(replace(SECOND.steps[0], stage=Stage.UNDONE),))], "2")
    assert saved(books) == {"P1": pytest.approx(2 * 4 * 2 * CORE), "P2": pytest.approx(4 * 1 * CORE)}
    assert total(books) == pytest.approx(4 * CORE * (3 + 2))


def test_the_one_in_the_middle_that_is_taken_back_ends_what_stood_on_it():
    third = resize("P3", "1", "0.5", minute=2.0)
    undone = replace(SECOND, steps=(replace(SECOND.steps[0], stage=Stage.UNDONE),))
    books = Books()
    hours(books, 60, [FIRST, SECOND, third], "0.5")
    # its undo wrote what was before it: the first change is there again, and the third is not
    hours(books, 60, [FIRST, undone, third], "2")
    found = saved(books)
    assert found == {
        "P1": pytest.approx(2 * 4 * 2 * CORE), "P2": pytest.approx(4 * CORE), "P3": pytest.approx(4 * 0.5 * CORE)
    }  # fmt: skip
    assert sum(found.values()) == pytest.approx(total(books))


def test_what_somebody_else_wrote_over_it_is_nobodys_saving():
    books = Books()
    hours(books, 60, [FIRST, SECOND], "3")
    assert saved(books) == {"P1": 0.0, "P2": 0.0}
    assert total(books) == 0.0


def test_while_the_next_change_rolls_out_the_one_before_goes_on():
    books = Books()
    begun = replace(SECOND, steps=(replace(SECOND.steps[0], stage=Stage.BEGUN),), status=PlanStatus.RUNNING)
    hours(books, 60, [FIRST, begun], "1")
    assert saved(books) == {"P1": pytest.approx(4 * 2 * CORE)}


def test_replicas_are_the_doing_of_who_scaled_and_sizes_of_who_sized():
    books = Books()
    turn(books, 0, [FIRST], "2", replicas=4, need=6, actions=(action(before=6, after=4),))
    for minute in range(1, 61):
        turn(books, minute, [FIRST], "2", replicas=4, need=6, nodes={"default/n1": 1.0})
    found = saved(books)
    was = CORE * 4 + GIB
    assert found == {"A1": pytest.approx(2 * was), "P1": pytest.approx(4 * 2 * CORE)}
    assert sum(found.values()) == pytest.approx(total(books)) == pytest.approx(6 * was - 4 * (CORE * 2 + GIB))


def test_pods_that_were_resized_in_place_count_as_long_as_they_are_there():
    pods = [TargetRef(namespace="shop", api_version="v1", kind="Pod", name=f"web-{n}") for n in range(4)]
    made = ResizePods(
        target=TARGET, pods=tuple(one.name for one in pods), container="app", requests={"cpu": "2"}, limits={}
    )
    step = PlanStep(
        name="all",
        operation=made,
        undo=(replace(made, requests={"cpu": "4"}),),
        stage=Stage.DONE,
        since=start(),
        sent=1,
    )
    one = replace(FIRST, steps=(step,))
    selection = Selection(cluster="default", namespace="shop", api_version="v1", kind="Pod")
    for left, brings in ((4, 2 * CORE * 4), (1, 2 * CORE)):
        some = tuple(seen(ref, containers("2")) for ref in pods[:left])
        looked = Looked(objects=template("4").objects, selections={selection.key: some})
        books = Books()
        hours(books, 60, [one], "4", looked=looked)
        assert saved(books)["P1"] == pytest.approx(brings, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.sampled_from(["0.25", "0.5", "1", "2", "4"]), min_size=2, max_size=6),
    forgotten=st.integers(0, 6),
    replicas=st.integers(0, 9),
    need=st.integers(2, 9),
    scaled=st.booleans(),
    share=st.floats(0.0, 1.0),
)
def test_the_sum_over_actions_is_the_total_against_no_action(sizes, forgotten, replicas, need, scaled, share):
    links = [(before, after) for before, after in pairwise(sizes) if before != after]
    plans = [resize(f"P{n}", before, after, minute=n / 10) for n, (before, after) in enumerate(links)]
    actions = (action(before=need, after=replicas),) if scaled and need != replicas else ()
    if not plans and not actions:
        return
    books = Books()
    nodes = {f"default/n{n}": 0.1 for n in range(5)}
    kept = {key: nodes[key] for key in list(nodes)[: round(5 * share)]}
    turn(books, 0, plans, sizes[-1], replicas=replicas, need=need, actions=actions, nodes=nodes)
    for minute in range(1, 4):
        now = plans[min(forgotten, len(plans)) :] if minute > 1 else plans
        turn(books, minute, now, sizes[-1], replicas=replicas, need=need, nodes=kept)
    rows = together([one for (subject, _), one in books.accounts.rows.items() if subject.is_target])
    every = {**books.ledger.changed, **books.ledger.standing}.values()
    assert sum(one.saved for one in every) == rows.saved
    assert sum(one.saved_low for one in every) == rows.saved_low
    assert sum(one.saved_high for one in every) == rows.saved_high
    assert sum(one.realised for one in every) == pytest.approx(rows.realised, abs=1e6)
    if plans and sizes[0] != sizes[-1]:
        was = round(1e9 * CORE * float(sizes[0])) + round(1e9 * GIB)
        runs = round(1e9 * CORE * float(sizes[-1])) + round(1e9 * GIB)
        assert rows.saved == 180_000 * (need * was - replicas * runs)


def test_of_many_changes_whose_plans_are_forgotten_the_oldest_become_one():
    count = MOST_GONE + 5
    plans = [resize(f"P{n:02}", str(40 - n), str(39 - n), minute=float(n)) for n in range(count)]
    books = Books()
    turn(books, 0, plans, str(40 - count))
    for minute in range(1, 61):
        turn(books, minute, [], str(40 - count))
    assert len(books.ledger.standing) == MOST_GONE
    found = saved(books)
    assert sum(found.values()) == pytest.approx(4 * count * CORE)
    assert sum(found.values()) == pytest.approx(total(books))


def test_a_book_of_prices_without_units_saves_nothing_of_it():
    books = Books()
    for minute in range(61):
        one = turned(start() + MINUTE * minute, 4, 0.1, state=LoopState(plans={"P1": FIRST}), looked=template("2"))
        books.note(replace(one, snapshot=replace(one.snapshot, prices=PriceBook())))
    assert saved(books) == {"P1": 0.0}
