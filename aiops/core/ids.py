"""Ids: ULIDs whose time is the tick's and whose rest is hashed, so that the same tick makes the same ids."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

from aiops.core.model import Instant

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TO_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _CROCKFORD.encode())
_TIME_CHARS = 10


def ulid(at: Instant, *parts: str) -> str:
    """Return the ULID (26 characters of Crockford's base 32) of an instant and the words that tell its owner apart.

    >>> ulid(0.0, "a") == ulid(0.0, "a") != ulid(0.0, "b")
    True
    >>> ulid(1.0, "z") < ulid(2.0, "a")
    True
    """
    hashed = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=10).digest()
    # 80 bits are 16 digits of base 32, which the standard library writes in another alphabet
    return _time(round(at * 1000)) + base64.b32encode(hashed).translate(_TO_CROCKFORD).decode()


def digest(text: str) -> str:
    """Return a short stable hash of a text: 16 hex digits."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@lru_cache(maxsize=16)
def _time(number: int) -> str:
    out = []
    for _ in range(_TIME_CHARS):
        number, rest = divmod(number, 32)
        out.append(_CROCKFORD[rest])
    return "".join(reversed(out))
