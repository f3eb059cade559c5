"""Clusters: do they answer, is their clock ours, who leads, are the policies' kinds installed and ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiops.app.doctor.findings import Area, Check, Finding, fail, ok, skip, warn
from aiops.app.doctor.metrics import clock_of
from aiops.app.doctor.rights import permissions
from aiops.app.doctor.scene import Scene, listed
from aiops.app.doctor.targets import objects, targets
from aiops.app.granting import named_clusters
from aiops.app.settings import ClusterSettings
from aiops.app.surroundings import competes, reads_resources
from aiops.errors import ConfigurationError, NoPermission

if TYPE_CHECKING:
    from aiops.adapters.kubernetes import KubernetesOptions
    from aiops.adapters.kubernetes.probe import ClusterProbe

DATE_WITHIN_S = 0.5
"""How exactly a Date header tells the time, beside the way of the answer."""

CRDS_FIX = "aiops policy crd | kubectl apply --server-side -f -"


@dataclass(slots=True)
class Door:
    """One cluster of the settings, connected to once: a credential plugin may take its time."""

    name: str
    options: KubernetesOptions
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _probe: ClusterProbe | None = None

    def probe(self) -> ClusterProbe:
        """Return who asks it; raise ConfigurationError."""
        from aiops.adapters.kubernetes.probe import ClusterProbe

        with self._lock:
            if self._probe is None:
                self._probe = ClusterProbe.connect(self.options, time.time)
            return self._probe


def door(name: str, one: ClusterSettings) -> Door:
    """Return how a cluster of the settings is connected to."""
    from aiops.adapters.kubernetes import KubernetesOptions

    return Door(name, KubernetesOptions(**one.reached()))


def checks(scene: Scene) -> list[Check]:
    """Return the checks of every cluster that the daemon would connect to."""
    made = [Check(area=Area.KUBERNETES, name="clusters", look=lambda: _named(scene))]
    for name, one in sorted(scene.clusters.items()):
        made += _of_cluster(scene, door(name, one))
    return made


def _of_cluster(scene: Scene, at: Door) -> list[Check]:
    label = f"cluster {at.name}"

    def check(name: str, look: Callable[[], Iterable[Finding]]) -> Check:
        return Check(area=Area.KUBERNETES, name=f"{label}: {name}", look=look, needs=label)

    settings = scene.settings
    made = [
        Check(area=Area.KUBERNETES, name=label, look=lambda: _reach(label, at), reaches=True),
        check("permissions", lambda: permissions(label, scene, (at.name, at.probe()))),
        check("targets", lambda: targets(label, scene, at.name, at.options)),
        check("objects", lambda: objects(label, scene, at.name, at.options)),
    ]
    first = min(scene.clusters)
    if reads_resources(settings) and (settings.custom_resources.cluster or first) == at.name:
        made.append(check("resources", lambda: _crds(label, at)))
    if competes(settings) and (settings.lease.cluster or first) == at.name:
        made.append(check("lease", lambda: _lease(label, scene, at)))
    return made


def _named(scene: Scene) -> Iterator[Finding]:
    """Find clusters that policies or settings name, and that are not there."""
    known, settings = set(scene.clusters), scene.settings
    for name in [one for one in named_clusters(scene.policies) if one not in known]:
        what = f"policies name the cluster {name}; the settings know {listed(sorted(known))}"
        yield fail(f"cluster {name}", what, f"add clusters.{name}.kubeconfig to the settings")
    chosen = {"lease.cluster": settings.lease.cluster, "custom_resources.cluster": settings.custom_resources.cluster}
    for setting, cluster in chosen.items():
        if cluster is not None and cluster not in known:
            what = f"{setting}: the settings know no cluster {cluster}; they know {listed(sorted(known))}"
            yield fail(f"cluster {cluster}", what, f"name one of them in {setting}")


def _reach(label: str, at: Door) -> Iterator[Finding]:
    try:
        probe = at.probe()
    except ConfigurationError as err:
        fix = f"set clusters.{at.name}.kubeconfig, or in_cluster: true in a pod; the daemon does not start without"
        yield fail(label, str(err), fix)
        return
    greeting, me = probe.greet(), probe.whoami()
    told = f" as {me}" if me else ""
    yield ok(label, f"{probe.host} answers{told}, version {greeting.version or 'unknown'}")
    if greeting.ahead_s is not None:
        yield clock_of(f"{label}: clock", greeting.ahead_s, DATE_WITHIN_S)


# -- the kinds of policies ---------------------------------------------------------------------------------


def _crds(label: str, at: Door) -> Iterator[Finding]:
    from aiops.policy.crd import RESOURCES
    from aiops.policy.resource import GROUP, VERSION

    name, probe = f"{label}: resources", at.probe()
    found = probe.find(f"/apis/{GROUP}/{VERSION}")
    served = set() if found is None else {str(one.get("name")) for one in found.get("resources") or ()}
    missing = [one.name for one in RESOURCES if one.plural not in served]
    if missing:
        yield fail(name, f"the API server does not serve {listed(missing, 10)} in version {VERSION}", CRDS_FIX)
        return
    try:
        document = probe.find(f"/openapi/v3/apis/{GROUP}/{VERSION}")
    except NoPermission as err:
        yield skip(name, f"installed; whether they are of this version cannot be seen: {err}")
        return
    others = [] if document is None else different(document)
    if others:
        what = f"{listed(others, 5)}: the schema in the cluster is another version's"
        yield fail(name, what, f"{CRDS_FIX} (it would refuse, or drop, fields that this program knows)")
    elif document is None:
        yield skip(name, "installed; the API server publishes no schema to compare with")
    else:
        yield ok(name, f"all {len(RESOURCES)} kinds are installed, as this version has them")


def different(document: Mapping[str, Any]) -> list[str]:
    """Return the kinds whose published spec has other fields than ours. document: OpenAPI v3 of our group."""
    from aiops.policy.crd import RESOURCES, crd

    published: dict[str, Mapping[str, Any]] = {}
    for schema in ((document.get("components") or {}).get("schemas") or {}).values():
        for one in schema.get("x-kubernetes-group-version-kind") or ():
            published[str(one.get("kind"))] = schema
    found = []
    for one in RESOURCES:
        ours = crd(one)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        theirs = published.get(one.kind, {})
        if fields(_spec(ours)) != fields(_spec(theirs)):
            found.append(one.kind)
    return found


def _spec(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = (schema.get("properties") or {}).get("spec")
    return spec if isinstance(spec, dict) else {}


def fields(schema: Mapping[str, Any], path: str = "") -> frozenset[str]:
    """Return the paths of all fields of a schema."""
    found: set[str] = set()
    for name, one in (schema.get("properties") or {}).items():
        found |= {f"{path}.{name}", *fields(one, f"{path}.{name}")}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            found |= fields(schema[inner], f"{path}[]")
    return frozenset(found)


# -- the Lease ---------------------------------------------------------------------------------------------


def _lease(label: str, scene: Scene, at: Door) -> Iterator[Finding]:
    name, lease = f"{label}: lease", scene.settings.lease
    path = f"/apis/coordination.k8s.io/v1/namespaces/{lease.namespace}/leases/{lease.name}"
    found = at.probe().find(path)
    if found is None:
        yield ok(name, f"nobody leads yet: there is no Lease {lease.namespace}/{lease.name}, which the daemon makes")
        return
    spec = found.get("spec") or {}
    holder = str(spec.get("holderIdentity") or "")
    if not holder:
        yield ok(name, f"{lease.namespace}/{lease.name} is free")
        return
    age_s = _age_s(spec.get("renewTime"), scene.now())
    told = "" if age_s is None else f", renewed {max(0.0, age_s):.0f} s ago"
    if age_s is not None and age_s > 2 * lease.duration:
        what = f"{holder} held {lease.namespace}/{lease.name}{told}: nobody leads"
        yield warn(name, what, "start the daemon: a successor takes it by itself")
    else:
        yield ok(name, f"{holder} leads by {lease.namespace}/{lease.name}{told}")


def _age_s(renewed: object, now: float) -> float | None:
    try:
        return now - datetime.fromisoformat(str(renewed)).timestamp()
    except ValueError:
        return None
