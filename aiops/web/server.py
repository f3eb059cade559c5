"""The page and the API, served by the daemon itself. Imported lazily: FastAPI costs start-up time."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import uvicorn

from aiops.errors import ConfigurationError
from aiops.web.api import application
from aiops.web.events import Broker
from aiops.web.locks.patience import Patience, protocol
from aiops.web.locks.shield import Bounds
from aiops.web.tls import RENEW_S, Certificate

if TYPE_CHECKING:
    from aiops.web.contract import Answers
    from aiops.web.locks.doors import Doors

_BACKLOG = 128
LONGEST_HEAD = 32 * 1024
"""Bytes of a request's head, the longest token among them."""


class InThread:
    """Uvicorn in a thread of its own, on a socket that listens already."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, name: str) -> None:
        self._socket = listener
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(timeout_s)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How it is served. proxies: addresses and networks whose X-Forwarded-For is believed. idle_s: between requests."""

    bounds: Bounds = field(default_factory=Bounds)
    patience: Patience = field(default_factory=Patience)
    certificate: Certificate | None = None
    proxies: Sequence[str] = ()
    connections: int = 512
    broker: Broker = field(default_factory=Broker)
    idle_s: float = 5.0


class WebServer(InThread):
    """The API and the page."""

    def __init__(
        self, answers: Answers, address: tuple[str, int], doors: Doors, serving: Serving | None = None
    ) -> None:
        serving = serving or Serving()
        config = uvicorn.Config(
            application(answers, doors, serving.bounds, serving.broker),
            http=protocol(serving.patience),
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=bool(serving.proxies),
            forwarded_allow_ips=[*serving.proxies],
            limit_concurrency=serving.connections,
            timeout_keep_alive=math.ceil(serving.idle_s),
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
        certificate = serving.certificate
        if certificate is not None:

            async def renew() -> None:
                certificate.renew()

            config.callback_notify, config.timeout_notify = renew, RENEW_S
            config.load()
            config.ssl = certificate.context
        super().__init__(config, listen(address, "web"), "web")


def listen(address: tuple[str, int], setting: str) -> socket.socket:
    """Return a socket that listens; raise ConfigurationError, which names the setting, when it cannot be."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, or asyncio would not know it as such and leave Nagle's algorithm on: 40 ms for each small answer
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)  # only now is the port ours alone
    except OSError as err:
        listener.close()
        raise ConfigurationError(f"{setting}: cannot listen on {host}:{port}: {err.strerror}") from err
    return listener
