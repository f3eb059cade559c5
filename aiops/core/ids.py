"""Ids: ULIDs whose time is the tick's and whose rest is hashed, so that the same tick makes the same ids."""

from __future__ import annotations

import hashlib

from aiops.core.model import Instant

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_CHARS, _RANDOM_CHARS = 10, 16


def ulid(at: Instant, *parts: str) -> str:
    """Return the ULID (26 characters of Crockford's base 32) of an instant and the words that tell its owner apart.

    >>> ulid(0.0, "a") == ulid(0.0, "a") != ulid(0.0, "b")
    True
    >>> ulid(1.0, "z") < ulid(2.0, "a")
    True
    """
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=10).digest()
    return _base32(round(at * 1000), _TIME_CHARS) + _base32(int.from_bytes(digest, "big"), _RANDOM_CHARS)


def digest(text: str) -> str:
    """Return a short stable hash of a text: 16 hex digits."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _base32(number: int, length: int) -> str:
    out = []
    for _ in range(length):
        number, rest = divmod(number, 32)
        out.append(_CROCKFORD[rest])
    return "".join(reversed(out))
