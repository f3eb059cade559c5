"""Ten clusters with their metrics in one loop: two hang, one lies, and none of them costs another a turn (S8, S10)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import pytest

from aiops.adapters.kubernetes.clusters import Clusters
from aiops.adapters.prometheus import NamedSources, PrometheusOptions, PrometheusSource
from aiops.adapters.prometheus.pace import Pace
from aiops.adapters.prometheus.probe import prepare
from aiops.adapters.store import Store
from aiops.app.fleet import SourcedPolicies
from aiops.core.bank import Bank
from aiops.core.model import Leadership, Looked, PriceBook, Scope, StepResult, StepStatus, TargetRef, VerdictWord
from aiops.core.policies import PolicySet
from aiops.loop import ControlLoop, DryRunCluster, Ports, Setup
from aiops.loop.lanes import Beside
from aiops.ports import Inventory
from simulators.ports import FixedPolicies, NoTelemetry
from tests.builders import policy, workload
from tests.integration.test_prometheus_answers import NOW, Script, age, serving, vector
from tests.unit.fleet import a_watch
from tests.unit.test_answers import Journal, NoControls

NAMES = tuple(f"c{number}" for number in range(10))
HANGING, LYING = ("c3", "c7"), "c9"
WELL = tuple(name for name in NAMES if name not in (*HANGING, LYING))
SOURCE_S, API_S, WRITE_S = 0.2, 2.0, 1.5
"""What those that hang cost at most, once; the others have all the time that a busy machine needs."""


def key(name: str) -> str:
    return f"ScalingPolicy/{name}/checkout"


def target(name: str) -> TargetRef:
    return TargetRef(cluster=name, namespace="shop", name="checkout")


@dataclass
class Api:
    """One cluster: shows its workload and scales it; may hang until it is let go, and speak for others."""

    name: str
    replicas: int = 8
    lies: bool = False
    hangs: bool = False
    writes_hang: bool = False
    sent: int = 0
    free: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def inventory(self, targets, at):
        self.asked += 1
        if self.hangs:
            self.free.wait(120)
        shown = {one.key: workload(ref=one, replicas=self.replicas, ready=self.replicas, as_of=at) for one in targets}
        if self.lies:
            shown |= {target(name).key: workload(ref=target(name), replicas=1, as_of=at) for name in NAMES}
        return Inventory(workloads=shown)

    def send(self, action, step, at):
        self.sent += 1
        if self.writes_hang:
            self.free.wait(120)
        self.replicas = action.change.after
        return StepResult(action_id=action.id, status=StepStatus.DONE, at=at)

    def look(self, wanted, at):
        return Looked()

    def announce(self, *_):
        """Say nothing."""

    def stop(self, timeout_s):
        self.free.set()


class Alone:
    def leadership(self, at):
        return Leadership(leader=True, epoch=1)

    def book(self, targets, inventory, at):
        return PriceBook()


class Stopwatch:
    def elapsed_s(self):
        return time.monotonic()


@dataclass
class Fleet:
    loop: ControlLoop
    apis: dict[str, Api]
    scripts: dict[str, Script]
    sources: NamedSources
    at: float = NOW

    def turn(self) -> None:
        self.loop.run_once(self.at)
        assert not self.loop.held, self.loop.held
        self.at += 15.0

    def decided(self) -> dict[str, VerdictWord]:
        assert self.loop.last is not None
        return {one.target.cluster: one.verdict.word for one in self.loop.last.decisions if one.verdict is not None}


def speaking(name: str) -> Script:
    script = Script()
    script.say("sum(demand)", vector(({}, 1e15 if name == LYING else 490.0)))
    script.say("sum(latency)", vector(({}, 0.1)))
    script.say("label_replace", age(1.0))
    pods = range(900) if name == LYING else range(3)
    script.say("load", vector(*(({"pod": f"{name}-{number}"}, 5.0) for number in pods)))
    return script


@contextmanager
def silent() -> Iterator[str]:
    """Yield the URL of a server that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    prepare()  # loading the client takes its time, once
    scripts = {name: speaking(name) for name in NAMES}
    apis = {name: Api(name, hangs=name in HANGING, lies=name == LYING) for name in NAMES}
    with ExitStack() as stack:
        options = {
            name: PrometheusOptions(
                url=stack.enter_context(silent() if name in HANGING else serving(script)), timeout_s=60.0, retries=0
            )
            for name, script in scripts.items()
        }
        named = {name: PrometheusSource(one) for name, one in options.items()}
        unused = PrometheusSource(PrometheusOptions(url="http://127.0.0.1:9", retries=0))
        sources = NamedSources(
            default=unused, named=named, limits_s={name: SOURCE_S if name in HANGING else 60.0 for name in NAMES}
        )

        clusters = Clusters(apis, limit_s=API_S)
        scaling = tuple(policy(key=key(name), target=target(name)) for name in NAMES)
        scaling = tuple(
            replace(
                one,
                signals={
                    name: replace(signal, query=replace(signal.query, policy=one.key))
                    for name, signal in one.signals.items()
                },
            )
            for one in scaling
        )
        watches = tuple(a_watch(f"WatchPolicy/{name}/load", expr="load") for name in NAMES)
        watches = tuple(
            replace(one, query=replace(one.query, source=name, max_series=100, identity=("pod",)))
            for name, one in zip(NAMES, watches, strict=True)
        )
        policies = PolicySet(digest="fleet", scaling=scaling, watches=watches)
        store = stack.enter_context(Kept(policies))
        ports = Ports(
            policies=SourcedPolicies(FixedPolicies(policies), {name: name for name in NAMES}),
            source=sources,
            cluster=clusters,
            dry=DryRunCluster(clusters),
            journal=Journal(store.journal),
            lease=Alone(),
            controls=NoControls(),
            prices=Alone(),
            telemetry=NoTelemetry(),
            clock=Stopwatch(),
            lanes=Beside(silent_s=WRITE_S),
        )
        yield Fleet(ControlLoop(ports, Bank(policies), Setup(scope=Scope())), apis, scripts, sources)
        for script in scripts.values():
            script.hang.set()
        clusters.stop(1.0)
        sources.close()


class Kept:
    def __init__(self, policies: PolicySet) -> None:
        self.store = Store.open("sqlite://")
        self.store.journal.note_policies(policies)

    def __enter__(self) -> Store:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


def test_ten_clusters_of_which_two_hang_and_one_lies_each_for_itself_s8(fleet):
    fleet.turn()
    assert {fleet.decided()[name] for name in HANGING} == {VerdictWord.WAIT}
    assert {fleet.apis[name].replicas for name in HANGING} == {8}
    assert {fleet.apis[name].replicas for name in WELL} == {10}, "who lies showed them with 1, and was not believed"
    assert fleet.apis[LYING].replicas <= 40, "a demand without measure meets maxReplicas"
    failed, _ = fleet.loop.watches_held
    assert set(failed) == {f"WatchPolicy/{name}/load" for name in (*HANGING, LYING)}
    assert "900 series, at most 100" in failed[f"WatchPolicy/{LYING}/load"]
    fleet.turn()
    assert {fleet.apis[name].asked for name in WELL} == {2}
    assert {fleet.apis[name].asked for name in HANGING} == {1}, "nothing piles up behind who hangs, and nobody waits"
    assert len(fleet.loop._observer.index.keys) == 3 * len(WELL)
    told = " ".join(fleet.loop.unanswered)
    for name in HANGING:
        assert f"cluster {name}: it has not answered what it was asked before" in told
        assert f"source {name} has not answered what it was asked before" in failed_now(fleet, name)


def failed_now(fleet: Fleet, name: str) -> str:
    return fleet.loop.watches_held[0][f"WatchPolicy/{name}/load"]


def test_series_of_one_that_falls_silent_keep_their_rows_and_a_cluster_that_comes_back_is_acted_on_s1(fleet):
    fleet.turn()
    index = fleet.loop._observer.index
    for query in ("load", "sum(demand)", "sum(latency)", "label_replace"):
        fleet.scripts["c1"].say(query, (503, b"{}", {}))
    for name in HANGING:
        fleet.apis[name].hangs = False
        fleet.apis[name].free.set()
    fleet.turn()
    assert fleet.loop._observer.index.keys == index.keys
    assert not fleet.loop.last.findings, "what was not read is not gone"
    assert {fleet.apis[name].asked for name in HANGING} == {2}, "it answered, and is asked again"


def test_ten_clusters_of_which_two_answer_reads_and_hang_on_writes_delay_no_write_of_the_others_s10(fleet):
    stuck = ("c1", "c5")
    for name in stuck:
        fleet.apis[name].writes_hang = True
    began = time.monotonic()
    fleet.turn()
    took_s = time.monotonic() - began
    rest = [name for name in WELL if name not in stuck]
    assert {fleet.apis[name].replicas for name in rest} == {10}
    assert {fleet.apis[name].replicas for name in stuck} == {8}
    assert took_s < 60.0, "two writes without an answer cost a turn what one of them may take, and not two minutes each"
    assert {fleet.apis[name].sent for name in stuck} == {1}
    fleet.turn()
    assert {fleet.apis[name].sent for name in stuck} == {1}, "what nobody answered is not sent again"
    for name in stuck:
        fleet.apis[name].writes_hang = False
        fleet.apis[name].free.set()
        fleet.loop.ports.lanes._at_work[f"cluster {name}"].join(60)
    fleet.turn()
    assert {fleet.apis[name].replicas for name in stuck} == {10}
    assert not fleet.loop.state.targets[key("c1")].pending, "it was seen to be done"


def test_a_source_is_asked_no_faster_than_the_settings_say_s10():
    now = 0.0
    pace = Pace(10.0, 4, lambda: now)
    waits = [pace.wait_s(1.0) for _ in range(20)]
    assert waits[:4] == [0.0] * 4
    assert waits[4:14] == pytest.approx([0.1 * place for place in range(1, 11)])
    assert waits[14:] == [None] * 6, "what would wait too long takes no place"
    now = 1.1
    assert pace.wait_s(1.0) == pytest.approx(0.0)
