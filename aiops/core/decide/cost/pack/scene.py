"""What a policy that packs sees at one instant, and what it makes of the plans that are at work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiops.core.decide.cost.pack.amounts import Unreadable
from aiops.core.decide.cost.pack.emptying import Budget, Terms
from aiops.core.decide.cost.pack.fleet import Fleet, Node, Pod, fleet, volumes
from aiops.core.decide.cost.pack.needs import selector
from aiops.core.decide.cost.pack.places import Board
from aiops.core.model import Instant, Looked, Mode, Moved, PackState, Plan, PlanStatus, Reason, SeenObject, TargetRef
from aiops.core.planning import Situation
from aiops.core.planning.cost_pack import REPLICATED, PackPolicy

WAITS_S = 60.0
"""A pod that has waited for a node for so long has no room; what was just evicted has not been looked at yet."""

_BEGUN = (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK, PlanStatus.PAUSED, PlanStatus.ASKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One instant. chosen: names of the nodes that the policy is for. budgets: PodDisruptionBudgets."""

    policy: PackPolicy
    situation: Situation
    fleet: Fleet
    board: Board
    chosen: frozenset[str]
    budgets: tuple[Budget, ...]

    @property
    def now(self) -> Instant:
        """Return the instant."""
        return self.situation.now

    @property
    def terms(self) -> Terms:
        """Return under what a node may be emptied."""
        policy = self.policy
        return Terms(
            most_used=policy.below,
            headroom=policy.headroom,
            survives=policy.survives,
            budgets=self.budgets,
            chosen=self.chosen,
        )

    @property
    def standing(self) -> tuple[Plan, ...]:
        """Return the policy's own plans that have begun and not ended, by the node's key."""
        own = (one for one in self.situation.plans if one.policy == self.policy.key)
        return tuple(sorted((one for one in own if one.status in _BEGUN), key=lambda one: one.subject))

    @property
    def acts(self) -> bool:
        """Return whether anything would be sent, so that nodes must have opted in (S3)."""
        ceiling = self.situation.snapshot.scope.ceiling
        return min(self.policy.reach.rank, ceiling.rank) >= Mode.APPROVE.rank

    @property
    def unready(self) -> tuple[Node, ...]:
        """Return the nodes that are not ready, and that nobody is removing."""
        return tuple(one for one in self.fleet.nodes.values() if not one.ready and not one.handled)

    @property
    def starved(self) -> tuple[Pod, ...]:
        """Return the pods that have waited for a node for too long, the oldest first."""
        late = (pod for pod in self.fleet.waiting if self.now - pod.since >= WAITS_S)
        return tuple(sorted(late, key=lambda pod: (pod.since, str(pod.ref))))

    def usd_per_hour(self, node: Node) -> float | None:
        """Return what a node costs, None while that is not known."""
        return self.situation.snapshot.prices.node_usd_per_hour(f"{node.ref.cluster}/{node.name}")


@dataclass(frozen=True, slots=True)
class Unseen:
    """Why there is nothing to be seen."""

    reason: Reason
    why: str


def seen(policy: PackPolicy, situation: Situation) -> Scene | Unseen:
    """Return what there is to see; while a part of it is not, nothing is decided (S1)."""
    pool, looked = policy.pool, situation.snapshot.looked
    for one in pool.wanted.selections:
        if one.key in looked.errors:
            reason, why = looked.errors[one.key]
            return Unseen(reason, f"{one.kind}s of cluster {one.cluster} cannot be read: {why}")
        if one.key not in looked.selections:
            return Unseen(Reason.INCONCLUSIVE, f"{one.kind}s of cluster {one.cluster} were not seen yet")
    nodes, pods, budgets, claims, bound = (looked.selections[one.key] for one in pool.wanted.selections)
    there = fleet(nodes, pods, volumes(claims, bound), local=policy.local)
    chosen = (one for one in there.nodes.values() if pool.labels is None or pool.labels.matches(one.labels))
    return Scene(
        policy=policy,
        situation=situation,
        fleet=there,
        board=Board.of(there),
        chosen=frozenset(one.name for one in chosen),
        budgets=tuple(_budget(one, there) for one in budgets),
    )


def _budget(seen_: SeenObject, there: Fleet) -> Budget:
    """Return a budget; one that cannot be understood, or that is not up to date, allows nothing."""
    body, spec = seen_.body, seen_.body.get("spec") or {}
    status, metadata = body.get("status") or {}, body.get("metadata") or {}
    allowed = status.get("disruptionsAllowed")
    stale = (status.get("observedGeneration") or 0) < (metadata.get("generation") or 0)
    try:
        rules = selector(spec.get("selector"))
    except Unreadable:
        rules, stale = (), True
    of_namespace = (pod for pod in there.pods if pod.ref.namespace == seen_.ref.namespace)
    selected = (pod for pod in of_namespace if rules is not None and all(rule.holds(pod.labels) for rule in rules))
    return Budget(
        name=str(seen_.ref),
        selects=frozenset(pod.uid for pod in selected),
        allowed=0 if stale or not isinstance(allowed, int) else allowed,
    )


# -- what leaves, and whether it has arrived -----------------------------------------------------------


def moved(node: str, there: Fleet) -> tuple[Moved, ...]:
    """Return what makes the pods again that leave a node, with how many of its pods are ready now."""
    leaving = {pod.controller for pod in there.by_node.get(node, ()) if not pod.fixed and pod.controller is not None}
    return tuple(
        Moved(controller=one, ready=sum(pod.ready and not pod.going for pod in there.pods if pod.controller == one))
        for one in sorted(leaving)
    )


def settled(scene: Scene, memory: PackState) -> Mapping[str, bool]:
    """Return of each node that is being emptied whether its pods run elsewhere; what is not known is left out."""
    found = {}
    for key, every in memory.moved.items():
        words = [_arrived(one, key, scene) for one in every]
        if False in words:
            found[key] = False
        elif None not in words:
            found[key] = True
    return found


def _arrived(one: Moved, node: str, scene: Scene) -> bool | None:
    mine = [pod for pod in scene.fleet.pods if pod.controller == one.controller and not pod.going]
    elsewhere = [pod for pod in mine if pod.node and _key(pod, scene) != node]
    ready = sum(pod.ready for pod in elsewhere)
    wanted = _wanted(one.controller, scene.situation.snapshot.looked)
    if ready >= one.ready:
        return True
    if wanted is None:
        return None
    # who was scaled in meanwhile needs no more than it wants now
    return ready >= min(one.ready, wanted)


def _key(pod: Pod, scene: Scene) -> str:
    node = scene.fleet.nodes.get(pod.node)
    return "" if node is None else node.ref.key


def _wanted(controller: TargetRef, looked: Looked) -> int | None:
    """Return how many pods a controller wants, None while that is not known; one that is gone wants none."""
    if controller.kind not in REPLICATED or controller.key in looked.errors:
        return None
    known = looked.objects.get(controller.key)
    if known is None:
        return 0
    replicas = (known.body.get("spec") or {}).get("replicas", 1)
    return replicas if isinstance(replicas, int) else None


def controllers(memory: PackState) -> Iterator[TargetRef]:
    """Yield the controllers that must be looked at to know how many pods they want."""
    for every in memory.moved.values():
        yield from (one.controller for one in every if one.controller.kind in REPLICATED)
