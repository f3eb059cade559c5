"""Alertmanager's API v2 over HTTP: bounded answers, one try, errors in our words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import orjson
import requests

from aiops.adapters.alertmanager.options import AlertmanagerOptions
from aiops.errors import ConfigurationError, SourceUnavailable, let_go

_CHUNK = 65_536
_SHOWN = 200


class Alertmanager:
    """One Alertmanager. Used by one thread; whoever calls it decides when to try again."""

    def __init__(self, options: AlertmanagerOptions) -> None:
        self.url = options.url.rstrip("/")
        self._options = options
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", **options.headers})
        self._session.verify = False if options.insecure_skip_verify else str(options.ca_file or "") or True
        if options.cert_file is not None and options.key_file is not None:
            self._session.cert = (str(options.cert_file), str(options.key_file))
        if options.username:
            self._session.auth = (options.username, options.password)

    def send(self, alerts: Sequence[dict[str, Any]]) -> None:
        """Post alerts; raise SourceUnavailable when they were not taken."""
        self._ask("POST", "alerts", data=orjson.dumps(list(alerts)), headers={"Content-Type": "application/json"})

    def silences(self) -> list[Any]:
        """Return every silence, as Alertmanager writes them; raise SourceUnavailable."""
        body = self._ask("GET", "silences")
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as err:
            raise SourceUnavailable(f"{self.url}: the silences are no JSON: is that an Alertmanager?") from err
        if not isinstance(found, list):
            raise SourceUnavailable(f"{self.url}: the silences are no list: is that an Alertmanager?")
        return found

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _ask(self, method: str, path: str, **kwargs: Any) -> bytes:
        options = self._options
        deadline = time.monotonic() + options.timeout_s
        try:
            if token := options.token():
                kwargs["headers"] = {**kwargs.get("headers", {}), "Authorization": f"Bearer {token}"}
            with self._session.request(
                method,
                f"{self.url}/api/v2/{path}",
                stream=True,
                allow_redirects=False,
                timeout=(options.timeout_s, options.timeout_s),
                **kwargs,
            ) as response:
                body = self._body(response, deadline)
        except ConfigurationError as err:  # a token file that is gone for now is no reason to end a thread
            raise SourceUnavailable(str(err)) from err
        except requests.exceptions.RequestException as err:
            let_go(err)
            what = "did not answer in time" if isinstance(err, requests.exceptions.Timeout) else "cannot be reached"
            raise SourceUnavailable(f"{self.url} {what} ({type(err).__name__})") from err
        if response.status_code != 200:
            said = body.decode(errors="replace").strip()[:_SHOWN]
            raise SourceUnavailable(f"{self.url} refuses {path} ({response.status_code} {said})")
        return body

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        parts, size = [], 0
        for part in response.iter_content(_CHUNK):
            size += len(part)
            if size > self._options.max_bytes:
                raise SourceUnavailable(f"{self.url}: the answer is larger than {self._options.max_bytes} bytes")
            if time.monotonic() > deadline:
                raise SourceUnavailable(f"{self.url}: the answer did not end within {self._options.timeout_s:g} s")
            parts.append(part)
        return b"".join(parts)
