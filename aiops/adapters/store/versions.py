"""What the record knows of versions of policies: which ran last, for how long, and what each decided when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from aiops.adapters.store.database import translated
from aiops.adapters.store.rows import unpacked
from aiops.adapters.store.tables import DECISIONS, DOCUMENTS, INPUTS
from aiops.core.model import Instant, PolicyKey

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest decision of a policy. digest: of the document by which it was made."""

    policy: PolicyKey
    at: Instant
    until: Instant
    digest: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was decided by one document: so many ticks, in so many records, by verdict and reason."""

    digest: str
    verdict: str
    reason: str
    dry_run: bool
    records: int
    ticks: int
    first_at: Instant
    last_at: Instant


class Versions:
    """Reads of decisions by policy and by document."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def latest(self) -> tuple[Latest, ...]:
        """Return the newest decision of each policy that ever decided, those of versions beside it, too."""
        newest = select(DECISIONS.c.policy, func.max(DECISIONS.c.at).label("at")).group_by(DECISIONS.c.policy)
        last = newest.subquery()
        columns = [DECISIONS.c[name] for name in ("policy", "at", "until", "policy_digest", "target")]
        query = select(*columns).join(last, (DECISIONS.c.policy == last.c.policy) & (DECISIONS.c.at == last.c.at))
        with translated("the decisions cannot be read"), self._engine.connect() as connection:
            rows = connection.execute(query.order_by(DECISIONS.c.policy)).all()
        found = {row.policy: row for row in rows}
        return tuple(
            Latest(policy=row.policy, at=row.at, until=row.until, digest=row.policy_digest, target=row.target)
            for row in found.values()
        )

    def since(self, policies: Sequence[PolicyKey]) -> dict[PolicyKey, Instant]:
        """Return since when each policy has decided, as far as the record goes back."""
        first = select(DECISIONS.c.policy, func.min(DECISIONS.c.at)).group_by(DECISIONS.c.policy)
        with translated("the decisions cannot be read"), self._engine.connect() as connection:
            rows = connection.execute(first.where(DECISIONS.c.policy.in_(policies)))
            return {row[0]: float(row[1]) for row in rows}

    def documents(self, kind: str, namespace: str) -> dict[str, str]:
        """Return the documents of a kind in a namespace, by their digests."""
        theirs = DOCUMENTS.c.policy.startswith(f"{kind}/{namespace}/")
        query = select(DOCUMENTS.c.digest, DOCUMENTS.c.body).where(theirs)
        with translated("the policies cannot be read"), self._engine.connect() as connection:
            return {row.digest: str(row.body) for row in connection.execute(query)}

    def tallies(self, digests: Sequence[str]) -> tuple[Tally, ...]:
        """Return what was decided by documents."""
        group = (DECISIONS.c.policy_digest, DECISIONS.c.verdict, DECISIONS.c.reason, DECISIONS.c.dry_run)
        counts = (func.count(), func.sum(DECISIONS.c.ticks), func.min(DECISIONS.c.at), func.max(DECISIONS.c.until))
        query = select(*group, *counts).where(DECISIONS.c.policy_digest.in_(digests)).group_by(*group)
        with translated("the decisions cannot be read"), self._engine.connect() as connection:
            return tuple(
                Tally(
                    digest=row[0],
                    verdict=row[1],
                    reason=row[2],
                    dry_run=bool(row[3]),
                    records=int(row[4]),
                    ticks=int(row[5]),
                    first_at=float(row[6]),
                    last_at=float(row[7]),
                )
                for row in connection.execute(query)
            )

    def decided(self, policy: PolicyKey, since: Instant, until: Instant) -> list[tuple[dict[str, Any], Instant]]:
        """Return what a policy decided in a time, in order, as the record codec wrote it, with until when it stood.

        Plain, since there are thousands of them and little of each is looked at.
        """
        within = (DECISIONS.c.policy == policy, DECISIONS.c.until >= since, DECISIONS.c.at <= until)
        query = select(DECISIONS.c.body, DECISIONS.c.until).where(*within).order_by(DECISIONS.c.at)
        with translated("the decisions cannot be read"), self._engine.connect() as connection:
            return [(json.loads(unpacked(row.body)), float(row.until)) for row in connection.execute(query)]

    def last_inputs(self, policy: PolicyKey) -> str | None:
        """Return the newest inputs of a policy that were kept, None without any."""
        query = select(INPUTS.c.body).join(DECISIONS, DECISIONS.c.id == INPUTS.c.decision_id)
        query = query.where(DECISIONS.c.policy == policy).order_by(DECISIONS.c.at.desc()).limit(1)
        with translated("the inputs cannot be read"), self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else unpacked(row.body)
