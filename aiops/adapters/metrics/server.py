"""The telemetry port: /metrics, /healthz (the loop turned lately), /readyz (sources answered, state loaded)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiops.errors import ConfigurationError

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class TelemetryServer:
    """Serves until it is stopped. health and readiness return what is wrong; nothing is well."""

    def __init__(
        self,
        address: tuple[str, int],
        metrics: Callable[[], bytes],
        health: Callable[[], list[str]],
        readiness: Callable[[], list[str]],
    ) -> None:
        pages = {"/metrics": metrics, "/healthz": _verdict(health), "/readyz": _verdict(readiness)}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the standard library's name
                page = pages.get(self.path.split("?", 1)[0])
                answer = page() if page is not None else None
                status, body = answer if isinstance(answer, tuple) else (200 if answer is not None else 404, answer)
                self.send_response(status)
                self.send_header("Content-Type", TEXT)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
                """Log nothing: a scrape a few seconds apart is no news."""

        try:
            self._server = ThreadingHTTPServer(address, Handler)
        except OSError as err:
            raise ConfigurationError(f"telemetry: cannot listen on {address[0]}:{address[1]}: {err.strerror}") from err
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True)

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join(timeout_s)
        self._server.server_close()


def _verdict(check: Callable[[], list[str]]) -> Callable[[], tuple[int, bytes]]:
    def page() -> tuple[int, bytes]:
        wrong = check()
        return (503, ("\n".join(wrong) + "\n").encode()) if wrong else (200, b"ok\n")

    return page
