"""What the gate knows: who is believed, where from, how often."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter

from aiops.web.locks.rates import Rates
from aiops.web.locks.roles import How, Principal, Role
from aiops.web.locks.sessions import Sessions

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
LOOPBACK = Principal(name="loopback", role=Role.ADMIN, how=How.LOOPBACK, shared=True)
"""Whoever calls a daemon that asks nobody who they are: it serves loopback only."""


class Verifier(Protocol):
    """Knows one kind of credential."""

    def principal(self, bearer: str) -> Principal | None:
        """Return whose credential it is, None when it is not one of this kind, is over or was taken back."""
        ...


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A token that the settings name: one principal, which several people may share."""

    token: str = field(repr=False)
    as_who: Principal

    def principal(self, bearer: str) -> Principal | None:
        """Return the principal; compared in constant time."""
        same = hmac.compare_digest(bearer.encode(), self.token.encode())
        return self.as_who if same and self.token else None


class TokenFile:
    """A token in a file, which is read again when it changes; while there is none, nobody is known by it."""

    def __init__(self, file: Path, as_who: Principal) -> None:
        self._file = file
        self._as_who = as_who
        self._known: tuple[tuple[float, int, int], str] | None = None

    def principal(self, bearer: str) -> Principal | None:
        """Return the principal; compared in constant time."""
        return FixedToken(self._token(), self._as_who).principal(bearer)

    def _token(self) -> str:
        try:
            found = self._file.stat()
            stamp = (found.st_mtime, found.st_ino, found.st_size)
            if self._known is None or self._known[0] != stamp:
                self._known = (stamp, self._file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError):
            return ""
        return self._known[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """How the doors are locked.

    verifiers: in the order in which they are asked; without any, everybody on loopback is let in. hook: may tell
    alerts and nothing else. hosts: names by which the daemon is called; any with none, where callers show who they are.
    secure: browsers come over TLS. sign_on: the path at which a provider's login begins, '' without one.
    entrances: ways in beside a token.
    """

    verifiers: Sequence[Verifier] = ()
    hook: Verifier | None = None
    sessions: Sessions = field(default_factory=Sessions)
    rates: Rates = field(default_factory=Rates)
    hosts: frozenset[str] = frozenset()
    secure: bool = False
    entrances: Sequence[Entrance] = ()
    sign_on: str = ""
    tell: Callable[[Knock], None] = lambda _: None

    @property
    def open(self) -> bool:
        """Return whether nobody is asked who they are."""
        return not self.verifiers

    def known_host(self, host: str) -> bool:
        """Return whether a Host header names this daemon, so that no foreign page reaches it by a name of its own."""
        name = host_name(host)
        if name in LOCAL_HOSTS or name in self.hosts:
            return True
        return bool(name) and not self.open and not self.hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """Something at the doors that is to be remembered: somebody came, went, or was not let in."""

    did: str
    by: str
    address: str
    said: str


def fixed(token: str, webhook_token: str = "") -> Doors:
    """Return doors with one token for everything, and one for alerts alone; '' is none."""
    admin = Principal(name="token", role=Role.ADMIN, how=How.SETTING, key="setting", shared=True)
    hook = Principal(name="alertmanager", role=Role.HOOK, how=How.SETTING, shared=True)
    return Doors(
        verifiers=(FixedToken(token, admin),) if token else (),
        hook=FixedToken(webhook_token, hook) if webhook_token else None,
    )


def host_name(host: str) -> str:
    """Return the name in a Host header without its port, '' for what is none.

    >>> host_name("[::1]:8080"), host_name("aiops.example:443"), host_name("a b"), host_name("Localhost")
    ('::1', 'aiops.example', '', 'localhost')
    """
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        return name.lower() if not rest or rest.startswith(":") else ""
    name, _, port = host.partition(":")
    plain = name.replace("-", "").replace(".", "").replace("_", "").isalnum() and name.isascii()
    return name.lower() if plain and (not port or port.isdecimal()) else ""


Entrance = Callable[[Doors], APIRouter]
"""Returns routes by which somebody comes in."""
