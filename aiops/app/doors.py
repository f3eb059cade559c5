"""How the doors of the page and the API are locked, as the settings say."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.app.alertmanager import webhook_token
from aiops.app.knocks import Knocks
from aiops.app.tokens import Tokens
from aiops.errors import ConfigurationError, PortError
from aiops.web.locks.doors import Doors, FixedToken, TokenFile, Verifier
from aiops.web.locks.patience import Patience
from aiops.web.locks.rates import Limits, Rates
from aiops.web.locks.reviewed import Reviewed, User, by_groups, by_review
from aiops.web.locks.roles import How, Principal, Role
from aiops.web.locks.sessions import Sessions
from aiops.web.locks.shield import Bounds
from aiops.web.server import Serving
from aiops.web.tls import Certificate

if TYPE_CHECKING:
    from aiops.adapters.kubernetes import Reviews
    from aiops.adapters.store import Store
    from aiops.app.settings import Settings
    from aiops.app.web_settings import KubernetesAccessSettings, OidcSettings, RoleName, WebSettings
    from aiops.web.events import Broker
    from aiops.web.locks.doors import Entrance
    from aiops.web.locks.oidc import Oidc
    from aiops.web.locks.oidc_login import Client

_LOG = logging.getLogger("aiops.web")
GROUP = "access.aiops"
"""The group of the resource `roles` that Kubernetes is asked about."""

WEAK = 20
"""A token of fewer letters than this can be guessed."""

ADMIN = Principal(name="token", role=Role.ADMIN, how=How.SETTING, key="setting", shared=True)
HOOK = Principal(name="alertmanager", role=Role.HOOK, how=How.SETTING, shared=True)


def doors(settings: Settings, store: Store) -> Doors:
    """Return how the doors are locked; raise ConfigurationError when a file that is needed is not there."""
    web = settings.web
    hook = webhook_token(settings.alertmanager)
    provider = None if web.oidc is None else oidc(web.oidc)
    entrances = _entrances(web, provider)
    return Doors(
        verifiers=verifiers(settings, store, provider) if web.authenticates else (),
        hook=FixedToken(hook, HOOK) if hook else None,
        sessions=Sessions(keeper=store.access, idle_s=web.sessions.idle, longest_s=web.sessions.longest),
        rates=Rates(Limits(**web.rates.model_dump())),
        hosts=frozenset(web.hosts),
        secure=web.tls is not None or web.behind_tls,
        entrances=entrances,
        sign_on="/login/oidc" if entrances else "",
        tell=Knocks(store.audit.note, time.time),
    )


def verifiers(settings: Settings, store: Store, provider: Oidc | None = None) -> tuple[Verifier, ...]:
    """Return who is believed: the token of the settings, tokens of the store, then what others vouch for."""
    web = settings.web
    found: list[Verifier] = [*_fixed(web), Tokens(store.access, time.time)]
    if provider is not None:
        found.append(provider)
    if web.kubernetes.enabled:
        found.append(reviewed(settings))
    return tuple(found)


def oidc(settings: OidcSettings) -> Oidc:
    """Return who knows the tokens of a provider; raise ConfigurationError when its authority cannot be read."""
    from aiops.web.locks.oidc import Oidc, OidcOptions, Provider

    options = OidcOptions(
        issuer=settings.issuer,
        audience=settings.audience,
        roles=_roles(settings.roles),
        role_claim=settings.role_claim,
        name_claim=settings.name_claim,
        algorithms=settings.algorithms,
        jwks_uri=settings.jwks_uri,
        leeway_s=settings.leeway,
        ca_file=settings.ca_file,
    )
    return Oidc(options, Provider(options))


def client(settings: OidcSettings) -> Client | None:
    """Return what this daemon is at the provider, None when nobody signs in there by the page."""
    from aiops.web.locks.oidc_login import Client

    if settings.client_id is None or settings.redirect_uri is None:
        return None
    file, given = settings.client_secret_file, settings.client_secret

    def secret() -> str:
        if given is not None:
            return given.get_secret_value()
        try:
            return "" if file is None else file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as err:
            raise PortError(f"web.oidc.client_secret_file: {file} cannot be read") from err

    return Client(
        client_id=settings.client_id, redirect_uri=settings.redirect_uri, secret=secret, scopes=settings.scopes
    )


def _entrances(web: WebSettings, provider: Oidc | None) -> tuple[Entrance, ...]:
    """Return how people come in beside a token."""
    there = None if web.oidc is None else client(web.oidc)
    if provider is None or there is None:
        return ()
    from aiops.web.locks.oidc_login import oidc_routes

    return (lambda locked: oidc_routes(locked, provider, there),)


def reviewed(settings: Settings) -> Reviewed:
    """Return who knows tokens of Kubernetes; raise ConfigurationError when its API server is not configured."""
    from aiops.adapters.kubernetes import KubernetesOptions, Reviews

    access = settings.web.kubernetes
    name = access.cluster or min(settings.clusters, default="default")
    if settings.clusters and name not in settings.clusters:
        raise ConfigurationError(f"web.kubernetes.cluster: {name} is not in clusters")
    known = settings.clusters.get(name)
    options = KubernetesOptions() if known is None else KubernetesOptions(**known.reached())
    reviewer = _Reviewer(Reviews.connect(options), access)
    return Reviewed(reviewer, by_review(reviewer) if access.authorizer == "review" else by_groups(_roles(access.roles)))


class _Reviewer:
    """web.locks.reviewed.Reviewer over the adapter."""

    def __init__(self, reviews: Reviews, access: KubernetesAccessSettings) -> None:
        self._reviews = reviews
        self._audiences = access.audiences

    def review(self, token: str) -> User | None:
        """Return whose token it is."""
        return self._reviews.token(token, self._audiences)

    def may_use(self, user: User, role: str) -> bool:
        """Return whether somebody may `use` a role."""
        from aiops.adapters.kubernetes import Attributes
        from aiops.adapters.kubernetes import Reviewed as Known

        known = user if isinstance(user, Known) else Known(username=user.username, groups=user.groups)
        return self._reviews.allowed(known, Attributes(verb="use", group=GROUP, resource="roles", name=role))


def _roles(given: Mapping[RoleName, tuple[str, ...]]) -> dict[Role, frozenset[str]]:
    return {Role(role): frozenset(values) for role, values in given.items()}


def serving(web: WebSettings, broker: Broker) -> Serving:
    """Return how it is served; raise ConfigurationError when the certificate cannot be used."""
    limits = web.limits
    # a proxy's connections are those of everybody behind it
    per_address = limits.connections if web.trusted_proxies else limits.per_address
    tls = web.tls
    return Serving(
        bounds=Bounds(body_bytes=int(limits.max_body), body_s=limits.body, send_s=limits.answer),
        patience=Patience(head_s=limits.head, per_address=per_address),
        certificate=None if tls is None else Certificate(cert_file=tls.cert_file, key_file=tls.key_file),
        proxies=web.trusted_proxies,
        connections=limits.connections,
        broker=broker,
        idle_s=limits.idle,
    )


def _fixed(web: WebSettings) -> list[Verifier]:
    if web.token is not None:
        token = web.token.get_secret_value()
        _warn_of_weak("web.token", token)
        return [FixedToken(token, ADMIN)]
    if web.token_file is None:
        return []
    _warn_of_weak("web.token_file", _read(web.token_file))
    return [TokenFile(web.token_file, ADMIN)]


def _read(file: Path) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"web.token_file: {file} cannot be read: {err}") from err
    if not token:
        raise ConfigurationError(f"web.token_file: {file} is empty")
    return token


def _warn_of_weak(setting: str, token: str) -> None:
    if len(token) < WEAK:
        _LOG.warning("weak_token", extra={"setting": setting, "hint": f"fewer than {WEAK} letters can be guessed"})
