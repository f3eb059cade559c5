"""Browsers that have signed in: an unguessable cookie, of which only the digest is kept.

SHA-256 without salt or stretching is right for 256 random bits: nobody can try them all, and no two are the same; what
is slow to compute protects words that people make up, which are never kept here.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from aiops.core.model.access import KeptSession
from aiops.web.locks.digests import csrf, digest
from aiops.web.locks.roles import How, Principal, Role

BYTES = 32
SEEN_EVERY_S = 60.0
"""How often it is written down that a session is in use."""


class SessionKeeper(Protocol):
    """Keeps sessions, for all replicas."""

    def add(self, session: KeptSession) -> None:
        """Keep one."""
        ...

    def get(self, digest: str) -> KeptSession | None:
        """Return one, unless it has ended."""
        ...

    def seen(self, digest: str, at: float) -> None:
        """Write that it is in use."""
        ...

    def end(self, digest: str) -> None:
        """Forget one."""
        ...


class MemorySessions:
    """Sessions of this process alone."""

    def __init__(self) -> None:
        self._kept: dict[str, KeptSession] = {}
        self._lock = threading.Lock()

    def add(self, session: KeptSession) -> None:
        """Keep one."""
        with self._lock:
            self._kept[session.digest] = session

    def get(self, digest: str) -> KeptSession | None:
        """Return one, unless it has ended."""
        return self._kept.get(digest)

    def seen(self, digest: str, at: float) -> None:
        """Write that it is in use."""
        with self._lock:
            if digest in self._kept:
                self._kept[digest] = replace(self._kept[digest], seen_at=at)

    def end(self, digest: str) -> None:
        """Forget one."""
        with self._lock:
            self._kept.pop(digest, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that is in force. csrf: what its changes must show."""

    principal: Principal
    csrf: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Begins, finds and ends sessions. idle_s: one that is not used for so long ends; longest_s: every one then."""

    keeper: SessionKeeper = field(default_factory=MemorySessions)
    idle_s: float = 1800.0
    longest_s: float = 12 * 3600.0
    now: Callable[[], float] = time.time  # noqa: TID251 -- people's clock, which a test replaces

    def begin(self, principal: Principal) -> str:
        """Return the cookie of a new session, which does not outlast the credential that it came by."""
        cookie, at, until = secrets.token_urlsafe(BYTES), self.now(), principal.expires_at
        expires_at = at + self.longest_s if until is None else min(at + self.longest_s, until)
        self.keeper.add(
            KeptSession(
                digest=digest(cookie),
                principal=principal.name,
                role=principal.role.value,
                how=principal.how.value,
                key=principal.key,
                shared=principal.shared,
                created_at=at,
                seen_at=at,
                expires_at=expires_at,
            )
        )
        return cookie

    def find(self, cookie: str) -> Session | None:
        """Return the session of a cookie, None when there is none in force."""
        name, at = digest(cookie), self.now()
        kept = self.keeper.get(name)
        if kept is None:
            return None
        if at >= kept.expires_at or at >= kept.seen_at + self.idle_s:
            self.keeper.end(name)
            return None
        if at - kept.seen_at >= min(SEEN_EVERY_S, self.idle_s / 2):
            self.keeper.seen(name, at)
        principal = Principal(
            name=kept.principal, role=Role(kept.role), how=How.SESSION, key=kept.key, shared=kept.shared
        )
        return Session(principal=principal, csrf=csrf(cookie), expires_at=kept.expires_at)

    def end(self, cookie: str) -> None:
        """End the session of a cookie."""
        self.keeper.end(digest(cookie))
