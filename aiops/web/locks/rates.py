"""How often somebody may call: by address before it is known who calls, by principal after, and failures most strictly.

The counts are this process's: they protect it, and share nothing with other replicas.
"""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass, field
from enum import StrEnum

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

_IPV6_NET = 64
"""Somebody who has one IPv6 address has the 2**64 beside it, too."""


class Kind(StrEnum):
    """What is counted."""

    ADDRESS = "address"
    READ = "read"
    WRITE = "write"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many a minute: requests of an address, reads and writes of a principal, failed credentials of an address."""

    address: int = 3000
    read: int = 1200
    write: int = 240
    failed: int = 20

    def of(self, kind: Kind) -> RateLimitItem:
        """Return the limit of a kind."""
        return RateLimitItemPerMinute(int(getattr(self, kind.value)), namespace=kind.value)


@dataclass(frozen=True, slots=True)
class Rates:
    """Counts. It is safe to be used by several threads."""

    limits: Limits = field(default_factory=Limits)
    _counter: SlidingWindowCounterRateLimiter = field(
        default_factory=lambda: SlidingWindowCounterRateLimiter(MemoryStorage())
    )

    def take(self, kind: Kind, whose: str) -> float | None:
        """Count one; return None when it is allowed, else after how many seconds to come again."""
        limit = self.limits.of(kind)
        return None if self._counter.hit(limit, whose) else self._wait_s(limit, whose)

    def full(self, kind: Kind, whose: str) -> float | None:
        """Return after how many seconds to come again when no more is allowed, counting nothing; else None."""
        limit = self.limits.of(kind)
        return None if self._counter.test(limit, whose) else self._wait_s(limit, whose)

    def _wait_s(self, limit: RateLimitItem, whose: str) -> float:
        reset = self._counter.get_window_stats(limit, whose).reset_time
        return max(1.0, reset - time.time())  # noqa: TID251 -- the library counts on the wall clock


def place_of(address: str) -> str:
    """Return whose count an address adds to: itself, or the network of an IPv6 address.

    >>> place_of("192.0.2.7"), place_of("2001:db8::7"), place_of("")
    ('192.0.2.7', '2001:db8::/64', 'unknown')
    """
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    mapped = getattr(known, "ipv4_mapped", None)
    if known.version == 4 or mapped is not None:
        return str(mapped or known)
    return str(ipaddress.ip_network((known, _IPV6_NET), strict=False))
