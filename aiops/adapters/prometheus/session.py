"""The HTTP session beneath prometheus-api-client: bounded answers, retries within a deadline, errors in our words."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import orjson
import requests
from requests.adapters import HTTPAdapter

from aiops.adapters.prometheus.options import PrometheusOptions
from aiops.adapters.prometheus.vectors import Unfit, VectorSink, notes
from aiops.errors import SourceUnavailable, TooMuch, let_go

RETRIED = (429, 500, 502, 503, 504)
_CHUNK = 65_536
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_EVERYBODY_S = ("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent")
_SHOWN = 200

_HEAVY = re.compile(
    rb"too many samples|timed? ?out|exceeded maximum resolution|too many points|would load too many|"
    rb"-search\.max|err-mimir-max|exceeds? the limit|limit exceeded",
    re.IGNORECASE,
)
"""How Prometheus, Thanos, Mimir and VictoriaMetrics say that less should be asked for at once."""

_MEANINGS = {
    401: "refuses our credentials: check prometheus.bearer_token, or username and password",
    403: "forbids this: check the tenant header and what our credentials may read",
    404: "has no query API at this address: check the path prefix of prometheus.url",
    429: "is asked too much",
}


class BoundedSession(requests.Session):
    """A session whose every answer is Prometheus' JSON within the limits, or SourceUnavailable.

    `notes` holds the warnings of the last answer of this thread, `dated` when the server says it was made.
    """

    def __init__(self, options: PrometheusOptions) -> None:
        super().__init__()
        self._options = options
        self._dice = random.Random()  # noqa: S311  # spreads load; nothing is secret about it
        self._local = threading.local()
        self.headers.update({"Accept": "application/json", **options.headers})
        self.verify = False if options.insecure_skip_verify else str(options.ca_file or True)
        if self.verify == "True":
            self.verify = True
        if options.cert_file is not None and options.key_file is not None:
            self.cert = (str(options.cert_file), str(options.key_file))
        if options.username:
            self.auth = (options.username, options.password)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the warnings that came with the last answer."""
        return getattr(self._local, "notes", ())

    @property
    def dated(self) -> float | None:
        """Return the instant of the last answer by the server's clock, cut to seconds; None when it does not say."""
        return getattr(self._local, "dated", None)

    def bound_pool(self) -> None:
        """Keep no more connections than may be used at once."""
        pool = HTTPAdapter(pool_connections=1, pool_maxsize=self._options.concurrency, pool_block=True, max_retries=0)
        self.mount(self._options.url, pool)

    def pour(self, url: str, form: str, sink: VectorSink) -> None:
        """Ask with an encoded form, and let the answer flow into the sink as it comes."""
        self.request("POST", url, data=form, headers=_FORM, sink=sink)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        """Ask until there is an answer, an error that stays, or no time left."""
        options, sink = self._options, kwargs.pop("sink", None)
        deadline = time.monotonic() + options.timeout_s
        attempt = 0
        while True:
            wait_s = 0.0
            try:
                return self._once(method, url, _Way(deadline, sink), *args, **kwargs)
            except _TryAgain as err:
                attempt += 1
                wait_s = max(err.after_s, options.backoff_s * 2 ** (attempt - 1) * self._dice.uniform(0.5, 1.5))
                if attempt > options.retries or time.monotonic() + wait_s >= deadline:
                    tries = f" ({attempt} tries)" if attempt > 1 else ""
                    kind = TooMuch if err.heavy else SourceUnavailable
                    raise kind(f"{err}{tries}") from err
            time.sleep(wait_s)

    def _once(self, method: str | bytes, url: str | bytes, way: _Way, *args: Any, **kwargs: Any) -> requests.Response:
        options = self._options
        token = options.token()
        if token:
            kwargs["headers"] = {**(kwargs.get("headers") or {}), "Authorization": f"Bearer {token}"}
        left_s = max(0.05, way.deadline - time.monotonic())
        kwargs.update(stream=True, allow_redirects=False, timeout=(min(left_s, 5.0), left_s))
        try:
            response = super().request(method, url, *args, **kwargs)
            with response:
                self._checked(response, way)
        except requests.exceptions.RequestException as err:
            let_go(err)
            raise self._failed(err) from err
        return response

    def _failed(self, err: requests.exceptions.RequestException) -> SourceUnavailable | _TryAgain:
        url = self._options.url
        if isinstance(err, requests.exceptions.SSLError):
            return SourceUnavailable(f"{url}: TLS: {_cause(err)}")
        if isinstance(err, requests.exceptions.Timeout):
            return _TryAgain(f"{url} did not answer within {self._options.timeout_s:g} s", heavy=True)
        return _TryAgain(f"{url} cannot be reached: {_cause(err)}")

    def _checked(self, response: requests.Response, way: _Way) -> None:
        """Read the answer within its limits, into the sink if it is good; else let `json()` give what was parsed."""
        options, status = self._options, response.status_code
        if 300 <= status < 400:
            where = response.headers.get("Location", "elsewhere")
            raise SourceUnavailable(f"{options.url} redirects to {where[:_SHOWN]}: is that a login page?")
        self._local.dated = _dated(response)
        kind = response.headers.get("Content-Type", "nothing")
        if way.sink is not None and status == 200 and "json" in kind:
            return self._poured(response, way.deadline, way.sink)
        body = b"".join(self._parts(response, way.deadline))
        if status in RETRIED:
            said = f"{options.url} {_MEANINGS.get(status, 'fails')} ({status}{_said(response, body)})"
            raise _TryAgain(said, _retry_after_s(response), heavy=_HEAVY.search(body) is not None)
        if status in _MEANINGS:
            raise SourceUnavailable(f"{options.url} {_MEANINGS[status]} ({status}{_said(response, body)})")
        if "json" not in kind:
            raise SourceUnavailable(f"{options.url} answers {kind}, not JSON: is that a Prometheus?")
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as err:
            raise _TryAgain(f"{options.url}: the answer is cut off or no JSON") from err
        if not isinstance(document, dict) or document.get("status") != "success":
            kind_of = TooMuch if _HEAVY.search(body) else SourceUnavailable
            raise kind_of(f"{options.url} refuses the query ({status}{_said(response, body)})")
        self._local.notes = notes(document)
        response.json = lambda **_: document  # type: ignore[method-assign]  # parsed once, by the faster parser
        return None

    def _poured(self, response: requests.Response, deadline: float, sink: VectorSink) -> None:
        sink.begin()
        try:
            for part in self._parts(response, deadline):
                sink.feed(part)
            self._local.notes = sink.end()
        except Unfit as err:
            raise SourceUnavailable(f"{self._options.url}: {err}") from err
        except ValueError as err:
            raise _TryAgain(f"{self._options.url}: the answer is cut off or no JSON") from err

    def _parts(self, response: requests.Response, deadline: float) -> Iterator[bytes]:
        most, size = self._options.max_bytes, 0
        # what has come is taken at once: a body that trickles must not outlast the time there is
        while part := _read(response):
            size += len(part)
            if size > most:
                message = f"{self._options.url}: the answer is larger than {most} bytes: ask for less in one query"
                raise TooMuch(message)
            if time.monotonic() > deadline:
                message = f"{self._options.url}: the answer did not end within {self._options.timeout_s:g} s"
                raise _TryAgain(message, heavy=True)
            yield part


class _Way(NamedTuple):
    """Until when an answer must have come, and where it goes."""

    deadline: float
    sink: VectorSink | None


class _TryAgain(Exception):
    """Something that may pass. after_s: what the server asks for. heavy: whether less at once would have passed."""

    def __init__(self, message: str, after_s: float = 0.0, *, heavy: bool = False) -> None:
        super().__init__(message)
        self.after_s, self.heavy = after_s, heavy


def _read(response: requests.Response) -> bytes:
    """Return what there is of the body, nothing at its end; raise as requests does."""
    from urllib3.exceptions import HTTPError

    try:
        return bytes(response.raw.read1(_CHUNK, decode_content=True))
    except HTTPError as err:
        raise requests.exceptions.ConnectionError(err) from err


def _dated(response: requests.Response) -> float | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except ValueError:
        return None


def _retry_after_s(response: requests.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _said(response: requests.Response, body: bytes) -> str:
    """Return the error's own words, shortened, without what was sent to it: a proxy may quote its headers (S10)."""
    try:
        document = orjson.loads(body)
        text = str(document.get("error", "")) if isinstance(document, dict) else ""
    except orjson.JSONDecodeError:
        text = ""
    for secret in _secrets(response):
        text = text.replace(secret, "[secret]")
    return f": {text[:_SHOWN]}" if text else ""


def _secrets(response: requests.Response) -> list[str]:
    """Return what was sent in headers that are not every client's, the longest first."""
    sent = [str(value) for name, value in response.request.headers.items() if name.lower() not in _EVERYBODY_S]
    return sorted({part for value in sent for part in (value, value.partition(" ")[2]) if part}, key=len, reverse=True)


def _cause(err: BaseException) -> str:
    """Return the innermost reason of a client library's error."""
    inner: BaseException = err
    while True:
        reason = getattr(inner, "reason", None)
        deeper = reason if isinstance(reason, BaseException) else inner.__cause__ or inner.__context__
        if deeper is None:
            break
        inner = deeper
    text = str(inner) or type(inner).__name__
    return text.rsplit(": ", 1)[-1][:_SHOWN] if "object at 0x" in text else text[:_SHOWN]
