"""Fetching one /metrics: bounded in time and in size, redirects not followed, reasons in our words."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as TimedOut

from aiops import __version__
from aiops.adapters.scrape.exposition import ACCEPT
from aiops.adapters.scrape.options import Target
from aiops.errors import let_go

_PIECE = 65_536


class ScrapeFailed(Exception):
    """A target did not answer, or not as promised; the message says what was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a target answered."""

    body: bytes
    content_type: str


class Client:
    """Keeps a connection to one target."""

    def __init__(self, target: Target) -> None:
        access = target.access
        self._target = target
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            cert_reqs="CERT_NONE" if access.insecure_skip_verify else "CERT_REQUIRED",
            ca_certs=None if access.ca_file is None else str(access.ca_file),
            cert_file=None if access.cert_file is None else str(access.cert_file),
            key_file=None if access.key_file is None else str(access.key_file),
            server_hostname=access.server_name or None,
            assert_hostname=access.server_name or None,
        )

    def fetch(self) -> Fetched:
        """Return what the target tells now; raise ScrapeFailed."""
        target = self._target
        deadline = time.monotonic() + target.timeout_s
        timeout = urllib3.Timeout(total=target.timeout_s)
        try:
            response = self._pool.request(
                "GET", target.url, headers=self._headers(), timeout=timeout, redirect=False, preload_content=False
            )
            try:
                if response.status != 200:
                    raise ScrapeFailed(_status(response.status))
                body = self._body(response, deadline)
            finally:
                response.close()  # what was read to its end has given its connection back before
        except HTTPError as err:
            let_go(err)
            raise ScrapeFailed(_cause(err, target)) from None
        return Fetched(body=body, content_type=response.headers.get("Content-Type", ""))

    def close(self) -> None:
        """Let the connection go."""
        self._pool.clear()

    def _headers(self) -> dict[str, str]:
        access, timeout_s = self._target.access, self._target.timeout_s
        headers = {
            "Accept": ACCEPT,
            "Accept-Encoding": "gzip",
            "User-Agent": f"aiops/{__version__}",
            "X-Prometheus-Scrape-Timeout-Seconds": f"{timeout_s:g}",
        }
        try:
            token = access.token()
        except (OSError, ValueError) as err:
            file = access.bearer_token_file
            where = "bearer_token" if file is None else f"bearer_token_file {file}"
            raise ScrapeFailed(f"{where} cannot be used: {err}") from None
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif access.username:
            shown = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
            headers["Authorization"] = f"Basic {shown}"
        return headers

    def _body(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        target, parts, size = self._target, list[bytes](), 0
        while part := response.read1(_PIECE, decode_content=True):
            parts.append(part)
            size += len(part)
            if size > target.max_bytes:
                raise ScrapeFailed(f"more than {target.max_bytes} bytes (max_bytes)")
            if time.monotonic() > deadline:
                raise ScrapeFailed(f"the answer did not end within {target.timeout_s:g} s")
        return b"".join(parts)


def _status(status: int) -> str:
    if 300 <= status < 400:
        return f"redirects ({status}): redirects are not followed"
    if status in (401, 403):
        return f"refuses our credentials ({status})"
    return f"answers {status}"


def _cause(err: BaseException, target: Target) -> str:
    inner: BaseException = err.reason if isinstance(err, MaxRetryError) and err.reason is not None else err
    if isinstance(inner, SSLError):
        return f"TLS: {inner}"
    if isinstance(inner, NewConnectionError):
        return f"cannot be reached: {str(inner).rpartition(': ')[2]}"
    if isinstance(inner, TimedOut):
        return f"did not answer within {target.timeout_s:g} s"
    return str(inner)[:200]
