"""What is kept of a secret, and what a change must show."""

from __future__ import annotations

import hashlib
import hmac


def digest(secret: str) -> str:
    """Return what is kept of a secret of 256 random bits: its SHA-256, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def csrf(cookie: str) -> str:
    """Return what changes of a session must show: who does not know the cookie cannot say it, and it tells nothing."""
    return hmac.new(cookie.encode("utf-8", "surrogateescape"), b"csrf", hashlib.sha256).hexdigest()
