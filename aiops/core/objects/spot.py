"""Spot capacity on objects: which nodes may be taken away, notices of it, and the records of a share (S4, S9).

A companion says what was set and what it had before us; its base says how many replicas it gave up on that account.
Each record is written by the very request that changes the replicas, so that what is still to be done, or to be given
back, can be told from the objects alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.model import SeenObject
from aiops.core.objects.bodies import at, listed, number, strings

SPOT = {
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
"""How providers mark a node that may be taken away: by label and value."""

TYPES = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")

TAKEN = (
    "aws-node-termination-handler/spot-itn",
    "cloud.google.com/impending-node-termination",
)
"""Taints by which a provider's handler says that a node will be taken away within minutes."""

GIVEN = (
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "aws-node-termination-handler/asg-lifecycle-termination",
    "aws-node-termination-handler/scheduled-maintenance",
)
"""Taints of nodes whose end is somebody's wish. `karpenter.sh/disrupted` is not here: it says so of both."""

PLAN = "policy.aiops/plan"
SHARE = "policy.aiops/spot"
ON_SPOT = "policy.aiops/on-spot"
FLOOR = "policy.aiops/spot-floor"
"""On an HPA: its floor before it was raised for a fallback, what it was raised to, and when."""

FLOOR_S = 600.0
"""How long a floor that was raised stays: an HPA has seen the load for longer then than it waits (300 s by default)."""

MOST = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRecord:
    """What a companion carries. set: the replicas that were written last. home: those before anything of ours."""

    set: int
    home: int

    @property
    def text(self) -> str:
        """Return it as it stands on the object."""
        return json.dumps({"set": self.set, "home": self.home}, separators=(",", ":"))


def is_spot(labels: Mapping[str, str]) -> bool:
    """Return whether a node with these labels may be taken away."""
    return any(labels.get(label) == value for label, value in SPOT.items())


def pool_of(labels: Mapping[str, str]) -> str:
    """Return where nodes are taken away together: a type of machine in a zone.

    >>> pool_of({"node.kubernetes.io/instance-type": "m6i.large", "topology.kubernetes.io/zone": "eu-1a"})
    'm6i.large eu-1a'
    """
    found = (next((labels[name] for name in names if labels.get(name)), "") for names in (TYPES, ZONES))
    return " ".join(one for one in found if one) or "unnamed"


def notice(node: SeenObject) -> tuple[bool, str]:
    """Return whether a notice says that a node will be taken away, and why its end would be no reclaim ('')."""
    taints = {str(one.get("key")) for one in listed(at(node.body, "spec", "taints"))}
    taken = any(one in taints for one in TAKEN)
    given = next((one for one in GIVEN if one in taints), "")
    if (
        not given
        and at(node.body, "spec", "unschedulable") is True
        and PLAN in strings(at(node.body, "metadata", "annotations"))
    ):
        given = "a plan of ours"  # who else cordons a node may do so because it will be taken away
    return taken, given


def wants_spot(workload: SeenObject) -> bool | None:
    """Return whether a template's pods go to spot nodes alone (True), never (False), or wherever there is room (None).

    By its node selector, or every term of its required node affinity.
    """
    spec = at(workload.body, "spec", "template", "spec")
    named = strings(at(spec, "nodeSelector"))
    for label, value in SPOT.items():
        if label in named:
            return named[label] == value
    required = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = [_term(one) for one in listed(at(required, "nodeSelectorTerms"))]
    if terms and all(one is not None for one in terms) and len(set(terms)) == 1:
        return terms[0]
    return None


def _term(term: Mapping[str, object]) -> bool | None:
    for one in listed(term.get("matchExpressions")):
        value, values = SPOT.get(str(one.get("key"))), one.get("values")
        if value is None:
            continue
        only = isinstance(values, list) and set(map(str, values)) == {value}
        without = isinstance(values, list) and value not in map(str, values)
        match one.get("operator"):
            case "In" if only:
                return True
            case "In" if without:
                return False
            case "NotIn" if isinstance(values, list) and value in map(str, values):
                return False
            case "DoesNotExist":
                return False
            case _:
                continue
    return None


def share_of(companion: SeenObject) -> ShareRecord | str | None:
    """Return the record that a companion carries, a sentence why it cannot be read, None where there is none.

    >>> share_of(SeenObject(ref=None, uid="", resource_version="", as_of=0.0, body={}))
    """
    text = strings(at(companion.body, "metadata", "annotations")).get(SHARE)
    if text is None:
        return None
    try:
        found = json.loads(text) if len(text) <= 200 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return f"{SHARE} of {companion.ref.kind} {companion.ref} is not what was written there"
    set_, home = number(found.get("set")), number(found.get("home"))
    if set_ is None or home is None or not 0 <= home <= MOST or not 0 <= set_ <= MOST:
        return f"{SHARE} of {companion.ref.kind} {companion.ref}: set and home are whole numbers from 0"
    return ShareRecord(set=set_, home=home)


def given_up(base: SeenObject) -> int | None:
    """Return how many replicas a base gave up for its companion, None where nothing readable says so."""
    text = strings(at(base.body, "metadata", "annotations")).get(ON_SPOT, "")
    whole = text.isascii() and text.isdecimal() and len(text) <= 9
    return int(text) if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedFloor:
    """The floor of an HPA that was raised for a fallback. before: what comes back. to: what was written, at `since`."""

    before: int
    to: int
    since: int

    @property
    def text(self) -> str:
        """Return it as it stands on the object."""
        return f"{self.before}/{self.to}/{self.since}"


def raised(hpa: SeenObject) -> RaisedFloor | None:
    """Return the floor that was raised, None where none was, or where it cannot be read."""
    parts = strings(at(hpa.body, "metadata", "annotations")).get(FLOOR, "").split("/")
    if len(parts) != 3 or not all(one.isascii() and one.isdecimal() and len(one) <= 12 for one in parts):
        return None
    before, to, since = map(int, parts)
    return RaisedFloor(before=before, to=to, since=since)
