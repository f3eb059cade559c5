"""Bearer tokens: made once, shown once, kept as a digest.

A token is `aiops_` and 256 random bits. What is kept is its SHA-256, without salt or stretching: these protect words
that people make up, which somebody could try one after the other; of 2**256 tokens nobody can try a part that counts,
no two are equal, and a digest that is looked up by an index costs a request microseconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiops.core.ids import ulid
from aiops.core.model.access import KeptToken
from aiops.core.record.story import stamp
from aiops.errors import InvalidInput
from aiops.web.locks.digests import digest
from aiops.web.locks.roles import How, Principal, Role, given_role

if TYPE_CHECKING:
    from aiops.adapters.store.access import Access

PREFIX = "aiops_"
"""By which secret scanners know one."""

BYTES = 32
LONGEST_NAME = 64
RESERVED = ("loopback", "token", "alertmanager", "loop")
OTHERS = ("oidc:", "kubernetes:", "system:")
"""Who is not known by a token: nobody is to be mistaken for them."""

_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@:/")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one store. now: people's clock."""

    kept: Access
    now: Callable[[], float]

    def create(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Make a token and return it, this once, with what is kept of it. Fields: name, role, by, for_s.

        Raises InvalidInput. for_s: how long it is in force; for ever without.
        """
        name, role, for_s = str(wish.get("name") or ""), given_role(str(wish.get("role") or "")), wish.get("for_s")
        if not 0 < len(name) <= LONGEST_NAME or not _NAME_LETTERS.issuperset(name):
            raise InvalidInput(f"name: {name!r} is no name of up to {LONGEST_NAME} letters, digits and -_.@:/")
        if name in RESERVED or name.startswith(OTHERS):
            raise InvalidInput(f"name: {name} is the name of somebody who shows no token")
        if for_s is not None and not (isinstance(for_s, int | float) and for_s > 0):
            raise InvalidInput(f"for_s: {for_s!r} is no time in seconds")
        secret, at = PREFIX + secrets.token_urlsafe(BYTES), self.now()
        token = KeptToken(
            id=ulid(at, "token", name, role.value, digest(secret)),
            name=name,
            role=role.value,
            digest=digest(secret),
            created_at=at,
            created_by=str(wish.get("by") or "")[:256],
            expires_at=None if for_s is None else at + for_s,
        )
        self.kept.add_token(token)
        return {**self._row(token), "token": secret}

    def listed(self) -> list[dict[str, Any]]:
        """Return every token, the newest first, without what it is."""
        return [self._row(one) for one in self.kept.tokens()]

    def revoke(self, token: str, by: str) -> dict[str, Any]:
        """Take a token back, by its id, the beginning of it, or its name; raise NotFound or InvalidInput."""
        gone = self.kept.revoke_token(token, by, self.now())
        return {"id": gone.id, "name": gone.name, "role": gone.role, "state": "revoked"}

    def principal(self, bearer: str) -> Principal | None:
        """Return whose token it is, None when it is none that is in force."""
        if not bearer.startswith(PREFIX):
            return None
        kept = self.kept.token_of(digest(bearer), self.now())
        if kept is None:
            return None
        return Principal(name=kept.name, role=Role(kept.role), how=How.TOKEN, key=kept.id, expires_at=kept.expires_at)

    def _row(self, one: KeptToken) -> dict[str, Any]:
        at = self.now()
        state = "valid" if one.valid(at) else "revoked" if one.revoked_at is not None else "expired"
        return {
            "id": one.id,
            "name": one.name,
            "role": one.role,
            "state": state,
            "created_at": stamp(one.created_at),
            "created_by": one.created_by,
            "expires_at": None if one.expires_at is None else stamp(one.expires_at),
            "used_at": None if one.used_at is None else stamp(one.used_at),
        }
