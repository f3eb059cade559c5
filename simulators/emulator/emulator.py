"""The emulator as one thread: watches, the clock, and three servers on loopback."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aiops.core.model import Instant
from aiops.errors import CannotReach, InvalidInput
from simulators.emulator.apiservice import ROUTE_GROUP
from simulators.emulator.config import EmulatorConfig, TlsSpec
from simulators.emulator.control import Control
from simulators.emulator.fleet import Fleet
from simulators.emulator.kubeconfig import Access, access
from simulators.emulator.page import text
from simulators.emulator.resource import ResourceMetrics
from simulators.emulator.watching import Watch

_LOG = logging.getLogger("emulator")
_HOST = "127.0.0.1"
_START_S = 20.0
_STOP_S = 5.0
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where it listens, as `host:port`. kubernetes_metrics: None when no certificate was given."""

    metrics: str
    control: str
    kubernetes_metrics: str | None


class Emulator:
    """Runs in the background between `start` and `stop`. folder: that the configuration's paths are relative to."""

    def __init__(
        self, config: EmulatorConfig, *, folder: Path = Path(), clock: Callable[[], Instant] | None = None
    ) -> None:
        self._config = config
        self._folder = folder
        self._clock = clock or steady_clock()
        self._access = access(folder / config.kubernetes.kubeconfig, config.kubernetes.context)
        self._certificate = None if config.tls is None else _certificate(config.tls, folder)
        self.fleet = Fleet(config, folder, self._clock())
        self._watches: list[Watch] = []
        self._servers: list[tuple[uvicorn.Server, socket.socket]] = []
        self._thread = threading.Thread(target=self._run, name="emulator", daemon=True)
        self._ended = threading.Event()
        self._failure: BaseException | None = None

    @property
    def api_up(self) -> bool:
        """Return whether the API server answers every watch."""
        return bool(self._watches) and all(watch.up for watch in self._watches)

    @property
    def alive(self) -> bool:
        """Return whether it runs."""
        return self._thread.is_alive()

    def start(self) -> Addresses:
        """Listen, begin to watch, and return where it listens; raise CannotReach when a port is taken."""
        ports = self._config.listen
        metrics = self._serve(Starlette(routes=[Route("/metrics", self._metrics)]), ports.metrics)
        control = self._serve(Control(self.fleet).application(), ports.control)
        resource = None
        if self._certificate is not None:
            application = ResourceMetrics(self.fleet).application()
            resource = self._serve(application, ports.kubernetes_metrics, self._certificate)
        self._thread.start()
        deadline = time.monotonic() + _START_S
        while not all(server.started for server, _ in self._servers):
            if not self.alive or time.monotonic() > deadline:
                raise CannotReach(f"the emulator did not start: {self._failure}")
            time.sleep(0.01)
        return Addresses(metrics=metrics, control=control, kubernetes_metrics=resource)

    def stop(self) -> bool:
        """Stop at once; return whether it ran without a bug."""
        self._ended.set()
        self._thread.join(_STOP_S)
        for _, listener in self._servers:
            listener.close()
        return self._failure is None

    @contextmanager
    def running(self) -> Iterator[Addresses]:
        """Run for the length of a with statement."""
        try:
            yield self.start()
        finally:
            self.stop()

    # -- the thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as err:
            self._failure = err
            _LOG.exception("a bug")

    async def _main(self) -> None:
        async with _client(self._access) as client:
            self._watches = list(self._watched(client))
            serving = [asyncio.create_task(server.serve([listener])) for server, listener in self._servers]
            working = [asyncio.create_task(one) for one in (*(watch.run() for watch in self._watches), self._steps())]
            try:
                while not self._ended.is_set():
                    done, _ = await asyncio.wait({*serving, *working}, timeout=0.05)
                    for task in done:
                        task.result()
                        raise RuntimeError("a task of the emulator ended")
            finally:
                for task in working:
                    task.cancel()
                for server, _ in self._servers:
                    server.should_exit = True
                await asyncio.gather(*serving, *working, return_exceptions=True)

    def _watched(self, client: httpx.AsyncClient) -> Iterator[Watch]:
        for one in self.fleet.workloads.values():
            path = f"/api/v1/namespaces/{one.spec.namespace}/pods"
            yield Watch(client, path, {"labelSelector": one.spec.selector.text}, one.book)
        for group in self.fleet.groups.values():
            route = group.spec.route
            path = f"/apis/{ROUTE_GROUP}/v1/namespaces/{route.namespace}/httproutes"
            yield Watch(client, path, {"fieldSelector": f"metadata.name={route.name}"}, group.book)

    async def _steps(self) -> None:
        while True:
            await asyncio.sleep(self._config.step)
            self.fleet.step(self._clock())

    async def _metrics(self, _: Request) -> Response:
        return Response(text(self.fleet, self.api_up), headers={"Content-Type": _TYPE})

    def _serve(self, application: Starlette, port: int, certificate: TlsSpec | None = None) -> str:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError as err:
            listener.close()
            raise CannotReach(f"cannot listen on {_HOST}:{port}: {err.strerror}") from err
        asked = certificate is not None and certificate.client_ca
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
            ssl_certfile=None if certificate is None else certificate.certificate,
            ssl_keyfile=None if certificate is None else certificate.key,
            ssl_ca_certs=certificate.client_ca if certificate is not None and asked else None,
            ssl_cert_reqs=ssl.CERT_REQUIRED if asked else ssl.CERT_NONE,
        )
        self._servers.append((uvicorn.Server(config), listener))
        return f"{_HOST}:{listener.getsockname()[1]}"


def steady_clock() -> Callable[[], Instant]:
    """Return a clock that shows the time of day as it was now and goes on evenly, whatever is done to the system's."""
    offset_s = time.time() - time.monotonic()  # noqa: TID251  # the emulator lives on the wall clock
    return lambda: time.monotonic() + offset_s


def _client(reached: Access) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=reached.url,
        verify=reached.tls if reached.tls is not None else True,
        headers={"User-Agent": "aiops-emulator", "Accept": "application/json", **reached.headers},
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
        trust_env=False,
    )


def _certificate(tls: TlsSpec, folder: Path) -> TlsSpec:
    """Return the certificate with whole paths; raise InvalidInput when it cannot be used."""
    paths = {name: str(folder / path) for name, path in tls.model_dump().items() if path}
    made = tls.model_copy(update=paths)
    try:
        tried = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made.client_ca or None)
        tried.load_cert_chain(made.certificate, made.key)
    except (OSError, ssl.SSLError) as err:
        raise InvalidInput(f"tls: {made.certificate}, {made.key}: cannot be used: {err}") from err
    return made
