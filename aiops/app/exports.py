"""The servers that tell other autoscalers what is to come, as the settings ask for them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from aiops.app.settings import ExternalMetricsSettings, KedaSettings, Settings
from aiops.core.pipeline.outlook import Viewer
from aiops.errors import ConfigurationError

_LOG = logging.getLogger("aiops.daemon")


class Export(Protocol):
    """A server in the background."""

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        ...

    def start(self) -> None:
        """Serve."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Stop serving."""
        ...


def started(settings: Settings, viewer: Viewer, note: Callable[[Export], None]) -> None:
    """Start what is enabled; raise ConfigurationError when it cannot be. note: is told of each that serves."""
    export = settings.export
    if export.external_metrics.enabled:
        _start("external metrics", external_metrics(export.external_metrics, viewer), note)
    if export.keda.enabled:
        _start("keda", keda(export.keda, viewer), note)


def _start(name: str, server: Export, note: Callable[[Export], None]) -> None:
    server.start()
    note(server)
    _LOG.info("exporting", extra={"what": name, "port": server.port})


def external_metrics(settings: ExternalMetricsSettings, viewer: Viewer) -> Export:
    """Return the server of the external metrics API."""
    from aiops.web.external_metrics_server import Certificates, ExternalMetricsServer

    cert, key, authority = settings.cert_file, settings.key_file, settings.client_ca_file
    if cert is None or key is None or authority is None:
        raise ConfigurationError("export.external_metrics: cert_file, key_file and client_ca_file are needed")
    files = Certificates(cert_file=cert, key_file=key, client_ca_file=authority, allowed_names=settings.allowed_names)
    return ExternalMetricsServer(viewer, (settings.host, settings.port), files)


def keda(settings: KedaSettings, viewer: Viewer) -> Export:
    """Return the server of KEDA's external scaler; raise ConfigurationError when its libraries are not installed."""
    try:
        from aiops.grpc.server import Certificates, ScalerServer
    except ModuleNotFoundError as err:
        hint = "install aiops with the extra keda: pip install 'aiops[keda]'"
        raise ConfigurationError(f"export.keda: {err.name} is not installed ({hint})") from err

    files = None
    if settings.cert_file is not None and settings.key_file is not None:
        files = Certificates(
            cert_file=settings.cert_file, key_file=settings.key_file, client_ca_file=settings.client_ca_file
        )
    return ScalerServer(viewer, (settings.host, settings.port), files, settings.push_every)
