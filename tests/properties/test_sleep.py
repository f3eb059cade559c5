"""What sleeps is never lost: tests/sleeping_lives.py is the world, `benchmarks/sleep_lives.py` lives 10,000 of them."""

from __future__ import annotations

import pytest

from tests.sleeping_lives import Life, lived
from tests.sleeping_oracle import Lost
from tests.unit.rested import WEB

BATCH, BATCHES = 20, 6


@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_s2_s4_s6_s9_what_sleeps_comes_back_as_it_was_and_nobodys_wish_is_written_over(batch):
    rested = woken = 0
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        happened = lived(seed).happened
        rested, woken = rested + happened["rested"], woken + happened["woken"]
    # lives in which nothing sleeps would prove nothing
    assert rested >= BATCH
    assert woken >= BATCH


@pytest.mark.parametrize("seed", [65303, 68295])
def test_a_clock_set_back_by_hours_and_a_record_written_anew_at_the_same_instant_keep_nothing_asleep(seed):
    # of ten thousand lives these two had a workload that was not woken
    assert lived(seed, 20).happened["woken"] > 0


def test_the_oracle_sees_what_is_lost():
    life = Life(seed=1)
    life.truth[WEB].was, life.truth[WEB].asleep = 99, True
    with pytest.raises(Lost, match="nobody knows any more that it was 99"):
        life.kept()
