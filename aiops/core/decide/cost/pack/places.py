"""Scheduling simulated: whether pods find room, by the filters of kube-scheduler, and where.

A board is one simulation: what is placed on it changes what fits next. Where several nodes would do, the one with the
most room is taken, as kube-scheduler's default scoring (LeastAllocated) does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from aiops.core.decide.cost.pack.amounts import Amounts, short, total
from aiops.core.decide.cost.pack.fleet import Fleet, Node, Pod
from aiops.core.decide.cost.pack.needs import Needs, Spread, Term

_ANY = "0.0.0.0"  # noqa: S104 - an address in a pod's spec, nothing is bound


@dataclass(frozen=True, slots=True)
class NoRoom:
    """No node takes a pod. why: what most of the nodes say."""

    pod: Pod
    why: str


@dataclass(slots=True)
class Board:
    """Where pods are, in one simulation. Its lists are its own; nodes and pods are shared and never changed."""

    nodes: dict[str, Node]
    on: dict[str, list[Pod]]
    free: dict[str, dict[str, int]]
    _static: dict[tuple[Needs, str], str] = field(default_factory=dict)

    @staticmethod
    def of(fleet: Fleet) -> Board:
        """Return the board with everything where it is now. Pods that are going still take room."""
        on = {name: list(fleet.by_node.get(name, ())) for name in fleet.nodes}
        free = {name: _less(node.allocatable, (pod.amounts for pod in on[name])) for name, node in fleet.nodes.items()}
        return Board(nodes=dict(fleet.nodes), on=on, free=free)

    def copy(self) -> Board:
        """Return another board that begins like this one."""
        on = {name: list(pods) for name, pods in self.on.items()}
        return Board(
            nodes=dict(self.nodes), on=on, free={k: dict(v) for k, v in self.free.items()}, _static=self._static
        )

    def lift(self, name: str, pods: Iterable[Pod]) -> None:
        """Take pods off a node."""
        leaving = {pod.uid for pod in pods}
        self.on[name] = [pod for pod in self.on[name] if pod.uid not in leaving]
        self.free[name] = _less(self.nodes[name].allocatable, (pod.amounts for pod in self.on[name]))

    def lose(self, name: str) -> None:
        """Let a node be gone, with what is left on it."""
        for kept in (self.nodes, self.on, self.free):
            kept.pop(name, None)

    def open(self, node: Node) -> None:
        """Let a node be as this one: it may take pods that the one of its name did not."""
        self.nodes[node.name] = node
        self._static = {}

    def put(self, pod: Pod, name: str) -> None:
        """Put a pod on a node."""
        self.on[name].append(pod)
        self.free[name] = _less(self.free[name], (pod.amounts,))

    def place(self, pods: Iterable[Pod], off: str = "") -> dict[str, str] | NoRoom:
        """Place pods one after another and return where each went, by uid; or the first that nothing takes.

        off: a node that takes none; it still counts as a place that topology spread looks at, as a cordoned one does.
        """
        where: dict[str, str] = {}
        for pod in pods:
            name = self.room(pod, off)
            if isinstance(name, NoRoom):
                return name
            self.put(pod, name)
            where[pod.uid] = name
        return where

    def room(self, pod: Pod, off: str = "") -> str | NoRoom:
        """Return the node that takes a pod; the roomiest of them."""
        around = _Around(self, pod, off)
        out: Counter[str] = Counter()
        full: Counter[str] = Counter()
        best, most = "", -1.0
        for name, node in self.nodes.items():
            if name == off:
                continue
            never = self._never(pod, node)
            why = never or self._refuses(pod, node) or around.refuses(node)
            if why:
                (out if never else full)[why] += 1
                continue
            left = _left(node.allocatable, self.free[name], pod.amounts)
            if left > most:
                best, most = name, left
        if best:
            return best
        # what nodes say that it could ever run on tells more than what others do
        said = full or out
        return NoRoom(pod, said.most_common(1)[0][0] if said else "there is no other node")

    def _never(self, pod: Pod, node: Node) -> str:
        key = (pod.needs, node.name)
        if key not in self._static:
            self._static[key] = _out(pod.needs, node)
        return self._static[key]

    def _refuses(self, pod: Pod, node: Node) -> str:
        lacking = short(pod.amounts, self.free[node.name])
        if lacking:
            return f"no {lacking} left"
        if any(one.unread for one in self.on[node.name]):
            return "what runs there cannot be read"
        if pod.needs.ports and _taken(pod.needs.ports, self.on[node.name]):
            return "its host port is taken"
        return ""


def _out(needs: Needs, node: Node) -> str:
    """Return why a node is out for pods with these needs, whatever else runs there."""
    if not node.takes:
        return "not ready" if not node.ready else node.handled or "cordoned"
    if not needs.chooses(node.labels):
        return "not a node that it chooses"
    taint = needs.repelled(node.taints)
    return "" if taint is None else f"taint {taint.key}"


# -- what depends on the pods around -----------------------------------------------------------------


class _Around:
    """What the pods that are there mean for one pod: affinity, anti-affinity of both sides, topology spread."""

    def __init__(self, board: Board, pod: Pod, off: str) -> None:
        self._keys = [term.key for term in pod.needs.near] + [one.key for one in pod.needs.spread]
        self._apart = _repelled(board, pod)
        self._near = [(term.key, _attracted(board, pod, term)) for term in pod.needs.near]
        self._spread = [(one, _counted(board, pod, one, off)) for one in pod.needs.spread]
        self._pod = pod

    def refuses(self, node: Node) -> str:
        """Return why a node is out because of what runs around it, '' if it is not."""
        for key, value in self._apart:
            if node.labels.get(key) == value:
                return "anti-affinity"
        if any(key not in node.labels for key in self._keys):
            return "it has no label of the topology"
        for key, values in self._near:
            if values is not None and node.labels[key] not in values:
                return "affinity"
        return next((why for one, counts in self._spread if (why := self._skewed(one, counts, node))), "")

    def _skewed(self, one: Spread, counts: Mapping[str, int], node: Node) -> str:
        fewest = min(counts.values(), default=0) if len(counts) >= one.least_domains else 0
        own = 1 if one.selects(self._pod.labels) else 0
        there = counts.get(node.labels[one.key], 0)
        return "topology spread" if there + own - fewest > one.skew else ""


def _repelled(board: Board, pod: Pod) -> set[tuple[str, str]]:
    """Return the domains, as label and value, in which the pod and one that is there must not be together."""
    found = set()
    for name, pods in board.on.items():
        labels = board.nodes[name].labels
        for other in pods:
            for term in other.needs.apart:
                if term.key in labels and term.selects(pod.ref.namespace, pod.labels):
                    found.add((term.key, labels[term.key]))
            for term in pod.needs.apart:
                if term.key in labels and term.selects(other.ref.namespace, other.labels):
                    found.add((term.key, labels[term.key]))
    return found


def _attracted(board: Board, pod: Pod, term: Term) -> set[str] | None:
    """Return the domains that have a pod of a term; None for any, where there is none and the pod is its own first."""
    found = set()
    for name, pods in board.on.items():
        value = board.nodes[name].labels.get(term.key)
        if value is not None and any(term.selects(one.ref.namespace, one.labels) for one in pods):
            found.add(value)
    return None if not found and term.selects(pod.ref.namespace, pod.labels) else found


def _counted(board: Board, pod: Pod, one: Spread, off: str) -> dict[str, int]:
    """Return how many pods of a constraint each domain has, those without any among them."""
    counts: dict[str, int] = {}
    for name, node in board.nodes.items():
        value = node.labels.get(one.key)
        # the filter leaves out nodes that lack the key of any of the pod's constraints
        if value is None or any(each.key not in node.labels for each in pod.needs.spread):
            continue
        if one.by_affinity and not pod.needs.chooses(node.labels):
            continue
        cordoned = name == off
        if one.by_taints and (cordoned or pod.needs.repelled(node.taints) is not None):
            continue
        same = (other for other in board.on[name] if other.ref.namespace == pod.ref.namespace and not other.going)
        counts[value] = counts.get(value, 0) + sum(1 for other in same if one.selects(other.labels))
    return counts


# -- amounts -----------------------------------------------------------------------------------------


def _less(room: Amounts, taken: Iterable[Amounts]) -> dict[str, int]:
    used = total(taken)
    return {name: value - used.get(name, 0) for name, value in room.items()}


def _left(whole: Amounts, free: Amounts, wanted: Amounts) -> float:
    """Return which share of cores and memory is left, in the mean, once the pod is there."""
    shares = [(free[name] - wanted.get(name, 0)) / whole[name] for name in ("cpu", "memory") if whole.get(name, 0) > 0]
    return sum(shares) / len(shares) if shares else 0.0


def _taken(ports: frozenset[tuple[str, str, int]], pods: Iterable[Pod]) -> bool:
    used = {one for pod in pods for one in pod.needs.ports}
    return any(
        protocol == other and port == number and (_ANY in (address, where) or address == where)
        for address, protocol, port in ports
        for where, other, number in used
    )


Order = Callable[[Pod], tuple[int, int, str]]


def by_size(pod: Pod) -> tuple[int, int, str]:
    """Return what pods are sorted by: the largest first."""
    return -pod.amounts.get("cpu", 0), -pod.amounts.get("memory", 0), pod.uid
