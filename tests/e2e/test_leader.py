"""Several replicas, one actor: deaths, pauses, partitions and late requests, by name (S2, S6).

The replicas share a PostgreSQL, and each reaches the API server through a proxy of the test's own.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator

import pytest

from tests.e2e.audit import AuditEvent
from tests.e2e.proxy import FaultProxy, Gate
from tests.e2e.rig import Daemon, Rig, scaling_policy

FAULTY = "tests.e2e.faulty"
LEASE_S, RENEW_S, TICK_S = 4.0, 2.5, 1.0
SLACK_S = 3.0
"""What a busy machine may add to a takeover."""


class Replicas:
    """Replicas of one daemon, each behind a proxy."""

    def __init__(self, rig: Rig, url: str) -> None:
        self.rig, self.url = rig, url
        self.proxies: dict[str, FaultProxy] = {}
        self.daemons: dict[str, Daemon] = {}

    def start(self, name: str, module: str = "aiops", **environment: str) -> Daemon:
        rig = self.rig
        server = rig.plane.authority.issue(f"proxy-{name}")
        proxy = FaultProxy(rig.plane.url, cert=server.cert, key=server.key, upstream_ca=rig.plane.ca)
        proxy.__enter__()
        self.proxies[name] = proxy
        made = rig.daemon(
            name,
            kubeconfig=rig.kubeconfig(server=proxy.url),
            module=module,
            environment=environment,
            store={"url": self.url},
        )
        self.daemons[name] = made
        return made

    def stop(self) -> None:
        for one in self.daemons.values():
            one.process.end()
        for proxy in self.proxies.values():
            proxy.__exit__(None, None, None)

    def lease(self) -> dict:
        path = f"/apis/coordination.k8s.io/v1/namespaces/aiops/leases/{self.rig.lease['name']}"
        return dict((self.rig.plane.find(path) or {}).get("spec") or {})

    def leader(self) -> str:
        """Return which replica holds the Lease, '' for none."""
        match = re.search(r"_(\d+)_", str(self.lease().get("holderIdentity", "")))
        pids = {one.process.pid: name for name, one in self.daemons.items() if one.process.poll() is None}
        return pids.get(int(match[1]), "") if match else ""

    def led_by(self, name: str, within_s: float = 30.0) -> None:
        self.rig.until(lambda: self.leader() == name, f"{name} to lead", within_s)
        daemon = self.daemons[name]
        self.rig.until(lambda: daemon.events("took_over"), f"{name} to have claimed the journal")

    def stamps(self) -> list[AuditEvent]:
        return [event for event in self.rig.writes() if event.epoch is not None and event.action_id is None]

    def acts(self) -> list[AuditEvent]:
        return [event for event in self.rig.writes() if event.action_id is not None]


@pytest.fixture
def replicas(rig: Rig, postgres) -> Iterator[Replicas]:
    postgres.create(rig.namespace)
    made = Replicas(rig, postgres.url(rig.namespace))
    rig.shared_store = made.url
    yield made
    made.stop()


@pytest.fixture
def two(rig: Rig, deploy, replicas: Replicas) -> tuple[Replicas, str]:
    """`a` leads and has settled at 4 replicas; `b` stands by."""
    path = deploy(replicas=4)
    rig.demand(190.0)
    rig.policy(scaling_policy(rig.namespace))
    replicas.start("a")
    replicas.led_by("a")
    replicas.start("b")
    rig.until(lambda: any("standing by" in one for one in replicas.daemons["b"].sentences()), "b to stand by")
    rig.until(replicas.stamps, "the first stamp")
    return replicas, path


def test_the_leader_is_killed_and_the_other_acts_within_the_lease_and_a_tick_s6(two):
    replicas, path = two
    rig = replicas.rig
    replicas.daemons["a"].process.kill9()
    rig.demand(440.0)  # needs 9
    rig.until(lambda: rig.replicas(path) == 9, "the other to scale out", LEASE_S + TICK_S + SLACK_S)
    replicas.led_by("b")
    replicas.rig.check()


def test_a_leader_that_is_stopped_past_its_lease_wakes_as_a_follower_s6(two):
    replicas, path = two
    rig, a = replicas.rig, replicas.daemons["a"]
    a.process.stop_signal()
    replicas.led_by("b")
    rig.demand(440.0)
    rig.until(lambda: rig.replicas(path) == 9, "b to scale out")
    a.process.cont()
    said = len(a.sentences())
    rig.until(lambda: len(a.sentences()) > said + 2, "a to turn again")
    assert all("standing by" in one or "held" in one for one in a.sentences()[said:])
    assert replicas.leader() == "b"
    replicas.rig.check()


@pytest.mark.parametrize("point", ["before-journal", "after-journal", "before-request"])
def test_a_leader_that_is_stopped_in_mid_decision_does_nothing_when_it_wakes_s6(rig, deploy, replicas, point):
    path = deploy(replicas=4)
    rig.demand(190.0)
    rig.policy(scaling_policy(rig.namespace))
    a = replicas.start("a", module=FAULTY, AIOPS_E2E_PAUSE=point)
    replicas.led_by("a")
    rig.until(replicas.stamps, "the first stamp")
    replicas.start("b")
    rig.demand(440.0)
    rig.until(a.process.stopped, "a to be stopped in mid-decision")
    replicas.led_by("b")
    rig.until(lambda: rig.replicas(path) == 9, "b to scale out")
    before = len(replicas.acts())
    a.process.cont()
    said = len(a.sentences())
    rig.until(lambda: len(a.sentences()) > said + 2, "a to turn again")
    late = [event for event in replicas.acts()[before:] if event.accepted]
    assert late == []
    assert rig.replicas(path) == 9
    replicas.rig.check()


def test_a_request_that_arrives_after_the_successors_stamp_is_refused_s6(two):
    """The successor has written nothing yet but its epoch: the object's version keeps the late request out."""
    replicas, path = two
    rig, a, proxy = replicas.rig, replicas.daemons["a"], replicas.proxies["a"]
    gate = Gate(method="PATCH", path=r"/deployments/checkout/scale")
    proxy.rules = [gate]
    rig.demand(440.0)
    assert gate.arrived.wait(20)
    a.process.stop_signal()
    rig.demand(190.0)  # the successor has nothing to do
    replicas.led_by("b")
    rig.until(lambda: {event.epoch for event in replicas.stamps() if event.accepted} == {1, 2}, "the successor's stamp")
    gate.open()
    late = rig.until(lambda: [e for e in replicas.acts() if not e.accepted], "the late request to be answered")
    assert [event.code for event in late] == [409]
    assert rig.replicas(path) == 4
    proxy.rules = []
    a.process.cont()
    said = len(a.sentences())
    rig.until(lambda: len(a.sentences()) > said + 2, "a to turn again")
    replicas.rig.check()


def test_a_request_that_arrives_before_the_successor_is_seen_by_it_s6(two):
    """Late, but before the stamp: it is accepted, and the successor decides on what it did."""
    replicas, path = two
    rig, a, proxy = replicas.rig, replicas.daemons["a"], replicas.proxies["a"]
    gate = Gate(method="PATCH", path=r"/deployments/checkout/scale")
    proxy.rules = [gate]
    rig.demand(440.0)
    assert gate.arrived.wait(20)
    a.process.kill9()
    gate.open()
    rig.until(lambda: rig.replicas(path) == 9, "the late request to arrive")
    replicas.led_by("b")

    def judged() -> bool:
        rows = rig.actions()
        return bool(rows) and all(row["outcome"] == "took-effect" for row in rows)

    rig.until(judged, "the successor to judge it")
    assert len([event for event in replicas.acts() if event.accepted]) == 1
    replicas.rig.check()


def test_a_leader_that_is_cut_off_steps_down_before_the_other_leads_s2_s6(two):
    replicas, path = two
    rig, a, proxy = replicas.rig, replicas.daemons["a"], replicas.proxies["a"]
    proxy.partition()
    began = time.monotonic()
    rig.demand(440.0)
    rig.until(
        lambda: any("standing by" in one for one in a.sentences()), "a to step down", RENEW_S + 3 * TICK_S + SLACK_S
    )
    rig.until(lambda: rig.replicas(path) == 9, "b to scale out")
    assert time.monotonic() - began > RENEW_S
    replicas.led_by("b")
    proxy.heal()
    said = len(a.sentences())
    rig.until(lambda: len(a.sentences()) > said + 3, "a to turn again")
    assert replicas.leader() == "b"
    replicas.rig.check()


def test_of_three_replicas_the_last_one_acts_s6(rig, deploy, replicas):
    path = deploy(replicas=4)
    rig.demand(190.0)
    rig.policy(scaling_policy(rig.namespace))
    for name in "abc":
        replicas.start(name)
    for needed in (6, 9):
        leader = rig.until(replicas.leader, "a leader")
        replicas.led_by(leader)
        replicas.daemons[leader].process.kill9()
        rig.demand(needed * 50.0 - 10.0)
        rig.until(lambda n=needed: rig.replicas(path) == n, f"{needed} replicas")
    assert sum(one.process.poll() is None for one in replicas.daemons.values()) == 1
    replicas.rig.check()


def test_a_leader_that_is_told_to_stop_hands_over_at_once_s9(two):
    replicas, _ = two
    rig = replicas.rig
    assert replicas.daemons["a"].process.term(20) == 0
    began = time.monotonic()
    replicas.led_by("b", LEASE_S)
    assert time.monotonic() - began < LEASE_S
    assert replicas.lease()["leaseTransitions"] == 2
    assert rig.until(lambda: len(replicas.stamps()) == 2, "b's stamp")


def test_a_lease_that_was_deleted_does_not_begin_again_at_one_s6(two):
    replicas, path = two
    rig = replicas.rig
    rig.plane.delete(f"/apis/coordination.k8s.io/v1/namespaces/aiops/leases/{rig.lease['name']}", wait=False)
    rig.until(lambda: replicas.lease().get("leaseTransitions", 0) >= 2, "a new Lease above the epochs of the journal")
    rig.demand(440.0)
    rig.until(lambda: rig.replicas(path) == 9, "somebody to scale out")
    replicas.rig.check()


def test_a_new_leader_scales_nothing_in_before_a_whole_window_s5(two):
    replicas, path = two
    rig = replicas.rig
    rig.demand(60.0)  # wants 2, after a window of 5 s
    replicas.daemons["a"].process.kill9()
    replicas.led_by("b")
    claimed = replicas.daemons["b"].events("took_over")[0]
    rig.until(lambda: rig.replicas(path) == 2, "b to scale in")
    rows = [row for row in rig.actions() if row["after"] < row["before"]]
    assert rows
    assert min(row["at"] for row in rows) - _at(claimed) >= 4.0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_how_long_a_takeover_takes_s6(rig, deploy, replicas, capsys):
    """A distribution: from the leader's death to the first request under the next epoch."""
    deploy(replicas=4)
    rig.demand(190.0)
    rig.policy(scaling_policy(rig.namespace))
    took = []
    replicas.start("r0")
    replicas.led_by("r0")
    for number in range(1, 21):
        replicas.start(f"r{number}")
        rig.until(lambda n=number: replicas.daemons[f"r{n}"].sentences(), "a standby")
        before = len(replicas.stamps())
        died = time.time()
        replicas.daemons[f"r{number - 1}"].process.kill9()
        rig.until(lambda b=before: len(replicas.stamps()) > b, "the stamp of the next epoch")
        took.append(replicas.stamps()[-1].at - died)
    with capsys.disabled():
        quantiles = statistics.quantiles(took, n=20)
        print(
            f"\ntakeover of {len(took)}: median {statistics.median(took):.2f} s, p95 {quantiles[18]:.2f} s, "
            f"most {max(took):.2f} s; lease {LEASE_S:g} s + tick {TICK_S:g} s"
        )
    assert max(took) < LEASE_S + TICK_S + SLACK_S


def _at(line: dict) -> float:
    from datetime import datetime

    return datetime.fromisoformat(str(line["timestamp"]).replace("Z", "+00:00")).timestamp()
