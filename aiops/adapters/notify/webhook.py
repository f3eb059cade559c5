"""One signed POST to an endpoint that the settings allow, as https://www.standardwebhooks.com has it.

Headers: `webhook-id` (also `Idempotency-Key`: the same message has the same), `webhook-timestamp` (seconds) and
`webhook-signature`: `v1,` and the base64 of HMAC-SHA256 of `ID.TIMESTAMP.BODY`. The address that was checked is the one
that is connected to, so that a name which leads elsewhere a moment later gains nothing; redirects are not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import orjson

import aiops
from aiops.adapters.notify.addresses import ForbiddenAddress, Resolve, checked, is_loopback, resolved
from aiops.adapters.notify.answers import Told, refused, unknown
from aiops.core.model import CallWebhook, Errand, Instant, Message, StepStatus
from aiops.errors import ConfigurationError

TIMEOUT_S = 5.0
MAX_BODY, MAX_ANSWER = 65_536, 4_096
SHORTEST_SECRET = 16
_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a body is posted with. key: the same for the same message, however often it is sent."""

    key: str
    at: Instant
    agent: str = f"aiops/{aiops.__version__}"
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a webhook goes. secret_file: what it is signed with, read each time, so that it can be renewed.

    The secret is text, or `whsec_` and base64. allow_private: addresses that are not the public internet's, too.
    """

    name: str
    url: str
    secret_file: Path
    allow_private: bool = False
    ca_file: Path | None = None
    timeout_s: float = TIMEOUT_S
    resolve: Resolve = field(default=resolved, repr=False)
    _at: SplitResult = field(init=False, repr=False)

    def __post_init__(self) -> None:
        where = f"notify.endpoints.{self.name}"
        try:
            at = urlsplit(self.url)
            host, _ = at.hostname or "", at.port
        except ValueError as err:
            raise ConfigurationError(f"{where}.url: {err}") from err
        if at.scheme not in ("http", "https") or not host or at.username or at.fragment:
            raise ConfigurationError(f"{where}.url: https://HOST/PATH is wanted, without a user")
        if at.scheme == "http" and not is_loopback(host):
            raise ConfigurationError(f"{where}.url: {host} is not loopback: use https")
        object.__setattr__(self, "_at", at)
        self.secret()

    def secret(self) -> bytes:
        """Return what is signed with; raise ConfigurationError."""
        where = f"notify.endpoints.{self.name}.secret_file"
        try:
            text = self.secret_file.read_text(encoding="utf-8").strip()
            found = base64.b64decode(text.removeprefix("whsec_"), validate=True) if text[:6] == "whsec_" else None
        except (OSError, UnicodeDecodeError, binascii.Error) as err:
            raise ConfigurationError(f"{where}: {self.secret_file}: {err}") from err
        secret = text.encode() if found is None else found
        if len(secret) < SHORTEST_SECRET:
            raise ConfigurationError(f"{where}: {self.secret_file}: at least {SHORTEST_SECRET} bytes are wanted")
        return secret

    def post(self, errand: Errand, message: Message, at: Instant) -> Told:
        """Post one message once; raise nothing."""
        agent = f"aiops/{aiops.__version__} errand/{errand.id}"
        return self.send(_body(errand, message, at), Letter(key=message.key, agent=agent, at=at))

    def send(self, body: bytes, letter: Letter) -> Told:
        """Post a body once, signed; raise nothing."""
        try:
            headers = self._signed(body, letter)
        except ConfigurationError as err:
            return refused(str(err))
        if len(body) > MAX_BODY:
            return refused(f"{len(body)} bytes are too many for a webhook, at most {MAX_BODY}", 413)
        deadline = time.monotonic() + self.timeout_s
        try:
            connection = self._connected(deadline)
        except ForbiddenAddress as err:
            return refused(f"endpoint {self.name}: {err}", 403)
        except (OSError, ssl.SSLError, UnicodeError) as err:
            return refused(f"endpoint {self.name} cannot be reached: {err}")
        end = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, (connection,))
        end.daemon = True
        end.start()
        try:
            return self._exchanged(connection, body, headers)
        finally:
            end.cancel()
            connection.close()

    def _signed(self, body: bytes, letter: Letter) -> dict[str, str]:
        stamp = str(int(letter.at))
        return {
            "Content-Type": letter.content_type,
            "User-Agent": letter.agent,
            "Idempotency-Key": letter.key,
            "webhook-id": letter.key,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(self.secret(), letter.key, stamp, body),
        }

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        """Return a connection to an address that was checked; raise OSError or ForbiddenAddress."""
        secure, host = self._at.scheme == "https", self._at.hostname or ""
        port = self._at.port or (443 if secure else 80)
        address = checked(host, self.resolve(host, port), private=self.allow_private)
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"its name was not resolved within {self.timeout_s:g} s")
        link = socket.create_connection((address, port), timeout=left_s)
        if secure:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
            try:
                link.settimeout(max(0.05, deadline - time.monotonic()))
                link = context.wrap_socket(link, server_hostname=host)
            except (OSError, ssl.SSLError):
                link.close()
                raise
        link.settimeout(max(0.05, deadline - time.monotonic()))
        connection = http.client.HTTPConnection(host, port)
        connection.sock = link
        return connection

    def _exchanged(self, connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> Told:
        path = (self._at.path or "/") + (f"?{self._at.query}" if self._at.query else "")
        try:
            connection.request("POST", path, body, {**headers, "Host": self._at.netloc, "Connection": "close"})
            answer = connection.getresponse()
            said = answer.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as err:
            # it may have arrived
            return unknown(f"endpoint {self.name} gave no answer: {err or type(err).__name__}")
        return self._meaning(answer, said)

    def _meaning(self, answer: http.client.HTTPResponse, said: bytes) -> Told:
        status, words = answer.status, _plain(said.decode(errors="replace"))
        if 200 <= status < 300:
            return Told(status=StepStatus.DONE, code=status)
        if 300 <= status < 400:
            where = _plain(answer.headers.get("Location", "elsewhere"))
            return refused(f"endpoint {self.name} redirects to {where}: redirects are not followed", status)
        if status in (500, 502, 504):
            return unknown(f"endpoint {self.name} failed: {status} {words}", status)
        return refused(f"endpoint {self.name} refused: {status} {words}".rstrip(), status)


def _body(errand: Errand, message: Message, at: Instant) -> bytes:
    fields = message.operation.fields if isinstance(message.operation, CallWebhook) else ()
    return orjson.dumps(
        {
            "id": message.key,
            "at": int(at),
            "plan": errand.plan_id,
            "policy": errand.policy,
            "back": errand.back,
            "summary": message.summary,
            "fields": dict(fields),
        },
        option=orjson.OPT_SORT_KEYS,
    )


def signature(secret: bytes, key: str, stamp: str, body: bytes) -> str:
    """Return the header's text for a message."""
    whole = b".".join((key.encode(), stamp.encode(), body))
    return f"v1,{base64.b64encode(hmac.new(secret, whole, hashlib.sha256).digest()).decode()}"


def _cut(connection: http.client.HTTPConnection) -> None:
    """End an exchange whose time is over, however slowly the other side still talks."""
    link = connection.sock
    if link is not None:
        try:
            link.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)[:_SHOWN].strip()
