"""Settings of what listens, and of the locks on the page and the API (S10)."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from aiops.app.section import Section
from aiops.core.decide.quantities import Duration, Quantity

LOOPBACK = ("127.0.0.1", "::1", "localhost")
RoleName = Literal["viewer", "author", "operator", "admin"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Of public keys only: what signs with a shared secret, or not at all, is never accepted."""

_HOST = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"


class ListenSettings(Section):
    """An address to listen on."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = Field(9464, ge=0, le=65535)


class TlsSettings(Section):
    """Certificate and key (PEM), which are read again when they change."""

    cert_file: Path
    key_file: Path


class OidcSettings(Section):
    """An OpenID Connect provider whose tokens are accepted.

    audience: what its tokens must be for. roles: which values of role_claim give which role; the highest counts.
    role_claim: a path of names with dots, such as realm_access.roles. name_claim: by what people are known here; of
    `email` only what the provider says is verified. client_id: lets people sign in on the page, too;
    redirect_uri: where the provider sends them back to, which ends in /login/oidc/callback.
    """

    issuer: str
    audience: str = Field(min_length=1)
    roles: dict[RoleName, tuple[str, ...]]
    role_claim: str = "groups"
    name_claim: str = "sub"
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "ES256"), min_length=1)
    jwks_uri: str | None = None
    leeway: Duration = Field(30.0, ge=0, le=300)
    ca_file: Path | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    redirect_uri: str | None = Field(None, pattern=r"^https?://[^/?#]+/login/oidc/callback$")
    scopes: tuple[str, ...] = ("openid", "profile", "email")

    @model_validator(mode="after")
    def whole_client(self) -> OidcSettings:
        """Refuse half a client."""
        if (self.client_id is None) != (self.redirect_uri is None):
            raise ValueError("client_id and redirect_uri come together")
        return self

    @field_validator("issuer", "jwks_uri", "redirect_uri")
    @classmethod
    def over_tls(cls, value: str | None) -> str | None:
        """Refuse keys that anybody on the way could change."""
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError(f"{value} is not https")
        return value


class KubernetesAccessSettings(Section):
    """Tokens of Kubernetes, which its API server reviews (TokenReview).

    authorizer: `review` asks the API server (SubjectAccessReview) whether somebody may `use` the resource `roles` of
    the group access.aiops by the name of a role; `groups` takes the role from the groups in `roles`.
    audiences: for which tokens must be issued; those of the API server without any. cluster: whose API server.
    """

    enabled: bool = False
    cluster: str | None = None
    audiences: tuple[str, ...] = ()
    authorizer: Literal["review", "groups"] = "review"
    roles: dict[RoleName, tuple[str, ...]] = Field(default_factory=dict)


class SessionSettings(Section):
    """How long a browser stays signed in: without being used, and at the longest."""

    idle: Duration = Field(1800.0, ge=60)
    longest: Duration = Field(12 * 3600.0, ge=60)


class RateSettings(Section):
    """How many a minute: requests of an address, reads and writes of a principal, failed credentials of an address."""

    address: int = Field(3000, ge=1)
    read: int = Field(1200, ge=1)
    write: int = Field(240, ge=1)
    failed: int = Field(20, ge=1)


class WebLimitSettings(Section):
    """Sizes and times, so that nobody holds the daemon up.

    head, body, answer: within which the head of a request, its body, and a reader of an answer move. connections: at
    once; per_address: of one address; streams: of events.
    """

    max_body: Quantity = Field(1 << 20, ge=1024)
    head: Duration = Field(10.0, ge=0.1)
    body: Duration = Field(15.0, ge=0.1)
    answer: Duration = Field(30.0, ge=0.1)
    idle: Duration = Field(5.0, ge=0.1)
    connections: int = Field(512, ge=1)
    per_address: int = Field(128, ge=1)
    streams: int = Field(64, ge=1)


class WebSettings(ListenSettings):
    """The page and the API. Off loopback callers must show who they are (S10).

    token, token_file: one token for everything. authentication: `auto` asks callers who they are when there is a token,
    oidc or kubernetes; true does so with nothing but tokens of the store (`aiops tokens create`).
    hosts: names by which it is called. behind_tls: whether a proxy before it takes the TLS.
    trusted_proxies: whose X-Forwarded-For is believed: addresses and networks.
    """

    port: int = Field(8080, ge=0, le=65535)
    token: SecretStr | None = None
    token_file: Path | None = None
    authentication: bool | Literal["auto"] = "auto"
    tls: TlsSettings | None = None
    behind_tls: bool = False
    hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    oidc: OidcSettings | None = None
    kubernetes: KubernetesAccessSettings = KubernetesAccessSettings()
    sessions: SessionSettings = SessionSettings()
    rates: RateSettings = RateSettings()
    limits: WebLimitSettings = WebLimitSettings()

    @property
    def authenticates(self) -> bool:
        """Return whether callers must show who they are."""
        if self.authentication != "auto":
            return self.authentication
        shown = (self.token, self.token_file, self.oidc)
        return self.kubernetes.enabled or any(one is not None for one in shown)

    @field_validator("hosts")
    @classmethod
    def plain_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse names with a scheme or a port, which would never match."""
        for one in value:
            if not all(letter.isalnum() or letter in "-._:" for letter in one) or one != one.lower():
                raise ValueError(f"{one!r} is no host's name in small letters, such as aiops.example.com")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what is no address or network."""
        for one in value:
            ipaddress.ip_network(one)
        return value

    @model_validator(mode="after")
    def off_loopback_needs_authentication(self) -> WebSettings:
        """Refuse to serve strangers."""
        if self.enabled and self.host not in LOOPBACK and not self.authenticates:
            raise ValueError(
                f"host {self.host} is not loopback, and nobody is asked who they are: set web.authentication: true "
                "(and make a token with `aiops tokens create`), or web.token_file, web.oidc or web.kubernetes"
            )
        given = self.kubernetes.enabled or any(one is not None for one in (self.token, self.token_file, self.oidc))
        if self.authentication is False and given:
            raise ValueError("authentication: false leaves the token, oidc or kubernetes beside it without an effect")
        return self
