"""Observing: one Snapshot of everything that may sway a decision; what does not answer is said in it (S1, S2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from aiops.core.capacity import Startups
from aiops.core.model import (
    BudgetStanding,
    Failed,
    Frame,
    Instant,
    LadderState,
    Leadership,
    Looked,
    PolicyKey,
    Pool,
    PriceBook,
    PriceGap,
    Reason,
    SavingState,
    Scope,
    SeriesIndex,
    Snapshot,
    Table,
    TargetRef,
    Unpriced,
    Wanted,
    Workload,
)
from aiops.core.model.swift import swift
from aiops.core.objects.pools import pooled
from aiops.core.observe.environment import asks_nodes
from aiops.core.policies import PolicySet, WatchQuery
from aiops.errors import PortError
from aiops.loop import tables
from aiops.loop.contained import contained
from aiops.loop.costed import costed, with_templates
from aiops.loop.pasts import UsePasts
from aiops.loop.seams import Ports
from aiops.ports import ControlsReading, Inventory, Observation

_LOG = logging.getLogger("aiops.loop")
SIZED = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
"""Kinds of workloads whose requests and limits may stand in Git."""

_NO_SERIES = SeriesIndex(keys=(), labels=())


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one turn needs to see: for its policies, of the targets that are scaled, of the objects of plans.

    ladders, savings: what remediations and cost policies remember, on which depends what some of them ask.
    """

    policies: PolicySet
    targets: tuple[TargetRef, ...]
    wanted: Wanted
    ladders: Mapping[PolicyKey, LadderState] = field(default_factory=dict)
    savings: Mapping[PolicyKey, SavingState] = field(default_factory=dict)


def _pools(policies: PolicySet, inventory: Inventory, book: PriceBook) -> tuple[Pool, ...]:
    """Return the nodes, counted, where a condition asks for them."""
    if not any(asks_nodes(policy.seen) for policy in policies.asking):
        return ()
    machines = inventory.machines.values()
    usd = {one.key: book.node_usd_per_hour(one.key) for one in machines}
    return pooled(machines, {key: one for key, one in usd.items() if one is not None})


@dataclass(slots=True)
class Observer:
    """Asks every port that is read. unanswered: what did not answer at the last look.

    heard: whether people's wishes could be read at it. index: of the series that are watched, as last seen.
    troubles: of watches whose query failed, and notes: of those that were answered with something to be told.
    pasts: what was read of the time before. startups: learns how long pods take to start.
    """

    ports: Ports
    scope: Scope
    startups: Startups
    unanswered: tuple[str, ...] = ()
    heard: bool = False
    index: SeriesIndex = field(default=_NO_SERIES)
    troubles: Mapping[PolicyKey, str] = field(default_factory=dict)
    notes: Mapping[PolicyKey, str] = field(default_factory=dict)
    pasts: UsePasts = field(default_factory=UsePasts)
    _splitter: tables.Splitter = field(default_factory=tables.Splitter)

    def observe(self, asked: Asked, leadership: Leadership, now: Instant) -> tuple[Snapshot, Frame]:
        """Return what there is to see at `now`, of what is asked for."""
        policies, targets = asked.policies, asked.targets
        self.unanswered = ()
        observation, frame, found = self._answered(asked, now)
        inventory = self._inventory(targets, now)
        self.startups.learn(inventory.startups, now)
        self.unanswered += tuple(f"cluster {name}: {why}" for name, why in inventory.errors.items())
        refused = (f"cluster {key.partition('/')[0]}: {why}" for key, (_, why) in inventory.refused.items())
        self.unanswered += tuple(dict.fromkeys(refused))
        controls, store_ok = self._controls(now)
        self.heard = store_ok
        looked = self.look(asked.wanted, now)
        priced, stocked = with_templates(targets, inventory, costed(policies, looked))
        book = self._prices(priced, stocked, now)
        if policies.watches:
            self.index = frame.index
        snapshot = Snapshot(
            at=now,
            answers=observation.answers,
            tables=found,
            pasts=self.pasts.take(policies.plans),
            workloads=self._declared(targets, inventory, now),
            leadership=leadership,
            scope=self.scope,
            store_ok=store_ok,
            cluster_errors=inventory.errors,
            target_errors=inventory.refused,
            pauses=controls.pauses,
            freezes=controls.freezes,
            approvals=controls.approvals,
            alerts=controls.alerts,
            replica_usd_per_hour=book.replica_usd_per_hour,
            prices=book,
            looked=looked,
            orders=controls.orders,
            budgets=self._budgets(policies, now),
            pools=_pools(policies, inventory, book),
        )
        return snapshot, frame

    def _declared(self, targets: tuple[TargetRef, ...], inventory: Inventory, now: Instant) -> Mapping[str, Workload]:
        """Return the workloads with what Git says of their fields, and how long their pods take to start."""
        said = self.ports.repositories.declared(targets, now)
        workloads = self.startups.told(inventory.workloads)
        if not said:
            return workloads
        return {key: replace(one, declared=said[key]) if key in said else one for key, one in workloads.items()}

    def _budgets(self, policies: PolicySet, now: Instant) -> Mapping[PolicyKey, BudgetStanding]:
        """Return how budgets stand: nothing where the books have a bug, which holds nothing up (S10)."""
        standings = partial(self.ports.books.standings, policies, now)
        return contained(self.ports.telemetry, "budgets_failed", standings) or {}

    def leadership(self, now: Instant) -> Leadership:
        """Return who may write; unsure is nobody."""
        try:
            return self.ports.lease.leadership(now)
        except PortError as err:
            return Leadership(leader=False, epoch=0, holder=f"nobody that is known of ({err})")

    def _answered(self, asked: Asked, now: Instant) -> tuple[Observation, Frame, dict[PolicyKey, dict[str, Table]]]:
        """Return what the source says, its frame without the rows of tables, and the tables."""
        queries, named = tables.asked(asked.policies, asked.savings, now)
        observation, blind = self._read(asked, queries, now)
        if blind:
            return observation, observation.frame, tables.failed(queries, named, blind)
        return observation, *self._splitter.parted(observation, queries, named)

    def _read(self, asked: Asked, queries: tuple[WatchQuery, ...], now: Instant) -> tuple[Observation, str]:
        """Return what the source says, and why it says nothing, '' when it does."""
        policies, ladders = asked.policies, asked.ladders
        signals = tuple(spec.query for policy in policies.scaling for spec in policy.signals.values())
        signals += tuple(query for policy in policies.plans for query in policy.asked(ladders.get(policy.key)))
        watches = (*(policy.query for policy in policies.watches), *queries)
        try:
            observation = self.ports.source.read(signals, watches, now)
            self._watched(observation, policies)
            return observation, ""
        except PortError as err:
            self.unanswered = (*self.unanswered, str(err))
            return self._blind(policies, str(err), now), str(err)

    def _watched(self, observation: Observation, policies: PolicySet) -> None:
        """Note what is wrong with watches, and say so when that begins and when it ends."""
        if not policies.watches:
            return  # the fast lane asks for none
        asked = {policy.key for policy in policies.watches if not policy.query.spared}
        before = self.troubles.keys() | self.notes.keys()
        self.troubles = {key: why for key, why in observation.watch_errors.items() if key in asked}
        self.notes = {key: why for key, why in observation.watch_notes.items() if key in asked}
        now = self.troubles | self.notes
        for key in now.keys() - before:
            _LOG.warning("watch_held", extra={"policy": key, "reason": now[key]})
        for key in (before - now.keys()) & asked:
            _LOG.info("watch_well", extra={"policy": key})

    def _blind(self, policies: PolicySet, why: str, now: Instant) -> Observation:
        """Return an observation in which everything failed and nothing is to be learnt (S1, S2)."""
        rows = len(self.index)
        frame = Frame(at=now, index=self.index, values=np.full(rows, np.nan), learn=np.zeros(rows, np.bool_))
        failed = Failed(error=why)
        return Observation(
            answers={policy.key: dict.fromkeys(policy.signals, failed) for policy in policies.asking},
            frame=frame,
            watch_errors={policy.key: why for policy in policies.watches},
        )

    def _inventory(self, targets: tuple[TargetRef, ...], now: Instant) -> Inventory:
        try:
            return self.ports.cluster.inventory(targets, now)
        except PortError as err:
            return Inventory(workloads={}, errors={target.cluster: str(err) for target in targets})

    def look(self, wanted: Wanted, now: Instant) -> Looked:
        """Return the objects of plans; what cannot be read is an error that is told with them."""
        if not wanted.objects and not wanted.selections:
            return Looked()
        try:
            return self._with_sizes(self.ports.cluster.look(wanted, now), now)
        except PortError as err:
            keys = (*(ref.key for ref in wanted.objects), *(one.key for one in wanted.selections))
            return Looked(errors=dict.fromkeys(keys, (Reason.CLUSTER_UNAVAILABLE, str(err))))

    def _with_sizes(self, looked: Looked, now: Instant) -> Looked:
        """Return what was looked at with what Git says of the sizes of workloads, where these stand there."""
        # a selection is of one kind, so that pods and nodes are not gone through
        chosen = (some for some in looked.selections.values() if some and some[0].ref.kind in SIZED)
        every = (*looked.objects.values(), *(one for some in chosen for one in some))
        refs = {one.ref.key: one.ref for one in every if one.ref.kind in SIZED}
        sizes = self.ports.repositories.sizes(tuple(refs.values()), now) if refs else {}
        return replace(looked, sizes=sizes) if sizes else looked

    def _controls(self, now: Instant) -> tuple[ControlsReading, bool]:
        """Return people's wishes; while they cannot be read the store counts as gone, and nothing acts (S2, S9)."""
        try:
            return self.ports.controls.read(now), True
        except PortError as err:
            _LOG.warning("controls_unavailable", extra={"error": str(err)})
            return ControlsReading(), False

    def _prices(self, targets: tuple[TargetRef, ...], inventory: Inventory, now: Instant) -> PriceBook:
        try:
            return self.ports.prices.book(targets, inventory, now)
        except PortError as err:
            _LOG.warning("prices_unavailable", extra={"error": str(err)})
            gap = Unpriced(gap=PriceGap.UNREACHABLE, detail=str(err))
            return PriceBook(replicas=dict.fromkeys((target.key for target in targets), gap))
