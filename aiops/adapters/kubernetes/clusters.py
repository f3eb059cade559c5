"""Several clusters by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiops.adapters.kubernetes.beside import Beside
from aiops.adapters.kubernetes.cluster import KubernetesCluster
from aiops.adapters.kubernetes.connection import KubernetesOptions, api_client
from aiops.adapters.kubernetes.http import Http
from aiops.adapters.kubernetes.lease import KubernetesLease, LeaseOptions
from aiops.adapters.kubernetes.policies import KubernetesPolicies
from aiops.adapters.kubernetes.rate import Bucket
from aiops.core.model import (
    Action,
    Errand,
    Instant,
    Looked,
    Machine,
    PodShare,
    Reason,
    Stamp,
    Startup,
    Step,
    StepResult,
    TargetRef,
    Wanted,
    Workload,
)
from aiops.errors import ClusterUnavailable, PortError
from aiops.ports import Inventory, Nodes

INVENTORY_S = 5.0
"""What one of several clusters may take to show its workloads: they lie in caches, but for the first time."""


class Clusters:
    """Several clusters by the name that targets use; one that does not answer leaves the others alone."""

    def __init__(
        self,
        clusters: Mapping[str, KubernetesCluster],
        options: Mapping[str, KubernetesOptions] | None = None,
        limit_s: float = INVENTORY_S,
        buckets: Mapping[str, Bucket] | None = None,
    ) -> None:
        self._clusters = dict(clusters)
        self._options = dict(options or {})
        self._buckets = dict(buckets or {})
        self._beside: Beside[Inventory] = Beside(max(1, len(clusters)), limit_s)

    @classmethod
    def connect(cls, options: Mapping[str, KubernetesOptions]) -> Clusters:
        """Return the clusters of the settings; raise ConfigurationError when one has no configuration."""
        buckets = {name: Bucket(per_s=one.qps, burst=one.burst) for name, one in options.items()}
        made = {
            name: KubernetesCluster(name, Http(api_client(one), buckets[name]), namespaced=one.namespaced)
            for name, one in options.items()
        }
        return cls(made, options, buckets=buckets)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the clusters."""
        return tuple(sorted(self._clusters))

    @property
    def limits(self) -> Mapping[str, Bucket]:
        """Return the rate limits of the clusters that have one."""
        return {name: one for name, one in self._buckets.items() if one.per_s}

    def lease(self, name: str, options: LeaseOptions) -> KubernetesLease:
        """Return a Lease in one of the clusters, with connections of its own; no rate limit delays its renewal."""
        return KubernetesLease(Http(api_client(self._options[name])), options)

    def policies(self, name: str, namespaces: Sequence[str]) -> KubernetesPolicies:
        """Return the policies in the API of one of the clusters, with connections of their own."""
        return KubernetesPolicies(Http(api_client(self._options[name]), self._buckets.get(name)), namespaces)

    def start(self) -> None:
        """Begin to watch."""
        for cluster in self._clusters.values():
            cluster.start()

    def stop(self, timeout_s: float) -> None:
        """Stop every watch."""
        self._beside.stop()
        for cluster in self._clusters.values():
            cluster.stop(timeout_s / max(1, len(self._clusters)))

    def unready(self) -> list[str]:
        """Return what has not been read yet."""
        return [why for cluster in self._clusters.values() for why in cluster.unready()]

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return what the clusters show; an error names its cluster."""
        workloads: dict[str, Workload] = {}
        refused: dict[str, tuple[Reason, str]] = {}
        errors: dict[str, str] = {}
        nodes: dict[str, Nodes] = {}
        pods: dict[str, tuple[PodShare, ...]] = {}
        machines: dict[str, Machine] = {}
        startups: dict[str, tuple[Startup, ...]] = {}
        # of clusters without targets, the nodes are looked at as well: they cost money
        names = tuple(dict.fromkeys([*(ref.cluster for ref in targets), *self._clusters]))
        for name, shown in self._shown(names, targets, at).items():
            if not isinstance(shown, Inventory):
                errors[name] = str(shown)
                continue
            # nobody speaks for others
            workloads.update({key: one for key, one in shown.workloads.items() if one.ref.cluster == name})
            refused.update(shown.refused)
            nodes.update(shown.nodes)
            pods.update(shown.pods)
            machines.update(shown.machines)
            startups.update(shown.startups)
        return Inventory(
            workloads=workloads,
            errors=errors,
            refused=refused,
            nodes=nodes,
            pods=pods,
            machines=machines,
            startups=startups,
        )

    def _shown(
        self, names: Sequence[str], targets: Sequence[TargetRef], at: Instant
    ) -> dict[str, Inventory | PortError]:
        """Return what each cluster shows of its own; where there is only one, nobody waits but for it."""
        unknown = f"the settings know no such cluster; they know {', '.join(self.names)}"
        found: dict[str, Inventory | PortError] = {
            name: ClusterUnavailable(unknown) for name in names if name not in self._clusters
        }
        questions = {
            name: partial(self._clusters[name].inventory, [ref for ref in targets if ref.cluster == name], at)
            for name in names
            if name in self._clusters
        }
        if len(questions) > 1:
            return found | self._beside.ask(questions)
        for name, question in questions.items():
            try:
                found[name] = question()
            except PortError as err:
                found[name] = err
        return found

    def listed(self, kind: TargetRef, at: Instant) -> Mapping[str, Mapping[str, str]]:
        """Return the objects of a kind in its cluster; see `KubernetesCluster.listed`."""
        cluster = self._clusters.get(kind.cluster)
        if cluster is None:
            raise ClusterUnavailable(f"the settings know no cluster {kind.cluster}; they know {', '.join(self.names)}")
        return cluster.listed(kind, at)

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Send one step to its cluster."""
        cluster = self._clusters.get(step.target.cluster)
        if cluster is None:
            raise ClusterUnavailable(f"the settings know no cluster {step.target.cluster}")
        return cluster.send(action, step, at)

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return the objects of plans; all clusters are asked at once, and one without an answer harms no other."""
        names = dict.fromkeys([*(ref.cluster for ref in wanted.objects), *(one.cluster for one in wanted.selections)])
        parts = {name: _part(wanted, name) for name in names}
        with ThreadPoolExecutor(max(1, len(parts)), thread_name_prefix="look") as pool:
            futures = [pool.submit(self._look, name, part, at) for name, part in parts.items()]
            return _joined([future.result() for future in futures])

    def _look(self, name: str, wanted: Wanted, at: Instant) -> Looked:
        cluster = self._clusters.get(name)
        if cluster is not None:
            return cluster.look(wanted, at)
        why = f"the settings know no cluster {name}; they know {', '.join(self.names)}"
        keys = (*(ref.key for ref in wanted.objects), *(one.key for one in wanted.selections))
        return Looked(errors=dict.fromkeys(keys, (Reason.CLUSTER_UNAVAILABLE, why)))

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Send one step of a plan to its cluster."""
        cluster = self._clusters.get(step.target.cluster)
        if cluster is None:
            raise ClusterUnavailable(f"the settings know no cluster {step.target.cluster}")
        return cluster.perform(errand, step, at)

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Write an epoch on one object of its cluster."""
        cluster = self._clusters.get(stamp.step.target.cluster)
        if cluster is None:
            raise ClusterUnavailable(f"the settings know no cluster {stamp.step.target.cluster}")
        return cluster.stamp(stamp, at, until)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Emit an Event in the target's cluster."""
        cluster = self._clusters.get(target.cluster)
        if cluster is not None:
            cluster.announce(target, reason, message, action_id, at)


def _part(wanted: Wanted, cluster: str) -> Wanted:
    return Wanted(
        objects=tuple(ref for ref in wanted.objects if ref.cluster == cluster),
        selections=tuple(one for one in wanted.selections if one.cluster == cluster),
    )


def _joined(parts: Sequence[Looked]) -> Looked:
    return Looked(
        objects={key: one for part in parts for key, one in part.objects.items()},
        selections={key: one for part in parts for key, one in part.selections.items()},
        errors={key: one for part in parts for key, one in part.errors.items()},
    )
