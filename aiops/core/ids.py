"""Ids: ULIDs whose time is the tick's and whose rest is hashed, so that the same tick makes the same ids."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from aiops.core.model import Instant

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(one + other for one in _CROCKFORD for other in _CROCKFORD)
"""Two digits of base 32 at once, by the ten bits that they stand for."""


def ulid(at: Instant, *parts: str) -> str:
    """Return the ULID (26 characters of Crockford's base 32) of an instant and the words that tell its owner apart.

    >>> ulid(0.0, "a") == ulid(0.0, "a") != ulid(0.0, "b")
    True
    >>> ulid(1.0, "z") < ulid(2.0, "a")
    True
    """
    hashed = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=10).digest()
    high, low = int.from_bytes(hashed[:5]), int.from_bytes(hashed[5:])
    return f"{_time(at)}{_eight(high)}{_eight(low)}"


def digest(text: str) -> str:
    """Return a short stable hash of a text: 16 hex digits."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=16)
def _time(at: Instant) -> str:
    """Return the ten digits of base 32 of an instant in milliseconds."""
    number = round(at * 1000)
    return _PAIRS[number >> 40 & 1023] + _eight(number & (1 << 40) - 1)


def _eight(number: int) -> str:
    """Return eight digits of base 32 of a number of 40 bits."""
    return _PAIRS[number >> 30] + _PAIRS[number >> 20 & 1023] + _PAIRS[number >> 10 & 1023] + _PAIRS[number & 1023]
