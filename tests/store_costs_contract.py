"""What the store promises of money on every database: exact amounts, one writer, and years that stay small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aiops.adapters.store.costs import DAYS_KEPT_S, HOURS_KEPT_S
from aiops.core.money.books import Books
from aiops.core.money.ledger import Entry, Promise, SavingKind
from aiops.core.money.spend import DAY_S, HOUR_MS, HOUR_S, Row, Subject, nano, per_hour
from aiops.errors import Fenced
from tests.builders import NOW

DAY = int(NOW) // DAY_S * DAY_S
HOURLY = Subject(
    target="default/shop/apps/v1/Deployment/a", policy="P/shop/a", namespace="shop", labels=(("team", "x"),)
)
OTHER = replace(HOURLY, labels=(("team", "y"),))


def row(hours: float = 1.0, usd: float = 0.042) -> Row:
    span = round(hours * HOUR_MS)
    return Row(
        seen_ms=span, replica_ms=3 * span, money=nano(usd) * 3 * span, saved=-7 * HOUR_MS, peak=4, slo_ms=5, late=1.5
    )


ENTRY = Entry(
    id="A1", kind=SavingKind.SCALE_IN, policy="P/shop/a", subject=HOURLY, opened_at=NOW, until=NOW, note="8 -> 5",
    promise=Promise(middle=3, low=-2, high=2**40), saved=11 * HOUR_MS, seen_ms=9, late=2.5,
)  # fmt: skip


class CostsContract:
    """Hours, days and the ledger."""

    def test_an_hour_comes_back_as_it_was_and_in_the_place_of_what_was_there(self, opened):
        store = opened()
        store.costs.write([(HOURLY, DAY, row(0.5)), (OTHER, DAY, row(0.25))], (), None)
        store.costs.write([(HOURLY, DAY, row(1.0))], (), None)
        found = {one.subject: one.row for one in opened().costs.spent(DAY, DAY + HOUR_S)}
        assert found == {HOURLY: row(1.0), OTHER: row(0.25)}

    def test_amounts_are_whole_billionths_beyond_thirty_two_bits(self, opened):
        store = opened()
        dear = Row(money=(2**53 + 1) * HOUR_MS, saved=-(2**53 + 1) * HOUR_MS)
        store.costs.write([(HOURLY, DAY, dear)], (), None)
        (found,) = store.costs.spent(DAY, DAY + HOUR_S)
        assert (found.row.money, found.row.saved) == (dear.money, dear.saved)

    def test_the_ledger_comes_back_and_what_ended_stands_no_more(self, opened):
        store = opened()
        ended = replace(ENTRY, id="A2", closed_at=NOW + 5.0, promise=None, dry_run=True)
        store.costs.write((), [ENTRY, ended], None)
        assert {one.id: one for one in store.costs.entries(NOW - 1.0, NOW + 1.0)} == {"A1": ENTRY, "A2": ended}
        assert list(store.costs.kept(NOW).entries) == [ENTRY]
        assert store.costs.entries(NOW - 9.0, NOW - 1.0) == [], "it had not begun"
        assert [one.id for one in store.costs.entries(NOW + 6.0, NOW + 9.0)] == ["A1"]

    def test_days_that_are_long_past_are_summed_up_and_no_cent_is_lost(self, opened):
        store, old = opened(), DAY - 50 * DAY_S
        hours = [(one, old + number * HOUR_S, row()) for number in range(48) for one in (HOURLY, OTHER)]
        store.costs.write([*hours, (HOURLY, DAY, row())], (), None)
        assert store.costs.prune(float(DAY)) == 96
        found = store.costs.spent(old, DAY + DAY_S)
        assert [(one.at - old, one.span_s) for one in found[:4]] == [(0, DAY_S)] * 2 + [(DAY_S, DAY_S)] * 2
        assert (found[-1].span_s, len(found)) == (HOUR_S, 5)
        assert sum(one.row.money for one in found) == 97 * row().money
        assert (found[0].row.peak, found[0].row.late) == (4, 36.0)
        assert store.costs.prune(float(DAY)) == 0
        assert len(store.costs.past(float(DAY)).hours) == 1

    def test_what_is_older_than_any_report_is_removed(self, opened):
        store = opened()
        store.costs.write([(HOURLY, DAY - DAYS_KEPT_S - DAY_S, row())], [replace(ENTRY, until=0.0)], None)
        assert store.costs.prune(float(DAY)) == 2
        assert store.costs.spent(0, DAY) == []

    def test_a_leader_that_was_succeeded_writes_no_money_s6(self, opened):
        old, new = opened(), opened()
        old.journal.claim(1, "a", NOW)
        old.costs.write([(HOURLY, DAY, row())], (), old.journal.claimed)
        new.journal.claim(2, "b", NOW)
        with pytest.raises(Fenced, match="epoch 2"):
            old.costs.write([(HOURLY, DAY, row(0.5))], (), old.journal.claimed)
        with pytest.raises(Fenced):
            old.costs.write_budgets([{"key": "b"}], old.journal.claimed)
        (found,) = new.costs.spent(DAY, DAY + 1)
        assert found.row == row()

    def test_books_go_on_from_what_is_stored(self, opened):
        store = opened()
        store.costs.write([(HOURLY, DAY, row(0.5)), (OTHER, DAY - HOUR_S, row())], [ENTRY], None)
        books = Books()
        books.adopt(store.costs.kept(DAY + 1800.0), DAY + 1800.0)
        assert books.accounts.rows == {(HOURLY, DAY): row(0.5)}
        assert list(books.ledger.standing) == ["A1"]
        books.history.fill(store.costs.past(DAY + 1800.0))
        every = books.history.hours(np.array([books.history.places[one] for one in (HOURLY, OTHER)]), DAY - HOUR_S, DAY)
        assert every.nano.tolist() == [per_hour(row().money)]

    def test_budgets_stand_as_they_were_last_told(self, opened):
        store = opened()
        assert store.costs.budgets() == []
        store.costs.write_budgets([{"key": "CostBudget/a/b", "spent": 1.5}], None)
        store.costs.write_budgets([{"key": "CostBudget/a/b", "spent": 2.5}], None)
        assert opened().costs.budgets() == [{"key": "CostBudget/a/b", "spent": 2.5}]

    def test_hours_are_kept_as_long_as_a_budget_looks_back(self):
        assert HOURS_KEPT_S >= (31 + 1) * DAY_S
