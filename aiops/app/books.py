"""The books of a daemon: counted in memory, written once a minute, read back by whoever begins to lead."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiops.app.costing.budgets import stood, told
from aiops.core.model import BudgetStanding, Finding, Instant, PolicyKey
from aiops.core.money.books import Books
from aiops.core.money.metering import Turned
from aiops.core.policies import PolicySet
from aiops.errors import StoreUnavailable

if TYPE_CHECKING:
    from aiops.adapters.store import Store

_LOG = logging.getLogger("aiops.books")
WRITE_S = 60.0
"""So much is lost at most when the process dies; the time until the next one looks is a gap."""


@dataclass(slots=True)
class StoredBooks:
    """ports.Books over a store. epoch: under which is written, None while none was claimed.

    latest: how budgets stood at the last turn; replaced as a whole, so that other threads may read it.
    """

    store: Store
    rates: Mapping[str, float]
    epoch: Callable[[], int | None] = lambda: None
    books: Books = field(default_factory=Books)
    latest: Mapping[PolicyKey, BudgetStanding] = field(default_factory=dict)
    _loaded: bool = False
    _recalled: bool = False
    _policies: PolicySet = field(default_factory=lambda: PolicySet(digest=""))
    _written_at: Instant = -math.inf

    def standings(self, policies: PolicySet, at: Instant) -> Mapping[PolicyKey, BudgetStanding]:
        """Return how each CostBudget stands; nothing while what was spent before cannot be read."""
        if not policies.budgets or not self._recall(at):
            self.latest = {}
            return {}
        self.latest = self.books.standings(policies, at)
        return self.latest

    def overruns(self, policies: PolicySet, standings: Mapping[PolicyKey, BudgetStanding]) -> tuple[Finding, ...]:
        """Return what is found of budgets that will be overrun."""
        return self.books.overruns(policies, standings) if standings else ()

    def note(self, turned: Turned) -> None:
        """Count the time since the last turn, and write once a minute."""
        at = turned.snapshot.at
        if not self._load(at):
            return
        self.books.note(turned)
        if not 0.0 <= at - self._written_at < WRITE_S:
            self._policies = turned.policies
            self.write(at)

    def told(self, policies: PolicySet, at: Instant) -> list[dict[str, Any]]:
        """Return how budgets stand, as plain data."""
        return told(self.books, policies, self.standings(policies, at))

    def stand_by(self) -> None:
        """Forget what was counted: who leads now has it, and whoever leads next reads it."""
        self._loaded = False

    def write(self, at: Instant) -> None:
        """Write what changed; what cannot be written now is written the next time."""
        if not self._loaded:
            return
        accounts, ledger = self.books.accounts, self.books.ledger
        try:
            self.store.costs.write(accounts.taken(), ledger.changed.values(), self.epoch())
            if self._policies.budgets or self.store.costs.budgets():
                self.store.costs.write_budgets(self.told(self._policies, at), self.epoch())
        except StoreUnavailable as err:
            _LOG.warning("spend_not_written", extra={"reason": str(err)})
            return
        accounts.written(at)
        ledger.changed = {}
        self._written_at = at

    def _load(self, at: Instant) -> bool:
        """Return whether what was spent before is known; read it where it is not."""
        if self._loaded:
            return True
        try:
            kept = self.store.costs.kept(at)
        except StoreUnavailable as err:
            _LOG.warning("spend_not_read", extra={"reason": str(err)})
            return False
        self.books = Books(rates=self.rates)
        self.books.adopt(kept, at)
        self._loaded, self._recalled, self._written_at = True, False, at
        return True

    def _recall(self, at: Instant) -> bool:
        """Return whether the past weeks are known, which only budgets ask for; read them where they are not."""
        if not self._load(at):
            return False
        if not self._recalled:
            try:
                self.books.history.fill(self.store.costs.past(at))
                self.books.resume(stood(self.store.costs.budgets()))
            except StoreUnavailable as err:
                _LOG.warning("spend_not_read", extra={"reason": str(err)})
                return False
            self.books.recount()
            self._recalled = True
        return True
