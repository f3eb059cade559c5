"""Who came, went, or was not let in: a burst is one record, and nothing of it is lost from the count."""

from __future__ import annotations

import pytest

from aiops.app.knocks import EVERY_S, MOST, Knocks
from aiops.core.record.audit import AuditKind
from aiops.errors import StoreUnavailable
from aiops.web.locks.doors import Knock
from tests.unit.doored import Clock


@pytest.fixture
def clock():
    return Clock()


def refused(address: str = "192.0.2.7", by: str = "") -> Knock:
    return Knock(did="refused", by=by, address=address, said="a credential that is not valid")


def test_who_comes_and_goes_is_written_each_time(clock):
    written: list = []
    knocks = Knocks(written.append, clock)
    for did in ("entered", "left", "entered", "left"):
        knocks(Knock(did=did, by="sam", address="192.0.2.7", said="by token"))
    assert [(one.kind, one.did) for one in written] == [(AuditKind.LOGIN, did) for did in ("entered", "left")] * 2


def test_a_burst_of_refusals_is_one_record_and_the_next_says_how_many(clock):
    written: list = []
    knocks = Knocks(written.append, clock)
    for _ in range(500):
        knocks(refused())
    assert [(one.kind, one.by, one.subject) for one in written] == [(AuditKind.ACCESS, "unknown", "192.0.2.7")]
    clock.at += EVERY_S
    knocks(refused())
    assert written[1].detail == {"missed": 499}
    assert written[1].said == "a credential that is not valid, and 499 more that have no record of their own"


def test_refusals_from_everywhere_at_once_fill_no_store(clock):
    written: list = []
    knocks = Knocks(written.append, clock)
    for number in range(5000):
        knocks(refused(f"10.0.{number // 250}.{number % 250}"))
    assert (len(written), len(knocks._told)) == (MOST, MOST)
    clock.at += EVERY_S
    knocks(refused("10.9.9.9"))
    assert written[-1].detail == {"missed": 5000 - MOST}


def test_another_caller_is_another_record(clock):
    written: list = []
    knocks = Knocks(written.append, clock)
    for by in ("sam", "kim", "sam"):
        knocks(refused(by=by))
    assert [one.by for one in written] == ["sam", "kim"]


def test_a_store_that_cannot_be_written_keeps_nobody_out(clock, caplog):
    def broken(_):
        raise StoreUnavailable("the disk is full")

    Knocks(broken, clock)(refused())
    assert "knock_not_recorded" in caplog.text
