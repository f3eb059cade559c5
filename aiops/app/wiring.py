"""The composition root: from settings to a loop with everything it needs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from aiops import __version__
from aiops.app import registering, sharding, timing
from aiops.app.alertmanager import Ties, ties
from aiops.app.auditing import signing
from aiops.app.books import StoredBooks
from aiops.app.controls import HeldControls, StoreControls
from aiops.app.expanding import ExpandedPolicySource, Expanding, remembered
from aiops.app.fleet import SourcedPolicies, sources_of
from aiops.app.git_settings import repositories as repositories_of
from aiops.app.ledger import Ledger
from aiops.app.notify_settings import notifier
from aiops.app.policies import MergedPolicySource
from aiops.app.pricing import LastPrices
from aiops.app.promoted import PromotedPolicySource, Promoting
from aiops.app.promotion import Gate
from aiops.app.replay import code_version, platform_version
from aiops.app.settings import Settings
from aiops.app.sources import policies_of
from aiops.app.statuses import Statuses, Telling
from aiops.app.surroundings import Surroundings, surroundings
from aiops.app.telling import Around, Followers, following
from aiops.app.tracing import traced
from aiops.core.bank import Bank
from aiops.core.detect.suspects import Dependencies
from aiops.core.model import BlastRadius, Instant, Scope
from aiops.core.pipeline.outlook import Viewer
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.policies.sourced import sourced
from aiops.engine import local
from aiops.errors import PortError
from aiops.loop import ControlLoop, Ports, Setup, backfill
from aiops.loop.lanes import Beside, InOrder
from aiops.loop.seams import NoRepositories, NoTrainer
from aiops.policy.schedule import window
from aiops.ports import Controls

if TYPE_CHECKING:
    from aiops.adapters.git import GitRepositories
    from aiops.adapters.metrics import LoopMetrics
    from aiops.adapters.store import Store
    from aiops.adapters.tracing import TracedTelemetry

_LOG = logging.getLogger("aiops.daemon")
HEALTHY_TICKS = 3
HEALTHY_GRACE_S = 10.0


class MonotonicClock:
    """ports.Clock."""

    def elapsed_s(self) -> float:
        """Return seconds on the monotonic clock."""
        return time.monotonic()


@dataclass(slots=True)
class Built:
    """A daemon's parts, wired. `lock` guards the models between the tick and learning from history."""

    settings: Settings
    store: Store
    policies: ExpandedPolicySource
    world: Surroundings
    metrics: LoopMetrics
    loop: ControlLoop
    viewer: Viewer
    ties: Ties
    lock: threading.RLock = field(default_factory=threading.RLock)
    ledger: Ledger = field(default_factory=Ledger)
    sentence: str = ""
    turned_at: float = 0.0
    learnt: bool = False
    statuses: Statuses | None = None
    following: Followers | None = None
    books: StoredBooks | None = None
    traces: TracedTelemetry | None = None
    repositories: GitRepositories | None = None

    def tick(self) -> str:
        """Turn the loop once, and return its sentence."""
        at = self.world.next_at()
        joined = self._expand(at)
        with self.lock:
            sentence = self.loop.run_once(at)
        if joined and self.learnt and not self.world.virtual:
            # the models of who joined are there since this turn
            threading.Thread(target=self._learn_of, args=(joined, at), name="learn-members", daemon=True).start()
        if not self.loop.held:
            self.turned_at = time.monotonic()
            self.ties.note(() if self.loop.last is None else self.loop.last.incidents)
        if self.statuses is not None:
            self.statuses.note(self.loop.last)
        if not self.loop.held and self.loop.last is not None:
            self.ledger.note(self.loop.last, self.policies.current(), self.loop.bank)
        cost = self.ledger.sentence()
        self.sentence = f"{sentence} · {cost}" if cost else sentence
        return self.sentence

    def turn_plans(self) -> None:
        """Judge the policies of plans that have a lane of their own, and move their plans (S8)."""
        with self.lock:
            sentence = self.loop.run_plans(self.world.present())
        if sentence:
            _LOG.info("plans", extra={"sentence": sentence})

    def turn_pressing(self) -> None:
        """Do so between two turns, too, while users of a failover group may be failing or are being moved."""
        if self.loop.pressing(self.world.present()):
            self.turn_plans()

    def _expand(self, at: Instant) -> tuple[ScalingPolicy, ...]:
        """Make the members of templates those of this turn, and return who joined; what fails changes nothing (S10)."""
        try:
            return self.policies.expand(at)
        except PortError as err:
            _LOG.warning("members_unknown", extra={"reason": str(err)})
        except Exception:
            _LOG.exception("expansion_failed")
            self.loop.ports.telemetry.failure("bug")
        return ()

    def _learn_of(self, joined: Sequence[ScalingPolicy], now: Instant) -> None:
        """Let the models of new members learn from history, beside the loop; the next minutes are learnt by living."""
        late = tuple(
            one if one.forecast is None else replace(one, forecast=replace(one.forecast, by_slo=False))
            for one in joined
        )
        policies = sourced(PolicySet(digest="", scaling=late), sources_of(self.settings))
        for one in backfill(self.loop.bank, policies, self.world.history, (0.0, now), self.lock):
            _LOG.warning("history_missed", extra={"reason": one})

    def learn(self) -> None:
        """Restore what was learnt, and learn what has been since: without it the loop is reactive."""
        settings, bank, policies = self.settings, self.loop.bank, self.loop.ports.policies.current()
        path = settings.models.checkpoint
        since, now = 0.0, self.world.present()
        if not self.world.virtual:
            with self.lock:
                missing = local.restore(bank, path)
            since = path.stat().st_mtime if not missing else 0.0
            _LOG.info("models_restored", extra={"checkpoint": str(path), "to_learn": list(missing)})
        engine = self.loop.ports.engine
        engine.learn(now)
        missed = backfill(bank, engine.own(policies), self.world.history, (since, now), self.lock)
        for one in missed:
            _LOG.warning("history_missed", extra={"reason": one})
        self.learnt = True
        known = {one.key for one in policies.scaling}
        late = tuple(one for one in self.policies.current().scaling if one.key not in known)
        if late:
            self._learn_of(late, now)
        _LOG.info("history_learnt", extra={"missed": len(missed)})

    def checkpoint(self) -> None:
        """Write what was learnt; a virtual world's is not worth keeping."""
        if self.world.virtual:
            return
        self.loop.ports.engine.keep()
        try:
            with self.lock:
                local.save(self.loop.bank, self.settings.models.checkpoint)
        except OSError as err:
            _LOG.warning("checkpoint_failed", extra={"error": str(err)})

    def prune(self) -> None:
        """Remove from the store what is too old or too much."""
        kept = self.settings.store
        removed = self.store.prune(self.world.present(), kept.max_age, int(kept.max_bytes), self.settings.audit.max_age)
        spent = self.store.costs.prune(self.world.present())
        if spent:
            removed["costs"] = spent
        if removed:
            _LOG.info("store_pruned", extra=removed)

    def close_books(self) -> None:
        """Write what was spent since it was last written."""
        if self.books is not None:
            with self.lock:
                self.books.write(self.world.present())

    def unhealthy(self) -> list[str]:
        """Return why the loop counts as stuck: it has not turned lately."""
        allowed = HEALTHY_TICKS * self.world.tick_every_s + HEALTHY_GRACE_S
        since = time.monotonic() - self.turned_at
        if self.turned_at and since <= allowed:
            return []
        if not self.turned_at:
            return [self._not_yet()]
        held = f": {self.loop.held}" if self.loop.held else ""
        return [f"the last turn was {since:.0f} s ago, and more than {allowed:.0f} s are too long{held}"]

    def unready(self) -> list[str]:
        """Return why the daemon is not ready."""
        wrong = [*self.world.unready(), *self.loop.unanswered, *self.policies.unready()]
        return wrong if self.loop.turns else [*wrong, self._not_yet()]

    def _not_yet(self) -> str:
        return "the loop has not turned yet" + (f": {self.loop.held}" if self.loop.held else "")


def build(settings: Settings) -> Built:
    """Return the wired daemon; raise FatalError or InvalidPolicy when it cannot be."""
    from aiops.adapters.metrics import LoopMetrics
    from aiops.adapters.store import Store

    world = surroundings(settings)
    tied = ties(settings.alertmanager, virtual=world.virtual)
    store = Store.open(settings.store.url, writer=True, anew=world.virtual)
    try:
        signing(store, settings.audit)
        policies = _expanded(settings, store, world)
        metrics = LoopMetrics()
        repositories = repositories_of(settings.git)
        traces = traced(settings.telemetry.traces, metrics)
        books = StoredBooks(store, _rates(settings), epoch=lambda: store.journal.claimed)
        # a virtual world must be the same each time: there models fit themselves within a turn
        trainer = NoTrainer() if world.virtual else sharding.trainer(settings)
        bank = Bank(
            policies.current(),
            Dependencies(settings.depends_on),
            elsewhere=not world.virtual,
            code=f"aiops {__version__}",
        )
        several = len(settings.clusters) + len(settings.git.repositories) > 1
        ports = Ports(
            policies=SourcedPolicies(policies, sources_of(settings)),
            source=world.source,
            cluster=world.cluster,
            dry=world.dry,
            journal=store.journal,
            lease=world.lease(store.journal.epoch),
            controls=tied.controls(_controls(settings, store, policies), store, policies.current),
            prices=(prices := LastPrices(world.prices, settings.prices.rates)),
            telemetry=metrics if traces is None else traces,
            clock=MonotonicClock(),
            notifier=notifier(settings.notify, virtual=world.virtual),
            books=books,
            trainer=trainer,
            repositories=NoRepositories() if repositories is None else repositories,
            engine=sharding.engine(settings, MonotonicClock(), code_version()),
            lanes=Beside() if several and not world.virtual else InOrder(),
        )
        loop = ControlLoop(ports, bank, setup(settings))
        told = (settings.notify, settings.audit)
        followed = None if world.virtual else following(store, told, _around(policies, loop))
    except BaseException:
        store.close()
        raise
    viewer = Viewer(newest=lambda: loop.lookout.outlook, present=world.present, max_age_s=settings.export.max_age)
    registering.models(settings, metrics, viewer, (loop, tied))
    registering.prices(metrics, prices, world)
    registering.following(metrics, followed)
    timing.register(metrics, loop, world.source)
    sharding.register(metrics, ports.engine)
    registering.repositories(metrics, repositories)
    return Built(
        settings=settings,
        store=store,
        policies=policies,
        world=world,
        metrics=metrics,
        loop=loop,
        viewer=viewer,
        ties=tied,
        statuses=_statuses(settings, world, policies, loop),
        books=books,
        following=followed,
        traces=traces,
        repositories=repositories,
    )


def _around(policies: ExpandedPolicySource, loop: ControlLoop) -> Around:
    def leads() -> bool:
        try:
            return loop.ports.lease.leadership(time.time()).leader
        except PortError:
            return False

    return Around(leads=leads, labels=lambda key: policies.current().labels.get(key, {}), clock=time.time)


def _expanded(settings: Settings, store: Store, world: Surroundings) -> ExpandedPolicySource:
    expanding = Expanding(adopted=store.journal.note_policies, remembered=lambda: remembered(store, settings.step))
    return ExpandedPolicySource(_promoted(settings, store, world), world.roster, expanding)


def _rates(settings: Settings) -> Mapping[str, float]:
    """Return USD for one of each currency that the settings give a rate of."""
    return settings.prices.rates


def _promoted(settings: Settings, store: Store, world: Surroundings) -> PromotedPolicySource:
    # a virtual world begins anew each time: whoever does not ask for promotions there has nobody to wait for
    unasked = world.virtual and "promotion" not in settings.model_fields_set
    gate = Gate.FILE if unasked else Gate(settings.promotion.by)
    loaded = policies_of(settings, store, world.resources)
    return PromotedPolicySource(loaded, store.promotions, Promoting(gate=gate, adopted=store.journal.note_policies))


def _controls(settings: Settings, store: Store, policies: ExpandedPolicySource) -> Controls:
    freezes = [(one.name, window(one.schedule, one.duration, one.time_zone)) for one in settings.freezes]
    people = StoreControls(store.people, store.plans, settings.pause_file, freezes, time.time)
    return HeldControls(people, lambda: policies.held)


def _statuses(
    settings: Settings, world: Surroundings, policies: ExpandedPolicySource, loop: ControlLoop
) -> Statuses | None:
    if not isinstance(policies.loaded, MergedPolicySource) or world.resources is None:
        return None

    def leads() -> bool:
        try:
            return loop.ports.lease.leadership(world.present()).leader
        except PortError:
            return False

    books = loop.ports.books
    telling = Telling(
        leads=leads,
        ceiling=settings.mode,
        promoted=lambda: policies.standings,
        expanded=lambda: policies.made,
        budgets=lambda: books.latest if isinstance(books, StoredBooks) else {},
    )
    return Statuses(policies.loaded, world.resources, telling)


def setup(settings: Settings) -> Setup:
    """Return what does not change while the loop runs."""
    scope = Scope(
        ceiling=settings.mode,
        namespaces=frozenset(settings.scope.namespaces),
        protected_namespaces=frozenset(settings.scope.protected_namespaces),
        protected_targets=frozenset(settings.scope.protected_targets),
        blast=BlastRadius(
            plans_per_hour=settings.limits.plans_per_hour,
            pods_per_hour=settings.limits.pods_per_hour,
            nodes_ratio=settings.limits.nodes_percent / 100.0,
            capacity_ratio=settings.limits.capacity_percent / 100.0,
            healthy_ratio=settings.limits.min_healthy_percent / 100.0,
            storm_exit_s=settings.limits.storm_exit_delay,
        ),
    )
    # a virtual world's time is that of its ticks: there is no faster lane in it
    lane_s = 0.0 if settings.simulation is not None else settings.lane
    turns = timing.budget(settings)
    return Setup(scope=scope, code=code_version(), platform=platform_version(), lane_s=lane_s, budget=turns)
