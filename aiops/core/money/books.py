"""The books: everything that money knows, kept from turn to turn by one thread, and written by whoever owns a store."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import Action, BudgetStanding, Finding, Instant, PolicyKey, Priced, Scale, SetFloor
from aiops.core.money import budget as budgets
from aiops.core.money.currency import usd_per
from aiops.core.money.history import History
from aiops.core.money.ledger import SCALING, Entry, Ledger, Promise, SavingKind, name_in, saved_rate, shared
from aiops.core.money.metering import Metered, References, Turned, labels_of, metered
from aiops.core.money.released import Pools, ratio
from aiops.core.money.spend import HOUR_S, NODES, Accounts, Meter, Reference, Row, Subject, nano
from aiops.core.money.standing import Standing
from aiops.core.policies import CostBudget, PolicySet

REFRESH_S = 60.0
"""How long the standings of budgets are good for: a minute moves no month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is stored of money, to go on from: rows by hour, and the entries that stand."""

    rows: Sequence[tuple[Subject, int, Row]] = ()
    entries: Sequence[Entry] = ()


@dataclass(slots=True)
class Books:
    """rates: USD for one of a currency, of those that the settings know. step_s: between two turns."""

    step_s: float = 15.0
    rates: Mapping[str, float] = field(default_factory=dict)
    accounts: Accounts = field(default_factory=Accounts)
    ledger: Ledger = field(default_factory=Ledger)
    history: History = field(default_factory=History)
    pools: Pools = field(default_factory=Pools)
    references: References = field(default_factory=References)
    _standings: dict[PolicyKey, BudgetStanding] = field(default_factory=dict)
    _budgets: tuple[CostBudget, ...] = ()

    def adopt(self, kept: Kept, at: Instant) -> None:
        """Go on from what is stored: nothing of before is known but that."""
        self.accounts, self.ledger, self.history = Accounts(step_s=self.step_s), Ledger(), History()
        self.pools, self.references, self._standings = Pools(), References(), {}
        for subject, hour, row in kept.rows:
            self.history.put(subject, hour, row)
            if hour + HOUR_S > at:
                self.accounts.adopt(subject, hour, row)
        for entry in kept.entries:
            self.ledger.stand(entry)

    def resume(self, stood: Iterable[BudgetStanding]) -> None:
        """Know since when overruns stood, as it was stored: people are not called again for what they were told."""
        for one in stood:
            self._standings.setdefault(one.budget, one)

    def recount(self) -> None:
        """Put the hours that are not written yet over what was read of them."""
        for (subject, hour), row in self.accounts.rows.items():
            self.history.put(subject, hour, row)

    # -- a turn ------------------------------------------------------------------------------------------

    def note(self, turned: Turned) -> None:
        """Count the time since the last turn, and open and close what the turn did."""
        at = turned.snapshot.at
        self.accounts.step_s = turned.policies.step_s
        made = metered(turned, self.references, self.ledger)
        meters = self._with_nodes(made, turned)
        for subject, meter, start, end in self.accounts.note(at, meters):
            self.ledger.count(subject, meter, end - start, at)
        for subject, hour in self.accounts.touched:
            self.history.put(subject, hour, self.accounts.rows[subject, hour])
        self._open_actions(turned, made, meters)
        self._follow_plans(turned, made, meters)

    def _with_nodes(self, made: Metered, turned: Turned) -> dict[Subject, Meter | None]:
        """Return the meters with how much of what they save has let go of nodes, and those of nodes."""
        freed: dict[str, int] = {}
        for subject, meter in made.meters.items():
            cluster = subject.target.partition("/")[0]
            freed[cluster] = freed.get(cluster, 0) + saved_rate(meter)
        holds = frozenset(node.partition("/")[0] for one in made.standing for node in one.nodes)
        pools = self.pools.follow(turned.snapshot.prices, freed, holds)
        meters: dict[Subject, Meter | None] = {}
        for subject, meter in made.meters.items():
            cluster = subject.target.partition("/")[0]
            share = ratio(pools.get(cluster), freed[cluster])
            meters[subject] = meter if meter is None else replace(meter, released_ratio=share)
        return {**meters, **self.pools.meters(), **self._gone_nodes(made, turned, freed)}

    def _gone_nodes(self, made: Metered, turned: Turned, freed: Mapping[str, int]) -> dict[Subject, Meter | None]:
        """Return the nodes that plans let go of: what they cost is realised as far as no other saving claims it."""
        found: dict[Subject, Meter | None] = {}
        for one in made.standing:
            for node in one.nodes:
                cluster = node.partition("/")[0]
                entry = self.ledger.standing.get(name_in(one.plan.id, node))
                pool = self.pools.known.get(cluster)
                if entry is None or pool is None or node in turned.snapshot.prices.nodes:
                    continue
                left = max(0, pool.released - max(0, freed.get(cluster, 0)))
                price = 0 if entry.promise is None else min(entry.promise.middle, left)
                found[entry.subject] = Meter(
                    replicas=0,
                    price=price if entry.promise is not None else None,
                    reference=Reference(low=1, middle=1, high=1),
                    released_ratio=1.0,
                )
        return found

    def _open_actions(self, turned: Turned, made: Metered, meters: Mapping[Subject, Meter | None]) -> None:
        for action in turned.tick.actions:
            subject = made.subjects.get(action.policy)
            if subject is None:
                continue
            meter, at = meters.get(subject), turned.snapshot.at
            if not action.dry_run:
                self.ledger.close_of(subject, SCALING, at)
            reference, price = (None, None) if meter is None else (meter.reference, meter.price)
            if reference is None and meter is not None:
                same = action.change.before
                reference = Reference(low=same, middle=same, high=same)
            self.ledger.open(
                Entry(
                    id=action.id,
                    kind=SavingKind.SCALE_IN if action.change.after < action.change.before else SavingKind.SCALE_OUT,
                    policy=action.policy,
                    subject=subject,
                    opened_at=at,
                    until=at,
                    note=_did(action),
                    promise=Promise.of(reference, _expected(action, reference), price),
                    dry_run=action.dry_run,
                    closed_at=at if action.dry_run else None,
                )
            )

    def _follow_plans(self, turned: Turned, made: Metered, meters: Mapping[Subject, Meter | None]) -> None:
        """Open what plans have done, and close what is taken back."""
        by_target = {subject.target: subject for subject in made.meters}
        stands: set[str] = set()
        for one in made.standing:
            for entry in self._entries(one, turned, (by_target, meters)):
                stands.add(entry.id)
                self.ledger.open(entry)
        gone = {policy for policy in {e.policy for e in self.ledger.standing.values()} if policy not in made.subjects}
        holding = {layer.entry for meter in meters.values() if meter is not None for layer in meter.layers}
        unseen = {subject for subject, meter in meters.items() if meter is None}
        for key, entry in list(self.ledger.standing.items()):
            scaling = entry.kind in SCALING
            # what a forgotten plan changed stands for as long as it is there, or below what came after
            stays = key in stands or (bool(entry.links) and (key in holding or entry.subject in unseen))
            if (scaling and entry.policy in gone) or (not scaling and not stays):
                self.ledger.close(key, turned.snapshot.at)
        forgotten = frozenset(key for key, one in self.ledger.standing.items() if one.links and key not in stands)
        for subject in {self.ledger.standing[key].subject for key in forgotten}:
            self.ledger.fold(subject, forgotten, turned.snapshot.at)

    def _entries(
        self, one: Standing, turned: Turned, known: tuple[Mapping[str, Subject], Mapping[Subject, Meter | None]]
    ) -> Iterable[Entry]:
        by_target, meters = known
        plan, at = one.plan, turned.snapshot.at
        labels = tuple(sorted(labels_of(plan.policy, turned.policies).items()))
        namespace = plan.policy.split("/", 2)[1]
        whose = Subject(target=plan.subject, policy=plan.policy, namespace=namespace, labels=labels)
        frame = Entry(
            id=plan.id,
            kind=one.kind,
            policy=plan.policy,
            subject=whose,
            opened_at=one.since if math.isfinite(one.since) else at,
            until=at,
            note=plan.reason,
            dry_run=not one.stands,
            closed_at=None if one.stands else at,
        )
        if not one.stands:
            yield frame
        for target, rested in one.rested.items():
            subject = by_target.get(target, replace(whose, target=target))
            meter = meters.get(subject)
            name = name_in(plan.id, target)
            promise = _of_layer(meter, name) if rested.links else _promised(_own(meter, name))
            yield replace(frame, id=name, subject=subject, promise=promise, links=rested.links)
        for node in one.nodes:
            quote = turned.snapshot.prices.nodes.get(node)
            cost = nano(quote.usd_per_hour) if isinstance(quote, Priced) else None
            promise = None if cost is None else Promise(middle=cost, low=0, high=cost)
            yield replace(
                frame, id=name_in(plan.id, node), subject=replace(whose, target=f"{NODES}{node}"), promise=promise
            )

    # -- budgets -----------------------------------------------------------------------------------------

    def standings(self, policies: PolicySet, at: Instant) -> Mapping[PolicyKey, BudgetStanding]:
        """Return how every budget stands, not older than a minute."""
        known = {one.key: one for one in policies.budgets}
        if policies.budgets != self._budgets:
            self._budgets = policies.budgets
            self._standings = {key: replace(one, at=-math.inf) for key, one in self._standings.items() if key in known}
        for key, one in known.items():
            before = self._standings.get(key)
            if before is None or not 0.0 <= at - before.at < REFRESH_S:
                self._standings[key] = self._standing(one, at, before)
        return dict(self._standings)

    def _standing(self, one: CostBudget, at: Instant, before: BudgetStanding | None) -> BudgetStanding:
        start, _ = budgets.span(one, at)
        rate = usd_per(one.currency, self.rates)
        hours = self.history.hours(self.places(one), start, at)
        made = budgets.stands(one, hours, at, 1.0 if rate is None else rate)
        if rate is None:
            why = f"there is no rate of {one.currency} in prices.rates, so that the amount is not known in USD"
            return replace(made, amount=0.0, projected=None, low=None, high=None, chance_over=None, why=why)
        return replace(made, over_since=budgets.since(made, before))

    def places(self, one: CostBudget) -> NDArray[np.intp]:
        """Return the rows of the history that a budget covers."""
        mine = [
            place
            for subject, place in self.history.places.items()
            if subject.is_target and one.scope.covers(subject.namespace, dict(subject.labels))
        ]
        return np.array(mine, np.intp)

    def overruns(self, policies: PolicySet, standings: Mapping[PolicyKey, BudgetStanding]) -> tuple[Finding, ...]:
        """Return what is found of budgets that will be overrun."""
        labels = {one.key: tuple(sorted(labels_of(one.key, policies).items())) for one in policies.budgets}
        return budgets.overrun_findings(policies.budgets, dict(standings), labels)


def _expected(action: Action, reference: Reference | None) -> int:
    """Return how many replicas will run: a floor keeps so many at least, and the autoscaler above it does as ever."""
    after = action.change.after
    return after if isinstance(action.change, Scale) or reference is None else max(after, reference.middle)


def _own(meter: Meter | None, name: str) -> Meter | None:
    """Return the part of a meter that is one entry's, all of it where nothing else stands."""
    if meter is None or len(meter.shares) < 2:
        return meter
    return dict(shared(meter, meter.shares[-1].entry)).get(name)


def _promised(meter: Meter | None) -> Promise | None:
    """Return what a meter saves an hour now, with its interval; None where that is not known."""
    if meter is None or meter.reference is None or meter.price is None:
        return None
    was, runs = meter.price if meter.was_price is None else meter.was_price, meter.replicas * meter.price
    least, most = meter.reference.low * was - runs, meter.reference.high * was - runs
    return Promise(middle=saved_rate(meter), low=least, high=most)


def _of_layer(meter: Meter | None, name: str) -> Promise | None:
    """Return what one change of requests takes off the price of the replicas that run, None where that is not known."""
    mine = None if meter is None else next((one for one in meter.layers if one.entry == name), None)
    if meter is None or mine is None:
        return None
    saved = meter.replicas * mine.extra
    return Promise(middle=saved, low=saved, high=saved)


def _did(action: Action) -> str:
    match action.change:
        case Scale(before=before, after=after):
            return f"replicas {before} -> {after}"
        case SetFloor(hpa=hpa, before=before, after=after):
            return f"floor of {hpa} {before} -> {after}"
