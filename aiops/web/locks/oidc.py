"""Tokens of an OpenID Connect provider: signed by its keys, for this audience, not over, and with a role in them."""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from aiops.errors import ConfigurationError, NoPermission, PortError
from aiops.web.locks.roles import How, Principal, Role

KEEP_S, AGAIN_S = 600.0, 30.0
"""How long keys are kept, and how soon they are fetched again for a key that is not among them."""

LEAST_BITS = 2048
"""Of an RSA key."""

TIMEOUT_S = 5.0
MOST_BYTES = 1 << 20
LONGEST_NAME = 200
_LOCAL = ("127.0.0.1", "::1", "localhost")
Key = dict[str, Any]
"""A JSON Web Key."""

_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcOptions:
    """Which provider is believed, and what its claims mean. roles: values of role_claim by role."""

    issuer: str
    audience: str
    roles: Mapping[Role, frozenset[str]]
    role_claim: str = "groups"
    name_claim: str = "sub"
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    jwks_uri: str | None = None
    leeway_s: float = 30.0
    ca_file: Path | None = None


class Provider:
    """Fetches what a provider says of itself: within limits, over TLS, to no other address than it is told."""

    def __init__(self, options: OidcOptions) -> None:
        self._options = options
        try:
            trusted = ssl.create_default_context(cafile=None if options.ca_file is None else str(options.ca_file))
        except OSError as err:
            raise ConfigurationError(f"web.oidc.ca_file: {options.ca_file} cannot be used: {err}") from err
        self._client = httpx.Client(timeout=TIMEOUT_S, verify=trusted, follow_redirects=False, trust_env=False)
        self._document: dict[str, Any] | None = None

    def endpoint(self, name: str) -> str:
        """Return an address that the provider's discovery document names; raise PortError."""
        if self._document is None:
            issuer = self._options.issuer
            found = self.json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise PortError(f"the provider calls itself {found.get('issuer')!r}, and not {issuer}")
            self._document = found
        address = self._document.get(name)
        if not isinstance(address, str) or not _safe(address):
            raise PortError(f"the provider {self._options.issuer} names no {name} that is https")
        return address

    def keys(self) -> list[Key]:
        """Return the keys by which tokens are signed; raise PortError."""
        found = self.json("GET", self._options.jwks_uri or self.endpoint("jwks_uri")).get("keys")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def json(self, method: str, address: str, **how: Any) -> dict[str, Any]:
        """Return the JSON object at an address; raise PortError."""
        host = urlsplit(address).hostname
        try:
            with self._client.stream(method, address, **how) as answer:
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > MOST_BYTES:
                        raise PortError(f"{host} answers more than {MOST_BYTES} bytes")
                if answer.status_code != 200:
                    raise PortError(f"{host} answers {answer.status_code}")
                found = httpx.Response(200, content=bytes(body)).json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as err:
            raise PortError(f"{host} does not answer as a provider does: {type(err).__name__}") from err
        if not isinstance(found, dict):
            raise PortError(f"{host} answers JSON that is no object")
        return found


def _safe(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)


@dataclass(slots=True)
class Oidc:
    """Knows whose tokens of a provider are. clock: monotonic, for the age of keys."""

    options: OidcOptions
    provider: Provider
    clock: Callable[[], float] = time.monotonic
    _keys: list[Key] = field(default_factory=list)
    _fetched_at: float = -math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def principal(self, bearer: str) -> Principal | None:
        """Return whose token it is, None when it is none of this provider that is valid.

        Raises NoPermission for a valid one without a role, and PortError when the keys cannot be fetched.
        """
        claims = self.claims(bearer, self.options.audience)
        return None if claims is None else self.of(claims)

    def claims(self, token: str, audience: str) -> dict[str, Any] | None:
        """Return what a valid token says, None for any other; raise PortError when the keys cannot be fetched."""
        options = self.options
        try:
            header = jwt.get_unverified_header(token)
            said = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return None
        if said.get("iss") != options.issuer or header.get("alg") not in options.algorithms:
            return None
        key = self._key(header.get("kid"), str(header["alg"]))
        if key is None:
            return None
        try:
            return dict(
                jwt.decode(
                    token,
                    key,
                    algorithms=[*options.algorithms],
                    audience=audience,
                    issuer=options.issuer,
                    leeway=options.leeway_s,
                    options={"require": _REQUIRED},
                )
            )
        except jwt.PyJWTError:
            return None

    def of(self, claims: Mapping[str, Any]) -> Principal:
        """Return who claims are of; raise NoPermission when they have no name or no role here."""
        name = claims.get(self.options.name_claim)
        if self.options.name_claim == "email" and claims.get("email_verified") is not True:
            name = None
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise NoPermission(f"the token says no {self.options.name_claim} by which somebody is known here")
        given = _values(claims, self.options.role_claim)
        found = [role for role, values in self.options.roles.items() if not given.isdisjoint(values)]
        if not found:
            raise NoPermission(f"{name} has no role here: see {self.options.role_claim} and web.oidc.roles")
        role = max(found, key=lambda one: one.rank)
        return Principal(name=f"oidc:{name}", role=role, how=How.OIDC, key="oidc", expires_at=float(claims["exp"]))

    def _key(self, kid: object, alg: str) -> jwt.PyJWK | None:
        """Return the key of an id that is for an algorithm; keys are fetched when they are old, or it is not there."""
        found = _chosen(self._keys, kid, alg)
        age_s = self.clock() - self._fetched_at
        if (found is not None and age_s < KEEP_S) or (found is None and age_s < AGAIN_S):
            return found
        with self._lock:
            if self.clock() - self._fetched_at >= (AGAIN_S if found is None else KEEP_S):
                # also when it fails: a stream of foreign tokens is not to become one of requests to the provider
                self._fetched_at = self.clock()
                try:
                    self._keys = self.provider.keys()
                except PortError:
                    if found is None:
                        raise
                    return found  # what was known keeps its word while the provider is away
        return _chosen(self._keys, kid, alg)


def _chosen(keys: list[Key], kid: object, alg: str) -> jwt.PyJWK | None:
    """Return the key that is named, made for one algorithm; without a name the only one there is."""
    fits = [one for one in keys if one.get("use", "sig") == "sig" and _fits(one, alg)]
    named = fits if kid is None else [one for one in fits if one.get("kid") == kid]
    if len(named) != 1:
        return None
    try:
        made = jwt.PyJWK(named[0], alg)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return made if getattr(made.key, "key_size", LEAST_BITS) >= LEAST_BITS or made.key_type != "RSA" else None


def _fits(key: Key, alg: str) -> bool:
    kind = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}.get(alg[:2])
    return key.get("kty") == kind and key.get("alg", alg) == alg


def _values(claims: Mapping[str, Any], path: str) -> set[str]:
    """Return the values of a claim: a list, words, or what lies under names with dots between them."""
    found: Any = claims
    for name in (path,) if path in claims else path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return {found, *found.split()}
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()
