"""Certificates in PEM files: until when they are valid, and whether a key belongs to one."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from aiops.core.model import Instant
from aiops.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A certificate. since, until: when it is valid."""

    subject: str
    since: Instant
    until: Instant


def certificates(path: Path) -> tuple[Seen, ...]:
    """Return the certificates of a file, one at least; raise ConfigurationError."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as err:
        raise ConfigurationError(f"{path} cannot be read: {err.strerror}") from err
    except ValueError as err:
        raise ConfigurationError(f"{path} holds no certificate in PEM") from err
    return tuple(
        Seen(
            subject=one.subject.rfc4514_string(),
            since=one.not_valid_before_utc.timestamp(),
            until=one.not_valid_after_utc.timestamp(),
        )
        for one in found
    )


def pair(certificate: Path, key: Path) -> None:
    """Raise ConfigurationError unless a certificate and its key can be used together."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_none)
    except OSError as err:  # ssl.SSLError is one
        raise ConfigurationError(f"{certificate} and {key} cannot be used together: {err}") from err


def _none() -> str:
    """Return no password: without it OpenSSL would ask for one on the terminal."""
    return ""
