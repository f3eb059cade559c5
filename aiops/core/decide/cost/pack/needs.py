"""Where a pod may run: what kube-scheduler's filters ask of a node and of the pods around, as values.

Required rules alone: what is only preferred never keeps a pod from running. What cannot be understood is refused, so
that nothing is ever moved by a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.core.decide.cost.pack.amounts import Unreadable

HOSTNAME = "kubernetes.io/hostname"
_KEEPS_OFF = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's taint that keeps pods off."""

    key: str
    value: str
    effect: str


UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
"""What cordoning a node comes to."""


@dataclass(frozen=True, slots=True)
class Toleration:
    """What a pod puts up with; '' is any key with `Exists`, and any effect."""

    key: str
    exists: bool
    value: str
    effect: str

    def bears(self, taint: Taint) -> bool:
        """Return whether it tolerates a taint, as `v1.Toleration.ToleratesTaint` does."""
        if self.effect not in ("", taint.effect) or self.key not in ("", taint.key):
            return False
        return self.exists or self.value == taint.value


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement of labels: In, NotIn, Exists, DoesNotExist, and for nodes Gt and Lt."""

    key: str
    operator: str
    values: tuple[str, ...]

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet it."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        try:
            have, bound = int(value or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return have > bound if self.operator == "Gt" else have < bound


@dataclass(frozen=True, slots=True)
class Term:
    """One term of required pod (anti-)affinity. namespaces: None for every one; rules: None selects no pod."""

    key: str
    rules: tuple[Rule, ...] | None
    namespaces: frozenset[str] | None

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether it speaks of a pod."""
        if self.namespaces is not None and namespace not in self.namespaces:
            return False
        return self.rules is not None and all(rule.holds(labels) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Spread:
    """A topology spread constraint that must hold. by_affinity, by_taints: nodes that are out by these do not count."""

    key: str
    skew: int
    rules: tuple[Rule, ...] | None
    least_domains: int
    by_affinity: bool
    by_taints: bool

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Return whether a pod of the same namespace is counted."""
        return self.rules is not None and all(rule.holds(labels) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a pod asks of its place. nodes: alternatives, each of rules that all hold; () for any node.

    ports: (address, protocol, port) on the node itself.
    """

    labels: tuple[tuple[str, str], ...] = ()
    nodes: tuple[tuple[Rule, ...], ...] = ()
    volumes: tuple[tuple[tuple[Rule, ...], ...], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    ports: frozenset[tuple[str, str, int]] = frozenset()
    near: tuple[Term, ...] = ()
    apart: tuple[Term, ...] = ()
    spread: tuple[Spread, ...] = ()

    def chooses(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node is one of those that the pod, and its volumes, ask for."""
        if any(labels.get(key) != value for key, value in self.labels):
            return False
        # a term without any rule chooses no node
        return all(any(term and all(rule.holds(labels) for rule in term) for term in terms) for terms in self._every)

    def repelled(self, taints: Iterable[Taint]) -> Taint | None:
        """Return the first taint that it does not bear."""
        return next((one for one in taints if not any(each.bears(one) for each in self.tolerations)), None)

    @property
    def _every(self) -> tuple[tuple[tuple[Rule, ...], ...], ...]:
        return (*((self.nodes,) if self.nodes else ()), *self.volumes)


# -- reading -------------------------------------------------------------------------------------------


def needs(namespace: str, labels: Mapping[str, str], spec: Mapping[str, Any]) -> Needs:
    """Return the needs that a pod's spec says, without those of its volumes; raise Unreadable."""
    affinity = _map(spec.get("affinity"))
    pods, apart = _map(affinity.get("podAffinity")), _map(affinity.get("podAntiAffinity"))
    required = _map(_map(affinity.get("nodeAffinity")).get("requiredDuringSchedulingIgnoredDuringExecution"))
    return Needs(
        labels=tuple(sorted((str(key), str(value)) for key, value in _map(spec.get("nodeSelector")).items())),
        nodes=node_terms(required),
        tolerations=tuple(_toleration(one) for one in _maps(spec.get("tolerations"))),
        ports=frozenset(_ports(spec)),
        near=tuple(_terms(pods, namespace, labels, wide=False)),
        apart=tuple(_terms(apart, namespace, labels, wide=True)),
        spread=tuple(_spreads(spec, labels)),
    )


def taints(spec: Mapping[str, Any]) -> tuple[Taint, ...]:
    """Return the taints of a node that keep pods off, that of a cordoned one among them."""
    found = [Taint(_text(one.get("key")), _text(one.get("value")), _text(one.get("effect"))) for one in _taints(spec)]
    cordoned = (UNSCHEDULABLE,) if spec.get("unschedulable") is True and UNSCHEDULABLE not in found else ()
    return (*(one for one in found if one.effect in _KEEPS_OFF), *cordoned)


def node_terms(selector: Mapping[str, Any]) -> tuple[tuple[Rule, ...], ...]:
    """Return the alternatives of a node selector; the name of a node is taken to be its label of that name."""
    return tuple(
        (*rules(_maps(term.get("matchExpressions")), nodes=True), *map(_by_name, _maps(term.get("matchFields"))))
        for term in _maps(selector.get("nodeSelectorTerms"))
    )


def rules(expressions: Iterable[Mapping[str, Any]], *, nodes: bool = False) -> tuple[Rule, ...]:
    """Return requirements; raise Unreadable for an operator that Kubernetes does not know here."""
    known = ("In", "NotIn", "Exists", "DoesNotExist", *(("Gt", "Lt") if nodes else ()))
    found = []
    for one in expressions:
        operator = _text(one.get("operator"))
        if operator not in known:
            raise Unreadable(f"nobody knows the operator {operator!r}")
        values = one.get("values")
        texts = tuple(str(value) for value in values) if isinstance(values, list | tuple) else ()
        found.append(Rule(_text(one.get("key")), operator, texts))
    return tuple(found)


NAME = "metadata.name"
"""The label under which a node's name is looked up, for node selectors by field."""


def _by_name(one: Mapping[str, Any]) -> Rule:
    if one.get("key") != NAME:
        raise Unreadable(f"nobody knows the field {one.get('key')!r} of a node")
    return rules([one])[0]


def selector(value: Any) -> tuple[Rule, ...] | None:
    """Return the rules of a label selector: none at all where it is empty, None where there is none."""
    if not isinstance(value, Mapping):
        return None
    exact = (Rule(str(key), "In", (str(one),)) for key, one in sorted(_map(value.get("matchLabels")).items()))
    return (*exact, *rules(_maps(value.get("matchExpressions"))))


def _terms(affinity: Mapping[str, Any], namespace: str, own: Mapping[str, str], *, wide: bool) -> Iterable[Term]:
    """Yield required terms. wide: a selector of namespaces, whose labels are not known, counts as every one."""
    for one in _maps(affinity.get("requiredDuringSchedulingIgnoredDuringExecution")):
        named = one.get("namespaces")
        several = frozenset(map(str, named)) if isinstance(named, list | tuple) else frozenset()
        chosen = one.get("namespaceSelector")
        every = isinstance(chosen, Mapping) and (wide or not any(chosen.values()))
        where = None if every else several or frozenset({namespace})
        pods = selector(one.get("labelSelector"))
        pods = None if pods is None else (*pods, *_own(one, own))
        yield Term(_text(one.get("topologyKey")), pods, where)


def _own(term: Mapping[str, Any], labels: Mapping[str, str]) -> Iterable[Rule]:
    """Yield the rules of labels that must, or must not, be as the pod's own."""
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        keys = term.get(field)
        for key in map(str, keys) if isinstance(keys, list | tuple) else ():
            if key in labels:
                yield Rule(key, operator, (labels[key],))


def _spreads(spec: Mapping[str, Any], labels: Mapping[str, str]) -> Iterable[Spread]:
    for one in _maps(spec.get("topologySpreadConstraints")):
        if one.get("whenUnsatisfiable", "DoNotSchedule") != "DoNotSchedule":
            continue
        pods = selector(one.get("labelSelector"))
        yield Spread(
            key=_text(one.get("topologyKey")),
            skew=_whole(one.get("maxSkew"), 1),
            rules=None if pods is None else (*pods, *_own(one, labels)),
            least_domains=_whole(one.get("minDomains"), 1),
            by_affinity=one.get("nodeAffinityPolicy", "Honor") == "Honor",
            by_taints=one.get("nodeTaintsPolicy", "Ignore") == "Honor",
        )


def _toleration(one: Mapping[str, Any]) -> Toleration:
    operator = _text(one.get("operator")) or "Equal"
    return Toleration(_text(one.get("key")), operator == "Exists", _text(one.get("value")), _text(one.get("effect")))


def _ports(spec: Mapping[str, Any]) -> Iterable[tuple[str, str, int]]:
    for container in (*_maps(spec.get("containers")), *_maps(spec.get("initContainers"))):
        for port in _maps(container.get("ports")):
            number = port.get("hostPort")
            if isinstance(number, int) and number > 0:
                yield _text(port.get("hostIP")) or "0.0.0.0", _text(port.get("protocol")) or "TCP", number  # noqa: S104


def _taints(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _maps(spec.get("taints"))


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _maps(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
