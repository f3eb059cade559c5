"""A Ray cluster of two nodes on loopback, each its own processes; and a Prometheus that remembers two seeded hours."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiops.app.settings import Settings, load_settings
from aiops.app.wiring import Built, build
from tests.e2e.processes import Process
from tests.integration.kubernetes_server import KubernetesServer, deployment, pod
from tests.integration.prometheus_server import free_port
from tests.unit.test_engine_sharded import noise

STEP_S = 30.0
NODES = [{"node": f"n-{number}", "mount": mount} for number in range(8) for mount in "xy"]
QUEUES = [{"queue": f"q{number}"} for number in range(3)]
RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
HEALTH = json.dumps(
    {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000, "health_check_failure_threshold": 3}
)

POLICIES = """
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: disk, namespace: shop}
spec: {query: 'max by (node, mount) (disk)', identity: [node, mount], falseAlarmsPerWeek: 0.2}
---
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: load, namespace: shop}
spec: {query: 'load{job!="x"} * 2', identity: [node], falseAlarmsPerWeek: 0.2}
---
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: queues, namespace: shop}
spec: {query: queues, budget: 2}
---
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  signals: {demand: {query: 'sum(shop_demand)', unit: req/s}}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 1, maxReplicas: 20}
---
apiVersion: policy.aiops/v1alpha1
kind: RemediationPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: dry-run
  target: {kind: Deployment, name: checkout}
  when: [{finding: {watch: disk}}]
  forAtLeast: 60s
  ladder: [{do: restart, within: 5m}]
"""

_FAULTS = (
    # (labels, from minute, to minute, how much)
    ({"node": "n-3"}, 66.0, 69.0, 60.0),
    ({"node": "n-5"}, 66.0, 69.0, 60.0),
    ({"queue": "q1"}, 68.0, 69.0, 80.0),
    ({"node": "n-2"}, 72.0, 100.0, 70.0),
    ({"node": "n-6", "mount": "x"}, 72.0, 100.0, 70.0),
    ({"node": "n-1"}, 75.0, 100.0, 50.0),
    ({"node": "n-4"}, 75.0, 100.0, 50.0),
)


def value(metric: str, labels: dict[str, str], seconds: float) -> float:
    minute = seconds / 60.0
    worse = sum(much for who, since, to, much in _FAULTS if who.items() <= labels.items() and since <= minute < to)
    return 100.0 + 2.0 * noise(f"{metric}{sorted(labels.items())}", seconds) + worse


def past(start: float, minutes: float) -> Iterator[str]:
    """Yield OpenMetrics text of what happened from `start` on."""
    times = [start + STEP_S * step for step in range(int(minutes * 60.0 / STEP_S))]
    for metric, rows in (("disk", NODES), ("load", NODES[::2]), ("queues", QUEUES)):
        yield f"# TYPE {metric} gauge\n"
        for row in rows:
            own = {"node": row["node"]} if metric == "load" else row
            labels = ",".join(f'{name}="{text}"' for name, text in own.items())
            yield from (f"{metric}{{{labels}}} {value(metric, own, at - start)!r} {at:.3f}\n" for at in times)
    yield "# TYPE shop_demand gauge\n"
    yield from (f"shop_demand {60.0 + 40.0 * ((at - start) // 600 % 3)} {at:.3f}\n" for at in times)
    yield "# EOF\n"


class Cluster:
    """A head and a second node, each of one CPU."""

    def __init__(self, folder: Path) -> None:
        self.port, environment = free_port(), {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        self.address = f"127.0.0.1:{self.port}"
        own = ["--num-cpus=1", "--object-store-memory=100000000", f"--temp-dir={folder}", "--node-ip-address=127.0.0.1"]
        head = [*RAY, "--head", f"--port={self.port}", "--include-dashboard=false", f"--system-config={HEALTH}"]
        self.head = Process([*head, *own], log=folder / "head.log", environment=environment)
        self.nodes = [self.head]
        self._until("head", folder / "head.log")
        rest = [one for one in own if not one.startswith("--temp-dir")]
        self.second = Process(
            [*RAY, f"--address={self.address}", *rest], log=folder / "second.log", environment=environment
        )
        self.nodes.append(self.second)
        self._until("second node", folder / "second.log")

    def _until(self, what: str, log: Path) -> None:
        deadline = time.monotonic() + 120.0
        while "Ray runtime started" not in log.read_text():
            if time.monotonic() > deadline or self.nodes[-1].poll() is not None:
                self.stop()
                raise AssertionError(f"the {what} does not start: {log.read_text()}")
            time.sleep(0.2)

    def grown(self, folder: Path, cpus: int) -> Process:
        """Return a new node, once it has joined; it logs into `folder`."""
        command = [*RAY, f"--address={self.address}", f"--num-cpus={cpus}", "--object-store-memory=100000000"]
        environment = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
        log = folder / f"node-{len(self.nodes)}.log"
        self.nodes.append(Process([*command, "--node-ip-address=127.0.0.1"], log=log, environment=environment))
        self._until("new node", log)
        return self.nodes[-1]

    def kill(self, node: Process) -> list[int]:
        """Kill every process of a node at once, as a loss of power does, and return their ids."""
        family = descendants(node.pid)
        for pid in (node.pid, *family):
            slain(pid)
        return family

    def stop(self) -> None:
        for node in reversed(self.nodes):
            self.kill(node)
            node.popen.wait(10)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has begun, and those that these have."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(stat[1]), []).append(int(entry))
    found, open_ones = [], [pid]
    while open_ones:
        more = children.get(open_ones.pop(), [])
        found += more
        open_ones += more
    return found


def slain(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class World:
    """A Deployment that nobody changes, policies, and the settings of a daemon that looks at both."""

    def __init__(self, folder: Path, prometheus: str) -> None:
        self.folder, self.prometheus, self.cluster = folder, prometheus, KubernetesServer()
        named = {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}}
        self.cluster.put("/api/v1/namespaces", named)
        self.cluster.put("/apis/apps/v1/namespaces/shop/deployments", deployment(replicas=4))
        for number in range(4):
            self.cluster.put("/api/v1/namespaces/shop/pods", pod(number))
        (folder / "policies.yaml").write_text(POLICIES)
        (folder / "kubeconfig").write_text(
            json.dumps(
                {
                    "clusters": [{"name": "c", "cluster": {"server": self.cluster.url}}],
                    "users": [{"name": "u", "user": {"token": "t"}}],
                    "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "x",
                }
            )
        )

    def settings(self, name: str, engine: dict[str, Any]) -> Settings:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        given = {
            "mode": "dry-run",
            "policies": [str(self.folder / "policies.yaml")],
            "promotion": "file",
            "step": f"{STEP_S:g}s",
            "prometheus": {"url": self.prometheus, "jitter": "0s", "timeout": "5s"},
            "clusters": {"default": {"kubeconfig": str(self.folder / "kubeconfig")}},
            "store": {"url": f"sqlite:///{folder / 'aiops.db'}"},
            "lease": {"enabled": False},
            "models": {"checkpoint": str(folder / "models.npz")},
            "engine": {"checkpoints": str(folder / "shards"), **engine},
        }
        path = folder / "aiops.yaml"
        path.write_text(json.dumps(given))
        return load_settings(path)

    @contextmanager
    def daemon(self, name: str, **engine: Any) -> Iterator[Built]:
        built = build(self.settings(name, engine))
        built.world.start()
        deadline = time.monotonic() + 20.0
        while built.world.unready() and time.monotonic() < deadline:
            time.sleep(0.1)
        try:
            yield built
        finally:
            built.loop.ports.engine.stop(5.0)
            built.world.stop(5.0)
            built.store.close()

    def journal(self, name: str) -> dict[str, list[tuple[Any, ...]]]:
        """Return what was recorded: decisions, findings and incidents, without ids and texts that hang on floats."""
        said = {
            "decisions": 'at, until, ticks, policy, verdict, reason, "before", "after"',
            "findings": "since, series, until, policy, kind, round(peak, 6)",
            "incidents": "since, id, until, kind, series, state",
        }
        with sqlite3.connect(self.folder / name / "aiops.db") as store:
            return {
                table: list(store.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2"))
                for table, columns in said.items()
            }
