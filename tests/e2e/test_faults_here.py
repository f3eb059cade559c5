"""What goes wrong beside the daemon itself: its clock, its disk, its database, its policies (S2, S6, S10)."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
import yaml

from tests.e2e.faults import (
    BUSY,
    QUIET,
    SETTLED,
    lowered,
    needs,
    reasons,
    recovers,
    settled,
    sound,
    turns,
    until_said,
)
from tests.e2e.postgres import PostgresServer
from tests.e2e.processes import FakeClock
from tests.e2e.rig import Daemon, Rig, scaling_policy

FAULTY = "tests.e2e.faulty"


# -- the clock ------------------------------------------------------------------------------------------------


def leads_as_before(rig: Rig, daemon: Daemon) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/aiops/leases/{rig.lease['name']}"
    assert rig.plane.api("GET", path)["spec"]["leaseTransitions"] == 1
    assert len(daemon.events("took_over")) == 1


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, -60.0])
def test_a_clock_that_is_stepped_neither_stops_the_loop_nor_scales_in_s1_s6(rig, deploy, tmp_path, step_s):
    clock = FakeClock(tmp_path / "clock")
    path, daemon = settled(rig, deploy, wrap=clock.wrap)
    clock.step(step_s)
    needs(rig, QUIET)
    said = rig.until(lambda: daemon.events("clock_stepped"), "the step to be said")
    assert abs(said[0]["by_s"] - step_s) < 2.0
    turns(rig, daemon, 10, 25)
    leads_as_before(rig, daemon)
    assert lowered(rig) == []
    until_said(rig, daemon, "demand is (stale|empty|absent)")
    rig.until(lambda: reasons(rig) & {"stale_signal", "empty_signal"}, "the reason in the journal")
    clock.step(0.0)
    rig.until(lambda: len(daemon.events("clock_stepped")) == 2, "the way back to be said")
    recovers(rig, daemon, path)
    leads_as_before(rig, daemon)
    sound(rig, daemon)


@pytest.mark.timeout(300)
def test_a_quiet_past_is_not_taken_for_the_present_when_the_clock_is_stepped_back_s1(rig, deploy, tmp_path):
    """A minute ago there was little to do; Prometheus answers for the instant that it is asked for."""
    clock = FakeClock(tmp_path / "clock")
    path, daemon = settled(rig, deploy, wrap=clock.wrap)
    needs(rig, QUIET)
    rig.until(lambda: rig.replicas(path) == QUIET, "the scale-in")
    time.sleep(70)
    needs(rig, BUSY)
    rig.until(lambda: rig.replicas(path) == BUSY, "the scale-out")
    began = len(daemon.sentences())
    clock.step(-60.0)
    until_said(rig, daemon, "demand is stale", since=began)
    turns(rig, daemon, 15, 40)
    assert rig.replicas(path) == BUSY
    assert daemon.events("clock_differs")
    clock.step(0.0)
    recovers(rig, daemon, path)
    sound(rig, daemon)


# -- the store ------------------------------------------------------------------------------------------------


def test_a_full_disk_lets_nothing_be_sent_that_is_not_journalled_s2_s6(rig, deploy, tmp_path):
    pages = tmp_path / "pages"
    pages.write_text("")
    path, daemon = settled(rig, deploy, module=FAULTY, environment={"AIOPS_E2E_MAX_PAGES_FILE": str(pages)})
    pages.write_text("1")  # no page more than there are
    full = r"(database or disk is full|the journal cannot be written)"
    filled = until_said(rig, daemon, full, 120)
    begun = len(daemon.sentences())
    before = len(rig.writes())
    needs(rig, BUSY)
    until_said(rig, daemon, full, since=begun)
    spoken = turns(rig, daemon, 6)
    assert rig.replicas(path) == SETTLED, (filled, spoken)
    assert len(rig.writes()) == before
    assert any("disk is full" in one for one in daemon.sentences())
    pages.write_text("")
    recovers(rig, daemon, path)
    assert sqlite3.connect(tmp_path / "aiops.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    sound(rig, daemon)


def test_a_database_that_is_gone_holds_every_write_and_says_so_s2(rig, deploy, postgres: PostgresServer):
    rig.shared_store = postgres.create(rig.namespace)
    path, daemon = settled(rig, deploy)
    before = len(rig.writes())
    begun = len(daemon.sentences())
    postgres.stop()
    try:
        needs(rig, BUSY)
        until_said(rig, daemon, "the journal cannot be written", since=begun)
        spoken = turns(rig, daemon, 8, 40)
        assert all("hold" in one or "held" in one for one in spoken), spoken
        assert len(rig.writes()) == before
    finally:
        postgres.start()
    rig.until(lambda: rig.replicas(path) == BUSY, "the scale-out that was held", 60)
    recovers(rig, daemon, path)
    sound(rig, daemon)


def test_policies_that_change_while_the_database_is_gone_are_taken_when_it_is_back_s10(rig, deploy, postgres):
    rig.shared_store = postgres.create(rig.namespace)
    path, daemon = settled(rig, deploy)
    postgres.stop()
    try:
        rig.policy(scaling_policy(rig.namespace, objective={"demand": "demand", "perReplica": 19}), grant=False)
        rig.until(lambda: daemon.events("policies_not_kept"), "the reload to be held")
    finally:
        postgres.start()
    rig.until(lambda: rig.replicas(path) == 10, "what the new policy needs", 60)
    sound(rig, daemon)


# -- policies -------------------------------------------------------------------------------------------------


def test_a_policy_that_is_broken_leaves_the_last_good_set_in_force_s10(rig, deploy):
    path, daemon = settled(rig, deploy)
    file: Path = rig.policies / "policies.yaml"
    good = file.read_text()
    file.write_text(good.replace("maxReplicas:", "maxReplica:"))
    [line] = [number for number, text in enumerate(file.read_text().splitlines(), 1) if "maxReplica:" in text]
    refused = rig.until(lambda: daemon.events("policy_refused"), "the refusal")
    problems = " ".join(str(one["problem"]) for one in refused)
    assert f"policies.yaml:{line}:" in problems
    assert "maxReplicas" in problems
    needs(rig, BUSY)
    rig.until(lambda: rig.replicas(path) == BUSY, "the last good set to act")
    # not even YAML
    file.write_text(good + "\n  - ][")
    rig.until(lambda: len(daemon.events("policy_refused")) > len(refused), "the next refusal")
    needs(rig, QUIET)
    rig.until(lambda: rig.replicas(path) == QUIET, "the last good set to act still")
    document = yaml.safe_load(good)
    document["spec"]["bounds"]["minReplicas"] = 3
    file.write_text(yaml.safe_dump(document))
    rig.until(lambda: daemon.events("policies_loaded"), "the mended set")
    rig.until(lambda: rig.replicas(path) == 3, "the mended set to act")
    assert "bug" not in reasons(rig)
    sound(rig, daemon)
