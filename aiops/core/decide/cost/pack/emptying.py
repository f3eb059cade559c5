"""Whether a node can be emptied: where its pods would run, and what would be left for spikes and for losing a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiops.core.decide.cost.pack.amounts import Amounts, total
from aiops.core.decide.cost.pack.fleet import Fleet, Node, Pod
from aiops.core.decide.cost.pack.places import Board, NoRoom, by_size

MEASURED = ("cpu", "memory")
"""The resources by which use and room are told."""


@dataclass(frozen=True, slots=True)
class Stays:
    """Why a node is not emptied."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """A node that can be emptied. to: by pod's uid, the node that takes it. use: of the node by resource, 0 to 1.

    free: what is free on the nodes that are left, by resource, as a share of what they can hold.
    """

    node: Node
    pods: tuple[Pod, ...]
    to: Mapping[str, str]
    use: Mapping[str, float]
    free: Mapping[str, float]

    @property
    def used(self) -> float:
        """Return how much of the node is used, by the resource of which most is."""
        return max(self.use.values(), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A PodDisruptionBudget. selects: which pods, by uid. allowed: how many may be taken now."""

    name: str
    selects: frozenset[str]
    allowed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under what a node may be emptied. most_used: by requests, 0 to 1. headroom: share that must be free afterwards.

    survives: afterwards the pods of the fullest node must find room on the others, too. chosen: names of the nodes that
    the policy is for, None for all.
    """

    most_used: float
    headroom: float = 0.0
    survives: bool = True
    budgets: tuple[Budget, ...] = ()
    chosen: frozenset[str] | None = field(default=None)


def use_of(node: Node, pods: Iterable[Pod]) -> dict[str, float]:
    """Return how much of what a node has beside its own pods is requested, by resource."""
    pods = tuple(pods)
    fixed = total(pod.amounts for pod in pods if pod.fixed)
    moving = total(pod.amounts for pod in pods if not pod.fixed)
    room = {name: node.allocatable.get(name, 0) - fixed.get(name, 0) for name in MEASURED}
    return {name: _share(moving.get(name, 0), value) for name, value in room.items()}


def _share(part: int, whole: int) -> float:
    if whole > 0:
        return part / whole
    return 1.0 if part > 0 else 0.0


def emptied(name: str, fleet: Fleet, board: Board, terms: Terms) -> Emptied | Stays:
    """Return how a node is emptied, or why it stays. board: everything where it is now; it is not changed."""
    node, pods = fleet.nodes[name], fleet.by_node.get(name, ())
    use = use_of(node, pods)
    why = _kept(node, use, terms) or _held(pods, terms.budgets)
    if why:
        return Stays(why)
    moving = tuple(sorted((pod for pod in pods if not pod.fixed and not pod.going), key=by_size))
    after = _moved(board, name, moving)
    if isinstance(after, NoRoom):
        return Stays(f"{after.pod.ref} would find no room: {after.why}")
    # evicted pods come back in an order that nobody chooses
    backward = _moved(board, name, tuple(reversed(moving)))
    if isinstance(backward, NoRoom):
        return Stays(f"{backward.pod.ref} would find no room if it came last: {backward.why}")
    rest, where = after
    rest.lose(name)
    free = free_of(rest, terms.chosen)
    tight = next((one for one, share in free.items() if share < terms.headroom), "")
    if tight:
        return Stays(f"only {free[tight]:.0%} of {tight} would be free on the others, of {terms.headroom:.0%}")
    lost = _unsafe(rest, terms) if terms.survives else ""
    return Stays(lost) if lost else Emptied(node=node, pods=moving, to=where, use=use, free=free)


def free_of(board: Board, chosen: frozenset[str] | None) -> dict[str, float]:
    """Return which share of the resources is free on the nodes that take pods."""
    open_nodes = [node for node in board.nodes.values() if node.takes and (chosen is None or node.name in chosen)]
    whole: Amounts = total(node.allocatable for node in open_nodes)
    free: Amounts = total(board.free[node.name] for node in open_nodes)
    return {name: free.get(name, 0) / whole[name] if whole.get(name, 0) > 0 else 0.0 for name in MEASURED}


def _kept(node: Node, use: Mapping[str, float], terms: Terms) -> str:
    if node.handled or node.kept:
        return node.handled or node.kept
    if node.cordoned:
        return "it is cordoned"
    if not node.ready:
        return "it is not ready"
    fullest = max(use, key=lambda name: use[name])
    if use[fullest] > terms.most_used:
        return f"{use[fullest]:.0%} of its {fullest} is requested, more than {terms.most_used:.0%}"
    return ""


def _held(pods: Iterable[Pod], budgets: Iterable[Budget]) -> str:
    """Return which pod must stay, or whose budget has no room; '' if all may go."""
    leaving = [pod for pod in pods if not pod.fixed and not pod.going]
    for pod in leaving:
        if pod.stays:
            return f"{pod.ref} stays: {pod.stays}"
        mine = [one for one in budgets if pod.uid in one.selects]
        if len(mine) > 1:
            return f"{pod.ref} is in {len(mine)} PodDisruptionBudgets, and can be evicted by none"
        spent = next((one for one in mine if one.allowed < 1), None)
        if spent is not None:
            return f"PodDisruptionBudget {spent.name} allows none of its pods to go now"
    return ""


def _moved(board: Board, name: str, pods: tuple[Pod, ...]) -> tuple[Board, dict[str, str]] | NoRoom:
    after = board.copy()
    after.lift(name, pods)
    where = after.place(pods, off=name)
    return where if isinstance(where, NoRoom) else (after, where)


def _unsafe(rest: Board, terms: Terms) -> str:
    """Return what would find no room if the fullest of the nodes that are left were lost, '' if all would."""
    open_nodes = [
        node for node in rest.nodes.values() if node.takes and (terms.chosen is None or node.name in terms.chosen)
    ]
    if not open_nodes:
        return "no node would be left"
    fullest = max(open_nodes, key=lambda node: (max(use_of(node, rest.on[node.name]).values()), node.name))
    # what somebody would make again; its data may be elsewhere, which is more than a lost node leaves
    pods = [pod for pod in rest.on[fullest.name] if not pod.fixed and not pod.going and pod.controller is not None]
    after = rest.copy()
    after.lose(fullest.name)
    found = after.place(sorted(pods, key=by_size))
    if isinstance(found, NoRoom):
        return f"if {fullest.name} were lost afterwards, {found.pod.ref} would find no room: {found.why}"
    return ""
