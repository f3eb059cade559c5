"""TLS of the page and the API: a renewed certificate is taken without a restart."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from aiops.errors import ConfigurationError

_LOG = logging.getLogger("aiops.web")
RENEW_S = 10
"""How often it is looked whether the certificate was renewed."""


@dataclass(slots=True, kw_only=True)
class Certificate:
    """Certificate and key (PEM). A pair that does not fit leaves the last one in force, and is tried again."""

    cert_file: Path
    key_file: Path
    context: ssl.SSLContext = field(init=False)
    _written: tuple[float, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        try:
            self.context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as err:
            raise ConfigurationError(f"web.tls: the certificate cannot be used: {err}") from err
        self._written = self._ages()

    def renew(self) -> bool:
        """Take a renewed certificate for the connections to come; return whether one was taken."""
        written = self._ages()
        if written == self._written:
            return False
        try:
            # a pair of which half is written yet must not spoil the context that is in use
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.cert_file, self.key_file)
            self.context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as err:
            _LOG.warning("certificate_not_renewed", extra={"reason": str(err)})
            return False
        self._written = written
        _LOG.info("certificate_renewed", extra={"file": str(self.cert_file)})
        return True

    def _ages(self) -> tuple[float, ...]:
        return tuple(one.stat().st_mtime if one.exists() else 0.0 for one in (self.cert_file, self.key_file))
