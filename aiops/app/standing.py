"""What a daemon says of itself on /metrics, and how it looks now and then whether its audit chain is whole."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import ProcessCollector

from aiops import __version__
from aiops.adapters.metrics import (
    AuditSeen,
    LoopMetrics,
    MoneyCollector,
    MoneyNumbers,
    PlanCollector,
    Standing,
    StandingCollector,
)
from aiops.app.auditing import checked, known_keys
from aiops.core.model import Effect, LoopState, Mode
from aiops.core.policies import ScalingPolicy

if TYPE_CHECKING:
    from aiops.app.wiring import Built

_LOG = logging.getLogger("aiops.audit")
AUDIT_CHECK_S = 86_400.0
HAND_BACK = "stop it, run `aiops handback` with mode enforce and the roles of that mode, and start it again"


@dataclass(slots=True)
class SelfWatch:
    """Tells of a daemon. started: on the monotonic clock. audit: what the last check of the chain found."""

    built: Built
    started: float = field(default_factory=time.monotonic)
    audit: AuditSeen | None = None

    def register(self, metrics: LoopMetrics) -> None:
        """Let /metrics tell of it."""
        metrics.registry.register(StandingCollector(self.standing))
        ProcessCollector(registry=metrics.registry)
        metrics.registry.register(PlanCollector(self._led, self.built.world.present))
        metrics.registry.register(MoneyCollector(self.money))

    def standing(self) -> Standing:
        """Return how the daemon stands now."""
        built = self.built
        loop, leadership = built.loop, built.loop.leadership
        every = built.policies.current().every
        return Standing(
            version=__version__,
            turn_age_s=time.monotonic() - (built.turned_at or self.started),
            turn_every_s=built.world.tick_every_s,
            leads=None if leadership is None else leadership.leader,
            epoch=0 if leadership is None else leadership.epoch,
            unanswered=len(loop.unanswered),
            policies=Counter((one.key.split("/", 1)[0], _mode(one)) for one in every),
            problems=len(built.policies.problems),
            audit=self.audit,
        )

    def money(self) -> MoneyNumbers:
        """Return what was spent."""
        ledger, books = self.built.ledger, self.built.books
        budgets = {} if books is None else books.latest
        return MoneyNumbers(actual_usd=ledger.actual_usd, static_usd=ledger.static_usd, budgets=budgets)

    def check_audit(self) -> None:
        """Check the whole audit chain once a day; raise StoreUnavailable."""
        now = self.built.world.present()
        if self.audit is not None and 0.0 <= now - self.audit.at < AUDIT_CHECK_S:
            return
        found = checked(self.built.store, (), known_keys(self.built.settings.audit))
        self.audit = AuditSeen(whole=bool(found["whole"]), records=int(found["records"]), at=now)
        if not self.audit.whole:
            _LOG.error("audit_chain_broken", extra={"said": found["said"], "first": found["first_broken"]})

    def _led(self) -> LoopState | None:
        """Return what is carried from turn to turn, None while another process leads."""
        leadership = self.built.loop.leadership
        return self.built.loop.state if leadership is not None and leadership.leader else None


def _mode(policy: object) -> str:
    """Return how far a policy may go, '' for a kind that never acts."""
    return policy.reach.value if isinstance(policy, ScalingPolicy) else str(getattr(policy, "mode", ""))


def left_behind(mode: Mode, effects: Iterable[Effect]) -> list[str]:
    """Return what stands of ours in the clusters where the daemon may write nothing any more, so that it stays (S9)."""
    if mode.rank >= Mode.APPROVE.rank:
        return []
    return [f"{one.object} {one.attribute} {one.written} (was {one.original})" for one in effects]
