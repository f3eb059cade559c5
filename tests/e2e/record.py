"""What the journals of daemons say, read from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import inspect, select, text

from aiops.adapters.store import Store
from aiops.adapters.store.rows import unpacked
from aiops.adapters.store.tables import ACTIONS, DECISIONS, DOCUMENTS, OUTCOMES
from aiops.core.model import Action, Decision
from aiops.core.policies import ScalingPolicy
from aiops.core.record.codec import from_text
from aiops.policy import recompile


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One epoch, as it was claimed in the journal."""

    epoch: int
    holder: str
    at: float


@dataclass(slots=True, kw_only=True)
class Record:
    """What journals say. statuses, outcomes: by action id. policies: by digest, as decisions were made with them."""

    actions: dict[str, Action] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    claims: dict[int, Claim] = field(default_factory=dict)
    policies: dict[str, ScalingPolicy] = field(default_factory=dict)

    @classmethod
    def of(cls, *urls: str) -> Record:
        """Return what the stores hold now, beside daemons that write."""
        made = cls()
        made.read(*urls)
        return made

    def read(self, *urls: str) -> None:
        """Take in what the stores hold now; what they have forgotten since is kept."""
        for url in urls:
            store = Store.existing(url)
            try:
                self._read(store)
            finally:
                store.close()

    def _read(self, store: Store) -> None:
        with store.engine.connect() as connection:
            for row in connection.execute(select(ACTIONS.c.id, ACTIONS.c.status, ACTIONS.c.body)):
                self.statuses[row.id] = row.status
                if row.id not in self.actions:
                    self.actions[row.id] = from_text(unpacked(row.body), Action)
            for row in connection.execute(select(OUTCOMES.c.action_id, OUTCOMES.c.kind).order_by(OUTCOMES.c.at)):
                self.outcomes[row.action_id] = row.kind
            acting = select(DECISIONS.c.id, DECISIONS.c.body).where(DECISIONS.c.action_id.is_not(None))
            for row in connection.execute(acting):
                if row.id not in self.decisions:
                    self.decisions[row.id] = from_text(unpacked(row.body), Decision)
            for row in connection.execute(select(DOCUMENTS.c.digest, DOCUMENTS.c.body)):
                policy = _recompiled(row.body)
                if isinstance(policy, ScalingPolicy):
                    self.policies[row.digest] = policy
            if inspect(connection).has_table("claims"):
                for row in connection.execute(text("SELECT epoch, holder, at FROM claims")):
                    self.claims[row.epoch] = Claim(epoch=row.epoch, holder=row.holder, at=row.at)


_recompiled = cache(recompile)
