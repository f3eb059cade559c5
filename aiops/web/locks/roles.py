"""Roles, in order, and who has one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiops.errors import InvalidInput


class Role(StrEnum):
    """What somebody may: each role what those before it may, and more.

    public: anybody. hook: nothing but what one door is for, such as telling alerts. viewer: look. author: rehearse.
    operator: pause, approve, order, release, promote. admin: give access, force, take the audit log out.
    """

    PUBLIC = "public"
    HOOK = "hook"
    VIEWER = "viewer"
    AUTHOR = "author"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Return its place in the order."""
        return list(Role).index(self)


GIVEN = (Role.VIEWER, Role.AUTHOR, Role.OPERATOR, Role.ADMIN)
"""The roles that can be given to somebody."""


class How(StrEnum):
    """How somebody showed who they are."""

    LOOPBACK = "loopback"
    SETTING = "setting"
    TOKEN = "token"  # noqa: S105 -- a word, no secret
    SESSION = "session"
    OIDC = "oidc"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls. name: one person or program, the same in every process. key: the credential, for what is to end it.

    shared: several people may stand behind it, so that it counts as one of them and never as two. expires_at: when the
    credential ends, None for never.
    """

    name: str
    role: Role
    how: How
    key: str = ""
    shared: bool = False
    expires_at: float | None = None

    def may(self, role: Role) -> bool:
        """Return whether this role is enough for a door; that of a hook is for its own role, or for who may steer."""
        if role is Role.HOOK:
            return self.role is Role.HOOK or self.role.rank >= Role.OPERATOR.rank
        return self.role.rank >= role.rank


def given_role(text: str) -> Role:
    """Return a role that can be given; raise InvalidInput, which lists them."""
    if text in GIVEN:
        return Role(text)
    raise InvalidInput(f"role: {text!r} is not one of {', '.join(GIVEN)}")
