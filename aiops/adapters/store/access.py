"""Who was given access: tokens by their digest, and the browsers that have signed in."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select, update

from aiops.adapters.store.access_tables import SESSIONS, TOKENS
from aiops.adapters.store.audit import chain
from aiops.adapters.store.database import translated, writing
from aiops.core.model import Instant
from aiops.core.model.access import KeptSession, KeptToken
from aiops.core.record.audit import AuditKind, Entry
from aiops.errors import Conflict, NotFound, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine

_LOG = logging.getLogger("aiops.store")
USED_EVERY_S = 60.0
"""How often it is written that a token was used."""


class Access:
    """Reads and writes of tokens and sessions; who gives or takes one is recorded in the same transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- tokens ----------------------------------------------------------------------------------------

    def tokens(self) -> tuple[KeptToken, ...]:
        """Return every token, the newest first."""
        query = select(TOKENS).order_by(TOKENS.c.created_at.desc(), TOKENS.c.id)
        with translated("the tokens cannot be read"), self._engine.connect() as connection:
            return tuple(KeptToken(**row) for row in connection.execute(query).mappings())

    def add_token(self, token: KeptToken) -> None:
        """Keep a token; raise Conflict when one of its name is in force."""
        with translated("the token cannot be written"), writing(self._engine) as connection:
            chain(connection, ())  # holds off who gives one of the same name meanwhile
            same = select(TOKENS.c.id, TOKENS.c.expires_at).where(
                TOKENS.c.name == token.name, TOKENS.c.revoked_at.is_(None)
            )
            standing = [
                row.id
                for row in connection.execute(same)
                if row.expires_at is None or row.expires_at > token.created_at
            ]
            if standing:
                raise Conflict(f"name: there is a token {token.name} already ({standing[0]}): revoke it first")
            connection.execute(insert(TOKENS), [asdict(token)])
            chain(connection, [_given(token)])

    def revoke_token(self, prefix: str, by: str, at: Instant) -> KeptToken:
        """Take a token back, and end the sessions that came by it; raise NotFound or Conflict."""
        with translated("the token cannot be taken back"), writing(self._engine) as connection:
            begins = TOKENS.c.id.startswith(prefix.upper(), autoescape=True)
            standing = and_(TOKENS.c.revoked_at.is_(None), or_(TOKENS.c.expires_at.is_(None), TOKENS.c.expires_at > at))
            meant = select(TOKENS).where(standing, or_(begins, TOKENS.c.name == prefix))
            found = [KeptToken(**row) for row in connection.execute(meant.limit(2)).mappings()]
            if len(found) > 1:
                raise Conflict(f"{prefix} could be {', '.join(one.id for one in found)}: give more of the id")
            if not found:
                raise NotFound(f"there is no token {prefix} in force")
            connection.execute(update(TOKENS).where(TOKENS.c.id == found[0].id).values(revoked_at=at))
            connection.execute(delete(SESSIONS).where(SESSIONS.c.key == found[0].id))
            chain(connection, [_taken(found[0], by, at)])
            return found[0]

    def token_of(self, digest: str, at: Instant) -> KeptToken | None:
        """Return the token of a digest when it is in force, and note that it is used."""
        query = select(TOKENS).where(TOKENS.c.digest == digest)
        with translated("the token cannot be looked up"), self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        kept = None if row is None else KeptToken(**row)
        if kept is None or not kept.valid(at):
            return None
        if kept.used_at is None or at - kept.used_at >= USED_EVERY_S:
            self._note(update(TOKENS).where(TOKENS.c.id == kept.id).values(used_at=at))
        return kept

    # -- sessions --------------------------------------------------------------------------------------

    def add(self, session: KeptSession) -> None:
        """Keep a session, and forget those that are over."""
        over = delete(SESSIONS).where(SESSIONS.c.expires_at <= session.created_at)
        with translated("the session cannot be written"), self._engine.begin() as connection:
            connection.execute(over)
            connection.execute(insert(SESSIONS), [asdict(session)])

    def get(self, digest: str) -> KeptSession | None:
        """Return the session of a digest."""
        query = select(SESSIONS).where(SESSIONS.c.digest == digest)
        with translated("the session cannot be read"), self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else KeptSession(**row)

    def seen(self, digest: str, at: Instant) -> None:
        """Write that a session is in use."""
        self._note(update(SESSIONS).where(SESSIONS.c.digest == digest).values(seen_at=at))

    def end(self, digest: str) -> None:
        """Forget a session."""
        with translated("the session cannot be ended"), self._engine.begin() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == digest))

    def _note(self, statement: Any) -> None:
        """Note a use; a store that takes no more shuts nobody out, who may have come to put that right."""
        try:
            with translated("the use cannot be noted"), self._engine.begin() as connection:
                connection.execute(statement)
        except StoreUnavailable as err:
            _LOG.warning("use_not_noted", extra={"reason": str(err)})


def _given(token: KeptToken) -> Entry:
    until = "for ever" if token.expires_at is None else "for a time"
    return Entry(
        at=token.created_at,
        kind=AuditKind.TOKEN,
        by=token.created_by,
        subject=token.name,
        ref=token.id,
        did="created",
        after=token.role,
        said=f"{token.created_by} gave {token.name} the role {token.role} {until}",
        detail={"expires_at": token.expires_at},
    )


def _taken(token: KeptToken, by: str, at: Instant) -> Entry:
    return Entry(
        at=at,
        kind=AuditKind.TOKEN,
        by=by,
        subject=token.name,
        ref=token.id,
        did="revoked",
        before=token.role,
        said=f"{by} took the role {token.role} from {token.name}",
    )
