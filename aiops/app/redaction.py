"""Secrets stay out of what is logged: those that the settings name, and what looks like one (S10)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

SHOWN = "[secret]"
LEAST = 6
"""What is shorter is a word that a log may hold by chance; a secret of so few letters is none."""

RENEWED_S = 30.0
"""How long a secret that was renewed in its file may stay unknown to the log."""

_MOST_BYTES = 1 << 16
_LOOKS = re.compile(
    r"aiops_[A-Za-z0-9_-]{43}"  # a token of ours
    # a JSON Web Token; its header is bounded, or a text of nothing but beginnings would be read once from each of them
    r"|eyJ[A-Za-z0-9_-]{5,2048}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+"
    r"|(?<=://)[^/@\s:]*:[^/@\s]+(?=@)"  # a password in an address
    r"|(?i:(?<=bearer )|(?<=basic ))[A-Za-z0-9._~+/=-]{8,}"
)


class Redaction:
    """Replaces secrets in texts, the longest first."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({one for one in secrets if len(one) >= LEAST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """Return a text without secrets.

        >>> Redaction(["hunter2"])("pass hunter2, Bearer abcdefgh12, postgresql://sam:pw@db/x")
        'pass [secret], Bearer [secret], postgresql://[secret]@db/x'
        """
        plain = text if self._known is None else self._known.sub(SHOWN, text)
        return _LOOKS.sub(SHOWN, plain)


class RedactingFormatter(logging.Formatter):
    """Another formatter's lines, its tracebacks among them, without secrets.

    secrets: those of now; read again while lines are written, and what was one stays one.
    """

    def __init__(self, inner: logging.Formatter, secrets: Callable[[], Iterable[str]]) -> None:
        super().__init__()
        self._inner = inner
        self._secrets = secrets
        self._known = frozenset(secrets())
        self._read_at: float | None = None
        self._redaction = Redaction(self._known)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        if self._read_at is None or abs(record.created - self._read_at) >= RENEWED_S:
            self._read_at = record.created
            self._renew()
        return self._redaction(self._inner.format(record))

    def _renew(self) -> None:
        known = self._known.union(self._secrets())
        if known != self._known:
            self._known, self._redaction = known, Redaction(known)


def secrets_of(settings: BaseModel) -> frozenset[str]:
    """Return every secret that settings hold, or name a file of; a file that cannot be read has none."""
    return frozenset(_secrets(settings))


def _secrets(value: Any, name: str = "") -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            for field in type(value).model_fields:
                yield from _secrets(getattr(value, field), field)
        case dict() | list() | tuple():
            for one in value.values() if isinstance(value, dict) else value:
                yield from _secrets(one, name)
        case Path() if name.endswith(("token_file", "secret_file", "password_file", "key_file")):
            yield from _in_file(value)
        case str() if "://" in value:
            yield from _in_address(value)
        case _:
            pass


def _in_address(address: str) -> Iterator[str]:
    try:
        password = urlsplit(address).password
    except ValueError:
        return
    if password:
        yield from (password, unquote(password))


def _in_file(file: Path) -> Iterator[str]:
    try:
        if file.stat().st_size <= _MOST_BYTES:
            yield file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return
