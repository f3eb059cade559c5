"""Spend agrees with the price feed to the cent, gaps are gaps, and a price that is not known is no spend."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.money.books import Books
from aiops.core.money.spend import HOUR_S, LOOP, Row, Subject, nano, per_hour, usd
from tests.unit.spending import start, turned

CENT = Decimal("0.01")


def cents(amount: Fraction) -> Decimal:
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    return exact.quantize(CENT, ROUND_HALF_EVEN)


def rows_of(books: Books) -> list[tuple[int, Row]]:
    return sorted((hour, row) for (subject, hour), row in books.accounts.rows.items() if subject.is_target)


def spent(books: Books) -> int:
    return sum(per_hour(row.money) for _, row in rows_of(books))


FEED = st.lists(
    st.tuples(
        st.integers(1, 60_000),  # milliseconds to the next look
        st.integers(0, 400),  # replicas
        st.decimals("0.000001", "60", places=6),  # USD per replica and hour
    ),
    min_size=1,
    max_size=300,
)


@settings(max_examples=60, deadline=None)
@given(feed=FEED)
def test_spend_agrees_with_the_price_feed_to_the_cent(feed):
    """The feed's own sum, in fractions of what it says, against what the books hold, row by row rounded."""
    books, at, expected = Books(), Fraction(round(start() * 1000)), Fraction(0)
    for step_ms, replicas, price in feed:
        books.note(turned(float(at / 1000), replicas, float(price)))
        expected += Fraction(price) * replicas * step_ms / 3_600_000
        at += step_ms
    books.note(turned(float(at / 1000), 1, 1.0))
    found = Fraction(spent(books), 10**9)
    assert abs(found - expected) <= Fraction(len(rows_of(books)), 2 * 10**9)
    assert abs(cents(found) - cents(expected)) <= (CENT if found != expected else 0)


def test_a_month_of_a_thousand_targets_agrees_to_the_cent():
    """Each row is out by half a billionth at most: 720,000 of them by less than a thirtieth of a cent."""
    price, replicas = Decimal("0.0416667"), 7
    row = Row()
    for _ in range(240):
        row.add(next(iter(meters(price, replicas))), 15_000)
    month = 720 * 1000 * Fraction(per_hour(row.money), 10**9)
    assert cents(month) == cents(Fraction(price) * replicas * 720 * 1000) == Decimal("210000.17")


def meters(price, replicas):
    from aiops.core.money.spend import Meter

    yield Meter(replicas=replicas, price=nano(float(price)))


def test_the_hours_hold_what_was_spent_in_them():
    books = Books()
    for second in range(0, 2 * 3600 + 1, 60):
        books.note(turned(start(0.5) + second, 10, 0.1))
    assert [(hour - start(), usd(per_hour(row.money))) for hour, row in rows_of(books)] == [
        (0.0, 0.5),
        (3600.0, 1.0),
        (7200.0, 0.5),
    ]


def test_what_was_not_looked_at_is_a_gap_and_not_spent():
    books = Books()
    for at in (0, 15, 30, 30 + 900, 945):  # a quarter of an hour without a look
        books.note(turned(start() + at, 10, 0.1))
    (row,) = [row for _, row in rows_of(books)]
    watching = books.accounts.rows[LOOP, int(start())]
    assert (row.seen_ms, row.replica_ms, row.gap_ms) == (45_000, 450_000, 0)
    assert watching.seen_ms == 45_000


def test_a_target_that_cannot_be_seen_is_a_gap_of_its_own():
    books = Books()
    for at, replicas in ((0, 10), (15, None), (30, None), (45, 10), (60, 10)):
        shot = turned(start() + at, replicas, 0.1)
        books.note(shot)
    (row,) = [row for _, row in rows_of(books)]
    assert (row.seen_ms, row.gap_ms) == (30_000, 30_000)


def test_a_target_that_is_not_there_costs_nothing_and_is_no_gap():
    books = Books()
    for at, replicas in ((0, 10), (15, None), (30, None)):
        books.note(turned(start() + at, replicas, 0.1, gone=True))
    (row,) = [row for _, row in rows_of(books)]
    assert (row.seen_ms, row.gap_ms) == (15_000, 0)


@pytest.mark.parametrize("price", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_an_unknown_or_absurd_price_is_unknown_spend_and_never_nothing(price):
    books = Books()
    for at in (0, 15):
        books.note(turned(start() + at, 4, price))
    (row,) = [row for _, row in rows_of(books)]
    assert (row.money, row.unpriced_ms, row.replica_ms) == (0, 60_000, 60_000)


def test_a_clock_that_is_stepped_back_spends_nothing_twice():
    books = Books()
    for at in (0, 15, 30, 10, 25):
        books.note(turned(start() + at, 4, 0.1))
    (row,) = [row for _, row in rows_of(books)]
    assert row.seen_ms == 45_000  # 0 to 30, and 10 to 25 by the clock's second telling


def test_a_target_is_on_the_account_of_its_policy_and_team():
    books = Books()
    for at in (0, 15):
        books.note(turned(start() + at, 4, 0.1))
    (subject,) = [subject for subject, _ in books.accounts.rows if subject.is_target]
    assert (subject.team, subject.namespace, subject.policy) == ("payments", "shop", "ScalingPolicy/shop/checkout")


def test_an_hour_goes_on_where_it_was_stored():
    books, subject = Books(), Subject(target="default/shop/apps/v1/Deployment/checkout")
    from aiops.core.money.books import Kept

    stored = Row(seen_ms=60_000, replica_ms=60_000, money=nano(0.1) * 60_000)
    books.adopt(Kept(rows=[(subject, int(start()), stored)]), start(0.2))
    assert books.accounts.rows[subject, int(start())].seen_ms == 60_000
    assert books.history.nano[books.history.places[subject], int(start()) // HOUR_S % 864] == per_hour(stored.money)
