"""Who was given access: tokens and sessions, as they are kept. Neither is kept in clear, only the digest of each."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model.names import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptToken:
    """A bearer token. digest: SHA-256 of it, in hex. expires_at and revoked_at: None for never."""

    id: str
    name: str
    role: str
    digest: str
    created_at: Instant
    created_by: str
    expires_at: Instant | None = None
    revoked_at: Instant | None = None
    used_at: Instant | None = None

    def valid(self, at: Instant) -> bool:
        """Return whether it opens anything at a time."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSession:
    """A browser that has signed in. digest: SHA-256 of its cookie. key: the credential that it came by."""

    digest: str
    principal: str
    role: str
    how: str
    key: str
    shared: bool
    created_at: Instant
    seen_at: Instant
    expires_at: Instant
