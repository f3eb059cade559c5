"""The gRPC server of the external scaler, in a thread with an event loop of its own: a stream costs no thread."""

from __future__ import annotations

import asyncio
import ssl
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from aiops.core.pipeline.outlook import Viewer
from aiops.errors import ConfigurationError
from aiops.grpc.scaler import ExternalScaler

START_S = 10.0
GRACE_S = 1.0
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a port that is taken is an error, not a share of its calls
    ("grpc.max_receive_message_length", 65_536),
)
_MOST_CALLS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """Files (PEM): the server's certificate with its key, and the authority of the clients, who must show theirs."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None


class ScalerServer:
    """Serves until it is stopped. files: None serves without TLS, which is for loopback alone (S10)."""

    def __init__(
        self, viewer: Viewer, address: tuple[str, int], files: Certificates | None, push_every_s: float
    ) -> None:
        self._viewer = viewer
        self._address = address
        self._files = files
        self._push_every_s = push_every_s
        self._bound: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="keda", daemon=True)

    @property
    def port(self) -> int:
        """Return the port that is listened on; known once it is started."""
        return self._bound.result(0)

    def start(self) -> None:
        """Serve in the background; raise ConfigurationError when the address or the files cannot be used."""
        self._thread.start()
        self._bound.result(START_S)

    def stop(self, timeout_s: float) -> None:
        """Let the streams end, then stop serving."""
        if self._loop is not None and self._ending is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(timeout_s)

    # -- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as err:
            if self._bound.done():
                raise
            self._bound.set_exception(err)

    async def _serve(self) -> None:
        server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=_MOST_CALLS)
        scaler = ExternalScaler(self._viewer, self._push_every_s)
        server.add_generic_rpc_handlers((scaler.handler(),))
        port = self._bind(server)
        await server.start()
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._bound.set_result(port)
        watching = asyncio.create_task(scaler.watch())
        await self._ending.wait()
        scaler.close()
        await server.stop(GRACE_S)
        await watching

    def _bind(self, server: grpc.aio.Server) -> int:
        host, port = self._address
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._files is None:
                return int(server.add_insecure_port(place))
            return int(server.add_secure_port(place, _credentials(self._files)))
        except RuntimeError as err:
            raise ConfigurationError(f"export.keda: cannot listen on {place}") from err


def _credentials(files: Certificates) -> grpc.ServerCredentials:
    """Return credentials that follow the files when they are renewed; raise ConfigurationError when there are none."""
    used = [_ages(files)]
    try:
        first = _configuration(files)
    except OSError as err:
        raise ConfigurationError(f"export.keda: the certificates cannot be used: {err}") from err

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        ages = _ages(files)
        if ages == used[0]:
            return None
        try:
            made = _configuration(files)
        except OSError:
            return None
        used[0] = ages
        return made

    return grpc.dynamic_ssl_server_credentials(
        first, renewed, require_client_authentication=files.client_ca_file is not None
    )


def _configuration(files: Certificates) -> grpc.ServerCertificateConfiguration:
    """Return what the files say now; raise OSError (ssl.SSLError is one) when they cannot be used."""
    tried = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.client_ca_file)
    tried.load_cert_chain(files.cert_file, files.key_file)
    authority = None if files.client_ca_file is None else files.client_ca_file.read_bytes()
    pair = (files.key_file.read_bytes(), files.cert_file.read_bytes())
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=authority)


def _ages(files: Certificates) -> tuple[float, ...]:
    named = (files.cert_file, files.key_file, files.client_ca_file)
    return tuple(one.stat().st_mtime if one is not None and one.exists() else 0.0 for one in named)
