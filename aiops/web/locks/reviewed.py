"""Tokens of Kubernetes: its API server says whose one is, and what role they have here."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from aiops.errors import NoPermission
from aiops.web.locks.digests import digest
from aiops.web.locks.roles import GIVEN, How, Principal, Role

KNOWN_S, UNKNOWN_S = 60.0, 10.0
"""How long an answer counts: as long as that a token which was taken back still opens."""

MOST = 4096
OURS = "aiops_"
"""How tokens of this program begin, which are no other's business."""


class User(Protocol):
    """Whose a token is."""

    @property
    def username(self) -> str:
        """Return who it is."""
        ...

    @property
    def groups(self) -> tuple[str, ...]:
        """Return of which groups."""
        ...


class Reviewer(Protocol):
    """An API server that is asked."""

    def review(self, token: str) -> User | None:
        """Return whose token it is, None when it is not valid; raise PortError."""
        ...

    def may_use(self, user: User, role: str) -> bool:
        """Return whether somebody may `use` a role of access.aiops; raise PortError."""
        ...


def by_groups(roles: Mapping[Role, frozenset[str]]) -> Callable[[User], Role | None]:
    """Return who takes the role from groups."""

    def role(user: User) -> Role | None:
        found = [one for one, groups in roles.items() if not groups.isdisjoint(user.groups)]
        return max(found, key=lambda one: one.rank, default=None)

    return role


def by_review(reviewer: Reviewer) -> Callable[[User], Role | None]:
    """Return who asks the API server for the role: from the highest, so that most are asked for once."""

    def role(user: User) -> Role | None:
        return next((one for one in reversed(GIVEN) if reviewer.may_use(user, one.value)), None)

    return role


@dataclass(slots=True)
class Reviewed:
    """Knows tokens of Kubernetes. clock: monotonic, for the age of answers, which are kept by digest."""

    reviewer: Reviewer
    role_of: Callable[[User], Role | None]
    clock: Callable[[], float] = time.monotonic
    _known: OrderedDict[str, tuple[float, Principal | NoPermission | None]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def principal(self, bearer: str) -> Principal | None:
        """Return whose token it is; raise NoPermission for a valid one without a role, PortError with no answer."""
        if bearer.startswith(OURS):
            return None
        key = digest(bearer)
        with self._lock:
            until, found = self._known.get(key, (0.0, None))
            fresh = self.clock() < until
        if not fresh:
            found = self._asked(bearer)
            with self._lock:
                self._known[key] = (self.clock() + (KNOWN_S if isinstance(found, Principal) else UNKNOWN_S), found)
                self._known.move_to_end(key)
                while len(self._known) > MOST:
                    self._known.popitem(last=False)
        if isinstance(found, NoPermission):
            raise NoPermission(str(found))
        return found

    def _asked(self, bearer: str) -> Principal | NoPermission | None:
        user = self.reviewer.review(bearer)
        if user is None:
            return None
        role = self.role_of(user)
        if role is None:
            return NoPermission(f"{user.username} has no role here: see docs/security.md, Kubernetes")
        return Principal(name=f"kubernetes:{user.username}"[:256], role=role, how=How.KUBERNETES, key="kubernetes")
