"""The external metrics API over TLS, to clients that the front-proxy's authority vouches for."""

from __future__ import annotations

import ssl
from asyncio import Transport
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from aiops.core.pipeline.outlook import Viewer
from aiops.errors import ConfigurationError
from aiops.web.external_metrics import PEER_NAMES, application
from aiops.web.server import InThread, listen

RENEW_S = 30
"""How often it looks whether the certificate was renewed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files (PEM): the server's certificate with its key, and the authority of the clients; allowed_names: of them."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path
    allowed_names: Sequence[str]


class ExternalMetricsServer(InThread):
    """Uvicorn in a thread of its own. Raises ConfigurationError when the files or the address cannot be used."""

    def __init__(self, viewer: Viewer, address: tuple[str, int], files: Certificates) -> None:
        self._files = files
        self._config = uvicorn.Config(
            application(viewer, files.allowed_names),
            http=_KnowingPeer,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            limit_concurrency=256,
            timeout_graceful_shutdown=1,
            callback_notify=self.renew,
            timeout_notify=RENEW_S,
            ssl_certfile=str(files.cert_file),
            ssl_keyfile=str(files.key_file),
            ssl_ca_certs=str(files.client_ca_file),
            ssl_cert_reqs=ssl.CERT_REQUIRED,
        )
        try:
            self._config.load()
        except (OSError, ssl.SSLError) as err:
            raise ConfigurationError(f"export.external_metrics: the certificates cannot be used: {err}") from err
        self._written = self._ages()
        super().__init__(self._config, listen(address, "export.external_metrics"), "external-metrics")

    async def renew(self) -> None:
        """Take a renewed certificate for the connections to come; one that cannot be used is taken next time."""
        written = self._ages()
        if written == self._written or self._config.ssl is None:
            return
        try:
            self._config.ssl.load_cert_chain(self._files.cert_file, self._files.key_file)
            self._config.ssl.load_verify_locations(self._files.client_ca_file)
        except (OSError, ssl.SSLError):
            return
        self._written = written

    def _ages(self) -> tuple[float, ...]:
        files = (self._files.cert_file, self._files.key_file, self._files.client_ca_file)
        return tuple(one.stat().st_mtime if one.exists() else 0.0 for one in files)


class _KnowingPeer(H11Protocol):
    """Leaves the names of the client's certificate where the application finds them."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        certificate = transport.get_extra_info("peercert") or {}
        self.app_state = {**self.app_state, PEER_NAMES: common_names(certificate)}


def common_names(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the common names of a certificate as `ssl` describes it."""
    subject: Iterable[Iterable[tuple[str, str]]] = certificate.get("subject", ())
    return tuple(value for part in subject for key, value in part if key == "commonName")
