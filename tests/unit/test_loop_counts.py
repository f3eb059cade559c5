"""The loop counts what it did, stops growth that a budget cannot pay for, and is never held up by its books."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.store import Store
from aiops.app.books import StoredBooks
from aiops.core.model import PriceBook, Priced
from aiops.core.money.spend import HOUR_MS, HOUR_S, LOOP, Row, Subject, nano
from aiops.core.policies import PolicySet
from aiops.loop import ControlLoop
from aiops.loop.seams import NoBooks
from simulators.ports import FixedPolicies
from tests.builders import KEY, NOW, TARGET, policy
from tests.unit.test_answers import Journal, World, loop_over
from tests.unit.test_cost_budget import budget


@pytest.fixture
def store():
    made = Store.open("sqlite://")
    yield made
    made.close()


class Priciest(World):
    """Replicas at a dime an hour."""

    def book(self, targets, inventory, at):
        quote = Priced(usd_per_hour=0.1, source="test", as_of=at)
        return PriceBook(replicas={target.key: quote for target in targets})


def loop(store: Store, books, amount: float = 100.0) -> ControlLoop:
    made = loop_over(store, Priciest(), Journal(store.journal))
    foresees = policy(up=replace(policy().up, rates=()))
    paid = budget(amount=amount, priorities=[{"policies": ["checkout"], "maxReplicas": 9}])
    policies = PolicySet(digest="q", scaling=(foresees,), budgets=(paid,), labels={KEY: {"team": "payments"}})
    made.ports = replace(made.ports, policies=FixedPolicies(policies), books=books)
    made._observer.ports = made.ports
    return made


def test_a_turn_is_counted_and_the_budget_stands_by_it(store):
    books = StoredBooks(store, {})
    turning = loop(store, books)
    for turn in range(5):
        turning.run_once(NOW + 15.0 * turn)
    (standing,) = books.latest.values()
    (key,) = [key for key in books.books.accounts.rows if key[0].is_target]
    row = books.books.accounts.rows[key]
    assert (key[0].target, key[0].team) == (TARGET.key, "payments")
    assert row.seen_ms == 60_000
    assert row.money > 0
    assert standing.amount == 100.0


def test_an_overrun_is_in_the_tick_and_opens_an_incident(store):
    month = int(NOW) // HOUR_S * HOUR_S
    whose = Subject(target=TARGET.key, policy=KEY, namespace="shop", labels=(("team", "payments"),))
    dear = Row(seen_ms=HOUR_MS, replica_ms=HOUR_MS, money=nano(9) * HOUR_MS)
    spent = [(whose, month - HOUR_S * number, dear) for number in range(1, 700)]
    store.costs.write([*spent, *((LOOP, at, Row(seen_ms=HOUR_MS)) for _, at, _ in spent)], (), None)
    turning = loop(store, StoredBooks(store, {}))
    turning.run_once(NOW)
    (finding,) = turning.last.findings
    (incident,) = turning.last.incidents
    assert (finding.kind.value, finding.policy, incident.kind) == ("overrun", "CostBudget/shop/payments", "overrun")
    (decision,) = turning.last.decisions
    assert turning.seen[KEY].allowances[0].ceiling == 9
    (told,) = [one.ruling for one in decision.verdict.rulings if one.guard == "ceiling"]
    assert told.detail.endswith(": ceiling 9, and 10 are needed now"), "S5: what is needed now is not held back"
    assert decision.verdict.change.after == 10


class BrokenBooks(NoBooks):
    def note(self, turned):
        raise RuntimeError("a bug in the books")

    def standings(self, policies, at):
        raise RuntimeError("a bug in the books")


def test_a_bug_in_the_books_holds_no_turn_up_s10(store):
    turning = loop(store, BrokenBooks())
    assert "held" not in turning.run_once(NOW)
    assert turning.held == ""
    assert turning.turns == 1
