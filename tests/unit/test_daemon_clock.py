"""The wall clock is stepped under the daemon's jobs, which are planned by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from aiops.app.daemon import plan_anew


@pytest.fixture
def scheduler() -> Iterator[BackgroundScheduler]:
    made = BackgroundScheduler(timezone="UTC")
    made.start(paused=True)
    made.add_job(lambda: None, "interval", seconds=15, id="tick")
    made.add_job(lambda: None, "interval", seconds=3600, id="prune")
    yield made
    made.shutdown()


def planned(scheduler: BackgroundScheduler) -> dict[str, datetime]:
    return {job.id: job.next_run_time for job in scheduler.get_jobs()}


def test_jobs_that_are_on_time_stay_where_they_are(scheduler):
    before = planned(scheduler)
    plan_anew(scheduler, datetime.now(UTC))
    assert planned(scheduler) == before


@pytest.mark.parametrize("back_s", [60, 3600, 86_400])
def test_a_clock_that_is_stepped_back_does_not_stop_the_ticks(scheduler, back_s):
    now = datetime.now(UTC) - timedelta(seconds=back_s)
    plan_anew(scheduler, now)
    after = planned(scheduler)
    assert after["tick"] == now
    assert after["prune"] <= now + timedelta(seconds=3601)


def test_a_clock_that_is_stepped_forward_leaves_jobs_that_are_due_at_once(scheduler):
    before = planned(scheduler)
    plan_anew(scheduler, datetime.now(UTC) + timedelta(hours=1))
    assert planned(scheduler) == before
