"""The page and the API, served by the daemon itself. Imported lazily: FastAPI costs start-up time."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from aiops.errors import ConfigurationError
from aiops.web.api import application

if TYPE_CHECKING:
    from aiops.web.contract import Answers
    from aiops.web.locks.doors import Doors

_BACKLOG = 128


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


class WebServer(InThread):
    """The API and the page."""

    def __init__(self, answers: Answers, address: tuple[str, int], doors: Doors) -> None:
        listener = listen(address, "web")
        config = uvicorn.Config(
            application(answers, doors),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
        )
        super().__init__(config, listener, "web")


def listen(address: tuple[str, int], setting: str) -> socket.socket:
    """Return a socket that listens; raise ConfigurationError, which names the setting, when it cannot be."""
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)  # only now is the port ours alone
    except OSError as err:
        listener.close()
        raise ConfigurationError(f"{setting}: cannot listen on {host}:{port}: {err.strerror}") from err
    return listener
